//! The shape of every message of Kubernetes' built-in kinds, read from a table that the
//! Go types themselves yield (`dev/kubernetes/protobuf`). Part of `parse`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// Written by `go run ./protobuf table` in `dev/kubernetes`; a test holds it current.
const TABLE: &str = include_str!("table.json");

static TABLES: LazyLock<Tables> = LazyLock::new(|| serde_json::from_str(TABLE).unwrap_or_default());

/// What one field holds, and how JSON says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Bool,
    Int32,
    Int64,
    Double,
    Bytes,
    Time,
    MicroTime,
    Duration,
    /// `FieldsV1`: JSON within.
    Fields,
    Quantity,
    IntOrString,
    /// `RawExtension`: an object of any kind.
    Raw,
    Message(usize),
    /// As often as it comes.
    List(Box<Shape>),
    /// A message that holds nothing but a list, in JSON the list itself.
    Wrapped(Box<Shape>),
    /// By text keys.
    Map(Box<Shape>),
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub number: u32,
    /// Empty: its fields stand in the JSON object of the message around it.
    pub name: Box<str>,
    pub shape: Shape,
}

#[derive(Debug, Default, Deserialize)]
struct Tables {
    kinds: HashMap<String, usize>,
    messages: Vec<Vec<Field>>,
}

/// The message of a kind, if it is a built-in one.
pub(super) fn message_of(api_version: &str, kind: &str) -> Option<usize> {
    TABLES.kinds.get(&format!("{api_version}/{kind}")).copied()
}

/// A field of a message, by its number.
pub(super) fn field(message: usize, number: u32) -> Option<&'static Field> {
    let fields = TABLES.messages.get(message)?;
    fields.iter().find(|field| field.number == number)
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let (number, name, shape) = <(u32, Box<str>, String)>::deserialize(deserializer)?;
        let shape = shape_of(&shape)
            .ok_or_else(|| D::Error::custom(format!("no shape is written {shape:?}")))?;
        Ok(Self {
            number,
            name,
            shape,
        })
    }
}

fn shape_of(text: &str) -> Option<Shape> {
    let inner = |prefix: &str| text.strip_prefix(prefix).and_then(shape_of).map(Box::new);
    if let Some(shape) = inner("[]") {
        return Some(Shape::List(shape));
    }
    if let Some(shape) = inner("()") {
        return Some(Shape::Wrapped(shape));
    }
    if let Some(shape) = inner("{}") {
        return Some(Shape::Map(shape));
    }
    if let Some(message) = text.strip_prefix('#') {
        return message.parse().ok().map(Shape::Message);
    }
    Some(match text {
        "string" => Shape::Text,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "bytes" => Shape::Bytes,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "duration" => Shape::Duration,
        "fields" => Shape::Fields,
        "quantity" => Shape::Quantity,
        "intorstring" => Shape::IntOrString,
        "raw" => Shape::Raw,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_written_as_one_word_behind_what_holds_it() {
        for (word, shape) in [
            ("string", Shape::Text),
            ("bool", Shape::Bool),
            ("int32", Shape::Int32),
            ("int64", Shape::Int64),
            ("double", Shape::Double),
            ("bytes", Shape::Bytes),
            ("time", Shape::Time),
            ("microtime", Shape::MicroTime),
            ("duration", Shape::Duration),
            ("fields", Shape::Fields),
            ("quantity", Shape::Quantity),
            ("intorstring", Shape::IntOrString),
            ("raw", Shape::Raw),
            ("#7", Shape::Message(7)),
            ("[]#7", Shape::List(Box::new(Shape::Message(7)))),
            (
                "{}()string",
                Shape::Map(Box::new(Shape::Wrapped(Box::new(Shape::Text)))),
            ),
        ] {
            assert_eq!(shape_of(word), Some(shape), "{word}");
        }
        for word in ["", "[]", "#", "#x", "float"] {
            assert_eq!(shape_of(word), None, "{word}");
        }
    }
}
