//! A gate of a test's own, decided by the test's own rules, and those who come to its doors.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use gateward::demo::scene::{CLUSTER, HUMANS_AUDIENCE, RunningGate};
use serde_json::{Value, json};

use super::trap::{Answer, exchange, recorded};
use crate::harness::{Capture, json_of, world};

/// The gate, and how it was configured.
pub struct Stage {
    pub configuration: PathBuf,
    pub data: PathBuf,
    gate: Option<RunningGate>,
}

impl Stage {
    /// These rules alone decide.
    pub async fn new(rules: Value) -> Self {
        Self::with(rules, |_| ()).await
    }

    /// The same, its configuration changed by `change`.
    pub async fn with(rules: Value, change: impl FnOnce(&mut Value)) -> Self {
        let (configuration, data) = world().configured(|document| {
            ruled(document, rules);
            change(document);
        });
        let gate = RunningGate::start(&configuration).await.unwrap();
        Self {
            configuration,
            data,
            gate: Some(gate),
        }
    }

    /// Everything is allowed, and the cluster is one that keeps what reaches it.
    pub async fn captured() -> (Self, Capture) {
        let capture = Capture::start(&world().dir).await;
        let stage = Self::with(json!([everything("allow")]), |document| {
            document["spec"]["clusters"][0]["kubeconfig"]["file"] = json!(capture.kubeconfig);
        })
        .await;
        (stage, capture)
    }

    pub fn gate(&self) -> &RunningGate {
        self.gate.as_ref().unwrap()
    }

    pub async fn stop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.stop().await;
        }
    }

    pub async fn start(&mut self) {
        self.gate = Some(RunningGate::start(&self.configuration).await.unwrap());
    }

    /// Ends the gate and starts it again on the same data, under other rules.
    pub async fn restart_under(&mut self, rules: Value) {
        self.stop().await;
        let text = std::fs::read_to_string(&self.configuration).unwrap();
        let mut document = serde_json::from_str(&text).unwrap();
        ruled(&mut document, rules);
        std::fs::write(&self.configuration, document.to_string()).unwrap();
        self.start().await;
    }

    /// A request to the agents' door for the scene's cluster.
    pub async fn send(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        self.send_to(CLUSTER, token, method, path, body).await
    }

    pub async fn send_to(
        &self,
        cluster: &str,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let port = self.gate().agents.port();
        let url = format!("https://localhost:{port}/clusters/{cluster}{path}");
        let mut request = world()
            .client()
            .request(method.parse().unwrap(), url)
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        json_of(request).await
    }

    /// Sends bytes as they are to the agents' door.
    pub async fn raw(&self, request: &[u8]) -> Answer {
        let answer = exchange(self.gate().agents, request, None).await;
        answer.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(request)))
    }

    /// What the ledger says of the request that got this answer.
    pub async fn record_of(&self, answer: &Answer) -> Value {
        recorded(world(), &self.data, answer.header("audit-id").unwrap()).await
    }

    /// Files a hold by this request; its id.
    pub async fn file(&self, token: &str, method: &str, path: &str, body: &Value) -> String {
        held(self.send(token, method, path, Some(body)).await)
    }

    /// A person's answer to a hold.
    pub async fn vote(&self, token: &str, hold: &str, answer: &str) -> (u16, Value) {
        let path = format!("/api/v1/holds/{hold}/votes");
        let request = world().human_at(self.gate(), "POST", &path, token);
        json_of(request.json(&json!({"answer": answer}))).await
    }

    /// The scene's approver says yes, and that is enough.
    pub async fn approve(&self, hold: &str) {
        let (status, answer) = self.vote(&world().approver_token(), hold, "approve").await;
        assert_eq!(
            (status, &answer["state"]),
            (200, &json!("approved")),
            "{answer}"
        );
    }

    /// A hold as the scene's approver sees it.
    pub async fn hold(&self, id: &str) -> Value {
        let path = format!("/api/v1/holds/{id}");
        let token = world().approver_token();
        let (status, hold) = json_of(world().human_at(self.gate(), "GET", &path, &token)).await;
        assert_eq!(status, 200, "{hold}");
        hold
    }
}

/// What the cluster's own audit log says of requests whose URI contains `part`, up to now.
pub async fn cluster_saw(part: &str) -> Vec<Value> {
    let control = &world().scene.control;
    let now = uuid::Uuid::new_v4().to_string();
    let mark = format!("/version?now={now}");
    control.kubectl(&["get", "--raw", &mark]).unwrap();
    let begun = Instant::now();
    loop {
        let log = std::fs::read_to_string(control.audit_log()).unwrap();
        if log.contains(&now) {
            let events = log.lines().filter(|line| line.contains(part));
            return events
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .filter(|event| event["requestURI"].as_str().unwrap().contains(part))
                .collect();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "no event {mark}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Lets `rules`, and nothing else, decide; does not let tests wait for people who never come.
pub fn ruled(document: &mut Value, rules: Value) {
    let policy = json!({
        "apiVersion": "gateward.dev/v1alpha1", "kind": "Policy",
        "metadata": {"name": "test"}, "spec": {"rules": rules},
    });
    let file = world()
        .dir
        .join(format!("policy-{}.yaml", uuid::Uuid::new_v4()));
    std::fs::write(&file, policy.to_string()).unwrap();
    document["spec"]["policies"] = json!({"defaultPack": false, "files": [file]});
    document["spec"]["holds"] = json!({"shortWait": "1ms", "retryAfter": "1s"});
}

/// A rule about every request for a resource.
pub fn everything(effect: &str) -> Value {
    let mut rule = json!({
        "name": effect, "effect": effect, "verbs": ["*"], "apiGroups": ["*"],
        "resources": ["*"], "subresources": ["*"],
    });
    if effect != "allow" {
        rule["reason"] = json!("The test says so.");
    }
    rule
}

/// The hold's id in the answer to a held request.
pub fn held((status, answer): (u16, Value)) -> String {
    assert_eq!(status, 429, "{answer}");
    let message = answer["message"].as_str().unwrap();
    let id = message.split(' ').find(|word| word.starts_with("h-"));
    id.unwrap().to_owned()
}

/// A token of a person in these groups.
pub fn person(name: &str, groups: &[&str]) -> String {
    person_with(name, json!({"groups": groups}))
}

/// A token of a person with these further claims.
pub fn person_with(name: &str, more: Value) -> String {
    world().mint(&world().claims(HUMANS_AUDIENCE, name, more))
}

/// A good agent's token, its claims changed by `change`.
pub fn agent_with(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = world().agent_claims();
    change(&mut claims);
    world().mint(&claims)
}
