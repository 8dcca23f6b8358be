//! Part of ⑦ mask: where in a text, or in a JSON string as it came, a rule may find something.
//!
//! Two passes over the bytes, one for literals and one for runs. What they come upon is looked
//! at a little closer.

use std::ops::Range;

use super::guards::{hides, is_followed};
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

/// Strings that are longer are no names, however they are escaped.
const LONGEST_NAME: usize = 1280;

/// The places of a text, each with an offset within it; these ascend.
pub(super) struct Places<'t> {
    literals: Literal<'t>,
    runs: Runs<'t>,
    next_literal: Option<(usize, Place)>,
    next_run: Option<(usize, Place)>,
}

impl<'t> Places<'t> {
    pub fn new(literals: &'t Literals, bytes: &'t [u8]) -> Self {
        let mut places = Self {
            literals: Literal::new(literals, bytes, false),
            runs: Runs::new(bytes, literals.kinds),
            next_literal: None,
            next_run: None,
        };
        places.next_literal = places.literals.next();
        places.next_run = places.runs.next().map(Place::run);
        places
    }

    /// Whether there is surely none in some JSON.
    #[inline]
    pub fn none_in(literals: &'t Literals, json: &'t [u8]) -> bool {
        literals.find(json, 0).is_none() && Runs::new(json, literals.kinds).next().is_none()
    }

    /// Whether there is any in a JSON string as it came, quotes included.
    #[inline]
    pub fn any_in_json(literals: &'t Literals, string: &'t [u8]) -> bool {
        Literal::new(literals, string, true).next().is_some()
            || Runs::new(string, literals.kinds).next().is_some()
    }
}

impl Iterator for Places<'_> {
    type Item = (usize, Place);

    fn next(&mut self) -> Option<Self::Item> {
        let at = |place: &Option<(usize, Place)>| place.as_ref().map_or(usize::MAX, |it| it.0);
        if at(&self.next_literal) <= at(&self.next_run) {
            let next = self.next_literal.take()?;
            self.next_literal = self.literals.next();
            return Some(next);
        }
        let next = self.next_run.take();
        self.next_run = self.runs.next().map(Place::run);
        next
    }
}

impl Place {
    fn run((at, kind, run): (usize, Kind, Range<usize>)) -> (usize, Self) {
        (at, Self::Run(kind, run))
    }
}

/// Those places that literals give.
struct Literal<'t> {
    bytes: &'t [u8],
    /// They are one JSON string, quotes included.
    json: bool,
    hits: Hits<'t>,
    /// Up to here names were looked at.
    named: usize,
    /// The whole string was looked at.
    is_asked: bool,
}

impl<'t> Literal<'t> {
    fn new(literals: &'t Literals, bytes: &'t [u8], json: bool) -> Self {
        Self {
            bytes,
            json,
            hits: Hits::new(literals, bytes),
            named: 0,
            is_asked: false,
        }
    }

    fn place(&mut self, hit: &Range<usize>, meaning: Meaning) -> Option<Place> {
        match meaning {
            Meaning::Rule(rule, guard) => {
                guard.passes(self.bytes, hit).then_some(Place::Rule(rule))
            }
            Meaning::Key if !names::is_behind_word(self.bytes, hit) => None,
            Meaning::Stem | Meaning::Key if hit.start < self.named => None,
            Meaning::Stem | Meaning::Key => {
                let name = names::around(self.bytes, hit);
                self.named = name.end;
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
        }
    }

    /// A telling name, if a value may be beside it.
    fn name(&mut self, name: Range<usize>) -> Option<Place> {
        let followed = is_followed(self.bytes, &name);
        let telling = followed.then(|| names::telling_in(self.bytes, &name));
        let telling = telling.flatten().or_else(|| self.whole_name(&name))?;
        Some(Place::Name(telling, name))
    }

    /// The same if all of a JSON string is one name, though with other letters than names have
    /// (`api key`, `password (db)`).
    fn whole_name(&mut self, part: &Range<usize>) -> Option<Telling> {
        let whole = self.bytes.len();
        let is_asked = std::mem::replace(&mut self.is_asked, true);
        if !self.json || is_asked || whole == part.len() + 2 || whole > LONGEST_NAME {
            return None;
        }
        let name = serde_json::from_slice::<String>(self.bytes).ok()?;
        names::telling(name.as_bytes())
    }
}

impl Iterator for Literal<'_> {
    type Item = (usize, Place);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, hit, meaning) = self.hits.next()?;
            if let Some(place) = self.place(&hit, meaning) {
                return Some((at, place));
            }
        }
    }
}
