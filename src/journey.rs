//! One request, from top to bottom: this is the whole path, and every branch of it.
//!
//! accept → identify → parse → decide → (hold → approve) → record intent → forward → mask →
//! record outcome. Each step takes what only the step before can make. The two halves are
//! `admit`, which ends in a permit or a refusal, and `execute`, which spends the permit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use http::header::USER_AGENT;
use jiff::Timestamp;
use tokio::sync::RwLock;

use crate::accept::Arrival;
use crate::answer::{self, Answer, AnswerBody};
use crate::approve::{HoldRequest, HoldState, Holds, Terms};
use crate::decide::{self, Decision, Hold, Permit, PolicySet};
use crate::forward::{Upstream, forward};
use crate::identify::Identifier;
use crate::mask::{self, Plan};
use crate::metrics::Metrics;
use crate::parse;
use crate::record::asked::{Grounds, What};
use crate::record::entry::{HoldEvent, HoldStep};
use crate::record::{Durable, Intended, Record, Recorder};
use crate::refusal::Refusal;

/// All that a request needs on its way; shared by every request.
pub struct Gate {
    /// Proves who asks.
    pub identifier: Identifier,
    /// The registered clusters by name.
    pub upstreams: BTreeMap<Arc<str>, Upstream>,
    /// The policy in force; one snapshot is taken per decision.
    pub policy: ArcSwap<PolicySet>,
    /// What waits for a human.
    pub holds: Holds,
    /// Who answers a hold whose rule names nobody.
    pub approver_groups: Vec<String>,
    /// The way into the ledger.
    pub recorder: Recorder,
    /// Counters.
    pub metrics: Metrics,
    /// Read while a change is carried out; who gets to write knows that all have ended.
    pub changes: Arc<RwLock<()>>,
    /// The longest request body, in bytes.
    pub body_limit: usize,
    /// How long a held request keeps its connection open before it is told to come back.
    pub short_wait: Duration,
    /// After how many seconds a held request is told to come back.
    pub retry_after: u32,
}

/// Walks one request through the rooms; whatever happens, there is an answer and a record.
pub async fn journey(gate: Arc<Gate>, arrival: Arrival) -> Response<AnswerBody> {
    let agent = arrival
        .headers()
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let (method, path) = (arrival.method().as_str(), arrival.uri().path());
    let mut record = gate
        .recorder
        .open(arrival.peer(), method, path, agent.unwrap_or_default());
    let response = match admit(&gate, arrival, &mut record).await {
        Err(refusal) => answer::refused(record, &refusal),
        Ok(admitted) if admitted.permit.ask().is_read() => execute(&gate, admitted, record).await,
        Ok(admitted) => execute_to_the_end(gate.clone(), admitted, record).await,
    };
    gate.metrics.answered(response.status().as_u16());
    response
}

/// A permit, and the body that may be recorded.
struct Admitted {
    permit: Permit,
    plan: Plan,
    masked_body: Option<Bytes>,
}

/// ② – ⑤: who asks, what exactly, and whether they may.
async fn admit(gate: &Gate, arrival: Arrival, record: &mut Record) -> Result<Admitted, Refusal> {
    let caller = gate
        .identifier
        .identify(arrival.headers(), Timestamp::now())
        .await?;
    record.caller(&caller);

    let (name, path) = parse::cluster_of(arrival.uri().path())?;
    let (cluster, _) =
        gate.upstreams
            .get_key_value(name)
            .ok_or_else(|| Refusal::UnknownCluster {
                name: name.to_owned(),
            })?;
    let query = arrival.uri().query();
    let head = parse::head(
        cluster.clone(),
        arrival.method(),
        path,
        query,
        arrival.headers(),
    )?;
    let limit = head.body_limit().min(gate.body_limit);
    let ask = head.with_body(arrival.body(limit).await?)?;
    record.ask(&ask);
    mask::refuse_returned(&ask)?;
    let masked_body = if ask.body().is_empty() {
        None
    } else {
        Some(mask::mask_body(&ask)?)
    };
    let plan = Plan::for_ask(&ask);

    let permit = match decide::decide(caller, ask, &gate.policy.load(), Timestamp::now()) {
        Decision::Permit(permit) => {
            permit.ask().carried()?;
            permit
        }
        Decision::Hold(hold) => {
            hold.ask().carried()?;
            settle(
                gate,
                hold,
                masked_body.as_deref().unwrap_or_default(),
                record,
            )
            .await?
        }
        Decision::Refuse(refusal) => {
            record.judged(denied(&refusal, &gate.policy.load()), None);
            return Err(refusal);
        }
    };
    plan.check()?;
    Ok(Admitted {
        permit,
        plan,
        masked_body,
    })
}

/// ⑤ A hold becomes a permit by a human's approval of exactly this request, and by nothing
/// else; the policy of the moment of approval has the last word.
async fn settle(
    gate: &Gate,
    hold: Hold,
    body: &[u8],
    record: &mut Record,
) -> Result<Permit, Refusal> {
    let request = hold_request(gate, &hold, body);
    let digest = request.digest();
    let state = gate.holds.present(request, Timestamp::now()).await?;
    record.judged(held(&hold), Some(state.id().to_owned()));
    let state = match state {
        HoldState::Pending { id, new, .. } => {
            if new {
                let agent = hold.caller().agent().to_owned();
                let digest = digest.to_string();
                let event = HoldStep::Created;
                gate.recorder
                    .hold(HoldEvent {
                        hold: id.clone(),
                        event,
                        who: agent,
                        digest,
                        comment: None,
                    })
                    .await?;
            }
            gate.holds.wait(&id, gate.short_wait).await?
        }
        decided => decided,
    };
    approved(gate, &hold, state)?;

    let (caller, ask) = hold.into_parts();
    match decide::decide(caller, ask, &gate.policy.load(), Timestamp::now()) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refuse(refusal) => Err(refusal),
        Decision::Hold(hold) => {
            let request = hold_request(gate, &hold, body);
            let state = gate.holds.present(request, Timestamp::now()).await?;
            let id = approved(gate, &hold, state)?;
            let approval = gate.holds.spend(&id, digest, Timestamp::now()).await?;
            approval.grants(hold)
        }
    }
}

fn hold_request(gate: &Gate, hold: &Hold, body: &[u8]) -> HoldRequest {
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

/// The id of a hold that was approved; a refusal otherwise.
fn approved(gate: &Gate, hold: &Hold, state: HoldState) -> Result<String, Refusal> {
    match state {
        HoldState::Approved { id, .. } => Ok(id),
        HoldState::Pending { id, .. } => Err(Refusal::Held {
            id,
            rule: hold.terms().rule.to_string(),
            reason: hold.terms().reason.to_string(),
            retry_after: gate.retry_after,
        }),
        HoldState::Denied {
            id,
            rule,
            by,
            comment,
            ..
        } => {
            let comment = match comment.is_empty() {
                true => format!("{by} said no"),
                false => format!("{by} said no: {comment}"),
            };
            Err(Refusal::HoldRejected { id, rule, comment })
        }
    }
}

/// What has begun to change something is seen through to its outcome, even if the client
/// hangs up meanwhile.
async fn execute_to_the_end(
    gate: Arc<Gate>,
    admitted: Admitted,
    record: Record,
) -> Response<AnswerBody> {
    let id = record.id().to_string();
    let under_way = gate.changes.clone().read_owned().await;
    let executed = tokio::spawn(async move {
        let response = execute(&gate, admitted, record).await;
        drop(under_way);
        response
    });
    executed.await.unwrap_or_else(|error| {
        let refusal = Refusal::Internal {
            inside: format!("a change was cut short: {error}"),
        };
        answer::refusal_response(&refusal, &id)
    })
}

/// ⑥ – ⑨: written before it is sent, masked before it is answered.
async fn execute(gate: &Gate, admitted: Admitted, mut record: Record) -> Response<AnswerBody> {
    match spend(gate, admitted, &mut record).await {
        Ok((answer, durable)) => answer.released(record, durable),
        Err(refusal) => answer::refused(record, &refusal),
    }
}

async fn spend(
    gate: &Gate,
    admitted: Admitted,
    record: &mut Record,
) -> Result<(Answer, Durable), Refusal> {
    let Admitted {
        permit,
        plan,
        masked_body,
    } = admitted;
    let upstream =
        gate.upstreams
            .get(permit.ask().cluster())
            .ok_or_else(|| Refusal::UnknownCluster {
                name: permit.ask().cluster().to_owned(),
            })?;
    let grounds = granted(&permit);
    let written = record.intent(permit, grounds, masked_body).await?;

    let response = forward(upstream, written, record.id()).await?;
    let answer = answer::masked(&plan, upstream.name(), response).await?;
    let durable = record.durable().await?;
    Ok((answer, durable))
}

impl Intended for Permit {
    fn what(&self) -> What {
        What::from(self.ask())
    }
}

fn granted(permit: &Permit) -> Grounds {
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
        approval: grant
            .approval
            .as_ref()
            .map(|approval| crate::record::asked::Approval {
                hold: approval.hold_id.clone(),
                approver: approval.approvers.join(", "),
            }),
    }
}

fn held(hold: &Hold) -> Grounds {
    Grounds {
        verdict: "hold".to_owned(),
        policy: hold.terms().policy.to_string(),
        rule: hold.terms().rule.to_string(),
        policy_digest: hold.policy_digest().to_owned(),
        approval: None,
    }
}

fn denied(refusal: &Refusal, policies: &PolicySet) -> Grounds {
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
