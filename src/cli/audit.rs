//! `gateward audit`: search what was recorded, and prove that nobody changed it.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Humans;
use crate::output::{AlreadySaid, Output, field, items, line, print, table};

/// Searches and verifies the record of what was done.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Finds requests by who, what, where and when; the newest first.
    Search(Box<Search>),
    /// Verifies a ledger directory offline: no record changed, removed or inserted.
    Verify(Verify),
}

/// Arguments of `audit search`.
#[derive(Debug, Args)]
pub struct Search {
    #[command(flatten)]
    filter: Filter,
    /// At most this many records
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    humans: Humans,
}

/// What to look for; filters add up.
#[derive(Debug, Args)]
pub struct Filter {
    /// The agent's name
    #[arg(long)]
    agent: Option<String>,
    /// The principal's name
    #[arg(long)]
    principal: Option<String>,
    /// The cluster
    #[arg(long)]
    cluster: Option<String>,
    /// The verb: get, list, watch, create, update, patch, delete, deletecollection
    #[arg(long)]
    verb: Option<String>,
    /// The resource, as in `pods`
    #[arg(long)]
    resource: Option<String>,
    /// The namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// The object's name
    #[arg(long)]
    name: Option<String>,
    /// The verdict
    #[arg(long, value_parser = ["allow", "hold", "deny", "refused"])]
    verdict: Option<String>,
    /// The session's id
    #[arg(long)]
    session: Option<String>,
    /// Not older than this: a duration (10m, 24h, 7d) or an RFC 3339 time
    #[arg(long)]
    since: Option<String>,
    /// Not newer than this: a duration or an RFC 3339 time
    #[arg(long)]
    until: Option<String>,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The ledger directory (or a copy of it)
    #[arg(long, value_name = "DIR")]
    ledger: PathBuf,
    /// The ledger's public key: a file in signed-note form, kept apart from the ledger
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Audit {
    /// Runs the command.
    ///
    /// # Errors
    /// What the gate answered, or what is wrong with the ledger.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Search(search) => search.run().await,
            Self::Verify(verify) => verify.run(),
        }
    }
}

impl Search {
    async fn run(self) -> anyhow::Result<()> {
        let now = jiff::Timestamp::now();
        let filter = self.filter;
        let query = [
            ("agent", filter.agent),
            ("principal", filter.principal),
            ("cluster", filter.cluster),
            ("verb", filter.verb),
            ("resource", filter.resource),
            ("namespace", filter.namespace),
            ("name", filter.name),
            ("verdict", filter.verdict),
            ("session", filter.session),
            ("since", moment(filter.since.as_deref(), now)?),
            ("until", moment(filter.until.as_deref(), now)?),
            ("limit", Some(self.limit.to_string())),
        ];
        let document = self.humans.get("/api/v1/records", &query).await?;
        print(self.output, &document, records)
    }
}

impl Verify {
    fn run(self) -> anyhow::Result<()> {
        let key = std::fs::read_to_string(&self.key)
            .with_context(|| format!("cannot read the key {}", self.key.display()))?;
        let outcome = crate::record::verify::verify(&self.ledger, key.trim());
        let document = match &outcome {
            Ok(report) => json!({
                "intact": true,
                "origin": report.origin,
                "records": report.checkpoint.size,
                "root": hex(&report.checkpoint.root),
                "checkpoints": report.checkpoints,
                "unsigned": report.unsigned,
                "tornBytes": report.torn_bytes,
                "leavesDifferAt": report.leaves_differ_at,
            }),
            Err(error) => json!({"intact": false, "problem": error.to_string()}),
        };
        print(self.output, &document, |_| match &outcome {
            Ok(report) => {
                line(format!(
                    "intact: {} records of {} as signed, root {}, {} checkpoints agree",
                    report.checkpoint.size,
                    report.origin,
                    hex(&report.checkpoint.root),
                    report.checkpoints
                ));
                if report.unsigned > 0 {
                    line(format!(
                        "{} newer records are written but not signed yet",
                        report.unsigned
                    ));
                }
                if let Some(place) = report.leaves_differ_at {
                    line(format!(
                        "the file of leaf hashes differs from record {place} on; the gate writes it anew when it starts"
                    ));
                }
            }
            Err(error) => line(format!("NOT INTACT: {error}")),
        })?;
        outcome.map(|_| ()).map_err(|_| AlreadySaid.into())
    }
}

/// A time without its fraction, which only programs need.
pub(super) fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An RFC 3339 time from a duration before `now`, or from a time.
pub(super) fn moment(text: Option<&str>, now: jiff::Timestamp) -> anyhow::Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Some(time.to_string()));
    }
    let span: jiff::Span = text.parse().with_context(|| {
        format!("{text:?} is neither a duration (10m, 24h, 7d) nor an RFC 3339 time")
    })?;
    let seconds = span
        .total(jiff::SpanTotal::from(jiff::Unit::Second).days_are_24_hours())
        .context("a duration of months or years is not exact; use days")?;
    let duration = jiff::SignedDuration::try_from_secs_f64(seconds.abs()).context("too long")?;
    let time = now.checked_sub(duration).context("too long ago")?;
    Ok(Some(time.to_string()))
}

pub(super) fn records(document: &Value) {
    let rows = items(document).iter().map(record).collect();
    table(
        &[
            "TIME",
            "AGENT",
            "FOR",
            "CLUSTER",
            "OPERATION",
            "VERDICT",
            "RULE",
            "STATUS",
            "APPROVED BY",
            "RECORD",
        ],
        rows,
        "No record matches.",
    );
}

fn record(record: &Value) -> Vec<String> {
    [
        "time",
        "agent",
        "principal",
        "cluster",
        "operation",
        "verdict",
        "rule",
        "status",
        "approver",
        "id",
    ]
    .iter()
    .map(|name| match *name {
        "time" => seconds(&field(record, name)),
        name => field(record, name),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::moment;

    #[test]
    fn a_moment_is_a_duration_before_now_or_a_time() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = |text| moment(Some(text), now).map(Option::unwrap);
        assert_eq!(at("10m").unwrap(), "2026-11-24T11:50:00Z");
        assert_eq!(at("1d").unwrap(), "2026-11-23T12:00:00Z");
        assert_eq!(at("2026-01-01T00:00:00Z").unwrap(), "2026-01-01T00:00:00Z");
        assert!(at("soon").is_err());
    }
}
