//! Part of ⑦ mask: a strict JSON reader (RFC 8259) that can stop and go on at any byte.
//!
//! It splits a document into tokens and proves on the way that it is valid: grammar, UTF-8,
//! escapes, depth. It keeps no part of the document but the one short text it is told to
//! capture, and it decides nothing about what is hidden.

use super::text::Text;

mod quick;

/// Containers within containers, at most.
pub(super) const MAX_DEPTH: u32 = 128;

/// Why a document cannot be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault(pub &'static str);

/// What was read last. Positions are those of the cursor after the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// The chunk is used up.
    More,
    /// A member's name is complete.
    Key,
    /// `{` or `[` was read.
    Open { object: bool },
    /// `}` or `]` was read.
    Close,
    /// The first byte of a string, number or literal was read.
    Scalar { first: u8 },
    /// A string, number or literal ended before the cursor.
    ScalarEnd,
    /// Both at once: it began at [`Lexer::began`].
    Whole { first: u8 },
}

/// What a whole document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// One object.
    Object,
    /// One object or array.
    Container,
    /// Any number of objects, one after the other.
    Objects,
}

pub(super) struct Lexer {
    root: Root,
    state: State,
    depth: u32,
    /// One bit per open container, the innermost lowest: set for an object.
    objects: u128,
    /// Tokens at this depth and deeper are not reported.
    quiet_from: u32,
    capture_keys: bool,
    text: Text,
    /// Where in the chunk the scalar or name at hand began; none if in an earlier chunk.
    began: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a document.
    Start,
    /// A value must come.
    Value,
    /// A value or `]` must come.
    FirstElement,
    /// A name or `}` must come.
    FirstKey,
    /// A name must come.
    Key,
    Colon,
    /// `,` or the end of the container must come.
    After,
    /// After the only document.
    End,
    String {
        key: bool,
    },
    Number(Number),
    /// These bytes must come.
    Literal(&'static [u8]),
}

/// How far a number was read.
#[derive(Debug, Clone, Copy)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Lexer {
    pub fn new(root: Root) -> Self {
        Self {
            root,
            state: State::Start,
            depth: 0,
            objects: 0,
            quiet_from: u32::MAX,
            capture_keys: false,
            text: Text::default(),
            began: None,
        }
    }

    /// Reads on from `at`, and moves it behind what was read.
    ///
    /// # Errors
    /// The document is not valid JSON, or too deep.
    #[inline]
    pub fn next(&mut self, chunk: &[u8], at: &mut usize) -> Result<Token, Fault> {
        loop {
            let token = match self.quick(chunk, at) {
                Some(token) => token,
                None => self.token(chunk, at)?,
            };
            let depth = match token {
                Token::More => return Ok(token),
                Token::Open { .. } => self.depth.saturating_sub(1),
                _ => self.depth,
            };
            if depth < self.quiet_from {
                self.quiet_from = u32::MAX;
                return Ok(token);
            }
        }
    }

    /// A new chunk begins.
    pub fn begin(&mut self) {
        self.began = None;
    }

    /// Where in the chunk the scalar or name that was read last began; none if that was in an
    /// earlier chunk.
    pub fn began(&self) -> Option<usize> {
        self.began
    }

    /// After [`Token::Open`]: the next token will be its [`Token::Close`].
    pub fn skip(&mut self) {
        self.quiet_from = self.depth;
    }

    /// Whether the names of members are to be captured from here on.
    pub fn capture_keys(&mut self, on: bool) {
        self.capture_keys = on;
    }

    /// After [`Token::Scalar`] with a quote: captures the string.
    pub fn capture_string(&mut self) {
        self.text.capture();
    }

    /// The same of a string that is [`Token::Whole`], given without its quotes.
    pub fn capture_whole(&mut self, string: &[u8]) {
        self.text.keep(string);
    }

    /// The captured name or string, unescaped; empty if it was longer than any that matters.
    pub fn text(&self) -> &[u8] {
        self.text.captured()
    }

    /// Whether a document may end here, and whether there was any.
    ///
    /// # Errors
    /// It may not.
    pub fn finish(&self) -> Result<bool, Fault> {
        match self.state {
            State::Start => Ok(false),
            State::End => Ok(true),
            _ => Err(Fault("the document ends in its middle")),
        }
    }

    fn token(&mut self, chunk: &[u8], at: &mut usize) -> Result<Token, Fault> {
        loop {
            let rest = chunk.get(*at..).unwrap_or_default();
            let Some(&byte) = rest.first() else {
                return Ok(Token::More);
            };
            match self.state {
                State::String { key } => return self.string(key, rest, at),
                State::Literal(expected) => match self.literal(expected, byte, at)? {
                    Some(token) => return Ok(token),
                    None => continue,
                },
                State::Number(number) => match self.number(number, byte, at)? {
                    Some(token) => return Ok(token),
                    None => continue,
                },
                _ => {}
            }
            *at += 1;
            if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                continue;
            }
            self.began = Some(*at - 1);
            if byte == b'"' && matches!(self.state, State::FirstKey | State::Key) {
                return self.key(chunk, at);
            }
            if let Some(token) = self.structure(byte)? {
                return Ok(token);
            }
        }
    }

    /// A name, whose quote is behind the cursor already.
    fn key(&mut self, chunk: &[u8], at: &mut usize) -> Result<Token, Fault> {
        self.began = Some(*at - 1);
        self.state = State::String { key: true };
        self.text.start(self.capture_keys);
        self.string(true, chunk.get(*at..).unwrap_or_default(), at)
    }

    /// One byte between values; it is behind the cursor already.
    fn structure(&mut self, byte: u8) -> Result<Option<Token>, Fault> {
        match (self.state, byte) {
            (State::Start, b'{') => self.open(true).map(Some),
            (State::Start, b'[') if self.root == Root::Container => self.open(false).map(Some),
            (State::Start, _) => Err(Fault("the document is not an object")),
            (State::End, _) => Err(Fault("something follows the document")),
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(None)
            }
            (State::After, b',') => {
                self.state = if self.in_object() {
                    State::Key
                } else {
                    State::Value
                };
                Ok(None)
            }
            (State::After | State::FirstKey, b'}') if self.in_object() => Ok(Some(self.close())),
            (State::After | State::FirstElement, b']') if !self.in_object() => {
                Ok(Some(self.close()))
            }
            (State::Value | State::FirstElement, _) => self.value(byte).map(Some),
            (State::FirstKey | State::Key, _) => Err(Fault("expected a member's name")),
            (State::Colon, _) => Err(Fault("expected a colon")),
            _ => Err(Fault("expected a comma or the end of an object or array")),
        }
    }

    fn value(&mut self, first: u8) -> Result<Token, Fault> {
        self.state = match first {
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b'"' => {
                self.text.start(false);
                State::String { key: false }
            }
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => return Err(Fault("expected a value")),
        };
        Ok(Token::Scalar { first })
    }

    fn open(&mut self, object: bool) -> Result<Token, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault("the document is nested more than 128 deep"));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.state = if object {
            State::FirstKey
        } else {
            State::FirstElement
        };
        Ok(Token::Open { object })
    }

    fn close(&mut self) -> Token {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.state = match (self.depth, self.root) {
            (0, Root::Objects) => State::Start,
            (0, _) => State::End,
            _ => State::After,
        };
        Token::Close
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn string(&mut self, key: bool, rest: &[u8], at: &mut usize) -> Result<Token, Fault> {
        let (read, ended) = self.text.read(rest)?;
        *at += read;
        Ok(match (ended, key) {
            (false, _) => Token::More,
            (true, true) => {
                self.state = State::Colon;
                if rest.get(read) == Some(&b':') {
                    *at += 1;
                    self.state = State::Value;
                }
                Token::Key
            }
            (true, false) => {
                self.state = State::After;
                Token::ScalarEnd
            }
        })
    }

    fn literal(
        &mut self,
        expected: &'static [u8],
        byte: u8,
        at: &mut usize,
    ) -> Result<Option<Token>, Fault> {
        match expected.split_first() {
            Some((&next, left)) if next == byte => {
                *at += 1;
                if left.is_empty() {
                    self.state = State::After;
                    return Ok(Some(Token::ScalarEnd));
                }
                self.state = State::Literal(left);
                Ok(None)
            }
            _ => Err(Fault("expected true, false or null")),
        }
    }

    /// A number ends only where the next byte is none of its own, which stays unread.
    fn number(&mut self, number: Number, byte: u8, at: &mut usize) -> Result<Option<Token>, Fault> {
        use Number::{
            Exponent, ExponentDigits, ExponentSign, Fraction, Integer, Minus, Point, Zero,
        };
        let next = match (number, byte) {
            (Minus, b'0') => Zero,
            (Minus, b'1'..=b'9') | (Integer, b'0'..=b'9') => Integer,
            (Zero | Integer, b'.') => Point,
            (Point | Fraction, b'0'..=b'9') => Fraction,
            (Zero | Integer | Fraction, b'e' | b'E') => Exponent,
            (Exponent, b'+' | b'-') => ExponentSign,
            (Exponent | ExponentSign | ExponentDigits, b'0'..=b'9') => ExponentDigits,
            (Zero | Integer | Fraction | ExponentDigits, _) => {
                self.state = State::After;
                return Ok(Some(Token::ScalarEnd));
            }
            _ => return Err(Fault("a number is malformed")),
        };
        *at += 1;
        self.state = State::Number(next);
        Ok(None)
    }
}
