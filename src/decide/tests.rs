//! Tests of room ④: the meaning of rules, explanations, lints, properties. The table of the
//! shipped guardrails is tried in `suppose`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod asked;
mod conditions;
mod explain;
mod facts;
mod index;
mod lint;
mod properties;
mod unread;

use super::*;
use crate::parse::facts::Finding;
use crate::parse::{Embedders, Facts};
use asked::Asked;

const HEAD: &str = "apiVersion: gateward.dev/v1alpha1\nkind: Policy\n";

fn policies(rules: &str) -> Vec<Policy> {
    let text = format!("{HEAD}metadata: {{name: test}}\nspec:\n  rules:\n{rules}\n");
    vec![serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))]
}

/// A set of one policy called `test`; the rules in YAML, one flow mapping per line.
fn set(rules: &[&str]) -> PolicySet {
    PolicySet::compile(policies(&list(rules))).unwrap()
}

fn list(rules: &[&str]) -> String {
    rules.iter().map(|rule| format!("  - {rule}\n")).collect()
}

fn errors(rule: &str) -> Vec<PolicyError> {
    PolicySet::compile(policies(&list(&[rule]))).unwrap_err()
}

fn default_pack() -> PolicySet {
    PolicySet::compile(vec![
        serde_saphyr::from_str(include_str!("../../policies/default.yaml")).unwrap(),
    ])
    .unwrap()
}

fn finding(field: &str) -> Finding {
    Finding {
        field: field.to_owned(),
        value: "true".to_owned(),
    }
}

fn verdict(set: &PolicySet, asked: &str) -> Verdict {
    Asked::new(asked).judge(set).verdict
}

const ALL: &str = r#"{name: all, effect: allow, verbs: ["*"], apiGroups: ["*"], resources: ["*"], subresources: ["*"]}"#;

#[test]
fn nothing_is_allowed_by_default() {
    let set = PolicySet::compile(Vec::new()).unwrap();
    for asked in ["GET /api/v1/pods", "GET /version", "DELETE /api/v1/nodes/n"] {
        assert_eq!(verdict(&set, asked), Verdict::DefaultDeny, "{asked}");
    }
}

#[test]
fn deny_beats_hold_beats_allow_and_the_first_name_speaks() {
    let set = set(&[
        ALL,
        r#"{name: zz, effect: hold, reason: z., verbs: [delete], apiGroups: [""], resources: [pods]}"#,
        r#"{name: aa, effect: hold, reason: a., verbs: [delete], apiGroups: [""], resources: [pods]}"#,
        r#"{name: no, effect: deny, reason: n., verbs: [delete], apiGroups: [""], resources: [pods], resourceNames: [db]}"#,
    ]);
    assert_eq!(
        verdict(&set, "GET /api/v1/namespaces/a/pods/db"),
        Verdict::Allow
    );
    let held = Asked::new("DELETE /api/v1/namespaces/a/pods/web");
    let held = held.judge(&set);
    assert_eq!(
        (held.verdict, held.rule, held.reason),
        (Verdict::Hold, "aa", "a.")
    );
    let terms = held.hold.unwrap();
    assert_eq!(
        (terms.expires_after, terms.quorum),
        (Period::from_secs(900), 1)
    );
    let denied = Asked::new("DELETE /api/v1/namespaces/a/pods/db");
    let denied = denied.judge(&set);
    assert_eq!((denied.verdict, denied.rule), (Verdict::Deny, "no"));
}

#[test]
fn an_allow_rule_on_namespaces_never_covers_a_request_over_all_of_them() {
    let set = set(&[
        r#"{name: a, effect: allow, verbs: ["*"], apiGroups: [""], resources: ["*"], namespaces: ["*"]}"#,
    ]);
    let table = [
        ("GET /api/v1/namespaces/dev/pods", Verdict::Allow),
        ("GET /api/v1/pods", Verdict::DefaultDeny),
        ("GET /api/v1/pods?watch=1", Verdict::DefaultDeny),
        ("DELETE /api/v1/pods", Verdict::DefaultDeny),
        ("GET /api/v1/nodes/n", Verdict::DefaultDeny),
        ("GET /api/v1/nodes", Verdict::DefaultDeny),
        ("GET /api/v1/namespaces", Verdict::DefaultDeny),
        ("GET /api/v1/namespaces/dev", Verdict::Allow),
        ("POST /api/v1/namespaces", Verdict::DefaultDeny),
    ];
    for (asked, expected) in table {
        assert_eq!(verdict(&set, asked), expected, "{asked}");
    }
}

#[test]
fn a_deny_on_a_namespace_cannot_be_talked_around_by_asking_for_all() {
    let set = set(&[
        ALL,
        r#"{name: d, effect: deny, reason: d., verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: [prod]}"#,
    ]);
    let table = [
        ("GET /api/v1/namespaces/prod/pods", Verdict::Deny),
        ("GET /api/v1/namespaces/prod/pods/web/log", Verdict::Deny),
        ("GET /api/v1/namespaces/prod/pods/web/exec", Verdict::Deny),
        ("GET /api/v1/namespaces/dev/pods", Verdict::Allow),
        ("GET /api/v1/pods", Verdict::Deny),
        ("GET /api/v1/pods?watch=1", Verdict::Deny),
        ("DELETE /api/v1/pods", Verdict::Deny),
        ("GET /apis/example.com/v1/widgets", Verdict::Deny),
        ("GET /api/v1/namespaces/prod", Verdict::Deny),
        ("DELETE /api/v1/namespaces/prod", Verdict::Deny),
        ("GET /api/v1/namespaces", Verdict::Deny),
        ("POST /api/v1/namespaces", Verdict::Deny),
        ("GET /api/v1/nodes", Verdict::Allow),
        ("GET /api/v1/nodes/n", Verdict::Allow),
        (
            "GET /apis/rbac.authorization.k8s.io/v1/clusterroles",
            Verdict::Allow,
        ),
        (
            "GET /apis/rbac.authorization.k8s.io/v1/roles",
            Verdict::Deny,
        ),
        ("POST /api/v1/persistentvolumes", Verdict::Allow),
    ];
    for (asked, expected) in table {
        assert_eq!(verdict(&set, asked), expected, "{asked}");
    }
}

#[test]
fn names_that_the_path_does_not_say_are_judged_on_the_safe_side() {
    let set = set(&[
        r#"{name: a, effect: allow, verbs: ["*"], apiGroups: [""], resources: [configmaps], resourceNames: [mine]}"#,
        r#"{name: all-secrets, effect: allow, verbs: ["*"], apiGroups: [""], resources: [secrets]}"#,
        r#"{name: d, effect: deny, reason: d., verbs: ["*"], apiGroups: [""], resources: [secrets], resourceNames: [db]}"#,
    ]);
    let table = [
        ("GET /api/v1/namespaces/a/configmaps/mine", Verdict::Allow),
        (
            "GET /api/v1/namespaces/a/configmaps/other",
            Verdict::DefaultDeny,
        ),
        ("GET /api/v1/namespaces/a/configmaps", Verdict::DefaultDeny),
        ("POST /api/v1/namespaces/a/configmaps", Verdict::DefaultDeny),
        (
            "DELETE /api/v1/namespaces/a/configmaps",
            Verdict::DefaultDeny,
        ),
        ("GET /api/v1/namespaces/a/secrets/db", Verdict::Deny),
        ("GET /api/v1/namespaces/a/secrets/web", Verdict::Allow),
        ("GET /api/v1/namespaces/a/secrets", Verdict::Deny),
        ("GET /api/v1/namespaces/a/secrets?watch=1", Verdict::Deny),
        ("POST /api/v1/namespaces/a/secrets", Verdict::Deny),
        ("DELETE /api/v1/namespaces/a/secrets", Verdict::Deny),
    ];
    for (asked, expected) in table {
        assert_eq!(verdict(&set, asked), expected, "{asked}");
    }
}

#[test]
fn subresources_unsaid_are_left_out_of_allow_and_taken_into_deny() {
    let set = set(&[
        r#"{name: a, effect: allow, verbs: ["*"], apiGroups: [""], resources: [pods]}"#,
        r#"{name: b, effect: allow, verbs: ["*"], apiGroups: [""], resources: [nodes], subresources: ["*"]}"#,
        r#"{name: c, effect: allow, verbs: ["*"], apiGroups: [""], resources: [services], subresources: [status]}"#,
        r#"{name: d, effect: deny, reason: d., verbs: ["*"], apiGroups: [""], resources: [nodes], resourceNames: [n1]}"#,
        r#"{name: e, effect: deny, reason: e., verbs: ["*"], apiGroups: [""], resources: [nodes], subresources: [""], resourceNames: [n2]}"#,
    ]);
    let table = [
        ("GET /api/v1/namespaces/a/pods/p", Verdict::Allow),
        ("GET /api/v1/namespaces/a/pods/p/log", Verdict::DefaultDeny),
        ("GET /api/v1/nodes/n3", Verdict::Allow),
        ("GET /api/v1/nodes/n3/status", Verdict::Allow),
        ("GET /api/v1/namespaces/a/services/s", Verdict::DefaultDeny),
        ("GET /api/v1/namespaces/a/services/s/status", Verdict::Allow),
        ("GET /api/v1/nodes/n1/status", Verdict::Deny),
        ("GET /api/v1/nodes/n2", Verdict::Deny),
        ("GET /api/v1/nodes/n2/status", Verdict::Allow),
    ];
    for (asked, expected) in table {
        assert_eq!(verdict(&set, asked), expected, "{asked}");
    }
}

#[test]
fn threat_07_opening_a_channel_by_get_counts_as_create() {
    let read_only = set(&[
        r#"{name: a, effect: allow, verbs: [get, list, watch], apiGroups: ["*"], resources: ["*"], subresources: ["*"]}"#,
    ]);
    let held = set(&[
        ALL,
        r#"{name: h, effect: hold, reason: h., verbs: [create], apiGroups: [""], resources: [pods], subresources: [exec, attach, portforward, proxy]}"#,
    ]);
    for subresource in ["exec", "attach", "portforward", "proxy"] {
        for method in ["GET", "POST"] {
            let asked = format!("{method} /api/v1/namespaces/a/pods/p/{subresource}");
            assert_eq!(verdict(&read_only, &asked), Verdict::DefaultDeny, "{asked}");
            assert_eq!(verdict(&held, &asked), Verdict::Hold, "{asked}");
        }
    }
}

#[test]
fn a_server_side_apply_needs_create_beside_patch() {
    let patch = r#"{name: p, effect: allow, verbs: [patch], apiGroups: [""], resources: [pods]}"#;
    let create = r#"{name: c, effect: allow, verbs: [create], apiGroups: [""], resources: [pods]}"#;
    let deny = r#"{name: d, effect: deny, reason: d., verbs: [create], apiGroups: [""], resources: [pods]}"#;
    let mut apply = Asked::new("PATCH /api/v1/namespaces/a/pods/p");
    assert_eq!(apply.judge(&set(&[patch])).verdict, Verdict::Allow);
    assert_eq!(apply.judge(&set(&[patch, deny])).verdict, Verdict::Allow);
    apply.applies = true;
    assert_eq!(apply.judge(&set(&[patch])).verdict, Verdict::DefaultDeny);
    assert_eq!(apply.judge(&set(&[create])).verdict, Verdict::DefaultDeny);
    assert_eq!(apply.judge(&set(&[patch, create])).verdict, Verdict::Allow);
    assert_eq!(
        apply.judge(&set(&[patch, create, deny])).verdict,
        Verdict::Deny
    );
}

#[test]
fn a_server_side_apply_is_known_by_its_content_type() {
    let (method, path) = (http::Method::PATCH, "/api/v1/namespaces/a/configmaps/c");
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "content-type",
        "application/apply-patch+yaml".parse().unwrap(),
    );
    let query = Some("fieldManager=x");
    let apply = crate::parse::head("dev".into(), &method, path, query, &headers)
        .and_then(|head| {
            head.with_body(
                "kind: ConfigMap\napiVersion: v1".into(),
                &Embedders::default(),
            )
        })
        .unwrap();
    let caller = Arc::new(Caller::for_test("coder", None, &[]));
    let set = set(&[
        r#"{name: p, effect: allow, verbs: [patch], apiGroups: [""], resources: [configmaps]}"#,
    ]);
    let Decision::Refuse(Refusal::NotAllowed { operation, .. }) =
        decide(caller, apply, &set, Timestamp::UNIX_EPOCH)
    else {
        panic!("let through");
    };
    assert_eq!(operation, r#"create configmaps "c" in "a""#);
}

#[test]
fn a_permit_says_who_let_what_through() {
    let (pack, asked) = (
        default_pack(),
        Asked::new("GET /api/v1/namespaces/a/pods/p"),
    );
    let Decision::Permit(permit) = decide(
        Arc::new(asked.caller),
        asked.ask,
        &pack,
        Timestamp::UNIX_EPOCH,
    ) else {
        panic!("not allowed");
    };
    let (caller, ask, grant) = permit.into_parts();
    assert_eq!((caller.agent(), &*ask.info().name), ("coder", "p"));
    assert_eq!((&*grant.policy, &*grant.rule), ("default", "reads"));
    assert_eq!(&*grant.policy_digest, pack.digest());
    assert_eq!(grant.approval, None);
}

#[test]
fn a_denial_carries_the_rules_own_sentence() {
    let (pack, asked) = (default_pack(), Asked::new("DELETE /api/v1/namespaces/a"));
    let Decision::Refuse(Refusal::Denied {
        policy,
        rule,
        reason,
    }) = decide(
        Arc::new(asked.caller),
        asked.ask,
        &pack,
        Timestamp::UNIX_EPOCH,
    )
    else {
        panic!("not denied");
    };
    assert_eq!((&*policy, &*rule), ("default", "delete-namespaces"));
    assert!(reason.starts_with("Deleting a namespace deletes everything in it at once;"));
}

/// A hold by a rule that wants two people.
fn held() -> Hold {
    let set = set(&[
        r#"{name: h, effect: hold, reason: h., verbs: [delete], apiGroups: [""], resources: [pods], hold: {quorum: 2, approverGroups: [ops], expiresAfter: 1h}}"#,
    ]);
    let asked = Asked::new("DELETE /api/v1/namespaces/a/pods/p");
    match decide(
        Arc::new(asked.caller),
        asked.ask,
        &set,
        Timestamp::UNIX_EPOCH,
    ) {
        Decision::Hold(hold) => hold,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_approved_hold_becomes_a_permit_for_the_same_request() {
    let hold = held();
    assert_eq!(*hold.terms().approver_groups, ["ops".to_owned()]);
    assert_eq!(hold.terms().expires_after, Period::from_secs(3600));
    let digest = hold.policy_digest().to_owned();
    let permit = hold
        .granted(Approval {
            hold_id: "7".to_owned(),
            approvers: vec!["dan".to_owned(), "carol".to_owned()],
        })
        .unwrap();
    assert_eq!(permit.ask().info().name, "p");
    assert_eq!(*permit.grant().policy_digest, *digest);
    let approval = permit.grant().approval.clone().unwrap();
    assert_eq!(approval.approvers, ["carol", "dan"]);
}

#[test]
fn threat_15_an_approval_short_of_heads_or_by_the_requester_opens_nothing() {
    for approvers in [
        &[][..],
        &["carol"],
        &["carol", "carol"],
        &["carol", "coder"],
        &["carol", "coder@issuer.test"],
        &["carol", "dan", "alice@example.com"],
    ] {
        let approval = Approval {
            hold_id: "7".to_owned(),
            approvers: approvers.iter().map(|name| (*name).to_owned()).collect(),
        };
        let refused = held().granted(approval);
        assert!(
            matches!(refused, Err(Refusal::Internal { .. })),
            "{approvers:?}"
        );
    }
}

#[test]
fn subjects_are_any_of_a_list_and_all_of_the_lists() {
    let set = set(&[
        r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], clusters: [dev-*], subjects: {agents: ["ci:*", coder], principals: ["*@example.com"], groups: [dev, ops]}}"#,
    ]);
    let table = [
        ("coder", Some("a@example.com"), &["dev"][..], "dev-1", true),
        (
            "ci:build",
            Some("a@example.com"),
            &["x", "ops"][..],
            "dev-2",
            true,
        ),
        ("other", Some("a@example.com"), &["dev"][..], "dev-1", false),
        ("coder", Some("a@example.org"), &["dev"][..], "dev-1", false),
        ("coder", None, &["dev"][..], "dev-1", false),
        ("coder", Some("a@example.com"), &[][..], "dev-1", false),
        ("coder", Some("a@example.com"), &["dev"][..], "prod", false),
    ];
    for (agent, principal, groups, cluster, allowed) in table {
        let mut asked = Asked::new("GET /api/v1/namespaces/a/pods/p");
        asked.caller = Caller::for_test(agent, principal, groups);
        asked.cluster = cluster.to_owned();
        let judged = asked.judge(&set).verdict;
        assert_eq!(
            judged == Verdict::Allow,
            allowed,
            "{agent} {principal:?} {cluster}"
        );
    }
}

#[test]
fn a_rule_is_not_about_members_of_the_groups_that_it_excepts() {
    let set = set(&[
        r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], subjects: {exceptGroups: [interns]}}"#,
        r#"{name: h, effect: hold, reason: h., verbs: [get], apiGroups: [""], resources: [pods], namespaces: [prod], subjects: {groups: [dev], exceptGroups: ["oncall-*", root]}}"#,
        r#"{name: d, effect: deny, reason: d., verbs: [get], apiGroups: [""], resources: [pods], namespaces: [vault], subjects: {exceptGroups: [root]}}"#,
    ]);
    let table = [
        ("prod", &["dev"][..], Verdict::Hold),
        ("prod", &["dev", "oncall-eu"][..], Verdict::Allow),
        ("prod", &["root", "dev", "x"][..], Verdict::Allow),
        ("prod", &["dev", "oncall"][..], Verdict::Hold),
        ("prod", &["dev", "Root"][..], Verdict::Hold),
        ("prod", &[][..], Verdict::Allow),
        (
            "prod",
            &["dev", "root", "interns"][..],
            Verdict::DefaultDeny,
        ),
        ("vault", &[][..], Verdict::Deny),
        ("vault", &["dev", "oncall-eu"][..], Verdict::Deny),
        ("vault", &["root"][..], Verdict::Allow),
    ];
    for (namespace, groups, expected) in table {
        let mut asked = Asked::new(&format!("GET /api/v1/namespaces/{namespace}/pods/p"));
        asked.caller = Caller::for_test("root", Some("root"), groups);
        assert_eq!(
            asked.judge(&set).verdict,
            expected,
            "{namespace} {groups:?}"
        );
    }
}

#[test]
fn a_verb_is_covered_by_itself_and_by_the_star_alone() {
    let table = [
        (
            "nonResourceURLs: [/version]",
            "GET /version",
            &["get", "head", "post", "put", "patch", "delete", "options"][..],
        ),
        (
            "apiGroups: [''], resources: [pods]",
            "GET /api/v1/namespaces/a/pods/p",
            &[
                "get",
                "list",
                "watch",
                "create",
                "update",
                "patch",
                "delete",
                "deletecollection",
            ],
        ),
    ];
    for (target, line, words) in table {
        let mut asked = Asked::new(line);
        let rule = |verb: &str| format!("{{name: a, effect: allow, verbs: ['{verb}'], {target}}}");
        for named in words {
            let one = set(&[&rule(named)]);
            for word in words {
                asked.info.verb = word;
                let allowed = asked.judge(&one).verdict == Verdict::Allow;
                assert_eq!(allowed, word == named, "{word} by {named}");
            }
            let selects =
                &explain(&asked.caller, &asked.ask, &one, Timestamp::UNIX_EPOCH).rules[0].selects;
            assert_eq!(selects[0], ("verbs".to_owned(), (*named).to_owned()));
            asked.info.verb = "unheard-of";
            assert_eq!(asked.judge(&one).verdict, Verdict::DefaultDeny);
        }
        assert_eq!(asked.judge(&set(&[&rule("*")])).verdict, Verdict::Allow);
    }
}

#[test]
fn what_service_accounts_may_do_is_asked_only_if_a_rule_speaks_of_it() {
    let on_pods = r#"name: a, effect: allow, verbs: [create], apiGroups: [""], resources: [pods]"#;
    let condition = |text: &str| {
        format!("{{{on_pods}, matchConditions: [{{name: c, expression: \"{text}\"}}]}}")
    };
    for (rule, asks) in [
        (format!("{{{on_pods}}}"), false),
        (format!("{{{on_pods}, facts: [secretsExposed]}}"), false),
        (
            format!("{{{on_pods}, facts: [nodeName, powerfulServiceAccount]}}"),
            true,
        ),
        (condition("facts.serviceAccounts.size() > 0"), false),
        (condition("facts.serviceAccountGrants.size() > 0"), true),
        (condition("!facts.serviceAccountGrantsKnown"), true),
        (
            "{name: a, effect: allow, verbs: [get], nonResourceURLs: [/version]}".to_owned(),
            false,
        ),
    ] {
        assert_eq!(set(&[&rule]).asks_rights(), asks, "{rule}");
    }
}

#[test]
fn the_path_of_a_field_is_read_step_by_step() {
    let member = |name: &str| Step::Member(name.into());
    for (text, steps) in [
        ("spec", vec![member("spec")]),
        (
            r#"spec["a.b/c"].d[*].*.e"#,
            vec![
                member("spec"),
                member("a.b/c"),
                member("d"),
                Step::AnyElement,
                Step::AnyMember,
                member("e"),
            ],
        ),
        (r#"["a"]["b"]"#, vec![member("a"), member("b")]),
        ("**.token", vec![Step::Deep, member("token")]),
    ] {
        assert_eq!(*masks::path(text).unwrap().steps, *steps, "{text}");
    }
    for (text, expected) in [
        ("", "is empty"),
        ("a..b", "a name is missing"),
        ("[*]", "a name is missing"),
        ("a.", "a name is missing"),
        (r#"a["b"#, "does not end"),
        (r#"a["b"]c"#, "expected"),
        ("a*.b", "a name is whole"),
        ("a.**", "ends with"),
    ] {
        let told = masks::path(text).unwrap_err();
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn paths_and_resources_do_not_mix() {
    let set =
        set(&[r#"{name: a, effect: allow, verbs: [get], nonResourceURLs: [/healthz, "/apis/*"]}"#]);
    let table = [
        ("GET /healthz", Verdict::Allow),
        ("GET /healthz/etcd", Verdict::DefaultDeny),
        ("GET /apis/apps/v1", Verdict::Allow),
        ("HEAD /healthz", Verdict::DefaultDeny),
        ("GET /apis/apps/v1/deployments", Verdict::DefaultDeny),
    ];
    for (asked, expected) in table {
        assert_eq!(verdict(&set, asked), expected, "{asked}");
    }
}

#[test]
fn facts_narrow_a_rule() {
    let set = set(&[
        ALL,
        r#"{name: h, effect: hold, reason: h., verbs: [create], apiGroups: ["*"], resources: ["*"], facts: [privileged]}"#,
    ]);
    let mut asked = Asked::new("POST /apis/example.com/v1/namespaces/a/robots");
    assert_eq!(asked.judge(&set).verdict, Verdict::Allow);
    asked.facts.object.privileged.push(finding("spec.x"));
    assert_eq!(asked.judge(&set).verdict, Verdict::Hold);
}

#[test]
fn the_cluster_is_asked_only_if_its_answer_can_matter() {
    let rule = |effect: &str, fact: &str| {
        let rule = serde_json::json!({"name": "f", "effect": effect, "reason": "r.", "verbs": ["patch"],
            "apiGroups": ["*"], "resources": ["*"], "facts": [fact]});
        rule.to_string()
    };
    for (rules, target, asked) in [
        (vec![rule("allow", "secrets")], "secrets/s", true),
        (vec![rule("allow", "secrets")], "pods/p", false),
        (vec![rule("allow", "hostPath")], "pods/p", true),
        (
            vec![ALL.into(), rule("deny", "secrets")],
            "secrets/s",
            false,
        ),
        (vec![ALL.into(), rule("deny", "secrets")], "pods/p", true),
        (vec![ALL.into(), rule("deny", "hostPath")], "pods/p", true),
        (
            vec![ALL.into(), rule("deny", "execLike")],
            "pods/p/ephemeralcontainers",
            false,
        ),
        (vec![ALL.into(), rule("hold", "secrets")], "secrets/s", true),
    ] {
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let path = format!("/api/v1/namespaces/a/{target}");
        let ask = Ask::for_test("dev", "PATCH", &path, "{}");
        let caller = Arc::new(Caller::for_test("coder", None, &[]));
        let rehearsal = rehearse(&caller, &ask, &set(&rules));
        assert_eq!(rehearsal.is_ok(), asked, "{rules:?} {target}");
    }
}

#[test]
fn every_mistake_in_a_rule_is_found_with_its_field() {
    let table = [
        (
            r#"{name: A_, effect: allow, verbs: [get], apiGroups: [""], resources: [pods]}"#,
            "name",
            "not a valid name",
        ),
        (
            r#"{name: a, effect: deny, verbs: [get], apiGroups: [""], resources: [pods]}"#,
            "reason",
            "needs a reason",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods/log]}"#,
            "resources[0]",
            "subresource",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [Pod]}"#,
            "resources[0]",
            "not a resource",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], namespaces: [""]}"#,
            "namespaces[0]",
            "empty pattern",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], subjects: {exceptGroups: []}}"#,
            "subjects.exceptGroups",
            "empty list",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], subjects: {agents: [""]}}"#,
            "subjects.agents[0]",
            "empty pattern",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [""]}"#,
            "resources[0]",
            "empty pattern",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], resources: [pods]}"#,
            "",
            "needs apiGroups",
        ),
        (
            r#"{name: a, effect: allow, verbs: [], apiGroups: [""], resources: [pods]}"#,
            "verbs",
            "empty list",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], namespaces: []}"#,
            "namespaces",
            "empty list",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], namespaces: ["a**"]}"#,
            "namespaces[0]",
            "single",
        ),
        (
            r#"{name: a, effect: allow, verbs: [put], apiGroups: [""], resources: [pods]}"#,
            "verbs[0]",
            "never occurs on resources",
        ),
        (
            r#"{name: a, effect: allow, verbs: [list], nonResourceURLs: [/x]}"#,
            "verbs[0]",
            "never occurs on nonResourceURLs",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], nonResourceURLs: [/x], namespaces: [a]}"#,
            "namespaces",
            "cannot have",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], nonResourceURLs: ["/x/*/y"]}"#,
            "nonResourceURLs[0]",
            "at its end",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], nonResourceURLs: [healthz]}"#,
            "nonResourceURLs[0]",
            "at its end",
        ),
        (
            r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], hold: {}}"#,
            "hold",
            "only a rule",
        ),
        (
            r#"{name: a, effect: hold, reason: r., verbs: [get], apiGroups: [""], resources: [pods], hold: {quorum: 0}}"#,
            "hold.quorum",
            "between 1 and 10",
        ),
        (
            r#"{name: a, effect: hold, reason: r., verbs: [get], apiGroups: [""], resources: [pods], hold: {expiresAfter: 48h}}"#,
            "hold.expiresAfter",
            "between",
        ),
        (
            r#"{name: a, effect: hold, reason: r., verbs: [get], apiGroups: [""], resources: [pods], hold: {approverGroups: ["*"]}}"#,
            "hold.approverGroups[0]",
            "patterns",
        ),
    ];
    for (rule, field, message) in table {
        let found = errors(rule);
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        let expected = format!("spec.rules[0].{field}");
        assert_eq!(found[0].field, expected.trim_end_matches('.'), "{rule}");
        assert!(
            found[0].message.contains(message),
            "{rule}: {}",
            found[0].message
        );
    }
}

#[test]
fn names_must_be_unique() {
    let rule = r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods]}"#;
    let twice = PolicySet::compile(policies(&list(&[rule, rule]))).unwrap_err();
    assert_eq!((twice.len(), &*twice[0].field), (1, "spec.rules[1].name"));
    let mut both = policies(&list(&[rule]));
    both.extend(policies(&list(&[rule])));
    let twice = PolicySet::compile(both).unwrap_err();
    assert_eq!((twice[0].document, &*twice[0].field), (1, "metadata.name"));
}

#[test]
fn the_digest_names_the_contents() {
    let one = set(&[ALL]);
    let other = set(&[&ALL.replace("allow", "deny, reason: r.")]);
    assert_eq!(one.digest().len(), 64);
    assert_eq!(one.digest(), set(&[ALL]).digest());
    assert_ne!(one.digest(), other.digest());
    // It is that of the text that is kept, so anybody can compare the two.
    let kept: serde_json::Value = serde_json::from_slice(one.document()).unwrap();
    assert_eq!(kept[0]["spec"]["rules"][0]["name"], "all");
    use sha2::Digest as _;
    let hex: String = sha2::Sha256::digest(one.document())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(one.digest(), hex);
    assert_eq!(one.rules().collect::<Vec<_>>(), [("test", "all")]);
}

#[test]
fn an_operation_reads_like_a_sentence() {
    let table = [
        (
            "DELETE /api/v1/namespaces/a/pods/web",
            r#"delete pods "web" in "a""#,
        ),
        (
            "GET /api/v1/namespaces/a/pods/web/log",
            r#"get pods/log "web" in "a""#,
        ),
        ("DELETE /api/v1/namespaces/a", r#"delete namespaces "a""#),
        ("GET /apis/apps/v1/deployments", "list deployments.apps"),
        ("GET /metrics", "get /metrics"),
    ];
    for (asked, words) in table {
        assert_eq!(operation(&Asked::new(asked).info), words);
    }
}

#[test]
fn whatever_runs_something_is_held_even_under_an_unknown_name() {
    let mut asked = Asked::new("GET /apis/example.com/v1/namespaces/a/machines/m/console");
    asked.facts.exec_like = true;
    let pack = default_pack();
    let judged = asked.judge(&pack);
    assert_eq!(
        (judged.verdict, judged.rule),
        (Verdict::Hold, "other-exec-like")
    );
}

#[test]
fn threat_09_proxies_are_denied_by_default() {
    let pack = default_pack();
    for target in [
        "nodes/n",
        "namespaces/a/pods/p",
        "namespaces/a/services/https:s:443",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            for tail in ["", "/", "/run/a/p/c"] {
                let asked = format!("{method} /api/v1/{target}/proxy{tail}");
                assert_eq!(verdict(&pack, &asked), Verdict::Deny, "{asked}");
            }
        }
    }
}

#[test]
fn threat_14_a_privileged_pod_in_any_embedder_is_held() {
    let pack = default_pack();
    for asked in [
        "POST /api/v1/namespaces/a/pods",
        "PUT /api/v1/namespaces/a/pods/p",
        "PATCH /api/v1/namespaces/a/pods/p",
        "PATCH /api/v1/namespaces/a/pods/p/resize",
        "POST /api/v1/namespaces/a/replicationcontrollers",
        "POST /apis/apps/v1/namespaces/a/deployments",
        "POST /apis/apps/v1beta2/namespaces/a/statefulsets",
        "PATCH /apis/apps/v1/namespaces/a/daemonsets/d",
        "POST /apis/extensions/v1beta1/namespaces/a/daemonsets",
        "POST /apis/batch/v1/namespaces/a/jobs",
        "PUT /apis/batch/v1/namespaces/a/cronjobs/c",
        "POST /apis/argoproj.io/v1alpha1/namespaces/a/workflows",
    ] {
        let container = r#"{"securityContext":{"privileged":true}}"#;
        let body = format!(r#"{{"spec":{{"any":{{"depth":{{"containers":[{container}]}}}}}}}}"#);
        let mut asked = Asked::with_body(asked, &body);
        assert_eq!(
            asked.judge(&pack).verdict,
            Verdict::Hold,
            "{:?}",
            asked.info
        );
        asked.applies = true;
        assert_eq!(
            asked.judge(&pack).verdict,
            Verdict::Hold,
            "{:?}",
            asked.info
        );
    }
    let debug = "PATCH /api/v1/namespaces/a/pods/p/ephemeralcontainers";
    assert_eq!(verdict(&pack, debug), Verdict::Hold);
}

#[test]
fn threat_28_no_credential_can_be_minted_unseen() {
    let pack = default_pack();
    for asked in [
        "POST /api/v1/namespaces/a/serviceaccounts/s/token",
        "POST /api/v1/namespaces/a/secrets",
        "PATCH /api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef",
        "POST /apis/certificates.k8s.io/v1/certificatesigningrequests",
        "PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/c/approval",
        "PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/c/status",
        "POST /apis/certificates.k8s.io/v1beta1/namespaces/a/podcertificaterequests",
        "POST /apis/rbac.authorization.k8s.io/v1/clusterroles",
        "PUT /apis/rbac.authorization.k8s.io/v1/clusterroles/r",
        "PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/r",
        "POST /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        "PATCH /apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/m",
        "PUT /apis/apiregistration.k8s.io/v1/apiservices/v1.example.com",
        "PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/x",
        "PATCH /api/v1/nodes/n/status",
        "POST /api/v1/namespaces/a/serviceaccounts",
    ] {
        // What works against the API server at once, without the gate, no human lets through.
        let direct = ["/token", "certificates.k8s.io", "/nodes/"];
        let expected = match direct.iter().any(|part| asked.contains(part)) {
            true => Verdict::Deny,
            false => Verdict::Hold,
        };
        assert_eq!(verdict(&pack, asked), expected, "{asked}");
    }
}

#[test]
fn a_name_is_one_that_kubernetes_would_take() {
    let rule = |name: &str| {
        format!(
            "{{name: '{name}', effect: allow, verbs: [get], apiGroups: [''], resources: [pods]}}"
        )
    };
    let longest = "a".repeat(63);
    for good in ["a", "0", "a-b.c-0", &longest] {
        set(&[&rule(good)]);
    }
    let too_long = "a".repeat(64);
    for bad in [
        "", "-a", "a-", ".a", "a.", "A", "a_b", "a b", "ä", &too_long,
    ] {
        let errors = errors(&rule(bad));
        assert!(
            errors[0].message.contains("is not a valid name"),
            "{bad}: {errors:?}"
        );
    }
}

#[test]
fn a_reason_is_one_line_that_a_status_can_carry() {
    let rule = |reason: &str| {
        format!(
            "{{name: a, effect: deny, reason: \"{reason}\", verbs: [get], apiGroups: [''], resources: [pods]}}"
        )
    };
    set(&[&rule(&"r".repeat(500))]);
    for bad in [&*"r".repeat(501), "two\\nlines", "a bell \\a"] {
        assert_eq!(errors(&rule(bad))[0].field, "spec.rules[0].reason", "{bad}");
    }
}
