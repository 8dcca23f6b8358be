//! What can be told of a request of which only the path is left.

use super::*;

#[test]
fn what_follows_from_the_path_is_told_and_the_rest_is_not() {
    let pack = default_pack();
    let table = [
        // Denied by path; held by path, whatever it holds; allowed or held by what it holds.
        (
            "POST /api/v1/namespaces/a/serviceaccounts/s/token",
            Some(Verdict::Deny),
        ),
        ("GET /api/v1/namespaces/a/pods/p", Some(Verdict::Allow)),
        ("DELETE /api/v1/namespaces/a/pods/p", Some(Verdict::Allow)),
        ("POST /api/v1/namespaces/a/configmaps", Some(Verdict::Allow)),
        ("POST /api/v1/namespaces/a/pods", None),
        ("POST /api/v1/namespaces/a/secrets", None),
        ("POST /apis/storage.k8s.io/v1/storageclasses", None),
        (
            "PATCH /apis/storage.k8s.io/v1/storageclasses/s",
            Some(Verdict::DefaultDeny),
        ),
    ];
    for (line, expected) in table {
        let asked = Asked::new(line);
        let judged = judge_unread(&asked.caller, &asked.ask, &pack, Timestamp::UNIX_EPOCH);
        assert_eq!(judged.map(|judged| judged.verdict), expected, "{line}");
    }
}

#[test]
fn conditions_on_objects_are_not_guessed_and_others_are_asked() {
    let allow =
        r#"{name: a, effect: allow, verbs: ["*"], apiGroups: [""], resources: [configmaps]}"#;
    let with = |expression: &str| {
        let hold = format!(
            r#"{{name: h, effect: hold, reason: h., verbs: [create], apiGroups: [""], resources: [configmaps], matchConditions: [{{name: c, expression: "{expression}"}}]}}"#
        );
        set(&[allow, &hold])
    };
    let asked = Asked::new("POST /api/v1/namespaces/a/configmaps");
    let unread = |set: &PolicySet| {
        let judged = judge_unread(&asked.caller, &asked.ask, set, Timestamp::UNIX_EPOCH);
        judged.map(|judged| judged.verdict)
    };
    assert_eq!(unread(&with("object.data.x == 'y'")), None);
    assert_eq!(unread(&with("facts.secrets")), None);
    assert_eq!(unread(&with("ask.namespace == 'a'")), Some(Verdict::Hold));
    assert_eq!(unread(&with("caller.agent == 'x'")), Some(Verdict::Allow));
    let is_asked = |what, set: &PolicySet| is_asked(what, &asked.caller, &asked.ask, set);
    assert!(is_asked(
        crate::decide::Asked::Objects,
        &with("object.data.x == 'y'")
    ));
    assert!(!is_asked(
        crate::decide::Asked::OldObject,
        &with("object.data.x == 'y'")
    ));
    assert!(is_asked(
        crate::decide::Asked::Attributes,
        &with("caller.uid == ''")
    ));
    assert!(!is_asked(
        crate::decide::Asked::Attributes,
        &with("caller.agent == ''")
    ));
}

#[test]
fn what_only_rules_about_something_else_ask_for_has_no_say() {
    use crate::decide::Asked as What;
    let rule = |verb: &str, more: &str| {
        format!(
            r#"{{name: h, effect: hold, reason: h., verbs: [{verb}], apiGroups: [""], resources: [pods], {more}}}"#
        )
    };
    let on = |expression: &str| format!("matchConditions: [{{name: c, expression: {expression}}}]");
    let (count, object) = (on("facts.deletedObjects > 10u"), on("has(object.spec)"));
    let (powerful, privileged) = ("facts: [powerfulServiceAccount]", "facts: [privileged]");
    for (what, rule, line, expected) in [
        (
            What::Count,
            rule("deletecollection", &count),
            "DELETE /api/v1/namespaces/a/pods",
            true,
        ),
        (
            What::Count,
            rule("deletecollection", &object),
            "DELETE /api/v1/namespaces/a/pods",
            false,
        ),
        (
            What::Count,
            rule("get", &count),
            "DELETE /api/v1/namespaces/a/pods",
            false,
        ),
        (
            What::Rights,
            rule("create", powerful),
            "POST /api/v1/namespaces/a/pods",
            true,
        ),
        (
            What::Rights,
            rule("create", privileged),
            "POST /api/v1/namespaces/a/pods",
            false,
        ),
        (
            What::Rights,
            rule("create", powerful),
            "PUT /api/v1/namespaces/a/pods/p",
            false,
        ),
        (
            What::Objects,
            rule("create", &object),
            "POST /api/v1/namespaces/a/pods",
            true,
        ),
        (
            What::Objects,
            rule("create", &object),
            "POST /api/v1/namespaces/a/secrets",
            false,
        ),
        (
            What::Attributes,
            rule("create", &object),
            "POST /api/v1/namespaces/a/pods",
            false,
        ),
    ] {
        let asked = Asked::new(line);
        let has = is_asked(what, &asked.caller, &asked.ask, &set(&[&rule]));
        assert_eq!(has, expected, "{what:?} {rule} {line}");
    }
}

#[test]
fn an_allow_rule_that_may_match_matters_only_where_nothing_else_allows() {
    let allow = |name: &str, more: &str| {
        format!(
            r#"{{name: {name}, effect: allow, verbs: [create], apiGroups: [""], resources: [pods]{more}}}"#
        )
    };
    let (plain, on_fact) = (allow("a", ""), allow("b", ", facts: [hostPath]"));
    let may_fail = allow(
        "c",
        r#", matchConditions: [{name: c, expression: "object.spec.x == 'y'"}]"#,
    );
    let asked = Asked::new("POST /api/v1/namespaces/a/pods");
    for (rules, expected) in [
        (vec![&*plain, &*on_fact], Some(Verdict::Allow)),
        (vec![&*on_fact], None),
        // A condition that cannot be evaluated refuses, whoever else allows.
        (vec![&*plain, &*may_fail], None),
    ] {
        let set = set(&rules);
        let judged = judge_unread(&asked.caller, &asked.ask, &set, Timestamp::UNIX_EPOCH);
        assert_eq!(judged.map(|judged| judged.verdict), expected, "{rules:?}");
    }
}

#[test]
fn a_deny_that_is_certain_is_told_whatever_else_depends() {
    let deny = |name: &str, more: &str| {
        format!(
            r#"{{name: {name}, effect: deny, reason: r., verbs: [create], apiGroups: [""], resources: [pods]{more}}}"#
        )
    };
    let asked = Asked::new("POST /api/v1/namespaces/a/pods");
    let (on_fact, certain) = (deny("a", ", facts: [hostPath]"), deny("b", ""));
    for (rules, expected) in [
        (vec![&*on_fact, &*certain], Some(Verdict::Deny)),
        (vec![&*on_fact], None),
    ] {
        let set = set(&rules);
        let judged = judge_unread(&asked.caller, &asked.ask, &set, Timestamp::UNIX_EPOCH);
        assert_eq!(judged.map(|judged| judged.verdict), expected, "{rules:?}");
    }
}
