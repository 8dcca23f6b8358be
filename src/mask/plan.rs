//! Part of ⑦ mask: what kind of answer an ask gets, known before it is sent.
//!
//! It looks at the ask alone, never at an answer. What it does not know how to mask it
//! names so, and nothing of that kind is passed on.

use http::Method;

use super::fields::{ANY, SECRET, SECRET_BODY, SECRET_PATCH, Shape, TOKEN};
use crate::parse::{Ask, RequestInfo};
use crate::refusal::Refusal;

/// What kind of answer an ask gets, hence how it is masked.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub(super) answer: Answer,
    /// The answer has no body, whatever its headers say (`HEAD`).
    pub(super) bodiless: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// One JSON document, or, for a watch, one after the other.
    Documents { shape: &'static Shape, watch: bool },
    /// A public document of the API server that holds nothing of any tenant.
    Public,
    /// Nothing that the gate could mask.
    Unmaskable(&'static str),
}

impl Plan {
    /// The plan for the answer to `ask`.
    pub fn for_ask(ask: &Ask) -> Self {
        Self::of(ask.info(), ask.method())
    }

    /// Whether the gate can mask this kind of answer at all. To be asked before the request
    /// goes upstream: afterwards a refusal would come too late for a write.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`].
    pub fn check(&self) -> Result<(), Refusal> {
        match self.answer {
            Answer::Unmaskable(what) => Err(Refusal::Unmaskable {
                what,
                inside: "no answer to this kind of request can be masked".to_owned(),
            }),
            Answer::Documents { .. } | Answer::Public => Ok(()),
        }
    }

    /// Whether the answer is a watch, which flows until either side ends it.
    pub fn is_watch(&self) -> bool {
        matches!(self.answer, Answer::Documents { watch: true, .. })
    }

    pub(super) fn of(info: &RequestInfo, method: &Method) -> Self {
        Self {
            answer: if info.is_resource {
                of_resource(info)
            } else {
                of_path(info)
            },
            bodiless: method == Method::HEAD,
        }
    }
}

/// How the body of a request on `info` is masked for records and approvers.
pub(super) fn body_shape(info: &RequestInfo, content_type: Option<&str>) -> &'static Shape {
    let shape = shape_of(info);
    if !std::ptr::eq(shape, &SECRET) {
        return shape;
    }
    let patch = content_type.is_some_and(|t| is_media_type(t, "application/json-patch+json"));
    if patch { &SECRET_PATCH } else { &SECRET_BODY }
}

/// Whether `content_type`, without its parameters, is `media_type`.
pub(super) fn is_media_type(content_type: &str, media_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(media_type)
}

/// Whether a public document may have this content type.
pub(super) fn is_public_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let known = [
        "application/json",
        "application/jwk-set+json",
        "application/vnd.kubernetes.protobuf",
        "text/plain",
    ];
    known.iter().any(|t| essence.eq_ignore_ascii_case(t))
        || (essence.starts_with("application/com.github.proto-openapi.spec.")
            && essence.ends_with("+protobuf"))
}

const CHANNEL: &str = "a channel into a pod, service or node cannot be masked yet";

fn of_resource(info: &RequestInfo) -> Answer {
    if info.verb == "proxy" {
        return Answer::Unmaskable(CHANNEL);
    }
    match info.subresource.as_str() {
        "log" => Answer::Unmaskable("logs cannot be masked yet"),
        "exec" | "attach" | "portforward" | "proxy" => Answer::Unmaskable(CHANNEL),
        _ => Answer::Documents {
            shape: shape_of(info),
            watch: info.verb == "watch",
        },
    }
}

fn shape_of(info: &RequestInfo) -> &'static Shape {
    let (group, resource) = (info.api_group.as_str(), info.resource.as_str());
    match (group, resource, info.subresource.as_str()) {
        ("", "secrets", _) => &SECRET,
        ("", "serviceaccounts", "token") | ("authentication.k8s.io", "tokenreviews", _) => &TOKEN,
        _ => &ANY,
    }
}

fn of_path(info: &RequestInfo) -> Answer {
    let whole = [
        "/version",
        "/version/",
        "/openapi/v2",
        "/.well-known/openid-configuration",
        "/openid/v1/jwks",
    ];
    let trees = [
        "/api",
        "/apis",
        "/openapi/v3",
        "/healthz",
        "/livez",
        "/readyz",
    ];
    let path = info.path.as_str();
    let in_tree = |tree: &&str| {
        path.strip_prefix(*tree)
            .is_some_and(|tail| tail.is_empty() || tail.starts_with('/'))
    };
    if matches!(info.verb, "get" | "head") && (whole.contains(&path) || trees.iter().any(in_tree)) {
        return Answer::Public;
    }
    Answer::Unmaskable("this path is not among the API server's public documents")
}
