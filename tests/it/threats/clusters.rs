//! Attacks across clusters: what was decided, opened or approved for one of them must be worth
//! nothing at another.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gateward::demo::scene::CLUSTER;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::stage::{Stage, cluster_saw, everything, held};
use crate::harness::{json_of, pod, run, world};
use crate::journey::upstream::{json_answer, upstream};

/// What has come to a cluster: paths, and whose credential came with them.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Two clusters that tell who they are, each with a credential of its own, beside the real one.
struct Clusters {
    stage: Stage,
    east: Seen,
    west: Seen,
}

impl Clusters {
    async fn under(rules: Value) -> Self {
        let (east, at_east) = other("east").await;
        let (west, at_west) = other("west").await;
        let stage = Stage::with(rules, |document| {
            let clusters = document["spec"]["clusters"].as_array_mut().unwrap();
            for (name, file) in [
                ("east", at_east),
                ("east-2", at_west.clone()),
                ("west", at_west),
            ] {
                clusters.push(json!({"name": name, "kubeconfig": {"file": file}}));
            }
        })
        .await;
        Self { stage, east, west }
    }

    async fn get(&self, cluster: &str, namespace: &str) -> (u16, Value) {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let token = world().agent_token();
        self.stage
            .send_to(cluster, &token, "GET", &path, None)
            .await
    }
}

async fn other(name: &'static str) -> (Seen, PathBuf) {
    let seen = Seen::default();
    let kept = seen.clone();
    let cluster = upstream(move |request| {
        let credential = request.headers().get(AUTHORIZATION);
        let credential = credential.map(|value| value.to_str().unwrap().to_owned());
        let path = request.uri().path().to_owned();
        kept.lock()
            .unwrap()
            .push((path, credential.unwrap_or_default()));
        async move {
            let list = json!({"kind": "PodList", "apiVersion": "v1", "items": [],
                "metadata": {"resourceVersion": name}});
            json_answer(200, &list)
        }
    })
    .await;
    (
        seen,
        with_token(&cluster.kubeconfig, &format!("token-of-{name}")),
    )
}

fn with_token(kubeconfig: &Path, token: &str) -> PathBuf {
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["users"][0]["user"] = json!({"token": token});
    std::fs::write(kubeconfig, document.to_string()).unwrap();
    kubeconfig.to_owned()
}

/// The mark of the cluster that answered.
fn mark(answer: &Value) -> &str {
    answer["metadata"]["resourceVersion"].as_str().unwrap()
}

#[test]
fn threat_23_no_decision_about_one_cluster_counts_at_another() {
    run(async {
        let (mut allow, mut deny) = (everything("allow"), everything("deny"));
        allow["clusters"] = json!(["east", CLUSTER]);
        let allowed = Clusters::under(json!([allow])).await;
        deny["clusters"] = json!(["west", CLUSTER]);
        let denied = Clusters::under(json!([everything("allow"), deny])).await;
        // Again and again, should anything be kept of the answer before.
        for _ in 0..3 {
            for (cluster, by_allow, by_deny) in [
                ("east", 200, 200),
                ("east-2", 403, 200),
                (CLUSTER, 200, 403),
                ("west", 403, 403),
                ("eas", 404, 404),
                ("east-", 404, 404),
                ("*", 404, 404),
            ] {
                let answer = allowed.get(cluster, "default").await;
                assert_eq!(answer.0, by_allow, "{cluster}: {}", answer.1);
                let answer = denied.get(cluster, "default").await;
                assert_eq!(answer.0, by_deny, "{cluster}: {}", answer.1);
            }
        }
        let count = |seen: &Seen| seen.lock().unwrap().len();
        assert_eq!((count(&allowed.east), count(&allowed.west)), (3, 0));
        assert_eq!(
            (count(&denied.east), count(&denied.west)),
            (3, 3),
            "east-2 is there too"
        );
    });
}

#[test]
fn threat_23_no_connection_carries_a_request_to_another_cluster() {
    run(async {
        let clusters = Clusters::under(json!([everything("allow")])).await;
        let gate_ca = std::fs::read(world().scene.file("gate-ca.pem")).unwrap();
        let one_by_one = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&gate_ca).unwrap()])
            .http1_only()
            .build()
            .unwrap();
        let id = uuid::Uuid::new_v4();
        let names = ["east", "west", CLUSTER];
        let request = |client: &reqwest::Client, cluster: &str| {
            let port = clusters.stage.gate().agents.port();
            let path = format!("/api/v1/namespaces/for-{cluster}-{id}/pods");
            let url = format!("https://localhost:{port}/clusters/{cluster}{path}");
            json_of(client.get(url).bearer_auth(world().agent_token()))
        };
        let mut answers = Vec::new();
        // One connection over HTTP/2, all at once; then one over HTTP/1.1, one after another.
        let at_once = world().client();
        let many = (0..20)
            .flat_map(|_| names)
            .map(|name| request(&at_once, name));
        let answered = futures_util::future::join_all(many).await;
        answers.extend((0..20).flat_map(|_| names).zip(answered));
        for name in (0..20).flat_map(|_| names) {
            answers.push((name, request(&one_by_one, name).await));
        }
        for (name, (status, answer)) in &answers {
            assert_eq!(*status, 200, "{name}: {answer}");
            let real = mark(answer).parse::<u64>().is_ok();
            assert!(
                if *name == CLUSTER {
                    real
                } else {
                    mark(answer) == *name
                },
                "{name}: {answer}"
            );
        }
        for (name, seen) in [("east", &clusters.east), ("west", &clusters.west)] {
            let seen = seen.lock().unwrap();
            let own = (
                format!("/api/v1/namespaces/for-{name}-{id}/pods"),
                format!("Bearer token-of-{name}"),
            );
            assert_eq!(seen.len(), 40, "{name}");
            assert!(seen.iter().all(|one| *one == own), "{name}: {seen:?}");
        }
        let events = cluster_saw(&id.to_string()).await;
        assert_eq!(events.len(), 40);
        let own = format!("/for-{CLUSTER}-{id}/");
        assert!(
            events
                .iter()
                .all(|event| event["requestURI"].as_str().unwrap().contains(&own))
        );
    });
}

#[test]
fn threat_23_an_approval_for_one_cluster_opens_nothing_at_another() {
    run(async {
        let clusters = Clusters::under(json!([everything("hold")])).await;
        let stage = &clusters.stage;
        let (path, body) = ("/api/v1/namespaces/default/pods", pod("p", false));
        let token = world().agent_token();
        let ask = |cluster| stage.send_to(cluster, &token, "POST", path, Some(&body));

        let names = ["east", "east-2", "west", CLUSTER];
        let mut holds = Vec::new();
        for name in names {
            let id = held(ask(name).await);
            assert_eq!(stage.hold(&id).await["cluster"], name);
            holds.push(id);
        }
        stage.approve(&holds[0]).await;
        for (name, id) in names.iter().zip(&holds).skip(1) {
            assert_eq!(held(ask(name).await), *id, "it still waits at {name}");
        }
        assert!(clusters.east.lock().unwrap().is_empty());
        let (status, answer) = ask("east").await;
        assert_eq!((status, mark(&answer)), (200, "east"));
        assert_eq!(clusters.east.lock().unwrap().len(), 1);
        assert!(clusters.west.lock().unwrap().is_empty());
        assert_ne!(held(ask("east").await), holds[0], "it is spent");
    });
}
