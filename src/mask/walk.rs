//! Part of ⑦ mask: walks one document after the other by their shapes, and hides.
//!
//! The reader proves the bytes and names the tokens, the shapes say what is hidden, the
//! hold keeps what is undecided; here the three meet. Parts of a document in which nothing
//! can be hidden are left to the reader alone.

use std::sync::Arc;

use bytes::Bytes;

use super::fields::{BINARY, LAST_APPLIED, Shape, Told, Treat, Untold};
use super::found::Finder;
use super::hold::{Counts, Hold};
use super::json::{Fault, Lexer, Root, Token};
use super::paths::Trail;
use super::rules::Masking;
use crate::decide::With;

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
    finder: Option<Finder>,
    trail: Option<Trail>,
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
    /// What the shapes keep is hidden as `masking` says, if that is given.
    pub fn new(shape: &'static Shape, root: Root, masking: Option<Arc<Masking>>) -> Self {
        Self {
            lexer: Lexer::new(root),
            root: shape,
            frames: Vec::new(),
            next: Treat::Enter(shape),
            skipping: false,
            telling: false,
            hold: Hold::default(),
            trail: masking.as_ref().and_then(Trail::of),
            finder: masking.map(Finder::new),
        }
    }

    /// The same for a document that is quoted in so many others.
    pub fn quoted(mut self, level: u8) -> Self {
        if let Some(finder) = &mut self.finder {
            finder.level = level;
        }
        self
    }

    /// Reads a chunk and returns what may go out, which may be less or more.
    ///
    /// # Errors
    /// The document is invalid or cannot be masked; nothing may be fed after that.
    pub fn feed(&mut self, chunk: &Bytes) -> Result<Bytes, Fault> {
        self.hold.begin();
        self.lexer.begin();
        if let Some(finder) = &mut self.finder {
            finder.begin();
        }
        let mut at = 0;
        loop {
            match self.lexer.next(chunk, &mut at)? {
                Token::More => {
                    self.keep_string(chunk);
                    return self.hold.release(chunk);
                }
                Token::Key => {
                    self.next = self.member();
                    if let Some(trail) = &mut self.trail {
                        trail.member(self.lexer.text());
                    }
                    if let Some(finder) = &mut self.finder {
                        finder.key(self.lexer.began(), at);
                    }
                }
                Token::Open { object } => self.open(chunk, at - 1, object)?,
                Token::Close => {
                    self.close()?;
                    self.value_ended(chunk, at)?;
                }
                Token::Scalar { first } => self.scalar(chunk, at - 1, first)?,
                Token::Whole { first } => {
                    let start = self.lexer.began().unwrap_or_default();
                    self.scalar(chunk, start, first)?;
                    if self.telling {
                        let string = chunk.get(start + 1..at - 1).unwrap_or_default();
                        self.lexer.capture_whole(string);
                    }
                    self.look(chunk, at);
                    self.value_ended(chunk, at)?;
                }
                Token::ScalarEnd => {
                    self.look(chunk, at);
                    self.value_ended(chunk, at)?;
                }
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
    pub fn counts(&self) -> &Counts {
        self.hold.counts()
    }

    fn member(&self) -> Treat {
        self.frames
            .last()
            .map_or(Treat::Keep, |f| f.shape.member(self.lexer.text()))
    }

    /// Whether the value at hand stands under a name of which no detector looks at the string.
    #[inline]
    fn is_plain(&self) -> bool {
        let plain = |frame: &Frame| !frame.array && frame.shape.plain.contains(&self.lexer.text());
        self.frames.last().is_some_and(plain)
    }

    fn open(&mut self, chunk: &[u8], start: usize, object: bool) -> Result<(), Fault> {
        if let Some(finder) = &mut self.finder {
            finder.opened();
        }
        let treat = match self.treat(chunk, start, false)? {
            Treat::Tell => self.frames.last().map_or(Treat::Keep, |f| f.shape.rest),
            treat => treat,
        };
        match treat {
            Treat::Enter(shape) if !self.drop_container(chunk, start) => self.enter(shape, object),
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

    /// Whether a mask rule drops the container that begins at `start`.
    fn drop_container(&mut self, chunk: &[u8], start: usize) -> bool {
        let (Some(trail), Some(finder)) = (&self.trail, &self.finder) else {
            return false;
        };
        let Some((rule, path)) = trail.hidden().filter(|_| !self.hold.is_hiding()) else {
            return false;
        };
        let how = finder.masking().field(rule);
        let drops = how.with == With::Drop;
        if drops {
            self.hold.hide_behind(chunk, start, "null");
            self.hold.count(how.rule, path);
        }
        drops
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
        if let Some(trail) = &mut self.trail {
            trail.opened(object, self.lexer.text());
        }
        self.lexer.capture_keys(object);
    }

    fn scalar(&mut self, chunk: &[u8], start: usize, first: u8) -> Result<(), Fault> {
        let null = first == b'n';
        let treat = match self.treat(chunk, start, null)? {
            Treat::Enter(shape) => shape.elements,
            treat => treat,
        };
        let hidden = matches!(treat, Treat::Hide(_)) && !null;
        let is_plain = matches!(treat, Treat::Tell) || self.is_plain();
        if let Some(finder) = &mut self.finder {
            finder.value(first == b'"' && !hidden && !is_plain);
            let hidden_by = self.trail.as_ref().and_then(Trail::hidden);
            let is_named = !null && hidden_by.is_some();
            // It hides what no detector knows.
            let is_manifest = first == b'"' && self.lexer.text() == LAST_APPLIED.as_bytes();
            if !hidden && (is_named || is_manifest) {
                finder.must_look();
            }
        }
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

    /// The chunk ends: a string in its middle is kept until it is whole.
    fn keep_string(&mut self, chunk: &[u8]) {
        if self.hold.is_hiding() {
            return;
        }
        if let (Some(finder), Some(began)) = (&mut self.finder, self.lexer.began())
            && finder.is_in_string()
        {
            self.hold.keep_string(chunk, began);
        }
    }

    /// A scalar ended before `end`: if it is a string in which there may be something, it is
    /// looked at.
    fn look(&mut self, chunk: &[u8], end: usize) {
        let Some(finder) = &mut self.finder else {
            return;
        };
        let began = self.lexer.began();
        let Some(member) = finder
            .ended(chunk, began, end)
            .filter(|_| !self.hold.is_hiding())
        else {
            return;
        };
        let depth = self.frames.len();
        let string = match began {
            Some(began) => chunk.get(began..end).map(Bytes::copy_from_slice),
            None => self.hold.kept_string(chunk, end),
        };
        let hidden = self.trail.as_ref().and_then(Trail::hidden);
        let found = match (string, hidden) {
            (Some(scalar), Some((rule, path))) => Some(finder.field(&scalar, rule, path)),
            (Some(string), None) => {
                let base64 = self
                    .frames
                    .last()
                    .is_some_and(|f| std::ptr::eq(f.shape, &BINARY));
                finder.look(&string, member.then(|| self.lexer.text()), depth, base64)
            }
            _ => None,
        };
        match (began, &found) {
            (None, found) => self.hold.put(found.as_ref().map(|found| &*found.masked)),
            (Some(began), Some(found)) => {
                self.hold.replace_string(chunk, began, end, &found.masked);
            }
            (Some(_), None) => {}
        }
        for (rule, path) in found.iter().flat_map(|found| &found.by) {
            self.hold.count(rule, path);
        }
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
        if let Some(trail) = &mut self.trail {
            trail.closed();
        }
        if let Some(finder) = &mut self.finder {
            finder.closed(self.frames.len());
        }
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
        if let Some(trail) = &mut self.trail {
            trail.ended();
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
