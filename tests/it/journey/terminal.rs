//! The terminal against a running gate: approvals, audit, sessions, kubeconfig, credential.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use gateward::demo::scene::{AGENT, APPROVER, CLUSTER, HUMANS_AUDIENCE, PRINCIPAL, RunningGate};
use serde_json::{Value, json};

use super::{entries, said, send};
use crate::harness::{World, gateward, pod, run, world};

/// `gateward` as a person at a gate's humans' door.
struct Terminal<'w> {
    world: &'w World,
    url: String,
    token: PathBuf,
}

impl<'w> Terminal<'w> {
    fn of(world: &'w World, gate: &RunningGate, token: &str) -> Self {
        let file = world.dir.join(format!("token-{}", uuid::Uuid::new_v4()));
        std::fs::write(&file, token).unwrap();
        Self {
            world,
            url: format!("https://localhost:{}", gate.humans.port()),
            token: file,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(gateward())
            .args(arguments)
            .env("GATEWARD_URL", &self.url)
            .env("GATEWARD_CA", self.world.scene.file("gate-ca.pem"))
            .env("GATEWARD_TOKEN_FILE", &self.token)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What it printed; it must succeed.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = said(&output);
        assert!(output.status.success(), "{arguments:?}: {stdout}{stderr}");
        stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        serde_json::from_str(&self.says(&arguments)).unwrap()
    }
}

fn no_wait(document: &mut Value) {
    document["spec"]["holds"] = json!({"shortWait": "1s", "retryAfter": "1s"});
}

#[test]
fn an_approver_sees_who_asks_for_whom_what_and_why_and_answers() {
    run(async {
        let world = world();
        let (gate, _) = world.another_gate(no_wait).await;
        let bob = Terminal::of(world, &gate, &world.approver_token());
        assert!(bob.says(&["approvals", "list"]).is_empty());
        let namespace = world.namespace("terminal");
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let create = async |name: &str| {
            send(world.ask_at(&gate, "POST", &path).json(&pod(name, true))).await
        };

        assert_eq!(create("debug").await.status, 429);
        let table = bob.says(&["approvals", "list"]);
        for part in [
            "ID",
            "pending",
            AGENT,
            PRINCIPAL,
            CLUSTER,
            "create pods debug in",
            "privileged-pods",
        ] {
            assert!(table.contains(part), "{part}: {table}");
        }
        let list = bob.json(&["approvals", "list"]);
        let id = list["items"][0]["id"].as_str().unwrap().to_owned();
        let shown = bob.says(&["approvals", "show", &id]);
        for part in [
            &*id,
            AGENT,
            PRINCIPAL,
            "agents",
            "create pods debug in",
            &format!("POST {path}"),
            "root on its node",
            "privileged-pods",
            "approvers",
            "Filed:",
            "Body (masked):",
            "privileged: true",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let yaml = bob.says(&["approvals", "show", &id, "-o", "yaml"]);
        assert!(yaml.contains(&format!("id: {id}")), "{yaml}");

        // The principal is a person too, and an approver, but not of her own agent's work.
        let claims = world.claims(HUMANS_AUDIENCE, PRINCIPAL, json!({"groups": ["approvers"]}));
        let alice = Terminal::of(world, &gate, &world.mint(&claims));
        let output = alice.run(&["approvals", "approve", &id]);
        assert_eq!(output.status.code(), Some(1));
        assert!(!said(&output).1.contains("panicked"), "{output:?}");
        assert_eq!(create("debug").await.status, 429);

        let done = bob.says(&["approvals", "approve", &id, "-m", "for the incident"]);
        assert!(done.starts_with(&format!("{id} is approved")), "{done}");
        assert_eq!(create("debug").await.status, 201);
        let shown = bob.says(&["approvals", "show", &id]);
        assert!(shown.contains(&format!("approve by {APPROVER}")), "{shown}");
        assert!(shown.contains("for the incident"), "{shown}");
        assert_eq!(
            bob.json(&["approvals", "list", "--state", "used"])["items"][0]["id"],
            json!(id)
        );

        assert_eq!(create("second").await.status, 429);
        let id = bob.json(&["approvals", "list"])["items"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let answer = bob.json(&["approvals", "deny", &id, "-m", "not today"]);
        assert_eq!(answer["state"], "denied");
        let refused = create("second").await;
        assert!(refused.message().contains("not today"), "{}", refused.text);
        let late = bob.run(&["approvals", "approve", &id]);
        assert_eq!(late.status.code(), Some(1), "{late:?}");
        gate.stop().await;
    });
}

#[test]
fn an_auditor_finds_records_and_sessions() {
    run(async {
        let world = world();
        let (gate, _) = world.another_gate(no_wait).await;
        let bob = Terminal::of(world, &gate, &world.approver_token());
        let namespace = world.namespace("audit");
        let read = send(world.ask_at(
            &gate,
            "GET",
            &format!("/api/v1/namespaces/{namespace}/configmaps"),
        ))
        .await;
        let denied =
            send(world.ask_at(&gate, "DELETE", &format!("/api/v1/namespaces/{namespace}"))).await;
        assert_eq!((read.status, denied.status), (200, 403));
        let begun = Instant::now();
        let found = loop {
            let found = bob.json(&[
                "audit", "search", "--agent", AGENT, "--since", "10m", "-n", &namespace,
            ]);
            if found["items"].as_array().unwrap().len() >= 2
                && !found["items"][1]["status"].is_null()
            {
                break found;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{found}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let (newer, older) = (&found["items"][0], &found["items"][1]);
        assert_eq!(
            (&newer["id"], &older["id"]),
            (&json!(denied.id()), &json!(read.id()))
        );
        assert_eq!(
            (&newer["verdict"], &newer["status"], &newer["rule"]),
            (&json!("deny"), &json!(403), &json!("delete-namespaces"))
        );
        assert_eq!(
            (&older["verdict"], &older["status"], &older["principal"]),
            (&json!("allow"), &json!(200), &json!(PRINCIPAL))
        );
        let only = bob.json(&["audit", "search", "--verdict", "deny", "--verb", "delete"]);
        assert_eq!(only["items"].as_array().unwrap().len(), 1, "{only}");
        assert!(
            bob.says(&["audit", "search", "--agent", "nobody"])
                .is_empty()
        );
        let table = bob.says(&["audit", "search", "--agent", AGENT]);
        assert!(
            table.contains("OPERATION") && table.contains(denied.id()),
            "{table}"
        );

        let sessions = bob.json(&["sessions", "list", "--agent", AGENT]);
        let session = sessions["items"][0]["id"].as_str().unwrap();
        assert_eq!(newer["session"], session);
        let shown = bob.json(&["sessions", "show", session]);
        let ids: Vec<&Value> = shown["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| &record["id"])
            .collect();
        assert_eq!(
            ids,
            [&json!(read.id()), &json!(denied.id())],
            "records in order"
        );
        let text = bob.says(&["sessions", "show", session]);
        assert!(
            text.contains("Session:") && text.contains("delete namespaces"),
            "{text}"
        );

        // Who only approves may not search.
        let claims = world.claims(HUMANS_AUDIENCE, "dora", json!({"groups": ["approvers"]}));
        let dora = Terminal::of(world, &gate, &world.mint(&claims));
        let output = dora.run(&["audit", "search"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).1.contains("auditorGroups"), "{output:?}");
        gate.stop().await;
    });
}

#[test]
fn a_flipped_byte_is_found_and_the_record_named() {
    run(async {
        let world = world();
        let (gate, data) = world.another_gate(|_| {}).await;
        for _ in 0..3 {
            send(world.ask_at(&gate, "GET", "/api/v1/nodes")).await;
        }
        gate.stop().await;
        let (ledger, count) = (data.join("ledger"), entries(&data).len());
        let key = ledger.join("ledger.vkey");
        let verify = |more: &[&str]| {
            let mut command = Command::new(gateward());
            command
                .args(["audit", "verify", "--ledger"])
                .arg(&ledger)
                .arg("--key")
                .arg(&key);
            command.args(more).output().unwrap()
        };
        let output = verify(&[]);
        assert!(output.status.success(), "{output:?}");
        assert!(
            said(&output)
                .0
                .starts_with(&format!("intact: {count} records of gateward.dev/ledger")),
            "{output:?}"
        );

        let file = ledger.join("entries");
        let whole = std::fs::read(&file).unwrap();
        // In the text of record 3, which begins behind three others and its own length.
        let mut place = 0;
        for _ in 0..3 {
            place += 2 + usize::from(u16::from_be_bytes([whole[place], whole[place + 1]]));
        }
        let mut changed = whole.clone();
        let at = place + 2 + r#"{"v":1,"id":"#.len() + 1;
        changed[at] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        let output = verify(&[]);
        assert_eq!(output.status.code(), Some(1));
        let text = said(&output).0;
        assert!(
            text.starts_with("NOT INTACT:") && text.contains("record 3"),
            "{text}"
        );
        let document: Value = serde_json::from_str(&said(&verify(&["-o", "json"])).0).unwrap();
        assert_eq!(document["intact"], false);

        std::fs::write(&file, &whole[..place]).unwrap();
        assert_eq!(
            verify(&[]).status.code(),
            Some(1),
            "records were cut off the end"
        );
    });
}

#[test]
fn a_kubeconfig_holds_no_token_and_the_plugin_gets_one_that_lives_five_minutes() {
    let world = world();
    let file = world.agent_kubeconfig(&world.gate);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        text.contains("client.authentication.k8s.io/v1") && text.contains("credential"),
        "{text}"
    );
    assert!(!text.contains("eyJ") && !text.contains("token:"), "{text}");
    let output = Command::new(gateward())
        .arg("credential")
        .args(world.scene.credential_arguments("triage-bot"))
        .output()
        .unwrap();
    let credential: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(credential["kind"], "ExecCredential");
    let expires: jiff::Timestamp = credential["status"]["expirationTimestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let lives = expires.as_second() - jiff::Timestamp::now().as_second();
    assert!((280..=301).contains(&lives), "{lives} s");

    let output = world.kubectl(&["get", "nodes"]);
    let (stdout, stderr) = said(&output);
    assert!(
        output.status.success() && stdout.contains("node-0"),
        "{stdout}{stderr}"
    );
    let mut wrong = world.scene.credential_arguments("triage-bot");
    wrong.retain(|argument| !argument.starts_with("--client-secret-file"));
    wrong.push(format!(
        "--client-secret-file={}",
        world.scene.file("bob.secret").display()
    ));
    let output = Command::new(gateward())
        .arg("credential")
        .args(wrong)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).1.contains("refused client \"triage-bot\""),
        "{output:?}"
    );
}

#[test]
fn the_schemas_that_are_printed_are_the_committed_ones() {
    for (kind, file) in [
        ("Policy", "policy.json"),
        ("GatewardConfiguration", "gatewardconfiguration.json"),
    ] {
        let output = Command::new(gateward())
            .args(["schema", kind])
            .output()
            .unwrap();
        let committed =
            std::fs::read_to_string(format!("{}/schemas/{file}", env!("CARGO_MANIFEST_DIR")))
                .unwrap();
        assert_eq!(said(&output).0.trim_end(), committed.trim_end(), "{file}");
    }
}
