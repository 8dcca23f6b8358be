//! Part of ⑦ mask: searches for all literals of a selection of rules, with SIMD.
//!
//! The searches that packed literals allow for are fast as long as there are few of them and
//! none is short; so literals are searched in groups, and those with a byte that is rare in
//! JSON by that byte.

use std::cmp::Reverse;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind, Span, packed};
use memchr::memchr3_iter;

use super::guards::Guard;
use super::names::STEMS;
use super::nested;
use super::pack::{Finds, Rule};
use super::runs::Kind;

/// The literals of a selection of rules.
pub(super) struct Literals {
    pub searches: Vec<Search>,
    /// The runs that are looked for.
    pub kinds: Vec<Kind>,
}

/// With more literals a search is much slower.
const MOST: usize = 32;

/// Bytes that are rare in JSON: a literal with one is found by it.
const RARE: [u8; 3] = [b'@', b'_', b'$'];

/// Finds literals, and tells what each means.
pub(super) struct Search {
    engine: Engine,
    meanings: Vec<Vec<Meaning>>,
}

enum Engine {
    Packed(packed::Searcher),
    /// Where there is no SIMD.
    Plain(AhoCorasick),
    Rare(Rare),
    /// There are no literals.
    Nothing,
}

/// Literals that are found by the first rare byte in each.
struct Rare {
    /// Each with the place of that byte in it.
    literals: Vec<(usize, Vec<u8>)>,
    /// Which of them there can be, by the rare byte and the one before it.
    by_bytes: Vec<Vec<usize>>,
}

/// Where a search goes on: at this byte, with this of the literals that there can be.
#[derive(Debug, Clone, Copy, Default)]
struct Next {
    at: usize,
    literal: usize,
}

/// What a literal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This rule may find something here, if the guard lets it.
    Rule(usize, Guard),
    /// A part of a telling name.
    Stem,
    /// The beginning of an escape of JSON.
    Escape,
    /// The beginning of gzip in base64.
    Gzip,
}

/// The beginnings of escapes that can hide a character that matters.
const ESCAPES: [&str; 2] = [r"\u", r"\/"];

impl Literals {
    pub fn new(rules: &[&'static Rule]) -> Self {
        let mut literals: Vec<(&[u8], Meaning)> = Vec::new();
        literals.extend(ESCAPES.map(|escape| (escape.as_bytes(), Meaning::Escape)));
        let mut kinds = Vec::new();
        let mut names = false;
        for (index, rule) in rules.iter().enumerate() {
            match &rule.finds {
                Finds::Regex { anchors, guard, .. } => {
                    let meaning = Meaning::Rule(index, *guard);
                    literals.extend(anchors.iter().map(|a| (a.as_bytes(), meaning)));
                }
                Finds::Beside { .. } => names = true,
                Finds::Number(number) => kinds.push(number.kind()),
                Finds::TooMuch => {}
            }
        }
        if !rules.is_empty() {
            kinds.push(Kind::Base64);
            literals.push((nested::GZIP.as_bytes(), Meaning::Gzip));
        }
        if names {
            literals.extend(STEMS.map(|stem| (stem.as_bytes(), Meaning::Stem)));
        }
        // The shortest literal sets the speed of a search.
        let group = |literal: &[u8]| match literal {
            rare if rare.iter().any(|byte| RARE.contains(byte)) => 0,
            other => other.len().min(4),
        };
        literals.sort_by_key(|(literal, _)| (group(literal), *literal));
        let groups = literals.chunk_by(|(one, _), (other, _)| group(one) == group(other));
        let groups = groups.flat_map(|literals| {
            let parts = if group(literals.first().map_or(&[], |(l, _)| l)) == 0 {
                1
            } else {
                literals.len().div_ceil(MOST)
            };
            literals.chunks(literals.len().div_ceil(parts))
        });
        Self {
            searches: groups.map(Search::new).collect(),
            kinds,
        }
    }
}

impl Search {
    /// Of literals that begin at the same byte the longest is found first, and means what those
    /// mean with which it begins.
    fn new(literals: &[(&[u8], Meaning)]) -> Self {
        let mut patterns: Vec<&[u8]> = literals.iter().map(|(literal, _)| *literal).collect();
        let before = |pattern: &[u8]| pattern.iter().position(|byte| RARE.contains(byte));
        patterns.sort_by_key(|pattern| Reverse((before(pattern), pattern.len(), *pattern)));
        patterns.dedup();
        let meanings = patterns.iter().map(|pattern| {
            let begins = literals
                .iter()
                .filter(|(literal, _)| pattern.starts_with(literal));
            begins.map(|(_, meaning)| *meaning).collect()
        });
        Self {
            meanings: meanings.collect(),
            engine: Engine::new(&patterns),
        }
    }

    /// The next literal: where it stands, its number, and where to go on.
    #[inline]
    fn find(&self, bytes: &[u8], next: Next) -> Option<(Range<usize>, usize, Next)> {
        let span = Span::from(next.at.min(bytes.len())..bytes.len());
        let hit = match &self.engine {
            Engine::Packed(searcher) => searcher.find_in(bytes, span)?,
            Engine::Plain(searcher) => searcher.find(aho_corasick::Input::new(bytes).span(span))?,
            Engine::Rare(rare) => return rare.find(bytes, next),
            Engine::Nothing => return None,
        };
        let next = Next {
            at: hit.start() + 1,
            literal: 0,
        };
        Some((hit.start()..hit.end(), hit.pattern().as_usize(), next))
    }
}

impl Engine {
    fn new(patterns: &[&[u8]]) -> Self {
        if patterns.is_empty() {
            return Self::Nothing;
        }
        if let Some(rare) = Rare::new(patterns) {
            return Self::Rare(rare);
        }
        let mut packed = packed::Config::new()
            .heuristic_pattern_limits(false)
            .builder();
        if let Some(searcher) = packed.extend(patterns).build() {
            return Self::Packed(searcher);
        }
        let mut plain = AhoCorasick::builder();
        let plain = plain.match_kind(MatchKind::LeftmostFirst).build(patterns);
        plain.map_or(Self::Nothing, Self::Plain)
    }
}

impl Rare {
    /// Nothing if there is a literal without a rare byte.
    fn new(patterns: &[&[u8]]) -> Option<Self> {
        let literals = patterns.iter().map(|pattern| {
            let place = pattern.iter().position(|byte| RARE.contains(byte))?;
            Some((place, pattern.to_vec()))
        });
        let literals = literals.collect::<Option<Vec<_>>>()?;
        let bytes = RARE
            .iter()
            .flat_map(|rare| (0..=u8::MAX).map(|before| [before, *rare]));
        let by_bytes = bytes.map(|bytes| {
            let numbers = literals.iter().enumerate();
            let fitting = numbers.filter(|(_, (place, literal))| match place.checked_sub(1) {
                Some(before) => literal.get(before..).is_some_and(|l| l.starts_with(&bytes)),
                None => literal.first() == bytes.last(),
            });
            fitting.map(|(number, _)| number).collect()
        });
        Some(Self {
            by_bytes: by_bytes.collect(),
            literals,
        })
    }

    /// The next literal. One rare byte may be that of several, as in `npm_key`: those that
    /// begin first come first.
    fn find(&self, bytes: &[u8], next: Next) -> Option<(Range<usize>, usize, Next)> {
        let [first, second, third] = RARE;
        for found in memchr3_iter(first, second, third, bytes.get(next.at..)?) {
            let at = next.at + found;
            let told = if found == 0 { next.literal } else { 0 };
            let numbers = self.at(bytes, at).iter().enumerate().skip(told);
            for (tried, number) in numbers {
                let (place, literal) = self.literals.get(*number)?;
                let start = at.saturating_sub(*place);
                if bytes.get(start..)?.starts_with(literal) {
                    let hit = start..start + literal.len();
                    let literal = tried + 1;
                    return Some((hit, *number, Next { at, literal }));
                }
            }
        }
        None
    }

    /// The literals that there can be around the rare byte at `at`.
    #[inline]
    fn at(&self, bytes: &[u8], at: usize) -> &[usize] {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at)).unwrap_or(&0);
        let rare = RARE.iter().position(|rare| bytes.get(at) == Some(rare));
        let slot = rare.unwrap_or(0) * 256 + usize::from(*before);
        self.by_bytes.get(slot).map_or(&[], Vec::as_slice)
    }
}

/// How far one search is.
pub(super) struct Hits<'t> {
    search: &'t Search,
    next: Next,
    hit: Range<usize>,
    pattern: usize,
    /// The next of the meanings of this hit.
    meaning: usize,
}

impl<'t> Hits<'t> {
    pub fn new(search: &'t Search) -> Self {
        Self {
            search,
            next: Next::default(),
            hit: 0..0,
            pattern: usize::MAX,
            meaning: 0,
        }
    }

    /// The next hit and one of its meanings. Hits may overlap.
    #[inline]
    pub fn next(&mut self, bytes: &[u8]) -> Option<(Range<usize>, Meaning)> {
        loop {
            let meanings = self.search.meanings.get(self.pattern);
            if let Some(meaning) = meanings.and_then(|meanings| meanings.get(self.meaning)) {
                self.meaning += 1;
                return Some((self.hit.clone(), *meaning));
            }
            (self.hit, self.pattern, self.next) = self.search.find(bytes, self.next)?;
            self.meaning = 0;
        }
    }
}
