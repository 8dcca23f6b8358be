//! Part of the slow, obvious masker: a whole document as a tree, in which every value knows
//! where it stands in the text.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::mask::json::MAX_DEPTH;

/// One value of a document, and where it stands.
pub struct Node {
    pub at: Range<usize>,
    pub value: Value,
}

pub enum Value {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Text(String),
    Null,
    Other,
}

impl Node {
    /// None if this is no valid JSON, or too deep.
    pub fn read(raw: &str, whole: &str, depth: u32) -> Option<Self> {
        let start = raw.as_ptr() as usize - whole.as_ptr() as usize;
        let value = match raw.as_bytes()[0] {
            b'{' | b'[' if depth == MAX_DEPTH => return None,
            b'{' => {
                let Members(members) = serde_json::from_str(raw).ok()?;
                let read = |(name, raw): (String, &RawValue)| {
                    Some((name, Self::read(raw.get(), whole, depth + 1)?))
                };
                Value::Object(members.into_iter().map(read).collect::<Option<_>>()?)
            }
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
                let read = |raw: &RawValue| Self::read(raw.get(), whole, depth + 1);
                Value::Array(elements.into_iter().map(read).collect::<Option<_>>()?)
            }
            b'"' => Value::Text(serde_json::from_str(raw).ok()?),
            b'n' => Value::Null,
            _ => Value::Other,
        };
        let at = start..start + raw.len();
        Some(Self { at, value })
    }

    pub fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    pub fn elements(&self) -> &[Node] {
        match &self.value {
            Value::Array(elements) => elements,
            _ => &[],
        }
    }

    pub fn members(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }
}

/// What an object tells with its member `name`, and where it begins to; none (the outer one)
/// if it says two things.
pub fn told(
    node: &Node,
    name: &str,
    means: impl Fn(&str) -> bool,
) -> Option<Option<(usize, bool)>> {
    let mut says: Option<(usize, bool)> = None;
    for (key, value) in node.members() {
        if let (true, Value::Text(text)) = (key.eq_ignore_ascii_case(name), &value.value) {
            let meant = means(text);
            if says.is_some_and(|(_, said)| said != meant) {
                return None;
            }
            says = says.or(Some((value.at.start, meant)));
        }
    }
    Some(says)
}

/// The members of an object as they stand there, those that stand twice too.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: serde::Deserializer<'t>>(object: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'t> Visitor<'t> for Reader {
            type Value = Members<'t>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'t>>(self, mut object: A) -> Result<Members<'t>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        object.deserialize_map(Reader)
    }
}
