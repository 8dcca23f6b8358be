//! Who asks for what, and what let it happen: the parts of an entry that name things.
//!
//! Part of ⑧ record. Made from what ② and ③ have proven, every text cut to a fixed size.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::cut::{NAME, cut};
use super::entry::{is_false, is_zero};
use crate::identify::Caller;
use crate::parse::Ask;

// Sizes in bytes of JSON. A test holds the longest possible entry against a frame.
const PATH: usize = 2 << 10;
const QUERY: usize = 12 << 10;
const MAX_GROUPS: usize = 32;
const GROUP: usize = 256;
const MAX_PRIVILEGED: usize = 16;

/// How many rights of service accounts are kept: one of each kind, and some.
const MAX_GRANTS: usize = 16;

/// Who asks, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Who {
    /// Where the connection comes from, `address:port`.
    pub peer: String,
    /// The client's `User-Agent`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// The proven agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// On whose behalf it acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Its groups, the first 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// How many more groups there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_groups: u64,
    /// Who says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// A keyed hash of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

impl Who {
    /// What can be said of a client before it is identified.
    pub fn arrived(peer: SocketAddr, user_agent: &str) -> Self {
        Self {
            peer: peer.to_string(),
            user_agent: cut(user_agent, NAME),
            ..Self::default()
        }
    }

    /// Adds the proven identity.
    pub fn identified(&mut self, caller: &Caller) {
        self.agent = Some(cut(caller.agent(), NAME));
        self.principal = caller.principal().map(|p| cut(p, NAME));
        let groups = caller.groups();
        let kept = groups.iter().take(MAX_GROUPS);
        self.groups = kept.map(|group| cut(group, GROUP)).collect();
        self.more_groups = groups.len().saturating_sub(MAX_GROUPS) as u64;
        self.issuer = Some(cut(caller.issuer(), NAME));
        self.token_id = Some(cut(caller.token_id(), NAME));
    }
}

/// What is asked, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct What {
    /// The cluster's configured name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The HTTP method.
    pub method: String,
    /// The path: as it came until it is parsed, then the cluster's own.
    pub path: String,
    /// The canonical query. A longer one is cut and has its digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// RBAC's verb.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verb: String,
    /// API group; the core group is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// API version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Plural resource name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Subresource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Object name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The cluster persists nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// It can neither change nor run anything.
    #[serde(skip_serializing_if = "is_false")]
    pub read: bool,
    /// It reads or writes Secrets.
    #[serde(skip_serializing_if = "is_false")]
    pub secrets: bool,
    /// It runs something in, or opens a channel into, a pod or node.
    #[serde(skip_serializing_if = "is_false")]
    pub exec_like: bool,
    /// Where the body asks for a privileged container, the first 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub privileged: Vec<String>,
    /// How many objects the deletion of a collection deletes.
    #[serde(skip_serializing_if = "is_zero")]
    pub deleted_objects: u64,
    /// What the service accounts of its pods may do out of the ordinary, where it is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_account_grants: Vec<String>,
    /// The content type of the body that goes upstream.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// The length of the body that goes upstream, in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub body_bytes: u64,
}

impl What {
    /// What can be said of a request before it is parsed. The query is left out: nobody
    /// has looked yet whether a credential is in it.
    pub fn arrived(method: &str, path: &str) -> Self {
        Self {
            method: cut(method, NAME),
            path: cut(path, PATH),
            ..Self::default()
        }
    }
}

impl From<&Ask> for What {
    fn from(ask: &Ask) -> Self {
        let (info, facts) = (ask.info(), ask.facts());
        let privileged = facts.object.privileged.iter().take(MAX_PRIVILEGED);
        let grants = facts.object.service_account_grants.iter().take(MAX_GRANTS);
        Self {
            cluster: cut(ask.cluster(), NAME),
            method: cut(ask.method().as_str(), NAME),
            path: cut(&info.path, PATH),
            query: cut(ask.query(), QUERY),
            verb: cut(info.verb, NAME),
            api_group: cut(&info.api_group, NAME),
            api_version: cut(&info.api_version, NAME),
            resource: cut(&info.resource, NAME),
            subresource: cut(&info.subresource, NAME),
            namespace: cut(&info.namespace, NAME),
            name: cut(&info.name, NAME),
            dry_run: ask.dry_run(),
            read: ask.is_read(),
            secrets: facts.secrets,
            exec_like: facts.exec_like,
            privileged: privileged.map(|found| cut(&found.field, GROUP)).collect(),
            deleted_objects: facts.deleted_objects,
            service_account_grants: grants.map(|found| cut(&found.value, NAME)).collect(),
            content_type: cut(ask.content_type().unwrap_or_default(), NAME),
            body_bytes: ask.body().len() as u64,
        }
    }
}

/// What let a request happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Grounds {
    /// `allow`, or `hold` if a human allowed it; [`Grounds::REHEARSAL`] for what the gate
    /// itself asks of the cluster to judge a write.
    pub verdict: String,
    /// The policy's name.
    pub policy: String,
    /// The rule's name.
    pub rule: String,
    /// Digest of the policies that were in force.
    pub policy_digest: String,
    /// The human's answer, if one was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

impl Grounds {
    /// The verdict of what the gate asks of the cluster, as the caller, to judge a write.
    pub const REHEARSAL: &str = "rehearsal";

    pub(super) fn bounded(self) -> Self {
        Self {
            verdict: cut(&self.verdict, NAME),
            policy: cut(&self.policy, NAME),
            rule: cut(&self.rule, NAME),
            policy_digest: cut(&self.policy_digest, NAME),
            approval: self.approval.map(|approval| Approval {
                hold: cut(&approval.hold, NAME),
                approver: cut(&approval.approver, NAME),
            }),
        }
    }
}

/// A human said yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The hold's id.
    pub hold: String,
    /// Who answered.
    pub approver: String,
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
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::super::cut::REASON;
    use super::super::entry::{
        Body, Ended, Entry, Event, HoldEvent, HoldStep, INLINE_REQUEST, INLINE_RESPONSE, Intent,
        Outcome, Refused,
    };
    use super::super::frame::MAX_ENTRY;
    use super::*;

    const HOSTILE: &str = "\u{1}\"\\ä";

    fn hostile(max: usize) -> String {
        cut(&HOSTILE.repeat(max), max)
    }

    fn longest_who() -> Who {
        let long = HOSTILE.repeat(1000);
        let groups = vec![long.as_str(); 1000];
        let peer = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        let mut who = Who::arrived(peer.parse().unwrap(), &long);
        who.identified(&Caller::for_test(&long, Some(&long), &groups));
        assert_eq!((who.groups.len(), who.more_groups), (MAX_GROUPS, 1000 - 32));
        (who.issuer, who.token_id) = (Some(hostile(NAME)), Some(hostile(NAME)));
        who
    }

    fn longest_what() -> What {
        let name = || hostile(NAME);
        What {
            cluster: name(),
            method: name(),
            path: hostile(PATH),
            query: hostile(QUERY),
            verb: name(),
            api_group: name(),
            api_version: name(),
            resource: name(),
            subresource: name(),
            namespace: name(),
            name: name(),
            dry_run: true,
            read: true,
            secrets: true,
            exec_like: true,
            privileged: vec![hostile(GROUP); MAX_PRIVILEGED],
            deleted_objects: u64::MAX,
            service_account_grants: vec![hostile(NAME); MAX_GRANTS],
            content_type: name(),
            body_bytes: u64::MAX,
        }
    }

    fn json_string(len: usize) -> Vec<u8> {
        format!("\"{}\"", "x".repeat(len - 2)).into_bytes()
    }

    /// The longest entry of each kind.
    fn longest() -> Vec<Event> {
        let long = || HOSTILE.repeat(1000);
        let reason = || Some(hostile(REASON));
        let approval = Approval {
            hold: long(),
            approver: long(),
        };
        let grounds = Grounds {
            verdict: long(),
            policy: long(),
            rule: long(),
            policy_digest: long(),
            approval: Some(approval),
        };
        let intent = Intent {
            of: Some(Uuid::max()),
            session: Some(Uuid::max()),
            who: longest_who(),
            what: longest_what(),
            grounds: grounds.clone().bounded(),
            body: Some(Body::new(&json_string(INLINE_REQUEST), INLINE_REQUEST)),
        };
        let outcome = Outcome {
            ended: Ended::UpstreamFailed,
            status: Some(u16::MAX),
            failure: reason(),
            duration_us: Some(u64::MAX),
            bytes: u64::MAX,
            masked: vec![(hostile(256), u64::MAX); 32],
            response: Some(Body::new(&json_string(INLINE_RESPONSE), INLINE_RESPONSE)),
        };
        let refused = Refused {
            grounds: Some(grounds.clone().bounded()),
            hold: Some(hostile(NAME)),
            session: Some(Uuid::max()),
            who: longest_who(),
            what: longest_what(),
            ended: Ended::UpstreamFailed,
            status: Some(u16::MAX),
            reason: reason(),
            inside: reason(),
            duration_us: u64::MAX,
        };
        let hold = HoldEvent {
            hold: long(),
            event: HoldStep::Approved,
            who: long(),
            digest: long(),
            comment: Some(long()),
        };
        vec![
            Event::Intent(Box::new(intent)),
            Event::Outcome(Box::new(outcome)),
            Event::Refused(Box::new(refused)),
            Event::Hold(Box::new(hold.bounded())),
        ]
    }

    #[test]
    fn the_longest_entry_of_each_kind_fits_in_a_frame_and_is_read_back_the_same() {
        for event in longest() {
            let (id, time) = (Uuid::max(), Timestamp::MAX);
            let bytes = serde_json::to_vec(&Entry { id, time, event }).unwrap();
            assert!(bytes.len() <= MAX_ENTRY, "{}", bytes.len());
            let again = serde_json::to_vec(&Entry::parse(&bytes).unwrap()).unwrap();
            assert_eq!(String::from_utf8(bytes), String::from_utf8(again));
        }
    }
}
