//! One request, from top to bottom: this is the whole path, and every branch of it.
//!
//! accept → identify → parse → foresee → decide → (hold → approve) → record intent → forward →
//! mask → record outcome. Each step takes what only the step before can make. The two halves are
//! `admit`, which ends in a permit or a refusal, and `execute`, which spends the permit.

mod grounds;
mod open;
mod overdue;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Response, StatusCode};
use jiff::Timestamp;

use crate::accept::Arrival;
use crate::answer::{self, Answer, AnswerBody};
use crate::approve::{Digest, HoldState, Holds};
use crate::decide::{self, Decision, Hold, Permit, PolicySet};
use crate::foresee::{Answered, Foreseen, foresee};
use crate::forward::{Upstream, forward};
use crate::identify::{Caller, Identifier};
use crate::mask::{self, Masks, Plan};
use crate::metrics::Metrics;
use crate::parse::{self, Ask, Embedders};
use crate::record::entry::{Ended, HoldEvent, HoldStep};
use crate::record::{Durable, Record, Recorder};
use crate::refusal::Refusal;
use grounds::{denied, granted, held, hold_request};

/// How often a write is judged whose object keeps changing under it.
const TRIES: u8 = 5;

/// All that a request needs on its way; shared by every request.
pub struct Gate {
    /// Proves who asks.
    pub identifier: Identifier,
    /// The registered clusters by name.
    pub upstreams: BTreeMap<Arc<str>, Upstream>,
    /// Where custom resources hold pods.
    pub embedders: Embedders,
    /// The policy in force; one snapshot is taken per judgement.
    pub in_force: ArcSwap<InForce>,
    /// What waits for a human.
    pub holds: Holds,
    /// Who answers a hold whose rule names nobody.
    pub approver_groups: Vec<String>,
    /// The way into the ledger.
    pub recorder: Recorder,
    /// Counters.
    pub metrics: Metrics,
    /// The longest request body, in bytes.
    pub body_limit: usize,
    /// How long a held request keeps its connection open before it is told to come back.
    pub short_wait: Duration,
    /// After how many seconds a held request is told to come back.
    pub retry_after: u32,
}

/// A policy and what it hides, together: what is allowed by the one is masked by the other.
pub struct InForce {
    /// The rules.
    pub policy: Arc<PolicySet>,
    /// The masks of the same policy.
    pub masks: Arc<Masks>,
}

/// Walks one request through the rooms; whatever happens, there is an answer and, for all
/// but health and metadata, a record.
pub async fn journey(gate: Arc<Gate>, arrival: Arrival) -> Response<AnswerBody> {
    if let Some(response) = open::answer(&gate, &arrival) {
        return response;
    }
    let address = open::Address::of(&arrival);
    let agent = arrival
        .headers()
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let (method, path) = (arrival.method().as_str(), arrival.uri().path());
    let mut record = gate
        .recorder
        .open(arrival.peer(), method, path, agent.unwrap_or_default());
    let mut response = match admit(&gate, arrival, &mut record).await {
        Err(stop) => stopped(record, stop),
        Ok(admitted) if admitted.permit.ask().is_read() => execute(&gate, admitted, record).await,
        Ok(admitted) => execute_to_the_end(gate.clone(), admitted, record).await,
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        address.challenge(response.headers_mut());
    }
    gate.metrics.answered(response.status().as_u16());
    response
}

/// A permit, and the body that may be recorded.
struct Admitted {
    permit: Permit,
    plan: Plan,
    masked_body: Option<Bytes>,
    again: Option<Again>,
}

/// What it takes to judge a write once more, should its object change before it is executed.
struct Again {
    caller: Arc<Caller>,
    ask: Ask,
    tries: u8,
}

/// Why a request goes no further.
enum Stop {
    /// The gate says no.
    Refused(Refusal),
    /// The cluster said no to a dry run, and this is its answer.
    Answered(Box<Answered>, Plan),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// ② – ⑤: who asks, what exactly, and whether they may.
async fn admit(gate: &Gate, arrival: Arrival, record: &mut Record) -> Result<Admitted, Stop> {
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
    let ask = head.with_body(arrival.body(limit).await?, &gate.embedders)?;
    record.ask(&ask);
    mask::refuse_returned(&ask)?;
    judge(gate, caller, ask, record, TRIES).await
}

/// ③½ – ⑤: what would come of it, and whether that may be.
async fn judge(
    gate: &Gate,
    caller: Arc<Caller>,
    ask: Ask,
    record: &mut Record,
    tries: u8,
) -> Result<Admitted, Stop> {
    let InForce { policy, masks } = &*gate.in_force.load_full();
    let plan = Plan::new(masks, &caller, &ask)
        .inspect_err(|refusal| record.judged(denied(refusal, policy), None))?;
    let masked_body = if ask.body().is_empty() {
        None
    } else {
        Some(mask::mask_body(&ask, &plan)?)
    };
    let again = (!ask.is_read()).then(|| (caller.clone(), ask.clone()));
    let foreseen = foreseen(gate, policy, &caller, ask, &plan, record).await;
    if let Err(Stop::Refused(refusal @ (Refusal::Denied { .. } | Refusal::NotAllowed { .. }))) =
        &foreseen
    {
        record.judged(denied(refusal, policy), None);
    }
    let ask = foreseen?;
    record.ask(&ask);
    let (permit, plan) = match decide::decide(caller, ask, policy, Timestamp::now()) {
        Decision::Permit(permit) => {
            permit.ask().carried()?;
            (permit, plan)
        }
        Decision::Hold(hold) => {
            hold.ask().carried()?;
            let body = masked_body.as_deref().unwrap_or_default();
            settle(gate, hold, body, record).await?
        }
        Decision::Refuse(refusal) => {
            record.judged(denied(&refusal, policy), None);
            return Err(refusal.into());
        }
    };
    plan.check()?;
    // An approval is spent once; what was approved is not executed on another object.
    let again = again
        .filter(|_| permit.ask().is_bound() && permit.grant().approval.is_none() && tries > 1)
        .map(|(caller, ask)| Again {
            caller,
            ask,
            tries: tries - 1,
        });
    Ok(Admitted {
        permit,
        plan,
        masked_body,
        again,
    })
}

async fn foreseen(
    gate: &Gate,
    policy: &PolicySet,
    caller: &Arc<Caller>,
    ask: Ask,
    plan: &Plan,
    record: &Record,
) -> Result<Ask, Stop> {
    let upstream = upstream(gate, &ask)?;
    let embedders = &gate.embedders;
    let foreseen = foresee(upstream, caller, ask, policy, embedders, plan, record);
    match foreseen.await? {
        Foreseen::Result(ask) => Ok(*ask),
        Foreseen::Refused(answered) => Err(Stop::Answered(answered, plan.clone())),
    }
}

/// ⑤ A hold becomes a permit by a human's approval of exactly this request, and by nothing
/// else; the object and the policy of the moment of approval have the last word, on what is
/// hidden too.
async fn settle(
    gate: &Gate,
    hold: Hold,
    body: &[u8],
    record: &mut Record,
) -> Result<(Permit, Plan), Stop> {
    gate.expire_holds(Timestamp::now()).await?;
    let (state, _) = present(gate, &hold, body).await?;
    record.judged(held(&hold), Some(state.id().to_owned()));
    let waited = matches!(state, HoldState::Pending { .. });
    let state = match state {
        HoldState::Pending { id, .. } => gate.holds.wait(&id, gate.short_wait).await?,
        decided => decided,
    };
    approved(gate, &hold, state)?;

    let (caller, mut ask) = hold.into_parts();
    let InForce { policy, masks } = &*gate.in_force.load_full();
    let plan = Plan::new(masks, &caller, &ask)?;
    if waited {
        ask = foreseen(gate, policy, &caller, ask, &plan, record).await?;
    }
    match decide::decide(caller, ask, policy, Timestamp::now()) {
        Decision::Permit(permit) => Ok((permit, plan)),
        Decision::Refuse(refusal) => Err(refusal.into()),
        Decision::Hold(hold) => {
            let (state, digest) = present(gate, &hold, body).await?;
            let id = approved(gate, &hold, state)?;
            let approval = gate.holds.spend(&id, digest, Timestamp::now()).await?;
            Ok((approval.grants(hold)?, plan))
        }
    }
}

/// Files the hold, unless it is there already, and what it is bound to.
async fn present(gate: &Gate, hold: &Hold, body: &[u8]) -> Result<(HoldState, Digest), Refusal> {
    let request = hold_request(gate, hold, body);
    let digest = request.digest();
    let state = gate.holds.present(request, Timestamp::now()).await?;
    if let HoldState::Pending { id, new: true, .. } = &state {
        let event = HoldEvent {
            hold: id.clone(),
            event: HoldStep::Created,
            who: hold.caller().agent().to_owned(),
            digest: digest.to_string(),
            comment: None,
        };
        gate.recorder.hold(event).await?;
    }
    Ok((state, digest))
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
    let executed = tokio::spawn(async move { execute(&gate, admitted, record).await });
    executed.await.unwrap_or_else(|error| {
        let refusal = Refusal::Internal {
            inside: format!("a change was cut short: {error}"),
        };
        answer::refusal_response(&refusal, &id)
    })
}

/// ⑥ – ⑨: written before it is sent, masked before it is answered. A write whose object has
/// changed since it was judged is judged anew.
async fn execute(gate: &Gate, mut admitted: Admitted, mut record: Record) -> Response<AnswerBody> {
    loop {
        let again = admitted.again.take();
        let spent = spend(gate, admitted, &mut record).await;
        let overtaken = match (spent, again) {
            (Err(refusal), _) => return answer::refused(record, &refusal),
            (Ok((answer, _)), Some(again)) if answer.is_conflict() => again,
            (Ok((answer, durable)), _) => return answer.released(record, durable),
        };
        let next = record.another();
        record.answered(StatusCode::CONFLICT.as_u16());
        if let Err(refusal) = record.seal(Ended::Complete) {
            return answer::refused(next, &refusal);
        }
        record = next;
        let Again { caller, ask, tries } = overtaken;
        admitted = match judge(gate, caller, ask, &mut record, tries).await {
            Ok(admitted) => admitted,
            Err(stop) => return stopped(record, stop),
        };
    }
}

fn stopped(mut record: Record, stop: Stop) -> Response<AnswerBody> {
    let (answered, plan) = match stop {
        Stop::Refused(refusal) => return answer::refused(record, &refusal),
        Stop::Answered(answered, plan) => (*answered, plan),
    };
    let reason = format!("the cluster refuses it: record {}", answered.record.id());
    record.refused(answered.status.as_u16(), &reason, None);
    if let Err(refusal) = record.seal(Ended::Refused) {
        return answer::refused(answered.record, &refusal);
    }
    let content_type = answered.content_type.as_deref();
    match answer::masked_whole(&plan, answered.status, content_type, answered.body) {
        Ok(answer) => answer.released(answered.record, answered.durable),
        Err(refusal) => answer::refused(answered.record, &refusal),
    }
}

fn upstream<'g>(gate: &'g Gate, ask: &Ask) -> Result<&'g Upstream, Refusal> {
    gate.upstreams
        .get(ask.cluster())
        .ok_or_else(|| Refusal::UnknownCluster {
            name: ask.cluster().to_owned(),
        })
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
        ..
    } = admitted;
    let upstream = upstream(gate, permit.ask())?;
    let grounds = granted(&permit);
    let written = record.intent(permit, grounds, masked_body).await?;

    let response = forward(upstream, written, record.id()).await?;
    let answer = answer::masked(&plan, upstream, response).await?;
    let durable = record.durable().await?;
    Ok((answer, durable))
}
