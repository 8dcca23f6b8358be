//! A hold as people see it, in the console and on the terminal. Part of `approve`. It is data
//! only: names and bodies in it come from strangers and must be escaped where they are shown.

use jiff::Timestamp;
use serde::Serialize;

use crate::store::{Answer, HoldRow, HoldStatus, Vote};

use super::Digest;

/// One hold, with the answers so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldView {
    /// The order of filing; the cursor of [`crate::store::HoldFilter::before`].
    pub number: i64,
    /// The id.
    pub id: String,
    /// Where it stands.
    pub state: HoldStatus,
    /// What it is bound to, in hexadecimal.
    pub digest: String,
    /// When it was filed.
    pub filed: Timestamp,
    /// Until when it waits, may be used, or stays denied: the end of its present state.
    pub expires: Timestamp,
    /// When it was approved or denied.
    pub decided: Option<Timestamp>,
    /// When its approval was used.
    pub used: Option<Timestamp>,
    /// The agent.
    pub agent: String,
    /// Whom it acts for.
    pub principal: Option<String>,
    /// Who vouched for the agent's name.
    pub issuer: String,
    /// The agent's groups.
    pub groups: Vec<String>,
    /// The cluster.
    pub cluster: String,
    /// The HTTP method.
    pub method: String,
    /// RBAC's verb.
    pub verb: String,
    /// API group.
    pub api_group: String,
    /// Plural resource.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Object name, or empty.
    pub name: String,
    /// Canonical path at the API server.
    pub path: String,
    /// Canonical query; an exec's command is here.
    pub query: String,
    /// The body's content type.
    pub content_type: Option<String>,
    /// The masked body.
    pub body: String,
    /// What it means: the facts that there are. Of a long list the first 20, and how many
    /// more there are.
    pub facts: serde_json::Value,
    /// The policy that holds it.
    pub policy: String,
    /// The digest of that policy's text.
    pub policy_digest: String,
    /// The rule that holds it.
    pub rule: String,
    /// The rule's sentence.
    pub reason: String,
    /// Groups of which an approver must be in one; empty means every configured approver.
    pub approver_groups: Vec<String>,
    /// How many people must say yes.
    pub quorum: u32,
    /// The answers so far, oldest first.
    pub votes: Vec<VoteView>,
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VoteView {
    /// The person.
    pub voter: String,
    /// Who vouched for the person's name.
    pub issuer: String,
    /// Yes or no.
    pub answer: Answer,
    /// What the person wrote.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

impl From<HoldRow> for HoldView {
    fn from(row: HoldRow) -> Self {
        let filed = row.filed;
        Self {
            number: row.number,
            id: row.id,
            state: row.state,
            digest: Digest::stored(filed.digest).to_string(),
            filed: moment(row.filed_at),
            expires: moment(row.expires_at),
            decided: row.decided_at.map(moment),
            used: row.used_at.map(moment),
            agent: filed.agent,
            principal: filed.principal,
            issuer: filed.issuer,
            groups: filed.caller_groups,
            cluster: filed.cluster,
            method: filed.method,
            verb: filed.verb,
            api_group: filed.api_group,
            resource: filed.resource,
            subresource: filed.subresource,
            namespace: filed.namespace,
            name: filed.name,
            path: filed.path,
            query: filed.query,
            content_type: filed.content_type,
            body: String::from_utf8_lossy(&filed.body).into_owned(),
            facts: serde_json::from_str(&filed.facts).unwrap_or_default(),
            policy: filed.policy,
            policy_digest: filed.policy_digest,
            rule: filed.rule,
            reason: filed.reason,
            approver_groups: filed.approver_groups,
            quorum: filed.quorum,
            votes: row.votes.into_iter().map(VoteView::from).collect(),
        }
    }
}

impl From<Vote> for VoteView {
    fn from(vote: Vote) -> Self {
        Self {
            voter: vote.voter,
            issuer: vote.issuer,
            answer: vote.answer,
            comment: vote.comment,
            at: moment(vote.at),
        }
    }
}

/// Microseconds since the Unix epoch as a moment; beyond the calendar's end, its end.
pub(super) fn moment(us: i64) -> Timestamp {
    let end = if us < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_microsecond(us).unwrap_or(end)
}
