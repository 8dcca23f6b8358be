//! Facts: what a request means, for rules that do not care how it was said.
//!
//! Privilege is looked for at any depth and in any kind, so that every object that embeds
//! a pod is covered: workloads, custom resources, old API versions, patches of all sorts.
//! This part judges nothing; `decide` does.

use super::node::Node;
use super::{Facts, RequestInfo, body::Media};

/// How many places are reported.
const MAX_PLACES: usize = 20;

/// What can be known before the body.
pub(super) fn of_request(info: &RequestInfo, command: Vec<String>) -> Facts {
    let core = info.is_resource && info.api_group.is_empty();
    let streams = info.opens_stream() || info.subresource == "proxy";
    let ephemeral = info.subresource == "ephemeralcontainers" && !super::reads(info.verb);
    Facts {
        secrets: core && info.resource == "secrets",
        exec_like: streams || ephemeral,
        privileged: Vec::new(),
        exec_command: command,
    }
}

/// Where a body asks for privilege.
pub(super) fn privileged(media: &Media, tree: &Node, info: &RequestInfo) -> Vec<String> {
    let mut places = Vec::new();
    if *media == Media::JsonPatch {
        for operation in tree.items() {
            operation_asks(operation, info, &mut places);
        }
    } else {
        scan(tree, &mut String::new(), &mut places);
    }
    places
}

/// What the result of a write says, where its own bytes could only hint at it.
pub(super) fn add_of_result(facts: &mut Facts, result: &Node, _info: &RequestInfo) {
    facts.privileged.clear();
    scan(result, &mut String::new(), &mut facts.privileged);
}

/// Any field of this name that is true, whatever holds it.
fn scan(node: &Node, path: &mut String, places: &mut Vec<String>) {
    let length = path.len();
    for (key, value) in node.entries() {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        if key.eq_ignore_ascii_case("privileged") && value.as_bool() == Some(true) {
            report(path.clone(), places);
        }
        scan(value, path, places);
        path.truncate(length);
    }
    for (at, item) in node.items().iter().enumerate() {
        path.push_str(&format!("[{at}]"));
        scan(item, path, places);
        path.truncate(length);
    }
}

/// One operation of a JSON Patch: its value, the field it sets, and moves and copies, of
/// which only the API server knows what they carry.
fn operation_asks(operation: &Node, info: &RequestInfo, places: &mut Vec<String>) {
    let pointer = operation
        .get("path")
        .and_then(Node::as_str)
        .unwrap_or_default();
    let op = operation
        .get("op")
        .and_then(Node::as_str)
        .unwrap_or_default();
    match op {
        "add" | "replace" => {
            let Some(value) = operation.get("value") else {
                return;
            };
            let field = pointer.rsplit('/').next().unwrap_or_default();
            if field.eq_ignore_ascii_case("privileged") && value.as_bool() == Some(true) {
                report(pointer.to_owned(), places);
            }
            scan(value, &mut pointer.to_owned(), places);
        }
        // Metadata holds nothing but strings below its known fields.
        "copy" | "move" if may_embed_pod(info) && !pointer.starts_with("/metadata/") => {
            report(format!("{pointer} (by {op}: cannot be told)"), places);
        }
        _ => {}
    }
}

/// Everything may, save those kinds of the core group that do not.
fn may_embed_pod(info: &RequestInfo) -> bool {
    !info.api_group.is_empty()
        || matches!(
            &*info.resource,
            "pods" | "podtemplates" | "replicationcontrollers"
        )
}

fn report(mut place: String, places: &mut Vec<String>) {
    if places.len() < MAX_PLACES {
        if place.len() > 300 {
            place = place.chars().take(300).collect();
        }
        places.push(place);
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;
    use http::Method;

    fn info(method: &str, path: &str) -> RequestInfo {
        super::super::path::parse(&method.parse::<Method>().unwrap(), path).unwrap()
    }

    fn places(media: Media, path: &str, body: &str) -> Vec<String> {
        let tree = super::super::json::parse(body.as_bytes()).unwrap();
        privileged(&media, &tree, &info("PATCH", path))
    }

    const POD: &str = "/api/v1/namespaces/f/pods/p";

    #[test]
    fn secrets_and_streams() {
        for (method, path, secrets, exec_like) in [
            ("GET", "/api/v1/secrets", true, false),
            ("DELETE", "/api/v1/namespaces/f/secrets/s", true, false),
            ("GET", "/apis/x.io/v1/secrets", false, false),
            ("GET", "/api/v1/namespaces/secrets/pods", false, false),
            ("GET", POD, false, false),
            ("GET", "/api/v1/namespaces/f/pods/p/exec", false, true),
            ("POST", "/api/v1/namespaces/f/pods/p/attach", false, true),
            (
                "POST",
                "/api/v1/namespaces/f/pods/p/portforward",
                false,
                true,
            ),
            ("GET", "/api/v1/namespaces/f/pods/p/proxy", false, true),
            ("GET", "/api/v1/nodes/n/proxy/x", false, true),
            (
                "GET",
                "/api/v1/namespaces/f/services/s/proxy/x",
                false,
                true,
            ),
            (
                "PATCH",
                "/api/v1/namespaces/f/pods/p/ephemeralcontainers",
                false,
                true,
            ),
            (
                "GET",
                "/api/v1/namespaces/f/pods/p/ephemeralcontainers",
                false,
                false,
            ),
            ("GET", "/api/v1/namespaces/f/pods/p/log", false, false),
        ] {
            let facts = of_request(&info(method, path), Vec::new());
            assert_eq!(
                (facts.secrets, facts.exec_like),
                (secrets, exec_like),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn threat_14_privilege_is_found_in_every_embedder() {
        let pod = r#"{"containers":[{},{"securityContext":{"privileged":true}}]}"#;
        let inner = "containers[1].securityContext.privileged";
        for (body, expected) in [
            (format!(r#"{{"spec":{pod}}}"#), format!("spec.{inner}")),
            (
                format!(r#"{{"template":{{"spec":{pod}}}}}"#),
                format!("template.spec.{inner}"),
            ),
            (
                format!(r#"{{"spec":{{"template":{{"spec":{pod}}}}}}}"#),
                format!("spec.template.spec.{inner}"),
            ),
            (
                format!(
                    r#"{{"spec":{{"jobTemplate":{{"spec":{{"template":{{"spec":{pod}}}}}}}}}}}"#
                ),
                format!("spec.jobTemplate.spec.template.spec.{inner}"),
            ),
            (
                r#"{"spec":{"initContainers":[{"securityContext":{"privileged":true}}]}}"#
                    .to_owned(),
                "spec.initContainers[0].securityContext.privileged".to_owned(),
            ),
            (
                r#"{"spec":{"ephemeralContainers":[{"securityContext":{"privileged":true}}]}}"#
                    .to_owned(),
                "spec.ephemeralContainers[0].securityContext.privileged".to_owned(),
            ),
            (
                r#"{"spec":{"steps":[{"script":{"securityContext":{"privileged":true}}}]}}"#
                    .to_owned(),
                "spec.steps[0].script.securityContext.privileged".to_owned(),
            ),
            (
                format!(r#"{{"items":[{{"spec":{pod}}}]}}"#),
                format!("items[0].spec.{inner}"),
            ),
            (
                r#"{"a":{"Privileged":true}}"#.to_owned(),
                "a.Privileged".to_owned(),
            ),
        ] {
            for media in [
                Media::Json,
                Media::MergePatch,
                Media::StrategicPatch,
                Media::ApplyPatch,
            ] {
                assert_eq!(
                    places(media, POD, &body),
                    std::slice::from_ref(&expected),
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_privileged_is_not_reported() {
        for body in [
            r#"{"spec":{"containers":[{"securityContext":{"privileged":false}}]}}"#,
            r#"{"metadata":{"labels":{"privileged":"true"}}}"#,
            r#"{"data":{"privileged":"true"}}"#,
            r#"{"spec":{"containers":[{"securityContext":{"privileged":null}}]}}"#,
            r#"{"spec":{"unprivileged":true}}"#,
        ] {
            assert!(places(Media::Json, POD, body).is_empty(), "{body}");
        }
    }

    #[test]
    fn threat_14_json_patches_cannot_hide_it() {
        let deployment = "/apis/apps/v1/namespaces/f/deployments/d";
        for (path, body, expected) in [
            (
                POD,
                r#"[{"op":"add","path":"/spec/containers/0/securityContext","value":{}},
                    {"op":"add","path":"/spec/containers/0/securityContext/privileged","value":true}]"#,
                "/spec/containers/0/securityContext/privileged",
            ),
            (
                POD,
                r#"[{"op":"replace","path":"/spec/containers/0","value":{"securityContext":{"privileged":true}}}]"#,
                "/spec/containers/0.securityContext.privileged",
            ),
            (
                POD,
                r#"[{"op":"replace","path":"","value":{"privileged":true}}]"#,
                "privileged",
            ),
            (
                deployment,
                r#"[{"op":"copy","from":"/spec/x","path":"/spec/template/spec/containers/0/securityContext/privileged"}]"#,
                "/spec/template/spec/containers/0/securityContext/privileged (by copy: cannot be told)",
            ),
            (
                "/apis/x.io/v1/namespaces/f/things/t",
                r#"[{"op":"move","from":"/spec/a","path":"/spec/b"}]"#,
                "/spec/b (by move: cannot be told)",
            ),
        ] {
            assert_eq!(places(Media::JsonPatch, path, body), [expected], "{body}");
        }
        for (path, body) in [
            (
                POD,
                r#"[{"op":"copy","from":"/spec/nodeName","path":"/metadata/labels/n"}]"#,
            ),
            (
                POD,
                r#"[{"op":"test","path":"/x/privileged","value":true}]"#,
            ),
            (POD, r#"[{"op":"remove","path":"/x/privileged"}]"#),
            (
                POD,
                r#"[{"op":"add","path":"/x/privileged","value":false}]"#,
            ),
            (
                "/api/v1/namespaces/f/configmaps/c",
                r#"[{"op":"move","from":"/data/a","path":"/data/b"}]"#,
            ),
        ] {
            assert!(places(Media::JsonPatch, path, body).is_empty(), "{body}");
        }
    }

    #[test]
    fn reports_are_bounded() {
        let body = format!("[{}]", vec![r#"{"privileged":true}"#; 100].join(","));
        assert_eq!(
            places(Media::Json, POD, &format!("{{\"a\":{body}}}")).len(),
            MAX_PLACES
        );
    }
}
