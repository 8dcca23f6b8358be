//! What runs beside the requests until the gate stops. No request waits for any of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::accept::told;
use crate::console::Console;
use crate::journey::Gate;

/// How long ended holds stay listed.
const KEEP_HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Lists show overdue holds as expired; ended ones are forgotten once the ledger alone
/// needs to know them.
pub(super) async fn sweep(gate: Arc<Gate>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
            () = told(&mut stop) => return,
        }
        let now = Timestamp::now();
        if let Err(refusal) = gate.expire_holds(now).await {
            tracing::warn!(inside = refusal.inside(), "old holds were not swept");
        }
        let Ok(before) = now.checked_sub(KEEP_HOLDS) else {
            continue;
        };
        if let Err(error) = gate.holds.prune(before).await {
            tracing::warn!(%error, "ended holds were not pruned");
        }
    }
}

/// Fetches the issuers' keys before they are needed.
pub(super) async fn keep_warm(
    gate: Arc<Gate>,
    console: Arc<Console>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        _ = async { tokio::join!(gate.identifier.keep_warm(), console.people.keep_warm()) } => {}
        () = told(&mut stop) => {}
    }
}
