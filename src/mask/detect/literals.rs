//! Part of ⑦ mask: finds all literals of a selection of rules in one pass.
//!
//! Most strings of a document are short, so a search must cost nothing before its first byte:
//! several packed searches with SIMD cost more than the strings. Each literal is found by three
//! of its bytes that seldom stand beside each other, and three look-ups a byte tell where these
//! may be.

use std::ops::Range;
use std::slice;

use super::guards::Guard;
use super::names::{KEY, STEMS};
use super::nested;
use super::pack::{Finds, Rule};
use super::runs::{Kind, Kinds};

/// The literals of a selection of rules.
pub(super) struct Literals {
    /// Which literals may be found by three bytes if this is the first, second or last of
    /// them: one bit each.
    tables: [[u64; 256]; 3],
    /// The literals by that last byte.
    by_end: Vec<Vec<Literal>>,
    /// The runs that are looked for.
    pub kinds: Kinds,
}

#[derive(Clone, Copy)]
struct Literal {
    bytes: &'static [u8],
    /// So many of its bytes stand before the last one by which it is found.
    before: usize,
    meaning: Meaning,
}

/// What a literal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This rule may find something here, if the guard lets it.
    Rule(usize, Guard),
    /// A part of a telling name.
    Stem,
    /// The same, if there is a word before it.
    Key,
    /// The beginning of an escape of JSON.
    Escape,
    /// The beginning of gzip in base64.
    Gzip,
}

/// The beginnings of escapes that can hide a character that matters.
const ESCAPES: [&str; 2] = [r"\u", r"\/"];

/// What documents of Kubernetes are written in, the most frequent first.
const FREQUENT: &[u8] = b"\"etaonsirlcdpm:u-/.h,g{}fvbyk_0123";

impl Literals {
    pub fn new(rules: &[&'static Rule]) -> Self {
        let mut literals = ESCAPES.map(|escape| (escape, Meaning::Escape)).to_vec();
        let mut kinds = Kinds::default();
        let mut names = false;
        for (index, rule) in rules.iter().enumerate() {
            match &rule.finds {
                Finds::Regex { anchors, guard, .. } => {
                    let meaning = Meaning::Rule(index, *guard);
                    literals.extend(anchors.iter().map(|anchor| (&**anchor, meaning)));
                }
                Finds::Beside { .. } => names = true,
                Finds::Number(number) => kinds.add(number.kind()),
                Finds::TooMuch => {}
            }
        }
        if !rules.is_empty() {
            kinds.add(Kind::Base64);
            literals.push((nested::GZIP, Meaning::Gzip));
        }
        if names {
            literals.extend(STEMS.map(|stem| (stem, Meaning::Stem)));
            literals.push((KEY, Meaning::Key));
        }
        Self::found(&literals, kinds)
    }

    fn found(literals: &[(&'static str, Meaning)], kinds: Kinds) -> Self {
        let mut found = Self {
            tables: [[0; 256]; 3],
            by_end: vec![Vec::new(); 256],
            kinds,
        };
        let mut known: Vec<&[u8]> = Vec::new();
        for (literal, meaning) in literals {
            let bytes = literal.as_bytes();
            let end = triple(bytes);
            // Those with the same first byte share a bit, the shortest have one of their own;
            // with more than 64, some share it with any other.
            let begin = end.checked_sub(2).and_then(|at| bytes.get(at..=at));
            let begin = begin.unwrap_or(bytes);
            let number = known.iter().position(|known| *known == begin);
            let bit = 1 << (number.unwrap_or(known.len()) % 64);
            if number.is_none() {
                known.push(begin);
            }
            for (table, back) in found.tables.iter_mut().zip([2, 1, 0]) {
                let byte = end.checked_sub(back).and_then(|at| bytes.get(at));
                let fits = |at: usize| byte.is_none_or(|byte| usize::from(*byte) == at);
                let slots = table.iter_mut().enumerate();
                slots
                    .filter(|(at, _)| fits(*at))
                    .for_each(|(_, bits)| *bits |= bit);
            }
            let by_end = bytes
                .get(end)
                .and_then(|end| found.by_end.get_mut(usize::from(*end)));
            if let Some(by_end) = by_end {
                by_end.push(Literal {
                    bytes,
                    before: end,
                    meaning: *meaning,
                });
            }
        }
        found
    }

    /// The next place, from `at` on, where the bytes of a literal may end by which it is found.
    #[inline]
    pub fn find(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let [firsts, seconds, thirds] = &self.tables;
        let byte = |back: usize| at.checked_sub(back).and_then(|at| bytes.get(at)).copied();
        let before = byte(1).unwrap_or(0);
        let mut first = of(firsts, before);
        let mut both = of(firsts, byte(2).unwrap_or(0)) & of(seconds, before);
        for (offset, byte) in bytes.get(at..)?.iter().enumerate() {
            if both & of(thirds, *byte) != 0 {
                return Some(at + offset);
            }
            both = first & of(seconds, *byte);
            first = of(firsts, *byte);
        }
        None
    }
}

/// The place of the last of three bytes of a literal by which it is found: those that are most
/// seldom. Short literals are found by what there is of them.
fn triple(literal: &[u8]) -> usize {
    let rank = |byte: &u8| {
        let frequent = FREQUENT.iter().position(|frequent| frequent == byte);
        frequent.unwrap_or(FREQUENT.len())
    };
    let triples = literal.windows(3);
    let ranks = triples.map(|bytes| bytes.iter().map(rank).sum::<usize>());
    let best = ranks.zip(2..).max_by_key(|(rank, _)| *rank);
    best.map_or(literal.len().saturating_sub(1), |(_, end)| end)
}

#[inline]
fn of(table: &[u64; 256], byte: u8) -> u64 {
    table.get(usize::from(byte)).copied().unwrap_or(0)
}

/// How far the search is.
pub(super) struct Hits<'t> {
    literals: &'t Literals,
    bytes: &'t [u8],
    /// The last of the bytes by which something was found.
    at: usize,
    /// Where the search goes on.
    next: usize,
    /// What these bytes may be a part of.
    left: slice::Iter<'t, Literal>,
}

impl<'t> Hits<'t> {
    pub fn new(literals: &'t Literals, bytes: &'t [u8]) -> Self {
        Self {
            literals,
            bytes,
            at: 0,
            next: 0,
            left: [].iter(),
        }
    }
}

/// Literals, each with a place within it; these places ascend. Literals may overlap.
impl Iterator for Hits<'_> {
    type Item = (usize, Range<usize>, Meaning);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for literal in self.left.by_ref() {
                let Some(start) = self.at.checked_sub(literal.before) else {
                    continue;
                };
                let rest = self.bytes.get(start..).unwrap_or_default();
                if rest.starts_with(literal.bytes) {
                    let hit = start..start + literal.bytes.len();
                    return Some((self.at, hit, literal.meaning));
                }
            }
            self.at = self.literals.find(self.bytes, self.next)?;
            self.next = self.at + 1;
            let end = self.bytes.get(self.at)?;
            self.left = self.literals.by_end.get(usize::from(*end))?.iter();
        }
    }
}
