//! `gateward sessions`: agents' runs of work.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::approvals::segment;
use super::audit::{moment, records, seconds};
use super::client::Humans;
use crate::output::{Output, field, items, labelled, line, print, table};

/// Lists and shows agents' runs of work.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// Lists sessions, the newest first.
    List(List),
    /// Shows one session: its records in order.
    Show(Show),
}

/// Arguments of `sessions list`.
#[derive(Debug, Args)]
pub struct List {
    /// The agent's name
    #[arg(long)]
    agent: Option<String>,
    /// Not older than this: a duration (10m, 24h, 7d) or an RFC 3339 time
    #[arg(long)]
    since: Option<String>,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    humans: Humans,
}

/// Arguments of `sessions show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The session's id
    id: String,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    humans: Humans,
}

impl Sessions {
    /// Runs the command.
    ///
    /// # Errors
    /// What the gate answered, or why it could not be reached.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => {
                let since = moment(list.since.as_deref(), jiff::Timestamp::now())?;
                let query = [("agent", list.agent), ("since", since)];
                let document = list.humans.get("/api/v1/sessions", &query).await?;
                print(list.output, &document, sessions)
            }
            Self::Show(show) => {
                let path = format!("/api/v1/sessions/{}", segment(&show.id));
                let document = show.humans.get(&path, &[]).await?;
                print(show.output, &document, session)
            }
        }
    }
}

fn sessions(document: &Value) {
    let rows = items(document)
        .iter()
        .map(|session| {
            [
                "id",
                "agent",
                "principal",
                "started",
                "last",
                "records",
                "allowed",
                "held",
                "denied",
            ]
            .iter()
            .map(|name| match *name {
                "started" | "last" => seconds(&field(session, name)),
                name => field(session, name),
            })
            .collect()
        })
        .collect();
    table(
        &[
            "SESSION", "AGENT", "FOR", "STARTED", "LAST", "RECORDS", "ALLOWED", "HELD", "DENIED",
        ],
        rows,
        "No session matches.",
    );
}

fn session(document: &Value) {
    labelled(
        document,
        &[
            ("Session", "id"),
            ("Agent", "agent"),
            ("For", "principal"),
            ("Started", "started"),
            ("Last", "last"),
        ],
    );
    line("");
    records(document);
}
