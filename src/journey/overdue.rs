//! Holds that nobody answered, or used, in time: part of the journey, for a hold that ends is
//! on the record however it ends. It decides nothing: an overdue hold is worth nothing anyway.

use jiff::Timestamp;

use super::Gate;
use crate::approve::ApproveError;
use crate::record::entry::{HoldEvent, HoldStep};
use crate::refusal::Refusal;

impl Gate {
    /// Ends the holds that nobody has answered, or used, in time, and records each end.
    ///
    /// # Errors
    /// [`Refusal::StoreUnavailable`], [`Refusal::LedgerUnavailable`].
    pub async fn expire_holds(&self, now: Timestamp) -> Result<(), Refusal> {
        let failed = |error: ApproveError| Refusal::StoreUnavailable {
            inside: error.to_string(),
        };
        for hold in self.holds.expire(now).await.map_err(failed)? {
            let digest = self.holds.get(&hold).await.map_err(failed)?.digest;
            let event = HoldEvent {
                hold,
                event: HoldStep::Expired,
                who: "gateward".to_owned(),
                digest,
                comment: None,
            };
            self.recorder.hold(event).await?;
        }
        Ok(())
    }
}
