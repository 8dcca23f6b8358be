//! Part of ⑦ mask: matches the fields that mask rules name while a document passes.
//!
//! All paths are one automaton without memory of its own: which steps of which paths may come
//! next is a set of at most 128 bits, kept with each open container.

use std::sync::Arc;

use super::rules::Masking;
use crate::decide::{MaskRule, Step, With};

/// Which steps may come next: one bit per step of every path.
type States = u128;

pub(super) struct Paths {
    steps: Vec<Part>,
    /// Before the first step of every path.
    start: States,
}

/// One step of a path.
struct Part {
    step: Step,
    /// After the last step: the rule, its `with`, and the path as it was written.
    ends: Option<(usize, With, Box<str>)>,
}

impl Paths {
    /// Of the rules that are about a request, with their numbers; none if they name no fields.
    pub fn of<'r>(rules: impl Iterator<Item = (usize, &'r MaskRule)>) -> Option<Self> {
        let (mut steps, mut starts) = (Vec::new(), Vec::new());
        for (number, rule) in rules {
            for path in &rule.fields {
                starts.push(steps.len());
                let last = path.steps.len().saturating_sub(1);
                steps.extend(path.steps.iter().enumerate().map(|(at, step)| Part {
                    step: step.clone(),
                    ends: (at == last).then(|| (number, rule.with, path.text.clone())),
                }));
            }
        }
        let mut paths = Self { steps, start: 0 };
        paths.start = starts.into_iter().fold(0, |all, at| all | paths.before(at));
        (!paths.steps.is_empty()).then_some(paths)
    }

    /// The rule that hides the field at these names, or what it is in.
    pub fn hides(&self, names: &[&str]) -> Option<usize> {
        let mut states = self.start;
        let ends = names.iter().find_map(|name| {
            let (next, ends) = self.member(states, name.as_bytes());
            states = next;
            ends
        })?;
        Some(self.named(ends).0)
    }

    /// The rule whose path ends with this step, and the path.
    fn named(&self, step: usize) -> (usize, &str) {
        let ends = self.steps.get(step).and_then(|place| place.ends.as_ref());
        ends.map_or((usize::MAX, ""), |(rule, _, path)| (*rule, path))
    }

    /// What may come after a member of this name, and the last step of a path if it is one.
    fn member(&self, states: States, name: &[u8]) -> (States, Option<usize>) {
        self.step(states, |step| match step {
            Step::Member(wanted) => wanted.as_bytes().eq_ignore_ascii_case(name),
            Step::AnyMember => true,
            Step::AnyElement | Step::Deep => false,
        })
    }

    /// The same for an element of an array.
    fn element(&self, states: States) -> (States, Option<usize>) {
        self.step(states, |step| *step == Step::AnyElement)
    }

    fn step(&self, states: States, fits: impl Fn(&Step) -> bool) -> (States, Option<usize>) {
        let (mut next, mut first, mut left) = (0, None, states);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let Some(place) = self.steps.get(at) else {
                break;
            };
            match (&place.step, &place.ends) {
                (Step::Deep, _) => next |= self.before(at),
                (step, Some((_, with, _)))
                    if fits(step) && first.is_none_or(|(known, _)| *with < known) =>
                {
                    first = Some((*with, at));
                }
                (step, None) if fits(step) => next |= self.before(at + 1),
                _ => {}
            }
        }
        (next, first.map(|(_, at)| at))
    }

    /// The state before a step: `**` may be nothing, so what follows it may come at once.
    fn before(&self, at: usize) -> States {
        let own = 1u128
            .checked_shl(u32::try_from(at).unwrap_or(u32::MAX))
            .unwrap_or(0);
        match self.steps.get(at).map(|place| &place.step) {
            Some(Step::Deep) => own | self.before(at + 1),
            _ => own,
        }
    }
}

/// Where a walk is among the fields that are named.
pub(super) struct Trail {
    masking: Arc<Masking>,
    levels: Vec<Level>,
    /// The value that comes next, or is at hand.
    next: Place,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    states: States,
    /// The last step of the path that hides it, or what it is in.
    hidden: Option<usize>,
}

/// An open object or array.
struct Level {
    place: Place,
    array: bool,
    /// Its elements are objects for themselves.
    list: bool,
    /// Its elements are the cells of a table's row, and the first of them is a name.
    cells: bool,
}

impl Trail {
    /// None if no rule names a field.
    pub fn of(masking: &Arc<Masking>) -> Option<Self> {
        let states = masking.paths.as_ref()?.start;
        Some(Self {
            masking: masking.clone(),
            levels: Vec::new(),
            next: Place {
                states,
                hidden: None,
            },
        })
    }

    /// The rule that hides the value at hand, and its path.
    pub fn hidden(&self) -> Option<(usize, &str)> {
        let paths = self.masking.paths.as_ref()?;
        Some(paths.named(self.next.hidden?))
    }

    /// A member's name was read.
    pub fn member(&mut self, name: &[u8]) {
        let (Some(paths), Some(level)) = (&self.masking.paths, self.levels.last()) else {
            return;
        };
        let (states, hidden) = paths.member(level.place.states, name);
        self.next = Place {
            states: states | if name == b"object" { paths.start } else { 0 },
            hidden: level.place.hidden.or(hidden),
        };
    }

    /// An object or array begins, that is not passed over; `name` is the last that was read.
    pub fn opened(&mut self, object: bool, name: &[u8]) {
        self.levels.push(Level {
            place: self.next,
            array: !object,
            list: !object && name == b"items",
            cells: !object && name == b"cells",
        });
        self.element(true);
    }

    /// It ends.
    pub fn closed(&mut self) {
        self.levels.pop();
    }

    /// A value ended: what comes next, if it is no member.
    pub fn ended(&mut self) {
        self.element(false);
    }

    fn element(&mut self, first: bool) {
        let Some(paths) = &self.masking.paths else {
            return;
        };
        let Some(level) = self.levels.last() else {
            self.next = Place {
                states: paths.start,
                hidden: None,
            };
            return;
        };
        if !level.array {
            return;
        }
        let (states, hidden) = paths.element(level.place.states);
        // Which fields a table shows in its cells, only its server knows.
        let cell = (level.cells && !first).then_some(0);
        self.next = Place {
            states: states | if level.list { paths.start } else { 0 },
            hidden: level.place.hidden.or(hidden).or(cell),
        };
    }
}
