//! Protobuf bodies of built-in kinds, read into the same tree as JSON and YAML.
//!
//! kubectl and controllers on client-go write built-in kinds so, and none of them falls back
//! to JSON when it is refused. The bytes are a magic number and a `runtime.Unknown` around the
//! object (k8s.io/apimachinery, `serializer/protobuf`). What goes upstream is JSON, written from
//! the tree. Refused is what decoders differ on, or what the table does not know: unknown
//! fields, a field twice that can be there once, a key twice, groups, text that is not UTF-8.

mod table;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::node::{MAX_DEPTH, MAX_NODES, Node, duplicate_key};
use super::{json, malformed, shown};
use crate::refusal::Refusal;
use table::Shape;
use wire::{Reader, Value};

/// What every Kubernetes protobuf body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Reads one object.
pub(super) fn parse(body: &[u8]) -> Result<Node, Refusal> {
    let mut decoder = Decoder { nodes: 0 };
    decoder
        .object(body, 0)
        .map_err(|Fault(what)| malformed(format!("the protobuf body cannot be read: {what}")))
}

/// What is wrong.
struct Fault(String);

type Fields = Vec<(Box<str>, Node)>;

fn fault(what: impl Into<String>) -> Fault {
    Fault(what.into())
}

struct Decoder {
    nodes: usize,
}

impl Decoder {
    /// Magic, then `Unknown`: 1 typeMeta (1 apiVersion, 2 kind), 2 raw, 3 contentEncoding,
    /// 4 contentType.
    fn object(&mut self, body: &[u8], depth: usize) -> Result<Node, Fault> {
        let unknown = body
            .strip_prefix(MAGIC)
            .ok_or_else(|| fault("it does not begin with k8s and a zero byte"))?;
        let (mut type_meta, mut raw) = (None, None);
        let mut reader = Reader::new(unknown);
        while let Some((number, value)) = reader.next()? {
            let bytes = value.bytes()?;
            let twice = match number {
                1 => type_meta.replace(bytes).is_some(),
                2 => raw.replace(bytes).is_some(),
                3 | 4 if bytes.is_empty() => false,
                _ => return Err(fault(format!("field {number} of the envelope has a value"))),
            };
            if twice {
                return Err(fault(format!("field {number} of the envelope comes twice")));
            }
        }
        let (mut api_version, mut kind) = ("", "");
        let mut reader = Reader::new(type_meta.unwrap_or_default());
        while let Some((number, value)) = reader.next()? {
            let place = match number {
                1 => &mut api_version,
                2 => &mut kind,
                _ => return Err(fault("the envelope names more than kind and apiVersion")),
            };
            if !place.is_empty() {
                return Err(fault("the envelope names kind or apiVersion twice"));
            }
            *place = value.text()?;
        }
        let message = table::message_of(api_version, kind).ok_or_else(|| {
            fault(format!(
                "{} {} is no built-in kind of this gate; send application/json",
                shown(api_version),
                shown(kind)
            ))
        })?;
        let mut fields = vec![
            ("kind".into(), Node::String(kind.into())),
            ("apiVersion".into(), Node::String(api_version.into())),
        ];
        self.message(message, raw.unwrap_or_default(), &mut fields, depth)?;
        Ok(Node::Object(fields))
    }

    fn message(
        &mut self,
        message: usize,
        bytes: &[u8],
        into: &mut Fields,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(fault(format!("nesting deeper than {MAX_DEPTH} levels")));
        }
        let mut once = Vec::new();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            self.count()?;
            let field = table::field(message, number).ok_or_else(|| {
                fault(format!(
                    "a field of number {number} that this gate does not know; send \
                     application/json, or ask an operator for a newer gate"
                ))
            })?;
            match &field.shape {
                Shape::List(item) => {
                    let items = list_at(into, &field.name)?;
                    self.items(item, value, items, depth + 1)?;
                }
                Shape::Map(item) => {
                    let entry = self.pair(item, value, depth + 1)?;
                    map_at(into, &field.name)?.push(entry);
                }
                shape => {
                    if once.contains(&number) {
                        return Err(fault(format!(
                            "the field {} comes twice",
                            shown(&field.name)
                        )));
                    }
                    once.push(number);
                    match shape {
                        Shape::Message(inner) if field.name.is_empty() => {
                            self.message(*inner, value.bytes()?, into, depth + 1)?;
                        }
                        _ => into.push((field.name.clone(), self.value(shape, value, depth + 1)?)),
                    }
                }
            }
        }
        for (name, value) in into {
            if let Some(key) = duplicate_key(value.entries()) {
                let (key, name) = (shown(key), shown(name));
                return Err(fault(format!("the key {key} comes twice in {name}")));
            }
        }
        Ok(())
    }

    /// Numbers may come packed into one field, or one by one; Go reads both.
    fn items(
        &mut self,
        item: &Shape,
        value: Value<'_>,
        into: &mut Vec<Node>,
        depth: usize,
    ) -> Result<(), Fault> {
        let packs = matches!(item, Shape::Int32 | Shape::Int64 | Shape::Bool);
        let Value::Bytes(packed) = value else {
            into.push(self.value(item, value, depth)?);
            return Ok(());
        };
        if !packs {
            into.push(self.value(item, value, depth)?);
            return Ok(());
        }
        let mut reader = Reader::new(packed);
        while let Some(number) = reader.packed()? {
            self.count()?;
            into.push(self.value(item, Value::Varint(number), depth)?);
        }
        Ok(())
    }

    /// One entry of a map: 1 key, 2 value.
    fn pair(
        &mut self,
        item: &Shape,
        value: Value<'_>,
        depth: usize,
    ) -> Result<(Box<str>, Node), Fault> {
        let (mut key, mut found) = (None, None);
        let mut reader = Reader::new(value.bytes()?);
        while let Some((number, value)) = reader.next()? {
            let twice = match number {
                1 => key.replace(value.text()?).is_some(),
                2 => found.replace(value).is_some(),
                _ => return Err(fault("an entry of a map has more than key and value")),
            };
            if twice {
                return Err(fault("an entry of a map has two keys or two values"));
            }
        }
        let found = found.unwrap_or(match item {
            Shape::Bool | Shape::Int32 | Shape::Int64 => Value::Varint(0),
            Shape::Double => Value::Fixed64(0),
            _ => Value::Bytes(&[]),
        });
        let value = self.value(item, found, depth)?;
        Ok((key.unwrap_or_default().into(), value))
    }

    fn value(&mut self, shape: &Shape, value: Value<'_>, depth: usize) -> Result<Node, Fault> {
        let string = |text: String| Node::String(text.into());
        Ok(match shape {
            Shape::Text => Node::String(value.text()?.into()),
            Shape::Bool => Node::Bool(match value.varint()? {
                0 => false,
                1 => true,
                _ => return Err(fault("a truth value that is neither 0 nor 1")),
            }),
            Shape::Int32 => Node::Number(int32(value)?.to_string().into()),
            Shape::Int64 => Node::Number(value.varint()?.cast_signed().to_string().into()),
            Shape::Double => {
                let number = serde_json::Number::from_f64(f64::from_bits(value.fixed64()?))
                    .ok_or_else(|| fault("a number that JSON does not have"))?;
                Node::Number(number.to_string().into())
            }
            Shape::Bytes => string(STANDARD.encode(value.bytes()?)),
            Shape::Time => time(value.bytes()?, |time| format!("{time:.0}"))?,
            Shape::MicroTime => time(value.bytes()?, |time| format!("{time:.6}"))?,
            Shape::Duration => string(format!("{}ns", only(value.bytes()?)?.cast_signed())),
            Shape::Fields | Shape::Raw => self.raw(value.bytes()?, depth)?,
            Shape::Quantity => match text_of(value.bytes()?, 1)? {
                "" => string("0".to_owned()),
                text => string(text.to_owned()),
            },
            Shape::IntOrString => int_or_string(value.bytes()?)?,
            Shape::Message(message) => {
                let mut fields = Vec::new();
                self.message(*message, value.bytes()?, &mut fields, depth)?;
                Node::Object(fields)
            }
            Shape::Wrapped(item) => {
                let mut items = Vec::new();
                let mut reader = Reader::new(value.bytes()?);
                while let Some((number, value)) = reader.next()? {
                    self.count()?;
                    if number != 1 {
                        return Err(fault("a list that holds more than its items"));
                    }
                    items.push(self.value(item, value, depth + 1)?);
                }
                Node::Array(items)
            }
            Shape::List(_) | Shape::Map(_) => return Err(fault("a list within a list")),
        })
    }

    /// `RawExtension` and `FieldsV1`: field 1 is JSON, or an object like the outermost one.
    fn raw(&mut self, bytes: &[u8], depth: usize) -> Result<Node, Fault> {
        let mut raw = None;
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            if number != 1 || raw.replace(value.bytes()?).is_some() {
                return Err(fault("an embedded object is not one"));
            }
        }
        match raw.unwrap_or_default() {
            b"" => Ok(Node::Null),
            raw if raw.starts_with(MAGIC) => self.object(raw, depth),
            raw => json::parse(raw).map_err(|refusal| fault(refusal.sentence())),
        }
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(fault(format!("more than {MAX_NODES} values")));
        }
        Ok(())
    }
}

/// The list of this name, so far.
fn list_at<'f>(fields: &'f mut Fields, name: &str) -> Result<&'f mut Vec<Node>, Fault> {
    match field_at(fields, name, Node::Array(Vec::new())) {
        Some(Node::Array(items)) => Ok(items),
        _ => Err(fault(format!("the field {} is no list", shown(name)))),
    }
}

/// The map of this name, so far.
fn map_at<'f>(fields: &'f mut Fields, name: &str) -> Result<&'f mut Fields, Fault> {
    match field_at(fields, name, Node::Object(Vec::new())) {
        Some(Node::Object(entries)) => Ok(entries),
        _ => Err(fault(format!("the field {} is no map", shown(name)))),
    }
}

fn field_at<'f>(fields: &'f mut Fields, name: &str, empty: Node) -> Option<&'f mut Node> {
    let at = match fields.iter().position(|(key, _)| &**key == name) {
        Some(at) => at,
        None => {
            fields.push((name.into(), empty));
            fields.len() - 1
        }
    };
    fields.get_mut(at).map(|(_, node)| node)
}

fn int32(value: Value<'_>) -> Result<i32, Fault> {
    i32::try_from(value.varint()?.cast_signed())
        .map_err(|_| fault("a number that does not fit into 32 bits"))
}

/// The one number of a message that holds nothing else, as field 1.
fn only(bytes: &[u8]) -> Result<u64, Fault> {
    let mut found = None;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        if number != 1 || found.replace(value.varint()?).is_some() {
            return Err(fault("a duration is one number"));
        }
    }
    Ok(found.unwrap_or_default())
}

/// The one text of a message that holds nothing else.
fn text_of(bytes: &[u8], field: u32) -> Result<&str, Fault> {
    let mut found = None;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        if number != field || found.replace(value.text()?).is_some() {
            return Err(fault("a quantity is one text"));
        }
    }
    Ok(found.unwrap_or_default())
}

/// 1 seconds, 2 nanoseconds; an empty message is no time at all, which JSON says with null.
fn time(bytes: &[u8], written: impl Fn(Timestamp) -> String) -> Result<Node, Fault> {
    if bytes.is_empty() {
        return Ok(Node::Null);
    }
    let (mut seconds, mut nanos) = (None, None);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        let place = match number {
            1 => &mut seconds,
            2 => &mut nanos,
            _ => return Err(fault("a time is seconds and nanoseconds")),
        };
        if place.replace(value.varint()?.cast_signed()).is_some() {
            return Err(fault("a time is given twice"));
        }
    }
    let nanos = i32::try_from(nanos.unwrap_or_default()).ok();
    let time = nanos
        .filter(|nanos| (0..1_000_000_000).contains(nanos))
        .and_then(|nanos| Timestamp::new(seconds.unwrap_or_default(), nanos).ok())
        .ok_or_else(|| fault("a time that no calendar has"))?;
    Ok(Node::String(written(time).into()))
}

/// 1 which of both (0 number, 1 text), 2 the number, 3 the text.
fn int_or_string(bytes: &[u8]) -> Result<Node, Fault> {
    let (mut which, mut number, mut text) = (None, None, None);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        let twice = match field {
            1 => which.replace(value.varint()?).is_some(),
            2 => number.replace(int32(value)?).is_some(),
            3 => text.replace(value.text()?).is_some(),
            _ => true,
        };
        if twice {
            return Err(fault("a number or text is given twice"));
        }
    }
    match which.unwrap_or_default() {
        0 => Ok(Node::Number(number.unwrap_or_default().to_string().into())),
        1 => Ok(Node::String(text.unwrap_or_default().into())),
        _ => Err(fault("a value that is neither number nor text")),
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
mod tests;
