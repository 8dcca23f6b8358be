//! Where a hold stands, in the words of those who wait for it. Nothing here is a proof.

use jiff::Timestamp;

use super::view::moment;
use crate::refusal::Refusal;
use crate::store::{Answer, HoldRow, HoldStatus};

/// Where a held ask stands, as its caller may know it. None of these is a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldState {
    /// Nobody has decided.
    Pending {
        /// The hold's id.
        id: String,
        /// When silence becomes a no.
        expires: Timestamp,
        /// Whether it was filed just now.
        new: bool,
    },
    /// Enough people said yes; [`super::Holds::spend`] turns that into an [`super::Approval`].
    Approved {
        /// The hold's id.
        id: String,
        /// Until when it can be spent.
        expires: Timestamp,
    },
    /// Somebody said no; the same ask stays refused until `expires`.
    Denied {
        /// The hold's id.
        id: String,
        /// The rule that held it.
        rule: String,
        /// Who said no.
        by: String,
        /// What they wrote.
        comment: String,
        /// When the same ask may be filed again.
        expires: Timestamp,
    },
}

impl HoldState {
    /// The hold's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Pending { id, .. } | Self::Approved { id, .. } | Self::Denied { id, .. } => id,
        }
    }
}

/// What the caller may know of a row, or why it is over.
pub(super) fn state(row: &HoldRow) -> Result<HoldState, Refusal> {
    let id = row.id.clone();
    let expires = moment(row.expires_at);
    match row.state {
        HoldStatus::Pending => Ok(HoldState::Pending {
            id,
            expires,
            new: false,
        }),
        HoldStatus::Approved => Ok(HoldState::Approved { id, expires }),
        HoldStatus::Denied => {
            let no = row.votes.iter().find(|v| v.answer == Answer::Deny);
            Ok(HoldState::Denied {
                id,
                rule: row.filed.rule.clone(),
                by: no.map(|v| v.voter.clone()).unwrap_or_default(),
                comment: no.map(|v| v.comment.clone()).unwrap_or_default(),
                expires,
            })
        }
        HoldStatus::Used => Err(over(row, "its approval has been used already")),
        HoldStatus::Expired => Err(over(row, "it was not approved and used in time")),
        HoldStatus::Replaced => Err(over(row, "the policy has changed since")),
    }
}

/// The hold is of no use any more.
pub(super) fn over(hold: &HoldRow, why: &str) -> Refusal {
    Refusal::HoldRejected {
        id: hold.id.clone(),
        rule: hold.filed.rule.clone(),
        comment: format!("{why}; send the request again to file a new hold"),
    }
}
