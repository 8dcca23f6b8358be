//! Part of ⑦ mask: walks one document after the other by their shapes, and hides.
//!
//! The reader proves the bytes and names the tokens, the shapes say what is hidden, the
//! hold keeps what is undecided; here the three meet. Parts of a document in which nothing
//! can be hidden are left to the reader alone.

use bytes::Bytes;

use super::fields::{Rule, Shape, Told, Treat, Untold};
use super::hold::Hold;
use super::json::{Fault, Lexer, Root, Token};

pub(super) struct Walk {
    lexer: Lexer,
    root: &'static Shape,
    /// The open containers, but for those that are skipped.
    frames: Vec<Frame>,
    /// How the value that comes next is treated.
    next: Treat,
    /// The container at hand is skipped: nothing inside is looked at.
    skipping: bool,
    /// The string at hand tells what its object is.
    telling: bool,
    hold: Hold,
}

struct Frame {
    shape: &'static Shape,
    array: bool,
    told: Told,
    /// The frame that tells for this one: itself, or one further out.
    owner: usize,
    /// Values that wait for this frame have this number or a higher one.
    first_waiting: usize,
    /// The member or element at hand is a waiting value.
    waiting: Option<usize>,
}

impl Walk {
    pub fn new(shape: &'static Shape, root: Root) -> Self {
        Self {
            lexer: Lexer::new(root),
            root: shape,
            frames: Vec::new(),
            next: Treat::Enter(shape),
            skipping: false,
            telling: false,
            hold: Hold::default(),
        }
    }

    /// Reads a chunk and returns what may go out, which may be less or more.
    ///
    /// # Errors
    /// The document is invalid or cannot be masked; nothing may be fed after that.
    pub fn feed(&mut self, chunk: &Bytes) -> Result<Bytes, Fault> {
        self.hold.begin();
        let mut at = 0;
        loop {
            match self.lexer.next(chunk, &mut at)? {
                Token::More => return self.hold.release(chunk),
                Token::Key => self.next = self.member(),
                Token::Open { object } => self.open(chunk, at - 1, object)?,
                Token::Close => {
                    self.close()?;
                    self.value_ended(chunk, at)?;
                }
                Token::Scalar { first } => self.scalar(chunk, at - 1, first)?,
                Token::ScalarEnd => self.value_ended(chunk, at)?,
            }
        }
    }

    /// Whether the last document is complete, and whether there was any.
    ///
    /// # Errors
    /// It is not.
    pub fn finish(&self) -> Result<bool, Fault> {
        self.lexer.finish()
    }

    /// How many values were masked, by rule.
    pub fn counts(&self) -> &[(&'static Rule, u64)] {
        self.hold.counts()
    }

    fn member(&self) -> Treat {
        self.frames
            .last()
            .map_or(Treat::Keep, |f| f.shape.member(self.lexer.text()))
    }

    fn open(&mut self, chunk: &[u8], start: usize, object: bool) -> Result<(), Fault> {
        let treat = match self.treat(chunk, start, false)? {
            Treat::Tell => self.frames.last().map_or(Treat::Keep, |f| f.shape.rest),
            treat => treat,
        };
        match treat {
            Treat::Enter(shape) => self.enter(shape, object),
            treat => {
                if let Treat::Hide(rule) = treat {
                    self.hold.hide(chunk, start, rule);
                }
                self.skipping = true;
                self.lexer.capture_keys(false);
                self.lexer.skip();
            }
        }
        Ok(())
    }

    fn enter(&mut self, shape: &'static Shape, object: bool) {
        let outer = self.frames.last().map(|f| f.owner);
        let owner = match (outer, object && shape.tells.is_some()) {
            (Some(outer), false) => outer,
            _ => self.frames.len(),
        };
        self.frames.push(Frame {
            shape,
            array: !object,
            told: Told::Nothing,
            owner,
            first_waiting: self.hold.next_number(),
            waiting: None,
        });
        self.next = shape.elements;
        self.lexer.capture_keys(object);
    }

    fn scalar(&mut self, chunk: &[u8], start: usize, first: u8) -> Result<(), Fault> {
        let null = first == b'n';
        let treat = match self.treat(chunk, start, null)? {
            Treat::Enter(shape) => shape.elements,
            treat => treat,
        };
        match treat {
            Treat::Hide(rule) if !null => self.hold.hide(chunk, start, rule),
            Treat::Tell if first == b'"' => {
                self.telling = true;
                self.lexer.capture_string();
            }
            _ => {}
        }
        Ok(())
    }

    /// How the value that begins at `start` is treated, as far as is known.
    #[inline]
    fn treat(&mut self, chunk: &[u8], start: usize, null: bool) -> Result<Treat, Fault> {
        let (hide, keep) = match self.next {
            Treat::Told { hide, keep } => (hide, keep),
            treat => return Ok(treat),
        };
        let Some(owner) = self.frames.last().map(|f| f.owner) else {
            return Ok(*hide);
        };
        match self.frames.get(owner).map(|f| f.told) {
            Some(Told::Keep) => Ok(*keep),
            Some(Told::Nothing) if null => Ok(Treat::Keep),
            Some(Told::Nothing) => {
                let number = self.hold.wait(chunk, start, *hide, owner)?;
                if let Some(frame) = self.frames.last_mut() {
                    frame.waiting = Some(number);
                }
                Ok(*keep)
            }
            Some(Told::Hide) | None => Ok(*hide),
        }
    }

    /// `}` or `]` was read; only containers that were entered have a frame.
    fn close(&mut self) -> Result<(), Fault> {
        if std::mem::take(&mut self.skipping) {
            return Ok(());
        }
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let index = self.frames.len();
        if frame.owner != index || frame.told != Told::Nothing {
            return Ok(());
        }
        let first = frame.first_waiting;
        match frame.shape.untold {
            Untold::Keep => self.hold.decide(first, index, false),
            Untold::Hide => self.hold.decide(first, index, true),
            Untold::AsList => {
                let list = self.frames.last().map_or(index, |f| f.owner);
                match self.frames.get(list).map(|f| f.told) {
                    Some(Told::Nothing) => {
                        self.hold.pass_on(first, index, list);
                        Ok(())
                    }
                    Some(told) => self.hold.decide(first, index, told == Told::Hide),
                    None => self.hold.decide(first, index, true),
                }
            }
        }
    }

    fn value_ended(&mut self, chunk: &[u8], end: usize) -> Result<(), Fault> {
        self.hold.value_ended(end);
        if std::mem::take(&mut self.telling) {
            self.tell()?;
        }
        let Some(frame) = self.frames.last_mut() else {
            self.next = Treat::Enter(self.root);
            return Ok(());
        };
        if let Some(number) = frame.waiting.take() {
            self.hold.waiting_ended(chunk, end, number);
        }
        self.next = frame.shape.elements;
        self.lexer.capture_keys(!frame.array);
        Ok(())
    }

    /// The captured string tells what the innermost object is.
    fn tell(&mut self) -> Result<(), Fault> {
        let index = self.frames.len().saturating_sub(1);
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        let Some(tells) = frame.shape.tells else {
            return Ok(());
        };
        let told = tells(self.lexer.text());
        if frame.told == told {
            return Ok(());
        }
        if frame.told != Told::Nothing {
            return Err(Fault("an object says twice, and differently, what it is"));
        }
        frame.told = told;
        let first = frame.first_waiting;
        self.hold.decide(first, index, told == Told::Hide)
    }
}
