//! The index over the rules changes no decision, and leaves out what it can.

use proptest::prelude::*;

use super::super::explain::misses;
use super::super::policy::{Fact, RuleSpec, Subjects, Verb};
use super::super::rule::View;
use super::properties::{any_effect, any_of, compile, conditions, numbered, some_of};
use super::*;

/// Names that begin like each other, and patterns that match some of them.
const NAMES: &[&str] = &[
    "a", "ab", "ab-c", "abc", "ä", "äb", "b", "a*", "ab*", "ab-*", "ä*", "a*c", "*b", "*",
];

/// Rules that say something in every field.
fn rule() -> impl Strategy<Value = RuleSpec> {
    let verbs = |verbs: &'static [Verb]| prop::collection::vec(prop::sample::select(verbs), 1..3);
    let on_paths = (
        verbs(&[Verb::Any, Verb::Get, Verb::Head, Verb::Post]),
        any_of(&["/version", "/livez", "/li*", "/livez/*", "*"]),
    );
    let on_resources = (
        verbs(&[
            Verb::Any,
            Verb::Get,
            Verb::List,
            Verb::Create,
            Verb::Patch,
            Verb::Delete,
        ]),
        any_of(&["", "apps", "ap*", "*.io", "*"]),
        any_of(&["pods", "podtemplates", "pod*", "namespaces", "*s", "*"]),
        (
            some_of(&["", "exec", "*"]),
            some_of(NAMES),
            some_of(NAMES),
            prop::option::of(Just(vec![Fact::Privileged, Fact::DeletesCollection])),
        ),
    );
    let target = prop::option::weighted(0.9, on_resources);
    let who = (
        some_of(NAMES),
        some_of(NAMES),
        some_of(NAMES),
        prop::option::weighted(0.2, Just(vec!["äb".to_owned()])),
        some_of(NAMES),
    );
    (any_effect(), who, target, on_paths, conditions()).prop_map(
        |(
            effect,
            (agents, principals, groups, except_groups, clusters),
            target,
            on_paths,
            conditions,
        )| {
            let base = RuleSpec {
                name: String::new(),
                effect,
                reason: Some("because.".to_owned()),
                subjects: Some(Subjects {
                    agents,
                    principals,
                    groups,
                    except_groups,
                }),
                clusters,
                verbs: on_paths.0,
                api_groups: None,
                resources: None,
                subresources: None,
                namespaces: None,
                resource_names: None,
                non_resource_urls: Some(on_paths.1),
                facts: None,
                match_conditions: conditions,
                hold: None,
            };
            match target {
                None => base,
                Some((verbs, groups, resources, (subresources, namespaces, names, facts))) => {
                    RuleSpec {
                        verbs,
                        api_groups: Some(groups),
                        resources: Some(resources),
                        subresources,
                        namespaces,
                        resource_names: names,
                        non_resource_urls: None,
                        facts,
                        ..base
                    }
                }
            }
        },
    )
}

/// Few rules, of which one often decides, or so many that they fill several words.
fn rules() -> impl Strategy<Value = Vec<RuleSpec>> {
    prop_oneof![
        3 => prop::collection::vec(rule(), 1..8),
        1 => prop::collection::vec(rule(), 60..140),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let lines = &[
        "GET /api/v1/namespaces/{}/pods/ab",
        "GET /api/v1/namespaces/{}/pods",
        "GET /api/v1/pods",
        "DELETE /api/v1/namespaces/{}/pods",
        "POST /api/v1/namespaces/{}/pods",
        "POST /api/v1/namespaces/{}/pods/ab/exec",
        "PATCH /apis/apps/v1/namespaces/{}/deployments/abc",
        "DELETE /apis/apps.example.io/v1/namespaces/{}/podtemplates/a",
        "GET /api/v1/namespaces/{}",
        "POST /api/v1/namespaces",
        "GET /api/v1/nodes/ab",
        "GET /version",
        "GET /livez/{}",
    ][..];
    let name = || prop::sample::select(&["a", "ab", "ab-c", "abcd", "b", "c"][..]);
    let who = prop::sample::select(&["a", "ab", "ab-d", "ä", "äc", "ö", "c"][..]);
    let principal = prop::option::of(prop::sample::select(&["ab", "äb", "c"][..]));
    let groups = prop::collection::vec(prop::sample::select(&["a", "abc", "äb", "c"][..]), 0..3);
    let flags = (any::<bool>(), any::<bool>());
    (
        prop::sample::select(lines),
        name(),
        name(),
        (who, principal, groups),
        flags,
    )
        .prop_map(
            |(line, namespace, cluster, (agent, principal, groups), (applies, privileged))| {
                let mut asked = Asked::new(&line.replace("{}", namespace));
                asked.caller = Caller::for_test(agent, principal, &groups);
                asked.cluster = cluster.to_owned();
                asked.applies = applies && asked.info.verb == "patch";
                asked.facts.object.privileged =
                    privileged.then(|| finding("x")).into_iter().collect();
                asked
            },
        )
}

fn told(judged: Judged<'_>) -> (Option<Verbs>, Judgement<'_>) {
    let missing = match judged {
        Judged::ByDefault { missing } => Some(missing),
        _ => None,
    };
    (missing, judged.into())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_index_changes_no_judgement(
        rules in rules(),
        asks in prop::collection::vec(asked(), 1..16),
    ) {
        let set = compile(&numbered(&rules), 40);
        let all: Vec<&Rule> = set.rules.iter().collect();
        for asked in asks {
            let Asked { caller, cluster, info, facts, applies, .. } = &asked;
            let view = View::new(caller, cluster, info, facts, *applies);
            for view in [view, view.left_open()] {
                prop_assert_eq!(told(judged(&view, &set)), told(judged_by(&all, &view)));
            }
            // In their order, and with all that facts and conditions alone can rule out.
            let mut candidates = set.candidates(&view).into_iter();
            for rule in all.iter().filter(|rule| {
                misses(rule, &view).iter().all(|miss| miss.field == "facts")
            }) {
                prop_assert!(
                    candidates.any(|candidate| std::ptr::eq(candidate, *rule)),
                    "{}/{} is left out of {:?}", rule.policy, rule.name, asked.info
                );
            }
        }
    }
}

fn candidates(set: &PolicySet, asked: &Asked) -> Vec<String> {
    let Asked {
        caller,
        cluster,
        info,
        facts,
        applies,
        ..
    } = asked;
    let view = View::new(caller, cluster, info, facts, *applies);
    let candidates = set.candidates(&view);
    candidates
        .iter()
        .map(|rule| rule.name.to_string())
        .collect()
}

#[test]
fn rules_about_something_else_are_not_asked() {
    let set = set(&[
        r#"{name: verb, effect: allow, verbs: [delete], apiGroups: ["*"], resources: ["*"]}"#,
        r#"{name: group, effect: allow, verbs: ["*"], apiGroups: [apps], resources: ["*"]}"#,
        r#"{name: groups, effect: allow, verbs: ["*"], apiGroups: ["apps*"], resources: ["*"]}"#,
        r#"{name: resource, effect: allow, verbs: ["*"], apiGroups: ["*"], resources: [secrets]}"#,
        r#"{name: namespace, effect: allow, verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: [prod]}"#,
        r#"{name: namespaces, effect: allow, verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["prod-*"]}"#,
        r#"{name: guard, effect: deny, reason: d., verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: [prod]}"#,
        r#"{name: path, effect: allow, verbs: ["*"], nonResourceURLs: [/version]}"#,
        r#"{name: paths, effect: allow, verbs: ["*"], nonResourceURLs: ["/livez/*"]}"#,
        ALL,
    ]);
    let table = [
        ("GET /api/v1/namespaces/dev/pods", &["all"][..]),
        ("GET /api/v1/pods", &["guard", "all"]),
        (
            "GET /api/v1/namespaces/prod/pods",
            &["guard", "all", "namespace"],
        ),
        (
            "GET /api/v1/namespaces/prod-eu/pods",
            &["all", "namespaces"],
        ),
        ("GET /api/v1/namespaces/dev/secrets", &["all", "resource"]),
        ("DELETE /api/v1/namespaces/dev/pods/p", &["all", "verb"]),
        (
            "GET /apis/apps/v1/namespaces/dev/deployments",
            &["all", "group", "groups"],
        ),
        (
            "GET /apis/apps.io/v1/namespaces/dev/deployments",
            &["all", "groups"],
        ),
        ("GET /version", &["path"]),
        ("GET /livez/etcd", &["paths"]),
        ("GET /healthz", &[]),
    ];
    for (line, expected) in table {
        assert_eq!(candidates(&set, &Asked::new(line)), expected, "{line}");
    }
}

#[test]
fn of_many_rules_those_for_others_and_elsewhere_are_not_asked_either() {
    let many = |narrow: &str| {
        let rule = |at: usize| {
            let narrow = narrow.replace('#', &at.to_string());
            format!(
                r#"{{name: "{at}", effect: allow, {narrow}, verbs: ["*"], apiGroups: ["*"], resources: ["*"]}}"#
            )
        };
        let rules: Vec<String> = (100..200).map(rule).collect();
        set(&rules.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut asked = Asked::new("GET /api/v1/namespaces/dev/pods");
    asked.caller = Caller::for_test("bot-142", None, &["agents", "team-142"]);
    asked.cluster = "eu-142".to_owned();
    for narrow in [
        "clusters: [eu-#]",
        r#"clusters: ["eu-#*"]"#,
        "subjects: {agents: [bot-#]}",
        r#"subjects: {agents: ["bot-#*"]}"#,
        "subjects: {groups: [team-#]}",
        r#"subjects: {groups: ["team-#*"]}"#,
    ] {
        assert_eq!(candidates(&many(narrow), &asked), ["142"], "{narrow}");
    }
}
