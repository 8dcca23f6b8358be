//! ⑥ Spends the permit: `Written<Permit>` → the cluster's response.
//!
//! The upstream request is built anew from the permit: method, path, query and body from
//! the judged ask, identity from the proven caller. No header of the client's request is
//! ever copied; what the client said reaches the cluster only through what `parse`
//! understood. This room never follows a redirect, never upgrades a connection, and
//! sends nothing that is not written in the ledger.

mod credential;
mod upstream;

use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use tokio::time::timeout;
use uuid::Uuid;

use crate::decide::Permit;
use crate::identify::Caller;
use crate::parse::Ask;
use crate::record::Written;
use crate::refusal::Refusal;

pub use upstream::{Deadlines, Upstream, UpstreamError};

/// The `extra` key under which the principal reaches the cluster's audit log and
/// authorizers.
pub const PRINCIPAL_EXTRA: &str = "gateward.dev/principal";

/// Sends what was decided, as the caller, and returns the cluster's response head.
///
/// `audit_id` becomes the `Audit-ID` of the cluster's own audit event, so that both logs
/// join line by line.
///
/// # Errors
/// [`Refusal::UpstreamUnreachable`], [`Refusal::UpstreamTimeout`],
/// [`Refusal::UpstreamCredential`] when the cluster rejects the gate itself, and
/// [`Refusal::Unmaskable`] for an answer that is no answer (upgrade, redirect).
pub async fn forward(
    upstream: &Upstream,
    permit: Written<Permit>,
    audit_id: Uuid,
) -> Result<Response<Incoming>, Refusal> {
    let permit = permit.into_inner();
    if upstream.name() != permit.ask().cluster() {
        return Err(Refusal::Internal {
            inside: format!(
                "permit for cluster {:?} was about to be sent to {:?}",
                permit.ask().cluster(),
                upstream.name()
            ),
        });
    }
    let request = request(
        upstream.authority(),
        permit.caller(),
        permit.ask(),
        audit_id,
    )?;
    let response = timeout(upstream.deadlines().response, upstream.send(request))
        .await
        .map_err(|_| Refusal::UpstreamTimeout {
            cluster: upstream.name().to_owned(),
        })?
        .map_err(|inside| Refusal::UpstreamUnreachable {
            cluster: upstream.name().to_owned(),
            inside,
        })?;
    checked(upstream.name(), response)
}

/// The next bytes of an answer that is read before anything of it is released; `None` at its
/// end. The cluster may take as long for each piece as for the head: nobody can hang up on a
/// change that is seen through to its end.
///
/// # Errors
/// [`Refusal::UpstreamUnreachable`] when the answer breaks off, [`Refusal::UpstreamTimeout`]
/// when it stops.
pub async fn next_piece(
    upstream: &Upstream,
    answer: &mut Incoming,
) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = timeout(upstream.deadlines().response, answer.frame())
            .await
            .map_err(|_| Refusal::UpstreamTimeout {
                cluster: upstream.name().to_owned(),
            })?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(broken(upstream.name(), &error)),
            // Trailers carry nothing for us.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// An answer of this cluster that broke off.
pub fn broken(cluster: &str, error: &hyper::Error) -> Refusal {
    Refusal::UpstreamUnreachable {
        cluster: cluster.to_owned(),
        inside: format!("the answer broke off: {error}"),
    }
}

fn checked(cluster: &str, response: Response<Incoming>) -> Result<Response<Incoming>, Refusal> {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Err(Refusal::UpstreamCredential {
            cluster: cluster.to_owned(),
            inside: "the API server answered 401 to the gate's own credential: renew it in the \
                     kubeconfig, which is then read again"
                .to_owned(),
        });
    }
    if status.is_informational() || (status.is_redirection() && status != StatusCode::NOT_MODIFIED)
    {
        return Err(Refusal::Unmaskable {
            what: "the cluster answered with an upgrade or a redirect",
            inside: format!("status {status} from {cluster:?}"),
        });
    }
    Ok(response)
}

/// The one builder of upstream requests: identity first, and nothing from the client.
fn request(
    authority: &Authority,
    caller: &Caller,
    ask: &Ask,
    audit_id: Uuid,
) -> Result<Request<Full<Bytes>>, Refusal> {
    let mut target = String::with_capacity(ask.info().path.len() + ask.query().len() + 1);
    target.push_str(&ask.info().path);
    if !ask.query().is_empty() {
        target.push('?');
        target.push_str(ask.query());
    }
    let uri = Uri::builder()
        .scheme(authority.scheme.clone())
        .authority(authority.authority.clone())
        .path_and_query(target)
        .build()
        .map_err(|error| internal("upstream URI", &error))?;
    let mut request = Request::new(Full::new(ask.sent_body().clone()));
    *request.method_mut() = ask.method().clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(HOST, authority.host.clone());
    impersonate(headers, caller)?;
    headers.insert(AUDIT_ID, value(&audit_id.to_string())?);
    headers.insert(ACCEPT, value(ask.accept())?);
    if !ask.user_agent().is_empty() {
        headers.insert(USER_AGENT, value(ask.user_agent())?);
    }
    if let Some(content_type) = ask.sent_content_type() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Ok(request)
}

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");
const IMPERSONATE_GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const IMPERSONATE_UID: HeaderName = HeaderName::from_static("impersonate-uid");

/// An empty name would make the API server run the request as the gate itself, so it is
/// checked once more here, where it would do the harm.
fn impersonate(headers: &mut http::HeaderMap, caller: &Caller) -> Result<(), Refusal> {
    if caller.agent().is_empty() {
        return Err(Refusal::Internal {
            inside: "a caller without a name".to_owned(),
        });
    }
    headers.insert(IMPERSONATE_USER, value(caller.agent())?);
    for group in caller.groups() {
        headers.append(IMPERSONATE_GROUP, value(group)?);
    }
    if let Some(uid) = caller.uid() {
        headers.insert(IMPERSONATE_UID, value(uid)?);
    }
    if let Some(principal) = caller.principal() {
        headers.append(extra_header(PRINCIPAL_EXTRA)?, value(principal)?);
    }
    for (key, values) in caller.extra() {
        if key == PRINCIPAL_EXTRA {
            continue; // only the proven principal may stand there
        }
        let name = extra_header(key)?;
        for item in values {
            headers.append(name.clone(), value(item)?);
        }
    }
    Ok(())
}

/// `Impersonate-Extra-<key>`, percent-encoded outside RFC 7230 token characters and `%`.
fn extra_header(key: &str) -> Result<HeaderName, Refusal> {
    let mut name = String::from("impersonate-extra-");
    for byte in key.to_ascii_lowercase().bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    HeaderName::from_bytes(name.as_bytes()).map_err(|error| internal("extra key", &error))
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text)
        .or_else(|_| HeaderValue::from_bytes(text.as_bytes()))
        .map_err(|error| internal("header value", &error))
}

fn internal(what: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Internal {
        inside: format!("{what}: {error}"),
    }
}

/// Where a cluster lives: fixed by configuration, never by a request.
#[derive(Debug, Clone)]
pub struct Authority {
    scheme: http::uri::Scheme,
    authority: http::uri::Authority,
    host: HeaderValue,
}
