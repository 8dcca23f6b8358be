//! Part of ⑦ mask: what kind of answer an ask gets, known before it is sent.
//!
//! It looks at the ask alone, never at an answer. What it does not know how to mask it
//! names so, and nothing of that kind is passed on.

use std::sync::Arc;

use http::Method;

use super::fields::{ANY, SECRET, SECRET_BODY, SECRET_PATCH, Shape, TOKEN};
use super::paths::Paths;
use super::rules::{Masking, Masks};
use crate::identify::Caller;
use crate::parse::{Ask, RequestInfo};
use crate::refusal::Refusal;

/// What kind of answer an ask gets, hence how it is masked.
#[derive(Clone)]
pub struct Plan {
    pub(super) answer: Answer,
    pub(super) masking: Arc<Masking>,
    /// The answer has no body, whatever its headers say (`HEAD`).
    pub(super) bodiless: bool,
    /// The client takes the answer in gzip.
    gzip: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// One JSON document, or, for a watch, one after the other.
    Documents { shape: &'static Shape, watch: bool },
    /// Text, line by line; `follow`: without an end.
    Lines { follow: bool },
    /// A public document of the API server that holds nothing of any tenant.
    Public,
    /// What a process in a container writes, channel by channel: no answer of its own.
    Output,
    /// Nothing that the gate could mask.
    Unmaskable(&'static str),
}

impl Plan {
    /// The plan for the answer to what `caller` asks.
    ///
    /// # Errors
    /// [`Refusal::Denied`] by a mask rule if it selects objects by what the rule hides: which
    /// objects match would tell who guesses.
    pub fn new(masks: &Arc<Masks>, caller: &Caller, ask: &Ask) -> Result<Self, Refusal> {
        let masking = Arc::new(Masking::of(masks, caller, ask));
        if let Some(rule) = masking
            .paths
            .as_ref()
            .and_then(|paths| selected(paths, ask.query()))
        {
            return Err(masking.denies_selection(rule));
        }
        let mut plan = Self::of(ask.info(), ask.method(), masking);
        plan.gzip = ask.takes_gzip();
        if let Answer::Lines { follow } = &mut plan.answer {
            *follow = ask.query().split('&').any(|pair| pair == "follow=true");
        }
        Ok(plan)
    }

    /// Whether the gate can mask this kind of answer at all. To be asked before the request
    /// goes upstream: afterwards a refusal would come too late for a write.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`].
    pub fn check(&self) -> Result<(), Refusal> {
        let what = match self.answer {
            Answer::Documents { .. } | Answer::Lines { .. } | Answer::Public => return Ok(()),
            Answer::Output => CHANNEL,
            Answer::Unmaskable(what) => what,
        };
        Err(Refusal::Unmaskable {
            what,
            inside: "no answer to this kind of request can be masked".to_owned(),
        })
    }

    /// Whether the answer flows until either side ends it: a watch, or a log that is followed.
    pub fn is_endless(&self) -> bool {
        matches!(
            self.answer,
            Answer::Documents { watch: true, .. } | Answer::Lines { follow: true }
        )
    }

    /// Whether a long answer is packed: if the client takes gzip, and the answer has a body and
    /// an end. What waits to be packed must not keep an event, or a line of a log, from whoever
    /// watches.
    pub fn packs(&self) -> bool {
        self.gzip && !self.bodiless && !self.is_endless()
    }

    pub(super) fn of(info: &RequestInfo, method: &Method, masking: Arc<Masking>) -> Self {
        Self {
            answer: if info.is_resource {
                of_resource(info)
            } else {
                of_path(info)
            },
            bodiless: method == Method::HEAD,
            gzip: false,
            masking,
        }
    }
}

/// How the body of a request on `info` is masked for records and approvers.
pub(super) fn body_shape(info: &RequestInfo, patch: bool, masking: &Masking) -> &'static Shape {
    let shape = shape_of(info);
    let secret = std::ptr::eq(shape, &SECRET);
    // Where a JSON Patch names a field, no path of a rule leads there.
    match (secret, patch) {
        (true, true) => &SECRET_PATCH,
        (true, false) => &SECRET_BODY,
        (false, true) if masking.paths.is_some() => &SECRET_PATCH,
        (false, _) => shape,
    }
}

/// The rule that hides a field, or a label, by which the query selects.
fn selected(paths: &Paths, query: &str) -> Option<usize> {
    url::form_urlencoded::parse(query.as_bytes()).find_map(|(name, selector)| {
        let labels = match &*name {
            "fieldSelector" => false,
            "labelSelector" => true,
            _ => return None,
        };
        selector.split(',').find_map(|term| {
            let term = term.trim_start_matches(['!', ' ']);
            let end = term.find(['=', '!', ' ', '(', '<', '>']);
            let key = term.get(..end.unwrap_or(term.len())).unwrap_or_default();
            match labels {
                true => paths.hides(&["metadata", "labels", key]),
                false => paths.hides(&key.split('.').collect::<Vec<_>>()),
            }
        })
    })
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
        "log" => Answer::Lines { follow: false },
        "exec" | "attach" => Answer::Output,
        "portforward" | "proxy" => Answer::Unmaskable(CHANNEL),
        _ => Answer::Documents {
            shape: shape_of(info),
            watch: info.verb == "watch",
        },
    }
}

/// How an error is masked: its message may hold the value of a field that a rule names.
pub(super) fn of_error(shape: &'static Shape, masking: &Masking) -> &'static Shape {
    match masking.paths {
        Some(_) => &SECRET,
        None => shape,
    }
}

/// How errors are masked where the answer itself is not JSON.
pub(super) fn errors() -> &'static Shape {
    &ANY
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
