//! The types of expressions, as the checker knows them. Part of the CEL engine; knows no
//! value.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

/// A type. `Dyn` is what only evaluation can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Anything: what a request or a token holds.
    Dyn,
    /// `null`.
    Null,
    /// `true` and `false`.
    Bool,
    /// A signed integer of 64 bits.
    Int,
    /// An unsigned integer of 64 bits.
    Uint,
    /// A floating-point number of 64 bits.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// A length of time.
    Duration,
    /// A point in time.
    Timestamp,
    /// A type, as `type(x)` yields it.
    Type,
    /// An IP address.
    Ip,
    /// A network.
    Cidr,
    /// A URL.
    Url,
    /// A quantity of a resource.
    Quantity,
    /// A semantic version.
    Semver,
    /// A list of elements of one type.
    List(Box<Kind>),
    /// A map from keys of one type to values of another.
    Map(Box<(Kind, Kind)>),
    /// A value or none.
    Optional(Box<Kind>),
    /// A thing with known fields.
    Record(Arc<Shape>),
    /// A type to be found out; only within the signatures of functions.
    Param(char),
}

/// What is known of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its name, for error messages.
    pub name: String,
    /// Its fields.
    pub fields: Vec<(String, Kind)>,
    /// What `has` says of a field: that it is not empty, or always yes.
    pub has: Has,
}

/// What `has(record.field)` says, where every field is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// Whether the field is not empty.
    Filled,
    /// Yes.
    Always,
}

impl Kind {
    /// `list(of)`.
    pub fn list(of: Kind) -> Self {
        Self::List(Box::new(of))
    }

    /// `map(key, value)`.
    pub fn map(key: Kind, value: Kind) -> Self {
        Self::Map(Box::new((key, value)))
    }

    /// `optional(of)`.
    pub fn optional(of: Kind) -> Self {
        Self::Optional(Box::new(of))
    }

    /// A record.
    pub fn record(name: &str, fields: &[(&str, Kind)], has: Has) -> Self {
        let fields = fields
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), kind.clone()))
            .collect();
        let name = name.to_owned();
        Self::Record(Arc::new(Shape { name, fields, has }))
    }

    /// What an example says of all values of its kind: objects are records with just these
    /// fields, what lists hold is not known.
    pub fn like(name: &str, example: &Json) -> Self {
        match example {
            Json::Bool(_) => Self::Bool,
            Json::String(_) => Self::String,
            Json::Array(_) => Self::list(Self::Dyn),
            Json::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::like(&format!("{name}.{key}"), value)))
                    .collect();
                let (name, has) = (name.to_owned(), Has::Filled);
                Self::Record(Arc::new(Shape { name, fields, has }))
            }
            Json::Null | Json::Number(_) => Self::Dyn,
        }
    }

    /// Reads a type of a signature: `list<A>`, `map<string,list<string>>`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let inner = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix('>');
        if let Some(of) = inner("list<") {
            return Some(Self::list(Self::read(of)?));
        }
        if let Some(of) = inner("optional<") {
            return Some(Self::optional(Self::read(of)?));
        }
        if let Some(of) = inner("map<") {
            let (key, value) = of.split_once(',')?;
            return Some(Self::map(Self::read(key)?, Self::read(value)?));
        }
        Some(match text {
            "dyn" => Self::Dyn,
            "null" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "uint" => Self::Uint,
            "double" => Self::Double,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "duration" => Self::Duration,
            "timestamp" => Self::Timestamp,
            "type" => Self::Type,
            "ip" => Self::Ip,
            "cidr" => Self::Cidr,
            "url" => Self::Url,
            "quantity" => Self::Quantity,
            "semver" => Self::Semver,
            "A" => Self::Param('A'),
            "B" => Self::Param('B'),
            _ => return None,
        })
    }

    /// The type that stands for both, if there is one.
    pub(super) fn join(&self, other: &Kind) -> Option<Kind> {
        match (self, other) {
            (a, b) if a == b => Some(a.clone()),
            (Self::Dyn, _) | (_, Self::Dyn) => Some(Self::Dyn),
            (Self::Null, other) | (other, Self::Null) if other.may_be_null() => Some(other.clone()),
            (Self::List(a), Self::List(b)) => Some(Self::list(a.join(b)?)),
            (Self::Optional(a), Self::Optional(b)) => Some(Self::optional(a.join(b)?)),
            (Self::Map(a), Self::Map(b)) => Some(Self::map(a.0.join(&b.0)?, a.1.join(&b.1)?)),
            _ => None,
        }
    }

    /// As upstream has it: `null` fits what is not a plain value or a container.
    fn may_be_null(&self) -> bool {
        matches!(
            self,
            Self::Duration
                | Self::Timestamp
                | Self::Ip
                | Self::Cidr
                | Self::Url
                | Self::Quantity
                | Self::Semver
                | Self::Optional(_)
                | Self::Record(_)
        )
    }
}

/// What the parameters of one signature stand for in one call.
#[derive(Default)]
pub(super) struct Bindings(Vec<(char, Kind)>);

impl Bindings {
    /// Whether a value of the type `given` can be passed where `wanted` is; notes what
    /// parameters stand for.
    pub(super) fn fit(&mut self, wanted: &Kind, given: &Kind) -> bool {
        match (wanted, given) {
            (Kind::Param(name), given) => self.bind(*name, given),
            (Kind::Dyn, _) | (_, Kind::Dyn) => true,
            (Kind::List(wanted), Kind::List(given))
            | (Kind::Optional(wanted), Kind::Optional(given)) => self.fit(wanted, given),
            (Kind::Map(wanted), Kind::Map(given)) => {
                self.fit(&wanted.0, &given.0) && self.fit(&wanted.1, &given.1)
            }
            (wanted, given) => wanted.join(given).is_some(),
        }
    }

    fn bind(&mut self, name: char, given: &Kind) -> bool {
        match self.0.iter_mut().find(|(bound, _)| *bound == name) {
            None => {
                self.0.push((name, given.clone()));
                true
            }
            Some((_, bound)) => match bound.join(given) {
                Some(joined) => {
                    *bound = joined;
                    true
                }
                None => false,
            },
        }
    }

    /// A type of the signature with what its parameters stand for; unknown ones are `Dyn`.
    pub(super) fn resolve(&self, kind: &Kind) -> Kind {
        match kind {
            Kind::Param(name) => self
                .0
                .iter()
                .find(|(bound, _)| bound == name)
                .map_or(Kind::Dyn, |(_, kind)| kind.clone()),
            Kind::List(of) => Kind::list(self.resolve(of)),
            Kind::Optional(of) => Kind::optional(self.resolve(of)),
            Kind::Map(of) => Kind::map(self.resolve(&of.0), self.resolve(&of.1)),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(of) => write!(f, "map({}, {})", of.0, of.1),
            Self::Optional(of) => write!(f, "optional({of})"),
            Self::Record(shape) => f.write_str(&shape.name),
            Self::Param(name) => write!(f, "{name}"),
            Self::Dyn => f.write_str("dyn"),
            other => f.write_str(other.plain()),
        }
    }
}

impl Kind {
    fn plain(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Type => "type",
            Self::Ip => "ip",
            Self::Cidr => "cidr",
            Self::Url => "url",
            Self::Quantity => "quantity",
            Self::Semver => "semver",
            _ => "dyn",
        }
    }
}
