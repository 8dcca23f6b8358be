//! JSON Patch as a row of partial objects: each operation says one thing at one place.
//! Part of `facts`.
//!
//! What is moved or copied is known to the API server alone. Removals are partial objects
//! with a null, like those of a merge patch.

use super::found::{About, Found};
use crate::parse::Node;
use crate::parse::node::MAX_DEPTH;

/// One operation: where, and the partial object.
pub(super) struct Operation<'a> {
    pub pointer: &'a str,
    pub object: Node,
}

/// The operations that say what they do; notes the others.
pub(super) fn operations<'a>(
    patch: &'a Node,
    found: &mut Found,
) -> impl Iterator<Item = Operation<'a>> + use<'a> {
    let text = |operation: &'a Node, key: &str| {
        let value = operation.get(key).and_then(Node::as_str);
        value.unwrap_or_default()
    };
    let mut told = Vec::new();
    for operation in patch.items() {
        let (op, pointer) = (text(operation, "op"), text(operation, "path"));
        let value = match op {
            "add" | "replace" => operation.get("value").unwrap_or(&Node::Null),
            "remove" => &Node::Null,
            "test" => continue,
            _ => {
                unclear(pointer, op, found);
                if op == "move" {
                    told.push((text(operation, "from"), &Node::Null));
                }
                continue;
            }
        };
        if pointer.matches('/').count() > MAX_DEPTH {
            unclear(pointer, op, found);
        } else {
            told.push((pointer, value));
        }
    }
    told.into_iter().map(|(pointer, value)| Operation {
        pointer,
        object: object_at(pointer, value),
    })
}

fn unclear(pointer: &str, op: &str, found: &mut Found) {
    // Labels say nothing of pods.
    let harmless = match found.facts.about {
        About::Pods => pointer.starts_with("/metadata/labels/"),
        About::Nothing => true,
        _ => false,
    };
    if !harmless {
        found.note(|facts| &mut facts.unclear, pointer.to_owned(), op);
    }
}

/// Wraps a value into what a pointer says of its surroundings. Numbers and `-` are taken
/// for places in a list.
fn object_at(pointer: &str, value: &Node) -> Node {
    let tokens = pointer.split('/').skip(1);
    tokens
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .fold(value.clone(), |inner, token| {
            let number = token.strip_prefix('-').unwrap_or(token);
            if number.bytes().all(|byte| byte.is_ascii_digit()) && !token.is_empty() {
                return Node::Array(vec![inner]);
            }
            let key = token.replace("~1", "/").replace("~0", "~");
            Node::Object(vec![(key.into_boxed_str(), inner)])
        })
}
