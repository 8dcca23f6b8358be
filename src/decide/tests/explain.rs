//! What an explanation says of a request.

use super::*;

#[test]
fn an_explanation_says_who_decides_who_else_matches_and_where_others_do_not() {
    let pack = default_pack();
    let asked = Asked::with_body(
        "POST /apis/apps/v1/namespaces/web/deployments",
        r#"{"spec":{"template":{"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i"}]}}}}"#,
    );
    let explained = explain(&asked.caller, &asked.ask, &pack, Timestamp::UNIX_EPOCH);
    assert_eq!(explained.judgement.rule, "host-namespaces");
    let matching: Vec<&str> = explained
        .rules
        .iter()
        .filter(|part| part.matches())
        .map(|part| part.rule)
        .collect();
    assert_eq!(matching, ["host-namespaces", "unsafe-pods", "workloads"]);
    let without = explained.without.unwrap();
    assert_eq!(
        without.rules,
        [("default", "host-namespaces"), ("default", "unsafe-pods")]
    );
    assert_eq!(
        (without.verdict, &*without.rule),
        (Verdict::Allow, "workloads")
    );
    let of = |rule: &str| {
        let part = explained
            .rules
            .iter()
            .find(|part| part.rule == rule)
            .unwrap();
        part.misses
            .iter()
            .map(|miss| {
                (
                    miss.field.as_str(),
                    miss.wanted.as_str(),
                    miss.found.as_str(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of("privileged-pods"), [("facts", "privileged", "none")]);
    assert_eq!(
        of("system-namespaces"),
        [("namespaces", "kube-*, *-system", "web")]
    );
    assert_eq!(of("reads"), [("verbs", "get, list, watch", "create")]);
}

#[test]
fn conditions_and_callers_are_explained_too() {
    let set = set(&[
        r#"{name: a, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], clusters: [prod], subjects: {agents: [x], principals: ["*"], groups: [ops], exceptGroups: [interns, "dev*"]}, matchConditions: [{name: c, expression: "ask.name ==\n 'web'"}]}"#,
        r#"{name: b, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], matchConditions: [{name: no, expression: "ask.name == 'db'"}, {name: bad, expression: "dyn({}).x"}]}"#,
        r#"{name: c, effect: allow, verbs: [get], apiGroups: [""], resources: [pods], matchConditions: [{name: bad, expression: "dyn({}).x"}]}"#,
    ]);
    let asked = Asked::new("GET /api/v1/namespaces/a/pods/web");
    let caller = Caller::for_test("coder", None, &["dev"]);
    let explained = explain(&caller, &asked.ask, &set, Timestamp::UNIX_EPOCH);
    assert_eq!(explained.judgement.verdict, Verdict::Failed);
    assert_eq!(explained.without, None);
    let fields = |at: usize| {
        let misses = explained.rules[at].misses.iter();
        misses.map(|miss| miss.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        fields(0),
        [
            "clusters",
            "subjects.agents",
            "subjects.principals",
            "subjects.groups",
            "subjects.exceptGroups"
        ]
    );
    let excepted = explained.rules[0].misses.last().unwrap();
    assert_eq!(
        (&*excepted.wanted, &*excepted.found),
        ("none of interns, dev*", "dev")
    );
    assert_eq!(fields(1), ["matchConditions[no]"]);
    // What does not match anyway does not fail.
    assert_eq!(explained.rules[1].failed, None);
    assert!(explained.rules[2].failed.as_ref().unwrap().contains("bad"));
    assert!(!explained.rules[2].matches());
    let selects = &explained.rules[0].selects;
    assert!(
        selects.contains(&(
            "subjects.exceptGroups".to_owned(),
            "interns, dev*".to_owned()
        )),
        "{selects:?}"
    );
    assert!(
        selects.contains(&(
            "matchConditions[c]".to_owned(),
            "ask.name == 'web'".to_owned()
        )),
        "{selects:?}"
    );
}

#[test]
fn what_the_gate_settles_before_it_asks_the_cluster_is_told_so() {
    // A patch of what no rule allows is refused before anybody knows what would come of it.
    let set = set(&[
        r#"{name: h, effect: hold, reason: h., verbs: [patch], apiGroups: ["*"], resources: ["*"], facts: [privileged]}"#,
    ]);
    let body = r#"{"spec":{"containers":[{"securityContext":{"privileged":true}}]}}"#;
    let asked = Asked::with_body("PATCH /apis/example.com/v1/namespaces/a/robots/r", body);
    let judged = judge(&asked.caller, &asked.ask, &set, Timestamp::UNIX_EPOCH);
    assert_eq!(judged.verdict, Verdict::DefaultDeny);
    let refused = rehearse(&Arc::new(asked.caller), &asked.ask, &set);
    assert!(matches!(refused, Err(Refusal::NotAllowed { .. })));
}

#[test]
fn paths_are_explained_as_well_as_resources() {
    let set = set(&[
        r#"{name: path, effect: allow, verbs: [get], nonResourceURLs: [/version]}"#,
        r#"{name: pods, effect: allow, verbs: [get], apiGroups: [""], resources: [pods, "*maps"]}"#,
    ]);
    let missed = |line: &str, rule: usize| {
        let asked = Asked::new(line);
        let explained = explain(&asked.caller, &asked.ask, &set, Timestamp::UNIX_EPOCH);
        let misses = explained.rules[rule].misses.iter();
        misses
            .map(|miss| format!("{}: {} and not {}", miss.field, miss.found, miss.wanted))
            .collect::<Vec<_>>()
    };
    let pod = "GET /api/v1/namespaces/a/pods/p";
    assert!(missed("GET /version", 0).is_empty() && missed(pod, 1).is_empty());
    assert_eq!(
        missed("GET /livez", 0),
        ["nonResourceURLs: /livez and not /version"]
    );
    assert_eq!(
        missed(pod, 0),
        ["nonResourceURLs: /api/v1/namespaces/a/pods/p and not /version"]
    );
    assert_eq!(
        missed("GET /version", 1),
        ["resources: /version and not pods, *maps"]
    );
}
