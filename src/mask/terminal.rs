//! Part of ⑦ mask: what is read out of the bytes of a text that is made of lines.
//!
//! Of a log that is the bytes. A process may write for a terminal: colours and cursor moves
//! stand in the middle of words, and a value with one inside is as readable as any. So its
//! text is read three ways: without these sequences, since a colour parts no word; with a
//! blank for each, since a move does; and as it is. What any of them shows is found. This part
//! keeps nothing, and never changes what goes out.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use memchr::{memchr, memchr2, memrchr, memrchr2};

use super::detect::{Detectors, Found};

/// A sequence is at most so long; what looks like the beginning of a longer one is text.
const LONGEST: usize = 1024;

const BELL: u8 = 0x07;
const ESCAPE: u8 = 0x1b;

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It is kept in a log: each line ends with `\n`.
    Log,
    /// A process: `\r` ends a line, too, and what a terminal obeys stands anywhere.
    Process,
}

impl Source {
    /// How many bytes of a text are whole lines.
    pub fn whole(self, text: &[u8]) -> usize {
        let last = match self {
            Self::Log => memrchr(b'\n', text),
            Self::Process => memrchr2(b'\n', b'\r', text),
        };
        last.map_or(0, |last| last + 1)
    }

    /// Where the first line ends; none if it may go on.
    pub fn line(self, text: &[u8]) -> Option<usize> {
        let end = match self {
            Self::Log => return memchr(b'\n', text).map(|end| end + 1),
            Self::Process => memchr2(b'\n', b'\r', text)?,
        };
        let returns = text.iter().skip(end).take_while(|byte| **byte == b'\r');
        let end = end + returns.count();
        let next = *text.get(end)?;
        Some(end + usize::from(next == b'\n'))
    }

    /// Whether the bytes are all there is to read.
    pub fn is_plain(self, text: &[u8]) -> bool {
        let controls = |any, byte: &u8| any | is_control(*byte);
        self == Self::Log || !text.iter().fold(false, controls)
    }

    /// A text as it is read by whoever does not mind colours.
    pub fn seen(self, text: &[u8]) -> Seen<'_> {
        match self.is_plain(text) {
            true => Seen::all(text),
            false => Seen::joined(text),
        }
    }

    /// All that detectors find in a text, ascending and not overlapping.
    pub fn scan(self, detectors: &Detectors, text: &[u8]) -> Vec<Found> {
        if self.is_plain(text) {
            return detectors.scan(text, None);
        }
        let mut found = detectors.scan(text, None);
        for seen in Seen::ways(text) {
            let more = detectors.scan(&seen.text, None).into_iter();
            found.extend(more.map(|found| seen.there(found)));
        }
        Found::joined(found)
    }

    /// Where something is masked, for the record.
    pub fn path(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Process => "output",
        }
    }
}

/// A text as it is read, and where each of its bytes stands.
pub(super) struct Seen<'t> {
    pub text: Cow<'t, [u8]>,
    /// From a place in `text` on, where it stands: ascending.
    jumps: Vec<(usize, usize)>,
}

impl<'t> Seen<'t> {
    /// As it is.
    pub fn all(text: &'t [u8]) -> Self {
        Self {
            text: Cow::Borrowed(text),
            jumps: Vec::new(),
        }
    }

    /// Without what a terminal obeys.
    fn joined(text: &'t [u8]) -> Self {
        Self::without(text, true)
    }

    /// The ways to read a text that is not plain.
    pub fn ways(text: &'t [u8]) -> [Self; 2] {
        [Self::without(text, true), Self::without(text, false)]
    }

    /// `joined`: without sequences and what is written within them. Otherwise a blank stands
    /// for each, and what is written within one, an address maybe, is a text.
    fn without(text: &'t [u8], joined: bool) -> Self {
        let (mut seen, mut jumps, mut at) = (Vec::with_capacity(text.len()), Vec::new(), 0);
        for found in (Sequences {
            text,
            at,
            strings: joined,
        }) {
            seen.extend_from_slice(text.get(at..found.start).unwrap_or_default());
            at = found.end;
            // A zero byte is what parts variables and arguments.
            if !joined || text.get(found.start) == Some(&0) {
                seen.push(b' ');
            }
            jumps.push((seen.len(), at));
        }
        seen.extend_from_slice(text.get(at..).unwrap_or_default());
        Self {
            text: Cow::Owned(seen),
            jumps,
        }
    }

    /// Whether it is the bytes themselves.
    pub fn is_all(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }

    /// Where the byte at `at` stands.
    pub fn origin(&self, at: usize) -> usize {
        let behind = self.jumps.partition_point(|(seen, _)| *seen <= at);
        let jump = behind.checked_sub(1).and_then(|last| self.jumps.get(last));
        jump.map_or(at, |(seen, stands)| stands + at - seen)
    }

    /// Where a find stands, with the sequences in it.
    fn there(&self, found: Found) -> Found {
        Found {
            start: self.origin(found.start),
            end: self.origin(found.end.saturating_sub(1)) + 1,
            ..found
        }
    }
}

/// How much of a text stands before a sequence within which it ends.
pub(super) fn whole(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(plain) = rest.iter().position(|byte| is_control(*byte)) else {
            return text.len();
        };
        at += plain;
        match length(text.get(at..).unwrap_or_default(), true) {
            Some(length) => at += length,
            None => return at,
        }
    }
}

/// What a terminal obeys and does not show, one after the other. `strings`: what is written
/// within one, as the title of a window, belongs to it.
struct Sequences<'t> {
    text: &'t [u8],
    at: usize,
    strings: bool,
}

impl Iterator for Sequences<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| is_control(*byte))?;
        let rest = self.text.get(start..)?;
        // Of one that does not end only the beginning is none of the text.
        let length = length(rest, self.strings).unwrap_or(rest.len().min(2));
        self.at = start + length;
        Some(start..self.at)
    }
}

/// What is not written, but for white space.
fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=8 | 14..=31 | 127)
}

/// How long the sequence is that begins here (ECMA-48); none if the text ends within it.
fn length(rest: &[u8], strings: bool) -> Option<usize> {
    if rest.first() != Some(&ESCAPE) {
        return Some(1);
    }
    let near = rest.get(..LONGEST).unwrap_or(rest);
    let ended = |inside: RangeInclusive<u8>, from: usize, last: RangeInclusive<u8>| {
        let inside = near
            .iter()
            .skip(from)
            .take_while(|byte| inside.contains(byte));
        let end = from + inside.count();
        near.get(end)
            .map(|byte| end + usize::from(last.contains(byte)))
    };
    let length = match near.get(1) {
        None => None,
        Some(b'[') => ended(0x20..=0x3f, 2, 0x40..=0x7e),
        Some(b']' | b'P' | b'X' | b'^' | b'_') if strings => string(near),
        Some(0x20..=0x2f) => ended(0x20..=0x2f, 1, 0x30..=0x7e),
        Some(0x30..=0x7e) => Some(2),
        Some(_) => Some(1),
    };
    length.or((near.len() == LONGEST).then_some(2))
}

/// The same of one with a text in it, which another sequence ends, or a bell.
fn string(near: &[u8]) -> Option<usize> {
    let stops = |byte: &u8| matches!(*byte, BELL | ESCAPE | b'\n' | b'\r');
    let end = 2 + near.iter().skip(2).position(stops)?;
    match (near.get(end)?, near.get(end + 1)) {
        (&BELL, _) => Some(end + 1),
        (&ESCAPE, None) => None,
        (&ESCAPE, Some(b'\\')) => Some(end + 2),
        (&ESCAPE, Some(_)) => Some(end),
        // It is broken off.
        _ => Some(2),
    }
}
