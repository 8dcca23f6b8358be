//! Part of ⑦ mask: finds long runs of digits, of capitals and of base64 in any bytes.
//!
//! Card numbers and the like have no fixed letters to look for. But each is a run of at
//! least so many bytes of one class, so that it is enough to look at two bytes of every
//! eight. Base64 is told from names and digests by what it decodes to: every letter of a
//! text leaves its mark in each of four places.

use std::ops::Range;

use super::{nested, numbers};

/// What a run is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, with spaces and dashes between: card and social security numbers.
    Digits,
    /// Capitals and digits, with spaces between: IBANs.
    Capitals,
    /// What base64 is written in, but for the `=` at its end.
    Base64,
}

/// Kinds of runs that are looked for: all that their bytes have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub fn add(&mut self, kind: Kind) {
        self.0 |= kind.mark();
    }
}

/// The bytes are looked at in chunks: the first half of each, and only if all of it is of one
/// class what stands before and behind. Whatever is looked for is eleven bytes long and
/// more, so that such a half, and another to one of its sides, are a part of it.
const CHUNK: usize = 8;
const HALF: usize = CHUNK / 2;
/// What is shorter holds nothing.
const SHORTEST: usize = 11;

const DIGITS: u8 = 0x10;
const CAPITALS: u8 = 0x20;
const BASE64: u8 = 0x40;
/// Base64 of a text, by which of four characters is the first of its group.
const TEXT: u8 = 0x0f;

/// The classes of a byte, with the bits of `TEXT` for the places of a group.
const CLASSES: [[u8; 256]; 4] = [classes(0), classes(1), classes(2), classes(3)];

/// Runs that may hold something, each with a byte within it; these bytes ascend.
pub(super) struct Runs<'t> {
    bytes: &'t [u8],
    /// The chunk at hand.
    at: usize,
    /// The classes of the runs that are still to be looked at there.
    pending: u8,
    /// Up to where the runs of each kind were found.
    seen: [usize; 3],
    /// The classes that are looked for.
    wanted: u8,
}

impl<'t> Runs<'t> {
    #[inline]
    pub fn new(bytes: &'t [u8], kinds: Kinds) -> Self {
        let Kinds(wanted) = kinds;
        let none = wanted == 0 || bytes.len() < SHORTEST;
        let mut runs = Self {
            bytes,
            at: if none { bytes.len() } else { 0 },
            pending: 0,
            seen: [0; 3],
            wanted,
        };
        if !none {
            runs.advance();
        }
        runs
    }

    /// Goes to the first chunk, from the one at hand on, around which runs may be.
    fn advance(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (chunks, tail) = rest.as_chunks::<CHUNK>();
        for (number, chunk) in chunks.iter().enumerate() {
            let [a, b, c, d, ..] = *chunk;
            let runs = class(0, a) & class(1, b) & class(2, c) & class(3, d) & self.wanted;
            if runs != 0 {
                let at = self.at + number * CHUNK;
                self.pending = self.closer(at, runs);
                if self.pending != 0 {
                    self.at = at;
                    return;
                }
            }
        }
        self.at += chunks.len() * CHUNK;
        let all = |all, (place, byte): (usize, &u8)| all & class(place, *byte);
        let half = tail.get(..HALF).unwrap_or_default();
        let runs = half.iter().enumerate().fold(self.wanted, all);
        self.pending = if half.is_empty() {
            0
        } else {
            self.closer(self.at, runs)
        };
    }

    /// The classes of `runs` that go on to one side of the half of a chunk.
    #[inline]
    fn closer(&self, at: usize, runs: u8) -> u8 {
        let half = |from: usize| {
            let bytes = self.bytes.get(from..from + HALF).unwrap_or(b"\"");
            let places = bytes.iter().enumerate();
            places.fold(runs, |all, (place, byte)| all & class(place, *byte))
        };
        half(at + HALF) | at.checked_sub(HALF).map_or(0, half)
    }

    /// The run of a class around `at`, if it was not seen yet and may hold something.
    fn run(&mut self, kind: Kind, at: usize) -> Option<Range<usize>> {
        let shortest = match kind {
            Kind::Digits => numbers::SHORTEST_DIGITS,
            Kind::Capitals => numbers::SHORTEST_IBAN,
            Kind::Base64 => nested::SHORTEST,
        };
        let seen = self
            .seen
            .get_mut(kind as usize)
            .filter(|seen| **seen <= at)?;
        let run = around(self.bytes, *seen, at, kind.class());
        *seen = run.end;
        let promising = run.len() >= shortest
            && match kind {
                Kind::Digits => numbers::may_be_in(self.bytes, &run),
                Kind::Capitals => !numbers::Number::Iban.find(self.bytes, &run).is_empty(),
                Kind::Base64 => nested::is_promising(self.bytes, &run),
            };
        promising.then_some(run)
    }
}

impl Iterator for Runs<'_> {
    type Item = (usize, Kind, Range<usize>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.at >= self.bytes.len() {
                return None;
            }
            for kind in [Kind::Digits, Kind::Capitals, Kind::Base64] {
                if self.pending & kind.mark() == 0 {
                    continue;
                }
                self.pending &= !kind.mark();
                if let Some(run) = self.run(kind, self.at) {
                    return Some((self.at, kind, run));
                }
            }
            self.at += CHUNK;
            self.advance();
        }
    }
}

impl Kind {
    const fn class(self) -> u8 {
        match self {
            Self::Digits => DIGITS,
            Self::Capitals => CAPITALS,
            Self::Base64 => BASE64,
        }
    }

    /// What all bytes of a part of a run have in common.
    const fn mark(self) -> u8 {
        match self {
            Self::Base64 => TEXT,
            Self::Digits | Self::Capitals => self.class(),
        }
    }
}

/// The run of base64 that begins at `at`.
pub(super) fn base64_from(bytes: &[u8], at: usize) -> Range<usize> {
    around(bytes, at, at, BASE64)
}

/// The run of base64 around `at`.
pub(super) fn base64_around(bytes: &[u8], at: usize) -> Range<usize> {
    around(bytes, 0, at, BASE64)
}

fn around(bytes: &[u8], from: usize, at: usize, wanted: u8) -> Range<usize> {
    let is_in = |byte: &&u8| class(0, **byte) & wanted != 0;
    let before = bytes.get(from..at).unwrap_or_default();
    let behind = bytes.get(at..).unwrap_or_default();
    let start = at - before.iter().rev().take_while(is_in).count();
    start..at + behind.iter().take_while(is_in).count()
}

#[inline]
fn class(place: usize, byte: u8) -> u8 {
    let classes = CLASSES.get(place).unwrap_or(&CLASSES[0]);
    classes.get(usize::from(byte)).copied().unwrap_or(0)
}

#[expect(clippy::indexing_slicing, reason = "a constant, made by the compiler")]
const fn classes(place: u32) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        let mut class = 0;
        if byte.is_ascii_digit() || byte == b' ' || byte == b'-' {
            class |= DIGITS;
        }
        if byte.is_ascii_digit() || byte.is_ascii_uppercase() || byte == b' ' {
            class |= CAPITALS;
        }
        if let Some(value) = sextet(byte) {
            class |= BASE64 | marks(value, place);
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

const fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// In which of its places in a group of four a character may stand if the three bytes are
/// of a text, which are `0x20` to `0x7e`, tabs and ends of lines: bit n is set if it may be
/// the n-th of its group, counted so that the bits of a chunk's places can be joined.
const fn marks(value: u8, place: u32) -> u8 {
    let first = matches!(value, 2 | 3 | 8..=31);
    let second = matches!(value & 0x0f, 0 | 2..=7);
    let third = matches!(value & 3, 0 | 1);
    let marks = first as u8 | (second as u8) << 1 | (third as u8) << 2 | 1 << 3;
    (marks >> place | marks << (4 - place)) & TEXT
}
