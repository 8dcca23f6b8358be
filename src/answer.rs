//! ⑨ Masked → socket: the only body that the agents' door writes.
//!
//! A short answer is masked whole before its first byte goes out, so that one that cannot be
//! masked becomes a clean refusal. A long one or a watch flows through the masker frame by
//! frame; if it breaks or cannot be masked on the way, the connection is cut, since half an
//! answer must not look like a whole one. Either way the record is sealed before the
//! last byte leaves.
//!
//! A long one is packed with gzip if the client takes it, by the API server's own measure; the
//! record knows it unpacked.

mod flow;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::forward::{Upstream, next_piece};
use crate::mask::{Masked, Masker, Packer, Plan};
use crate::record::entry::Ended;
use crate::record::{Durable, Record};
use crate::refusal::Refusal;
use flow::Flow;

/// Answers up to this many bytes are masked whole before the first byte goes out.
const WHOLE: usize = 64 * 1024;

/// Masked answers from this many bytes on are packed for a client that takes it, as at the
/// API server (KEP-156): shorter ones would cost more time than they save.
const PACKED: usize = 128 * 1024;

/// Header fields of the cluster's response that reach the agent.
const PASSED: [HeaderName; 4] = [
    CONTENT_TYPE,
    RETRY_AFTER,
    http::header::WARNING,
    http::header::CACHE_CONTROL,
];

/// The gate's record id, which is also the cluster's audit id.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// A response whose body is on its way through the masker.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

enum Content {
    Whole(Masked, Masker),
    Flowing(Box<Flow>),
}

/// The body of an answer.
pub struct AnswerBody(State);

enum State {
    Whole(Masked),
    Flowing(Box<Flow>, Box<Record>),
    Ended,
}

/// Reads as much of a response as decides whether it is short, masking as it goes.
///
/// # Errors
/// [`Refusal::Unmaskable`], and those of [`next_piece`].
pub async fn masked(
    plan: &Plan,
    upstream: &Upstream,
    response: Response<Incoming>,
) -> Result<Answer, Refusal> {
    let (parts, mut body) = response.into_parts();
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let mut masker = Masker::new(
        plan,
        parts.status.as_u16(),
        text(CONTENT_TYPE),
        text(CONTENT_ENCODING),
    )?;
    let mut headers = HeaderMap::with_capacity(8);
    for name in PASSED {
        for value in parts.headers.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    if let Some(content_type) = masker.content_type().and_then(|text| text.parse().ok()) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    let mut first = Masked::default();
    let mut read = 0;
    let endless = plan.is_endless() && parts.status.is_success();
    loop {
        let long = match plan.packs() {
            true => first.remaining() >= PACKED,
            false => read > WHOLE,
        };
        if endless || long {
            let packer = plan.packs().then(Packer::new);
            if packer.is_some() {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
            }
            let flow = Flow {
                first,
                upstream: body,
                masker,
                packer,
            };
            return Ok(Answer {
                status: parts.status,
                headers,
                content: Content::Flowing(Box::new(flow)),
            });
        }
        let Some(data) = next_piece(upstream, &mut body).await? else {
            break;
        };
        read += data.len();
        first = first.followed_by(masker.feed(data)?);
    }
    first = first.followed_by(masker.finish()?);
    // Without a body the length is that of an answer which nobody has (RFC 9110 §8.6).
    if masker.has_body() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(first.remaining()));
    }
    Ok(Answer {
        status: parts.status,
        headers,
        content: Content::Whole(first, masker),
    })
}

/// A whole answer that was read before, masked: what the cluster said to a rehearsal.
///
/// # Errors
/// [`Refusal::Unmaskable`].
pub fn masked_whole(
    plan: &Plan,
    status: StatusCode,
    content_type: Option<&str>,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let mut masker = Masker::new(plan, status.as_u16(), content_type, None)?;
    let masked = masker.feed(body)?.followed_by(masker.finish()?);
    let mut headers = HeaderMap::with_capacity(4);
    if let Some(content_type) = masker.content_type().and_then(|text| text.parse().ok()) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(masked.remaining()));
    Ok(Answer {
        status,
        headers,
        content: Content::Whole(masked, masker),
    })
}

impl AnswerBody {
    /// Bytes that the gate wrote itself; never an answer, or part of one.
    pub fn of_gate(bytes: Bytes) -> Self {
        Self(State::Whole(Masked::of_gate(bytes)))
    }
}

impl Answer {
    /// Whether the cluster says that the object is not the one the request names.
    pub fn is_conflict(&self) -> bool {
        self.status == StatusCode::CONFLICT
    }

    /// The response for the socket: only with proof that the intent is durable, and with the
    /// record, which is sealed with the last byte.
    pub fn released(mut self, mut record: Record, _: Durable) -> Response<AnswerBody> {
        record.answered(self.status.as_u16());
        let id = record.id();
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            self.headers.insert(AUDIT_ID, id);
        }
        let state = match self.content {
            Content::Whole(masked, masker) => {
                record.sent(masked.as_bytes());
                note(&mut record, &masker);
                if let Err(refusal) = record.seal(Ended::Complete) {
                    return refusal_response(&refusal, &id.to_string());
                }
                State::Whole(masked)
            }
            Content::Flowing(flow) => {
                record.sent(flow.first.as_bytes());
                State::Flowing(flow, Box::new(record))
            }
        };
        let mut response = Response::new(AnswerBody(state));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The refusal as an answer, and as the end of its record.
pub fn refused(mut record: Record, refusal: &Refusal) -> Response<AnswerBody> {
    let id = record.id().to_string();
    record.refused(
        refusal.code().as_u16(),
        &refusal.sentence(),
        refusal.inside(),
    );
    let ended = match refusal {
        Refusal::UpstreamUnreachable { .. }
        | Refusal::UpstreamTimeout { .. }
        | Refusal::UpstreamCredential { .. } => Ended::UpstreamFailed,
        _ => Ended::Refused,
    };
    if let Err(error) = record.seal(ended) {
        // A "no" needs no record to be a "no".
        tracing::error!(record = %id, inside = error.inside(), "a refusal could not be recorded");
    }
    refusal_response(refusal, &id)
}

/// A refusal whose record is sealed, or never was opened.
pub fn refusal_response(refusal: &Refusal, id: &str) -> Response<AnswerBody> {
    if let Some(inside) = refusal.inside() {
        tracing::warn!(record = %id, reason = refusal.reason(), inside, "refused");
    }
    let mut response = Response::new(AnswerBody::of_gate(refusal.status_document(id).into()));
    *response.status_mut() = refusal.code();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.code() == StatusCode::UNAUTHORIZED {
        headers.insert(
            http::header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer"),
        );
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(AUDIT_ID, id);
    }
    response
}

fn note(record: &mut Record, masker: &Masker) {
    for count in masker.summary().counts() {
        record.masked(&format!("{} {}", count.rule, count.path), count.values);
    }
}

impl Body for AnswerBody {
    type Data = Masked;
    type Error = Refusal;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Masked>, Refusal>>> {
        match std::mem::replace(&mut self.0, State::Ended) {
            State::Ended => Poll::Ready(None),
            State::Whole(masked) if !masked.has_remaining() => Poll::Ready(None),
            State::Whole(masked) => Poll::Ready(Some(Ok(Frame::data(masked)))),
            State::Flowing(mut flow, mut record) => {
                let step = flow.poll_next(cx, &mut record);
                match step {
                    Poll::Pending | Poll::Ready(Some(Ok(_))) => {
                        self.0 = State::Flowing(flow, record);
                        step.map_ok(Frame::data)
                    }
                    Poll::Ready(None) => Poll::Ready(ended(*flow, *record)),
                    Poll::Ready(Some(Err(refusal))) => {
                        note(&mut record, &flow.masker);
                        cut(*record, &refusal);
                        Poll::Ready(Some(Err(refusal)))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Ended => true,
            State::Whole(masked) => !masked.has_remaining(),
            State::Flowing(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Ended => SizeHint::with_exact(0),
            State::Whole(masked) => SizeHint::with_exact(masked.remaining() as u64),
            State::Flowing(..) => SizeHint::default(),
        }
    }
}

/// An answer is complete; the last of its bytes goes out once that is on record.
fn ended(flow: Flow, mut record: Record) -> Option<Result<Frame<Masked>, Refusal>> {
    note(&mut record, &flow.masker);
    let sealed = record.seal(Ended::Complete);
    match sealed.and_then(|_| flow.rest()) {
        Ok(rest) if !rest.has_remaining() => None,
        rest => Some(rest.map(Frame::data)),
    }
}

/// An answer that cannot go on: the client sees a connection that breaks off.
fn cut(mut record: Record, refusal: &Refusal) {
    let ended = match refusal {
        Refusal::UpstreamUnreachable { .. } => Ended::UpstreamFailed,
        _ => Ended::Refused,
    };
    let inside = refusal.inside().unwrap_or_default();
    tracing::warn!(record = %record.id(), reason = refusal.reason(), inside, "an answer was cut");
    record.failed(inside);
    if let Err(error) = record.seal(ended) {
        tracing::error!(
            inside = error.inside(),
            "the end of a cut answer could not be recorded"
        );
    }
}
