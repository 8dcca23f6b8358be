//! Part of ⑦ mask: finds secrets and personal data in a text.
//!
//! What is looked for is data, `detect/pack.yaml`, with cases for each rule that are tests.
//! Few places of a text can hold anything, and these are found first, in two quick passes
//! ([`Detectors::is_hinted`]); only texts with such a place are read closely
//! ([`Detectors::scan`]). Both look through the same eyes (`detect/places.rs`), so that what
//! the second would find, the first never misses. This part keeps and reports no text, only
//! where something stands in it.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

mod checks;
mod guards;
mod literals;
mod names;
mod nested;
mod numbers;
mod pack;
mod pairs;
mod places;
mod plain;
mod runs;

use literals::Literals;
use names::Telling;
use pack::{Finds, Rule};
use pairs::Pairs;
use places::{Place, Places};
use runs::Kind;

/// A selection of detectors, compiled; shared by all requests.
pub struct Detectors {
    /// In the order of the pack: what says most of a find stands first.
    rules: Vec<&'static Rule>,
    literals: Literals,
}

/// One thing found. What is hidden is `text[start..end]` and nothing else: of a connection
/// string the password, of a header the token behind `Bearer`, of a private key the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The rule's name, `aws-access-key`.
    pub detector: &'static str,
    /// The first byte, counted from the beginning of the text.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Found {
    /// Finds of several looks at a text, in ascending order; those that overlap are one.
    pub fn joined(mut found: Vec<Self>) -> Vec<Self> {
        found.sort_by_key(|found| found.start);
        found.dedup_by(|next, last| {
            let overlaps = next.start < last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        found
    }
}

impl Detectors {
    /// Those that are on unless a policy says otherwise.
    pub fn standard() -> &'static Self {
        static STANDARD: LazyLock<Detectors> =
            LazyLock::new(|| Detectors::of(pack::rules().iter().filter(|rule| rule.on).collect()));
        &STANDARD
    }

    /// A selection by name.
    ///
    /// # Errors
    /// The first name that no detector has.
    pub fn select<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, String> {
        let names: HashSet<&str> = names.into_iter().collect();
        let known = |name: &&str| !pack::rules().iter().any(|rule| rule.name == **name);
        if let Some(unknown) = names.iter().filter(|name| known(name)).min() {
            return Err((*unknown).to_owned());
        }
        let rules = pack::rules().iter();
        Ok(Self::of(
            rules.filter(|r| names.contains(&*r.name)).collect(),
        ))
    }

    /// All detectors: name, what it finds in one line, and whether it is on by default.
    pub fn catalogue() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let rules = pack::rules().iter();
        rules.map(|rule| (&*rule.name, &*rule.says, rule.on))
    }

    /// Whether anything may stand in `string`, a JSON string as it came, quotes included.
    ///
    /// If [`Self::scan`] finds anything in the text of one, it is hinted, or if that is found
    /// only because of the name beside it, the name is. An escape that could hide something
    /// (`\u0070assword`) is a hint itself.
    #[inline]
    pub fn is_hinted(&self, string: &[u8]) -> bool {
        Places::any_in_json(&self.literals, string)
    }

    /// Whether nothing can stand in a piece of a document that is whole strings and what is
    /// between them. It may doubt without need, and is quick.
    #[inline]
    pub fn is_harmless(&self, piece: &[u8]) -> bool {
        Places::none_in(&self.literals, piece)
    }

    /// Everything found in a text, ascending and not overlapping. The text need not be UTF-8.
    ///
    /// `name` is what stands beside it: a key, or the name of an environment variable.
    pub fn scan(&self, text: &[u8], name: Option<&[u8]>) -> Vec<Found> {
        self.look(text, name, true)
    }

    /// Where in lines of text something may stand: ascending offsets.
    ///
    /// If [`Self::scan`] finds anything in a line, there is a hint within that line.
    pub fn hints_in_lines<'t>(&'t self, lines: &'t [u8]) -> impl Iterator<Item = usize> + 't {
        Places::new(&self.literals, lines).map(|(at, _)| at)
    }

    /// Whether a name is that of a secret value (`db_password`, `apiKey`), and not of the name
    /// or place of one (`secretName`, `tokenPath`).
    pub fn is_telling(name: &[u8]) -> bool {
        names::telling(name).is_some()
    }

    fn of(rules: Vec<&'static Rule>) -> Self {
        let literals = Literals::new(&rules);
        Self { rules, literals }
    }

    /// `nested`: base64 is looked into.
    fn look(&self, text: &[u8], name: Option<&[u8]>, nested: bool) -> Vec<Found> {
        let mut finds = Finder {
            detectors: self,
            text,
            found: Vec::new(),
            pairs: Pairs::new(text),
            named: 0,
            looked_into: 0,
            budget: nested::MAX_INFLATED,
        };
        if let Some((telling, name)) = name.and_then(|n| Some((names::telling(n)?, n))) {
            let value = plain::trimmed(text, 0..text.len());
            finds.beside(telling, name, value, false);
        }
        let mut searched = vec![false; self.rules.len()];
        for (_, place) in Places::new(&self.literals, text) {
            match place {
                Place::Rule(index) => {
                    if let Some(done @ false) = searched.get_mut(index) {
                        *done = true;
                        finds.everywhere(index);
                    }
                }
                Place::Name(telling, name) => finds.named(telling, name),
                Place::Run(Kind::Base64, run) if nested => finds.inside(&run),
                Place::Run(Kind::Base64, _) | Place::Escape => {}
                Place::Run(kind, run) => finds.number(kind, &run),
            }
        }
        merged(finds.found)
    }
}

/// One scan. Finds are kept with the place of their rule in the pack.
struct Finder<'t> {
    detectors: &'t Detectors,
    text: &'t [u8],
    found: Vec<(usize, Found)>,
    pairs: Pairs<'t>,
    /// Up to here all is hidden because of a name.
    named: usize,
    /// Base64 was looked into up to here.
    looked_into: usize,
    /// As much may still be inflated.
    budget: usize,
}

impl Finder<'_> {
    fn push(&mut self, index: usize, rule: &'static Rule, range: Range<usize>) {
        let found = Found {
            detector: &rule.name,
            start: range.start,
            end: range.end,
        };
        if !range.is_empty() {
            self.found.push((index, found));
        }
    }

    /// A rule's regular expression, over the whole text.
    fn everywhere(&mut self, index: usize) {
        let Some(rule) = self.detectors.rules.get(index).copied() else {
            return;
        };
        let Finds::Regex { regex, .. } = &rule.finds else {
            return;
        };
        let mut until = 0;
        for captures in regex.captures_iter(self.text) {
            let Some(hidden) = captures.get(1).or_else(|| captures.get(0)) else {
                continue;
            };
            if hidden.start() < until {
                continue;
            }
            if let Some(range) = rule.accepts(self.text, hidden.range()) {
                until = range.end;
                self.push(index, rule, range);
            }
        }
    }

    /// A telling name within the text.
    fn named(&mut self, telling: Telling, name: Range<usize>) {
        if name.start < self.named {
            return;
        }
        let text = self.text;
        let mut value = self.pairs.value(&name, telling);
        let name = text.get(name).unwrap_or_default();
        while let Some(found) = value {
            value = self.pairs.next(found.range.end);
            self.beside(telling, name, found.range, found.bare);
        }
    }

    /// The value beside a telling name: the first rule that takes it has it.
    fn beside(&mut self, telling: Telling, name: &[u8], value: Range<usize>, bare: bool) {
        let bytes = self.text.get(value.clone()).unwrap_or_default();
        let placeholder = plain::is_placeholder(bytes, bare);
        for (index, rule) in self.detectors.rules.iter().enumerate() {
            let Finds::Beside {
                kinds,
                name: names,
                value: values,
            } = &rule.finds
            else {
                continue;
            };
            let fits = kinds.contains(&telling)
                && names.as_ref().is_none_or(|names| names.is_match(name))
                && values.as_ref().is_none_or(|values| values.is_match(bytes))
                // What has the very form of a secret stands for no other, though it may look
                // like a path.
                && (values.is_some() || !placeholder);
            if let Some(range) = fits
                .then(|| rule.accepts(self.text, value.clone()))
                .flatten()
            {
                self.named = range.end;
                return self.push(index, rule, range);
            }
        }
    }

    /// A run of digits or of capitals.
    fn number(&mut self, kind: Kind, run: &Range<usize>) {
        for (index, rule) in self.detectors.rules.iter().enumerate() {
            let Finds::Number(number) = &rule.finds else {
                continue;
            };
            if number.kind() == kind {
                for range in number.find(self.text, run) {
                    if plain::stands_alone(self.text, &range) {
                        self.push(index, rule, range);
                    }
                }
            }
        }
    }

    /// What is base64 is looked into, and hidden whole if there is anything inside, or too
    /// much.
    fn inside(&mut self, run: &Range<usize>) {
        if run.start < self.looked_into {
            return;
        }
        for inside in nested::inside(self.text, run, &mut self.budget) {
            let found = self.detectors.look(&inside.text, None, false);
            let found = found.first().map(|found| found.detector);
            let mut rules = self.detectors.rules.iter().copied().enumerate();
            let rule = rules.find(|(_, rule)| match found {
                Some(name) => rule.name == name,
                None => inside.cut && matches!(rule.finds, Finds::TooMuch),
            });
            self.looked_into = inside.range.end;
            if let Some((index, rule)) = rule {
                return self.push(index, rule, inside.range);
            }
        }
    }
}

/// Ascending; what overlaps is one find, named by the rule that stands first in the pack.
fn merged(mut found: Vec<(usize, Found)>) -> Vec<Found> {
    found.sort_by_key(|(index, found)| (found.start, *index));
    let mut merged: Vec<(usize, Found)> = Vec::new();
    for (index, next) in found {
        match merged.last_mut() {
            Some((first, last)) if next.start < last.end => {
                last.end = last.end.max(next.end);
                if index < *first {
                    *first = index;
                    last.detector = next.detector;
                }
            }
            _ => merged.push((index, next)),
        }
    }
    merged.into_iter().map(|(_, found)| found).collect()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests;
