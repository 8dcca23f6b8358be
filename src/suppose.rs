//! Suppose that somebody asks this: what would the rules say? For tests of policies,
//! explanations and comparisons, away from any gate.
//!
//! A supposed request is read by `parse` and judged by `decide`, as a real one is; whatever
//! refuses a stranger's request refuses a supposed one. Nothing here proves who anybody is,
//! opens a connection, or makes a permit. It stands beside the walk.

pub mod cases;
pub mod explain;
mod manifest;
pub mod replay;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::config::Rules;
use crate::config::cases::Expected;
use crate::decide::{self, Explanation, Judgement, Party, Verdict};
use crate::parse::{self, Ask, Old};
use crate::refusal::Refusal;

pub use manifest::{Manifest, of_manifest};
pub use request::Request;

/// Who asks, by names that nobody has proven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// The agent's user name.
    pub agent: String,
    /// The user name of whom it acts for.
    pub principal: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// The issuer's URL.
    pub issuer: String,
    /// Its uid, empty if it has none; `None` if nobody knows.
    pub uid: Option<String>,
    /// Its other attributes; `None` if nobody knows.
    pub extra: Option<BTreeMap<String, Vec<String>>>,
}

/// A request that somebody might send, and the world that it would meet.
#[derive(Debug, Clone, PartialEq)]
pub struct Supposed {
    /// Who asks.
    pub who: Who,
    /// The cluster's name.
    pub cluster: String,
    /// The time.
    pub now: Timestamp,
    /// What is asked.
    pub request: Request,
    /// What comes of it, as a dry run would tell.
    pub object: Option<Value>,
    /// The object before.
    pub old_object: Option<Value>,
    /// What the service accounts of its pods may do, in the words of `rbac.grants`.
    pub grants: Option<Vec<String>>,
}

/// What is wrong with what was supposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as in a case.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub suggestion: Option<String>,
}

/// What would be said to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'r> {
    /// The verdict.
    pub verdict: Expected,
    /// The policy that decides; may be empty.
    pub policy: &'r str,
    /// The rule that decides; may be empty.
    pub rule: &'r str,
    /// Why: the rule's sentence, the gate's own, or the failure.
    pub why: String,
}

impl Who {
    /// As rules see it.
    pub fn party(&self) -> Party<'_> {
        Party {
            agent: &self.agent,
            principal: self.principal.as_deref(),
            groups: &self.groups,
            issuer: &self.issuer,
            uid: self.uid.as_deref(),
            extra: self.extra.as_ref(),
        }
    }
}

impl Supposed {
    /// The request as the gate would read it, judged on what is known of its objects.
    ///
    /// # Errors
    /// As the gate would refuse it.
    pub fn ask(&self, rules: &Rules) -> Result<Ask, Refusal> {
        let ask = self.foreseen(rules)?;
        Ok(match &self.grants {
            Some(grants) => ask.supposing(grants),
            None => ask,
        })
    }

    fn foreseen(&self, rules: &Rules) -> Result<Ask, Refusal> {
        let ask = self.request.ask(&self.cluster, &rules.embedders)?;
        let node = |object: &Value| parse::read_answer(object.to_string().as_bytes());
        let old = match (&self.old_object, &self.object) {
            (Some(old), _) => Old::Known(Arc::new(node(old)?)),
            (None, Some(_)) => Old::Absent,
            (None, None) => return Ok(ask),
        };
        let result = match &self.object {
            Some(object) => Some(node(object)?),
            // A whole object is what comes of an update.
            None if ask.info().verb == "update" => ask.tree().cloned(),
            None => None,
        };
        ask.judged_on(result, old, &rules.embedders)
    }

    /// What would be said to it.
    pub fn judge<'r>(&self, rules: &'r Rules) -> Found<'r> {
        let ask = match self.ask(rules) {
            Ok(ask) => ask,
            Err(refusal) => return Found::refused(&refusal),
        };
        let judgement = decide::judge(self.who.party(), &ask, &rules.policy, self.now);
        Found::of(&ask, judgement)
    }

    /// Every rule's part in the judgement.
    pub fn explain<'r>(&self, ask: &Ask, rules: &'r Rules) -> Explanation<'r> {
        decide::explain(self.who.party(), ask, &rules.policy, self.now)
    }
}

impl<'r> Found<'r> {
    /// Of a judgement.
    pub fn of(ask: &Ask, judgement: Judgement<'r>) -> Self {
        let denied = matches!(judgement.verdict, Verdict::Deny | Verdict::DefaultDeny);
        match ask.can_be_foreseen() {
            // What is denied is denied before anybody asks what would come of it.
            Err(refusal) if !denied => return Self::refused(&refusal),
            _ => {}
        }
        let why = match judgement.cause {
            Some(cause) => cause,
            None => judgement.reason.to_owned(),
        };
        Self {
            verdict: expected(judgement.verdict),
            policy: judgement.policy,
            rule: judgement.rule,
            why,
        }
    }

    /// Of a refusal before any rule is asked.
    pub fn refused(refusal: &Refusal) -> Self {
        Self {
            verdict: Expected::Refused,
            policy: "",
            rule: "",
            why: match refusal.inside() {
                Some(inside) => format!("{} ({inside})", refusal.sentence()),
                None => refusal.sentence(),
            },
        }
    }
}

fn expected(verdict: Verdict) -> Expected {
    match verdict {
        Verdict::Allow => Expected::Allow,
        Verdict::Hold => Expected::Hold,
        Verdict::Deny => Expected::Deny,
        Verdict::Failed => Expected::Failed,
        Verdict::DefaultDeny => Expected::Default,
    }
}

#[cfg(test)]
mod tests;
