//! Part of ⑦ mask: one JSON string, from behind its opening quote to its closing one.
//!
//! It proves UTF-8, escapes and the absence of control characters, across any chunks, and
//! on demand keeps the unescaped text if it is short. Longer text it never keeps.

use memchr::memchr2;

use super::json::Fault;

/// Captured text longer than this matches no name, kind or reason that matters.
const MAX_CAPTURED: usize = 320;

#[derive(Default)]
pub(super) struct Text {
    escape: Escape,
    /// The first half of a surrogate pair; the second must follow at once.
    high: Option<u16>,
    /// The beginning of a character that the last chunk cut.
    cut: Vec<u8>,
    capturing: bool,
    too_long: bool,
    captured: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Escape {
    #[default]
    None,
    Backslash,
    /// Within `\uXXXX`.
    Unicode {
        digits: u8,
        value: u16,
    },
}

impl Text {
    /// A new string begins.
    #[inline]
    pub fn start(&mut self, capture: bool) {
        self.capturing = false;
        if capture {
            self.capture();
        }
    }

    /// Keeps the text that follows.
    pub fn capture(&mut self) {
        self.capturing = true;
        self.too_long = false;
        self.captured.clear();
    }

    /// What was captured, empty if it was too long.
    pub fn captured(&self) -> &[u8] {
        if self.too_long { &[] } else { &self.captured }
    }

    /// Reads on; returns how many bytes, and whether the closing quote was among them.
    ///
    /// # Errors
    /// This is no valid JSON string.
    #[inline]
    pub fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let between = matches!(self.escape, Escape::None);
        if between && self.cut.is_empty() && self.high.is_none() {
            // Most strings are short and plain.
            if let Some(plain) = short(bytes).and_then(|length| bytes.get(..length)) {
                self.keep(plain);
                return Ok((plain.len() + 1, true));
            }
        }
        self.read_closely(bytes)
    }

    fn read_closely(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            match self.escape {
                Escape::Backslash => {
                    self.escaped(byte)?;
                    rest = behind;
                }
                Escape::Unicode { digits, value } => {
                    self.hex(digits, value, byte)?;
                    rest = behind;
                }
                Escape::None => {
                    let hit = memchr2(b'"', b'\\', rest);
                    let (plain, from_hit) = rest.split_at(hit.unwrap_or(rest.len()));
                    self.plain(plain, hit.is_some())?;
                    let Some((&stop, behind)) = from_hit.split_first() else {
                        return Ok((bytes.len(), false));
                    };
                    rest = behind;
                    if stop == b'\\' {
                        self.escape = Escape::Backslash;
                    } else if self.high.is_some() {
                        return Err(LONE_SURROGATE);
                    } else {
                        return Ok((bytes.len() - rest.len(), true));
                    }
                }
            }
        }
        Ok((bytes.len(), false))
    }

    /// Text without quote and backslash; `complete` if one of the two follows.
    fn plain(&mut self, plain: &[u8], complete: bool) -> Result<(), Fault> {
        self.keep(plain);
        let printable_ascii = plain
            .iter()
            .fold(true, |all, byte| all & (0x20..0x80).contains(byte));
        if printable_ascii && self.cut.is_empty() && self.high.is_none() {
            return Ok(());
        }
        self.plain_checked(plain, complete)
    }

    fn plain_checked(&mut self, mut plain: &[u8], complete: bool) -> Result<(), Fault> {
        if plain.iter().any(|byte| *byte < 0x20) {
            return Err(Fault("a string holds a control character"));
        }
        if self.high.is_some() && !plain.is_empty() {
            return Err(LONE_SURROGATE);
        }
        while !self.cut.is_empty() {
            let Some((&byte, behind)) = plain.split_first() else {
                return if complete { Err(NOT_UTF8) } else { Ok(()) };
            };
            self.cut.push(byte);
            plain = behind;
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(error) if error.error_len().is_some() => return Err(NOT_UTF8),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(plain) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() && !complete => {
                let valid = plain.get(error.valid_up_to()..).unwrap_or_default();
                self.cut.extend_from_slice(valid);
                Ok(())
            }
            Err(_) => Err(NOT_UTF8),
        }
    }

    fn escaped(&mut self, byte: u8) -> Result<(), Fault> {
        if byte == b'u' {
            self.escape = Escape::Unicode {
                digits: 0,
                value: 0,
            };
            return Ok(());
        }
        if self.high.is_some() {
            return Err(LONE_SURROGATE);
        }
        self.escape = Escape::None;
        let character = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => return Err(BAD_ESCAPE),
        };
        self.keep(&[character]);
        Ok(())
    }

    fn hex(&mut self, digits: u8, value: u16, byte: u8) -> Result<(), Fault> {
        let digit = char::from(byte).to_digit(16).ok_or(BAD_ESCAPE)?;
        let value = value << 4 | u16::try_from(digit).map_err(|_| BAD_ESCAPE)?;
        if digits < 3 {
            let digits = digits + 1;
            self.escape = Escape::Unicode { digits, value };
            return Ok(());
        }
        self.escape = Escape::None;
        let unit = u32::from(value);
        let character = match self.high.take() {
            Some(high) => char::decode_utf16([high, value])
                .next()
                .and_then(Result::ok),
            None if (0xd800..0xdc00).contains(&unit) => {
                self.high = Some(value);
                return Ok(());
            }
            None => char::from_u32(unit),
        };
        let character = character.ok_or(LONE_SURROGATE)?;
        self.keep(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// Captures the text, if that is on.
    #[inline]
    pub fn keep(&mut self, bytes: &[u8]) {
        if !self.capturing {
            return;
        }
        if self.captured.len() + bytes.len() > MAX_CAPTURED {
            self.too_long = true;
        } else {
            self.captured.extend_from_slice(bytes);
        }
    }
}

/// How long the string is, from behind its opening quote, if it is short and plain.
#[inline]
pub(super) fn short(bytes: &[u8]) -> Option<usize> {
    let length = printable(bytes);
    (bytes.get(length) == Some(&b'"')).then_some(length)
}

/// How many bytes at the beginning are printable ASCII, neither quote nor backslash. It looks
/// at 64 bytes at most, eight at a time.
#[inline]
fn printable(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let (words, tail) = bytes.get(..64).unwrap_or(bytes).as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of the lowest byte below the one that is subtracted, and maybe of others
        // above it.
        let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
        // With this bit turned, a quote is next to the control characters.
        let quote_or_control = below(word ^ (ONES * 2), b'!');
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let others = (quote_or_control | backslash | word) & HIGH;
        if others != 0 {
            return number * 8 + (others.trailing_zeros() / 8) as usize;
        }
    }
    let plain = |byte: &&u8| matches!(**byte, b' '..=b'~') && !matches!(**byte, b'"' | b'\\');
    words.len() * 8 + tail.iter().take_while(plain).count()
}

const NOT_UTF8: Fault = Fault("a string is not UTF-8");
const BAD_ESCAPE: Fault = Fault("a string holds an unknown escape");
const LONE_SURROGATE: Fault = Fault("a string holds half of a surrogate pair");
