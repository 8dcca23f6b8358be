//! How a gate ends: told to, killed, or with a ledger that cannot grow.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gateward::record::entry::{Ended, Event, System};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::hang_up::{exists, until};
use super::served::{Served, Wire, ledger, outcome};
use crate::harness::{World, json_of, run, world};

/// A gate, and the wire to its cluster, which lets a change arrive and holds up the answer.
struct Stage {
    gate: Served,
    wire: Wire,
    configuration: PathBuf,
    data: PathBuf,
    namespace: String,
}

impl Stage {
    async fn set(world: &World, name: &str) -> Self {
        let wire = Wire::to(world.scene.control.server_url());
        let kubeconfig = wire.kubeconfig(world, &world.dir);
        let (configuration, data) = world.configured(|document| {
            document["spec"]["clusters"][0]["kubeconfig"] = json!({"file": kubeconfig});
            document["spec"]["limits"] = json!({"shutdownGrace": "8s"});
        });
        let gate = Served::start(&configuration);
        gate.becomes_ready().await;
        Self {
            gate,
            wire,
            configuration,
            data,
            namespace: world.namespace(name),
        }
    }

    /// A change that is in the cluster, and whose answer is not yet at the gate.
    async fn change_under_way(
        &self,
        world: &World,
    ) -> tokio::task::JoinHandle<reqwest::Result<reqwest::Response>> {
        self.wire.freeze(true);
        let path = format!("/api/v1/namespaces/{}/configmaps", self.namespace);
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}});
        let change = tokio::spawn(self.gate.ask(world, "POST", &path).json(&map).send());
        until("the change does not arrive", || async {
            exists(world, &self.namespace, "configmap/made")
        })
        .await;
        change
    }
}

#[test]
fn sigterm_lets_a_request_end_and_takes_no_new_one() {
    run(async {
        let world = world();
        let mut stage = Stage::set(world, "drained").await;
        let change = stage.change_under_way(world).await;
        stage.gate.signal("TERM");
        until("the door stays open", || async {
            TcpStream::connect(stage.gate.agents).await.is_err()
        })
        .await;
        stage.wire.freeze(false);
        assert_eq!(change.await.unwrap().unwrap().status(), 201);
        let status = stage.gate.ended(Duration::from_secs(5));
        assert_eq!(status.code(), Some(0), "{}", stage.gate.log());
        let entries = ledger(&stage.data);
        let outcome = outcome(&entries, "POST", &stage.namespace).unwrap();
        assert_eq!(
            (outcome.ended, outcome.status),
            (Ended::Complete, Some(201))
        );
        let last = &entries.last().unwrap().event;
        assert!(matches!(last, Event::System(system) if **system == System::Stopped));
    });
}

#[test]
fn sigterm_waits_for_a_change_whose_client_is_gone() {
    run(async {
        let world = world();
        let mut stage = Stage::set(world, "left-behind").await;
        let change = stage.change_under_way(world).await;
        change.abort();
        let _ = change.await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.gate.signal("TERM");
        tokio::time::sleep(Duration::from_secs(2)).await;
        stage.wire.freeze(false);
        assert_eq!(stage.gate.ended(Duration::from_secs(8)).code(), Some(0));
        let outcome = outcome(&ledger(&stage.data), "POST", &stage.namespace).unwrap();
        assert_eq!(
            (outcome.ended, outcome.status),
            (Ended::Complete, Some(201))
        );
    });
}

#[test]
fn sigterm_does_not_wait_for_ever() {
    run(async {
        let world = world();
        let (configuration, data) = world.configured(|document| {
            document["spec"]["limits"] = json!({"shutdownGrace": "1s"});
        });
        let mut gate = Served::start(&configuration);
        let namespace = world.namespace("endless");
        let path = format!("/api/v1/namespaces/{namespace}/pods?watch=true");
        let watch = gate.ask(world, "GET", &path).send().await.unwrap();
        assert_eq!(watch.status(), 200);
        let mut slow = TcpStream::connect(gate.operators).await.unwrap();
        slow.write_all(b"GET /livez HTTP/1.1\r\nHost")
            .await
            .unwrap();
        let _half_open = TcpStream::connect(gate.agents).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        gate.signal("TERM");
        let status = gate.ended(Duration::from_secs(6));
        assert_eq!(status.code(), Some(0), "{}", gate.log());
        let outcome = outcome(&ledger(&data), "GET", &namespace).unwrap();
        assert_eq!(outcome.ended, Ended::ClientGone);
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest).await;
    });
}

#[test]
fn threat_29_after_a_crash_what_was_under_way_is_marked_unknown() {
    run(async {
        let world = world();
        let mut stage = Stage::set(world, "crashed").await;
        let change = stage.change_under_way(world).await;
        stage.gate.signal("KILL");
        assert_eq!(stage.gate.ended(Duration::from_secs(5)).code(), None);
        assert!(change.await.unwrap().is_err());
        stage.wire.freeze(false);

        let again = Served::start(&stage.configuration);
        assert!(again.log().contains("marked unknown"), "{}", again.log());
        again.becomes_ready().await;
        let entries = again.stop();
        let outcome = outcome(&entries, "POST", &stage.namespace).unwrap();
        assert_eq!((outcome.ended, outcome.status), (Ended::Unknown, None));
        let recovered = entries.iter().any(|entry| match &entry.event {
            Event::System(system) => matches!(**system, System::Recovered { unknown: 1, .. }),
            _ => false,
        });
        assert!(recovered);
    });
}

/// A limit on the size of files is a disk that is full at a byte of our choosing, and needs
/// no rights; the signal that would come with it is switched off.
#[test]
fn threat_29_a_ledger_that_cannot_grow_refuses_agents_and_still_serves_people() {
    run(async {
        let world = world();
        let (configuration, data) = world.configured(|_| {});
        let mut gate = Served::start_after("trap '' XFSZ", &configuration);
        gate.becomes_ready().await;
        let namespace = world.namespace("full");
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        assert_eq!(json_of(gate.ask(world, "GET", &pods)).await.0, 200);
        let hold = held(&gate, world, &pods).await;

        let size = data.join("ledger/entries").metadata().unwrap().len() + 4096;
        let limited = Command::new("prlimit")
            .args([
                format!("--pid={}", gate.pid()),
                format!("--fsize={size}:{size}"),
            ])
            .status();
        assert!(limited.unwrap().success());
        let mut refusal = json!(null);
        for _ in 0..50 {
            let (status, answer) = json_of(gate.ask(world, "GET", &pods)).await;
            if status != 200 {
                refusal = answer;
                break;
            }
        }
        assert_eq!(
            (&refusal["kind"], &refusal["code"]),
            (&json!("Status"), &json!(503))
        );
        let message = refusal["message"].as_str().unwrap();
        assert!(
            message.contains("the ledger cannot be written"),
            "{message}"
        );
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}});
        let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
        let change = gate.ask(world, "POST", &maps).json(&map);
        assert_eq!(json_of(change).await.0, 503);
        assert!(!exists(world, &namespace, "configmap/made"));

        let (ready, problem) = gate.readyz("ledger").await;
        assert!(!ready);
        let problem = problem.unwrap();
        assert!(
            problem.contains("ledger/entries") && problem.contains("start"),
            "{problem}"
        );
        for path in ["/api/v1/holds", "/api/v1/records", "/api/v1/sessions"] {
            let (status, list) = json_of(gate.human(world, "GET", path)).await;
            assert_eq!(status, 200, "{list}");
            assert!(!list["items"].as_array().unwrap().is_empty(), "{path}");
        }
        // A vote that cannot be recorded does not count.
        let vote = gate.human(world, "POST", &format!("/api/v1/holds/{hold}/votes"));
        let (status, answer) = json_of(vote.json(&json!({"answer": "approve"}))).await;
        assert_eq!(status, 503, "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.contains("the ledger cannot be written"),
            "{message}"
        );
        let shown = json_of(gate.human(world, "GET", &format!("/api/v1/holds/{hold}"))).await;
        assert_eq!(shown.1["state"], "pending", "{}", shown.1);

        gate.signal("TERM");
        assert_eq!(gate.ended(Duration::from_secs(10)).code(), Some(0));
        drop(gate);
        let again = Served::start(&configuration);
        again.becomes_ready().await;
        assert_eq!(json_of(again.ask(world, "GET", &pods)).await.0, 200);
        again.stop();
    });
}

async fn held(gate: &Served, world: &World, pods: &str) -> String {
    let pod = crate::harness::pod("held", true);
    let (status, _) = json_of(gate.ask(world, "POST", pods).json(&pod)).await;
    assert_eq!(status, 429);
    let list: (u16, Value) = json_of(gate.human(world, "GET", "/api/v1/holds")).await;
    list.1["items"][0]["id"].as_str().unwrap().to_owned()
}
