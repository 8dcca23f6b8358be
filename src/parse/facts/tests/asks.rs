//! Tests of facts: what a path says by itself, and how all facts are named and shown.

use super::*;

#[test]
fn what_the_path_alone_says() {
    for (method, path, expected) in [
        ("GET", "/api/v1/secrets", "secrets"),
        ("DELETE", "/api/v1/namespaces/f/secrets/s", "secrets"),
        ("GET", "/apis/x.io/v1/secrets", ""),
        ("GET", "/api/v1/namespaces/secrets/pods", ""),
        ("GET", POD, ""),
        ("GET", "/api/v1/namespaces/f/pods/p/exec", "execLike"),
        ("POST", "/api/v1/namespaces/f/pods/p/attach", "execLike"),
        (
            "POST",
            "/api/v1/namespaces/f/pods/p/portforward",
            "execLike",
        ),
        ("GET", "/api/v1/namespaces/f/pods/p/proxy", "execLike"),
        ("GET", "/api/v1/nodes/n/proxy/x", "execLike"),
        ("GET", "/api/v1/namespaces/f/services/s/proxy/x", "execLike"),
        (
            "PATCH",
            "/api/v1/namespaces/f/pods/p/ephemeralcontainers",
            "execLike",
        ),
        ("GET", "/api/v1/namespaces/f/pods/p/ephemeralcontainers", ""),
        ("GET", "/api/v1/namespaces/f/pods/p/log", ""),
        (
            "POST",
            "/api/v1/namespaces/f/serviceaccounts/s/token",
            "mintsToken",
        ),
        ("POST", "/api/v1/namespaces/f/serviceaccounts", ""),
        ("DELETE", PODS, "deletesCollection"),
        ("DELETE", POD, ""),
        ("DELETE", NAMESPACE, "deletesNamespace"),
    ] {
        let facts = serde_json::to_value(of_request(&info(method, path), Vec::new())).unwrap();
        let given: Vec<_> = facts
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, v)| **v == true)
            .collect();
        let given: Vec<&str> = given.into_iter().map(|(name, _)| &**name).collect();
        let expected: Vec<&str> = expected.split_terminator(' ').collect();
        assert_eq!(given, expected, "{method} {path}");
    }
    // Every namespace there is.
    let all = of_request(&info("DELETE", "/api/v1/namespaces"), Vec::new());
    assert!(all.deletes_namespace && all.deletes_collection);
}

#[test]
fn options_of_a_deletion_are_no_object() {
    let facts = of_body(
        &info("DELETE", POD),
        &Media::Json,
        &node(r#"{"spec":{"hostPID":true}}"#),
        &Embedders::default(),
    );
    assert_eq!(facts.unwrap(), ObjectFacts::default());
}

#[test]
fn the_names_of_facts_are_stable() {
    let json = serde_json::to_value(Facts::default()).unwrap();
    let names: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = "secrets execLike execCommand mintsToken deletesCollection deletedObjects deletesNamespace \
        unclear privileged hostNamespaces hostUsers hostPath hostPorts addedCapabilities \
        runAsRoot podSecurity images commands nodeName serviceAccounts serviceAccountGrants serviceAccountGrantsKnown projectedTokens \
        secretsExposed configMapsExposed tolerations priorityClasses rbac serviceTypes \
        externalIPs externalNames podSecurityLabels secretTypes apiServerCalls";
    assert_eq!(names.join(" "), expected);
    assert_eq!(
        json["podSecurity"],
        serde_json::json!({"baseline": [], "restricted": []})
    );
}

#[test]
fn people_are_shown_only_what_there_is() {
    let shown = |change: fn(&mut Facts)| {
        let mut facts = Facts::default();
        change(&mut facts);
        serde_json::Value::Object(facts.shown())
    };
    let one = || Finding {
        field: "f".to_owned(),
        value: "v".to_owned(),
    };
    let (found, none) = (
        serde_json::json!({"field": "f", "value": "v"}),
        Vec::<Finding>::new(),
    );
    for (shown, expected) in [
        (shown(|_| {}), serde_json::json!({})),
        (
            shown(|it| it.secrets = true),
            serde_json::json!({"secrets": true}),
        ),
        (
            shown(|it| it.deleted_objects = 1),
            serde_json::json!({"deletedObjects": 1}),
        ),
        (
            shown(|it| it.exec_command.push("sh".to_owned())),
            serde_json::json!({"execCommand": ["sh"]}),
        ),
    ] {
        assert_eq!(shown, expected);
    }
    let mut facts = Facts::default();
    facts.object.rbac.grants.push(one());
    let rbac =
        serde_json::json!({"grants": [found], "escalation": none, "roles": none, "subjects": none});
    assert_eq!(
        serde_json::Value::Object(facts.shown()),
        serde_json::json!({"rbac": rbac})
    );
}
