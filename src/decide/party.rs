//! Whom a judgement is about, by its names alone: a proven caller, or one that is only
//! supposed. Part of room ④; it proves nothing, and no permit is made from it.

use std::collections::BTreeMap;

use crate::cel::{Record, Value};
use crate::identify::Caller;

/// The names by which rules know a caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Party<'a> {
    /// The agent's user name.
    pub agent: &'a str,
    /// The user name of whom it acts for, if it acts for anybody.
    pub principal: Option<&'a str>,
    /// Its groups.
    pub groups: &'a [String],
    /// The issuer's URL.
    pub issuer: &'a str,
    /// Its uid, empty if it has none; `None` if nobody knows.
    pub uid: Option<&'a str>,
    /// Its other attributes; `None` if nobody knows.
    pub extra: Option<&'a BTreeMap<String, Vec<String>>>,
}

impl<'a> From<&'a Caller> for Party<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self {
            agent: caller.agent(),
            principal: caller.principal(),
            groups: caller.groups(),
            issuer: caller.issuer(),
            uid: Some(caller.uid().unwrap_or_default()),
            extra: Some(caller.extra()),
        }
    }
}

/// `caller` in conditions. What it has none of is empty; what nobody knows is no value, so
/// that a condition that needs it fails.
impl Record for Party<'_> {
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "agent" => Value::text(self.agent),
            "principal" => Value::text(self.principal.unwrap_or_default()),
            "groups" => Value::texts(self.groups),
            "uid" => Value::text(self.uid?),
            "extra" => Value::entries(self.extra?),
            "issuer" => Value::text(self.issuer),
            _ => return None,
        })
    }
}
