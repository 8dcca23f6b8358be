//! The tree that both JSON and YAML bodies become: what is judged is what is sent.
//!
//! Numbers keep their text, objects keep their order and hold no key twice. This part
//! reads nothing; `json` and `yaml` build the tree, `body` and `facts` look at it.

/// How deep a body may nest.
pub(super) const MAX_DEPTH: usize = 100;
/// How many values a body may hold: bounds the memory that 3 MiB of `[[],[],…` can take.
pub(super) const MAX_NODES: usize = 400_000;

/// One value of a request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as its JSON text.
    Number(Box<str>),
    /// A string, unescaped.
    String(Box<str>),
    /// An array.
    Array(Vec<Node>),
    /// An object, in the order in which it came; no key twice.
    Object(Vec<(Box<str>, Node)>),
}

impl Node {
    /// The value of an object's key; none for other kinds of node.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|(name, _)| &**name == key)
            .map(|(_, value)| value)
    }

    /// Walks keys, or indices of arrays in decimal: `["spec", "containers", "0"]`.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match node {
            Node::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => node.get(step),
        })
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Node::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number's JSON text, if it is one.
    pub fn as_number(&self) -> Option<&str> {
        match self {
            Node::Number(text) => Some(text),
            _ => None,
        }
    }

    /// The items of an array; empty for other kinds of node.
    pub fn items(&self) -> &[Node] {
        match self {
            Node::Array(items) => items,
            _ => &[],
        }
    }

    /// The entries of an object; empty for other kinds of node.
    pub fn entries(&self) -> &[(Box<str>, Node)] {
        match self {
            Node::Object(entries) => entries,
            _ => &[],
        }
    }

    /// Compact JSON that a JSON and a YAML parser read alike: characters that YAML
    /// forbids or folds (DEL, C1, NEL, line separators, BOM) are escaped.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = String::with_capacity(256);
        write(self, &mut out);
        out.into_bytes()
    }
}

/// The first key that an object holds for the second time.
pub(super) fn duplicate_key(entries: &[(Box<str>, Node)]) -> Option<&str> {
    if entries.len() <= 16 {
        return entries.iter().enumerate().find_map(|(at, (key, _))| {
            let earlier = entries.iter().take(at).any(|(other, _)| other == key);
            earlier.then_some(&**key)
        });
    }
    let mut seen = std::collections::HashSet::with_capacity(entries.len());
    entries
        .iter()
        .map(|(key, _)| &**key)
        .find(|key| !seen.insert(*key))
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(true) => out.push_str("true"),
        Node::Bool(false) => out.push_str("false"),
        Node::Number(text) => out.push_str(text),
        Node::String(text) => write_string(text, out),
        Node::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Node::Object(entries) => {
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
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

    #[test]
    fn accessors_walk_the_tree() {
        let tree = super::super::json::parse(br#"{"a":{"b":[1,"x",true,null]}}"#).unwrap();
        assert_eq!(tree.at(&["a", "b", "0"]).unwrap().as_number(), Some("1"));
        assert_eq!(tree.at(&["a", "b", "1"]).unwrap().as_str(), Some("x"));
        assert_eq!(tree.at(&["a", "b", "2"]).unwrap().as_bool(), Some(true));
        assert_eq!(tree.at(&["a", "b", "3"]), Some(&Node::Null));
        assert_eq!(tree.at(&["a", "b", "4"]), None);
        assert_eq!(tree.at(&["a", "c"]), None);
        assert_eq!(tree.get("a").unwrap().entries().len(), 1);
        assert_eq!(tree.at(&["a", "b"]).unwrap().items().len(), 4);
    }

    #[test]
    fn what_yaml_would_fold_or_refuse_is_escaped() {
        let text = "a\u{85}\u{2028}\u{2029}\u{7f}\u{feff}\u{ffff}\u{1}\"\\\n\r\té😀";
        let json = String::from_utf8(Node::String(text.into()).to_json()).unwrap();
        assert_eq!(
            json,
            "\"a\\u0085\\u2028\\u2029\\u007f\\ufeff\\uffff\\u0001\\\"\\\\\\n\\r\\té😀\""
        );
    }

    #[test]
    fn duplicates_are_found_in_small_and_large_objects() {
        for size in [2_usize, 16, 17, 60] {
            let mut entries: Vec<(Box<str>, Node)> = (0..size)
                .map(|n| (format!("k{n}").into_boxed_str(), Node::Null))
                .collect();
            assert_eq!(duplicate_key(&entries), None, "{size}");
            entries.push(("k1".into(), Node::Null));
            assert_eq!(duplicate_key(&entries), Some("k1"), "{size}");
        }
    }
}
