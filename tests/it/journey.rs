//! What the gate promises about one request, proven on the whole gate: the real API server
//! behind it, the real kubectl and raw clients in front. What attackers try is in `threats`,
//! what users get wrong in `bad_input`.

mod answers;
mod conditions;
mod decisions;
mod doors;
mod forwarding;
mod holds;
mod identities;
mod ledger;
mod masking;
mod packed;
mod terminal;
pub mod upstream;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use gateward::demo::scene::RunningGate;
use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::World;

/// Every rule of a gate that lets everything through; for tests of other rooms.
const ALLOW_ALL: &str = "
- {name: all, effect: allow, verbs: ['*'], apiGroups: ['*'], resources: ['*'], subresources: ['*']}
- {name: paths, effect: allow, verbs: ['*'], nonResourceURLs: ['*']}
";

/// An answer, whole.
struct Answered {
    status: u16,
    headers: HeaderMap,
    version: reqwest::Version,
    text: String,
}

async fn send(request: RequestBuilder) -> Answered {
    let response = request.send().await.unwrap();
    Answered {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        version: response.version(),
        text: response.text().await.unwrap(),
    }
}

impl Answered {
    fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// The record's id.
    fn id(&self) -> &str {
        self.header("audit-id").unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The message of the `Status` that a refusal is.
    fn message(&self) -> String {
        let document = self.json();
        let facts = (
            &document["kind"],
            &document["apiVersion"],
            &document["status"],
        );
        assert_eq!(facts, (&json!("Status"), &json!("v1"), &json!("Failure")));
        assert_eq!(document["code"], json!(self.status));
        assert_eq!(self.header("content-type"), Some("application/json"));
        document["message"].as_str().unwrap().to_owned()
    }
}

/// A gate of its own whose policy has exactly these rules.
async fn gate_with_rules(
    world: &World,
    rules: &str,
    change: impl FnOnce(&mut Value),
) -> (RunningGate, PathBuf) {
    world
        .another_gate(|document| {
            set_rules(world, document, rules);
            change(document);
        })
        .await
}

fn set_rules(world: &World, document: &mut Value, rules: &str) {
    let file = world
        .dir
        .join(format!("rules-{}.yaml", uuid::Uuid::new_v4()));
    let head = "apiVersion: gateward.dev/v1alpha1\nkind: Policy\nmetadata: {name: test}\nspec:\n  rules:\n";
    let rows: String = rules.lines().map(|row| format!("  {row}\n")).collect();
    std::fs::write(&file, format!("{head}{rows}")).unwrap();
    document["spec"]["policies"] = json!({"files": [file], "defaultPack": false});
}

/// The ledger's entries so far, in order.
fn entries(data: &Path) -> Vec<Value> {
    let bytes = std::fs::read(data.join("ledger").join("entries")).unwrap();
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    while let Some((length, after)) = rest.split_at_checked(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let Some((entry, after)) = after.split_at_checked(length) else {
            break; // a write that goes on
        };
        entries.push(serde_json::from_slice(entry).unwrap());
        rest = after;
    }
    entries
}

/// What the ledger says of one request, in order.
fn entries_of(data: &Path, id: &str) -> Vec<Value> {
    entries(data)
        .into_iter()
        .filter(|entry| entry["id"] == id)
        .collect()
}

/// The entries of a request, once there are `count`; an outcome may follow the last byte of
/// an answer that was cut.
async fn entries_soon(data: &Path, id: &str, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = entries_of(data, id);
        if found.len() >= count {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{id}: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Standard output and standard error.
fn said(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Runs something that blocks beside the gate, which needs the runtime.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
