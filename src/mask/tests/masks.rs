//! Tests of ⑦ mask: what mask rules of a policy hide, from whom, and behind what.

use serde_json::{Value, json};

use super::*;

const AWS: &str = "AKIAQ3EGRVTL7WXYZ2AB";

fn seen_by(rules: &str, caller: &Caller, line: &str, document: &Value) -> (Value, Summary) {
    let (method, path) = line.split_once(' ').unwrap();
    let ask = Ask::for_test("prod", method, path, "");
    let plan = Plan::new(&masks(rules), caller, &ask).unwrap();
    let bytes = document.to_string();
    let mut results = Vec::new();
    for size in [1, 7, bytes.len()] {
        let mut masker = Masker::new(&plan, 200, Some("application/json"), None).unwrap();
        let mut out = Vec::new();
        for chunk in bytes.as_bytes().chunks(size) {
            let masked = masker.feed(Bytes::copy_from_slice(chunk)).unwrap();
            out.extend_from_slice(masked.as_bytes());
        }
        out.extend_from_slice(masker.finish().unwrap().as_bytes());
        let seen: Value = serde_json::from_slice(&out).unwrap();
        results.push((seen, masker.summary()));
    }
    assert!(
        results.windows(2).all(|two| two[0] == two[1]),
        "{results:#?}"
    );
    results.swap_remove(0)
}

fn seen(rules: &str, line: &str, document: &Value) -> Value {
    seen_by(rules, &caller(), line, document).0
}

const GET: &str = "GET /apis/example.com/v1/namespaces/web/databases/d";
const LIST: &str = "GET /apis/example.com/v1/databases";

fn database() -> Value {
    json!({"kind": "Database", "metadata": {"name": "d", "annotations": {"a/b": "x", "c": "y"}},
        "spec": {"shelf": "left-of-the-door", "port": 5432, "tls": true, "size": "10Gi",
            "key": "aHVudGVyMmh1bnRlcjJodW50ZXIy", "none": null,
            "users": [{"name": "u", "pin": "1234"}, {"name": "v", "pin": 99}]}})
}

#[test]
fn the_fields_that_a_rule_names_are_hidden_and_keep_their_shape() {
    let rules = r#"{name: m, fields: [spec.shelf, spec.port, spec.tls, spec.size, spec.key, spec.none, "spec.users[*].pin", 'metadata.annotations["a/b"]']}"#;
    let (seen, summary) = seen_by(rules, &caller(), GET, &database());
    assert_eq!(
        seen,
        json!({"kind": "Database", "metadata": {"name": "d", "annotations": {"a/b": MASK, "c": "y"}},
        "spec": {"shelf": MASK, "port": 0, "tls": false, "size": "0", "key": MASK_BASE64, "none": null,
            "users": [{"name": "u", "pin": MASK}, {"name": "v", "pin": 0}]}})
    );
    let counts: Vec<_> = summary
        .counts()
        .iter()
        .map(|it| (&*it.rule, &*it.path, it.values))
        .collect();
    assert!(
        counts.contains(&("p/m", "spec.users[*].pin", 2)),
        "{counts:?}"
    );
}

#[test]
fn each_way_to_hide_has_its_mask() {
    let one = |with: &str| {
        let rules = format!("{{name: m, fields: [spec.shelf, spec.users], with: {with}}}");
        let seen = seen(&rules, GET, &database());
        (seen["spec"]["shelf"].clone(), seen["spec"]["users"].clone())
    };
    let users = json!([{"name": MASK, "pin": MASK}, {"name": MASK, "pin": 0}]);
    assert_eq!(one("redact"), (json!(MASK), users.clone()));
    assert_eq!(one("drop"), (Value::Null, Value::Null));
    assert_eq!(one("partial"), (json!(format!("{MASK}:…door")), users));
    let (shelf, users) = one("pseudonym");
    let name = shelf.as_str().unwrap().to_owned();
    assert!(
        name.starts_with("gateward:masked:") && name.len() == MASK.len() + 13,
        "{name}"
    );
    assert_ne!(
        users[0]["name"], users[1]["name"],
        "other values, other names"
    );
    assert_eq!(
        (shelf, users),
        one("pseudonym"),
        "the same whenever it is asked for"
    );
    // Another agent, and another cluster, have other names for the same value.
    let rules = "{name: m, fields: [spec.shelf], with: pseudonym}";
    let other = Caller::for_test("other-bot", None, &[]);
    let (theirs, _) = seen_by(rules, &other, GET, &database());
    assert_ne!(theirs["spec"]["shelf"], json!(name));
}

#[test]
fn paths_lead_through_lists_watches_and_any_depth() {
    let rules = "{name: m, fields: ['**.pin']}";
    let list = json!({"kind": "DatabaseList", "metadata": {}, "items": [database(), database()]});
    let found = seen(rules, LIST, &list);
    assert_eq!(found["items"][1]["spec"]["users"][0]["pin"], MASK);
    let rules = "{name: m, fields: [spec.shelf]}";
    let found = seen(rules, LIST, &list);
    assert_eq!(found["items"][1]["spec"]["shelf"], MASK);
    let event = json!({"type": "ADDED", "object": database()});
    let found = seen(rules, &format!("{LIST}?watch=true"), &event);
    assert_eq!(found["object"]["spec"]["shelf"], MASK);
    // Which fields stand in the cells of a table, nobody knows.
    let table = json!({"kind": "Table", "columnDefinitions": [{"name": "Name"}, {"name": "Shelf"}],
        "rows": [{"cells": ["d", "up-there", 3], "object": database()}]});
    let found = seen(rules, LIST, &table);
    assert_eq!(found["rows"][0]["cells"], json!(["d", MASK, 0]));
    assert_eq!(found["rows"][0]["object"]["spec"]["shelf"], MASK);
    let any = "{name: m, fields: ['spec.*']}";
    assert_eq!(
        seen(any, GET, &database())["spec"]["users"][0]["name"],
        MASK
    );
    // And an error may hold the value too.
    let ask = Ask::for_test("prod", "GET", GET.split_once(' ').unwrap().1, "");
    let plan = Plan::new(&masks(rules), &caller(), &ask).unwrap();
    let mut masker = Masker::new(&plan, 422, Some("application/json"), None).unwrap();
    let status = r#"{"kind":"Status","message":"spec.shelf: Invalid value: \"up-there\"","reason":"Invalid"}"#;
    let passed = masker.feed(Bytes::from(status)).unwrap();
    assert!(!String::from_utf8_lossy(passed.as_bytes()).contains("up-there"));
}

#[test]
fn a_rule_is_about_whom_and_what_it_says_and_more_where_that_is_not_known() {
    let hides = |scope: &str, line: &str| {
        let rules = format!("{{name: m, fields: [spec.shelf], {scope}}}");
        seen(&rules, line, &database())["spec"]["shelf"] == MASK
    };
    for (scope, line, expected) in [
        ("subjects: {agents: [triage-*]}", GET, true),
        ("subjects: {agents: [coder]}", GET, false),
        ("subjects: {principals: ['*@example.com']}", GET, true),
        ("subjects: {groups: [admins]}", GET, false),
        ("subjects: {exceptGroups: [agents]}", GET, false),
        ("subjects: {exceptGroups: [admins]}", GET, true),
        ("clusters: [prod]", GET, true),
        ("clusters: [test]", GET, false),
        (
            "apiGroups: [example.com], resources: [databases]",
            GET,
            true,
        ),
        ("resources: [others]", GET, false),
        ("namespaces: [web]", GET, true),
        ("namespaces: [shop]", GET, false),
        ("namespaces: [shop]", LIST, true),
        ("resourceNames: [e]", GET, false),
        ("resourceNames: [e]", LIST, true),
    ] {
        assert_eq!(hides(scope, line), expected, "{scope} {line}");
    }
}

#[test]
fn threat_18_nobody_selects_by_what_is_hidden() {
    let rules = masks("{name: m, fields: [spec.shelf, 'metadata.labels.tier']}");
    for (query, refused) in [
        ("fieldSelector=spec.shelf%3Dguess", true),
        (
            "fieldSelector=metadata.name%3Dd%2Cspec.shelf!%3Dguess",
            true,
        ),
        ("fieldSelector=spec.shelf.inner%3Dx", true),
        ("fieldSelector=spec.other%3Dx", false),
        ("labelSelector=tier%3Dgold", true),
        ("labelSelector=app%2C!tier", true),
        (
            "labelSelector=app%20in%20(a%2Cb)%2Ctier%20in%20(gold)",
            true,
        ),
        ("labelSelector=app%3Dtier", false),
    ] {
        let path = format!("/apis/example.com/v1/namespaces/web/databases?{query}");
        let ask = Ask::for_test("prod", "GET", &path, "");
        let checked = Plan::new(&rules, &caller(), &ask);
        assert_eq!(checked.is_err(), refused, "{query}");
    }
}

#[test]
fn detectors_are_added_and_taken_back_by_rules() {
    let config =
        |data: Value| json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": data});
    let line = "GET /api/v1/namespaces/web/configmaps/c";
    let with = |rules: &str, text: &str| {
        seen(rules, line, &config(json!({"t": text})))["data"]["t"].clone()
    };
    let off = "{name: unused, fields: [nothing]}";
    assert_eq!(with(off, AWS), MASK);
    assert_eq!(
        with("{name: m, detectors: [aws-access-key], with: keep}", AWS),
        AWS
    );
    assert_eq!(
        with(
            "{name: m, detectors: [aws-access-key], with: keep, namespaces: [shop]}",
            AWS
        ),
        MASK
    );
    assert_eq!(
        with(
            "{name: m, detectors: ['*'], with: partial}",
            &format!("k={AWS}.")
        ),
        format!("k={MASK}:…Z2AB.")
    );
    assert_eq!(
        with(
            "{name: m, detectors: [aws-access-key], with: drop}",
            &format!("k={AWS}.")
        ),
        "k=."
    );
    let keep = "{name: m, detectors: [aws-access-key], with: keep, namespaces: [web]}";
    let list = json!({"kind": "ConfigMapList", "items": [config(json!({"t": AWS}))]});
    assert_eq!(
        seen(keep, "GET /api/v1/configmaps", &list)["items"][0]["data"]["t"],
        MASK
    );
    let strongest = "{name: a, detectors: [aws-access-key], with: partial}, {name: b, detectors: [aws-access-key]}";
    assert_eq!(with(strongest, AWS), MASK);
    // The values of Secrets are nobody's to show.
    let secret =
        json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "aHVudGVyMg=="}});
    let found = seen(
        "{name: m, detectors: ['*'], with: keep}",
        "GET /api/v1/namespaces/web/secrets/s",
        &secret,
    );
    assert_eq!(found["data"]["a"], MASK_BASE64);
}

#[test]
fn what_is_wrong_with_a_mask_is_told() {
    let wrong = |rules: &str| {
        let text = format!(
            "{{apiVersion: gateward.dev/v1alpha1, kind: Policy, metadata: {{name: p}}, spec: {{masks: [{rules}]}}}}"
        );
        let policy = serde_saphyr::from_str(&text).unwrap();
        let errors = PolicySet::compile(vec![policy]).unwrap_err();
        format!("{}: {}", errors[0].field, errors[0].message)
    };
    for (rules, expected) in [
        (
            "{name: m}",
            "spec.masks[0]: a mask needs fields or detectors",
        ),
        (
            "{name: m, fields: ['a..b']}",
            "spec.masks[0].fields[0]: \"a..b\" is not the path of a field: a name is missing",
        ),
        ("{name: m, fields: ['a.**']}", "ends with"),
        ("{name: m, fields: ['a.b*']}", "a name is whole"),
        (
            "{name: m, fields: [a], with: keep}",
            "spec.masks[0].with: keep takes back",
        ),
        (
            "{name: m, fields: [a]}, {name: m, fields: [b]}",
            "another mask of this policy",
        ),
        (
            "{name: m, fields: [a], resources: [pods/log]}",
            "names a subresource",
        ),
    ] {
        assert!(wrong(rules).contains(expected), "{rules}: {}", wrong(rules));
    }
    let most = vec!["a"; 64].join(".");
    masks(&format!("{{name: m, fields: [{most}, {most}]}}"));
    let long = vec!["a"; 65].join(".");
    assert!(wrong(&format!("{{name: m, fields: [{long}, {long}]}}")).contains("130 steps"));
}
