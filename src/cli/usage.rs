//! `gateward review`: what agents may do beside what they did.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::audit::{moment, seconds};
use super::client::Humans;
use crate::output::{Output, field, items, line, print, table};

/// Compares what agents may do with what they did.
#[derive(Debug, Subcommand)]
pub enum Review {
    /// Shows what each agent used, and which rules nobody needed.
    Usage(Usage),
}

/// Arguments of `review usage`.
#[derive(Debug, Args)]
pub struct Usage {
    /// The period: a duration (24h, 30d) or an RFC 3339 time
    #[arg(long, default_value = "30d")]
    since: String,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    humans: Humans,
}

impl Review {
    /// Runs the command.
    ///
    /// # Errors
    /// What the gate answered, or why it could not be reached.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self::Usage(usage) = self;
        let since = moment(Some(&usage.since), jiff::Timestamp::now())?;
        let document = usage
            .humans
            .get("/api/v1/review/usage", &[("since", since)])
            .await?;
        print(usage.output, &document, used)
    }
}

fn used(document: &Value) {
    let columns = [
        "agent",
        "cluster",
        "verb",
        "resource",
        "namespace",
        "allowed",
        "held",
        "denied",
        "last",
    ];
    let rows = items(document)
        .iter()
        .map(|row| {
            let cell = |name: &&str| match *name {
                "last" => seconds(&field(row, name)),
                name => field(row, name),
            };
            columns.iter().map(cell).collect()
        })
        .collect();
    table(
        &[
            "AGENT",
            "CLUSTER",
            "VERB",
            "RESOURCE",
            "NAMESPACE",
            "ALLOWED",
            "HELD",
            "DENIED",
            "LAST",
        ],
        rows,
        "Nothing was used in this period.",
    );
    let unused: Vec<String> = document
        .get("findings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|finding| format!("{}/{}", field(finding, "policy"), field(finding, "rule")))
        .collect();
    if !unused.is_empty() {
        line(format!(
            "\n{} rules decided nothing in this period: {}",
            unused.len(),
            unused.join(", ")
        ));
    }
}
