//! Facts: what a request means, for rules that do not care how it was said.
//!
//! A whole object is judged as the API server will read it. Of a patch only a part of the
//! object is known: what it sets counts, and where it does not tell what comes out of it,
//! the facts say so (`unclear`, or a violation whose value is "a patch does not tell"), so
//! that a hold or deny rule stops it. The same code judges what a dry run answers.
//! This part decides nothing; `decide` does.

mod baseline;
mod control;
mod embed;
mod found;
mod image;
mod kinds;
mod patch;
mod pod;
mod rbac;
mod restricted;

use serde::Serialize;
use serde_json::{Map, Value};

pub use control::{Control, PodSecurity, Violation};
pub use embed::Embedders;
pub use found::{About, Finding, ObjectFacts, Rbac, ServiceAccount, Subject};
pub use image::Image;

use super::node::Node;
use super::{Old, RequestInfo, body::Media};
use crate::refusal::Refusal;
use found::Found;
pub(super) use rbac::grants;

/// What a request means, and its object. As JSON, the names that rules, records and people
/// see; each of them is always there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The request reads or writes Secrets.
    pub secrets: bool,
    /// The request runs something in, or opens a channel into, a running pod or node:
    /// exec, attach, portforward, proxy, ephemeral containers.
    pub exec_like: bool,
    /// The command of an exec, argument by argument; empty for everything else.
    pub exec_command: Vec<String>,
    /// The request asks for a credential that the API server itself accepts: a TokenRequest,
    /// or a Secret of a type that is filled with a token.
    pub mints_token: bool,
    /// The request deletes every object that a selector matches.
    pub deletes_collection: bool,
    /// How many objects that selector matches; 0 for everything else.
    pub deleted_objects: u64,
    /// The request deletes a Namespace and everything in it.
    pub deletes_namespace: bool,
    /// What the object means.
    #[serde(flatten)]
    pub object: ObjectFacts,
}

impl Facts {
    /// The facts that there are, for people: nothing that is false, zero or empty.
    pub fn shown(&self) -> Map<String, Value> {
        let Ok(Value::Object(facts)) = serde_json::to_value(self) else {
            return Map::new();
        };
        let says_something = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Number(number) => number.as_u64() != Some(0),
            Value::Array(items) => !items.is_empty(),
            Value::Object(entries) => entries
                .values()
                .any(|value| value.as_array().is_none_or(|items| !items.is_empty())),
            Value::Bool(true) | Value::String(_) => true,
        };
        facts
            .into_iter()
            .filter(|(_, value)| says_something(value))
            .collect()
    }

    /// What the object means, in place of what was known of it so far; what the request
    /// says by itself stays.
    pub(super) fn set_object(&mut self, info: &RequestInfo, object: ObjectFacts) {
        let mut types = object.secret_types.iter();
        self.mints_token =
            is_token_request(info) || types.any(|found| kinds::is_token(&found.value));
        self.object = object;
    }
}

/// What can be known before the body.
pub(super) fn of_request(info: &RequestInfo, command: Vec<String>) -> Facts {
    let core = info.is_resource && info.api_group.is_empty();
    let of = |resource: &str| core && info.resource == resource;
    let streams = info.opens_stream() || info.subresource == "proxy";
    let ephemeral = info.subresource == "ephemeralcontainers" && !super::reads(info.verb);
    let deletes = matches!(info.verb, "delete" | "deletecollection");
    Facts {
        secrets: of("secrets"),
        exec_like: streams || ephemeral,
        exec_command: command,
        mints_token: is_token_request(info),
        deletes_collection: info.is_resource && info.verb == "deletecollection",
        deleted_objects: 0,
        deletes_namespace: of("namespaces") && deletes,
        object: ObjectFacts::default(),
    }
}

fn is_token_request(info: &RequestInfo) -> bool {
    info.is_resource
        && info.api_group.is_empty()
        && info.resource == "serviceaccounts"
        && info.subresource == "token"
}

/// What a body means.
pub(super) fn of_body(
    info: &RequestInfo,
    media: &Media,
    tree: &Node,
    embedders: &Embedders,
) -> Result<ObjectFacts, Refusal> {
    // Their bodies are options.
    if matches!(info.verb, "delete" | "deletecollection") {
        return Ok(ObjectFacts::default());
    }
    let mut found = Found::new(About::of(info), info.verb == "patch");
    if *media == Media::JsonPatch {
        for operation in patch::operations(tree, &mut found) {
            found.at_pointer(operation.pointer);
            judge(
                info,
                &operation.object,
                &Old::Unknown,
                embedders,
                &mut found,
            );
        }
    } else {
        judge(info, tree, &Old::Unknown, embedders, &mut found);
    }
    found.finish()
}

/// What the result of a write means, together with what was there before.
///
/// # Errors
/// `NotUnderstood` if it has more to say than the gate judges at once.
pub(super) fn of_result(
    info: &RequestInfo,
    result: &Node,
    old: &Old,
    embedders: &Embedders,
) -> Result<ObjectFacts, Refusal> {
    let mut found = Found::new(About::of(info), false);
    judge(info, result, old, embedders, &mut found);
    let is_pod = info.api_group.is_empty() && info.resource == "pods";
    if is_pod && matches!(old, Old::Known(_)) {
        // No write changes the node or the volumes of a pod that is there: the scheduler chose
        // the one, the API server mounted its service account's token.
        found.facts.node_name.clear();
        found.facts.projected_tokens.clear();
    }
    found.finish()
}

impl About {
    /// What the objects of a request can be about.
    pub fn of(info: &RequestInfo) -> Self {
        match (&*info.api_group, &*info.resource) {
            _ if !info.is_resource => About::Nothing,
            ("rbac.authorization.k8s.io", _) => About::Rbac,
            ("", "services") => About::Services,
            ("", "namespaces") => About::Namespaces,
            ("", "secrets") => About::Secrets,
            (
                "admissionregistration.k8s.io" | "apiregistration.k8s.io" | "apiextensions.k8s.io",
                _,
            ) => About::Extensions,
            // A persistent volume can be a directory of a node.
            ("", "pods" | "podtemplates" | "replicationcontrollers" | "persistentvolumes") => {
                About::Pods
            }
            ("", _) => About::Nothing,
            _ => About::Pods,
        }
    }
}

/// Every fact of one object, or of each object of a list.
fn judge(info: &RequestInfo, object: &Node, old: &Old, embedders: &Embedders, found: &mut Found) {
    let kind = object
        .get("kind")
        .and_then(Node::as_str)
        .unwrap_or_default();
    let items = object.get("items").map(Node::items).unwrap_or_default();
    if kind.ends_with("List") && !items.is_empty() {
        for (at, item) in items.iter().enumerate() {
            let info = of_item(info, item);
            found.below(&format!("items[{at}]"), |found| {
                judge(&info, item, &Old::Unknown, embedders, found);
            });
        }
        return;
    }
    match About::of(info) {
        About::Rbac => rbac::judge(info, object, found),
        About::Services => kinds::service(info, object, found),
        About::Namespaces => kinds::namespace(info.verb, object, old, found),
        About::Secrets => kinds::secret(object, found),
        About::Extensions => kinds::extension(info, object, found),
        About::Pods | About::Nothing => {}
    }
    embed::judge(info, object, embedders, found);
}

/// What an item of a list would be in a request of its own.
fn of_item(info: &RequestInfo, item: &Node) -> RequestInfo {
    let text = |key: &str| item.get(key).and_then(Node::as_str);
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return info.clone();
    };
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    RequestInfo {
        api_group: group.to_owned(),
        api_version: version.to_owned(),
        // The plural of every built-in kind that is judged by its name.
        resource: format!("{}s", kind.to_ascii_lowercase()),
        ..info.clone()
    }
}

#[cfg(test)]
mod tests;
