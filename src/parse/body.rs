//! Bodies: from bytes and content type to the tree that is judged, and from that tree
//! to the bytes that go upstream. What cannot be read in one way is refused.
//!
//! It says nothing about what a body means for policy: that is `facts`.

use super::node::Node;
use super::{RequestInfo, json, malformed, not_understood, protobuf, shown, yaml};
use crate::refusal::Refusal;

/// The API server's own limit, in bytes.
pub(super) const MAX_BODY: usize = 3 * 1024 * 1024;
/// The API server's own limit on JSON Patch.
const MAX_OPERATIONS: usize = 10_000;

/// How a body is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Yaml,
    Protobuf,
    JsonPatch,
    MergePatch,
    StrategicPatch,
    ApplyPatch,
    /// One that the gate does not read, as it came.
    Unknown(String),
}

impl Media {
    /// From the header of a request with this verb; parameters mean nothing to the API
    /// server. Absent is JSON, save for patches, which the API server refuses then.
    pub(super) fn of(content_type: Option<&str>, verb: &str) -> Self {
        let header = content_type.unwrap_or("application/json");
        let essence = header
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match (&*essence, verb) {
            ("application/json", verb) if verb != "patch" => Media::Json,
            ("application/yaml", verb) if verb != "patch" => Media::Yaml,
            ("application/vnd.kubernetes.protobuf", verb) if verb != "patch" => Media::Protobuf,
            ("application/json-patch+json", "patch") => Media::JsonPatch,
            ("application/merge-patch+json", "patch") => Media::MergePatch,
            ("application/strategic-merge-patch+json", "patch") => Media::StrategicPatch,
            ("application/apply-patch+yaml", "patch") => Media::ApplyPatch,
            _ => Media::Unknown(content_type.unwrap_or("(none)").chars().take(100).collect()),
        }
    }

    /// The content type that goes upstream.
    pub(super) fn upstream(&self) -> &'static str {
        match self {
            Media::Json | Media::Yaml | Media::Protobuf | Media::Unknown(_) => "application/json",
            Media::JsonPatch => "application/json-patch+json",
            Media::MergePatch => "application/merge-patch+json",
            Media::StrategicPatch => "application/strategic-merge-patch+json",
            Media::ApplyPatch => "application/apply-patch+yaml",
        }
    }
}

/// Reads and checks a body that is not empty.
pub(super) fn read(media: &Media, body: &[u8], info: &RequestInfo) -> Result<Node, Refusal> {
    let tree = match media {
        Media::Unknown(media_type) => {
            return Err(Refusal::UnsupportedMediaType {
                media_type: media_type.clone(),
            });
        }
        // JSON is almost YAML. Who sends an object in braces means JSON, and has it read
        // as such; flow mappings that are not JSON are left to the YAML reader.
        Media::Yaml | Media::ApplyPatch if body.trim_ascii_start().starts_with(b"{") => {
            json::parse(body).or_else(|_| yaml::parse(body))?
        }
        Media::Yaml | Media::ApplyPatch => yaml::parse(body)?,
        Media::Protobuf => protobuf::parse(body)?,
        Media::Json | Media::JsonPatch | Media::MergePatch | Media::StrategicPatch => {
            json::parse(body)?
        }
    };
    match (media, &tree) {
        (Media::JsonPatch, Node::Array(operations)) => json_patch(operations, info)?,
        (Media::JsonPatch, _) => return Err(malformed("a JSON Patch is an array of operations")),
        (_, Node::Object(_)) => kind(&tree, media)?,
        _ => return Err(malformed("the body is not an object: send one API object")),
    }
    Ok(tree)
}

/// The API server finds kind and apiVersion in any letter case (Go's `encoding/json`),
/// everything else only as it is spelled; so only the one spelling is accepted.
fn kind(tree: &Node, media: &Media) -> Result<(), Refusal> {
    for (key, _) in tree.entries() {
        let folded: String = key
            .chars()
            .map(|character| match character {
                // Go folds the Kelvin sign and the long s as well.
                '\u{212a}' => 'k',
                '\u{17f}' => 's',
                other => other.to_ascii_lowercase(),
            })
            .collect();
        let exact = match &*folded {
            "kind" => "kind",
            "apiversion" => "apiVersion",
            _ => continue,
        };
        if &**key != exact {
            return Err(malformed(format!(
                "the field {} is spelled {exact}",
                shown(key)
            )));
        }
    }
    let list = tree.get("kind").and_then(Node::as_str) == Some("List");
    if list && matches!(media, Media::Json | Media::Yaml | Media::Protobuf) {
        return Err(malformed(
            "the body is a List of objects: send each object in a request of its own",
        ));
    }
    Ok(())
}

/// RFC 6902, without the fields it tells readers to ignore.
fn json_patch(operations: &[Node], info: &RequestInfo) -> Result<(), Refusal> {
    if operations.len() > MAX_OPERATIONS {
        return Err(malformed(format!(
            "more than {MAX_OPERATIONS} operations in a JSON Patch"
        )));
    }
    let secret = info.resource == "secrets" && info.api_group.is_empty();
    for (at, operation) in operations.iter().enumerate() {
        let bad = |what: &str| malformed(format!("operation {at} of the JSON Patch {what}"));
        if !matches!(operation, Node::Object(_)) {
            return Err(bad("is not an object"));
        }
        let text = |key: &str| operation.get(key).and_then(Node::as_str);
        let op = text("op").ok_or_else(|| bad("has no \"op\""))?;
        let second = match op {
            "add" | "replace" | "test" => "value",
            "copy" | "move" => "from",
            "remove" => "path",
            other => return Err(bad(&format!("has the unknown op {}", shown(other)))),
        };
        if operation.get(second).is_none() {
            return Err(bad(&format!("has no \"{second}\"")));
        }
        for (key, _) in operation.entries() {
            if !matches!(&**key, "op" | "path") && &**key != second {
                return Err(bad(&format!(
                    "has {}, which means nothing for {op}",
                    shown(key)
                )));
            }
        }
        for key in ["path", "from"] {
            let pointer = text(key);
            let wanted = key == "path" || second == "from";
            if wanted && !pointer.is_some_and(is_pointer) {
                return Err(bad(&format!("has no JSON Pointer in \"{key}\" (RFC 6901)")));
            }
        }
        if secret && matches!(op, "test" | "copy" | "move") {
            return Err(not_understood(format!(
                "a JSON Patch with \"{op}\" on a Secret, which would reveal or spread masked \
                 values: use add, replace and remove, or a merge patch"
            )));
        }
    }
    Ok(())
}

/// RFC 6901: empty, or `/` and tokens in which `~` is escaped.
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/'))
        && text
            .split('~')
            .skip(1)
            .all(|rest| rest.starts_with(['0', '1']))
}

/// Whether a DELETE with this body is a dry run. A body makes the API server ignore the
/// options in the query; so they must say the same or not be there.
pub(super) fn delete_dry_run(
    tree: &Node,
    in_query: &[(&'static str, String)],
) -> Result<bool, Refusal> {
    for (name, value) in in_query {
        let same = match tree.get(name) {
            Some(Node::Array(items)) => {
                matches!(&**items, [Node::String(only)] if **only == **value)
            }
            Some(Node::Bool(truth)) => truth.to_string() == *value,
            Some(Node::Number(text) | Node::String(text)) => **text == **value,
            _ => false,
        };
        if !same {
            return Err(malformed(format!(
                "`{name}` is in the query of a DELETE whose body does not say the same: the API \
                 server would ignore the query, so put it into the body"
            )));
        }
    }
    match tree.get("dryRun") {
        None | Some(Node::Null) => Ok(false),
        Some(Node::Array(items)) if items.is_empty() => Ok(false),
        Some(Node::Array(items)) if matches!(&**items, [item] if item.as_str() == Some("All")) => {
            Ok(true)
        }
        Some(_) => Err(malformed(
            "dryRun in the body is not [\"All\"]: correct it or leave it out",
        )),
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

    fn info(method: &Method, path: &str) -> RequestInfo {
        super::super::path::parse(method, path).unwrap()
    }

    fn patch(path: &str, body: &str) -> Result<Node, String> {
        read(
            &Media::JsonPatch,
            body.as_bytes(),
            &info(&Method::PATCH, path),
        )
        .map_err(sentence)
    }

    fn sentence(refusal: Refusal) -> String {
        match refusal {
            Refusal::Malformed { what } | Refusal::NotUnderstood { what } => what,
            other => panic!("{other:?}"),
        }
    }

    const POD: &str = "/api/v1/namespaces/f/pods/p";

    #[test]
    fn content_types() {
        for (header, verb, expected) in [
            (None, "create", Media::Json),
            (Some("application/json"), "create", Media::Json),
            (
                Some("Application/JSON ; charset=utf-8"),
                "update",
                Media::Json,
            ),
            (Some("application/yaml"), "delete", Media::Yaml),
            (
                Some("application/json-patch+json"),
                "patch",
                Media::JsonPatch,
            ),
            (
                Some("application/merge-patch+json;charset=utf-8"),
                "patch",
                Media::MergePatch,
            ),
            (
                Some("application/strategic-merge-patch+json"),
                "patch",
                Media::StrategicPatch,
            ),
            (
                Some("application/apply-patch+yaml"),
                "patch",
                Media::ApplyPatch,
            ),
            (
                Some("application/vnd.kubernetes.protobuf"),
                "delete",
                Media::Protobuf,
            ),
        ] {
            assert_eq!(Media::of(header, verb), expected, "{header:?}");
        }
        for (header, verb) in [
            (Some("application/vnd.kubernetes.protobuf"), "patch"),
            (Some("application/cbor"), "create"),
            (Some("text/plain"), "create"),
            (Some(""), "create"),
            (Some("application/apply-patch+cbor"), "patch"),
            (Some("application/json"), "patch"),
            (Some("application/yaml"), "patch"),
            (Some("application/merge-patch+json"), "update"),
            (None, "patch"),
        ] {
            let media = Media::of(header, verb);
            let got = read(&media, b"{}", &info(&Method::PATCH, POD));
            assert!(
                matches!(got, Err(Refusal::UnsupportedMediaType { .. })),
                "{header:?}"
            );
        }
    }

    #[test]
    fn bodies_are_single_objects() {
        let info = info(&Method::POST, "/api/v1/namespaces/f/pods");
        for (media, body, expected) in [
            (Media::Json, "[]", "not an object"),
            (Media::Json, "1", "not an object"),
            (
                Media::Json,
                r#"{"kind":"List","apiVersion":"v1","items":[]}"#,
                "List",
            ),
            (Media::Yaml, "kind: List", "List"),
            (Media::Json, r#"{"Kind":"Pod"}"#, "spelled kind"),
            (Media::Json, "{\"\u{212a}ind\":\"Pod\"}", "spelled kind"),
            (
                Media::Json,
                "{\"apiVer\u{17f}ion\":\"v1\"}",
                "spelled apiVersion",
            ),
            (Media::ApplyPatch, "- a", "not an object"),
            (Media::JsonPatch, "{}", "array"),
        ] {
            let got = sentence(read(&media, body.as_bytes(), &info).unwrap_err());
            assert!(got.contains(expected), "{body}: {got}");
        }
        for (media, body) in [
            (Media::Json, r#"{"kind":"Pod"}"#),
            (Media::Json, "{}"),
            (Media::Yaml, "kind: Pod"),
            (Media::Yaml, "{kind: Pod}"),
            (Media::ApplyPatch, "{\"kind\": \"Pod\", \"x\": 1e3}"),
            (Media::MergePatch, r#"{"metadata":{"labels":null}}"#),
        ] {
            assert!(read(&media, body.as_bytes(), &info).is_ok(), "{body}");
        }
    }

    #[test]
    fn json_patches_are_checked_operation_by_operation() {
        for good in [
            "[]",
            r#"[{"op":"add","path":"/a/b~1c~0","value":null}]"#,
            r#"[{"op":"remove","path":"/a"},{"op":"test","path":"","value":1}]"#,
            r#"[{"op":"move","from":"/a","path":"/b"}]"#,
        ] {
            assert!(patch(POD, good).is_ok(), "{good}");
        }
        for (bad, expected) in [
            (r#"[1]"#, "not an object"),
            (r#"[{"path":"/a"}]"#, "no \"op\""),
            (r#"[{"op":"ADD","path":"/a","value":1}]"#, "unknown op"),
            (r#"[{"op":"add","path":"/a"}]"#, "no \"value\""),
            (r#"[{"op":"copy","path":"/a"}]"#, "no \"from\""),
            (r#"[{"op":"remove"}]"#, "no \"path\""),
            (r#"[{"op":"remove","path":"a"}]"#, "Pointer"),
            (r#"[{"op":"remove","path":"/a~2"}]"#, "Pointer"),
            (r#"[{"op":"remove","path":"/a~"}]"#, "Pointer"),
            (r#"[{"op":"remove","path":1}]"#, "Pointer"),
            (r#"[{"op":"copy","path":"/a","from":"b"}]"#, "Pointer"),
            (
                r#"[{"op":"remove","path":"/a","value":1}]"#,
                "means nothing",
            ),
            (
                r#"[{"op":"add","path":"/a","value":1,"Op":"test"}]"#,
                "means nothing",
            ),
        ] {
            let got = patch(POD, bad).unwrap_err();
            assert!(got.contains(expected), "{bad}: {got}");
        }
        let many = |operations: usize| {
            let operation = r#"{"op":"remove","path":"/a"}"#;
            patch(POD, &format!("[{}]", vec![operation; operations].join(",")))
        };
        assert!(many(10_000).is_ok());
        assert!(many(10_001).unwrap_err().contains("more than"));
    }

    #[test]
    fn threat_18_json_patch_is_no_oracle_on_secrets() {
        let secret = "/api/v1/namespaces/f/secrets/s";
        for body in [
            r#"[{"op":"test","path":"/data/a","value":"eA=="}]"#,
            r#"[{"op":"copy","from":"/data/a","path":"/metadata/labels/a"}]"#,
            r#"[{"op":"move","from":"/data/a","path":"/metadata/annotations/a"}]"#,
        ] {
            assert!(
                patch(secret, body).unwrap_err().contains("masked"),
                "{body}"
            );
            assert!(patch("/apis/x.io/v1/namespaces/f/secrets/s", body).is_ok());
        }
        assert!(patch(secret, r#"[{"op":"remove","path":"/data/a"}]"#).is_ok());
    }
}
