//! The search index follows the ledger: it is derived from durable entries only, knows how
//! far it has come, and can be thrown away and built again.

use std::time::Duration;

use tokio::sync::watch;

use crate::accept::told;
use crate::record::Ledger;
use crate::record::asked::{Grounds, What, Who};
use crate::record::entry::{Entry, Event, Outcome};
use crate::store::{IndexRow, OutcomeRow, RecordRow, Store};

/// Entries that are taken into the index at once.
const BATCH: usize = 512;

/// How long new entries gather before they are taken in together.
const GATHER: Duration = Duration::from_millis(50);

/// Follows the ledger until `stop` turns true and everything durable is in.
pub(super) async fn follow(ledger: Ledger, store: Store, mut stop: watch::Receiver<bool>) {
    let mut durable = ledger.watch_durable();
    loop {
        if let Err(problem) = catch_up(&ledger, &store).await {
            tracing::error!(problem, "the search index lags behind the ledger");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::select! {
            changed = durable.changed() => if changed.is_err() { return },
            () = told(&mut stop) => {
                if let Err(problem) = catch_up(&ledger, &store).await {
                    tracing::error!(problem, "the search index lags behind; it catches up at the next start");
                }
                return;
            }
        }
        tokio::time::sleep(GATHER).await;
    }
}

async fn catch_up(ledger: &Ledger, store: &Store) -> Result<(), String> {
    loop {
        let from = store
            .indexed_up_to()
            .await
            .map_err(|error| error.to_string())?;
        let reader = ledger.clone();
        let entries = tokio::task::spawn_blocking(move || reader.read(from, BATCH))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let Some((last, _)) = entries.last() else {
            return Ok(());
        };
        let up_to = last + 1;
        let rows = entries
            .iter()
            .filter_map(|(position, bytes)| row(*position, bytes))
            .collect();
        store
            .index(rows, up_to)
            .await
            .map_err(|error| error.to_string())?;
    }
}

/// What an entry changes in the index; `None` for what is not about one request.
fn row(position: u64, bytes: &[u8]) -> Option<IndexRow> {
    let entry = match Entry::parse(bytes) {
        Ok(entry) => entry,
        Err(error) => {
            tracing::warn!(position, %error, "an entry of the ledger cannot be read and is not indexed");
            return None;
        }
    };
    let id = entry.id.to_string();
    let time_us = entry.time.as_microsecond();
    let base = RecordRow {
        position,
        id,
        time: format!("{:.6}", entry.time),
        time_us,
        ..RecordRow::default()
    };
    match entry.event {
        Event::Intent(intent) => {
            let session = intent.session.map(|id| id.to_string()).unwrap_or_default();
            let row = described(RecordRow { session, ..base }, intent.who, intent.what);
            Some(IndexRow::Record(Box::new(judged(row, intent.grounds))))
        }
        Event::Refused(refused) => {
            let session = refused.session.map(|id| id.to_string()).unwrap_or_default();
            let row = described(RecordRow { session, ..base }, refused.who, refused.what);
            let row = judged(row, refused.grounds.unwrap_or_default());
            Some(IndexRow::Record(Box::new(RecordRow {
                hold: refused.hold.or(row.hold),
                verdict: if row.verdict.is_empty() {
                    "refused".to_owned()
                } else {
                    row.verdict
                },
                ended_us: Some(time_us),
                status: refused.status,
                duration_us: i64::try_from(refused.duration_us).ok(),
                refusal: refused.reason,
                ..row
            })))
        }
        Event::Outcome(outcome) => Some(IndexRow::Outcome(ended(base.id, time_us, &outcome))),
        Event::Hold(_) | Event::System(_) => None,
    }
}

fn described(row: RecordRow, who: Who, what: What) -> RecordRow {
    RecordRow {
        agent: who.agent.unwrap_or_default(),
        principal: who.principal,
        cluster: what.cluster,
        verb: what.verb,
        api_group: what.api_group,
        resource: what.resource,
        subresource: what.subresource,
        namespace: what.namespace,
        name: what.name,
        path: what.path,
        ..row
    }
}

fn judged(row: RecordRow, grounds: Grounds) -> RecordRow {
    let given = |text: String| (!text.is_empty()).then_some(text);
    let approval = grounds.approval;
    RecordRow {
        verdict: grounds.verdict,
        policy: given(grounds.policy),
        rule: given(grounds.rule),
        hold: approval.as_ref().map(|approval| approval.hold.clone()),
        approver: approval.map(|approval| approval.approver),
        ..row
    }
}

fn ended(id: String, ended_us: i64, outcome: &Outcome) -> OutcomeRow {
    OutcomeRow {
        id,
        ended_us,
        status: outcome.status,
        duration_us: outcome.duration_us.and_then(|us| i64::try_from(us).ok()),
        bytes: Some(outcome.bytes),
        masked: Some(outcome.masked.iter().map(|(_, values)| values).sum()),
        refusal: outcome.failure.clone(),
    }
}
