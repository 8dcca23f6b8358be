//! What is put before people: who asks, for what, and on whose demand. Part of `approve`. The
//! digest is computed here from the very caller and ask that are shown.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::identify::Caller;
use crate::parse::Ask;
use crate::store::NewHold;

use super::digest::Fields;
use super::{Digest, DigestKey, micros};

/// What the rule that holds the ask demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The policy's name.
    pub policy: String,
    /// The digest of the policy's text, for the record.
    pub policy_digest: String,
    /// The rule's name.
    pub rule: String,
    /// The rule's sentence: why it is held.
    pub reason: String,
    /// Groups of which an approver must be in one; empty means every configured approver.
    pub approver_groups: Vec<String>,
    /// How many different people must say yes; 0 counts as 1.
    pub quorum: u32,
    /// How long the hold waits before silence becomes a no; a denial lasts as long.
    pub expires_after: Duration,
}

impl Terms {
    /// How long a hold waits if its rule says nothing.
    pub const EXPIRES_AFTER: Duration = Duration::from_secs(15 * 60);
}

/// How many findings of a kind people are shown.
const MOST_FINDINGS: usize = 20;

/// What it means, for people. Findings are names and paths, never values of Secrets.
fn facts(ask: &Ask) -> Map<String, Value> {
    let mut facts = ask.facts().shown();
    for items in facts.values_mut().filter_map(Value::as_array_mut) {
        let more = items.len().saturating_sub(MOST_FINDINGS);
        items.truncate(MOST_FINDINGS);
        if more > 0 {
            items.push(json!({"more": more}));
        }
    }
    facts
}

/// An ask that is to wait for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRequest {
    row: NewHold,
}

impl HoldRequest {
    /// `masked_body` is what people get to read in place of the body; masking is the caller's
    /// duty, and it must leave nothing out but values: approvers judge by it.
    pub fn new(
        key: &DigestKey,
        caller: &Caller,
        ask: &Ask,
        terms: Terms,
        masked_body: &[u8],
    ) -> Self {
        let info = ask.info();
        let row = NewHold {
            digest: *Fields::of(caller, ask).digest(key).as_bytes(),
            wait_us: micros(terms.expires_after).max(1),
            agent: caller.agent().to_owned(),
            principal: caller.principal().map(str::to_owned),
            issuer: caller.issuer().to_owned(),
            aliases: caller.aliases().to_vec(),
            caller_groups: caller.groups().to_vec(),
            cluster: ask.cluster().to_owned(),
            method: ask.method().as_str().to_owned(),
            verb: info.verb.to_owned(),
            api_group: info.api_group.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            namespace: info.namespace.clone(),
            name: info.name.clone(),
            path: info.path.clone(),
            query: ask.query().to_owned(),
            content_type: ask.content_type().map(str::to_owned),
            body: masked_body.to_vec(),
            facts: Value::Object(facts(ask)).to_string(),
            policy: terms.policy,
            policy_digest: terms.policy_digest,
            rule: terms.rule,
            reason: terms.reason,
            approver_groups: terms.approver_groups,
            quorum: terms.quorum.max(1),
        };
        Self { row }
    }

    /// What the hold will be bound to.
    pub fn digest(&self) -> Digest {
        Digest::stored(self.row.digest)
    }

    pub(super) fn into_row(self) -> NewHold {
        self.row
    }

    #[cfg(test)]
    pub(super) fn for_test(row: NewHold) -> Self {
        Self { row }
    }
}
