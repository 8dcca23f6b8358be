//! Protobuf bodies are read as Kubernetes' own code reads them, and real clients that send
//! them get through.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gateward::parse;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use crate::harness::{Capture, world};
use crate::oracle;

/// The JSON that would go upstream for a protobuf body.
fn sent(body: Vec<u8>) -> Result<String, String> {
    let mut headers = HeaderMap::new();
    let media = HeaderValue::from_static("application/vnd.kubernetes.protobuf");
    headers.insert(header::CONTENT_TYPE, media);
    let path = "/api/v1/namespaces/default/things";
    parse::head("c".into(), &Method::POST, path, None, &headers)
        .and_then(|head| head.with_body(Bytes::from(body), &parse::Embedders::default()))
        .map(|ask| String::from_utf8(ask.body().to_vec()).unwrap())
        .map_err(|refusal| refusal.sentence())
}

#[test]
fn the_table_is_what_the_go_types_say() {
    let current = oracle::run("protobuf", &["table"], b"");
    assert!(
        current == include_str!("../../src/parse/protobuf/table.json"),
        "in dev/kubernetes: go run ./protobuf table > ../../src/parse/protobuf/table.json"
    );
}

#[test]
fn threat_12_thousands_of_objects_mean_the_same_as_json_and_as_protobuf() {
    let generated = oracle::run("protobuf", &["generate", "20261125", "4000"], b"");
    let (mut kinds, mut lines, mut seen) = (BTreeSet::new(), Vec::new(), Vec::new());
    for line in generated.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (kind, text) = (
            line["kind"].as_str().unwrap(),
            line["protobuf"].as_str().unwrap(),
        );
        match sent(STANDARD.decode(text).unwrap()) {
            Ok(sent) => {
                kinds.insert(kind.to_owned());
                lines.push(json!({"protobuf": text, "json": sent}).to_string());
                seen.push(kind.to_owned());
            }
            Err(sentence) => assert!(sentence.contains("a List of objects"), "{kind}: {sentence}"),
        }
    }
    assert!(
        kinds.len() > 300 && lines.len() > 3900,
        "{} kinds",
        kinds.len()
    );
    let verdicts = oracle::run("protobuf", &["compare"], lines.join("\n").as_bytes());
    let wrong: Vec<String> = verdicts
        .lines()
        .zip(&seen)
        .filter(|(verdict, _)| *verdict != "same")
        .map(|(verdict, kind)| format!("{kind}: {verdict}"))
        .collect();
    assert_eq!(verdicts.lines().count(), lines.len());
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        lines.len(),
        wrong.join("\n")
    );
}

#[test]
fn kubectl_commands_that_send_protobuf_work_and_are_judged() {
    let world = world();
    let namespace = world.namespace("protobuf");
    for arguments in [
        &[
            "create",
            "deployment",
            "web",
            "--image=registry.example.com/app:1",
        ][..],
        &[
            "create",
            "job",
            "once",
            "--image=registry.example.com/app:1",
        ],
        &["create", "configmap", "settings", "--from-literal=a=b"],
        &["scale", "deployment", "web", "--replicas=2"],
        &["auth", "can-i", "list", "pods"],
        &["delete", "deployment", "web"],
    ] {
        let output = world.kubectl(&[&["-n", &namespace], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() || arguments[0] == "auth",
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("gateward"), "{arguments:?}: {said}");
    }
    let output = world.kubectl(&["-n", &namespace, "create", "token", "default"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("mint-service-account-tokens"), "{said}");
}

#[test]
fn threat_14_privilege_in_protobuf_is_seen_and_json_is_what_goes_upstream() {
    let world = world();
    crate::harness::run(async {
        let capture = Capture::start(&world.dir).await;
        let (gate, _) = world
            .another_gate(|config| {
                config["spec"]["clusters"][0]["kubeconfig"]["file"] = json!(capture.kubeconfig);
            })
            .await;
        // Pod: 2 spec { 2 containers { 15 securityContext { 2 privileged: true }}}
        for (privileged, expected) in [(0_u8, 200), (1, 429)] {
            let context = [15 << 3 | 2, 2, 2 << 3, privileged];
            let spec = [&[2 << 3 | 2, 4][..], &context].concat();
            let raw = [&[2 << 3 | 2, 6][..], &spec].concat();
            let type_meta = b"\x0a\x02v1\x12\x03Pod";
            let body = [&b"k8s\0\x0a\x09"[..], type_meta, &[2 << 3 | 2, 8], &raw].concat();
            let response = world
                .ask_at(&gate, "POST", "/api/v1/namespaces/default/pods")
                .header("content-type", "application/vnd.kubernetes.protobuf")
                .body(body)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status().as_u16(), expected);
        }
        // The gate's own reads of roles come between.
        let requests = capture.requests.lock().unwrap();
        let last = requests
            .iter()
            .rfind(|request| request.starts_with("POST "));
        let last = last.unwrap().to_ascii_lowercase();
        assert!(last.contains("content-type: application/json"), "{last}");
        assert!(
            last.contains(r#""containers":[{"securitycontext":{"privileged":false}}]"#),
            "{last}"
        );
    });
}
