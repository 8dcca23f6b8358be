//! What a row of `holds` and of `approvals` is, and how it is read. Part of `store::holds`.

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HoldStatus {
    /// Waits for people.
    Pending,
    /// Enough people said yes; not used yet.
    Approved,
    /// Somebody said no.
    Denied,
    /// The approval was spent.
    Used,
    /// Nobody answered in time, or the approval was not used in time.
    Expired,
    /// The policy asks for something else by now; a new hold took its place.
    Replaced,
}

impl HoldStatus {
    /// The word that stands in the database and in sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
        }
    }
}

/// What a person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Yes.
    Approve,
    /// No; one is enough.
    Deny,
}

impl Answer {
    /// The word that stands in the database and in sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// One person's answer to one hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// The person's user name.
    pub voter: String,
    /// The person's other names.
    pub aliases: Vec<String>,
    /// Who vouched for the name.
    pub issuer: String,
    /// Yes or no.
    pub answer: Answer,
    /// What the person wrote.
    pub comment: String,
    /// When, in microseconds since the Unix epoch.
    pub at: i64,
}

/// Everything about a hold that never changes after it is filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    /// What the hold is bound to.
    pub digest: [u8; 32],
    /// How long it waits, in microseconds.
    pub wait_us: i64,
    /// The agent's user name.
    pub agent: String,
    /// Whom the agent acts for.
    pub principal: Option<String>,
    /// The issuer of the agent's token.
    pub issuer: String,
    /// Other names of agent and principal.
    pub aliases: Vec<String>,
    /// The agent's groups.
    pub caller_groups: Vec<String>,
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
    /// Canonical query.
    pub query: String,
    /// The body's content type.
    pub content_type: Option<String>,
    /// The body, already masked, for people to read.
    pub body: Vec<u8>,
    /// What it means, as JSON.
    pub facts: String,
    /// The policy that holds it.
    pub policy: String,
    /// The digest of that policy's text when the hold was filed.
    pub policy_digest: String,
    /// The rule that holds it.
    pub rule: String,
    /// The rule's sentence.
    pub reason: String,
    /// Who may answer; empty means every configured approver.
    pub approver_groups: Vec<String>,
    /// How many people must say yes, at least 1.
    pub quorum: u32,
}

impl NewHold {
    /// Whether an answer to `self` also answers `other`: same content, same demands.
    pub(super) fn same_terms(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.policy == other.policy
            && self.rule == other.rule
            && self.approver_groups == other.approver_groups
            && self.quorum == other.quorum
    }
}

/// A hold as it stands in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// The order of filing; a cursor for lists.
    pub number: i64,
    /// The id that people say to each other.
    pub id: String,
    /// Where it stands.
    pub state: HoldStatus,
    /// When it was filed. All times are microseconds since the Unix epoch.
    pub filed_at: i64,
    /// Until when it waits, may be used, or stays denied: the end of its present state.
    pub expires_at: i64,
    /// When it was approved or denied.
    pub decided_at: Option<i64>,
    /// When its approval was spent.
    pub used_at: Option<i64>,
    /// What was filed.
    pub filed: NewHold,
    /// The answers so far, oldest first.
    pub votes: Vec<Vote>,
}

pub(super) fn hold_row(row: &Row<'_>) -> rusqlite::Result<HoldRow> {
    Ok(HoldRow {
        number: row.get("number")?,
        id: row.get("id")?,
        state: row.get("state")?,
        filed_at: row.get("filed_at")?,
        expires_at: row.get("expires_at")?,
        decided_at: row.get("decided_at")?,
        used_at: row.get("used_at")?,
        filed: NewHold {
            digest: row.get("digest")?,
            wait_us: row.get("wait_us")?,
            agent: row.get("agent")?,
            principal: row.get("principal")?,
            issuer: row.get("issuer")?,
            aliases: list(row, "aliases")?,
            caller_groups: list(row, "caller_groups")?,
            cluster: row.get("cluster")?,
            method: row.get("method")?,
            verb: row.get("verb")?,
            api_group: row.get("api_group")?,
            resource: row.get("resource")?,
            subresource: row.get("subresource")?,
            namespace: row.get("namespace")?,
            name: row.get("name")?,
            path: row.get("path")?,
            query: row.get("query")?,
            content_type: row.get("content_type")?,
            body: row.get("body")?,
            facts: row.get("facts")?,
            policy: row.get("policy")?,
            policy_digest: row.get("policy_digest")?,
            rule: row.get("rule")?,
            reason: row.get("reason")?,
            approver_groups: list(row, "approver_groups")?,
            quorum: row.get("quorum")?,
        },
        votes: Vec::new(),
    })
}

/// A list of strings, as JSON text.
pub(super) struct List<'a>(pub(super) &'a [String]);

impl ToSql for List<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(self.0)
            .map(Into::into)
            .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
    }
}

pub(super) fn list(row: &Row<'_>, column: &str) -> rusqlite::Result<Vec<String>> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|e| FromSqlError::Other(format!("{column} is no list: {e}").into()).into())
}

impl FromSql for HoldStatus {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match value.as_str()? {
            "pending" => Self::Pending,
            "approved" => Self::Approved,
            "denied" => Self::Denied,
            "used" => Self::Used,
            "expired" => Self::Expired,
            "replaced" => Self::Replaced,
            other => return Err(unknown(other)),
        })
    }
}

impl FromSql for Answer {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match value.as_str()? {
            "approve" => Self::Approve,
            "deny" => Self::Deny,
            other => return Err(unknown(other)),
        })
    }
}

fn unknown(word: &str) -> FromSqlError {
    FromSqlError::Other(format!("unknown word {word:?}").into())
}
