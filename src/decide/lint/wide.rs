//! Allow rules that hand out more than looks meant. Part of the lints.

use super::cover::stops;
use super::{Lint, Look};
use crate::decide::PolicySet;
use crate::decide::glob::Glob;
use crate::decide::policy::{Effect, Verb};
use crate::decide::rule::{Rule, Target, Verbs, any};

const WRITES: &[Verb] = &[
    Verb::Create,
    Verb::Update,
    Verb::Patch,
    Verb::Delete,
    Verb::DeleteCollection,
];
const CONNECTS: &[Verb] = &[Verb::Create];
const ADDS: &[Verb] = &[Verb::Update, Verb::Patch];

/// What leads to more than it says.
struct Danger {
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    verbs: &'static [Verb],
    /// What the rule does.
    what: &'static str,
    /// Fine if the rule says for whom, or under which conditions.
    fine_for_some: bool,
}

const fn danger(
    path: (&'static str, &'static str, &'static str),
    verbs: &'static [Verb],
    what: &'static str,
    fine_for_some: bool,
) -> Danger {
    Danger {
        group: path.0,
        resource: path.1,
        subresource: path.2,
        verbs,
        what,
        fine_for_some,
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const DANGERS: &[Danger] = &[
    danger(
        ("", "secrets", ""),
        WRITES,
        "lets agents change Secrets",
        false,
    ),
    danger(
        ("", "nodes", "proxy"),
        CONNECTS,
        "opens every kubelet",
        false,
    ),
    danger(
        ("", "serviceaccounts", "token"),
        CONNECTS,
        "hands out tokens that work without the gate",
        false,
    ),
    danger(
        (RBAC, "clusterrolebindings", ""),
        WRITES,
        "lets agents hand out rights",
        true,
    ),
    danger(
        (RBAC, "rolebindings", ""),
        WRITES,
        "lets agents hand out rights",
        true,
    ),
    danger(
        (RBAC, "clusterroles", ""),
        WRITES,
        "lets agents change rights",
        true,
    ),
    danger(
        (RBAC, "roles", ""),
        WRITES,
        "lets agents change rights",
        true,
    ),
    danger(
        ("", "pods", "exec"),
        CONNECTS,
        "lets every agent run commands in pods",
        true,
    ),
    danger(
        ("", "pods", "attach"),
        CONNECTS,
        "lets every agent attach to pods",
        true,
    ),
    danger(
        ("", "pods", "portforward"),
        CONNECTS,
        "lets every agent connect to pods",
        true,
    ),
    danger(
        ("", "pods", "ephemeralcontainers"),
        ADDS,
        "lets every agent add containers to running pods",
        true,
    ),
];

pub(super) fn look(look: &mut Look<'_>, rule: &Rule, set: &PolicySet) {
    let Target::Resource {
        groups,
        resources,
        namespaces,
        names,
        facts,
        ..
    } = &rule.target
    else {
        return;
    };
    if rule.effect != Effect::Allow || facts.is_some() || !rule.conditions.is_empty() {
        return;
    }
    let excepted = is_excepted(rule, set);
    let everything = groups.contains(&Glob::Anything) && resources.contains(&Glob::Anything);
    let everywhere = namespaces.is_none() && names.is_none();
    if everything && everywhere && !excepted && rule.verbs.meets(of(WRITES)) {
        look.warn(
            Lint::TooWide,
            "resources",
            "allows to change everything that no rule holds or denies, also what will come to \
             exist"
                .to_owned(),
            Some("name the groups and resources that agents work with".to_owned()),
        );
        return;
    }
    for danger in DANGERS {
        let for_some = rule.whom.names_some();
        let Some(part) = part(rule, danger) else {
            continue;
        };
        let stopped = set
            .rules
            .iter()
            .any(|other| other.effect != Effect::Allow && stops(other, &part));
        // What leads around the gate is fine for nobody.
        let meant = excepted && danger.subresource.is_empty();
        if stopped || meant || (danger.fine_for_some && for_some) {
            continue;
        }
        let field = match danger.subresource {
            "" => "resources",
            _ => "subresources",
        };
        let suggestion = match danger.fine_for_some {
            true => "say for whom with subjects, or hold it",
            false => "hold it instead, or narrow it with matchConditions",
        };
        let message = danger.what.to_owned();
        look.warn(Lint::TooWide, field, message, Some(suggestion.to_owned()));
        // One is enough to look at the rule.
        return;
    }
}

/// Whether the rule is for groups, each by its name, that another rule excepts by that name:
/// whoever wrote so meant it.
fn is_excepted(rule: &Rule, set: &PolicySet) -> bool {
    let excepts = |other: &Rule, group: &Glob| {
        let except = other.whom.except_groups.as_deref().unwrap_or_default();
        except.contains(group)
    };
    let named = |group: &Glob| {
        matches!(group, Glob::Exact(_)) && set.rules.iter().any(|other| excepts(other, group))
    };
    let groups = rule.whom.groups.as_deref();
    groups.is_some_and(|groups| groups.iter().all(named))
}

/// The part of a rule that is dangerous; none if it is not.
fn part(rule: &Rule, danger: &Danger) -> Option<Rule> {
    let Target::Resource {
        groups,
        resources,
        subresources,
        namespaces,
        names,
        ..
    } = &rule.target
    else {
        return None;
    };
    let subresource_meant = match subresources {
        Some(globs) => any(globs, danger.subresource),
        None => danger.subresource.is_empty(),
    };
    let meant = any(groups, danger.group) && any(resources, danger.resource) && subresource_meant;
    let verbs = of(danger.verbs);
    let exact = |text: &str| -> Box<[Glob]> { Box::new([Glob::Exact(text.into())]) };
    (meant && rule.verbs.meets(verbs)).then(|| Rule {
        verbs: rule.verbs.both(verbs),
        target: Target::Resource {
            groups: exact(danger.group),
            resources: exact(danger.resource),
            subresources: Some(exact(danger.subresource)),
            namespaces: namespaces.clone(),
            names: names.clone(),
            facts: None,
        },
        ..rule.clone()
    })
}

fn of(verbs: &[Verb]) -> Verbs {
    let none = Verbs::none();
    verbs
        .iter()
        .fold(none, |all, verb| all.and(Verbs::of(*verb)))
}
