//! What holds for any rules and any request.

use proptest::prelude::*;

use super::super::policy::{
    ApiVersion, MatchCondition, Metadata, PolicyKind, PolicySpec, RuleSpec,
};
use super::super::policy::{Effect, Fact, Subjects, Verb};
use super::*;

pub(super) fn some_of(
    words: &'static [&'static str],
) -> impl Strategy<Value = Option<Vec<String>>> {
    prop::option::of(prop::collection::vec(
        prop::sample::select(words).prop_map(str::to_owned),
        1..3,
    ))
}

pub(super) fn any_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(words).prop_map(str::to_owned), 1..3)
}

const VERBS: &[Verb] = &[
    Verb::Any,
    Verb::Get,
    Verb::List,
    Verb::Create,
    Verb::Patch,
    Verb::Delete,
    Verb::DeleteCollection,
];

/// Rules over few words, so that they meet each other and the requests often.
fn rule(effect: impl Strategy<Value = Effect>) -> impl Strategy<Value = RuleSpec> {
    (
        effect,
        prop::collection::vec(prop::sample::select(VERBS), 1..3),
        any_of(&["", "apps", "*"]),
        any_of(&["pods", "secrets", "*"]),
        some_of(&["", "exec", "*"]),
        some_of(&["prod", "dev", "p*"]),
        some_of(&["web", "db", "*b"]),
        some_of(&["coder", "other", "*"]),
        prop::option::of(Just(vec![Fact::Privileged, Fact::Secrets])),
        conditions(),
    )
        .prop_map(
            |(
                effect,
                verbs,
                groups,
                resources,
                subs,
                namespaces,
                names,
                agents,
                facts,
                match_conditions,
            )| RuleSpec {
                name: "rule".to_owned(),
                effect,
                reason: Some("because.".to_owned()),
                subjects: agents.map(|agents| Subjects {
                    agents: Some(agents),
                    ..Subjects::default()
                }),
                clusters: None,
                verbs,
                api_groups: Some(groups),
                resources: Some(resources),
                subresources: subs,
                namespaces,
                resource_names: names,
                non_resource_urls: None,
                facts,
                match_conditions,
                hold: None,
            },
        )
}

/// None mostly; some that hold, some that do not, some that fail.
pub(super) fn conditions() -> impl Strategy<Value = Vec<MatchCondition>> {
    let expressions = &[
        "true",
        "ask.verb == 'get'",
        "ask.namespace in ['prod', '']",
        "facts.privileged.size() > 0",
        "caller.groups.exists(g, g == 'ops')",
        "dyn({}).missing == 1",
    ][..];
    let some = prop::collection::vec(prop::sample::select(expressions), 1..3);
    prop::option::weighted(0.3, some).prop_map(|some| {
        let condition = |(at, expression): (usize, &str)| MatchCondition {
            name: format!("c{at}"),
            expression: expression.to_owned(),
        };
        let some = some.unwrap_or_default();
        some.into_iter().enumerate().map(condition).collect()
    })
}

pub(super) fn any_effect() -> impl Strategy<Value = Effect> {
    prop::sample::select(&[Effect::Allow, Effect::Hold, Effect::Deny][..])
}

const LINES: &[&str] = &[
    "GET /api/v1/namespaces/prod/pods/web",
    "GET /api/v1/namespaces/dev/pods/db/exec",
    "POST /api/v1/namespaces/prod/pods/web/exec",
    "GET /api/v1/pods",
    "GET /api/v1/namespaces/prod/secrets",
    "GET /api/v1/namespaces/dev/secrets/db",
    "POST /api/v1/namespaces/dev/secrets",
    "PATCH /api/v1/namespaces/prod/pods/db",
    "DELETE /api/v1/namespaces/prod/pods",
    "DELETE /apis/apps/v1/namespaces/dev/deployments/web",
    "GET /version",
];

fn asked() -> impl Strategy<Value = Asked> {
    (prop::sample::select(LINES), any::<bool>(), any::<bool>()).prop_map(
        |(line, applies, privileged)| {
            let mut asked = Asked::new(line);
            asked.applies = applies && asked.info.verb == "patch";
            asked.facts.object.privileged = privileged.then(|| finding("x")).into_iter().collect();
            asked
        },
    )
}

/// One policy per chunk of rules; rules are named by their number.
pub(super) fn compile(rules: &[(usize, RuleSpec)], chunk: usize) -> PolicySet {
    PolicySet::compile(documents(rules, chunk)).unwrap()
}

fn documents(rules: &[(usize, RuleSpec)], chunk: usize) -> Vec<Policy> {
    rules
        .chunks(chunk)
        .enumerate()
        .map(|(number, rules)| Policy {
            api_version: ApiVersion::V1alpha1,
            kind: PolicyKind::Policy,
            metadata: Metadata {
                name: format!("p{number}"),
            },
            spec: PolicySpec {
                masks: Vec::new(),
                rules: rules
                    .iter()
                    .map(|(number, rule)| RuleSpec {
                        name: format!("r{number}"),
                        ..rule.clone()
                    })
                    .collect(),
            },
        })
        .collect()
}

pub(super) fn numbered(rules: &[RuleSpec]) -> Vec<(usize, RuleSpec)> {
    rules.iter().cloned().enumerate().collect()
}

fn strictness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Hold => 1,
        Verdict::Deny | Verdict::Failed | Verdict::DefaultDeny => 2,
    }
}

proptest! {
    #[test]
    fn a_rule_that_is_called_shadowed_can_be_left_out(
        rules in prop::collection::vec(rule(any_effect()), 1..6),
        asked in prop::collection::vec(asked(), 1..6),
    ) {
        let rules = numbered(&rules);
        let policies = documents(&rules, 9);
        let shadowed = |found: &Warning| matches!(found.lint, Lint::Shadowed | Lint::Contradicts);
        if let Some(found) = lint(&policies, None).into_iter().find(shadowed) {
            let at: usize = found.field["spec.rules[".len()..].trim_end_matches(']').parse().unwrap();
            let (before, mut less) = (compile(&rules, 9), rules);
            less.remove(at);
            let after = compile(&less, 9);
            for asked in asked {
                prop_assert_eq!(asked.judge(&before).verdict, asked.judge(&after).verdict);
            }
        }
    }

    #[test]
    fn what_is_explained_is_what_is_judged(
        rules in prop::collection::vec(rule(any_effect()), 1..6),
        asked in asked(),
    ) {
        let set = compile(&numbered(&rules), 3);
        let view = View::new(&asked.caller, "dev", &asked.info, &asked.facts, asked.applies);
        for rule in &set.rules {
            let verbs = match rule.effect {
                Effect::Allow => view.all_of,
                Effect::Hold | Effect::Deny => view.any_of,
            };
            let matches = rule.verbs.meets(verbs) && rule.matches(&view);
            prop_assert_eq!(crate::decide::explain::misses(rule, &view).is_empty(), matches);
        }
    }

    #[test]
    fn what_is_judged_unread_is_so_whatever_the_body_says(
        rules in prop::collection::vec(rule(any_effect()), 1..6),
        line in prop::sample::select(LINES),
    ) {
        let set = compile(&numbered(&rules), 9);
        let unread = Asked::new(line);
        let now = Timestamp::UNIX_EPOCH;
        if let Some(judged) = judge_unread(&unread.caller, &unread.ask, &set, now) {
            for body in ["{}", r#"{"spec":{"containers":[{"securityContext":{"privileged":true}}]}}"#] {
                let writes = !unread.ask.body().is_empty();
                let asked = if writes { Asked::with_body(line, body) } else { Asked::new(line) };
                let read = judge(&asked.caller, &asked.ask, &set, now);
                prop_assert_eq!(judged.verdict, read.verdict, "{} {}", line, body);
            }
        }
    }

    #[test]
    fn a_deny_or_hold_can_only_take_away(
        rules in prop::collection::vec(rule(any_effect()), 0..6),
        guard in rule(prop::sample::select(&[Effect::Hold, Effect::Deny][..])),
        asked in asked(),
    ) {
        let before = compile(&numbered(&rules), 9);
        let mut more = rules;
        let denies = guard.effect == Effect::Deny;
        more.push(guard);
        let after = compile(&numbered(&more), 9);
        let (before, after) = (asked.judge(&before).verdict, asked.judge(&after).verdict);
        if denies {
            prop_assert!(strictness(after) >= strictness(before));
        } else {
            // A hold makes a path to a yes where there was none, by way of a human.
            prop_assert!(after != Verdict::Allow || before == Verdict::Allow);
        }
    }

    #[test]
    fn an_allow_never_overrides_a_deny_or_hold(
        rules in prop::collection::vec(rule(any_effect()), 0..6),
        allow in rule(Just(Effect::Allow)),
        asked in asked(),
    ) {
        let set = compile(&numbered(&rules), 9);
        let before = asked.judge(&set);
        let mut more = rules;
        more.push(allow);
        let set = compile(&numbered(&more), 9);
        let after = asked.judge(&set);
        if matches!(before.verdict, Verdict::Deny | Verdict::Hold) {
            prop_assert_eq!((before.verdict, before.rule), (after.verdict, after.rule));
        }
    }

    #[test]
    fn the_order_of_rules_and_files_means_nothing(
        (rules, shuffled) in prop::collection::vec(rule(any_effect()), 1..8)
            .prop_map(|rules| numbered(&rules))
            .prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        asked in asked(),
    ) {
        let one = compile(&rules, 99);
        let other = compile(&shuffled, 99);
        prop_assert_eq!(asked.judge(&one), asked.judge(&other));
        prop_assert_eq!(one.digest(), other.digest());
        // The verdict does not depend on how the rules are spread over files either.
        let spread = compile(&shuffled, 2);
        prop_assert_eq!(asked.judge(&one).verdict, asked.judge(&spread).verdict);
    }

    #[test]
    fn what_is_allowed_is_covered_by_an_allow_rule_alone(
        rules in prop::collection::vec(rule(any_effect()), 0..6),
        asked in asked(),
    ) {
        let set = compile(&numbered(&rules), 9);
        if asked.judge(&set).verdict == Verdict::Allow {
            let allows: Vec<_> = rules.into_iter().filter(|r| r.effect == Effect::Allow).collect();
            let set = compile(&numbered(&allows), 9);
            prop_assert_eq!(asked.judge(&set).verdict, Verdict::Allow);
        } else {
            let guards: Vec<_> = rules.into_iter().filter(|r| r.effect != Effect::Allow).collect();
            let set = compile(&numbered(&guards), 9);
            prop_assert_ne!(asked.judge(&set).verdict, Verdict::Allow);
        }
    }
}
