//! ④ (Caller, Ask, policy) → Permit, Hold or Refusal. Default deny.
//!
//! The only maker of a [`Permit`], and of the [`Hold`] that approvals turn into one. Deny
//! beats hold beats allow, whatever the order of rules and files. Pure: no clock, no file,
//! no network; it never looks at anything but its arguments.

mod conditions;
mod explain;
mod fact;
mod glob;
mod index;
mod judgement;
mod lint;
mod masks;
mod party;
pub mod period;
pub mod policy;
mod reach;
mod rehearse;
mod rule;
mod set;
mod unread;
mod whom;

use std::sync::Arc;

use jiff::Timestamp;

use crate::identify::Caller;
use crate::parse::{Ask, RequestInfo};
use crate::refusal::Refusal;
use conditions::Trial;
use policy::Effect;
use rehearse::settled;
use rule::{Rule, Verbs, View};

pub use explain::{Explanation, Miss, Part, Without, explain};
pub use judgement::{Judgement, Verdict, judge};
pub use lint::{Lint, Warning, lint};
pub use masks::{FieldPath, MaskRule, MaskSpec, Step, With};
pub use party::Party;
pub use period::Period;
pub use policy::Policy;
pub use rehearse::{Leave, Rehearsal, rehearse};
pub use set::{PolicyError, PolicySet};
pub use unread::{Asked, is_asked, judge_unread};

/// What becomes of a request.
#[derive(Debug)]
pub enum Decision {
    /// It may go to the cluster.
    Permit(Permit),
    /// It waits for a human.
    Hold(Hold),
    /// It goes no further.
    Refuse(Refusal),
}

/// Decides on a request. `now`: for conditions that speak of the time.
pub fn decide(caller: Arc<Caller>, ask: Ask, policy: &PolicySet, now: Timestamp) -> Decision {
    let judged = judged(&View::of(&*caller, &ask, now), policy);
    match judged {
        Judged::By(rule) => match (rule.effect, &rule.hold) {
            (Effect::Allow, _) => Decision::Permit(Permit {
                caller,
                ask,
                grant: Grant {
                    policy: rule.policy.clone(),
                    rule: rule.name.clone(),
                    policy_digest: policy.digest.clone(),
                    approval: None,
                },
            }),
            (Effect::Hold, Some(terms)) => Decision::Hold(Hold {
                caller,
                ask,
                terms: terms.clone(),
                policy_digest: policy.digest.clone(),
            }),
            _ => Decision::Refuse(denied(rule)),
        },
        Judged::Failed { rule, cause } => Decision::Refuse(Refusal::ConditionFailed {
            policy: rule.policy.to_string(),
            rule: rule.name.to_string(),
            inside: cause,
        }),
        Judged::ByDefault { missing } => {
            Decision::Refuse(not_allowed(missing, &caller, ask.info()))
        }
    }
}

fn denied(rule: &Rule) -> Refusal {
    Refusal::Denied {
        policy: rule.policy.to_string(),
        rule: rule.name.to_string(),
        reason: rule.reason.to_string(),
    }
}

fn not_allowed(missing: Verbs, caller: &Caller, info: &RequestInfo) -> Refusal {
    Refusal::NotAllowed {
        operation: operation_as(missing.name().unwrap_or(info.verb), info),
        agent: caller.agent().to_owned(),
    }
}

/// Leave to send exactly one request to its cluster.
#[derive(Debug)]
pub struct Permit {
    caller: Arc<Caller>,
    ask: Ask,
    grant: Grant,
}

/// By what a request was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The policy.
    pub policy: Arc<str>,
    /// The allow rule, or the hold rule whose hold was approved.
    pub rule: Arc<str>,
    /// The digest of the whole policy set that decided.
    pub policy_digest: Arc<str>,
    /// Who approved, if it was held.
    pub approval: Option<Approval>,
}

/// A human's yes, or that of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The hold that was approved.
    pub hold_id: String,
    /// The user names of those who approved, sorted.
    pub approvers: Vec<String>,
}

impl Permit {
    /// To ask the cluster what a write would come to: the ask is a read or a dry run, by its
    /// making, and no rule has let it through.
    fn to_ask(caller: &Arc<Caller>, ask: Ask, policy_digest: &Arc<str>) -> Self {
        Self {
            caller: caller.clone(),
            ask,
            grant: Grant {
                policy: "".into(),
                rule: "".into(),
                policy_digest: policy_digest.clone(),
                approval: None,
            },
        }
    }

    /// Who may.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }
    /// What they may.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }
    /// Who let them.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
    /// Everything, for the rooms that spend and record it.
    pub fn into_parts(self) -> (Arc<Caller>, Ask, Grant) {
        (self.caller, self.ask, self.grant)
    }
}

/// A request that waits for a human. Nothing of it has left the gate.
#[derive(Debug)]
pub struct Hold {
    caller: Arc<Caller>,
    ask: Ask,
    terms: Arc<HoldTerms>,
    policy_digest: Arc<str>,
}

/// What it takes to answer a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldTerms {
    /// The policy that holds it.
    pub policy: Arc<str>,
    /// The rule that holds it.
    pub rule: Arc<str>,
    /// The rule's sentence.
    pub reason: Arc<str>,
    /// The groups whose members may answer; empty means the configuration's approvers.
    pub approver_groups: Box<[String]>,
    /// Without an answer after this time, the answer is no.
    pub expires_after: Period,
    /// How many different people must agree.
    pub quorum: u32,
}

impl Hold {
    /// Who waits.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }
    /// What waits.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }
    /// What it takes.
    pub fn terms(&self) -> &HoldTerms {
        &self.terms
    }
    /// The digest of the whole policy set that decided.
    pub fn policy_digest(&self) -> &str {
        &self.policy_digest
    }

    /// Everything, to be decided again.
    pub fn into_parts(self) -> (Arc<Caller>, Ask) {
        (self.caller, self.ask)
    }

    /// The single second door to a [`Permit`]; only the approve room calls it, once it has
    /// proof that the approval is about exactly this request and is spent by this call.
    ///
    /// Counts the heads once more: too few, or the caller among them, is a fault of the
    /// gate and refused.
    pub(crate) fn granted(self, mut approval: Approval) -> Result<Permit, Refusal> {
        approval.approvers.sort_unstable();
        approval.approvers.dedup();
        let heads = approval.approvers.len();
        let own = approval.approvers.iter().any(|name| {
            name == self.caller.agent()
                || self.caller.principal() == Some(name)
                || self.caller.aliases().contains(name)
        });
        if own || u32::try_from(heads).is_ok_and(|heads| heads < self.terms.quorum) {
            return Err(Refusal::Internal {
                inside: format!(
                    "hold {} came as approved by {:?}, but needs {} people other than {}",
                    approval.hold_id,
                    approval.approvers,
                    self.terms.quorum,
                    self.caller.agent()
                ),
            });
        }
        Ok(Permit {
            grant: Grant {
                policy: self.terms.policy.clone(),
                rule: self.terms.rule.clone(),
                policy_digest: self.policy_digest,
                approval: Some(approval),
            },
            caller: self.caller,
            ask: self.ask,
        })
    }
}

/// A request in words, for people: `delete pods "web" in "default"`.
pub fn operation(info: &RequestInfo) -> String {
    operation_as(info.verb, info)
}

fn operation_as(verb: &str, info: &RequestInfo) -> String {
    if !info.is_resource {
        return format!("{verb} {}", info.path);
    }
    let mut words = format!("{verb} {}", info.resource);
    if !info.api_group.is_empty() {
        words += &format!(".{}", info.api_group);
    }
    if !info.subresource.is_empty() {
        words += &format!("/{}", info.subresource);
    }
    if !info.name.is_empty() {
        words += &format!(" \"{}\"", info.name);
    }
    if !info.namespace.is_empty() && info.resource != "namespaces" {
        words += &format!(" in \"{}\"", info.namespace);
    }
    words
}

enum Judged<'p> {
    By(&'p Rule),
    Failed {
        rule: &'p Rule,
        /// Which condition, and how.
        cause: String,
    },
    ByDefault {
        /// The verbs that no rule allows.
        missing: Verbs,
    },
}

/// Deny, then hold, then allow: the first of these that has something to say decides, and
/// allow rules are asked until every verb of the request is covered. A condition that fails
/// refuses, unless the request is denied anyway: so the order of rules means nothing.
fn judged<'p>(view: &View<'_>, policy: &'p PolicySet) -> Judged<'p> {
    judged_by(&policy.candidates(view), view)
}

fn judged_by<'p>(rules: &[&'p Rule], view: &View<'_>) -> Judged<'p> {
    let mut trial = Trial::of(view);
    let mut missing = view.all_of;
    for rules in rules.chunk_by(|a, b| a.effect == b.effect) {
        let (mut found, mut failed) = (None, None);
        for rule in rules {
            let allows = rule.effect == Effect::Allow;
            let verbs = if allows { view.all_of } else { view.any_of };
            // What is settled can only be unsettled by a condition that fails.
            let settled = found.is_some() && (!allows || missing.is_empty());
            if (settled && rule.conditions.is_empty())
                || !rule.verbs.meets(verbs)
                || !rule.matches(view)
            {
                continue;
            }
            let conditions = match view.open && !rule.conditions.is_empty() {
                true => Ok(allows),
                false => trial.holds(&rule.conditions),
            };
            match conditions {
                Ok(true) if rule.effect == Effect::Deny => return Judged::By(rule),
                Ok(true) => {
                    found.get_or_insert(rule);
                    missing = missing.without(if allows { rule.verbs } else { Verbs::none() });
                }
                Ok(false) => {}
                Err(cause) => {
                    failed.get_or_insert(Judged::Failed { rule, cause });
                }
            }
        }
        match (failed, found) {
            (Some(failed), _) => return failed,
            (None, Some(rule)) if rule.effect != Effect::Allow || missing.is_empty() => {
                return Judged::By(rule);
            }
            _ => {}
        }
    }
    Judged::ByDefault { missing }
}

#[cfg(test)]
mod tests;
