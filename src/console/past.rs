//! The ledger as auditors read it: its entries as they stand, and the masked bodies that are
//! kept beside it. Part of `console`; it shows nothing that was not masked before it was
//! written, and never more than a page at once.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::api::unreadable;
use super::{Console, No, Shown};
use crate::identify::Person;
use crate::record::Ledger;
use crate::record::entry::Entry;
use crate::refusal::Refusal;

/// The most entries of one page.
const PAGE: usize = 500;

/// Entries are written side by side, so their times are in order only about.
const ABOUT: u64 = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    /// The first position.
    from: Option<u64>,
    /// Instead of a position: not much older than this.
    since: Option<Timestamp>,
    limit: Option<usize>,
}

/// Entries of the ledger in order, each with its position; `next` is where to go on, none at
/// the end.
pub(super) async fn entries(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    query: Result<Query<Entries>, QueryRejection>,
) -> Result<Shown, No> {
    console.auditor(&person)?;
    let Query(query) = query.map_err(unreadable)?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let ledger = console.gate.recorder.ledger().clone();
    let found = tokio::task::spawn_blocking(move || {
        let from = match (query.from, query.since) {
            (Some(from), _) => from,
            (None, Some(since)) => first_since(&ledger, since)?,
            (None, None) => 0,
        };
        ledger.read(from, limit).map_err(|error| error.to_string())
    });
    let found = found
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    let found = found.map_err(unavailable)?;
    let next = found.last().map(|(position, _)| position + 1);
    let items: Vec<Value> = found
        .iter()
        .map(|(position, bytes)| {
            let entry: Value = serde_json::from_slice(bytes).unwrap_or_default();
            json!({"position": position, "entry": entry})
        })
        .collect();
    Ok(Shown(json!({"items": items, "next": next})))
}

/// A masked body that was too long for its entry.
pub(super) async fn body(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    digest: Result<Path<String>, PathRejection>,
) -> Result<Shown, No> {
    console.auditor(&person)?;
    let Path(digest) = digest.map_err(unreadable)?;
    let blobs = console.gate.recorder.blobs().clone();
    let read = tokio::task::spawn_blocking(move || blobs.read(&digest)).await;
    let bytes = read
        .map_err(|error| unavailable(error.to_string()))?
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidInput => {
                No(Refusal::NotFound {
                    sentence: "there is no body with this digest".to_owned(),
                })
            }
            _ => unavailable(error.to_string()),
        })?;
    // Only to see that it is JSON: it may be long.
    let body: &RawValue =
        serde_json::from_slice(&bytes).map_err(|error| unavailable(error.to_string()))?;
    Ok(Shown(json!({"body": body})))
}

/// About the first entry of this time, by halving.
fn first_since(ledger: &Ledger, since: Timestamp) -> Result<u64, String> {
    let (mut low, mut high) = (0, *ledger.watch_durable().borrow());
    while low < high {
        let middle = low + (high - low) / 2;
        let found = ledger.read(middle, 1).map_err(|error| error.to_string())?;
        let time = found
            .first()
            .and_then(|(_, bytes)| Entry::parse(bytes).ok())
            .map(|entry| entry.time);
        // What cannot be read is taken for too new, so that nothing is left out.
        match time {
            Some(time) if time < since => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low.saturating_sub(ABOUT))
}

fn unavailable(inside: String) -> No {
    No(Refusal::LedgerUnavailable { inside })
}
