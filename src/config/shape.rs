//! Holds a document against the JSON Schema of its type, and finds everything wrong with
//! its shape at once, where serde would stop at the first. Part of `config`.
//!
//! Knows what `schemars` writes for this crate's documents, no more. What it lets through
//! serde still reads strictly.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::diagnostic::{Diagnostic, nearest};
use super::node::{Kind, Node, Source};
use super::schema::schema_of;
use crate::decide::Period;

/// The `format` of a listen address.
pub(super) const SOCKET_ADDRESS: &str = "socket-address";

/// Reads a document as a `T`, or notes everything that is wrong with its shape.
pub(super) fn typed<T: JsonSchema + DeserializeOwned>(
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Option<T> {
    let schema = schema_of::<T>();
    let mut found = Vec::new();
    let mut shape = Shape {
        source,
        schema: &schema,
        found: &mut found,
    };
    shape.check(&schema, &source.root, "");
    if found.is_empty() {
        match serde_json::from_value(source.root.value()) {
            Ok(document) => return Some(document),
            Err(error) => found.push(source.problem("", error.to_string(), None)),
        }
    }
    problems.append(&mut found);
    None
}

struct Shape<'a> {
    source: &'a Source,
    /// The whole schema, in which references point.
    schema: &'a Value,
    found: &'a mut Vec<Diagnostic>,
}

impl Shape<'_> {
    fn problem(&mut self, node: &Node, path: &str, message: String, suggestion: Option<String>) {
        self.found.push(
            self.source
                .problem_at(node.place, path, message, suggestion),
        );
    }

    fn check(&mut self, schema: &Value, node: &Node, path: &str) {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.schema.pointer(target.trim_start_matches('#'))
        {
            let target = target.clone();
            self.check(&target, node, path);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(choices) = schema.get(keyword).and_then(Value::as_array) {
                self.choose(choices, node, path);
            }
        }
        if !self.has_type(schema, node, path) {
            return;
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            self.one_of(words.iter().collect(), node, path);
        } else if let Some(word) = schema.get("const") {
            self.one_of(vec![word], node, path);
        }
        match &node.kind {
            Kind::Map(_) => self.fields(schema, node, path),
            Kind::List(items) => {
                if let Some(of_items) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.check(of_items, item, &format!("{path}[{index}]"));
                    }
                }
            }
            Kind::Scalar(value) => self.scalar(schema, value, node, path),
        }
    }

    /// Alternatives: fine if one fits, otherwise the one that comes nearest speaks.
    fn choose(&mut self, choices: &[Value], node: &Node, path: &str) {
        let words: Vec<&Value> = choices
            .iter()
            .flat_map(|choice| {
                let list = choice.get("enum").and_then(Value::as_array);
                list.into_iter().flatten().chain(choice.get("const"))
            })
            .collect();
        let mut best: Option<Vec<Diagnostic>> = None;
        for choice in choices {
            let mut found = Vec::new();
            Shape {
                source: self.source,
                schema: self.schema,
                found: &mut found,
            }
            .check(choice, node, path);
            if found.is_empty() {
                return;
            }
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
        if words.len() >= choices.len() {
            self.one_of(words, node, path);
        } else {
            self.found.extend(best.into_iter().flatten());
        }
    }

    fn one_of(&mut self, words: Vec<&Value>, node: &Node, path: &str) {
        let Kind::Scalar(Value::String(word)) = &node.kind else {
            self.wrong_type("a string", node, path);
            return;
        };
        let words = || words.iter().filter_map(|word| word.as_str());
        if !words().any(|known| known == word) {
            self.problem(
                node,
                path,
                format!("unknown value \"{word}\""),
                nearest(word, words()),
            );
        }
    }

    fn has_type(&mut self, schema: &Value, node: &Node, path: &str) -> bool {
        let names: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = names.iter().any(|name| match (*name, &node.kind) {
            ("object", Kind::Map(_)) | ("array", Kind::List(_)) => true,
            (name, Kind::Scalar(value)) => match name {
                "null" => value.is_null(),
                "boolean" => value.is_boolean(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                _ => false,
            },
            _ => false,
        });
        if !fits {
            let expected = match names.first() {
                Some(&"object") => "a mapping",
                Some(&"array") => "a list",
                Some(&"boolean") => "true or false",
                Some(&"integer") => "a whole number",
                Some(&"number") => "a number",
                _ => "a string",
            };
            self.wrong_type(expected, node, path);
        }
        fits
    }

    fn wrong_type(&mut self, expected: &str, node: &Node, path: &str) {
        let (found, suggestion) = match &node.kind {
            Kind::Map(_) => ("a mapping".to_owned(), None),
            Kind::List(_) => ("a list".to_owned(), None),
            Kind::Scalar(Value::Null) => (
                "nothing".to_owned(),
                Some("give it a value, or remove the field".to_owned()),
            ),
            Kind::Scalar(value) => (
                value.to_string(),
                match expected {
                    "a string" => Some(format!("put it in quotes: \"{value}\"")),
                    "a list" => Some(format!("write it as a list: [{value}]")),
                    _ => None,
                },
            ),
        };
        self.problem(
            node,
            path,
            format!("expected {expected}, found {found}"),
            suggestion,
        );
    }

    fn fields(&mut self, schema: &Value, node: &Node, path: &str) {
        let Kind::Map(entries) = &node.kind else {
            return;
        };
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in entries {
            let at = join(path, &key.name);
            if let Some(of_value) = known.and_then(|known| known.get(&key.name)) {
                self.check(of_value, value, &at);
            } else if others == Some(&Value::Bool(false)) {
                let names = known.into_iter().flat_map(|known| known.keys());
                self.found.push(
                    self.source.problem_at(
                        key.place,
                        &at,
                        format!("unknown field \"{}\"", key.name),
                        nearest(
                            &key.name,
                            names
                                .map(String::as_str)
                                .filter(|name| node.get(name).is_none()),
                        ),
                    ),
                );
            } else if let Some(of_value) = others {
                self.check(of_value, value, &at);
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if node.get(name).is_none() {
                self.problem(
                    node,
                    &join(path, name),
                    "is missing".to_owned(),
                    Some(format!("add \"{name}\"")),
                );
            }
        }
    }

    fn scalar(&mut self, schema: &Value, value: &Value, node: &Node, path: &str) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        if let Some(number) = value.as_f64() {
            if bound("minimum").is_some_and(|least| number < least) {
                let least = bound("minimum").unwrap_or_default();
                self.problem(node, path, format!("{value} is less than {least}"), None);
            }
            if bound("maximum").is_some_and(|most| number > most) {
                let most = bound("maximum").unwrap_or_default();
                self.problem(node, path, format!("{value} is more than {most}"), None);
            }
        }
        let Some(text) = value.as_str() else { return };
        match schema.get("format").and_then(Value::as_str) {
            Some(Period::FORMAT) => {
                if let Err(message) = text.parse::<Period>() {
                    self.problem(node, path, message, None);
                }
            }
            Some(SOCKET_ADDRESS) if text.parse::<SocketAddr>().is_err() => self.problem(
                node,
                path,
                format!("\"{text}\" is not an address to listen on"),
                Some("write an IP address and a port, like 0.0.0.0:8443 or [::]:8443".to_owned()),
            ),
            _ => {}
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
