//! Rules that never have a say, because another rule always speaks first. Part of the lints.

use super::{Lint, Look};
use crate::decide::PolicySet;
use crate::decide::glob::Glob;
use crate::decide::policy::{Effect, Fact};
use crate::decide::rule::{Globs, Rule, Target, Verbs};

pub(super) fn look(look: &mut Look<'_>, rule: &Rule, set: &PolicySet) {
    let others = || set.rules.iter().filter(|other| !is(other, rule));
    // Effects are ordered as they beat each other.
    if let Some(stronger) = others().find(|it| it.effect < rule.effect && stops(it, rule)) {
        let (does, name) = (does(stronger.effect), name(stronger));
        let exact = stronger.whom.except_groups.is_none();
        if rule.effect == Effect::Allow && exact && covers(rule, stronger) {
            look.warn(
                Lint::Contradicts,
                "",
                format!("allows exactly what {name} {does}, so it allows nothing"),
                Some("decide for one of the two, and remove the other".to_owned()),
            );
        } else {
            look.warn(
                Lint::Shadowed,
                "",
                format!(
                    "has no say: {name} {does} everything that it is about{}",
                    excepted(stronger)
                ),
                Some("remove it, or narrow the other one".to_owned()),
            );
        }
        return;
    }
    // Of several hold or deny rules the first by name speaks: a narrow one before a wide one
    // has its own reason to give. Of two equal ones, the second is one too many.
    let speaks_before = |other: &&Rule| {
        let order = |rule: &Rule| (rule.policy.clone(), rule.name.clone());
        match rule.effect {
            Effect::Allow => !covers(rule, other) || order(other) < order(rule),
            Effect::Hold | Effect::Deny => order(other) < order(rule),
        }
    };
    // A condition that fails has a say, unless a deny has spoken.
    if rule.effect != Effect::Deny && !rule.conditions.is_empty() {
        return;
    }
    let mut same = others().filter(|other| other.effect == rule.effect);
    if let Some(other) = same.find(|other| covers(other, rule) && speaks_before(other)) {
        let name = name(other);
        look.warn(
            Lint::Shadowed,
            "",
            format!("says nothing that {name} does not say already"),
            Some("remove it".to_owned()),
        );
    }
}

/// Whether `stronger` surely stops whatever `rule` is about. Who is excepted from it by group
/// does not count where an allow rule is about everybody: for them others will allow it.
pub(super) fn stops(stronger: &Rule, rule: &Rule) -> bool {
    match rule.effect == Effect::Allow && rule.whom.groups.is_none() {
        true => covers_others(stronger, rule),
        false => covers(stronger, rule),
    }
}

/// Whether `wide` surely matches whatever `narrow` matches. It may say no where it does.
pub(super) fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let fewer = |except: &[Glob]| {
        all(
            narrow.whom.except_groups.as_deref().unwrap_or_default(),
            except,
        )
    };
    wide.whom.except_groups.as_deref().is_none_or(fewer) && covers_others(wide, narrow)
}

/// The same for callers that `wide` does not except.
fn covers_others(wide: &Rule, narrow: &Rule) -> bool {
    wide.conditions.is_empty()
        && narrow.verbs.without(wide.verbs) == Verbs::none()
        && optional(&wide.clusters, &narrow.clusters, true)
        && optional(&wide.whom.agents, &narrow.whom.agents, true)
        && optional(&wide.whom.principals, &narrow.whom.principals, false)
        && optional(&wide.whom.groups, &narrow.whom.groups, false)
        && match (&wide.target, &narrow.target) {
            (Target::Paths(wide), Target::Paths(narrow)) => all(wide, narrow),
            (
                Target::Resource {
                    groups,
                    resources,
                    subresources,
                    namespaces,
                    names,
                    facts,
                },
                Target::Resource {
                    groups: narrow_groups,
                    resources: narrow_resources,
                    subresources: narrow_subresources,
                    namespaces: narrow_namespaces,
                    names: narrow_names,
                    facts: narrow_facts,
                },
            ) => {
                all(groups, narrow_groups)
                    && all(resources, narrow_resources)
                    && all(
                        &said(subresources, wide.effect),
                        &said(narrow_subresources, narrow.effect),
                    )
                    && optional(namespaces, narrow_namespaces, false)
                    && optional(names, narrow_names, false)
                    && covers_facts(facts.as_deref(), narrow_facts.as_deref())
            }
            _ => false,
        }
}

/// `any_text`: what was not said is some text, which `*` matches.
fn optional(wide: &Globs, narrow: &Globs, any_text: bool) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(wide), None) => any_text && wide.contains(&Glob::Anything),
        (Some(wide), Some(narrow)) => all(wide, narrow),
    }
}

/// What a rule without subresources is about.
fn said(subresources: &Globs, effect: Effect) -> Box<[Glob]> {
    match (subresources, effect) {
        (Some(globs), _) => globs.clone(),
        (None, Effect::Allow) => Box::new([Glob::Exact("".into())]),
        (None, Effect::Hold | Effect::Deny) => Box::new([Glob::Anything]),
    }
}

/// Whether each of `narrow` is surely covered by one of `wide`.
pub(super) fn all(wide: &[Glob], narrow: &[Glob]) -> bool {
    narrow
        .iter()
        .all(|narrow| wide.iter().any(|wide| wide.covers(narrow)))
}

fn covers_facts(wide: Option<&[Fact]>, narrow: Option<&[Fact]>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow.iter().all(|fact| wide.contains(fact)),
    }
}

fn excepted(rule: &Rule) -> String {
    let groups = rule.whom.except_groups.as_deref().unwrap_or_default();
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    match groups.is_empty() {
        true => String::new(),
        false => format!(", but for members of {}", groups.join(", ")),
    }
}

fn is(one: &Rule, other: &Rule) -> bool {
    one.policy == other.policy && one.name == other.name
}

fn name(rule: &Rule) -> String {
    format!("{}/{}", rule.policy, rule.name)
}

fn does(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allows",
        Effect::Hold => "holds",
        Effect::Deny => "denies",
    }
}
