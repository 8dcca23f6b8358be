//! Clients that hang up: the record is sealed, and a change that was begun gets its outcome.

use std::future::Future;
use std::time::{Duration, Instant};

use gateward::record::entry::Ended;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::served::{Served, Wire, outcome, refused};
use crate::harness::{World, run, world};

fn maps(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

fn served(world: &World) -> Served {
    Served::start(&world.configured(|_| {}).0)
}

/// Waits until something is so; at most 10 s.
pub async fn until<F: Future<Output = bool>>(what: &str, so: impl Fn() -> F) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the object is in the cluster, asked past the gate.
pub fn exists(world: &World, namespace: &str, object: &str) -> bool {
    world
        .scene
        .control
        .kubectl(&["-n", namespace, "get", object])
        .is_ok()
}

#[test]
fn a_client_that_hangs_up_amid_its_body_is_recorded() {
    run(async {
        let world = world();
        let gate = served(world);
        let namespace = world.namespace("amid-body");
        let mut stream = world.tls(gate.agents).await;
        let request = format!(
            "POST /clusters/local{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{{\"apiVersion\":",
            maps(&namespace),
            world.agent_token()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(stream);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let record = refused(&gate.stop(), &namespace).unwrap();
        assert_eq!(record.who.agent.as_deref(), Some("triage-bot"));
        assert!(
            record.ended == Ended::ClientGone || record.status == Some(400),
            "{record:?}"
        );
    });
}

#[test]
fn a_client_that_hangs_up_while_held_is_recorded_and_its_hold_stays() {
    run(async {
        let world = world();
        let (configuration, _) = world.configured(|document| {
            document["spec"]["holds"]["shortWait"] = json!("60s");
        });
        let gate = Served::start(&configuration);
        let namespace = world.namespace("amid-hold");
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let pod = crate::harness::pod("held", true);
        let held = gate.ask(world, "POST", &path).json(&pod);
        let held = tokio::time::timeout(Duration::from_secs(2), held.send()).await;
        assert!(held.is_err(), "not held: {held:?}");
        let list = gate.human(world, "GET", "/api/v1/holds?state=pending");
        let (_, list) = crate::harness::json_of(list).await;
        assert!(list["items"].to_string().contains(&namespace), "{list}");
        let record = refused(&gate.stop(), &namespace).unwrap();
        assert_eq!(record.ended, Ended::ClientGone);
        assert!(
            record.hold.is_some() && record.status.is_none(),
            "{record:?}"
        );
        assert!(!exists(world, &namespace, "pod/held"));
    });
}

#[test]
fn a_client_that_hangs_up_amid_the_answer_is_recorded() {
    run(async {
        let world = world();
        let gate = served(world);
        let namespace = world.namespace("amid-answer");
        let control = &world.scene.control;
        control
            .kubectl(&["-n", &namespace, "create", "configmap", "here"])
            .unwrap();
        let path = format!("{}?watch=true", maps(&namespace));
        let mut watch = gate.ask(world, "GET", &path).send().await.unwrap();
        let first = watch.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("here"));
        drop(watch);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let outcome = outcome(&gate.stop(), "GET", &namespace).unwrap();
        assert_eq!(outcome.ended, Ended::ClientGone);
        assert!(outcome.bytes >= first.len() as u64);
    });
}

#[test]
fn a_change_that_was_begun_gets_its_outcome_though_the_client_hung_up() {
    run(async {
        let world = world();
        let wire = Wire::to(world.scene.control.server_url());
        let kubeconfig = wire.kubeconfig(world, &world.dir);
        let (configuration, _) = world.configured(|document| {
            document["spec"]["clusters"][0]["kubeconfig"] = json!({"file": kubeconfig});
        });
        let gate = Served::start(&configuration);
        gate.becomes_ready().await;
        let namespace = world.namespace("amid-change");
        wire.freeze(true);
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}});
        let change = gate.ask(world, "POST", &maps(&namespace)).json(&map);
        let change = tokio::spawn(change.send());
        until("the change does not arrive", || async {
            exists(world, &namespace, "configmap/made")
        })
        .await;
        change.abort();
        let _ = change.await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        wire.freeze(false);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let outcome = outcome(&gate.stop(), "POST", &namespace).unwrap();
        assert_eq!(
            (outcome.ended, outcome.status),
            (Ended::Complete, Some(201))
        );
    });
}
