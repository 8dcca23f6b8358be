//! The acts of the story.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use base64::Engine;

use super::stage::{Said, Stage, finish};
use crate::demo::kubernetes::NODE_NAME;
use crate::demo::scene::{AGENT, APPROVER, PRINCIPAL};

/// A value that must never be seen.
const SECRET: &str = "correct-horse-battery-staple";

/// Plays all acts in order.
pub async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    scenery(stage).await?;
    identity(stage).await?;
    reading(stage).await?;
    privileged_pod(stage).await?;
    own_approval(stage).await?;
    denied(stage).await?;
    audit(stage).await?;
    tampering(stage).await
}

async fn scenery(stage: &mut Stage) -> anyhow::Result<()> {
    let control = &stage.scene().control;
    control.kubectl(&[
        "create",
        "secret",
        "generic",
        "db",
        &format!("--from-literal=password={SECRET}"),
    ])?;
    control.kubectl(&["create", "namespace", "payments"])?;
    control.apply(&pod("web", false))?;
    std::fs::write(stage.file("debug-pod.yaml"), pod("debug", true))?;
    stage.cast().await
}

async fn identity(stage: &mut Stage) -> anyhow::Result<()> {
    stage.tell(
        "Who",
        "The agent's kubeconfig holds no token: kubectl runs `gateward credential`, which gets one \
         that lives five minutes.",
    );
    let question = stage.file("whoami.yaml");
    std::fs::write(
        &question,
        "apiVersion: authentication.k8s.io/v1\nkind: SelfSubjectReview\n",
    )?;
    let said = stage
        .kubectl(&["create", "-f", &question.to_string_lossy(), "-o", "yaml"])
        .await?;
    let known = said.text.contains(AGENT) && said.text.contains(PRINCIPAL);
    stage.promise(
        "the cluster sees the agent, and for whom it acts",
        said.success && known,
    );
    Ok(())
}

async fn reading(stage: &mut Stage) -> anyhow::Result<()> {
    stage.tell(
        "Reading",
        "Reads are allowed; what is secret is masked in flight.",
    );
    let said = stage.kubectl(&["get", "pods"]).await?;
    stage.promise(
        "the agent lists pods",
        said.success && said.text.contains("web"),
    );
    let said = stage
        .kubectl(&["get", "secret", "db", "-o", "yaml"])
        .await?;
    let password = said
        .text
        .lines()
        .find_map(|row| row.trim().strip_prefix("password: "));
    let decoded = password
        .and_then(|value| base64::engine::general_purpose::STANDARD.decode(value).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let masked = decoded.is_some_and(|value| value == crate::mask::MASK);
    let encoded = base64::engine::general_purpose::STANDARD.encode(SECRET);
    stage.promise(
        "the secret's value is masked, and still valid base64",
        said.success && masked,
    );
    stage.promise(
        "the real value is nowhere in the answer",
        !said.text.contains(&encoded),
    );
    Ok(())
}

async fn privileged_pod(stage: &mut Stage) -> anyhow::Result<()> {
    stage.tell(
        "A risky change",
        "A privileged pod owns its node, so a human decides. kubectl waits; when the gate answers 429 it \
         comes back by itself.",
    );
    let manifest = stage.file("debug-pod.yaml");
    let apply = stage.kubectl_begin(&["apply", "-f", &manifest.to_string_lossy()])?;
    let hold = pending(stage).await?;
    stage.gateward("bob", &["approvals", "list"]).await?;
    let said = stage.gateward("bob", &["approvals", "show", &hold]).await?;
    let complete = [AGENT, PRINCIPAL, "privileged", "debug", "Filed:"]
        .iter()
        .all(|word| said.text.contains(word));
    stage.promise(
        "the approver sees who, for whom, what and why",
        said.success && complete,
    );
    let said = stage
        .gateward(
            "bob",
            &["approvals", "approve", &hold, "-m", "INC-42, one hour"],
        )
        .await?;
    let shown = stage
        .gateward_quietly("bob", &["approvals", "show", &hold])
        .await?;
    let named = shown.contains(&format!("approve by {APPROVER}"));
    stage.promise("the approver approves", said.success && named);
    let said = finish(apply).await?;
    stage.promise(
        "the agent's retry goes through",
        said.success && said.text.contains("created"),
    );
    let running = until(Duration::from_secs(20), || async {
        let phase = stage.scene().control.kubectl(&[
            "get",
            "pod",
            "debug",
            "-o",
            "jsonpath={.status.phase}",
        ]);
        phase.is_ok_and(|phase| phase == "Running")
    })
    .await;
    stage.kubectl(&["get", "pod", "debug"]).await?;
    stage.promise("the pod runs", running);
    Ok(())
}

async fn own_approval(stage: &mut Stage) -> anyhow::Result<()> {
    stage.tell(
        "Four eyes",
        "The agent changes a secret, which is held too. Neither the agent nor the person it acts for may \
         approve that.",
    );
    let patch = r#"{"stringData":{"password":"hunter2"}}"#;
    let change = stage.kubectl_begin(&["patch", "secret", "db", "--type=merge", "-p", patch])?;
    let hold = pending(stage).await?;
    let said = stage
        .gateward("triage-bot", &["approvals", "approve", &hold])
        .await?;
    stage.promise("the agent cannot approve its own hold", refused(&said));
    let said = stage
        .gateward("alice", &["approvals", "approve", &hold])
        .await?;
    stage.promise("the person it acts for cannot either", refused(&said));
    let said = stage
        .gateward(
            "bob",
            &[
                "approvals",
                "deny",
                &hold,
                "-m",
                "rotate it in the vault instead",
            ],
        )
        .await?;
    stage.promise("another person denies", said.success);
    let said = finish(change).await?;
    let told = said.text.contains("rotate it in the vault instead");
    stage.promise("the agent is told no, and why", refused(&said) && told);
    Ok(())
}

async fn denied(stage: &mut Stage) -> anyhow::Result<()> {
    stage.tell(
        "Out of bounds",
        "Some things no agent does, and nobody is asked.",
    );
    let said = stage.kubectl(&["delete", "namespace", "payments"]).await?;
    let explained = said.text.contains("denied by rule");
    stage.promise(
        "deleting a namespace is denied, with the rule and what to do",
        refused(&said) && explained,
    );
    let said = stage
        .scene()
        .control
        .kubectl(&["get", "namespace", "payments"]);
    stage.promise("the namespace is still there", said.is_ok());
    Ok(())
}

async fn audit(stage: &mut Stage) -> anyhow::Result<()> {
    stage.tell(
        "Afterwards",
        "Everything above is on record: who, for whom, what, by which rule, and who approved.",
    );
    let found = until(Duration::from_secs(10), || async {
        let said = stage
            .gateward_quietly(
                "bob",
                &[
                    "audit",
                    "search",
                    "--agent",
                    AGENT,
                    "--verdict",
                    "deny",
                    "-o",
                    "json",
                ],
            )
            .await;
        said.is_ok_and(|text| text.contains("payments"))
    })
    .await;
    let said = stage
        .gateward(
            "bob",
            &[
                "audit", "search", "--agent", AGENT, "--since", "10m", "--limit", "12",
            ],
        )
        .await?;
    stage.promise(
        "the auditor finds what the agent did",
        found && said.success && said.text.contains("payments"),
    );
    let said = stage.gateward("bob", &["sessions", "list"]).await?;
    stage.promise(
        "the agent's run of work is a session",
        said.success && said.text.contains(AGENT),
    );
    let document = stage
        .gateward_quietly("bob", &["sessions", "list", "-o", "json"])
        .await?;
    let document: serde_json::Value = serde_json::from_str(&document)?;
    let session = document
        .pointer("/items/0/id")
        .and_then(serde_json::Value::as_str)
        .context("no session")?
        .to_owned();
    let said = stage
        .gateward("bob", &["sessions", "show", &session])
        .await?;
    stage.promise(
        "its records stand in order",
        said.success && said.text.contains("debug"),
    );
    let said = stage
        .gateward("bob", &["review", "usage", "--since", "1h"])
        .await?;
    stage.promise(
        "the review shows what was used",
        said.success && said.text.contains("secrets"),
    );
    Ok(())
}

async fn tampering(stage: &mut Stage) -> anyhow::Result<()> {
    stage.tell(
        "Proof",
        "The ledger is a Merkle log with signed checkpoints: anybody can verify it offline.",
    );
    let key = stage.file("data/ledger/ledger.vkey");
    let key = key.to_string_lossy();
    let ledger = stage.file("data/ledger");
    tokio::time::sleep(Duration::from_millis(1500)).await; // until the next checkpoint
    let said = stage
        .gateward(
            "bob",
            &[
                "audit",
                "verify",
                "--ledger",
                &ledger.to_string_lossy(),
                "--key",
                &key,
            ],
        )
        .await?;
    stage.promise("the ledger verifies", said.success);
    let copy = stage.file("copy");
    copy_dir(&ledger, &copy)?;
    flip_a_byte(&copy.join("entries"))?;
    let said = stage
        .gateward(
            "bob",
            &[
                "audit",
                "verify",
                "--ledger",
                &copy.to_string_lossy(),
                "--key",
                &key,
            ],
        )
        .await?;
    stage.promise(
        "one flipped byte in a copy is found, and the record named",
        refused(&said) && said.text.contains("record"),
    );
    Ok(())
}

fn refused(said: &Said) -> bool {
    !said.success
}

/// Waits until something waits for a human, and returns its id.
async fn pending(stage: &Stage) -> anyhow::Result<String> {
    let begun = Instant::now();
    loop {
        let text = stage
            .gateward_quietly("bob", &["approvals", "list", "-o", "json"])
            .await?;
        let document: serde_json::Value = serde_json::from_str(&text)?;
        if let Some(id) = document
            .pointer("/items/0/id")
            .and_then(serde_json::Value::as_str)
        {
            return Ok(id.to_owned());
        }
        anyhow::ensure!(
            begun.elapsed() < Duration::from_secs(20),
            "nothing was held within 20 s"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn until<F: Future<Output = bool>>(limit: Duration, mut check: impl FnMut() -> F) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if check().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Turns one letter of a record in the middle into another.
fn flip_a_byte(file: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let middle = bytes.len() / 2;
    let letter = bytes
        .iter_mut()
        .skip(middle)
        .find(|byte| byte.is_ascii_lowercase())
        .context("no letter")?;
    *letter ^= 1;
    std::fs::write(file, bytes)?;
    Ok(())
}

fn pod(name: &str, privileged: bool) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: default\nspec:\n  nodeName: {NODE_NAME}\n  \
         containers:\n  - name: main\n    image: registry.example.com/{name}:1.0\n    securityContext:\n      \
         privileged: {privileged}\n"
    )
}
