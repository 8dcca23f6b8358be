//! Tests of facts: what roles grant, and to whom bindings give it.

use super::*;

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

#[test]
fn roles_say_what_they_grant() {
    let rule = |verbs: &str, groups: &str, resources: &str| {
        let list = |words: &str| {
            let words: Vec<String> = words
                .split(' ')
                .map(|w| format!("{:?}", w.trim_matches('_')))
                .collect();
            words.join(",")
        };
        let rule = format!(
            r#"{{"rules":[{{"verbs":[{}],"apiGroups":[{}],"resources":[{}]}}]}}"#,
            list(verbs),
            list(groups),
            list(resources)
        );
        let found = whole(ROLES, &rule).rbac;
        let values = |findings: &[Finding]| {
            let values: Vec<_> = findings.iter().map(|found| found.value.clone()).collect();
            values.join(" ")
        };
        (values(&found.grants), values(&found.escalation))
    };
    // `_` is the core group.
    for (verbs, groups, resources, grants, escalation) in [
        ("get list", "_", "pods", "", ""),
        ("get", "_", "secrets", "secrets", ""),
        ("get", "x.io", "secrets", "", ""),
        ("delete", "_", "secrets", "", ""),
        (
            "escalate",
            "rbac.authorization.k8s.io",
            "roles",
            "escalate",
            "escalate",
        ),
        ("bind", "_", "pods", "bind", "bind"),
        ("impersonate", "_", "users", "impersonate", "impersonate"),
        (
            "impersonate:user-info",
            "authentication.k8s.io",
            "users",
            "impersonate",
            "impersonate",
        ),
        (
            "impersonate-on:user-info:list",
            "_",
            "pods",
            "impersonate",
            "impersonate",
        ),
        ("create", "_", "pods/exec", "exec", ""),
        ("get", "_", "*/attach", "exec", ""),
        ("patch", "_", "pods/ephemeralcontainers", "exec", ""),
        ("get", "_", "nodes/proxy", "nodesProxy", "nodesProxy"),
        ("patch", "_", "nodes/proxy", "nodesProxy", "nodesProxy"),
        ("delete", "_", "nodes/proxy", "nodesProxy", "nodesProxy"),
        ("*", "_", "users", "impersonate wildcard", "impersonate"),
        ("*", "_", "groups", "impersonate wildcard", "impersonate"),
        (
            "*",
            "authentication.k8s.io",
            "uids",
            "impersonate wildcard",
            "impersonate",
        ),
        (
            "*",
            "authentication.k8s.io",
            "userextras/scopes",
            "impersonate wildcard",
            "impersonate",
        ),
        ("*", "authentication.k8s.io", "tokenreviews", "wildcard", ""),
        ("*", "_", "userextras/scopes", "wildcard", ""),
        (
            "approve",
            "certificates.k8s.io",
            "signers",
            "certificates",
            "certificates",
        ),
        ("binding", "_", "pods", "", ""),
        ("create", "_", "serviceaccounts/token", "tokens", "tokens"),
        (
            "sign",
            "certificates.k8s.io",
            "signers",
            "certificates",
            "certificates",
        ),
        (
            "update",
            "certificates.k8s.io",
            "certificatesigningrequests/approval",
            "certificates",
            "certificates",
        ),
        ("*", "apps", "deployments", "wildcard", ""),
        ("*", "_", "secrets", "wildcard secrets", ""),
        (
            "*",
            "rbac.authorization.k8s.io",
            "clusterroles",
            "escalate bind wildcard",
            "escalate bind",
        ),
        (
            "*",
            "*",
            "*",
            "escalate bind impersonate wildcard secrets exec exec nodesProxy tokens certificates",
            "escalate bind impersonate nodesProxy tokens certificates",
        ),
    ] {
        let expected = (grants.to_owned(), escalation.to_owned());
        assert_eq!(
            rule(verbs, groups, resources),
            expected,
            "{verbs} {groups} {resources}"
        );
    }
    let aggregated = whole(
        ROLES,
        r#"{"metadata":{"labels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}},"aggregationRule":{},
            "rules":[{"nonResourceURLs":["*"],"verbs":["get"]}]}"#,
    );
    assert_eq!(
        pairs(&aggregated.rbac.grants),
        [
            ("rules[0]", "wildcard"),
            ("aggregationRule", "aggregated"),
            (
                r#"metadata.labels["rbac.authorization.k8s.io/aggregate-to-view"]"#,
                "aggregated"
            ),
        ]
    );
    assert_eq!(aggregated.rbac.escalation.len(), 2);
}

#[test]
fn a_patched_role_may_grant_what_it_does_not_say() {
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/r";
    for (patch, expected) in [
        (
            r#"[{"op":"add","path":"/rules/0/verbs/-","value":"*"}]"#,
            "escalate",
        ),
        (
            r#"[{"op":"add","path":"/rules/0/verbs/-","value":"bind"}]"#,
            "bind",
        ),
        (
            r#"[{"op":"add","path":"/rules/0/resources/-","value":"nodes/proxy"}]"#,
            "nodesProxy",
        ),
        (
            r#"[{"op":"replace","path":"/rules","value":[{"verbs":["impersonate"]}]}]"#,
            "impersonate",
        ),
    ] {
        let found = body(Media::JsonPatch, role, patch);
        assert!(
            found.rbac.escalation.iter().any(|it| it.value == expected),
            "{patch}"
        );
    }
    let merged = body(
        Media::MergePatch,
        role,
        r#"{"metadata":{"labels":{"a":"b"}}}"#,
    );
    assert!(merged.rbac.grants.is_empty());
}

#[test]
fn bindings_say_who_gets_what() {
    let found = whole(
        BINDINGS,
        r#"{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},
            "subjects":[{"kind":"User","name":"eve"},{"kind":"Group","name":"system:authenticated"},
                        {"kind":"ServiceAccount","name":"robot","namespace":"f"},{"kind":"Group","name":"system:serviceaccounts:f"},
                        {"kind":"Group","name":"system:serviceaccounts"},{"kind":"Group","name":"system:serviceaccountsx"}]}"#,
    );
    assert_eq!(
        pairs(&found.rbac.roles),
        [("roleRef", "ClusterRole/cluster-admin")]
    );
    let robot = &found.rbac.subjects[2];
    assert_eq!(
        (&*robot.field, &*robot.kind, &*robot.namespace, &*robot.name),
        ("subjects[2]", "ServiceAccount", "f", "robot")
    );
    assert_eq!(
        pairs(&found.rbac.escalation),
        [
            ("roleRef", "role"),
            ("subjects[1]", "everyone"),
            ("subjects[3]", "everyone"),
            ("subjects[4]", "everyone")
        ]
    );
    let patch = r#"[{"op":"add","path":"/subjects/-","value":{"kind":"Group","name":"system:unauthenticated"}}]"#;
    let found = body(Media::JsonPatch, BINDINGS, patch);
    assert_eq!(pairs(&found.rbac.escalation), [("/subjects/-", "everyone")]);
}
