//! Why a request is judged as it is, and what would change that. Part of room ④; pure, and
//! asks every rule the very questions that a judgement asks.

use jiff::Timestamp;

use super::conditions::{Condition, Trial};
use super::judgement::{Judgement, Verdict, judge};
use super::policy::{Effect, Fact};
use super::rule::{Globs, Rule, Target, View, any, spans_namespaces, within};
use super::{Party, PolicySet};
use crate::parse::Ask;

/// So many rules may stand in the way of a request before the search for a way ends.
const MOST_STEPS: usize = 64;

/// A judgement, and every rule's part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'p> {
    /// The judgement.
    pub judgement: Judgement<'p>,
    /// Every rule, in the order in which they are asked.
    pub rules: Vec<Part<'p>>,
    /// If a rule holds or denies it: the rules without which it would be judged in another
    /// way, and how. None if nothing would change.
    pub without: Option<Without<'p>>,
}

/// One rule's part in a judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'p> {
    /// The rule's policy.
    pub policy: &'p str,
    /// The rule's name.
    pub rule: &'p str,
    /// What it does.
    pub effect: Effect,
    /// Its sentence.
    pub reason: &'p str,
    /// By what it selects: (field, what it says).
    pub selects: Vec<(String, String)>,
    /// Where the request does not fit; it matches if there is nothing here and nothing in
    /// `failed`.
    pub misses: Vec<Miss>,
    /// Which of its conditions could not be evaluated, and how; for the operator.
    pub failed: Option<String>,
}

/// Where a request does not fit a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The rule's field.
    pub field: String,
    /// What the rule says there.
    pub wanted: String,
    /// What the request says instead.
    pub found: String,
}

/// How a request would be judged without some rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Without<'p> {
    /// (policy, rule) of what is left out.
    pub rules: Vec<(&'p str, &'p str)>,
    /// The verdict then.
    pub verdict: Verdict,
    /// The policy that would decide; may be empty.
    pub policy: String,
    /// The rule that would decide; may be empty.
    pub rule: String,
}

impl Part<'_> {
    /// Whether the rule matches the request.
    pub fn matches(&self) -> bool {
        self.misses.is_empty() && self.failed.is_none()
    }
}

/// Explains a judgement.
pub fn explain<'a, 'p>(
    caller: impl Into<Party<'a>>,
    ask: &'a Ask,
    policy: &'p PolicySet,
    now: Timestamp,
) -> Explanation<'p> {
    let caller = caller.into();
    let view = View::of(caller, ask, now);
    Explanation {
        judgement: judge(caller, ask, policy, now),
        rules: policy.rules.iter().map(|rule| part(rule, &view)).collect(),
        without: without(caller, ask, policy, now),
    }
}

/// Takes away what decides until something else does.
fn without<'p>(
    caller: Party<'_>,
    ask: &Ask,
    policy: &'p PolicySet,
    now: Timestamp,
) -> Option<Without<'p>> {
    let mut left = policy.clone();
    let mut rules = Vec::new();
    let verdict = judge(caller, ask, policy, now).verdict;
    if !matches!(verdict, Verdict::Hold | Verdict::Deny) {
        return None;
    }
    for _ in 0..MOST_STEPS {
        let then = judge(caller, ask, &left, now);
        let (by_policy, by_rule) = (then.policy.to_owned(), then.rule.to_owned());
        if then.verdict != verdict {
            return Some(Without {
                rules,
                verdict: then.verdict,
                policy: by_policy,
                rule: by_rule,
            });
        }
        let decides = |rule: &Rule| *rule.policy == *by_policy && *rule.name == *by_rule;
        let gone = policy.rules.iter().find(|rule| decides(rule))?;
        rules.push((&*gone.policy, &*gone.name));
        left = left.without(decides);
    }
    None
}

fn part<'p>(rule: &'p Rule, view: &View<'_>) -> Part<'p> {
    let mut misses = misses(rule, view);
    let mut failed = None;
    if misses.is_empty() {
        // Each rule gets a budget of its own: here all are asked.
        let mut trial = Trial::of(view);
        for condition in rule.conditions.iter() {
            match trial.holds(std::slice::from_ref(condition)) {
                Ok(true) => {}
                Ok(false) => misses.push(untrue(condition)),
                Err(cause) => {
                    failed.get_or_insert(cause);
                }
            }
        }
        // As in a judgement: what does not match does not fail.
        failed = failed.filter(|_| misses.is_empty());
    }
    Part {
        policy: &rule.policy,
        rule: &rule.name,
        effect: rule.effect,
        reason: &rule.reason,
        selects: selects(rule),
        misses,
        failed,
    }
}

fn untrue(condition: &Condition) -> Miss {
    let (name, expression) = condition.words();
    Miss {
        field: format!("matchConditions[{name}]"),
        wanted: one_line(expression),
        found: "false".to_owned(),
    }
}

/// What a rule selects by, its conditions too.
fn selects(rule: &Rule) -> Vec<(String, String)> {
    let mut selects = vec![("verbs".to_owned(), rule.verbs.words())];
    let mut add = |field: &str, wanted: Option<String>| {
        selects.extend(wanted.map(|wanted| (field.to_owned(), wanted)));
    };
    match &rule.target {
        Target::Paths(paths) => add("nonResourceURLs", Some(list(paths))),
        Target::Resource {
            groups,
            resources,
            subresources,
            namespaces,
            names,
            facts,
        } => {
            add("apiGroups", Some(list(groups)));
            add("resources", Some(list(resources)));
            add("subresources", words(subresources));
            add("namespaces", words(namespaces));
            add("resourceNames", words(names));
            add("facts", facts.as_deref().map(names_of));
        }
    }
    add("clusters", words(&rule.clusters));
    add("subjects.agents", words(&rule.whom.agents));
    add("subjects.principals", words(&rule.whom.principals));
    add("subjects.groups", words(&rule.whom.groups));
    add("subjects.exceptGroups", words(&rule.whom.except_groups));
    for condition in rule.conditions.iter() {
        let (name, expression) = condition.words();
        add(
            &format!("matchConditions[{name}]"),
            Some(one_line(expression)),
        );
    }
    selects
}

/// Where the request does not fit, conditions aside: the same questions as
/// [`Rule::matches`], all of them.
pub(super) fn misses(rule: &Rule, view: &View<'_>) -> Vec<Miss> {
    let mut misses = Vec::new();
    let verbs = match rule.effect {
        Effect::Allow => view.all_of,
        Effect::Hold | Effect::Deny => view.any_of,
    };
    let mut asked = |fits: bool, field: &str, wanted: String, found: &str| {
        if !fits {
            misses.push(Miss {
                field: field.to_owned(),
                wanted,
                found: or_nothing(found),
            });
        }
    };
    asked(
        rule.verbs.meets(verbs),
        "verbs",
        rule.verbs.words(),
        &verbs.words(),
    );
    target_misses(rule, view, &mut asked);
    let caller = &view.caller;
    let within = |globs: &Globs, text| within(globs, text);
    let say = |globs: &Globs| words(globs).unwrap_or_default();
    asked(
        within(&rule.clusters, view.cluster),
        "clusters",
        say(&rule.clusters),
        view.cluster,
    );
    asked(
        within(&rule.whom.agents, caller.agent),
        "subjects.agents",
        say(&rule.whom.agents),
        caller.agent,
    );
    asked(
        rule.whom.matches_principal(caller),
        "subjects.principals",
        say(&rule.whom.principals),
        caller.principal.unwrap_or_default(),
    );
    asked(
        rule.whom.matches_groups(caller),
        "subjects.groups",
        say(&rule.whom.groups),
        &caller.groups.join(", "),
    );
    asked(
        !rule.whom.excepts(caller),
        "subjects.exceptGroups",
        format!("none of {}", say(&rule.whom.except_groups)),
        &caller.groups.join(", "),
    );
    misses
}

fn target_misses(rule: &Rule, view: &View<'_>, asked: &mut impl FnMut(bool, &str, String, &str)) {
    let info = view.info;
    let say = |globs: &Globs| words(globs).unwrap_or_default();
    match &rule.target {
        Target::Paths(paths) => {
            let fits = !info.is_resource && any(paths, &info.path);
            asked(fits, "nonResourceURLs", list(paths), &info.path);
        }
        Target::Resource { resources, .. } if !info.is_resource => {
            asked(false, "resources", list(resources), &info.path);
        }
        Target::Resource {
            groups,
            resources,
            subresources,
            namespaces,
            names,
            facts,
        } => {
            let of_group = any(groups, &info.api_group);
            asked(of_group, "apiGroups", list(groups), &info.api_group);
            let of_resource = any(resources, &info.resource);
            asked(of_resource, "resources", list(resources), &info.resource);
            let subresource = match subresources {
                Some(globs) => list(globs),
                None => "\"\"".to_owned(),
            };
            asked(
                rule.matches_subresource(subresources, &info.subresource),
                "subresources",
                subresource,
                &info.subresource,
            );
            let spans = spans_namespaces(info);
            asked(
                rule.matches_place(namespaces, &info.namespace, spans),
                "namespaces",
                say(namespaces),
                if spans {
                    "all namespaces"
                } else {
                    &info.namespace
                },
            );
            asked(
                rule.matches_place(names, &info.name, info.name.is_empty()),
                "resourceNames",
                say(names),
                &info.name,
            );
            let wanted = facts.as_deref();
            asked(
                rule.matches_facts(wanted, view),
                "facts",
                wanted.map(names_of).unwrap_or_default(),
                "",
            );
        }
    }
}

fn list(globs: &[super::glob::Glob]) -> String {
    let words: Vec<String> = globs
        .iter()
        .map(|glob| or_quotes(&glob.to_string()))
        .collect();
    words.join(", ")
}

fn words(globs: &Globs) -> Option<String> {
    globs.as_deref().map(list)
}

fn names_of(facts: &[Fact]) -> String {
    let names: Vec<String> = facts.iter().map(|fact| fact.name()).collect();
    names.join(", ")
}

/// The core group and the object itself are written as they are in a rule.
fn or_quotes(text: &str) -> String {
    if text.is_empty() { "\"\"" } else { text }.to_owned()
}

fn or_nothing(text: &str) -> String {
    if text.is_empty() { "none" } else { text }.to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
