//! ③½ Ask → the same Ask, judged on its result.
//!
//! Before a write is decided on, the cluster is asked, as the caller, how the object stands
//! and what a dry run of this very write would make of it. Each of these requests is a
//! permit of its own with a record of its own, which names the record it was made for. This
//! room decides nothing and changes nothing; a write whose result nobody can tell is refused.
//! It stands between `parse` and `decide`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use hyper::body::Incoming;

use crate::decide::{self, Leave, Permit, PolicySet};
use crate::forward::{Upstream, forward, next_piece};
use crate::identify::Caller;
use crate::mask::{self, Plan};
use crate::parse::{self, Ask, Embedders, Node, Old};
use crate::record::asked::Grounds;
use crate::record::entry::Ended;
use crate::record::{Durable, Record};
use crate::refusal::Refusal;

/// The longest answer to a rehearsal that is read, in bytes: etcd's own limit on an object,
/// some times over.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// How often the cluster is asked anew because the object changed between two questions.
const ATTEMPTS: usize = 5;

/// What the cluster said of a write.
pub enum Foreseen {
    /// This write, with its result, bound to the object it was judged on.
    Result(Box<Ask>),
    /// The cluster refuses it, and would do so in earnest.
    Refused(Box<Answered>),
}

/// A cluster's whole answer to a rehearsal, not masked yet.
pub struct Answered {
    /// The HTTP status.
    pub status: StatusCode,
    /// The content type.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
    /// The rehearsal's own record, still open.
    pub record: Record,
    /// Its intent is durable.
    pub durable: Durable,
}

/// Asks the cluster what `ask` would come to. What is a read, or says by itself what comes
/// of it, passes as it is.
///
/// # Errors
/// What `decide::rehearse` and [`Ask::judged_on`] refuse; [`Refusal::NotForeseen`]; the errors
/// of `forward` and of the record.
pub async fn foresee(
    upstream: &Upstream,
    caller: &Arc<Caller>,
    ask: Ask,
    policy: &PolicySet,
    embedders: &Embedders,
    plan: &Plan,
    record: &Record,
) -> Result<Foreseen, Refusal> {
    for _ in 0..ATTEMPTS {
        let rehearsal = decide::rehearse(caller, &ask, policy)?;
        ask.can_be_foreseen()?;
        let leave = rehearsal.leave;
        let old = match rehearsal.look {
            Some(look) => look_at(upstream, look, record).await?,
            None => collection(upstream, &ask, &leave, record).await?,
        };
        let (ask, restored) = mask::restore(ask.clone(), &old, plan)?;
        let run = match restored.is_empty() {
            true => rehearsal.run,
            false => decide::rehearse(caller, &ask, policy)?.run,
        };
        let Some(run) = run else {
            let ask = ask.judged_on(None, old, embedders)?;
            let ask = with_rights(upstream, ask, policy, &leave, record).await?;
            return Ok(Foreseen::Result(Box::new(ask)));
        };
        let answered = send(upstream, run, record).await?;
        if !answered.status.is_success() {
            return refused(answered);
        }
        let result = parse::read_answer(&answered.body)?;
        answered.record.seal(Ended::Complete)?;
        if same_object(&old, &result) {
            restored.hidden_in(plan, &result)?;
            let ask = ask.judged_on(Some(result), old, embedders)?;
            let ask = with_rights(upstream, ask, policy, &leave, record).await?;
            return Ok(Foreseen::Result(Box::new(ask)));
        }
    }
    Err(Refusal::NotForeseen {
        what: "the object changes faster than it can be looked at; try again",
        inside: format!("{ATTEMPTS} times another version"),
    })
}

async fn look_at(upstream: &Upstream, look: Permit, record: &Record) -> Result<Old, Refusal> {
    let answered = send(upstream, look, record).await?;
    let old = match answered.status {
        StatusCode::NOT_FOUND => Old::Absent,
        StatusCode::OK => Old::Known(Arc::new(parse::read_answer(&answered.body)?)),
        // Above all 403: who may write an object need not be allowed to read it.
        _ => Old::Unknown,
    };
    answered.record.seal(Ended::Complete)?;
    Ok(old)
}

/// All objects that a deletion of a collection would delete.
async fn collection(
    upstream: &Upstream,
    ask: &Ask,
    leave: &Leave,
    record: &Record,
) -> Result<Old, Refusal> {
    let Some(mut collection) = ask.collection() else {
        return Ok(Old::Unknown);
    };
    while let Some(question) = collection.question() {
        let answer = read(upstream, leave, question, record).await?;
        collection.answer(answer.as_ref())?;
    }
    Ok(collection.finish())
}

/// With what the service accounts of its pods may do, if any rule asks for it.
async fn with_rights(
    upstream: &Upstream,
    ask: Ask,
    policy: &PolicySet,
    leave: &Leave,
    record: &Record,
) -> Result<Ask, Refusal> {
    let rights = ask.rights().filter(|_| policy.asks_rights());
    let Some(mut rights) = rights else {
        return Ok(ask);
    };
    while let Some(question) = rights.question() {
        let answer = read(upstream, leave, question, record).await?;
        rights.answer(answer.as_ref());
    }
    Ok(ask.with_rights(rights))
}

/// One question as the caller; none for what the cluster does not say. What is not there is
/// an empty object.
async fn read(
    upstream: &Upstream,
    leave: &Leave,
    question: Ask,
    record: &Record,
) -> Result<Option<Node>, Refusal> {
    let Some(permit) = leave.to_read(question) else {
        return Ok(None);
    };
    let answered = send(upstream, permit, record).await?;
    let answer = match answered.status {
        StatusCode::OK => Some(parse::read_answer(&answered.body)?),
        StatusCode::NOT_FOUND => Some(Node::Object(Vec::new())),
        _ => None,
    };
    answered.record.seal(Ended::Complete)?;
    Ok(answer)
}

/// A dry run's refusal is the real one's, save when it is about dry runs.
fn refused(answered: Answered) -> Result<Foreseen, Refusal> {
    const BY_WEBHOOK: &[u8] = b"does not support dry run";
    if memchr::memmem::find(&answered.body, BY_WEBHOOK).is_some() {
        let mut record = answered.record;
        record.failed("an admission webhook does not support dry run");
        record.seal(Ended::UpstreamFailed)?;
        return Err(Refusal::NotForeseen {
            what: "an admission webhook of this cluster does not take part in dry runs (its \
                   sideEffects are neither None nor NoneOnDryRun); ask the platform team",
            inside: "dry run refused by a webhook".to_owned(),
        });
    }
    Ok(Foreseen::Refused(Box::new(answered)))
}

/// Whether both questions met the same version of the object.
fn same_object(old: &Old, result: &Node) -> bool {
    let version = |object: &Node| {
        object
            .at(&["metadata", "resourceVersion"])
            .and_then(Node::as_str)
            .map(str::to_owned)
    };
    match old {
        Old::Known(old) => version(old) == version(result),
        Old::Absent => version(result).is_none(),
        Old::Unknown => true,
    }
}

/// Sends one rehearsal with a record of its own, and reads the whole answer.
async fn send(upstream: &Upstream, permit: Permit, of: &Record) -> Result<Answered, Refusal> {
    let mut record = of.another();
    let grounds = Grounds {
        verdict: Grounds::REHEARSAL.to_owned(),
        policy_digest: permit.grant().policy_digest.to_string(),
        ..Grounds::default()
    };
    let written = record.intent(permit, grounds, None).await?;
    let response = forward(upstream, written, record.id()).await?;
    record.answered(response.status().as_u16());
    let status = response.status();
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = match whole(upstream, response).await {
        Ok(body) => body,
        Err(refusal) => {
            record.failed(refusal.inside().unwrap_or_default());
            return Err(refusal);
        }
    };
    let durable = record.durable().await?;
    Ok(Answered {
        status,
        content_type,
        body,
        record,
        durable,
    })
}

async fn whole(upstream: &Upstream, response: Response<Incoming>) -> Result<Bytes, Refusal> {
    let mut body = response.into_body();
    let mut read = BytesMut::new();
    while let Some(data) = next_piece(upstream, &mut body).await? {
        if read.len() + data.len() > MAX_ANSWER {
            return Err(Refusal::NotForeseen {
                what: "the object is too large to be judged",
                inside: format!("an answer of more than {MAX_ANSWER} bytes"),
            });
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}
