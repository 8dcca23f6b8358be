//! Which of many rules may match a request, without asking each of them. Part of room ④;
//! pure, and built once with the rules.
//!
//! It may name a rule that does not match, and never leaves out one that does: whoever asks
//! it still puts every question to every rule that it names. So it changes no decision.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::PolicySet;
use super::glob::Glob;
use super::policy::Effect;
use super::rule::{Rule, Target, Verbs, View, spans_namespaces};

/// For each field that is looked up: which rules may match what.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// By single verbs.
    verbs: Box<[(Verbs, Set)]>,
    clusters: Names,
    agents: Names,
    /// Of callers.
    groups: Names,
    api_groups: Names,
    resources: Names,
    namespaces: Names,
    /// For requests that may reach several namespaces.
    all_namespaces: Set,
    paths: Names,
}

/// So many rules are not worth to be looked up by caller and cluster too.
const FEW: usize = 16;

/// What a rule says of a field that it cannot have: it matches no text.
const NOTHING: Option<&[Glob]> = Some(&[]);

impl Index {
    /// Of all rules, in the order in which they are asked.
    pub(super) fn of(rules: &[Rule]) -> Self {
        let with = |verb: Verbs| (verb, Set::of(rules, |rule| rule.verbs.meets(verb)));
        Self {
            verbs: Verbs::singles().map(with).collect(),
            clusters: Names::of(rules, |rule| rule.clusters.as_deref()),
            agents: Names::of(rules, |rule| rule.whom.agents.as_deref()),
            groups: Names::of(rules, |rule| rule.whom.groups.as_deref()),
            api_groups: Names::of(rules, |rule| match &rule.target {
                Target::Resource { groups, .. } => Some(groups),
                Target::Paths(_) => NOTHING,
            }),
            resources: Names::of(rules, |rule| match &rule.target {
                Target::Resource { resources, .. } => Some(resources),
                Target::Paths(_) => NOTHING,
            }),
            namespaces: Names::of(rules, namespaces),
            all_namespaces: Set::of(rules, |rule| {
                namespaces(rule).is_none() || rule.effect != Effect::Allow
            }),
            paths: Names::of(rules, |rule| match &rule.target {
                Target::Resource { .. } => NOTHING,
                Target::Paths(paths) => Some(paths),
            }),
        }
    }

    /// `rules`: those that the index is of.
    fn candidates<'p>(&self, rules: &'p [Rule], view: &View<'_>) -> Vec<&'p Rule> {
        let mut may = Set::none(rules);
        let asked = view.any_of.and(view.all_of);
        for (_, with) in self.verbs.iter().filter(|(verb, _)| verb.meets(asked)) {
            may.add(with);
        }
        let info = view.info;
        if info.is_resource {
            may.keep(self.api_groups.may_match(&info.api_group));
            may.keep(self.resources.may_match(&info.resource));
            may.keep(match spans_namespaces(info) {
                true => &self.all_namespaces,
                false => self.namespaces.may_match(&info.namespace),
            });
        } else {
            may.keep(self.paths.may_match(&info.path));
        }
        // Few are asked themselves sooner than looked up.
        if may.places().nth(FEW).is_some() {
            may.keep(self.clusters.may_match(view.cluster));
            may.keep(self.agents.may_match(view.caller.agent));
            // Also for who is in no group: a rule that names none is about everyone.
            let mut theirs = self.groups.any.clone();
            for group in view.caller.groups {
                theirs.add(self.groups.may_match(group));
            }
            may.keep(&theirs);
        }
        may.places().filter_map(|place| rules.get(place)).collect()
    }
}

impl PolicySet {
    /// The rules that may match a request, in the order in which they are asked.
    pub(super) fn candidates(&self, view: &View<'_>) -> Vec<&Rule> {
        self.index.candidates(&self.rules, view)
    }

    /// The same without some rules, for explanations.
    pub(super) fn without(mut self, is_out: impl Fn(&Rule) -> bool) -> Self {
        let rest = self.rules.into_iter().filter(|rule| !is_out(rule));
        self.rules = rest.collect();
        self.index = Index::of(&self.rules);
        self
    }
}

fn namespaces(rule: &Rule) -> Option<&[Glob]> {
    match &rule.target {
        Target::Resource { namespaces, .. } => namespaces.as_deref(),
        Target::Paths(_) => NOTHING,
    }
}

/// Which rules may match a text.
#[derive(Debug, Clone)]
struct Names {
    /// Any text.
    any: Set,
    /// What begins with this; the longest beginning that is here has all of them.
    beginnings: HashMap<Box<str>, Set>,
    /// How long these are, the longest first.
    lengths: Box<[usize]>,
    /// This text; it has all of them.
    whole: HashMap<Box<str>, Set>,
}

impl Names {
    /// `wanted`: what a rule says of this field; `None` is any text.
    fn of(rules: &[Rule], wanted: impl Fn(&Rule) -> Option<&[Glob]>) -> Self {
        let mut any = Set::none(rules);
        let (mut beginnings, mut whole) = (BTreeMap::new(), BTreeMap::new());
        for (place, rule) in rules.iter().enumerate() {
            let Some(globs) = wanted(rule) else {
                any.put(place);
                continue;
            };
            for glob in globs {
                match glob {
                    Glob::Exact(text) => whole.entry(text).or_insert(vec![]).push(place),
                    Glob::Parts { first, .. } if !first.is_empty() => {
                        let key = (first.len(), first);
                        beginnings.entry(key).or_insert(vec![]).push(place);
                    }
                    Glob::Parts { .. } | Glob::Anything => any.put(place),
                }
            }
        }
        let lengths: BTreeSet<usize> = beginnings.keys().map(|(length, _)| *length).collect();
        let mut names = Self {
            any,
            beginnings: HashMap::new(),
            lengths: lengths.into_iter().rev().collect(),
            whole: HashMap::new(),
        };
        // From short to long: each has what the next shorter one has.
        for ((_, text), places) in beginnings {
            let set = names.may_begin(text).with(&places);
            names.beginnings.insert(text.clone(), set);
        }
        for (text, places) in whole {
            let set = names.may_begin(text).with(&places);
            names.whole.insert(text.clone(), set);
        }
        names
    }

    fn may_match(&self, text: &str) -> &Set {
        let known = self.whole.get(text);
        known.unwrap_or_else(|| self.may_begin(text))
    }

    fn may_begin(&self, text: &str) -> &Set {
        let mut beginnings = self.lengths.iter().filter_map(|end| text.get(..*end));
        let known = beginnings.find_map(|text| self.beginnings.get(text));
        known.unwrap_or(&self.any)
    }
}

/// Some of the rules: one bit for each, in their order.
#[derive(Debug, Clone)]
struct Set(Box<[u64]>);

impl Set {
    fn none(rules: &[Rule]) -> Self {
        Self(vec![0; rules.len().div_ceil(64)].into())
    }

    fn of(rules: &[Rule], is_in: impl Fn(&Rule) -> bool) -> Self {
        let mut set = Self::none(rules);
        for (place, _) in rules.iter().enumerate().filter(|(_, rule)| is_in(rule)) {
            set.put(place);
        }
        set
    }

    fn with(&self, places: &[usize]) -> Self {
        let mut set = self.clone();
        places.iter().for_each(|place| set.put(*place));
        set
    }

    fn put(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn add(&mut self, others: &Self) {
        for (mine, word) in self.0.iter_mut().zip(&others.0) {
            *mine |= word;
        }
    }

    fn keep(&mut self, others: &Self) {
        for (mine, word) in self.0.iter_mut().zip(&others.0) {
            *mine &= word;
        }
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(at * 64 + bit)
            })
        })
    }
}
