//! What the ledger's entries say: compact JSON, one object each.
//!
//! Part of ⑧ record. `{"v":1,"id":…,"time":…}` and then exactly one of `intent`,
//! `outcome`, `refused`, `hold`, `system`. An intent and its outcome have the same id,
//! which is also the `Audit-ID` in the cluster's own audit log. Every text that a stranger
//! can make long is cut to a fixed size, so that an entry always fits in a frame. No entry
//! has a token, a header, or a body that was not masked.

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::asked::{Grounds, What, Who};
use super::cut::{NAME, REASON, cut, hex};

/// The format's version, `v` in every entry.
pub const VERSION: u8 = 1;
/// The longest masked request body that an intent holds itself, in bytes.
pub const INLINE_REQUEST: usize = 16 << 10;
/// The longest masked response body that an outcome holds itself, in bytes.
pub const INLINE_RESPONSE: usize = 4 << 10;

/// One entry of the ledger.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The record's id: a UUID v7. Shared by an intent and its outcome.
    pub id: Uuid,
    /// When it was written, to the microsecond.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The kinds of entries.
#[derive(Debug, Clone)]
pub enum Event {
    /// A request is about to go to the cluster.
    Intent(Box<Intent>),
    /// What came of an intent.
    Outcome(Box<Outcome>),
    /// A request that did not get as far as an intent.
    Refused(Box<Refused>),
    /// Something happened to a hold.
    Hold(Box<HoldEvent>),
    /// Something happened to the gate itself.
    System(Box<System>),
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// If it is not an entry of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        use serde::de::Error;
        let line: Line = serde_json::from_slice(bytes)?;
        if line.v != VERSION {
            let what = format!("version {} of an entry is not known", line.v);
            return Err(Error::custom(what));
        }
        let events = [
            line.intent.map(Event::Intent),
            line.outcome.map(Event::Outcome),
            line.refused.map(Event::Refused),
            line.hold.map(Event::Hold),
            line.system.map(Event::System),
        ];
        let mut events = events.into_iter().flatten();
        let (Some(event), None) = (events.next(), events.next()) else {
            return Err(Error::custom("an entry says exactly one thing"));
        };
        let (id, time) = (line.id, line.time);
        Ok(Self { id, time, event })
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("id", &Text(&self.id))?;
        map.serialize_entry("time", &Text(format_args!("{:.6}", self.time)))?;
        match &self.event {
            Event::Intent(event) => map.serialize_entry("intent", event)?,
            Event::Outcome(event) => map.serialize_entry("outcome", event)?,
            Event::Refused(event) => map.serialize_entry("refused", event)?,
            Event::Hold(event) => map.serialize_entry("hold", event)?,
            Event::System(event) => map.serialize_entry("system", event)?,
        }
        map.end()
    }
}

/// An entry as it is read. Not a tagged enum: those buffer, and a [`RawValue`] would be lost.
#[derive(Deserialize)]
struct Line {
    v: u8,
    #[serde(deserialize_with = "from_text")]
    id: Uuid,
    time: Timestamp,
    intent: Option<Box<Intent>>,
    outcome: Option<Box<Outcome>>,
    refused: Option<Box<Refused>>,
    hold: Option<Box<HoldEvent>>,
    system: Option<Box<System>>,
}

/// A request is about to go to the cluster: who, what, and what let it happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The agent's run of work that it belongs to.
    #[serde(
        with = "optional_text",
        skip_serializing_if = "Option::is_none",
        default
    )]
    pub session: Option<Uuid>,
    /// The record that made this request necessary: this is a question that the gate put to
    /// the cluster to judge that one, or another try of it.
    #[serde(
        with = "optional_text",
        skip_serializing_if = "Option::is_none",
        default
    )]
    pub of: Option<Uuid>,
    /// Who asks.
    pub who: Who,
    /// What is asked.
    pub what: What,
    /// What let it happen.
    pub grounds: Grounds,
    /// The request's body.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<Body>,
}

/// A masked body. Its digest is of the masked bytes too: one of the true bytes would let
/// anybody who reads the ledger test guesses of a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Body {
    /// The length of the masked bytes.
    pub bytes: u64,
    /// SHA-256 of the masked bytes, hexadecimal.
    pub sha256: String,
    /// The masked body itself, if it is short.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub json: Option<Box<RawValue>>,
    /// It is kept as a blob, by its digest.
    #[serde(skip_serializing_if = "is_false", default)]
    pub blob: bool,
}

impl Body {
    /// Describes masked bytes, and holds them if they are JSON of at most `limit` bytes.
    pub fn new(masked: &[u8], limit: usize) -> Self {
        let short = (masked.len() <= limit).then_some(masked);
        let json = short.and_then(|bytes| serde_json::from_slice::<&RawValue>(bytes).ok());
        Self {
            bytes: masked.len() as u64,
            sha256: hex(&Sha256::digest(masked)),
            json: json.map(ToOwned::to_owned),
            blob: false,
        }
    }
}

/// What came of an intent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// The HTTP status that went to the client, if one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// Why it failed, for the operator.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
    /// From the record's opening to now, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_us: Option<u64>,
    /// Bytes of masked body that went to the client, before they were packed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub bytes: u64,
    /// What was masked: which kind, how many times.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub masked: Vec<(String, u64)>,
    /// The masked body of the answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response: Option<Body>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The whole answer went out.
    Complete,
    /// The client went away, or the gate gave the request up for it.
    ClientGone,
    /// The cluster failed, before or amid its answer.
    UpstreamFailed,
    /// The gate refused the answer, or what it needed for it.
    Refused,
    /// Nobody knows: the gate, or its machine, ended first.
    Unknown,
}

/// A request that did not get as far as an intent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The agent's run of work, if the agent is known.
    #[serde(
        with = "optional_text",
        skip_serializing_if = "Option::is_none",
        default
    )]
    pub session: Option<Uuid>,
    /// Who asks, as far as it is known.
    pub who: Who,
    /// What is asked, as far as it is known.
    pub what: What,
    /// What the policy said, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grounds: Option<Grounds>,
    /// The hold that the request waits for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<String>,
    /// How it ended: mostly `refused`.
    pub ended: Ended,
    /// The HTTP status, if an answer was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The refusal: what the client was told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The cause, for the operator.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inside: Option<String>,
    /// From the record's opening to now, in microseconds.
    pub duration_us: u64,
}

/// Something happened to a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEvent {
    /// The hold's id.
    pub hold: String,
    /// What happened.
    pub event: HoldStep,
    /// Who did it: the agent, the approver, or `gateward` when time ran out.
    pub who: String,
    /// The digest that the hold is bound to.
    pub digest: String,
    /// What the approver wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
}

impl HoldEvent {
    pub(super) fn bounded(self) -> Self {
        Self {
            hold: cut(&self.hold, NAME),
            event: self.event,
            who: cut(&self.who, NAME),
            digest: cut(&self.digest, NAME),
            comment: self.comment.map(|comment| cut(&comment, REASON)),
        }
    }
}

/// The life of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldStep {
    /// It waits for a human.
    Created,
    /// A human said yes.
    Approved,
    /// A human said no.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// Its approval was spent.
    Used,
}

/// Something happened to the gate itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The gate serves from now on.
    Started {
        /// Its version.
        version: String,
    },
    /// The gate was shut down in order.
    Stopped,
    /// Policies came into force.
    PolicyLoaded {
        /// Their digest.
        digest: String,
    },
    /// The gate found traces of an end without order.
    Recovered {
        /// Intents whose outcome nobody knows.
        unknown: u64,
        /// Bytes of unfinished writes that were cut off.
        torn: u64,
    },
}

pub(super) fn is_false(value: &bool) -> bool {
    !value
}

pub(super) fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Writes anything that can be shown as a JSON string, without a string in between.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

mod optional_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use uuid::Uuid;

    pub fn serialize<S: Serializer>(id: &Option<Uuid>, serializer: S) -> Result<S::Ok, S::Error> {
        id.map(super::Text).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Uuid>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let id = text.map(|text| text.parse()).transpose();
        id.map_err(serde::de::Error::custom)
    }
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

    fn system(event: System) -> Entry {
        Entry {
            id: Uuid::from_u128(1),
            time: "2026-11-24T04:22:00.1234567Z".parse().unwrap(),
            event: Event::System(Box::new(event)),
        }
    }

    #[test]
    fn an_entry_is_one_line_of_compact_json() {
        let digest = "ab".to_owned();
        let json = serde_json::to_string(&system(System::PolicyLoaded { digest })).unwrap();
        assert_eq!(
            json,
            r#"{"v":1,"id":"00000000-0000-0000-0000-000000000001","time":"2026-11-24T04:22:00.123456Z","system":{"policy-loaded":{"digest":"ab"}}}"#
        );
    }

    #[test]
    fn what_is_no_entry_of_this_version_is_not_read() {
        let good = serde_json::to_string(&system(System::Stopped)).unwrap();
        assert!(Entry::parse(good.as_bytes()).is_ok());
        let two = good.replace("\"system\"", "\"system\":\"stopped\",\"hold\"");
        for bad in [
            "{}",
            "",
            &good.replace("\"v\":1", "\"v\":2"),
            &good.replace("\"system\"", "\"other\""),
            &two,
        ] {
            assert!(Entry::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_body_is_held_only_if_it_is_short_json_however_deep() {
        let deep = format!("{}1{}", "[".repeat(900), "]".repeat(900));
        assert!(Body::new(deep.as_bytes(), 4096).json.is_some());
        for other in ["", "{", "\u{0}", "{} {}", &"1".repeat(4097)] {
            assert!(Body::new(other.as_bytes(), 4096).json.is_none(), "{other}");
        }
    }
}
