//! ⑥ What the cluster sees: the caller, our id, and nothing of the client's own headers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gateward::demo::scene::{AGENT, PRINCIPAL};
use serde_json::{Value, json};

use super::upstream::{gate_before, json_answer, upstream};
use super::{said, send};
use crate::harness::{run, world};

#[test]
fn the_clusters_audit_log_joins_ours_by_the_records_id() {
    run(async {
        let world = world();
        let path = "/api/v1/namespaces/default/configmaps?limit=7";
        let answer = send(world.ask("GET", path)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let id = answer.id().to_owned();
        let begun = Instant::now();
        let event = loop {
            let log = std::fs::read_to_string(world.scene.control.audit_log()).unwrap();
            let found = log
                .lines()
                .filter(|line| line.contains(&id))
                .find_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(event) = found {
                break event;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "no event {id}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(event["auditID"], answer.id());
        assert_eq!(event["requestURI"], path);
        assert_eq!(event["user"]["username"], "gateward");
        let seen = &event["impersonatedUser"];
        assert_eq!(seen["username"], AGENT);
        assert_eq!(seen["extra"]["gateward.dev/principal"], json!([PRINCIPAL]));
    });
}

#[test]
fn the_upstream_request_is_made_of_the_parse_and_nothing_else() {
    run(async {
        let world = world();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let cluster = upstream(move |request| {
            let mut names: Vec<String> =
                request.headers().keys().map(ToString::to_string).collect();
            names.sort();
            let kept = kept.clone();
            async move {
                use http_body_util::BodyExt;
                let uri = request.uri().to_string();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                kept.lock().unwrap().push((uri, names, body));
                json_answer(201, &json!({"kind": "ConfigMap", "apiVersion": "v1"}))
            }
        })
        .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        let request = world
            .ask_at(&gate, "POST", "/api/v1/namespaces/n/configmaps?fieldManager=me&dryRun=All&fieldValidation=Strict")
            .header("content-type", "application/yaml")
            .header("user-agent", "agent/1")
            .header("audit-id", "00000000-0000-0000-0000-000000000000")
            .header("x-remote-user", "admin")
            .header("x-forwarded-for", "10.0.0.1")
            .header("cookie", "a=b")
            .header("traceparent", "00-x")
            .header("if-none-match", "*")
            .body("# a comment\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 'yes'}\n");
        assert_eq!(send(request).await.status, 201);
        let (uri, names, body) = seen.lock().unwrap().pop().unwrap();
        let mut asked: Vec<&str> = uri.split_once('?').unwrap().1.split('&').collect();
        asked.sort_unstable();
        assert_eq!(
            asked,
            ["dryRun=All", "fieldManager=me", "fieldValidation=Strict"]
        );
        assert_eq!(
            names,
            [
                "accept",
                "audit-id",
                "content-length",
                "content-type",
                "host",
                "impersonate-extra-gateward.dev%2fprincipal",
                "impersonate-group",
                "impersonate-user",
                "user-agent"
            ]
        );
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "yes"}})
        );
        gate.stop().await;
    });
}

/// What would be left to whoever stole the gate's credential and could not impersonate.
#[test]
fn the_gates_own_identity_may_impersonate_and_owns_nothing_else() {
    let world = world();
    let control = &world.scene.control;
    let as_gate = |arguments: &[&str]| {
        let mut command = control.kubectl_command(&control.gate_kubeconfig());
        said(&command.args(arguments).output().unwrap())
    };
    for question in [
        &["get", "pods", "-A"][..],
        &["get", "secrets", "-A"],
        &["create", "configmap", "mine"],
        &["delete", "namespace", "default"],
        &["get", "clusterroles"],
    ] {
        let (_, refused) = as_gate(question);
        assert!(
            refused.to_lowercase().contains("forbidden"),
            "{question:?}: {refused}"
        );
    }
    for (question, expected) in [
        (&["auth", "can-i", "impersonate", "users"][..], "yes\n"),
        (&["auth", "can-i", "impersonate", "groups"], "yes\n"),
        (&["auth", "can-i", "impersonate", "serviceaccounts"], "no\n"),
        (&["auth", "can-i", "escalate", "clusterroles"], "no\n"),
        (&["auth", "can-i", "*", "*"], "no\n"),
    ] {
        assert_eq!(as_gate(question).0, expected, "{question:?}");
    }
    let (pods, refused) = as_gate(&["--as=triage-bot", "get", "pods", "-A"]);
    assert!(!refused.contains("Forbidden"), "{pods}{refused}");
}
