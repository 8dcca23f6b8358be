//! ⑤ Hold → Permit or Refusal; silence means no.
//!
//! A hold is an ask that waits for people. It is bound to a digest of who asks for what, where;
//! whoever comes again with the same digest finds the same hold, and nobody else does. The only
//! way out with a yes is [`Holds::spend`], the one maker of an [`Approval`]: once, in time, for
//! that digest. This room decides nothing about policy and never sends anything; it does not
//! judge whether the object has changed since: the caller decides the ask again before it spends.
//!
//! All state is in the store, so a restart loses none of it; what is in memory only wakes waiters.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::decide::{self, Hold, Permit};
use crate::refusal::Refusal;
use crate::store::{Filed, HoldFilter, HoldRow, HoldStatus, Store};

use standing::{over, state};

mod digest;
mod request;
mod standing;
mod view;
mod vote;

pub use crate::store::Answer;
pub use digest::{Digest, DigestKey, digest};
pub use request::{HoldRequest, Terms};
pub use standing::HoldState;
pub use view::{HoldView, VoteView};
pub use vote::{ApproveError, Voter};

/// Seconds after which a client asks again whose hold turned out to wait still.
const RETRY_AFTER: u32 = 5;

/// The limits of the waiting room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many pending holds one agent may have. Default 50.
    pub pending_per_agent: usize,
    /// Within what time after the last yes an approval must be used. Default 5 minutes.
    pub use_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_per_agent: 50,
            use_within: Duration::from_secs(5 * 60),
        }
    }
}

/// The proof that people let one ask pass. Made by [`Holds::spend`] alone, which makes one per
/// hold; it cannot be copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Approval {
    hold: String,
    digest: Digest,
    key: DigestKey,
    approvers: Vec<String>,
    at: Timestamp,
}

impl Approval {
    /// The hold's id.
    pub fn hold(&self) -> &str {
        &self.hold
    }
    /// What was approved; must equal the digest of what is about to be sent.
    pub fn digest(&self) -> Digest {
        self.digest
    }
    /// The people who said yes, first come first.
    pub fn approvers(&self) -> &[String] {
        &self.approvers
    }
    /// When it was spent.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Turns the hold into a permit, if it is about exactly what was approved.
    ///
    /// # Errors
    /// [`Refusal::HoldRejected`] if the approval belongs to a different request.
    pub fn grants(self, hold: Hold) -> Result<Permit, Refusal> {
        if digest(&self.key, hold.caller(), hold.ask()) != self.digest {
            return Err(Refusal::HoldRejected {
                id: self.hold,
                rule: hold.terms().rule.to_string(),
                comment: "it belongs to a different request".to_owned(),
            });
        }
        hold.granted(decide::Approval {
            hold_id: self.hold,
            approvers: self.approvers,
        })
    }
}

/// The waiting room. Cheap to clone; all clones wake each other's waiters.
#[derive(Debug, Clone)]
pub struct Holds {
    store: Store,
    limits: Limits,
    key: DigestKey,
    /// Ids of holds that were just decided or have expired. Who lags behind looks again.
    decided: broadcast::Sender<String>,
}

impl Holds {
    /// A waiting room on this store. Make one per store: waiters are woken within its clones.
    pub fn new(store: Store, limits: Limits, key: DigestKey) -> Self {
        let (decided, _) = broadcast::channel(256);
        Self {
            store,
            limits,
            key,
            decided,
        }
    }

    /// The key to the digests of this room's holds.
    pub fn key(&self) -> &DigestKey {
        &self.key
    }

    /// Finds the hold that binds this request, or files one. Equal requests at the same moment
    /// file one. If the policy demands something else than when the hold was filed (another
    /// rule, other approvers, a higher quorum), the old hold, approved or not, is replaced.
    ///
    /// # Errors
    /// [`Refusal::TooManyHolds`], [`Refusal::StoreUnavailable`].
    pub async fn present(
        &self,
        request: HoldRequest,
        now: Timestamp,
    ) -> Result<HoldState, Refusal> {
        let id = new_id()?;
        let limit = self.limits.pending_per_agent;
        let filed = self
            .store
            .file_hold(id, request.into_row(), now.as_microsecond(), limit)
            .await?;
        match filed {
            Filed::New(row) => {
                let mut filed = state(&row)?;
                if let HoldState::Pending { new, .. } = &mut filed {
                    *new = true;
                }
                Ok(filed)
            }
            Filed::Found(row) => state(&row),
            Filed::TooMany => Err(Refusal::TooManyHolds { limit }),
        }
    }

    /// The short hold: waits at most `until` for a decision and says where the hold stands then.
    ///
    /// # Errors
    /// [`Refusal::HoldRejected`] if it ended without a decision that can still be used;
    /// [`Refusal::StoreUnavailable`].
    pub async fn wait(&self, id: &str, until: Duration) -> Result<HoldState, Refusal> {
        // Listen before looking, or a decision in between would be missed.
        let mut decided = self.decided.subscribe();
        let woken = async {
            loop {
                let standing = state(&self.row(id).await?)?;
                if !matches!(standing, HoldState::Pending { .. }) {
                    return Ok(standing);
                }
                while let Ok(other) = decided.recv().await {
                    if other == id {
                        break;
                    }
                }
            }
        };
        match tokio::time::timeout(until, woken).await {
            Ok(standing) => standing,
            Err(_) => state(&self.row(id).await?),
        }
    }

    /// Spends an approved hold: once, in time, for this digest. Of two at the same moment one
    /// gets the [`Approval`].
    ///
    /// # Errors
    /// [`Refusal::HoldRejected`] with the reason; [`Refusal::Held`] if nobody has decided;
    /// [`Refusal::StoreUnavailable`].
    pub async fn spend(
        &self,
        id: &str,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Approval, Refusal> {
        let row = self
            .store
            .change_hold(id.to_owned(), move |hold| spend(hold, digest, now))
            .await?
            .ok_or_else(|| no_such_hold(id))?;
        Ok(Approval {
            hold: row.id,
            digest,
            key: self.key,
            approvers: vote::approvers(&row.votes),
            at: now,
        })
    }

    /// Takes a person's answer. One no denies; the rule's quorum of different people approves.
    /// Who said yes may still say no while others are awaited.
    ///
    /// # Errors
    /// [`ApproveError`], each with its HTTP code and a sentence for the person.
    pub async fn vote(
        &self,
        id: &str,
        voter: &Voter,
        answer: Answer,
        comment: &str,
        now: Timestamp,
    ) -> Result<HoldView, ApproveError> {
        let comment = vote::clean(comment)?;
        let voter = voter.clone();
        let use_within = micros(self.limits.use_within);
        let now = now.as_microsecond();
        let row = self
            .store
            .change_hold(id.to_owned(), move |hold| {
                vote::weigh(hold, voter, answer, comment, now, use_within)
            })
            .await?
            .ok_or_else(|| ApproveError::NotFound { id: id.to_owned() })?;
        if row.state != HoldStatus::Pending {
            self.wake(row.id.clone());
        }
        Ok(HoldView::from(row))
    }

    /// One hold, for people.
    ///
    /// # Errors
    /// [`ApproveError::NotFound`], [`ApproveError::Unavailable`].
    pub async fn get(&self, id: &str) -> Result<HoldView, ApproveError> {
        self.store
            .hold(id.to_owned())
            .await?
            .map(HoldView::from)
            .ok_or_else(|| ApproveError::NotFound { id: id.to_owned() })
    }

    /// Holds, for people, newest first.
    ///
    /// # Errors
    /// [`ApproveError::Unavailable`].
    pub async fn list(&self, filter: HoldFilter) -> Result<Vec<HoldView>, ApproveError> {
        let rows = self.store.holds(filter).await?;
        Ok(rows.into_iter().map(HoldView::from).collect())
    }

    /// Ends what has waited, or lain unused, until `now`; answers the ids. Nothing depends on
    /// how often it runs but what lists show: an overdue hold can be neither voted nor spent.
    ///
    /// # Errors
    /// [`ApproveError::Unavailable`].
    pub async fn expire(&self, now: Timestamp) -> Result<Vec<String>, ApproveError> {
        let ids = self.store.expire_holds(now.as_microsecond()).await?;
        ids.iter().cloned().for_each(|id| self.wake(id));
        Ok(ids)
    }

    /// Forgets ended holds whose last state ended before `before`; answers how many.
    ///
    /// # Errors
    /// [`ApproveError::Unavailable`].
    pub async fn prune(&self, before: Timestamp) -> Result<usize, ApproveError> {
        Ok(self.store.prune_holds(before.as_microsecond()).await?)
    }

    async fn row(&self, id: &str) -> Result<HoldRow, Refusal> {
        let row = self.store.hold(id.to_owned()).await?;
        row.ok_or_else(|| no_such_hold(id))
    }

    fn wake(&self, id: String) {
        // An error means that nobody waits.
        let _ = self.decided.send(id);
    }
}

/// The conditions of [`Holds::spend`], inside its transaction.
fn spend(hold: &mut HoldRow, digest: Digest, now: Timestamp) -> Result<(), Refusal> {
    if hold.filed.digest != *digest.as_bytes() {
        return Err(over(hold, "it belongs to a different request"));
    }
    let now = now.as_microsecond();
    let overdue = now >= hold.expires_at;
    match state(hold)? {
        HoldState::Approved { .. } if !overdue => {
            hold.state = HoldStatus::Used;
            hold.used_at = Some(now);
            Ok(())
        }
        HoldState::Pending { id, .. } if !overdue => Err(Refusal::Held {
            id,
            rule: hold.filed.rule.clone(),
            reason: hold.filed.reason.clone(),
            retry_after: RETRY_AFTER,
        }),
        HoldState::Denied {
            id, rule, comment, ..
        } => Err(Refusal::HoldRejected { id, rule, comment }),
        HoldState::Approved { .. } | HoldState::Pending { .. } => {
            Err(over(hold, "it was not approved and used in time"))
        }
    }
}

fn no_such_hold(id: &str) -> Refusal {
    Refusal::HoldRejected {
        id: id.to_owned(),
        rule: String::new(),
        comment: "there is no such hold; send the request again to file a new one".to_owned(),
    }
}

/// `h-` and ten of 32 letters and digits without look-alikes (Crockford): 50 random bits,
/// easy to say aloud. The id opens nothing by itself.
fn new_id() -> Result<String, Refusal> {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut random = [0u8; 10];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Refusal::Internal {
        inside: "the system's random generator failed; cannot name a hold".to_owned(),
    })?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    Ok("h-"
        .chars()
        .chain(random.iter().filter_map(letter))
        .collect())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
