//! The end of a gate: what was begun gets the time to end, and no more.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::accept::told;
use crate::journey::Gate;

/// Waits for `stop`, and says until when what runs then may go on.
pub(super) async fn deadline(mut stop: watch::Receiver<bool>, drain: Duration) -> Instant {
    told(&mut stop).await;
    Instant::now() + drain
}

/// Waits for changes whose clients hung up: their outcomes belong in the ledger, too.
pub(super) async fn changes(gate: &Gate, deadline: Instant) {
    let deadline = deadline.max(Instant::now() + Duration::from_secs(1));
    if timeout_at(deadline, gate.changes.write()).await.is_err() {
        tracing::warn!("a change has no outcome yet; the next start marks it unknown");
    }
}
