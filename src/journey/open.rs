//! What the agents' door serves to anybody, before a caller is known: health, and the OAuth
//! metadata that tells a client where tokens come from (RFC 9728). Nothing of it names a
//! cluster or a caller, and none of it is recorded. Part of `journey`, just after ① accept.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use serde_json::json;

use super::Gate;
use crate::accept::Arrival;
use crate::answer::{self, AnswerBody};
use crate::parse;
use crate::refusal::Refusal;

const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Where a request was sent: what a client without a token is told to look at.
pub(super) struct Address {
    host: Option<HeaderValue>,
    uri: Uri,
}

impl Address {
    pub(super) fn of(arrival: &Arrival) -> Self {
        Self {
            host: arrival.headers().get(HOST).cloned(),
            uri: arrival.uri().clone(),
        }
    }

    /// `https://` and the host that the client named.
    fn origin(&self) -> Option<String> {
        let named = |host: &HeaderValue| host.to_str().ok()?.parse().ok();
        let authority = self.uri.authority().cloned();
        let authority = authority.or_else(|| self.host.as_ref().and_then(named))?;
        Some(format!("https://{authority}"))
    }

    /// Adds to a 401 where the metadata of what was asked for is (RFC 9728, section 5.1).
    pub(super) fn challenge(&self, headers: &mut HeaderMap) {
        let resource = match parse::cluster_of(self.uri.path()) {
            Ok((cluster, _)) => format!("/clusters/{cluster}"),
            Err(_) => String::new(),
        };
        let challenge = self
            .origin()
            .map(|origin| format!("Bearer resource_metadata=\"{origin}{METADATA}{resource}\""))
            .and_then(|challenge| HeaderValue::try_from(challenge).ok());
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
    }
}

/// The answer, if this is a request that anybody may send.
pub(super) fn answer(gate: &Gate, arrival: &Arrival) -> Option<Response<AnswerBody>> {
    if !matches!(*arrival.method(), Method::GET | Method::HEAD) {
        return None;
    }
    match arrival.uri().path() {
        "/livez" => Some(open(StatusCode::OK, "text/plain", "ok")),
        "/readyz" => Some(match unready(gate) {
            None => open(StatusCode::OK, "text/plain", "ok"),
            Some(refusal) => answer::refusal_response(&refusal, ""),
        }),
        path => {
            let resource = path.strip_prefix(METADATA)?;
            metadata(gate, &Address::of(arrival), resource)
        }
    }
}

/// The same document for every name: who has no token does not learn which clusters exist.
fn metadata(gate: &Gate, address: &Address, resource: &str) -> Option<Response<AnswerBody>> {
    let whole = format!("{resource}/");
    if !resource.is_empty() && !matches!(parse::cluster_of(&whole), Ok((_, "/"))) {
        return None;
    }
    let issuers: Vec<String> = gate
        .identifier
        .ready()
        .into_iter()
        .map(|(url, _)| url)
        .collect();
    let document = json!({
        "resource": format!("{}{resource}", address.origin()?),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "resource_name": "Kubernetes API through Gateward",
    });
    Some(open(
        StatusCode::OK,
        "application/json",
        document.to_string(),
    ))
}

/// Why the gate cannot serve anybody; what stands behind it (the clusters) is told to
/// operators alone.
fn unready(gate: &Gate) -> Option<Refusal> {
    if let Err(error) = gate.recorder.ledger().health() {
        let inside = error.to_string();
        return Some(Refusal::LedgerUnavailable { inside });
    }
    let faults: Option<Vec<String>> = gate
        .identifier
        .ready()
        .into_iter()
        .map(|(_, fault)| fault)
        .collect();
    faults.map(|faults| Refusal::IssuerUnavailable {
        inside: faults.join("; "),
    })
}

fn open(
    code: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::of_gate(body.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
