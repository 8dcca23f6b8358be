//! Four eyes: who may answer a hold, and what an answer is worth. Part of `approve`; pure, so
//! that it can run inside the store's transaction.

use http::StatusCode;

use crate::store::{Answer, HoldRow, HoldStatus, StoreError, Vote};

/// The longest comment, in bytes.
const MAX_COMMENT: usize = 2000;

/// A person who answers. Made by the humans' door, after it has proven the identity and that
/// the person is a configured approver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The person's user name.
    pub name: String,
    /// Every other name of the person: unmapped user name, `sub`, `email`.
    pub aliases: Vec<String>,
    /// The person's groups.
    pub groups: Vec<String>,
    /// Who vouches for all this.
    pub issuer: String,
}

/// Why an answer to a hold, or a question about one, was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// No such hold.
    #[error("there is no hold {id}; list the holds that wait with `gateward approvals list`")]
    NotFound {
        /// The id as it came.
        id: String,
    },
    /// Four eyes.
    #[error(
        "{voter} cannot answer hold {id}: it is {agent}'s own request{on_behalf}; ask another approver"
    )]
    OwnRequest {
        /// The hold's id.
        id: String,
        /// The person.
        voter: String,
        /// The agent that asks.
        agent: String,
        /// `, made for NAME`, or nothing.
        on_behalf: String,
    },
    /// The rule wants other approvers.
    #[error("{voter} cannot answer hold {id}: rule {rule} wants an approver from {groups}")]
    NotApprover {
        /// The hold's id.
        id: String,
        /// The person.
        voter: String,
        /// The rule.
        rule: String,
        /// The groups, in words.
        groups: String,
    },
    /// A person without a name.
    #[error("an answer needs a name: this login has none; check the claim mappings of its issuer")]
    Nameless,
    /// The same person said yes before.
    #[error("{voter} has approved hold {id} already; it needs {needed} people and has {have}")]
    AlreadyVoted {
        /// The hold's id.
        id: String,
        /// The person.
        voter: String,
        /// The quorum.
        needed: u32,
        /// How many said yes.
        have: usize,
    },
    /// Too late: it is decided.
    #[error("hold {id} is {state} already; nothing was changed")]
    AlreadyDecided {
        /// The hold's id.
        id: String,
        /// Its state in a word.
        state: &'static str,
    },
    /// Too late: its time is over.
    #[error("hold {id} has expired; {agent} must send the request again")]
    Expired {
        /// The hold's id.
        id: String,
        /// The agent that asked.
        agent: String,
    },
    /// The comment is too long.
    #[error("the comment has {length} bytes; write at most {MAX_COMMENT}")]
    CommentTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The store cannot be used.
    #[error("the answer could not be kept: {0}")]
    Unavailable(#[from] StoreError),
}

impl ApproveError {
    /// The HTTP status that goes with it.
    pub fn code(&self) -> StatusCode {
        match self {
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::OwnRequest { .. } | Self::NotApprover { .. } | Self::Nameless => {
                StatusCode::FORBIDDEN
            }
            Self::AlreadyVoted { .. } | Self::AlreadyDecided { .. } => StatusCode::CONFLICT,
            Self::Expired { .. } => StatusCode::GONE,
            Self::CommentTooLong { .. } => StatusCode::BAD_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A comment that is safe to print: control characters, which could steer a terminal, become
/// spaces.
pub(super) fn clean(comment: &str) -> Result<String, ApproveError> {
    if comment.len() > MAX_COMMENT {
        return Err(ApproveError::CommentTooLong {
            length: comment.len(),
        });
    }
    let harmless = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    Ok(comment.trim().chars().map(harmless).collect())
}

/// Weighs one answer and moves the hold. Times are microseconds since the Unix epoch.
pub(super) fn weigh(
    hold: &mut HoldRow,
    voter: Voter,
    answer: Answer,
    comment: String,
    now: i64,
    use_within: i64,
) -> Result<(), ApproveError> {
    open(hold, now)?;
    entitled(hold, &voter)?;
    let before = hold
        .votes
        .iter()
        .position(|v| same_person(names_of(v), names(&voter)));
    match (before, answer) {
        (Some(_), Answer::Approve) => {
            return Err(ApproveError::AlreadyVoted {
                id: hold.id.clone(),
                voter: voter.name,
                needed: hold.filed.quorum,
                have: approvers(&hold.votes).len(),
            });
        }
        (Some(at), Answer::Deny) => drop(hold.votes.remove(at)),
        (None, _) => (),
    }
    hold.votes.push(Vote {
        voter: voter.name,
        aliases: voter.aliases,
        issuer: voter.issuer,
        answer,
        comment,
        at: now,
    });
    let quorum = usize::try_from(hold.filed.quorum.max(1)).unwrap_or(usize::MAX);
    let (state, lasts) = match answer {
        Answer::Deny => (HoldStatus::Denied, hold.filed.wait_us),
        // One vote per person, so votes are people.
        Answer::Approve if approvers(&hold.votes).len() >= quorum => {
            (HoldStatus::Approved, use_within)
        }
        Answer::Approve => return Ok(()),
    };
    hold.state = state;
    hold.decided_at = Some(now);
    hold.expires_at = now.saturating_add(lasts);
    Ok(())
}

/// Who said yes.
pub(super) fn approvers(votes: &[Vote]) -> Vec<String> {
    votes
        .iter()
        .filter(|v| v.answer == Answer::Approve)
        .map(|v| v.voter.clone())
        .collect()
}

/// Whether the hold still takes answers.
fn open(hold: &HoldRow, now: i64) -> Result<(), ApproveError> {
    match hold.state {
        HoldStatus::Pending if now < hold.expires_at => Ok(()),
        HoldStatus::Pending | HoldStatus::Expired => Err(ApproveError::Expired {
            id: hold.id.clone(),
            agent: hold.filed.agent.clone(),
        }),
        decided => Err(ApproveError::AlreadyDecided {
            id: hold.id.clone(),
            state: decided.as_str(),
        }),
    }
}

/// Whether this person may answer this hold, yes or no.
fn entitled(hold: &HoldRow, voter: &Voter) -> Result<(), ApproveError> {
    let filed = &hold.filed;
    if voter.name.trim().is_empty() {
        return Err(ApproveError::Nameless);
    }
    let requesters = std::iter::once(&filed.agent)
        .chain(&filed.principal)
        .chain(&filed.aliases);
    if same_person(requesters, names(voter)) {
        let on_behalf = filed.principal.as_ref();
        return Err(ApproveError::OwnRequest {
            id: hold.id.clone(),
            voter: voter.name.clone(),
            agent: filed.agent.clone(),
            on_behalf: on_behalf.map_or_else(String::new, |p| format!(", made for {p}")),
        });
    }
    let asked = &filed.approver_groups;
    if !asked.is_empty() && !voter.groups.iter().any(|g| asked.contains(g)) {
        return Err(ApproveError::NotApprover {
            id: hold.id.clone(),
            voter: voter.name.clone(),
            rule: filed.rule.clone(),
            groups: asked.join(" or "),
        });
    }
    Ok(())
}

fn names(voter: &Voter) -> impl Iterator<Item = &String> + Clone {
    std::iter::once(&voter.name).chain(&voter.aliases)
}

fn names_of(vote: &Vote) -> impl Iterator<Item = &String> + Clone {
    std::iter::once(&vote.voter).chain(&vote.aliases)
}

/// Whether any name of one may be a name of the other. Issuers map names with prefixes
/// (`oidc:ann`, `https://issuer#ann`) and not all in the same way, so a name also counts without
/// them, in any case. In doubt it is the same person: another approver can be asked.
fn same_person<'a>(
    one: impl Iterator<Item = &'a String>,
    other: impl Iterator<Item = &'a String> + Clone,
) -> bool {
    let other: Vec<String> = other.flat_map(|name| spellings(name)).collect();
    one.flat_map(|name| spellings(name))
        .any(|name| other.contains(&name))
}

/// The name in lower case, whole and after every separator that a prefix may end with.
fn spellings(name: &str) -> Vec<String> {
    let name = name.trim().to_lowercase();
    let mut all: Vec<String> = name
        .match_indices([':', '#', '/'])
        .filter_map(|(at, separator)| name.get(at + separator.len()..))
        .map(str::to_owned)
        .collect();
    all.push(name);
    all.retain(|spelling| !spelling.is_empty());
    all
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_prefix_and_case() {
        let same = |a: &str, b: &str| {
            let (a, b) = (a.to_owned(), b.to_owned());
            same_person(std::iter::once(&a), std::iter::once(&b))
        };
        for (a, b) in [
            ("ann", "ann"),
            ("Ann@Example.com", "ann@example.COM"),
            ("oidc:ann", "ann"),
            ("ann", "oidc:ANN"),
            ("oidc:ann", "ldap:ann"),
            ("https://issuer.test#ann", "oidc:ann"),
            ("https://issuer.test/ann", "ann"),
            ("ÄNN", "änn"),
            (" ann ", "ann"),
        ] {
            assert!(same(a, b), "{a} is not {b}");
        }
        for (a, b) in [
            ("ann", "bob"),
            ("ann", "joann"),
            ("ann@example.com", "ann@example.org"),
            ("oidc:", "ldap:"),
            ("", ""),
        ] {
            assert!(!same(a, b), "{a} is {b}");
        }
    }

    #[test]
    fn comments_cannot_steer_a_terminal_or_fill_the_store() {
        assert_eq!(
            clean(" no\u{1b}[2J\nwhy \u{9b}31m ").unwrap(),
            "no [2J\nwhy  31m"
        );
        assert!(clean(&"x".repeat(MAX_COMMENT)).is_ok());
        let error = clean(&"x".repeat(MAX_COMMENT + 1)).unwrap_err();
        assert_eq!(error.code(), StatusCode::BAD_REQUEST);
    }
}
