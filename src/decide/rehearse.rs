//! What may be asked of the cluster before a write is judged: reads and a dry run, as the
//! caller. Part of room ④; pure. Nothing is asked about what is refused whatever would come
//! of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::policy::{Effect, Fact};
use super::rule::{Rule, Target, View};
use super::{Judged, Party, Permit, PolicySet, denied, judged, not_allowed};
use crate::identify::Caller;
use crate::parse::Ask;
use crate::refusal::Refusal;

/// Leave to ask the cluster, as the caller, what a write would come to.
#[derive(Debug)]
pub struct Rehearsal {
    /// To read the object as it stands.
    pub look: Option<Permit>,
    /// To dry-run the write.
    pub run: Option<Permit>,
    /// To read what else it is judged on.
    pub leave: Leave,
}

/// Leave to read, as the caller, what a write is judged on.
#[derive(Debug)]
pub struct Leave {
    caller: Arc<Caller>,
    policy_digest: Arc<str>,
}

impl Leave {
    /// For one question; none for what is no read.
    pub fn to_read(&self, question: Ask) -> Option<Permit> {
        question.is_read().then(|| self.permit(question))
    }

    fn permit(&self, ask: Ask) -> Permit {
        Permit::to_ask(&self.caller, ask, &self.policy_digest)
    }
}

/// What may be asked of the cluster before a write is judged: reads and a dry run, made from
/// the ask itself. None of them can change anything.
///
/// # Errors
/// [`Refusal::Denied`] or [`Refusal::NotAllowed`] if that is the answer whatever would come of
/// the write; the cluster is not asked then.
pub fn rehearse(caller: &Arc<Caller>, ask: &Ask, policy: &PolicySet) -> Result<Rehearsal, Refusal> {
    let (look, run) = (ask.look(), ask.rehearsal());
    match settled(&**caller, ask, policy) {
        Some(Judged::By(rule)) => return Err(denied(rule)),
        Some(Judged::ByDefault { missing }) => {
            return Err(not_allowed(missing, caller, ask.info()));
        }
        Some(Judged::Failed { .. }) | None => {}
    }
    let leave = Leave {
        caller: caller.clone(),
        policy_digest: policy.digest.clone(),
    };
    Ok(Rehearsal {
        look: look.map(|ask| leave.permit(ask)),
        run: run.map(|ask| leave.permit(ask)),
        leave,
    })
}

/// The answer whatever would come of a write, before the cluster is asked: a deny, or that no
/// rule allows it. None if the rules have to see what comes of it, and for what the cluster is
/// not asked about.
pub(super) fn settled<'a, 'p>(
    caller: impl Into<Party<'a>>,
    ask: &'a Ask,
    policy: &'p PolicySet,
) -> Option<Judged<'p>> {
    if !ask.is_foreseen() && ask.can_be_foreseen().is_ok() {
        return None;
    }
    // No condition is asked yet, so no clock either.
    let view = View::of(caller, ask, Timestamp::UNIX_EPOCH).left_open();
    match judged(&view, policy) {
        Judged::By(rule) if rule.effect != Effect::Deny => None,
        Judged::Failed { .. } => None,
        answer => Some(answer),
    }
}

impl PolicySet {
    /// Whether any rule asks what the service accounts of pods may do.
    pub fn asks_rights(&self) -> bool {
        self.asks_rights
    }
}

impl Rule {
    /// Whether it asks what the service accounts of pods may do.
    pub(super) fn asks_rights(&self) -> bool {
        const FIELDS: [&str; 2] = ["serviceAccountGrants", "serviceAccountGrantsKnown"];
        let facts = match &self.target {
            Target::Resource { facts, .. } => facts.as_deref().unwrap_or_default(),
            Target::Paths(_) => &[],
        };
        let mut conditions = self.conditions.iter();
        facts.contains(&Fact::PowerfulServiceAccount)
            || conditions.any(|condition| condition.looks_at("facts", &FIELDS))
    }
}
