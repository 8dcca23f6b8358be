//! The end of a gate: what was begun gets the time to end, and no more.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::accept::told;
use crate::record::Recorder;

/// Waits for `stop`, and says until when what runs then may go on.
pub(super) async fn deadline(mut stop: watch::Receiver<bool>, drain: Duration) -> Instant {
    told(&mut stop).await;
    Instant::now() + drain
}

/// Waits until every request has its outcome in the ledger: changes whose clients hung up,
/// and answers that were cut, whose HTTP/2 streams end a moment after their connection.
pub(super) async fn records(recorder: &Recorder, deadline: Instant) {
    let deadline = deadline.max(Instant::now() + Duration::from_secs(1));
    while recorder.open_records() > 0 {
        if Instant::now() > deadline {
            let open = recorder.open_records();
            tracing::warn!(
                open,
                "requests have no outcome yet; the next start marks them unknown"
            );
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}
