//! Tests of facts: objects that are neither pods nor roles: Services, Namespaces, Secrets,
//! and what tells the API server whom to call.

use super::*;

#[test]
fn services_say_what_they_take_over() {
    let found = whole(
        SERVICES,
        r#"{"spec":{"type":"ExternalName","externalName":"evil.example.com","externalIPs":["10.0.0.1","10.0.0.2"]}}"#,
    );
    assert_eq!(pairs(&found.service_types), [("spec.type", "ExternalName")]);
    assert_eq!(
        pairs(&found.external_names),
        [("spec.externalName", "evil.example.com")]
    );
    assert_eq!(
        pairs(&found.external_ips)[1],
        ("spec.externalIPs[1]", "10.0.0.2")
    );
    let status = format!("{SERVICES}/s/status");
    let patch = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"8.8.8.8"}]}}}"#;
    let found = body(Media::MergePatch, &status, patch);
    assert_eq!(
        pairs(&found.external_ips),
        [("status.loadBalancer.ingress[0].ip", "8.8.8.8")]
    );
    let patch = r#"[{"op":"add","path":"/spec/externalIPs/-","value":"8.8.8.8"}]"#;
    let found = body(Media::JsonPatch, &format!("{SERVICES}/s"), patch);
    assert_eq!(
        pairs(&found.external_ips),
        [("/spec/externalIPs/-", "8.8.8.8")]
    );
}

#[test]
fn namespaces_cannot_lose_their_labels_unseen() {
    let enforce = |level: &str| {
        format!(
            r#"{{"metadata":{{"labels":{{"a":"b","pod-security.kubernetes.io/enforce":"{level}"}}}}}}"#
        )
    };
    let key = r#"metadata.labels["pod-security.kubernetes.io/enforce"]"#;
    let bare = r#"{"metadata":{"labels":{"a":"b"}}}"#;
    let put = |new: &str, old: Option<&str>| {
        let old = old.map_or(Old::Unknown, |old| Old::Known(node(old).into()));
        let info = info("PUT", NAMESPACE);
        let found = of_result(&info, &node(new), &old, &Embedders::default()).unwrap();
        let labels = found.pod_security_labels.into_iter();
        labels.map(|it| (it.field, it.value)).collect::<Vec<_>>()
    };
    let one = |field: &str, value: &str| vec![(field.to_owned(), value.to_owned())];
    let (privileged, baseline) = (enforce("privileged"), enforce("baseline"));
    assert_eq!(put(&privileged, Some(&baseline)), one(key, "privileged"));
    assert_eq!(put(&baseline, Some(&baseline)), []);
    assert_eq!(put(bare, Some(&baseline)), one(key, ""));
    assert_eq!(put(r#"{"metadata":{}}"#, Some(bare)), []);
    assert_eq!(put(bare, None), one("metadata.labels", ""));
    // An apply that creates takes nothing away.
    let applied = of_result(
        &info("PATCH", NAMESPACE),
        &node(bare),
        &Old::Absent,
        &Embedders::default(),
    );
    assert!(applied.unwrap().pod_security_labels.is_empty());
    let created = whole("/api/v1/namespaces", &privileged);
    assert_eq!(pairs(&created.pod_security_labels), [(key, "privileged")]);
    assert!(
        whole("/api/v1/namespaces", bare)
            .pod_security_labels
            .is_empty()
    );
    for (media, patch, touched) in [
        (
            Media::MergePatch,
            r#"{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":null}}}"#,
            true,
        ),
        (Media::MergePatch, r#"{"metadata":{"labels":null}}"#, true),
        (Media::MergePatch, r#"{"metadata":null}"#, true),
        (
            Media::StrategicPatch,
            r#"{"metadata":{"$patch":"replace"}}"#,
            true,
        ),
        (Media::MergePatch, bare, false),
        (
            Media::StrategicPatch,
            r#"{"metadata":{"labels":{"$patch":"replace"}}}"#,
            true,
        ),
        (
            Media::ApplyPatch,
            r#"{"kind":"Namespace","apiVersion":"v1"}"#,
            true,
        ),
        (
            Media::JsonPatch,
            r#"[{"op":"remove","path":"/metadata/labels/pod-security.kubernetes.io~1enforce"}]"#,
            true,
        ),
        (
            Media::JsonPatch,
            r#"[{"op":"remove","path":"/metadata/labels"}]"#,
            true,
        ),
        (
            Media::JsonPatch,
            r#"[{"op":"add","path":"/metadata/labels/a","value":"b"}]"#,
            false,
        ),
    ] {
        let found = body(media, NAMESPACE, patch);
        assert_eq!(!found.pod_security_labels.is_empty(), touched, "{patch}");
    }
}

#[test]
fn secrets_that_become_tokens_are_known() {
    for (kind, token) in [
        ("kubernetes.io/service-account-token", true),
        ("bootstrap.kubernetes.io/token", true),
        ("Opaque", false),
    ] {
        let object = whole(
            "/api/v1/namespaces/f/secrets",
            &format!(r#"{{"type":"{kind}"}}"#),
        );
        assert_eq!(pairs(&object.secret_types), [("type", kind)]);
        let mut facts = Facts::default();
        facts.set_object(&info("POST", "/api/v1/namespaces/f/secrets"), object);
        assert_eq!(facts.mints_token, token, "{kind}");
    }
}

#[test]
fn what_the_api_server_will_call_is_known() {
    for (path, object, expected) in [
        (
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
            r#"{"webhooks":[{},{"clientConfig":{"url":"https://evil.example.com/x?token=y"}}]}"#,
            ("webhooks[1].clientConfig.url", "https://evil.example.com/x"),
        ),
        (
            "/apis/apiregistration.k8s.io/v1/apiservices",
            r#"{"spec":{"service":{"namespace":"f","name":"s"},"group":"x.io"}}"#,
            ("spec.service", "f/s"),
        ),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            r#"{"spec":{"conversion":{"strategy":"Webhook","webhook":{"clientConfig":{"service":{"namespace":"f","name":"s"}}}}}}"#,
            ("spec.conversion.webhook.clientConfig.service", "f/s"),
        ),
        (
            "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions",
            r#"{"spec":{"conversion":{"webhookClientConfig":{"url":"https://x"}}}}"#,
            ("spec.conversion.webhookClientConfig.url", "https://x"),
        ),
    ] {
        assert_eq!(
            pairs(&whole(path, object).api_server_calls),
            [expected],
            "{path}"
        );
    }
}
