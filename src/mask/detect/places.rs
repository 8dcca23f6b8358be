//! Part of ⑦ mask: where in a text, or in a piece of raw JSON, a rule may find something.
//!
//! One pass with SIMD over the literals of the rules, one over three rare bytes, one over
//! every fifth byte for runs. A guard then looks a few bytes to either side. It may be too
//! generous and never too strict: what a rule would accept in an unescaped text, its guard
//! lets pass in the raw one, unless an escape lies within, and that is a place by itself.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind, Span, packed};
use memchr::memchr3_iter;

use super::names::{self, STEMS, Telling};
use super::nested;
use super::pack::{Finds, Rule};
use super::plain::begins_word;
use super::runs::{self, Kind, Runs};

/// What may stand somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// What this rule of the selection finds.
    Rule(usize),
    /// A telling name, with something behind it.
    Name(Telling, Range<usize>),
    /// A run that is long enough.
    Run(Kind, Range<usize>),
    /// An escape of JSON that could hide anything.
    Escape,
}

/// A cheap look beside an anchor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Guard {
    #[default]
    None,
    /// A word begins here.
    Word,
    /// `@` behind `://…:`.
    UserInfo,
    /// `@` before `tcp(` or `unix(`.
    Socket,
    /// `@` between a name and a domain.
    Mail,
    /// `+` before a digit.
    Digit,
}

/// The literals of a selection of rules.
pub(super) struct Literals {
    searches: Vec<Search>,
    /// The runs that are looked for.
    kinds: Vec<Kind>,
}

/// With more literals a search is much slower.
const MOST: usize = 32;

/// Bytes that are rare in JSON: a literal with one is found by it.
const RARE: [u8; 3] = [b'@', b'_', b'$'];

/// Finds literals, and tells what each means.
struct Search {
    engine: Engine,
    meanings: Vec<Vec<Meaning>>,
}

enum Engine {
    Packed(packed::Searcher),
    /// Where there is no SIMD.
    Plain(AhoCorasick),
    /// By the first rare byte in each, and how many stand before it.
    Rare(Vec<(u8, usize, Vec<u8>)>),
    /// There are no literals.
    Nothing,
}

/// What a literal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Rule(usize, Guard),
    Stem,
    Escape,
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
    /// The longest literal is found first, and means what those mean with which it begins.
    fn new(literals: &[(&[u8], Meaning)]) -> Self {
        let mut patterns: Vec<&[u8]> = literals.iter().map(|(literal, _)| *literal).collect();
        patterns.sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
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

    /// The next literal from `at` on: where it stands, its number, and where to go on.
    #[inline]
    fn find(&self, bytes: &[u8], at: usize) -> Option<(Range<usize>, usize, usize)> {
        let span = Span::from(at.min(bytes.len())..bytes.len());
        let hit = match &self.engine {
            Engine::Packed(searcher) => searcher.find_in(bytes, span)?,
            Engine::Plain(searcher) => searcher.find(aho_corasick::Input::new(bytes).span(span))?,
            Engine::Rare(literals) => return rare(literals, bytes, at),
            Engine::Nothing => return None,
        };
        Some((
            hit.start()..hit.end(),
            hit.pattern().as_usize(),
            hit.start() + 1,
        ))
    }
}

impl Engine {
    fn new(patterns: &[&[u8]]) -> Self {
        if patterns.is_empty() {
            return Self::Nothing;
        }
        let rare = patterns.iter().filter_map(|pattern| {
            let place = pattern.iter().position(|byte| RARE.contains(byte))?;
            Some((*pattern.get(place)?, place, pattern.to_vec()))
        });
        let rare: Vec<_> = rare.collect();
        if rare.len() == patterns.len() {
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

/// The next literal whose rare byte stands at `at` or behind.
fn rare(
    literals: &[(u8, usize, Vec<u8>)],
    bytes: &[u8],
    at: usize,
) -> Option<(Range<usize>, usize, usize)> {
    let [first, second, third] = RARE;
    for found in memchr3_iter(first, second, third, bytes.get(at..)?) {
        let found = at + found;
        let literals = literals.iter().enumerate();
        let mut hits = literals.filter_map(|(number, (byte, place, literal))| {
            let start = found.checked_sub(*place)?;
            let begins = bytes.get(start) == literal.first() && bytes.get(found) == Some(byte);
            let hit = begins && bytes.get(start..)?.starts_with(literal);
            hit.then_some((start..start + literal.len(), number, found + 1))
        });
        if let Some(hit) = hits.next() {
            return Some(hit);
        }
    }
    None
}

/// The places of a text, or of raw JSON, by ascending offsets.
pub(super) struct Places<'t> {
    bytes: &'t [u8],
    json: bool,
    hits: Vec<Hits<'t>>,
    runs: Runs<'t>,
    /// The next place of each search, and the next run.
    next: Vec<Option<(usize, Place)>>,
    /// Up to here names were looked at, by each search of its own.
    named: Vec<usize>,
}

impl<'t> Places<'t> {
    /// `json`: `bytes` is raw JSON, not the text of one string.
    pub fn new(literals: &'t Literals, bytes: &'t [u8], json: bool) -> Self {
        let mut places = Self {
            bytes,
            json,
            hits: literals.searches.iter().map(Hits::new).collect(),
            runs: Runs::new(bytes, &literals.kinds),
            next: literals
                .searches
                .iter()
                .map(|_| None)
                .chain([None])
                .collect(),
            named: literals.searches.iter().map(|_| 0).collect(),
        };
        for source in 0..places.next.len() {
            places.advance(source);
        }
        places
    }

    fn advance(&mut self, source: usize) {
        let next = if source < self.hits.len() {
            self.literal(source)
        } else {
            let run = self.runs.next();
            run.map(|(at, kind, run)| (at, Place::Run(kind, run)))
        };
        if let Some(slot) = self.next.get_mut(source) {
            *slot = next;
        }
    }

    fn literal(&mut self, source: usize) -> Option<(usize, Place)> {
        loop {
            let (hit, meaning) = self.hits.get_mut(source)?.next(self.bytes)?;
            let place = match meaning {
                Meaning::Rule(rule, guard) => {
                    guard.passes(self.bytes, &hit).then_some(Place::Rule(rule))
                }
                Meaning::Stem => {
                    let named = self.named.get_mut(source)?;
                    if hit.start < *named {
                        continue;
                    }
                    let name = names::around(self.bytes, &hit);
                    *named = name.end;
                    self.name(name)
                }
                Meaning::Gzip => begins_word(self.bytes, hit.start).then(|| {
                    let run = runs::base64_around(self.bytes, hit.start);
                    Place::Run(Kind::Base64, run)
                }),
                Meaning::Escape => {
                    let hides = self.json && hides(self.bytes.get(hit.start..)?);
                    hides.then_some(Place::Escape)
                }
            };
            if let Some(place) = place {
                return Some((hit.start, place));
            }
        }
    }

    /// A telling name, if a value may be beside it.
    fn name(&self, name: Range<usize>) -> Option<Place> {
        if !is_followed(self.bytes, &name, self.json) {
            return None;
        }
        let telling = names::telling_in(self.bytes, &name)?;
        Some(Place::Name(telling, name))
    }
}

impl Iterator for Places<'_> {
    type Item = (usize, Place);

    fn next(&mut self) -> Option<Self::Item> {
        let places = self.next.iter().enumerate();
        let places = places.filter_map(|(source, next)| Some((next.as_ref()?.0, source)));
        let (_, source) = places.min()?;
        let next = self.next.get_mut(source)?.take();
        self.advance(source);
        next
    }
}

/// How far one search is.
struct Hits<'t> {
    search: &'t Search,
    at: usize,
    hit: Range<usize>,
    pattern: usize,
    /// The next of the meanings of this hit.
    meaning: usize,
}

impl<'t> Hits<'t> {
    fn new(search: &'t Search) -> Self {
        Self {
            search,
            at: 0,
            hit: 0..0,
            pattern: usize::MAX,
            meaning: 0,
        }
    }

    /// The next hit and one of its meanings. Hits may overlap.
    #[inline]
    fn next(&mut self, bytes: &[u8]) -> Option<(Range<usize>, Meaning)> {
        loop {
            let meanings = self.search.meanings.get(self.pattern);
            if let Some(meaning) = meanings.and_then(|meanings| meanings.get(self.meaning)) {
                self.meaning += 1;
                return Some((self.hit.clone(), *meaning));
            }
            (self.hit, self.pattern, self.at) = self.search.find(bytes, self.at)?;
            self.meaning = 0;
        }
    }
}

impl Guard {
    /// Whether a rule may find something at this anchor.
    #[inline]
    fn passes(self, bytes: &[u8], anchor: &Range<usize>) -> bool {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        match self {
            Self::None => true,
            Self::Word => begins_word(bytes, anchor.start),
            Self::UserInfo => has_user_info(bytes.get(..anchor.start).unwrap_or_default()),
            Self::Socket => {
                let behind = bytes.get(anchor.end..).unwrap_or_default();
                behind.starts_with(b"tcp(") || behind.starts_with(b"unix(")
            }
            Self::Mail => {
                let before = anchor.start.checked_sub(1).map_or(0, byte);
                !b" \"'@,;:<>".contains(&before) && byte(anchor.end).is_ascii_alphanumeric()
            }
            Self::Digit => matches!(byte(anchor.end), b'1'..=b'9'),
        }
    }
}

/// Whether `://…:…` stands before the `@`. It looks back to the last `@` at most, so all
/// looks together are one pass; at that one, the rule has been told already.
fn has_user_info(before: &[u8]) -> bool {
    let mut colon = false;
    for (at, byte) in before.iter().enumerate().rev() {
        match byte {
            b':' => colon = true,
            b'/' => return colon && before.get(..at).is_some_and(|b| b.ends_with(b":/")),
            b'@' | b'"' | b'\'' | b' ' | b'\t' | b'\n' | b'\r' => return false,
            _ => {}
        }
    }
    false
}

/// Whether an escape can hide something. The API server escapes `<`, `>` and `&` in any
/// text; they are part of nothing that is looked for, and only `&` could pass its digits
/// off as those of a run.
fn hides(escape: &[u8]) -> bool {
    let behind = escape.get(6).copied().unwrap_or(b'0');
    match escape.get(..6) {
        Some(br"\u003c" | br"\u003e") => false,
        Some(br"\u0026") => behind.is_ascii_digit() || behind.is_ascii_uppercase(),
        _ => true,
    }
}

/// Whether a value may be beside the name, or the name be all of its string.
fn is_followed(bytes: &[u8], name: &Range<usize>, json: bool) -> bool {
    let rest = bytes.get(name.end..).unwrap_or_default();
    let blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
    let behind_blanks = |rest: &[u8]| {
        let blanks = rest.iter().take_while(blank).count();
        rest.get(blanks).copied()
    };
    match rest.first() {
        None | Some(b'\\' | b':' | b'=' | b',' | b'>' | b'\n' | b'\r' | b'\'' | b'`') => true,
        Some(b'"') if json => {
            // A member, with a string, a number or a list of these, or a string that is a name.
            let behind = rest.get(1..).unwrap_or_default().trim_ascii_start();
            let value = behind.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
            value.is_none_or(|value| {
                let value = value
                    .strip_prefix(b"[")
                    .map_or(value, <[u8]>::trim_ascii_start);
                let first = value.first();
                first.is_none_or(|first| b"\"-0123456789".contains(first))
            })
        }
        Some(b'"') => true,
        Some(b' ' | b'\t') => {
            let option = bytes
                .get(name.clone())
                .is_some_and(|name| name.starts_with(b"--"));
            let next = behind_blanks(rest);
            option || next.is_none_or(|next| b":=,\\".contains(&next))
        }
        _ => false,
    }
}
