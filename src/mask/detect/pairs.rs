//! Part of ⑦ mask: the value beside a name, within a text of any form.
//!
//! `name=value`, `name: value`, `"name":"value"` in any depth of quoting, `--name value`,
//! `<name>value<`, and names and values that stand one behind the other, as in the
//! environment of a container: `name: X`, `value: Y`.

use std::ops::Range;

use super::names::Telling;
use super::plain;

/// A value beside a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub range: Range<usize>,
    /// It stands without quotes.
    pub bare: bool,
}

/// Longer values are cut: what is longer is no password.
const MAX_VALUE: usize = 8 << 10;

/// So much may stand between a name and the `value` that belongs to it.
const MAX_GAP: usize = 64;

/// Words before a token that say of what kind it is.
const SCHEMES: [&str; 7] = [
    "basic",
    "bearer",
    "token",
    "apikey",
    "digest",
    "negotiate",
    "bot",
];

/// The value that belongs to the name.
pub(super) fn value(text: &[u8], name: Range<usize>, telling: Telling) -> Option<Value> {
    // `scheme://name:…` is an address.
    if text
        .get(..name.start)
        .is_some_and(|before| before.ends_with(b"://"))
    {
        return None;
    }
    let start = Reader { text, at: name.end };
    let mut reader = start;
    let quoted = reader.quote().is_some();
    reader.blanks();
    let tight = reader.at == name.end;
    match reader.peek()? {
        b':' | b'=' => {}
        b'>' if text
            .get(..name.start)
            .is_some_and(|before| before.ends_with(b"<")) =>
        {
            return element(text, name.end + 1);
        }
        _ if !tight && !quoted && text.get(name.clone())?.starts_with(b"--") => {
            return reader.value(Line::Word);
        }
        // `["--token", "…"]`
        b',' if quoted && text.get(name.clone())?.starts_with(b"--") => {
            reader.at += 1;
            reader.blanks();
            let (quote, backslashes) = reader.quote()?;
            let range = reader.at..reader.closing(quote, backslashes);
            return (!range.is_empty()).then_some(Value { range, bare: false });
        }
        _ => return linked(start),
    }
    let colon = reader.peek() == Some(b':');
    reader.skip(|byte| matches!(byte, b':' | b'=' | b'>'));
    let spaced = matches!(reader.peek(), Some(b' ' | b'\t'));
    let line = begins_line(text, &name) && colon && spaced && telling == Telling::Password;
    reader.value(if line { Line::Whole } else { Line::Word })
}

/// The next value of the same name, behind one that ends at `end`: a diff shows both.
pub(super) fn next(text: &[u8], end: usize) -> Option<Value> {
    linked(Reader { text, at: end })
}

/// How far a value without quotes goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Word,
    Whole,
}

/// `<name>value</name>`
fn element(text: &[u8], start: usize) -> Option<Value> {
    let behind = text.get(start..)?;
    let length = behind
        .iter()
        .take(MAX_VALUE)
        .position(|byte| *byte == b'<')?;
    let range = plain::trimmed(text, start..start + length);
    (!range.is_empty()).then_some(Value { range, bare: false })
}

/// The value of a member `value` that follows the name's own string or line.
fn linked(mut reader: Reader<'_>) -> Option<Value> {
    let begin = reader.at;
    loop {
        let at = reader.at;
        reader.quote();
        // The signs are those of a diff.
        reader.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b'-' | b'+'));
        if matches!(reader.rest(), [b'\\', b'n' | b't' | b'r', ..]) {
            reader.at += 2;
        }
        if reader.at == at || reader.at - begin > MAX_GAP {
            break;
        }
    }
    let word = reader.rest().get(..5)?;
    if !word.eq_ignore_ascii_case(b"value") || reader.at == begin {
        return None;
    }
    reader.at += 5;
    reader.quote();
    reader.blanks();
    (reader.peek() == Some(b':')).then_some(())?;
    reader.at += 1;
    reader.value(Line::Whole)
}

/// Whether nothing but white space, `-` and a quote stands before the name on its line.
fn begins_line(text: &[u8], name: &Range<usize>) -> bool {
    let before = text.get(..name.start).unwrap_or_default();
    let before = before.iter().rev().find(|byte| !b" \t-\"'".contains(byte));
    before.is_none_or(|byte| *byte == b'\n' || *byte == b'\r')
}

#[derive(Clone, Copy)]
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn skip(&mut self, is: impl Fn(u8) -> bool) {
        self.at += self.rest().iter().take_while(|byte| is(**byte)).count();
    }

    fn blanks(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Steps over a quote and the backslashes before it; returns it and how many they are.
    fn quote(&mut self) -> Option<(u8, usize)> {
        let backslashes = self
            .rest()
            .iter()
            .take_while(|byte| **byte == b'\\')
            .count();
        let quote = self.rest().get(backslashes).copied();
        let quote = quote.filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
        self.at += backslashes + 1;
        Some((quote, backslashes))
    }

    /// The value that begins here, behind blanks.
    fn value(&mut self, line: Line) -> Option<Value> {
        self.blanks();
        if self.peek() == Some(b'[') {
            self.at += 1;
            self.blanks();
        }
        if let Some((quote, backslashes)) = self.quote() {
            let range = self.at..self.closing(quote, backslashes);
            let range = self.behind_scheme(range);
            return (!range.is_empty()).then_some(Value { range, bare: false });
        }
        if matches!(self.peek(), Some(b'|' | b'>')) {
            return self.block();
        }
        let word = self.word();
        if is_scheme(self.text.get(word.clone()).unwrap_or_default()) {
            self.at = word.end;
            self.blanks();
        }
        let range = match line {
            Line::Word => self.word(),
            Line::Whole => self.line(),
        };
        (!range.is_empty()).then_some(Value { range, bare: true })
    }

    /// Where a quoted value ends. A quote within it has more backslashes than those outside.
    fn closing(&self, quote: u8, backslashes: usize) -> usize {
        let mut run: usize = 0;
        for (place, byte) in self.rest().iter().take(MAX_VALUE).enumerate() {
            if *byte == b'\\' {
                run += 1;
                continue;
            }
            let more = run.checked_sub(backslashes);
            let outside = more.is_some_and(|more| more.is_multiple_of(2 * (backslashes + 1)));
            if *byte == quote && outside {
                return self.at + place - backslashes;
            }
            run = 0;
        }
        // It is not closed: whatever it is, it is on this line.
        self.line().end
    }

    /// A value without quotes and white space.
    fn word(&self) -> Range<usize> {
        let rest = self.rest();
        let mut end = 0;
        while let Some(byte) = rest.get(end).filter(|_| end < MAX_VALUE) {
            let behind = rest.get(end + 1..).unwrap_or_default();
            let stops = match byte {
                b'"' | b'\'' | b'`' | b'<' => true,
                b'\\' => matches!(
                    behind.first(),
                    Some(b'n' | b'r' | b't' | b'"' | b'u' | b'\'')
                ),
                b',' | b';' | b'&' | b'|' => separates(behind),
                byte => *byte <= b' ',
            };
            if stops {
                break;
            }
            end += 1;
        }
        let word = rest.get(..end).unwrap_or_default();
        self.at..self.at + without_tail(word).len()
    }

    /// The rest of the line, without a comment.
    fn line(&self) -> Range<usize> {
        let rest = self.rest();
        let ends = |(place, byte): (usize, &u8)| {
            let behind = rest.get(place + 1);
            *byte == b'\n'
                || *byte == b'\r'
                || (*byte == b'\\' && matches!(behind, Some(b'n' | b'r' | b'"')))
                || (matches!(byte, b',' | b';')
                    && separates(rest.get(place + 1..).unwrap_or_default()))
                || (*byte == b' ' && behind == Some(&b'#'))
        };
        let end = rest.iter().take(MAX_VALUE).enumerate().position(ends);
        let end = end.unwrap_or(rest.len().min(MAX_VALUE));
        plain::trimmed(self.text, self.at..self.at + end)
    }

    /// A block of YAML: the first line behind `|` or `>`.
    fn block(&mut self) -> Option<Value> {
        self.skip(|byte| matches!(byte, b'|' | b'>' | b'+' | b'-' | b'0'..=b'9' | b' ' | b'\r'));
        match self.rest() {
            [b'\n', ..] => self.at += 1,
            [b'\\', b'n', ..] => self.at += 2,
            _ => return None,
        }
        self.blanks();
        let range = self.line();
        (!range.is_empty()).then_some(Value { range, bare: false })
    }

    /// The token behind `Bearer ` and the like.
    fn behind_scheme(&self, range: Range<usize>) -> Range<usize> {
        let value = self.text.get(range.clone()).unwrap_or_default();
        let Some(word) = value.iter().position(|byte| *byte == b' ') else {
            return range;
        };
        if !is_scheme(value.get(..word).unwrap_or_default()) {
            return range;
        }
        plain::trimmed(self.text, range.start + word..range.end)
    }
}

fn is_scheme(word: &[u8]) -> bool {
    let mut schemes = SCHEMES.iter();
    schemes.any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
}

/// Without what belongs to the text around a value: `, ; ) ] }`, if nothing opens them.
fn without_tail(mut word: &[u8]) -> &[u8] {
    while let Some((last, before)) = word.split_last() {
        let opens = match last {
            b')' => b'(',
            b']' => b'[',
            b'}' => b'{',
            b',' | b';' => 0,
            _ => break,
        };
        if before.contains(&opens) {
            break;
        }
        word = before;
    }
    word
}

/// Whether a `,` or `;` before this ends a value: the next name follows, or nothing.
fn separates(behind: &[u8]) -> bool {
    let behind = behind.trim_ascii_start();
    let name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-. \"'\\".contains(*byte);
    let length = behind.iter().take(MAX_GAP).take_while(name).count();
    behind.is_empty() || (length > 0 && matches!(behind.get(length), Some(b'=' | b':')))
}
