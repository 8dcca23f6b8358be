//! Values while an expression is evaluated: views of what a request holds, and what the
//! expression made itself. Part of the CEL engine.
//!
//! A view borrows: selecting a field or walking a list copies no object. What is built is
//! shared, so a clone is cheap.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use serde_json::Value as Json;

use super::library::network::Cidr;
use super::library::quantity::Quantity;
use super::library::semver::Version;
use super::library::url::Url;

/// A value.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are CEL's own types")]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Rc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    Timestamp(Moment),
    List(List<'a>),
    Map(Map<'a>),
    /// Its name.
    Type(&'static str),
    Optional(Option<Rc<Value<'a>>>),
    Record(&'a dyn Record),
    Ip(std::net::IpAddr),
    Cidr(Cidr),
    Url(Rc<Url>),
    Quantity(Quantity),
    Semver(Rc<Version>),
}

/// Nanoseconds since the Unix epoch; years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i128);

impl fmt::Display for Moment {
    /// RFC 3339, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::library::time::write_timestamp(*self))
    }
}

/// A thing with known fields, such as the caller; also the variables of an expression.
pub trait Record: fmt::Debug {
    /// The value of a field; none if there is no such field, or nobody knows its value.
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>>;
}

/// Text, borrowed or made.
#[derive(Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

/// A list that stands elsewhere.
pub trait Items: fmt::Debug {
    /// How many elements it has.
    fn count(&self) -> usize;
    /// One element.
    fn item<'a>(&'a self, at: usize) -> Option<Value<'a>>;
}

/// A map that stands elsewhere; its keys are text.
pub trait Entries: fmt::Debug {
    /// How many entries it has.
    fn count(&self) -> usize;
    /// The value of a key. What it costs is [`Entries::count`] at most.
    fn find<'a>(&'a self, key: &str) -> Option<Value<'a>>;
    /// All entries, in order.
    fn all<'a>(&'a self) -> Box<dyn Iterator<Item = (&'a str, Value<'a>)> + 'a>;
}

/// A list, borrowed or made.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub enum List<'a> {
    Borrowed(&'a dyn Items),
    Texts(&'a [String]),
    Made(Rc<[Value<'a>]>),
}

/// A map, borrowed or made.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Map<'a> {
    Borrowed(&'a dyn Entries),
    Made(Rc<[(Value<'a>, Value<'a>)]>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<'a> Value<'a> {
    /// Text that is borrowed.
    pub fn text(text: &'a str) -> Self {
        Self::String(Text::Borrowed(text))
    }

    /// Text that was made.
    pub(super) fn made(text: impl Into<Rc<str>>) -> Self {
        Self::String(Text::Made(text.into()))
    }

    /// A list that was made.
    pub(super) fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(List::Made(items.into()))
    }

    /// A list that is borrowed.
    pub fn items(items: &'a dyn Items) -> Self {
        Self::List(List::Borrowed(items))
    }

    /// A list of texts that is borrowed.
    pub fn texts(texts: &'a [String]) -> Self {
        Self::List(List::Texts(texts))
    }

    /// A map that is borrowed.
    pub fn entries(entries: &'a dyn Entries) -> Self {
        Self::Map(Map::Borrowed(entries))
    }

    /// A number, from its JSON text. A whole number that fits is an integer, as the API
    /// server has it.
    pub fn number(text: &str) -> Self {
        match text.parse::<i64>() {
            Ok(int) => Self::Int(int),
            // JSON's numbers are a part of what Rust reads.
            Err(_) => Self::Double(text.parse().unwrap_or(f64::NAN)),
        }
    }

    /// A view of JSON.
    pub fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(value) => match value.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(value.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::items(items),
            Json::Object(entries) => Self::entries(entries),
        }
    }

    /// Its type's name, as upstream writes it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Record(_) => "record",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Semver(_) => "kubernetes.Semver",
        }
    }
}

impl<'a> List<'a> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Borrowed(items) => items.count(),
            Self::Texts(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One element.
    pub fn get(&self, at: usize) -> Option<Value<'a>> {
        match self {
            Self::Borrowed(items) => items.item(at),
            Self::Texts(items) => items.get(at).map(|text| Value::text(text)),
            Self::Made(items) => items.get(at).cloned(),
        }
    }

    /// All elements.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

impl<'a> Map<'a> {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Borrowed(entries) => entries.count(),
            Self::Made(entries) => entries.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key that is text. What it costs is [`Map::len`] at most.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Borrowed(entries) => entries.find(key),
            Self::Made(entries) => entries
                .iter()
                .find(|(name, _)| matches!(name, Value::String(name) if &**name == key))
                .map(|(_, value)| value.clone()),
        }
    }

    /// All entries, in order.
    pub fn entries(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Self::Borrowed(entries) => Box::new(
                entries
                    .all()
                    .map(|(name, value)| (Value::text(name), value)),
            ),
            Self::Made(entries) => Box::new(entries.iter().cloned()),
        }
    }
}

impl Items for Vec<Json> {
    fn count(&self) -> usize {
        self.len()
    }

    fn item<'a>(&'a self, at: usize) -> Option<Value<'a>> {
        self.get(at).map(Value::of_json)
    }
}

impl Entries for serde_json::Map<String, Json> {
    fn count(&self) -> usize {
        self.len()
    }

    fn find<'a>(&'a self, key: &str) -> Option<Value<'a>> {
        self.get(key).map(Value::of_json)
    }

    fn all<'a>(&'a self) -> Box<dyn Iterator<Item = (&'a str, Value<'a>)> + 'a> {
        Box::new(
            self.iter()
                .map(|(name, json)| (name.as_str(), Value::of_json(json))),
        )
    }
}

impl Entries for BTreeMap<String, Vec<String>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn find<'a>(&'a self, key: &str) -> Option<Value<'a>> {
        self.get(key).map(|list| Value::texts(list))
    }

    fn all<'a>(&'a self) -> Box<dyn Iterator<Item = (&'a str, Value<'a>)> + 'a> {
        Box::new(
            self.iter()
                .map(|(name, list)| (name.as_str(), Value::texts(list))),
        )
    }
}
