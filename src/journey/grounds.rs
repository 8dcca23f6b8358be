//! What each verdict says on the record and to people. Part of the journey; it branches on
//! nothing that changes a request's way.

use super::Gate;
use crate::approve::{HoldRequest, Terms};
use crate::decide::{Hold, Permit, PolicySet};
use crate::record::Intended;
use crate::record::asked::{Approval, Grounds, What};
use crate::refusal::Refusal;

impl Intended for Permit {
    fn what(&self) -> What {
        What::from(self.ask())
    }
}

pub(super) fn granted(permit: &Permit) -> Grounds {
    let grant = permit.grant();
    Grounds {
        verdict: if grant.approval.is_some() {
            "hold"
        } else {
            "allow"
        }
        .to_owned(),
        policy: grant.policy.to_string(),
        rule: grant.rule.to_string(),
        policy_digest: grant.policy_digest.to_string(),
        approval: grant.approval.as_ref().map(|approval| Approval {
            hold: approval.hold_id.clone(),
            approver: approval.approvers.join(", "),
        }),
    }
}

pub(super) fn held(hold: &Hold) -> Grounds {
    Grounds {
        verdict: "hold".to_owned(),
        policy: hold.terms().policy.to_string(),
        rule: hold.terms().rule.to_string(),
        policy_digest: hold.policy_digest().to_owned(),
        approval: None,
    }
}

pub(super) fn denied(refusal: &Refusal, policies: &PolicySet) -> Grounds {
    let (policy, rule) = match refusal {
        Refusal::Denied { policy, rule, .. } | Refusal::ConditionFailed { policy, rule, .. } => {
            (policy.clone(), rule.clone())
        }
        _ => (String::new(), String::new()),
    };
    Grounds {
        verdict: "deny".to_owned(),
        policy,
        rule,
        policy_digest: policies.digest().to_owned(),
        approval: None,
    }
}

pub(super) fn hold_request(gate: &Gate, hold: &Hold, body: &[u8]) -> HoldRequest {
    let terms = hold.terms();
    let approver_groups = match terms.approver_groups.is_empty() {
        true => gate.approver_groups.clone(),
        false => terms.approver_groups.to_vec(),
    };
    let terms = Terms {
        policy: terms.policy.to_string(),
        policy_digest: hold.policy_digest().to_owned(),
        rule: terms.rule.to_string(),
        reason: terms.reason.to_string(),
        approver_groups,
        quorum: terms.quorum,
        expires_after: terms.expires_after.duration(),
    };
    HoldRequest::new(gate.holds.key(), hold.caller(), hold.ask(), terms, body)
}
