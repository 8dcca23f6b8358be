//! A decision in words, without its consequences: for explanations and tests. Part of room ④.

use jiff::Timestamp;

use super::policy::Effect;
use super::rule::View;
use super::{HoldTerms, Judged, Party, PolicySet, judged, settled};
use crate::parse::Ask;

/// The same decision without its consequences, for explanations and tests: first as the gate
/// decides before it asks the cluster what would come of a write, then on what is known.
pub fn judge<'a, 'p>(
    caller: impl Into<Party<'a>>,
    ask: &'a Ask,
    policy: &'p PolicySet,
    now: Timestamp,
) -> Judgement<'p> {
    let caller = caller.into();
    settled(caller, ask, policy)
        .unwrap_or_else(|| judged(&View::of(caller, ask, now), policy))
        .into()
}

/// What the rules say about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement<'p> {
    /// The answer.
    pub verdict: Verdict,
    /// The policy that decided; empty for [`Verdict::DefaultDeny`].
    pub policy: &'p str,
    /// The rule that decided; empty for [`Verdict::DefaultDeny`].
    pub rule: &'p str,
    /// The rule's sentence for the agent; may be empty for [`Verdict::Allow`].
    pub reason: &'p str,
    /// Given exactly for [`Verdict::Hold`].
    pub hold: Option<&'p HoldTerms>,
    /// Which condition failed, and how: given exactly for [`Verdict::Failed`], for the
    /// operator.
    pub cause: Option<String>,
}

/// The answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// A rule allows it, and none holds or denies it.
    Allow,
    /// A rule holds it, and none denies it.
    Hold,
    /// A rule denies it.
    Deny,
    /// A condition of a rule could not be evaluated: it is refused.
    Failed,
    /// No rule speaks of it, or not of all that it may do.
    #[serde(rename = "default")]
    DefaultDeny,
}

impl<'p> From<Judged<'p>> for Judgement<'p> {
    fn from(judged: Judged<'p>) -> Self {
        match judged {
            Judged::By(rule) => Self {
                verdict: match rule.effect {
                    Effect::Deny => Verdict::Deny,
                    Effect::Hold => Verdict::Hold,
                    Effect::Allow => Verdict::Allow,
                },
                policy: &rule.policy,
                rule: &rule.name,
                reason: &rule.reason,
                hold: rule.hold.as_deref(),
                cause: None,
            },
            Judged::Failed { rule, cause } => Self {
                verdict: Verdict::Failed,
                policy: &rule.policy,
                rule: &rule.name,
                reason: &rule.reason,
                hold: None,
                cause: Some(cause),
            },
            Judged::ByDefault { .. } => Self {
                verdict: Verdict::DefaultDeny,
                policy: "",
                rule: "",
                reason: "",
                hold: None,
                cause: None,
            },
        }
    }
}
