//! YAML text → trees in which every value knows its place. Part of `config`; knows the
//! syntax only (duplicate keys, endless aliases and depth are refused by the parser).

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned, UserMessageFormatter};

use super::diagnostic::Diagnostic;

/// Files of configuration beyond this many bytes are a mistake.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// One document of a file.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub file: PathBuf,
    pub root: Node,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    pub kind: Kind,
}

/// Line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub line: u32,
    pub column: u32,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A mapping's key and its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: String,
    pub place: Place,
}

/// Reads a file into its documents; empty documents are left out.
pub(super) fn read(file: &Path) -> Result<Vec<Source>, Diagnostic> {
    let whole = |message: String, suggestion: &str| {
        Diagnostic::of_file(file, message, Some(suggestion.to_owned()))
    };
    let size = std::fs::metadata(file)
        .map_err(|e| whole(format!("cannot be read: {e}"), "check the path"))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(whole(
            format!("has {size} bytes, more than {MAX_FILE_BYTES}"),
            "split it into several files",
        ));
    }
    let text = std::fs::read_to_string(file).map_err(|e| {
        whole(
            format!("cannot be read: {e}"),
            "check the path and its mode",
        )
    })?;
    parse(file, &text)
}

/// Reads text; `file` is its name in diagnostics.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Source>, Diagnostic> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
    };
    let nodes: Vec<Node> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            let place = error.location().map(Place::from);
            Diagnostic {
                file: file.to_owned(),
                line: place.map_or(0, |place| place.line),
                column: place.map_or(0, |place| place.column),
                field: String::new(),
                message: format!("is not valid YAML: {}", one_line(&error)),
                suggestion: None,
            }
        })?;
    Ok(nodes
        .into_iter()
        .filter(|node| !matches!(node.kind, Kind::Scalar(Value::Null)))
        .map(|root| Source {
            file: file.to_owned(),
            root,
        })
        .collect())
}

/// The parser's sentence without its advice for programmers and the place, which stands in
/// front anyway.
fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.render_with_formatter(&UserMessageFormatter);
    let text = text.split(" at line ").next().unwrap_or(&text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Source {
    /// A problem at the field with this path, or as near to it as the document goes.
    pub(super) fn problem(
        &self,
        field: &str,
        message: String,
        suggestion: Option<String>,
    ) -> Diagnostic {
        self.problem_at(self.root.nearest(field).place, field, message, suggestion)
    }

    pub(super) fn problem_at(
        &self,
        place: Place,
        field: &str,
        message: String,
        suggestion: Option<String>,
    ) -> Diagnostic {
        Diagnostic {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            field: field.to_owned(),
            message,
            suggestion,
        }
    }
}

impl Node {
    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries
                .iter()
                .find(|(known, _)| known.name == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// Follows a path like `spec.rules[2].verbs` as far as it goes.
    fn nearest(&self, path: &str) -> &Node {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match (&node.kind, step.strip_suffix(']')) {
                (Kind::List(items), Some(index)) => {
                    index.parse().ok().and_then(|index: usize| items.get(index))
                }
                _ => node.get(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The value without places.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(Node::value).collect(),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self {
            place: spanned.referenced.into(),
            kind: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::Scalar(Value::Null))
    }
    fn visit_none<E: de::Error>(self) -> Result<Kind, E> {
        self.visit_unit()
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let key = Key {
                place: key.referenced.into(),
                name: key.value,
            };
            entries.push((key, access.next_value()?));
        }
        Ok(Kind::Map(entries))
    }
}
