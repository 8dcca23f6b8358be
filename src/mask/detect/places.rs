//! Part of ⑦ mask: where in a text, or in a piece of raw JSON, a rule may find something.
//!
//! A few passes over the bytes, each at the speed of SIMD or nearly so: for literals, and
//! for runs. What they come upon is looked at a little closer.

use std::ops::Range;

use super::guards::{LONGEST_NAME, hides, is_followed, quotes_around};
use super::literals::{Hits, Literals, Meaning};
use super::names::{self, Telling};
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
    /// And up to here whole strings.
    asked: Vec<usize>,
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
            asked: literals.searches.iter().map(|_| 0).collect(),
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
                    self.name(source, name)
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
    fn name(&mut self, source: usize, name: Range<usize>) -> Option<Place> {
        let followed = is_followed(self.bytes, &name, self.json);
        let telling = followed.then(|| names::telling_in(self.bytes, &name));
        let telling = telling.flatten();
        let telling = telling.or_else(|| self.whole_name(source, &name))?;
        Some(Place::Name(telling, name))
    }

    /// The same if all of the JSON string around it is one name, though with other letters
    /// than names have (`api key`, `password (db)`).
    fn whole_name(&mut self, source: usize, part: &Range<usize>) -> Option<Telling> {
        let asked = self.asked.get_mut(source)?;
        if !self.json || part.start < *asked {
            return None;
        }
        let (first, last) = quotes_around(self.bytes, part);
        *asked = last.unwrap_or(part.end + LONGEST_NAME);
        let string = self.bytes.get(first?..=last?)?;
        if string.len() == part.len() + 2 {
            return None;
        }
        let name = serde_json::from_slice::<String>(string).ok()?;
        names::telling(name.as_bytes())
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
