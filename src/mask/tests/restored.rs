//! Tests of ⑦ mask: masks that come back are put back, and lead nowhere else.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::parse::{Node, Old, read_answer};

const AWS: &str = "AKIAQ3EGRVTL7WXYZ2AB";

fn node(value: &Value) -> Node {
    read_answer(value.to_string().as_bytes()).unwrap()
}

fn as_json(node: &Node) -> Value {
    serde_json::from_slice(&node.to_json()).unwrap()
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "labels": {"a": "b"}},
        "data": {"password": "aHVudGVyMg==", "user": "YXBw"}})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {
        "containers": [
            {"name": "one", "env": [{"name": "KEY", "value": AWS}, {"name": "PLAIN", "value": "x"}], "args": ["--key", AWS]},
            {"name": "two", "env": [{"name": "KEY", "value": "AKIAZZZZRVTL7WXYZ2AB"}]}]}}}})
}

const SECRET: &str = "/api/v1/namespaces/f/secrets/db";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/f/deployments/web";

/// What the agent sees of it.
fn seen(path: &str, real: &Value) -> Value {
    let ask = Ask::for_test("prod", "GET", path, "");
    let mut masker = Masker::new(&plan_of(&ask), 200, Some("application/json"), None).unwrap();
    let masked = masker.feed(Bytes::from(real.to_string())).unwrap();
    serde_json::from_slice(masked.as_bytes()).unwrap()
}

fn write(
    method: &str,
    path: &str,
    body: &Value,
    real: &Value,
) -> Result<(Value, Restored), String> {
    let ask = Ask::for_test("prod", method, path, &body.to_string());
    let old = Old::Known(Arc::new(node(real)));
    match restore(ask.clone(), &old, &plan_of(&ask)) {
        Ok((ask, restored)) => Ok((serde_json::from_slice(ask.body()).unwrap(), restored)),
        Err(Refusal::MaskReturned { field }) => Err(field),
        Err(other) => panic!("{other:?}"),
    }
}

fn written(method: &str, path: &str, body: &Value, real: &Value) -> Result<Value, String> {
    write(method, path, body, real).map(|(body, _)| body)
}

#[test]
fn what_is_written_back_as_it_was_shown_is_what_was_there() {
    let mut shown = seen(SECRET, &secret());
    assert_eq!(shown["data"]["password"], MASK_BASE64);
    shown["metadata"]["labels"]["c"] = json!("d");
    let mut expected = secret();
    expected["metadata"]["labels"]["c"] = json!("d");
    assert_eq!(written("PUT", SECRET, &shown, &secret()), Ok(expected));

    let mut shown = seen(DEPLOYMENT, &deployment());
    assert!(!shown.to_string().contains("AKIA"), "{shown}");
    // Containers are told apart by their names, whatever their order.
    let containers = shown["spec"]["template"]["spec"]["containers"]
        .as_array_mut()
        .unwrap();
    containers.reverse();
    containers.push(json!({"name": "three"}));
    let back = written("PUT", DEPLOYMENT, &shown, &deployment()).unwrap();
    let containers = &back["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["env"][0]["value"], "AKIAZZZZRVTL7WXYZ2AB");
    assert_eq!(containers[1]["env"][0]["value"], AWS);
    assert_eq!(containers[1]["args"], json!(["--key", AWS]));
    let patch = json!({"data": {"password": MASK_BASE64, "new": "bmV3"}});
    let expected = json!({"data": {"password": "aHVudGVyMg==", "new": "bmV3"}});
    assert_eq!(written("PATCH", SECRET, &patch, &secret()), Ok(expected));
    let patch = json!([{"op": "replace", "path": "/data/password", "value": MASK_BASE64}]);
    let expected = json!([{"op": "replace", "path": "/data/password", "value": "aHVudGVyMg=="}]);
    assert_eq!(written("PATCH", SECRET, &patch, &secret()), Ok(expected));
}

#[test]
fn threat_18_a_mask_leads_to_no_other_place() {
    for (patch, field) in [
        (json!({"data": {"other": MASK_BASE64}}), "data.other"),
        (
            json!({"metadata": {"labels": {"x": MASK}}}),
            "metadata.labels.x",
        ),
        (
            json!({"stringData": {"password": MASK}}),
            "stringData.password",
        ),
        (json!({"data": {"password": MASK}}), "data.password"),
    ] {
        assert_eq!(
            written("PATCH", SECRET, &patch, &secret()),
            Err(field.to_owned())
        );
    }
    let shown = seen(DEPLOYMENT, &deployment());
    let at = |change: fn(&mut Value)| {
        let mut shown = shown.clone();
        change(&mut shown["spec"]["template"]["spec"]["containers"]);
        written("PUT", DEPLOYMENT, &shown, &deployment()).unwrap_err()
    };
    // Another name beside the value, another container, another option before it.
    at(|containers| containers[0]["env"][0]["name"] = json!("SHOWN"));
    at(|containers| containers[1]["name"] = json!("third"));
    at(|containers| containers[0]["args"][0] = json!("--shown"));
    at(|containers| containers[0]["env"][1]["value"] = json!(MASK));
    at(|containers| {
        containers[0]["env"] =
            json!([{"name": "KEY", "value": MASK}, {"name": "KEY", "value": MASK}])
    });
}

#[test]
fn threat_18_a_json_patch_is_no_oracle() {
    const CONFIG: &str = "/api/v1/namespaces/f/configmaps/c";
    let real = json!({"kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "b"}},
        "data": {"key": AWS, "plain": "x"}, "list": [{"k": AWS}, {"k": "x"}]});
    for patch in [
        json!([{"op": "test", "path": "/data/key", "value": AWS}]),
        json!([{"op": "test", "path": "/data", "value": {}}]),
        json!([{"op": "test", "path": "", "value": {}}]),
        json!([{"op": "copy", "from": "/data/key", "path": "/metadata/labels/x"}]),
        json!([{"op": "move", "from": "/data", "path": "/metadata/annotations"}]),
        json!([{"op": "add", "path": "/metadata/labels/x", "value": MASK}]),
        json!([{"op": "add", "path": "/list/0", "value": 1}, {"op": "test", "path": "/list/1/k", "value": AWS}]),
        json!([{"op": "remove", "path": "/list/1"}, {"op": "replace", "path": "/list/0/k", "value": MASK}]),
    ] {
        assert!(written("PATCH", CONFIG, &patch, &real).is_err(), "{patch}");
    }
    let other = json!([
        {"op": "test", "path": "/metadata/labels/a", "value": "b"},
        {"op": "test", "path": "/list/1/k", "value": "x"},
        {"op": "copy", "from": "/metadata/labels/a", "path": "/metadata/labels/c"},
        {"op": "remove", "path": "/data/key"}]);
    assert_eq!(written("PATCH", CONFIG, &other, &real), Ok(other));
    let back = json!([{"op": "replace", "path": "/list/0/k", "value": MASK}]);
    let expected = json!([{"op": "replace", "path": "/list/0/k", "value": AWS}]);
    assert_eq!(written("PATCH", CONFIG, &back, &real), Ok(expected));
}

#[test]
fn the_manifest_of_kubectl_apply_is_restored_within_its_annotation() {
    let mut real = secret();
    let manifest = |password: &str| {
        let manifest =
            json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": password}});
        format!("{manifest}\n")
    };
    real["metadata"]["annotations"] = json!({LAST: manifest("aHVudGVyMg==")});
    let patch = json!({"metadata": {"annotations": {LAST: manifest(MASK_BASE64)}}, "data": {"password": MASK_BASE64}});
    let back = written("PATCH", SECRET, &patch, &real).unwrap();
    assert_eq!(back["data"]["password"], "aHVudGVyMg==");
    let kept: Value =
        serde_json::from_str(back["metadata"]["annotations"][LAST].as_str().unwrap()).unwrap();
    assert_eq!(kept["data"]["password"], "aHVudGVyMg==");
    // As it was shown, it stays as it is.
    let shown = seen(SECRET, &real);
    assert_eq!(written("PUT", SECRET, &shown, &real), Ok(real));
}

#[test]
fn threat_18_what_is_put_back_is_hidden_in_the_result() {
    let embedded = |kind: &str, password: &str| {
        json!({"apiVersion": "example.com/v1", "kind": "Template", "metadata": {"name": "t"},
            "spec": {"kind": kind, "data": {"a": password}}})
    };
    let path = "/apis/example.com/v1/namespaces/f/templates/t";
    let real = embedded("Secret", "aHVudGVyMg==");
    // The kind beside it makes it a Secret; without it, the same value would show.
    let shown = embedded("ConfigMap", MASK_BASE64);
    let (body, restored) = write("PUT", path, &shown, &real).unwrap();
    let ask = Ask::for_test("prod", "PUT", path, &body.to_string());
    assert!(restored.hidden_in(&plan_of(&ask), &node(&body)).is_err());
    let shown = embedded("Secret", MASK_BASE64);
    let (body, restored) = write("PUT", path, &shown, &real).unwrap();
    assert_eq!(body, real);
    restored.hidden_in(&plan_of(&ask), &node(&body)).unwrap();
    assert_eq!(as_json(&node(&body)), real);
}
