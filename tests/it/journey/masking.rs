//! ⑦ What is secret stays behind: in every form that the API server has for an object.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gateward::demo::scene::RunningGate;
use gateward::mask::{MASK, MASK_BASE64};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{ALLOW_ALL, Answered, entries_of, gate_with_rules, said, send};
use crate::harness::{World, run, world};

/// Two values that must never be seen, as text or in base64.
const PASSWORD: &str = "correct-horse-battery-staple";
const KEY: &str = "sk-live-0123456789abcdef";

/// A namespace with a Secret that was applied by hand, so that its annotation has all again.
fn with_secret(world: &World, test: &str) -> String {
    let namespace = world.namespace(test);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "db", "namespace": namespace, "labels": {"tier": "gold"}},
        "data": {"password": STANDARD.encode(PASSWORD)},
        "stringData": {"key": KEY},
    });
    world.scene.control.apply(&secret.to_string()).unwrap();
    namespace
}

/// Fails if anything of the secret is there.
fn clean(what: &str, text: &str) {
    for secret in [
        PASSWORD,
        KEY,
        &STANDARD.encode(PASSWORD),
        &STANDARD.encode(KEY),
    ] {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

async fn accepting(request: RequestBuilder, accept: &str) -> Answered {
    send(request.header("accept", accept)).await
}

async fn open_gate(world: &World) -> (RunningGate, PathBuf) {
    gate_with_rules(world, ALLOW_ALL, |_| {}).await
}

#[test]
fn an_object_a_list_and_their_metadata_are_masked_and_still_whole() {
    run(async {
        let world = world();
        let namespace = with_secret(world, "masked");
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        let answer = send(world.ask("GET", &format!("{path}/db"))).await;
        clean("get", &answer.text);
        let secret = answer.json();
        assert_eq!(
            secret["data"],
            json!({"key": MASK_BASE64, "password": MASK_BASE64})
        );
        assert_eq!(STANDARD.decode(MASK_BASE64).unwrap(), MASK.as_bytes());
        assert_eq!(secret["metadata"]["labels"]["tier"], "gold");
        let applied = "kubectl.kubernetes.io/last-applied-configuration";
        let annotation = secret["metadata"]["annotations"][applied].as_str().unwrap();
        assert!(
            serde_json::from_str::<Value>(annotation).is_ok(),
            "{annotation}"
        );
        let outcome = &entries_of(&world.dir.join("data"), answer.id())[1]["outcome"];
        assert!(
            outcome["masked"]
                .as_array()
                .unwrap()
                .contains(&json!(["secret-data data.*", 2])),
            "{outcome}"
        );

        let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        for (what, path, accept) in [
            ("list", path.clone(), "application/json"),
            (
                "list of all",
                "/api/v1/secrets".to_owned(),
                "application/json",
            ),
            ("metadata", format!("{path}/db"), metadata),
            (
                "list of metadata",
                path.clone(),
                &*metadata.replace("Metadata;", "MetadataList;"),
            ),
        ] {
            let answer = accepting(world.ask("GET", &path), accept).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text);
            assert!(
                answer.text.contains("gold") && answer.text.contains("masked"),
                "{what}: {}",
                answer.text
            );
            clean(what, &answer.text);
        }
    });
}

#[test]
fn tables_with_whole_objects_are_masked() {
    run(async {
        let world = world();
        let namespace = with_secret(world, "tables");
        let accept = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json";
        for include in ["Object", "Metadata", "None"] {
            let path = format!("/api/v1/namespaces/{namespace}/secrets?includeObject={include}");
            let answer = accepting(world.ask("GET", &path), accept).await;
            let table = answer.json();
            assert_eq!(table["kind"], "Table", "{}", answer.text);
            assert_eq!(table["rows"][0]["cells"][0], "db");
            clean(include, &answer.text);
            if include == "Object" {
                assert_eq!(table["rows"][0]["object"]["data"]["password"], MASK_BASE64);
            }
        }
    });
}

#[test]
fn watch_events_are_masked_one_by_one() {
    run(async {
        let world = world();
        let namespace = with_secret(world, "events");
        let path = format!("/api/v1/namespaces/{namespace}/secrets?watch=1&timeoutSeconds=20");
        let mut watch = world.ask("GET", &path).send().await.unwrap();
        assert_eq!(watch.status(), 200);
        world
            .scene
            .control
            .kubectl(&[
                "-n",
                &namespace,
                "label",
                "secret",
                "db",
                "tier=lead",
                "--overwrite",
            ])
            .unwrap();
        let mut seen = String::new();
        while !seen.contains("MODIFIED") || !seen.ends_with('\n') {
            let chunk = watch.chunk().await.unwrap().expect("the watch ended");
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        clean("watch", &seen);
        for line in seen.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["object"]["data"]["password"], MASK_BASE64, "{event}");
        }
    });
}

#[test]
fn the_gate_negotiates_json_or_nothing() {
    run(async {
        let world = world();
        let namespace = with_secret(world, "accept");
        let path = format!("/api/v1/namespaces/{namespace}/secrets/db");
        for accept in [
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
            "application/cbor",
            "text/html",
        ] {
            let answer = accepting(world.ask("GET", &path), accept).await;
            assert_eq!(answer.status, 406, "{accept}: {}", answer.text);
            assert!(
                answer.message().contains("accept application/json"),
                "{}",
                answer.text
            );
        }
        for accept in [
            "application/vnd.kubernetes.protobuf,application/json",
            "application/yaml, */*",
            "*/*",
        ] {
            let answer = accepting(world.ask("GET", &path), accept).await;
            assert_eq!(answer.status, 200, "{accept}: {}", answer.text);
            assert_eq!(
                answer.header("content-type"),
                Some("application/json"),
                "{accept}"
            );
            clean(accept, &answer.text);
        }
    });
}

#[test]
fn kubectl_shows_masked_secrets_in_every_form() {
    let world = world();
    let namespace = with_secret(world, "kubectl");
    for form in [
        &["get", "secret", "db", "-o", "yaml"][..],
        &["get", "secret", "db", "-o", "json"],
        &["get", "secrets", "-o", "wide"],
        &["get", "secrets", "-o", "yaml", "--show-managed-fields"],
        &["get", "secret", "db", "-o", "jsonpath={.data.password}"],
        &[
            "get",
            "secret",
            "db",
            "-o",
            "go-template={{.data.password | base64decode}}",
        ],
        &["describe", "secret", "db"],
    ] {
        let mut arguments = vec!["-n", &*namespace];
        arguments.extend(form);
        let output = world.kubectl(&arguments);
        let (stdout, stderr) = said(&output);
        assert!(output.status.success(), "{form:?}: {stderr}");
        clean(&form.join(" "), &stdout);
        let about = ["db", MASK, MASK_BASE64]
            .iter()
            .any(|text| stdout.contains(text));
        assert!(about, "{form:?}: {stdout}");
    }
}

/// What the API server answers to a write is the object again; what it says of a wrong one
/// may quote it.
#[test]
fn answers_to_writes_and_errors_are_masked_and_so_is_what_is_kept() {
    run(async {
        let world = world();
        let namespace = with_secret(world, "writes");
        let (gate, data) = open_gate(world).await;
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        let secret = |name: &str, values: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values});
        let post = world
            .ask_at(&gate, "POST", &path)
            .json(&secret("new", json!({"key": KEY})));
        let put = world
            .ask_at(&gate, "PUT", &format!("{path}/new"))
            .json(&secret("new", json!({"key": PASSWORD})));
        let patch = world
            .ask_at(&gate, "PATCH", &format!("{path}/db"))
            .header("content-type", "application/merge-patch+json")
            .body(json!({"metadata": {"labels": {"tier": "new"}}}).to_string());
        let apply = world
            .ask_at(&gate, "PATCH", &format!("{path}/applied?fieldManager=me"))
            .header("content-type", "application/apply-patch+yaml")
            .body(secret("applied", json!({"key": KEY})).to_string());
        for (what, request, status) in [
            ("post", post, 201),
            ("put", put, 200),
            ("patch", patch, 200),
            ("apply", apply, 201),
        ] {
            let answer = send(request).await;
            assert_eq!(answer.status, status, "{what}: {}", answer.text);
            clean(what, &answer.text);
            assert!(answer.text.contains(MASK_BASE64), "{what}: {}", answer.text);
            let intent = &entries_of(&data, answer.id())[0]["intent"];
            assert!(
                intent["body"]["json"].is_object(),
                "{what}: the masked body is kept: {intent}"
            );
        }

        let quoted =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": KEY});
        let apply = world
            .ask_at(
                &gate,
                "PATCH",
                &format!("{path}/db?fieldManager=me&force=true"),
            )
            .header("content-type", "application/apply-patch+yaml")
            .body(quoted.to_string());
        let nameless = world
            .ask_at(&gate, "POST", &path)
            .json(&secret("bad", json!({"no/such key": KEY})));
        let wrong_type = world.ask_at(&gate, "POST", &path).json(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db2"}, "data": {"key": KEY}}));
        for (what, request) in [("apply", apply), ("key", nameless), ("type", wrong_type)] {
            let answer = send(request).await;
            assert!(
                (400..=500).contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.text
            );
            clean(what, &answer.text);
            assert!(
                answer.json()["code"] == answer.status,
                "{what}: {}",
                answer.text
            );
        }
        let kept = String::from_utf8_lossy(&world.kept(&data)).into_owned();
        clean("what the gate keeps", &kept);
        gate.stop().await;
    });
}

/// An edit neither leaks nor destroys what the editor did not see.
#[test]
fn a_mask_that_comes_back_in_its_place_is_the_value_and_nowhere_else() {
    run(async {
        let world = world();
        let namespace = with_secret(world, "edits");
        let (gate, data) = open_gate(world).await;
        let path = format!("/api/v1/namespaces/{namespace}/secrets/db");
        let stored = |field: &str| {
            let path = format!("jsonpath={{.data.{field}}}");
            let stored = ["-n", &namespace, "get", "secret", "db", "-o", &path];
            world.scene.control.kubectl(&stored).unwrap()
        };
        let mut secret = send(world.ask_at(&gate, "GET", &path)).await.json();
        secret["metadata"]["labels"]["tier"] = json!("edited");
        let answer = send(world.ask_at(&gate, "PUT", &path).json(&secret)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        clean("the answer", &answer.text);
        assert_eq!(answer.json()["metadata"]["labels"]["tier"], "edited");
        assert_eq!(stored("key"), STANDARD.encode(KEY));

        let moved = json!({"data": {"other": secret["data"]["key"]}});
        let answer = send(
            world
                .ask_at(&gate, "PATCH", &path)
                .header("content-type", "application/merge-patch+json")
                .body(moved.to_string()),
        )
        .await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert!(answer.message().contains("data.other"), "{}", answer.text);
        assert_eq!(stored("other"), "");
        let kept = String::from_utf8_lossy(&world.kept(&data)).into_owned();
        clean("what the gate keeps", &kept);
        gate.stop().await;
    });
}
