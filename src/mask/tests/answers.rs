//! Tests of ⑦ mask: plans, answers that are no documents, and masks that come back.

use serde_json::{Value, json};

use super::*;

#[test]
fn a_mask_that_comes_back_is_refused_with_its_field() {
    let field = |body: Value| match returned::refuse_in(body.to_string().as_bytes()) {
        Ok(()) => None,
        Err(Refusal::MaskReturned { field }) => Some(field),
        Err(other) => panic!("{other:?}"),
    };
    let found = |body: Value, expected: &str| assert_eq!(field(body).as_deref(), Some(expected));
    found(json!({"data": {"password": MASK_BASE64}}), "data.password");
    found(json!({"stringData": {"a.b": MASK}}), "stringData[\"a.b\"]");
    found(
        json!([{"op": "add", "value": {"k": MASK_BASE64}}]),
        "[0].value.k",
    );
    found(
        json!({"spec": {"env": [{"value": format!("postgres://u:{MASK}@h")}]}}),
        "spec.env[0].value",
    );
    found(
        json!({"metadata": {"annotations": {LAST: LAST_MASK}}}),
        "metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]",
    );
    assert_eq!(field(json!({"data": {"password": "aHVudGVyMg=="}})), None);
    // What `kubectl apply` writes to drop the annotation that only the mask names.
    assert_eq!(
        field(json!({"metadata": {"annotations": {"gateward/masked": null}}})),
        None
    );
    returned::refuse_in(b"").unwrap();
    let escaped = br#"{"data":{"k":"g\u0061teward:masked"}}"#;
    assert!(matches!(
        returned::refuse_in(escaped),
        Err(Refusal::MaskReturned { .. })
    ));
}

#[test]
fn error_answers_in_plain_text_become_a_status_with_the_same_code() {
    for (status, reason) in [
        (404, "NotFound"),
        (429, "TooManyRequests"),
        (502, ""),
        (302, ""),
    ] {
        for content_type in [Some("text/plain; charset=utf-8"), Some("text/html"), None] {
            let mut masker = Masker::new(&plan(&pods("list")), status, content_type, None).unwrap();
            assert_eq!(masker.content_type(), Some("application/json"));
            let passed = masker.feed(Bytes::from_static(CANARY.as_bytes())).unwrap();
            assert!(passed.as_bytes().is_empty());
            let body = masker.finish().unwrap();
            let body: Value = serde_json::from_slice(body.as_bytes()).unwrap();
            assert_eq!(body["kind"], "Status");
            assert_eq!(body["reason"], reason);
            assert_eq!(body["code"], status);
            assert!(!body.to_string().contains(CANARY));
        }
    }
}

#[test]
fn answers_without_a_body_pass_as_such() {
    for status in [204, 304] {
        let mut masker = Masker::new(&plan(&pods("get")), status, None, None).unwrap();
        assert_eq!(masker.finish().unwrap(), Masked::default());
        masker.feed(Bytes::from_static(b"{}")).unwrap_err();
    }
    let head = Plan::of(&pods("get"), &Method::HEAD, masking());
    for status in [200, 404] {
        let mut masker =
            Masker::new(&head, status, Some("application/json"), Some("gzip")).unwrap();
        assert_eq!(masker.finish().unwrap(), Masked::default());
    }
    run(masker(&pods("get"), 500), &[]).unwrap();
    run(masker(&pods("get"), 200), &[]).unwrap_err();
    assert!(Masker::new(&plan(&pods("get")), 101, None, None).is_err());
}

#[test]
fn paths_and_subresources_are_masked_public_or_refused() {
    let public = [
        "/api",
        "/api/v1",
        "/apis",
        "/apis/apps/v1",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/apps/v1",
        "/version",
        "/version/",
        "/healthz",
        "/livez/ping",
        "/readyz/etcd",
        "/.well-known/openid-configuration",
        "/openid/v1/jwks",
    ];
    for path in public {
        for verb in ["get", "head"] {
            plan(&at_path(verb, path)).check().unwrap();
        }
        plan(&at_path("post", path)).check().unwrap_err();
    }
    for path in [
        "/",
        "/metrics",
        "/logs",
        "/logs/kube",
        "/debug/pprof",
        "/configz",
        "/flagz",
        "/statusz",
        "/apisx",
        "/versionx",
        "/version/x",
        "/openapi/v2/x",
        "/openapi",
        "/openid/v1/jwksx",
    ] {
        let plan = plan(&at_path("get", path));
        plan.check().unwrap_err();
        Masker::new(&plan, 200, Some("application/json"), None).unwrap_err();
    }
    for subresource in ["exec", "attach", "portforward", "proxy"] {
        plan(&info("get", "", "pods", subresource))
            .check()
            .unwrap_err();
    }
    plan(&info("proxy", "", "nodes", "")).check().unwrap_err();
    for subresource in ["", "status", "scale", "eviction", "resize"] {
        plan(&info("get", "", "pods", subresource)).check().unwrap();
    }
    let version = plan(&at_path("get", "/openapi/v2"));
    for (content_type, passes) in [
        (
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            true,
        ),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            true,
        ),
        ("text/plain; charset=utf-8", true),
        ("text/html", false),
        ("application/octet-stream", false),
    ] {
        let made = Masker::new(&version, 200, Some(content_type), None);
        assert_eq!(made.is_ok(), passes, "{content_type}");
    }
    let mut masker = Masker::new(&version, 200, Some("text/plain"), None).unwrap();
    let ok = Bytes::from_static(b"ok");
    assert_eq!(masker.feed(ok.clone()).unwrap(), Masked(ok));
    assert!(Masker::new(&version, 200, Some("text/plain"), Some("gzip")).is_err());
}
