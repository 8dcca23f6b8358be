//! `gateward approvals`: what waits for a human, and the human's answer.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Humans;
use crate::output::{Output, field, items, labelled, line, plain, print, table};
use crate::suppose::explain;

/// Lists, shows, approves and denies what waits for a human.
#[derive(Debug, Subcommand)]
pub enum Approvals {
    /// Lists holds, the newest first.
    List(List),
    /// Shows one hold: who, for whom, what exactly, and why it is held.
    Show(Show),
    /// Approves one hold. The request runs when the agent sends exactly it again.
    Approve(Answer),
    /// Denies one hold.
    Deny(Answer),
}

/// Arguments of `approvals list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only holds in this state; `all` for every one
    #[arg(long, default_value = "pending", value_parser = ["pending", "approved", "denied", "used", "expired", "all"])]
    state: String,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    humans: Humans,
}

/// Arguments of `approvals show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The hold's id
    id: String,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    humans: Humans,
}

/// Arguments of `approvals approve` and `approvals deny`.
#[derive(Debug, Args)]
pub struct Answer {
    /// The hold's id
    id: String,
    /// A sentence for the record; the agent sees it when you deny
    #[arg(short = 'm', long, default_value = "")]
    comment: String,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    humans: Humans,
}

impl Approvals {
    /// Runs the command.
    ///
    /// # Errors
    /// What the gate answered, or why it could not be reached.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => {
                let document = list
                    .humans
                    .get("/api/v1/holds", &[("state", Some(list.state))])
                    .await?;
                print(list.output, &document, holds)
            }
            Self::Show(show) => {
                let path = format!("/api/v1/holds/{}", segment(&show.id));
                let document = show.humans.get(&path, &[]).await?;
                print(show.output, &document, hold)
            }
            Self::Approve(answer) => answer.send("approve").await,
            Self::Deny(answer) => answer.send("deny").await,
        }
    }
}

impl Answer {
    async fn send(self, answer: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/holds/{}/votes", segment(&self.id));
        let body = json!({"answer": answer, "comment": self.comment});
        let document = self.humans.post(&path, &body).await?;
        print(self.output, &document, |hold| {
            line(format!(
                "{} is {}: {}",
                field(hold, "id"),
                field(hold, "state"),
                field(hold, "operation")
            ));
        })
    }
}

/// An id in a path; what is no id cannot turn into another path.
pub(super) fn segment(id: &str) -> String {
    id.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect()
}

fn holds(document: &Value) {
    let rows = items(document)
        .iter()
        .map(|hold| {
            [
                "id",
                "state",
                "agent",
                "principal",
                "cluster",
                "operation",
                "rule",
                "expires",
            ]
            .iter()
            .map(|name| field(hold, name))
            .collect()
        })
        .collect();
    table(
        &[
            "ID",
            "STATE",
            "AGENT",
            "FOR",
            "CLUSTER",
            "OPERATION",
            "RULE",
            "EXPIRES",
        ],
        rows,
        "Nothing waits for an approval.",
    );
}

fn hold(document: &Value) {
    labelled(
        document,
        &[
            ("Hold", "id"),
            ("State", "state"),
            ("Agent", "agent"),
            ("For", "principal"),
            ("Groups", "groups"),
            ("Cluster", "cluster"),
            ("Operation", "operation"),
            ("Request", "request"),
            ("Why held", "reason"),
            ("Rule", "rule"),
            ("Policy", "policy"),
            ("Approvers", "approverGroups"),
            ("Quorum", "quorum"),
            ("Filed", "filed"),
            ("Expires", "expires"),
            ("Digest", "digest"),
        ],
    );
    for vote in document
        .get("votes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        line(format!(
            "Vote:      {} by {} at {} {}",
            field(vote, "answer"),
            field(vote, "voter"),
            field(vote, "at"),
            field(vote, "comment"),
        ));
    }
    let facts = document.get("facts").and_then(Value::as_object);
    if let Some(facts) = facts.filter(|facts| !facts.is_empty()) {
        line("What it means:");
        for fact in explain::facts(facts) {
            line(plain(&fact));
        }
    }
    if let Some(body) = document.get("body").filter(|body| !body.is_null()) {
        line("Body (masked):");
        let text = serde_saphyr::to_string(body).unwrap_or_else(|_| body.to_string());
        for row in text.lines() {
            line(format!("  {}", plain(row)));
        }
    }
}
