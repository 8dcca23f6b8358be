//! The judgement of a request of which only the path is left: its body, or the object that
//! came of it, was not kept. Part of room ④; pure, and where the rules would look at what is
//! not there, it says so instead of guessing.

use jiff::Timestamp;

use super::conditions::Trial;
use super::explain::misses;
use super::judgement::Judgement;
use super::policy::Effect;
use super::rule::{Rule, Target, Verbs, View};
use super::{Judged, Party, PolicySet, settled};
use crate::parse::Ask;
use crate::parse::facts::About;

/// Judges by path, caller and time. None if that depends on the body or the objects.
pub fn judge_unread<'a, 'p>(
    caller: impl Into<Party<'a>>,
    ask: &'a Ask,
    policy: &'p PolicySet,
    now: Timestamp,
) -> Option<Judgement<'p>> {
    let caller = caller.into();
    if let Some(settled) = settled(caller, ask, policy) {
        return Some(settled.into());
    }
    let view = View::of(caller, ask, now);
    let mut missing = view.all_of;
    let candidates = policy.candidates(&view);
    for rules in candidates.chunk_by(|a, b| a.effect == b.effect) {
        let (mut found, mut depends) = (None, false);
        for rule in rules {
            match applies(rule, &view) {
                Applies::No => {}
                Applies::Yes if rule.effect == Effect::Deny => {
                    return Some(Judged::By(rule).into());
                }
                Applies::Yes => {
                    found.get_or_insert(rule);
                    missing = match rule.effect {
                        Effect::Allow => missing.without(rule.verbs),
                        Effect::Hold | Effect::Deny => missing,
                    };
                }
                Applies::Depends { can_fail } => {
                    // An allow rule that may match adds nothing to what is allowed.
                    let settled = rule.effect == Effect::Allow && !can_fail;
                    depends |= !settled || !missing_after(rules, &view, missing).is_empty();
                }
            }
        }
        match found {
            _ if depends => return None,
            Some(rule) if rule.effect != Effect::Allow || missing.is_empty() => {
                return Some(Judged::By(rule).into());
            }
            _ => {}
        }
    }
    Some(Judged::ByDefault { missing }.into())
}

/// What conditions may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// An object, after or before a change.
    Objects,
    /// The object before a change.
    OldObject,
    /// The caller's uid or other attributes.
    Attributes,
    /// What the service accounts of pods may do.
    Rights,
    /// How many objects the deletion of a collection deletes.
    Count,
}

/// Whether a condition that asks for this has a say: whether the judgement could be another
/// one if that were known.
pub fn is_asked<'a>(
    what: Asked,
    caller: impl Into<Party<'a>>,
    ask: &'a Ask,
    policy: &PolicySet,
) -> bool {
    let view = View::of(caller, ask, Timestamp::UNIX_EPOCH);
    policy.candidates(&view).iter().any(|rule| {
        if what == Asked::Rights {
            return rule.asks_rights()
                && misses(rule, &view).iter().all(|miss| miss.field == "facts");
        }
        let mut conditions = rule.conditions.iter();
        let asks = conditions.any(|condition| match what {
            Asked::Rights => false,
            Asked::Count => condition.looks_at("facts", &["deletedObjects"]),
            Asked::Objects => condition.uses(&["object", "oldObject"]),
            Asked::OldObject => condition.uses(&["oldObject"]),
            Asked::Attributes => condition.looks_at("caller", &["uid", "extra"]),
        });
        asks && misses(rule, &view).is_empty()
    })
}

/// What no allow rule covers for certain.
fn missing_after(rules: &[&Rule], view: &View<'_>, missing: Verbs) -> Verbs {
    let certain = rules
        .iter()
        .filter(|rule| matches!(applies(rule, view), Applies::Yes));
    certain.fold(missing, |missing, rule| missing.without(rule.verbs))
}

enum Applies {
    Yes,
    No,
    /// On what is not known; `can_fail`: and may fail over it.
    Depends {
        can_fail: bool,
    },
}

fn applies(rule: &Rule, view: &View<'_>) -> Applies {
    let misses = misses(rule, view);
    if misses.iter().any(|miss| miss.field != "facts") {
        return Applies::No;
    }
    let mut depends = false;
    if let Target::Resource {
        facts: Some(facts), ..
    } = &rule.target
        && !facts.iter().any(|fact| fact.holds(view.facts))
    {
        let carries = matches!(view.info.verb, "create" | "update" | "patch");
        let about = carries.then(|| About::of(view.info));
        depends = facts
            .iter()
            .any(|fact| fact.about().is_some() && fact.about() == about);
        if !depends {
            return Applies::No;
        }
    }
    let (open, closed): (Vec<_>, Vec<_>) = rule
        .conditions
        .iter()
        .partition(|condition| condition.uses(&["object", "oldObject", "facts"]));
    let mut trial = Trial::of(view);
    let mut can_fail = !open.is_empty();
    for condition in closed {
        match trial.holds(std::slice::from_ref(condition)) {
            Ok(true) => {}
            Ok(false) => return Applies::No,
            Err(_) => can_fail = true,
        }
    }
    match depends || can_fail {
        true => Applies::Depends { can_fail },
        false => Applies::Yes,
    }
}
