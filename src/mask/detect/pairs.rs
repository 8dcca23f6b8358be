//! Part of ⑦ mask: the value beside a name, within a text of any form.
//!
//! `name=value`, `name: value`, `"name":"value"` in any depth of quoting, `--name value`,
//! `<name>value<`, and names and values that stand one behind the other, as in the
//! environment of a container: `name: X`, `value: Y`.

use std::cell::Cell;
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

/// So much may stand between a name and the `value` that belongs to it.
const MAX_GAP: usize = 64;

/// So many backslashes stand before a quote that is quoted five times.
const MAX_BACKSLASHES: usize = 31;

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

/// A text in which values are looked for. Where names stand within one another's values, these
/// end at the same place, which is remembered: it may be far.
pub(super) struct Pairs<'t> {
    text: &'t [u8],
    word: Cell<(usize, usize)>,
    line: Cell<(usize, usize)>,
}

impl<'t> Pairs<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            word: Cell::default(),
            line: Cell::default(),
        }
    }

    /// The value that belongs to the name.
    pub fn value(&self, name: &Range<usize>, telling: Telling) -> Option<Value> {
        value(self, name, telling)
    }

    /// The next value of the same name, behind one that ends at `end`: a diff shows both.
    pub fn next(&self, end: usize) -> Option<Value> {
        linked(self.reader(end))
    }

    fn reader(&self, at: usize) -> Reader<'_> {
        Reader {
            text: self.text,
            at,
            pairs: self,
        }
    }
}

fn value(pairs: &Pairs<'_>, name: &Range<usize>, telling: Telling) -> Option<Value> {
    let text = pairs.text;
    // `scheme://name:…` is an address.
    if text
        .get(..name.start)
        .is_some_and(|before| before.ends_with(b"://"))
    {
        return None;
    }
    let start = pairs.reader(name.end);
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
    // Tests pass, too.
    let word = text.get(name.clone()).unwrap_or_default();
    let passes = word == b"pass" && !begins_line(text, name) || word == b"PASS";
    if passes && (colon || !tight) && !quoted {
        return None;
    }
    reader.at += match reader.rest() {
        [b':', b'=', ..] | [b'=', b'=' | b'>', ..] => 2,
        _ => 1,
    };
    let spaced = matches!(reader.peek(), Some(b' ' | b'\t'));
    let password = telling == Telling::Password && begins_line(text, name);
    reader.value(match password {
        true if colon && spaced => Line::Whole,
        true if !colon => Line::Last,
        _ => Line::Word,
    })
}

/// How far a value without quotes goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// To the next white space, without what belongs to the text around it.
    Word,
    /// To the next white space.
    Last,
    /// To the end of the line.
    Whole,
}

/// `<name>value</name>`
fn element(text: &[u8], start: usize) -> Option<Value> {
    let behind = text.get(start..)?;
    let length = behind.iter().position(|byte| *byte == b'<')?;
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
    pairs: &'t Pairs<'t>,
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
            .take(MAX_BACKSLASHES)
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
            Line::Last => self.last(),
            Line::Whole => self.line(),
        };
        (!range.is_empty()).then_some(Value { range, bare: true })
    }

    /// Where a quoted value ends. A quote within it has more backslashes than those outside.
    fn closing(&self, quote: u8, backslashes: usize) -> usize {
        let mut run: usize = 0;
        for (place, byte) in self.rest().iter().enumerate() {
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
        let end = self.end(&self.pairs.word, |byte, behind| match byte {
            b'"' | b'\'' | b'`' | b'<' => true,
            b'\\' => matches!(
                behind.first(),
                Some(b'n' | b'r' | b't' | b'"' | b'u' | b'\'')
            ),
            b',' | b';' | b'&' | b'|' => separates(behind),
            byte => byte <= b' ',
        });
        let word = self.text.get(self.at..end).unwrap_or_default();
        self.at..self.at + without_tail(word).len()
    }

    /// Where something ends that stops at certain bytes, seen with what is behind them.
    fn end(&self, known: &Cell<(usize, usize)>, stops: impl Fn(u8, &[u8]) -> bool) -> usize {
        let (from, to) = known.get();
        if (from..to).contains(&self.at) {
            return to;
        }
        let rest = self.rest();
        let stop = rest
            .iter()
            .enumerate()
            .position(|(place, byte)| stops(*byte, rest.get(place + 1..).unwrap_or_default()));
        let end = self.at + stop.unwrap_or(rest.len());
        known.set((self.at, end));
        end
    }

    /// A word that is all that is left of its line: nothing of a text is behind it.
    fn last(&self) -> Range<usize> {
        let rest = self.rest();
        let length = rest
            .iter()
            .take_while(|byte| !byte.is_ascii_whitespace())
            .count();
        let word = rest.get(..length).unwrap_or_default();
        let plain = !word.iter().any(|byte| b"\"'`<\\&;".contains(byte));
        if plain && matches!(rest.get(length), None | Some(b'\n' | b'\r')) {
            self.at..self.at + length
        } else {
            self.word()
        }
    }

    /// The rest of the line, without a comment.
    fn line(&self) -> Range<usize> {
        let end = self.end(&self.pairs.line, |byte, behind| match byte {
            b'\n' | b'\r' => true,
            b'\\' => matches!(behind.first(), Some(b'n' | b'r' | b'"')),
            b' ' => behind.first() == Some(&b'#'),
            b',' | b';' => separates(behind),
            _ => false,
        });
        plain::trimmed(self.text, self.at..end)
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
    let blanks = behind.iter().take_while(|byte| b" \t".contains(byte));
    let behind = behind.get(blanks.count()..).unwrap_or_default();
    let name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-. \"'\\".contains(*byte);
    let length = behind.iter().take(MAX_GAP).take_while(name).count();
    behind.is_empty() || (length > 0 && matches!(behind.get(length), Some(b'=' | b':')))
}
