//! Part of ⑦ mask: the short cut of the JSON reader. Most of a document is names, short
//! strings, whole numbers, true, false, null and what opens and closes an object, all of one in
//! the same chunk; these are read at once, and everything else is left to the reader.

use super::super::text;
use super::{Lexer, MAX_DEPTH, State, Token};

impl Lexer {
    /// The next token, if it is such a one. If not, nothing has changed.
    #[inline]
    pub(super) fn quick(&mut self, chunk: &[u8], at: &mut usize) -> Option<Token> {
        let rest = chunk.get(*at..)?;
        match (self.state, rest) {
            (State::After, [b',', b'"', name @ ..]) if self.in_object() => {
                self.quick_key(name, at, 2)
            }
            (State::FirstKey, [b'"', name @ ..]) => self.quick_key(name, at, 1),
            (State::Value | State::FirstElement, [first, behind @ ..]) => {
                let length = match (first, behind) {
                    (b'"', _) => text::short(behind)? + 1,
                    (b'{', _) if self.depth < MAX_DEPTH => {
                        *at += 1;
                        return self.open(true).ok();
                    }
                    (b't', [b'r', b'u', b'e', ..]) | (b'n', [b'u', b'l', b'l', ..]) => 3,
                    (b'f', [b'a', b'l', b's', b'e', ..]) => 4,
                    (b'1'..=b'9', _) => whole_number(behind)?,
                    _ => return None,
                };
                self.began = Some(*at);
                *at += length + 1;
                self.state = State::After;
                Some(Token::Whole { first: *first })
            }
            (State::After | State::FirstKey, [b'}', ..]) if self.in_object() => {
                *at += 1;
                Some(self.close())
            }
            _ => None,
        }
    }

    /// A name and its colon, behind its quote, which is the last of so many bytes.
    #[inline]
    fn quick_key(&mut self, name: &[u8], at: &mut usize, before: usize) -> Option<Token> {
        let length = text::short(name)?;
        let (name, behind) = name.split_at_checked(length)?;
        let [b'"', b':', ..] = behind else {
            return None;
        };
        self.began = Some(*at + before - 1);
        self.text.start(self.capture_keys);
        self.text.keep(name);
        *at += before + length + 2;
        self.state = State::Value;
        Some(Token::Key)
    }
}

/// How many digits of a number follow its first one, if it is a short whole number.
#[inline]
fn whole_number(behind: &[u8]) -> Option<usize> {
    let digits = behind
        .iter()
        .take(16)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    matches!(behind.get(digits), Some(b',' | b'}' | b']')).then_some(digits)
}
