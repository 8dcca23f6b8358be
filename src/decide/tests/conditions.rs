//! Conditions: what they may speak of, when they are asked, and that a failure refuses.

use super::*;

const PODS: &str = "verbs: ['*'], apiGroups: [''], resources: [pods]";

/// A rule on pods with these conditions.
fn rule(name: &str, effect: &str, conditions: &[&str]) -> String {
    let conditions: Vec<String> = conditions
        .iter()
        .enumerate()
        .map(|(at, text)| format!("{{name: c{at}, expression: {text:?}}}"))
        .collect();
    format!(
        "{{name: {name}, effect: {effect}, reason: because., {PODS}, matchConditions: [{}]}}",
        conditions.join(", ")
    )
}

fn judged(rules: &[String], line: &str, body: &str) -> (Verdict, String, Option<String>) {
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let set = set(&rules);
    let asked = Asked::with_body(line, body);
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let judged = judge(&asked.caller, &asked.ask, &set, now);
    (judged.verdict, judged.rule.to_owned(), judged.cause)
}

const POST: &str = "POST /api/v1/namespaces/web/pods?dryRun=All";
const POD: &str = r#"{"metadata":{"name":"p","labels":{"a.b/c":"x"}},"spec":{"containers":[{"name":"one","image":"r/i:1","securityContext":{"privileged":true}}],"two":[1,2],"n":1.5,"big":99999999999999999999}}"#;

#[test]
fn conditions_see_the_caller_the_request_and_the_object() {
    for condition in [
        "caller.agent == 'coder' && caller.principal == 'alice@example.com'",
        "'agents' in caller.groups && caller.groups.size() == 1",
        "caller.uid == '' && !has(caller.uid) && has(caller.agent)",
        "caller.extra.size() == 0 && !('x' in caller.extra)",
        "caller.issuer == 'https://issuer.test'",
        "ask.verb == 'create' && ask.apiGroup == '' && ask.apiVersion == 'v1'",
        "ask.resource == 'pods' && ask.subresource == '' && ask.namespace == 'web'",
        "ask.name == '' && ask.path == '/api/v1/namespaces/web/pods' && ask.dryRun",
        "ask.command == []",
        "object.spec.containers.all(c, c.image.startsWith('r/'))",
        "object.metadata.labels['a.b/c'] == 'x' && !has(object.metadata.annotations)",
        "object.?metadata.?annotations.orValue({}).size() == 0",
        "object.spec.n == 1.5 && object.spec.big > 1e19 && object.metadata.map(k, k).size() == 2",
        "object.metadata.size() == 2 && object.spec.two.size() == 2",
        "oldObject == null",
        "facts.privileged.size() == 1 && !facts.secrets && !facts.execLike",
        "cluster == 'dev'",
        "now == timestamp('2026-11-25T12:00:00Z') && now.getHours('Europe/Berlin') == 13",
    ] {
        let judged = judged(&[rule("r", "allow", &[condition])], POST, POD);
        assert_eq!(
            judged,
            (Verdict::Allow, "r".to_owned(), None),
            "{condition}"
        );
    }
}

#[test]
fn objects_are_what_is_known_of_them() {
    let exec = "POST /api/v1/namespaces/web/pods/p/exec?command=rm&command=-rf";
    let on_exec = "{name: r, effect: allow, verbs: [create], apiGroups: [''], resources: [pods], subresources: [exec], matchConditions: [{name: c, expression: \"ask.command == ['rm', '-rf'] && object == null && oldObject == null\"}]}";
    assert_eq!(judged(&[on_exec.to_owned()], exec, "").0, Verdict::Allow);
    for (line, body, condition, verdict) in [
        (
            "GET /api/v1/namespaces/web/pods",
            "",
            "object == null && oldObject == null",
            Verdict::Allow,
        ),
        (
            "DELETE /api/v1/namespaces/web/pods/p",
            "",
            "object == null",
            Verdict::Allow,
        ),
        (
            "DELETE /api/v1/namespaces/web/pods/p",
            "",
            "oldObject == null",
            Verdict::Failed,
        ),
        (
            "DELETE /api/v1/namespaces/web/pods",
            "",
            "oldObject == null",
            Verdict::Failed,
        ),
        (
            "PUT /api/v1/namespaces/web/pods/p",
            POD,
            "object.spec.n == 1.5",
            Verdict::Allow,
        ),
        (
            "PUT /api/v1/namespaces/web/pods/p",
            POD,
            "oldObject == null",
            Verdict::Failed,
        ),
        // What comes of a patch is not what stands in it.
        (
            "PATCH /api/v1/namespaces/web/pods/p",
            POD,
            "object.spec.n == 1.5",
            Verdict::Failed,
        ),
        (
            "PATCH /api/v1/namespaces/web/pods/p",
            POD,
            "ask.verb == 'patch'",
            Verdict::Allow,
        ),
        (
            "PATCH /api/v1/namespaces/web/pods/p",
            POD,
            "has(object.spec)",
            Verdict::Failed,
        ),
        (
            "PATCH /api/v1/namespaces/web/pods/p",
            POD,
            "object != null",
            Verdict::Failed,
        ),
    ] {
        let judged = judged(&[rule("r", "allow", &[condition])], line, body);
        assert_eq!(judged.0, verdict, "{line} {condition} {:?}", judged.2);
    }
}

#[test]
fn a_condition_narrows_a_rule_and_all_must_hold() {
    for (conditions, verdict) in [
        (&["true", "true"][..], Verdict::Deny),
        (&["true", "ask.verb == 'get'"], Verdict::Allow),
        (&["false", "object.missing == 1"], Verdict::Allow),
        (&["object.missing == 1", "false"], Verdict::Allow),
        (&["object.missing == 1", "true"], Verdict::Failed),
    ] {
        let rules = [ALL.to_owned(), rule("no", "deny", conditions)];
        assert_eq!(judged(&rules, POST, POD).0, verdict, "{conditions:?}");
    }
}

#[test]
fn a_condition_that_fails_refuses_whatever_its_rule_would_do() {
    let fails = ["object.spec.hostNetwork == true"];
    let costly =
        ["lists.range(999).all(a, lists.range(999).all(b, lists.range(999).all(c, true))) || true"];
    for conditions in [&fails[..], &costly[..]] {
        for effect in ["allow", "hold", "deny"] {
            let rules = [ALL.to_owned(), rule("r", effect, conditions)];
            let (verdict, name, cause) = judged(&rules, POST, POD);
            assert_eq!((verdict, &*name), (Verdict::Failed, "r"), "{effect}");
            assert!(cause.unwrap().starts_with("condition \"c0\": "));
        }
    }
    // A rule that is about something else is not asked.
    let elsewhere = rule("r", "deny", &fails).replace("[pods]", "[services]");
    assert_eq!(
        judged(&[ALL.to_owned(), elsewhere], POST, POD).0,
        Verdict::Allow
    );
    // What is denied anyway is denied, with that rule's reason.
    let rules = [rule("a", "deny", &fails), rule("b", "deny", &[])];
    assert_eq!(judged(&rules, POST, POD).1, "b");
    // And what is not denied is not held either.
    let rules = [rule("a", "deny", &fails), rule("b", "hold", &[])];
    assert_eq!(judged(&rules, POST, POD).0, Verdict::Failed);
}

#[test]
fn the_agent_is_told_the_rule_and_the_operator_the_cause() {
    let set = set(&[&rule("r", "allow", &["object.spec.secret.x == 1"])]);
    let asked = Asked::with_body(POST, POD);
    let caller = Arc::new(asked.caller);
    let Decision::Refuse(refusal) = decide(caller, asked.ask, &set, Timestamp::UNIX_EPOCH) else {
        panic!("not refused");
    };
    assert_eq!(
        (refusal.code().as_u16(), refusal.reason()),
        (403, "Forbidden")
    );
    let (outside, inside) = (refusal.sentence(), refusal.inside().unwrap());
    assert!(outside.contains("rule \"r\" of policy \"test\" could not be evaluated"));
    assert!(!outside.contains("secret"));
    assert_eq!(
        inside,
        "condition \"c0\": line 1, column 12: no such key: secret"
    );
}

#[test]
fn what_is_wrong_with_a_condition_is_found_when_the_policy_is_read() {
    let long = "true || ".repeat(2000) + "true";
    for (condition, message, suggestion) in [
        ("", "the expression is empty (line 1, column 1)", ""),
        (
            "objct.spec == 1",
            "there is no variable \"objct\" (line 1, column 1)",
            "\"object\"",
        ),
        (
            "true && ask.verbs == 'get'",
            "ask has no field \"verbs\" (line 1, column 12)",
            "\"verb\"",
        ),
        (
            "facts.privilegd.size() > 0",
            "facts has no field \"privilegd\"",
            "\"privileged\"",
        ),
        (
            "caller.groups == 'a'",
            "does not take (list(string), string)",
            "it takes",
        ),
        (
            "request.userInfo.username == 'a'",
            "there is no variable \"request\"",
            "ask",
        ),
        (
            "ask.name",
            "must be of type bool, and is of type string",
            "",
        ),
        ("now > '2026'", "does not take (timestamp, string)", ""),
        (&long, "longer than 8 KiB", "make several"),
    ] {
        let errors = errors(&rule("r", "allow", &["true", condition]));
        assert_eq!(errors.len(), 1, "{condition}");
        assert_eq!(
            errors[0].field,
            "spec.rules[0].matchConditions[1].expression"
        );
        assert!(errors[0].message.contains(message), "{:?}", errors[0]);
        let said = errors[0].suggestion.clone().unwrap_or_default();
        assert!(said.contains(suggestion), "{:?}", errors[0]);
    }
    let twice = rule("r", "allow", &["true", "true"]).replace("c1", "c0");
    assert_eq!(
        errors(&twice)[0].field,
        "spec.rules[0].matchConditions[1].name"
    );
    assert_eq!(
        errors(&twice.replace("c0", "C"))[0].field,
        "spec.rules[0].matchConditions[0].name"
    );
    assert_eq!(errors(&rule("r", "allow", &["true"; 65])).len(), 1);
    set(&[&rule("r", "allow", &["true"; 64])]);
}

#[test]
fn conditions_are_part_of_the_digest() {
    let one = set(&[&rule("r", "allow", &["ask.dryRun"])]);
    let other = set(&[&rule("r", "allow", &["!ask.dryRun"])]);
    assert_ne!(one.digest(), other.digest());
}
