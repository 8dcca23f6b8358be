//! Attacks by how a channel into a pod is opened: clients of WebSockets send a GET, which
//! elsewhere passes for a read.

use serde_json::{Value, json};

use super::stage::{Stage, cluster_saw, everything};
use super::trap::{Answer, authorization, request};
use crate::harness::{pod, run, world};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n";
const TUNNEL: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n";
const SPDY: &str = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
    X-Stream-Protocol-Version: v4.channel.k8s.io\r\n";

const CHANNELS: [&str; 3] = [
    "exec?command=id&stdout=true",
    "attach?stdout=true",
    "portforward?ports=80",
];

/// Methods and header lines of clients, and of those who try their luck.
const WAYS: [(&str, &str); 8] = [
    ("GET", WEBSOCKET),
    ("GET", TUNNEL),
    ("GET", SPDY),
    ("GET", ""),
    ("POST", SPDY),
    ("POST", WEBSOCKET),
    ("POST", TUNNEL),
    ("POST", ""),
];

/// Agents may read whatever there is of pods, as somebody wrote who thought of logs.
fn reads() -> Value {
    json!({"name": "reads", "effect": "allow", "verbs": ["get", "list", "watch"],
        "apiGroups": [""], "resources": ["pods"], "subresources": ["*"]})
}

struct Channel {
    namespace: String,
    stage: Stage,
}

impl Channel {
    /// A running pod, and a gate under these rules.
    async fn into_a_pod(rules: Value) -> Self {
        let namespace = world().namespace("threat-07");
        world().admin_creates(&namespace, &pod("p", false));
        let stage = Stage::new(rules).await;
        Self { namespace, stage }
    }

    async fn open(&self, method: &str, channel: &str, lines: &str) -> Answer {
        let path = format!(
            "/clusters/local/api/v1/namespaces/{}/pods/p/{channel}",
            self.namespace
        );
        let text = request(method, &path, &format!("{}{lines}", authorization()), "");
        self.stage.raw(text.as_bytes()).await
    }

    /// The API server was never asked for a channel; what else was asked of it, it knows.
    async fn never_opened(&self) {
        let (status, read) = self
            .stage
            .send(
                &world().agent_token(),
                "GET",
                &format!("/api/v1/namespaces/{}/pods/p", self.namespace),
                None,
            )
            .await;
        assert_eq!(status, 200, "{read}");
        let seen = cluster_saw(&format!("/{}/pods/p", self.namespace)).await;
        assert!(!seen.is_empty());
        for event in seen {
            let subresource = event["objectRef"]["subresource"].as_str();
            let opened = ["exec", "attach", "portforward"].map(Some);
            assert!(!opened.contains(&subresource), "{event}");
        }
    }
}

#[test]
fn threat_07_no_way_to_open_a_channel_passes_for_a_read() {
    run(async {
        let to = Channel::into_a_pod(json!([reads()])).await;
        for channel in CHANNELS {
            for (method, lines) in WAYS {
                let what = format!("{method} {channel} {lines}");
                let answer = to.open(method, channel, lines).await;
                assert_eq!(answer.status, 403, "{what}: {answer:?}");
                let name = channel.split('?').next().unwrap();
                let message = answer.document()["message"].clone();
                let operation = format!("create pods/{name} \"p\"");
                assert!(message.as_str().unwrap().contains(&operation), "{message}");
                let refused = &to.stage.record_of(&answer).await["refused"];
                assert_eq!(
                    (&refused["what"]["verb"], &refused["what"]["execLike"]),
                    (&json!("create"), &json!(true)),
                    "{what}: {refused}"
                );
                assert!(refused["what"]["read"].is_null(), "{what}: {refused}");
            }
            for method in ["HEAD", "PUT", "PATCH", "DELETE"] {
                let answer = to.open(method, channel, "").await;
                assert_eq!(answer.status, 400, "{method} {channel}: {answer:?}");
            }
        }
        to.never_opened().await;
    });
}

/// Before Kubernetes 1.35 a WebSocket needed `get`, and there are rules that say so.
#[test]
fn threat_07_a_rule_on_either_verb_meets_every_way() {
    run(async {
        for verb in ["create", "get"] {
            let mut deny = everything("deny");
            deny["verbs"] = json!([verb]);
            deny["subresources"] = json!(["exec", "attach", "portforward"]);
            let to = Channel::into_a_pod(json!([everything("allow"), deny])).await;
            for channel in CHANNELS {
                for (method, lines) in WAYS {
                    let what = format!("{verb}: {method} {channel} {lines}");
                    let answer = to.open(method, channel, lines).await;
                    assert_eq!(answer.status, 403, "{what}: {answer:?}");
                    let refused = &to.stage.record_of(&answer).await["refused"];
                    assert_eq!(refused["grounds"]["rule"], "deny", "{what}: {refused}");
                }
            }
            to.never_opened().await;
        }
    });
}
