//! What is suspicious is told, and nothing else.

use super::*;

/// (field, kind, words) of what is said about some rules, one flow mapping per line.
fn said(rules: &[&str]) -> Vec<(String, Lint, String)> {
    lint(&policies(&list(rules)), Some(&["production", "staging"]))
        .into_iter()
        .map(|found| {
            let suggestion = found.suggestion.unwrap_or_default();
            let field = found.field.trim_start_matches("spec.").to_owned();
            (
                field,
                found.lint,
                format!("{}; {suggestion}", found.message),
            )
        })
        .collect()
}

#[test]
fn the_default_pack_is_beyond_suspicion() {
    let pack = serde_saphyr::from_str(include_str!("../../../policies/default.yaml")).unwrap();
    assert_eq!(lint(&[pack], Some(&["production"])), []);
}

#[test]
fn what_never_matches_is_found_with_its_field() {
    let table = [
        (
            r#"apiGroups: [""], resources: [pod], verbs: [get]"#,
            "resources[0]",
            "did you mean \"pods\"?",
        ),
        (
            r#"apiGroups: [""], resources: [pods, deployments], verbs: [get]"#,
            "resources[1]",
            "it is in the group \"apps\"",
        ),
        (
            r#"apiGroups: [apps], resources: ["deploy*", "job*"], verbs: [get]"#,
            "resources[1]",
            "it is in the group \"batch\"",
        ),
        (
            r#"apiGroups: [app], resources: [deployments], verbs: [get]"#,
            "apiGroups[0]",
            "did you mean \"apps\"?",
        ),
        (
            r#"apiGroups: [networking.k8.io, netwrking.k8s.io], resources: [ingresses], verbs: [get]"#,
            "apiGroups[1]",
            "did you mean \"networking.k8s.io\"?",
        ),
        (
            r#"apiGroups: ["", batch], resources: [pods], verbs: [get]"#,
            "apiGroups[1]",
            "none of the resources",
        ),
        (
            r#"apiGroups: [""], resources: [pods], verbs: [get], subjects: {groups: [dev-1, dev-2], exceptGroups: ["dev-*"]}"#,
            "subjects.exceptGroups",
            "everybody",
        ),
        (
            r#"apiGroups: [""], resources: [pods], subresources: [logs], verbs: [get]"#,
            "subresources[0]",
            "did you mean \"log\"?",
        ),
        // What does not exist is told once.
        (
            r#"apiGroups: [""], resources: [pod], subresources: [logs], namespaces: [web], facts: [privileged], verbs: [create]"#,
            "resources[0]",
            "did you mean \"pods\"?",
        ),
        (
            r#"apiGroups: [""], resources: [pods], facts: [mintsToken], verbs: [create]"#,
            "facts[0]",
            "can show the fact mintsToken",
        ),
        (
            r#"apiGroups: [""], resources: [serviceaccounts], facts: [privileged], verbs: [create]"#,
            "facts[0]",
            "can show the fact privileged",
        ),
        (
            r#"apiGroups: [""], resources: [pods, nodes], namespaces: [web], verbs: [get]"#,
            "resources[1]",
            "lie in no namespace",
        ),
        (
            r#"apiGroups: [storage.k8s.io], resources: ["storage*"], namespaces: [web], verbs: [get]"#,
            "resources[0]",
            "lie in no namespace",
        ),
        (
            r#"apiGroups: [""], resources: [pods], subresources: [exec], verbs: [get]"#,
            "verbs",
            "write verbs: [create]",
        ),
        (
            r#"apiGroups: [""], resources: [pods], resourceNames: [web], verbs: [create]"#,
            "resourceNames",
            "has no name in its path",
        ),
        (
            r#"apiGroups: [""], resources: [pods], facts: [privileged], verbs: [get, delete]"#,
            "facts",
            "only a create, update or patch",
        ),
        (
            r#"apiGroups: [""], resources: [services], facts: [privileged], verbs: [create]"#,
            "facts[0]",
            "can show the fact privileged",
        ),
        (
            r#"apiGroups: [""], resources: [pods], verbs: [get], clusters: [prodction]"#,
            "clusters[0]",
            "did you mean \"production\"?",
        ),
        (
            r#"nonResourceURLs: [/healthz, /api/v1/pods], verbs: [get]"#,
            "nonResourceURLs[1]",
            "name its apiGroups",
        ),
        (
            r#"nonResourceURLs: [/apis/apps/v1/*], verbs: [get]"#,
            "nonResourceURLs[0]",
            "the path of an API resource",
        ),
        (
            r#"nonResourceURLs: [/version/], verbs: [get]"#,
            "nonResourceURLs[0]",
            "refuses",
        ),
        (
            r#"nonResourceURLs: [/healthz], verbs: [get, post]"#,
            "verbs[1]",
            "GET and HEAD",
        ),
    ];
    for (rule, field, words) in table {
        let found = said(&[&format!("{{name: a, effect: allow, {rule}}}")]);
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        let (at, lint, message) = &found[0];
        assert_eq!(
            (at.as_str(), *lint),
            (&*format!("rules[0].{field}"), Lint::NeverMatches),
            "{rule}"
        );
        assert!(message.contains(words), "{rule}: {message}");
    }
}

#[test]
fn only_what_is_near_is_suggested() {
    let found =
        said(&[r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [xyzzy]}"#]);
    assert!(!found[0].2.contains("did you mean"), "{found:?}");
}

#[test]
fn what_some_request_can_match_is_left_alone() {
    for rule in [
        // A hold or deny rule takes what the path does not say as given.
        r#"effect: hold, reason: r., apiGroups: [""], resources: [pods], subresources: [exec], verbs: [get]"#,
        r#"effect: hold, reason: r., apiGroups: [""], resources: [pods], resourceNames: [web], verbs: [create]"#,
        // These have a name in their path.
        r#"effect: allow, apiGroups: [""], resources: [pods], subresources: [eviction], resourceNames: [web], verbs: [create]"#,
        // And these facts no object has to show.
        r#"effect: allow, apiGroups: [""], resources: [serviceaccounts], subresources: [token], facts: [mintsToken], verbs: [create]"#,
        r#"effect: allow, apiGroups: [""], resources: [secrets], facts: [mintsToken], verbs: [get]"#,
        r#"effect: allow, apiGroups: [""], resources: [pods], facts: [deletesCollection], verbs: [deletecollection]"#,
        r#"effect: allow, apiGroups: [""], resources: [pods], facts: [privileged, deletesCollection], verbs: [deletecollection]"#,
    ] {
        assert_eq!(said(&[&format!("{{name: a, {rule}}}")]), [], "{rule}");
    }
}

#[test]
fn what_may_be_a_custom_resource_is_left_alone() {
    for rule in [
        r#"apiGroups: [argoproj.io], resources: [applicatons], subresources: [sync], namespaces: [a], verbs: [get]"#,
        r#"apiGroups: ["*"], resources: [pod, widgets], verbs: [get]"#,
        r#"apiGroups: ["", "*.example.com"], resources: [widgets], verbs: [get]"#,
        r#"apiGroups: [metrics.k8s.io], resources: [nodes], verbs: [get]"#,
        r#"apiGroups: [""], resources: [namespaces], namespaces: [web], verbs: [get]"#,
        r#"apiGroups: [""], resources: [pods], resourceNames: [web], verbs: [get, create]"#,
        r#"apiGroups: [""], resources: [pods, nodes], verbs: [get], clusters: ["prod*"]"#,
        r#"nonResourceURLs: ["*", /api, /apis/*], verbs: ["*"]"#,
    ] {
        assert_eq!(
            said(&[&format!("{{name: a, effect: allow, {rule}}}")]),
            [],
            "{rule}"
        );
    }
}

const PODS: &str = r#"apiGroups: [""], resources: [pods]"#;

#[test]
fn what_never_has_a_say_is_found() {
    let one = |name: &str, effect: &str, rest: &str| {
        let reason = if effect == "allow" {
            ""
        } else {
            "reason: r., "
        };
        format!("{{name: {name}, effect: {effect}, {reason}{PODS}, {rest}}}")
    };
    let elsewhere = |name: &str, effect: &str, target: &str| {
        format!("{{name: {name}, effect: {effect}, reason: r., verbs: [get], {target}}}")
    };
    let sometimes = "matchConditions: [{name: c, expression: ask.dryRun}]";
    let table = [
        // An allow below a deny or a hold; a hold below a deny.
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get, list]"),
            Some((0, Lint::Shadowed)),
        ),
        (
            one("a", "allow", "verbs: [get], namespaces: [web-1]"),
            one("b", "hold", "verbs: [get], namespaces: [web-*]"),
            Some((0, Lint::Shadowed)),
        ),
        (
            one("a", "hold", "verbs: [delete]"),
            one("b", "deny", "verbs: ['*']"),
            Some((0, Lint::Shadowed)),
        ),
        // The opposite of each other.
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], subresources: ['']"),
            Some((0, Lint::Contradicts)),
        ),
        // The same twice, or narrower.
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "allow", "verbs: [get]"),
            Some((1, Lint::Shadowed)),
        ),
        (
            one("a", "allow", "verbs: [get], namespaces: [web]"),
            one("b", "allow", "verbs: [get]"),
            Some((0, Lint::Shadowed)),
        ),
        (
            one("a", "hold", "verbs: [delete]"),
            one("b", "hold", "verbs: [delete], namespaces: [web]"),
            Some((1, Lint::Shadowed)),
        ),
        // But for those who are excepted, whom the allow rule was hardly meant for.
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "hold", "verbs: [get], subjects: {exceptGroups: [x]}"),
            Some((0, Lint::Shadowed)),
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one(
                "b",
                "deny",
                "verbs: [get], subresources: [''], subjects: {exceptGroups: [x]}",
            ),
            Some((0, Lint::Shadowed)),
        ),
        (
            one("a", "allow", "verbs: [get], subjects: {groups: [x]}"),
            one("b", "hold", "verbs: [get], subjects: {exceptGroups: [x]}"),
            None,
        ),
        (
            one("a", "hold", "verbs: [get]"),
            one("b", "deny", "verbs: [get], subjects: {exceptGroups: [x]}"),
            None,
        ),
        (
            one("a", "hold", "verbs: [get], subjects: {exceptGroups: [x]}"),
            one("b", "hold", "verbs: [get]"),
            None,
        ),
        (
            one("a", "hold", "verbs: [get], subjects: {exceptGroups: [x]}"),
            one(
                "b",
                "hold",
                "verbs: [get], subjects: {exceptGroups: [y, x]}",
            ),
            Some((1, Lint::Shadowed)),
        ),
        // A narrow hold that speaks first has terms of its own.
        (
            one("a", "hold", "verbs: [delete], namespaces: [web]"),
            one("b", "hold", "verbs: [delete]"),
            None,
        ),
        // What is not wholly covered, or only for some, or only sometimes.
        (
            one("a", "allow", "verbs: [get, list]"),
            one("b", "deny", "verbs: [get]"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], namespaces: ['*']"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], subjects: {agents: [x]}"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], subjects: {groups: ['*']}"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], facts: [secrets]"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one(
                "b",
                "deny",
                "verbs: [get], matchConditions: [{name: c, expression: 'true'}]",
            ),
            None,
        ),
        (
            one("a", "allow", "verbs: [get], subresources: [log]"),
            one("b", "deny", "verbs: [get], subresources: ['']"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], clusters: [staging]"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], resourceNames: ['*']"),
            None,
        ),
        (
            one("a", "allow", "verbs: [get]"),
            one("b", "deny", "verbs: [get], subjects: {principals: ['*']}"),
            None,
        ),
        // Every cluster and every agent has a name.
        (
            one("a", "allow", "verbs: [get]"),
            one(
                "b",
                "deny",
                "verbs: [get], clusters: ['*'], subjects: {agents: ['*']}",
            ),
            Some((0, Lint::Shadowed)),
        ),
        // A condition that fails refuses: only a deny that has spoken leaves it nothing to say.
        (
            one("a", "allow", &format!("verbs: [get], {sometimes}")),
            one("b", "allow", "verbs: [get]"),
            None,
        ),
        (
            one("a", "deny", "verbs: [get]"),
            one("b", "deny", &format!("verbs: [get], {sometimes}")),
            Some((1, Lint::Shadowed)),
        ),
        // Of other groups, other resources, and of none.
        (
            elsewhere("a", "allow", "apiGroups: [apps], resources: ['*']"),
            elsewhere("b", "deny", "apiGroups: [batch], resources: ['*']"),
            None,
        ),
        (
            elsewhere("a", "allow", "apiGroups: [''], resources: [services]"),
            elsewhere("b", "deny", "apiGroups: [''], resources: [pods]"),
            None,
        ),
        (
            elsewhere("a", "allow", "nonResourceURLs: [/livez/x]"),
            elsewhere("b", "deny", "apiGroups: ['*'], resources: ['*']"),
            None,
        ),
        (
            elsewhere("a", "allow", "nonResourceURLs: [/livez/x]"),
            elsewhere("b", "deny", "nonResourceURLs: [/livez/*]"),
            Some((0, Lint::Shadowed)),
        ),
    ];
    let words = &said(&[
        &one("a", "allow", "verbs: [get]"),
        &one(
            "b",
            "hold",
            "verbs: [get], subjects: {exceptGroups: [x, 'y*']}",
        ),
    ])[0]
        .2;
    assert!(words.contains("but for members of x, y*"), "{words}");
    for (a, b, expected) in table {
        let found = said(&[&a, &b]);
        let found: Vec<_> = found
            .iter()
            .map(|(field, lint, _)| (field.as_str(), *lint))
            .collect();
        let expected = expected.map(|(at, lint)| (format!("rules[{at}]"), lint));
        let expected: Vec<_> = expected
            .iter()
            .map(|(at, lint)| (at.as_str(), *lint))
            .collect();
        assert_eq!(found, expected, "{a}\n{b}");
    }
}

#[test]
fn rules_of_one_name_in_two_policies_are_two() {
    let policy = |name: &str, effect: &str| {
        let rule = format!("{{name: a, effect: {effect}, reason: r., {PODS}, verbs: [get]}}");
        let mut policies = policies(&list(&[&rule]));
        policies[0].metadata.name = name.to_owned();
        policies.remove(0)
    };
    let found = lint(&[policy("p", "allow"), policy("q", "deny")], None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].document, found[0].lint), (0, Lint::Shadowed));
    assert!(found[0].message.contains("q/a denies"), "{found:?}");
}

#[test]
fn what_is_too_wide_is_found() {
    let everyone = [
        (
            r#"verbs: ["*"], apiGroups: ["*"], resources: ["*"]"#,
            "resources",
            "everything",
        ),
        (
            r#"verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: [web]"#,
            "resources",
            "Secrets",
        ),
        (
            r#"verbs: [patch], apiGroups: [""], resources: ["*"]"#,
            "resources",
            "Secrets",
        ),
        (
            r#"verbs: [create], apiGroups: [""], resources: [pods], subresources: ["*"]"#,
            "subresources",
            "commands",
        ),
        (
            r#"verbs: [create], apiGroups: [""], resources: [pods], subresources: [attach]"#,
            "subresources",
            "attach",
        ),
        (
            r#"verbs: [patch], apiGroups: [""], resources: [pods], subresources: [ephemeralcontainers]"#,
            "subresources",
            "containers",
        ),
        (
            r#"verbs: [create], apiGroups: [""], resources: [serviceaccounts], subresources: [token]"#,
            "subresources",
            "tokens",
        ),
        (
            r#"verbs: ["*"], apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings]"#,
            "resources",
            "rights",
        ),
    ];
    for (rule, field, words) in everyone {
        let found = said(&[&format!("{{name: a, effect: allow, {rule}}}")]);
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        assert_eq!(
            (&*found[0].0, found[0].1),
            (&*format!("rules[0].{field}"), Lint::TooWide)
        );
        assert!(found[0].2.contains(words), "{rule}: {}", found[0].2);
    }
    let exec = r#"verbs: [create], apiGroups: [""], resources: [pods], subresources: [exec]"#;
    let everything = |groups: &str| {
        let all = r#"verbs: ["*"], apiGroups: ["*"], resources: ["*"], subresources: ["*"]"#;
        format!("{{name: a, effect: allow, {all}, subjects: {{groups: {groups}}}}}")
    };
    let lifted = || {
        r#"{name: b, effect: hold, reason: r., verbs: [patch], apiGroups: [""], resources: [secrets], subjects: {exceptGroups: [x, "*-y"]}}"#.to_owned()
    };
    let tokens = || {
        r#"{name: c, effect: deny, reason: r., verbs: ["*"], apiGroups: [""], resources: ["*"], subresources: [token, proxy]}"#.to_owned()
    };
    let fine = [
        // Said for whom, or stopped by another rule anyway, or only looking.
        vec![format!("{{name: a, effect: allow, {exec}, subjects: {{agents: [debugger]}}}}")],
        vec![
            format!("{{name: a, effect: allow, {exec}, namespaces: [web]}}"),
            format!("{{name: b, effect: hold, reason: r., {exec}, clusters: [production, staging]}}"),
            format!("{{name: c, effect: hold, reason: r., {exec}, matchConditions: [{{name: c, expression: 'true'}}]}}"),
        ],
        vec![r#"{name: a, effect: allow, verbs: [get, list, watch], apiGroups: ["*"], resources: ["*"], subresources: ["", log]}"#.to_owned()],
        vec![r#"{name: a, effect: allow, verbs: ["*"], apiGroups: [example.com], resources: ["*"]}"#.to_owned()],
        vec![r#"{name: a, effect: allow, verbs: ["*"], apiGroups: ["", "*"], resources: [pods]}"#.to_owned()],
        // Not allowed, or only sometimes, or not the dangerous part of it.
        vec![r#"{name: a, effect: hold, reason: r., verbs: ["*"], apiGroups: ["*"], resources: ["*"]}"#.to_owned()],
        vec![format!("{{name: a, effect: allow, {exec}, matchConditions: [{{name: c, expression: ask.dryRun}}]}}")],
        vec![r#"{name: a, effect: allow, verbs: [patch], apiGroups: [""], resources: [secrets], facts: [mintsToken]}"#.to_owned()],
        vec![
            r#"{name: a, effect: allow, verbs: [get, patch], apiGroups: [""], resources: [secrets, configmaps]}"#.to_owned(),
            r#"{name: b, effect: hold, reason: r., verbs: [patch], apiGroups: [""], resources: [secrets]}"#.to_owned(),
        ],
        // For those whom another rule excepts by name it was meant.
        vec![everything("[x]"), lifted(), tokens()],
        vec![everything("[x, y]"), lifted(), tokens()],
        vec![everything("['*']"), lifted(), tokens()],
        vec![everything("[x]"), lifted()],
    ];
    for (at, rules) in fine.iter().enumerate() {
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let found = said(&rules);
        // The second is not stopped on every cluster, and not for certain; of the last ones
        // not everybody is excepted, and nobody should mint tokens.
        let expected = usize::from(at == 1 || at > 9);
        assert_eq!(found.len(), expected, "{rules:?}: {found:?}");
    }
}
