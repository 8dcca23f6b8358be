//! Part of ⑦ mask: finds long runs of digits, of capitals and of base64 in any bytes.
//!
//! Card numbers and the like have no fixed letters to look for. But each is a run of at
//! least so many bytes of one class, so that it is enough to look at every fifth byte.

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

/// Every `STRIDE`-th byte is looked at. The shortest runs are a social security number
/// (11 bytes), an IBAN (15), and the base64 of 11 bytes (15 without its padding): of the
/// first two there are at least two such bytes, of the last three.
const STRIDE: usize = 5;

const DIGITS: u8 = 1;
const CAPITALS: u8 = 2;
const BASE64: u8 = 4;

const CLASS: [u8; 256] = classes();

/// Runs that may hold something, each with a byte within it; these bytes ascend.
pub(super) struct Runs<'t> {
    bytes: &'t [u8],
    /// The next byte to look at, a multiple of [`STRIDE`].
    at: usize,
    /// Classes that are still to be looked at there.
    pending: u8,
    /// Up to where the runs of each kind were found.
    seen: [usize; 3],
    /// The classes that are looked for.
    wanted: u8,
}

impl<'t> Runs<'t> {
    pub fn new(bytes: &'t [u8], kinds: &[Kind]) -> Self {
        let mut runs = Self {
            bytes,
            at: 0,
            pending: 0,
            seen: [0; 3],
            wanted: kinds.iter().fold(0, |wanted, kind| wanted | kind.class()),
        };
        runs.pending = runs.classes_at(0);
        runs
    }

    /// The classes of the runs that may be around `at`.
    #[inline]
    fn classes_at(&self, at: usize) -> u8 {
        let [first, second, third] =
            [at, at + STRIDE, at + 2 * STRIDE].map(|at| class(self.bytes, at));
        let both = first & second;
        (both & (DIGITS | CAPITALS) | both & third & BASE64) & self.wanted
    }

    /// The run of a class around `at`, if it was not seen yet and may hold something.
    fn run(&mut self, kind: Kind, at: usize) -> Option<Range<usize>> {
        let (index, shortest) = match kind {
            Kind::Digits => (0, numbers::SHORTEST_DIGITS),
            Kind::Capitals => (1, numbers::SHORTEST_IBAN),
            Kind::Base64 => (2, nested::SHORTEST),
        };
        let seen = self.seen.get_mut(index).filter(|seen| **seen <= at)?;
        let is_in = |byte: &&u8| {
            CLASS
                .get(usize::from(**byte))
                .is_some_and(|c| c & kind.class() != 0)
        };
        let before = self.bytes.get(*seen..at).unwrap_or_default();
        let behind = self.bytes.get(at..).unwrap_or_default();
        let start = at - before.iter().rev().take_while(is_in).count();
        let end = at + behind.iter().take_while(is_in).count();
        *seen = end;
        let run = start..end;
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

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while self.pending == 0 {
                self.at += STRIDE;
                if self.at >= self.bytes.len() {
                    return None;
                }
                self.pending = self.classes_at(self.at);
            }
            for kind in [Kind::Digits, Kind::Capitals, Kind::Base64] {
                if self.pending & kind.class() == 0 {
                    continue;
                }
                self.pending &= !kind.class();
                if let Some(run) = self.run(kind, self.at) {
                    return Some((self.at, kind, run));
                }
            }
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
}

/// No class behind the end.
#[inline]
fn class(bytes: &[u8], at: usize) -> u8 {
    let byte = bytes.get(at).copied().unwrap_or(b'"');
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

#[expect(clippy::indexing_slicing, reason = "a constant, made by the compiler")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let digit = byte >= b'0' as usize && byte <= b'9' as usize;
        let capital = byte >= b'A' as usize && byte <= b'Z' as usize;
        let small = byte >= b'a' as usize && byte <= b'z' as usize;
        let (space, dash) = (byte == b' ' as usize, byte == b'-' as usize);
        let mut class = 0;
        if digit || space || dash {
            class |= DIGITS;
        }
        if digit || capital || space {
            class |= CAPITALS;
        }
        if digit || capital || small || byte == b'+' as usize || byte == b'/' as usize {
            class |= BASE64;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}
