//! ⑧ What is written, and when: intents before, outcomes after, one sync for many.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gateward::demo::scene::RunningGate;
use gateward::record::verify::verify;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::upstream::{broken, data, gate_before, json_answer, pieces, upstream};
use super::{entries, entries_of, entries_soon, send};
use crate::harness::{World, run, world};

fn kinds(entries: &[Value]) -> Vec<&str> {
    let kinds = ["intent", "outcome", "refused", "hold", "system"];
    entries
        .iter()
        .filter_map(|entry| kinds.into_iter().find(|kind| entry.get(kind).is_some()))
        .collect()
}

#[test]
fn every_request_has_its_intent_and_its_outcome_in_order() {
    run(async {
        let world = world();
        let kept = world.dir.join("data");
        let namespace = world.namespace("recorded");
        let configmaps = format!("/api/v1/namespaces/{namespace}/configmaps");
        let create = world
            .ask("POST", &configmaps)
            .json(&json!({"metadata": {"name": "c"}, "data": {"a": "b"}}));
        for (request, status, verb, read) in [
            (create, 201, "create", false),
            (
                world.ask("GET", &format!("{configmaps}/c")),
                200,
                "get",
                true,
            ),
            (world.ask("GET", &configmaps), 200, "list", true),
            (
                world.ask("GET", &format!("{configmaps}/nothing")),
                404,
                "get",
                true,
            ),
            (
                world.ask("DELETE", &format!("{configmaps}/c")),
                200,
                "delete",
                false,
            ),
        ] {
            let answer = send(request).await;
            assert_eq!(answer.status, status, "{}", answer.text);
            // The outcome is written before the last byte, so it is there already.
            let entries = entries_of(&kept, answer.id());
            assert_eq!(kinds(&entries), ["intent", "outcome"], "{entries:?}");
            let (intent, outcome) = (&entries[0]["intent"], &entries[1]["outcome"]);
            assert_eq!(intent["what"]["verb"], verb);
            assert_eq!(intent["what"]["read"].as_bool().unwrap_or(false), read);
            assert_eq!(intent["what"]["namespace"], json!(namespace));
            assert_eq!(
                (&outcome["status"], &outcome["ended"]),
                (&json!(status), &json!("complete"))
            );
            assert_eq!(outcome["bytes"], json!(answer.text.len()));
        }
        let anybody = world.client().get(format!(
            "https://localhost:{}/clusters/local/api",
            world.gate.agents.port()
        ));
        for (request, status) in [
            (world.ask("DELETE", "/api/v1/namespaces/x"), 403),
            (world.ask("GET", "/api/v1//pods"), 400),
            (anybody, 401),
        ] {
            let answer = send(request).await;
            assert_eq!(answer.status, status, "{}", answer.text);
            let entries = entries_of(&kept, answer.id());
            assert_eq!(kinds(&entries), ["refused"], "{entries:?}");
            assert_eq!(entries[0]["refused"]["status"], json!(status));
        }
    });
}

/// A cluster that looks into the ledger when a request reaches it.
async fn watching(
    world: &World,
    change: impl FnOnce(&mut Value),
) -> (RunningGate, PathBuf, Arc<Mutex<Vec<Value>>>) {
    let place: Arc<OnceLock<PathBuf>> = Arc::default();
    let found: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (look, keep) = (place.clone(), found.clone());
    let cluster = upstream(move |request| {
        let id = request.headers()["audit-id"].to_str().unwrap().to_owned();
        *keep.lock().unwrap() = entries_of(look.get().unwrap(), &id);
        async { json_answer(200, &json!({"kind": "PodList", "items": []})) }
    })
    .await;
    let (gate, data) = gate_before(world, &cluster, change).await;
    place.set(data.clone()).unwrap();
    (gate, data, found)
}

#[test]
fn an_intent_is_written_before_the_request_goes_to_the_cluster() {
    run(async {
        let world = world();
        let (gate, kept, found) = watching(world, |_| {}).await;
        for method in ["DELETE", "GET"] {
            let answer = send(world.ask_at(&gate, method, "/api/v1/namespaces/n/pods/p")).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let found = found.lock().unwrap().clone();
            assert_eq!(kinds(&found), ["intent"], "{method}: {found:?}");
            assert_eq!(
                kinds(&entries_of(&kept, answer.id())),
                ["intent", "outcome"]
            );
        }
        gate.stop().await;
    });
}

#[test]
fn many_writes_at_once_share_the_disks_time() {
    run(async {
        let world = world();
        let cluster = upstream(|_| async { json_answer(200, &json!({"kind": "Pod"})) }).await;
        let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
        let syncs = async || {
            let metrics = reqwest::get(format!("http://{}/metrics", gate.operators))
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            let row = metrics
                .lines()
                .find(|row| row.starts_with("gateward_ledger_syncs "))
                .unwrap();
            row.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        let client = world.client();
        let token = world.agent_token();
        let url = format!(
            "https://localhost:{}/clusters/local/api/v1/namespaces/n/pods",
            gate.agents.port()
        );
        let create = || {
            let request = client.post(&url).bearer_auth(&token);
            send(request.json(&json!({"kind": "Pod"})))
        };
        assert_eq!(create().await.status, 200);
        let (before, written) = (syncs().await, entries(&kept).len());
        const WRITES: usize = 300;
        let all = (0..WRITES).map(|_| create());
        for answer in futures_util::future::join_all(all).await {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let shared = syncs().await - before;
        assert_eq!(entries(&kept).len() - written, 2 * WRITES);
        assert!(
            shared < WRITES as u64,
            "{shared} syncs for {WRITES} durable writes"
        );
        gate.stop().await;
    });
}

#[test]
fn a_change_is_seen_through_when_the_client_hangs_up_and_a_read_is_given_up() {
    run(async {
        let world = world();
        let ids: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = ids.clone();
        let cluster = upstream(move |request| {
            keep.lock()
                .unwrap()
                .push(request.headers()["audit-id"].to_str().unwrap().to_owned());
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                json_answer(200, &json!({"kind": "Pod"}))
            }
        })
        .await;
        let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
        for (method, path, body, ended, status) in [
            ("POST", "pods", "{}", "complete", json!(200)),
            ("GET", "pods/p", "", "client-gone", Value::Null),
        ] {
            let mut client = world.tls(gate.agents).await;
            let request = format!(
                "{method} /clusters/local/api/v1/namespaces/n/{path} HTTP/1.1\r\nHost: localhost\r\n\
                 Accept: application/json\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
                world.agent_token(),
                body.len()
            );
            client.write_all(request.as_bytes()).await.unwrap();
            let id = loop {
                if let Some(id) = ids.lock().unwrap().pop() {
                    break id;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            drop(client);
            let entries = entries_soon(&kept, &id, 2).await;
            assert_eq!(kinds(&entries), ["intent", "outcome"]);
            let outcome = &entries[1]["outcome"];
            assert_eq!(outcome["ended"], ended, "{method}: {outcome}");
            assert_eq!(outcome["status"], status, "{method}: {outcome}");
        }
        gate.stop().await;
    });
}

#[test]
fn a_cluster_that_breaks_off_is_on_the_record() {
    run(async {
        let world = world();
        let cluster = upstream(|_| async {
            pieces(
                200,
                vec![data("{\"kind\":\"PodList\",\"items\":["), broken()],
            )
        })
        .await;
        let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
        let answer = send(world.ask_at(&gate, "GET", "/api/v1/pods")).await;
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(
            answer.message().contains("cannot be reached"),
            "{}",
            answer.text
        );
        let entries = entries_of(&kept, answer.id());
        assert_eq!(kinds(&entries), ["intent", "outcome"]);
        assert_eq!(entries[1]["outcome"]["ended"], "upstream-failed");
        gate.stop().await;
    });
}

#[test]
fn the_signed_checkpoint_covers_everything_once_the_gate_has_stopped() {
    run(async {
        let world = world();
        let (gate, kept) = world.another_gate(|_| {}).await;
        for _ in 0..3 {
            assert_eq!(
                send(world.ask_at(&gate, "GET", "/api/v1/nodes"))
                    .await
                    .status,
                200
            );
        }
        gate.stop().await;
        let ledger = kept.join("ledger");
        let key = std::fs::read_to_string(ledger.join("ledger.vkey")).unwrap();
        let report = verify(&ledger, key.trim()).unwrap();
        let all = entries(&kept);
        assert_eq!(
            (report.checkpoint.size, report.unsigned),
            (all.len() as u64, 0)
        );
        assert_eq!(
            kinds(&all).iter().filter(|kind| **kind == "intent").count(),
            3
        );

        // The key is what convinces: another gate's checkpoint does not.
        let other =
            std::fs::read_to_string(Path::new(&world.dir).join("data/ledger/ledger.vkey")).unwrap();
        assert!(verify(&ledger, other.trim()).is_err());
    });
}
