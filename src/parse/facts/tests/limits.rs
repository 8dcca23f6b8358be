//! Tests of facts: how much is judged at once, and that more is refused whole.

use super::*;

#[test]
fn what_is_too_much_is_refused_and_never_cut() {
    let containers = vec![r#"{"securityContext":{"privileged":true}}"#; 3000].join(",");
    let object = node(&format!(r#"{{"spec":{{"containers":[{containers}]}}}}"#));
    let long = "k".repeat(5000);
    let nested = node(&format!(
        r#"{{"{long}":{{"a":{{"b":[{{"containers":[{{}}]}}]}}}}}}"#
    ));
    let operation = r#"{"op":"add","path":"/spec/hostPID","value":true}"#;
    let patch = node(&format!("[{}]", vec![operation; 10_000].join(",")));
    let embedders = Embedders::default();
    let things = info("POST", "/apis/x.io/v1/namespaces/f/things");
    for refused in [
        of_result(&info("POST", PODS), &object, &Old::Absent, &embedders),
        of_result(&things, &nested, &Old::Absent, &embedders),
        of_result(&info("POST", PODS), &nested, &Old::Absent, &embedders),
        of_body(&info("PATCH", POD), &Media::JsonPatch, &patch, &embedders),
    ] {
        assert!(matches!(refused, Err(Refusal::NotUnderstood { .. })));
    }
    let some = vec![r#"{"securityContext":{"privileged":true}}"#; 100].join(",");
    let found = whole(PODS, &format!(r#"{{"spec":{{"containers":[{some}]}}}}"#));
    assert_eq!((found.privileged.len(), found.images.len()), (100, 100));
}

#[test]
fn as_much_is_judged_at_once_as_an_object_may_need() {
    let list = |count: usize, item: &str| vec![item; count].join(",");
    let pod = |field: &str, items: String| (PODS, format!(r#"{{"spec":{{"{field}":[{items}]}}}}"#));
    let images = |count| {
        pod(
            "containers",
            list(count, r#"{"image":"registry.example.com/a/b:1"}"#),
        )
    };
    let secrets = |count| pod("imagePullSecrets", list(count, r#"{"name":"a-secret"}"#));
    let taints = |count| pod("tolerations", list(count, r#"{"key":"a-taint"}"#));
    let subjects = |count| {
        let subject = r#"{"kind":"ServiceAccount","name":"robot","namespace":"a-namespace"}"#;
        (
            BINDINGS,
            format!(r#"{{"subjects":[{}]}}"#, list(count, subject)),
        )
    };
    let judged = |(path, object): (&str, String)| {
        let embedders = Embedders::default();
        of_result(
            &info("POST", path),
            &node(&object),
            &Old::Absent,
            &embedders,
        )
        .is_ok()
    };
    for (few, many) in [
        (images(400), images(600)),
        (secrets(5000), secrets(6000)),
        (taints(5000), taints(6000)),
        (subjects(4000), subjects(5000)),
    ] {
        assert!(judged(few) && !judged(many));
    }
}
