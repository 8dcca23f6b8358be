//! The functions of expressions: CEL's own and those that Kubernetes adds. Part of the CEL
//! engine.
//!
//! One table, read by the checker for its signatures and by the evaluation for what they
//! do. Names, signatures and behaviour are those of `k8s.io/apiserver/pkg/cel/library` and
//! `github.com/google/cel-go`, and are compared with them in `tests/it/cel.rs`.

pub(super) mod compare;
mod convert;
pub(super) mod format;
mod lists;
pub(super) mod network;
pub(super) mod operators;
mod optional;
pub(super) mod pattern;
pub(super) mod quantity;
pub(super) mod semver;
mod strings;
pub(super) mod time;
pub(super) mod url;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use super::kind::Kind;
use super::meter::Meter;
use super::run::Outcome;
use super::value::Value;
use pattern::Pattern;

/// What a function does. The values are of one of its signatures, or it says so.
type Body = for<'a> fn(&mut Meter, &[Value<'a>], Option<&Pattern>) -> Outcome<'a>;

/// A function, with all its overloads.
pub(in crate::cel) struct Function {
    pub name: &'static str,
    /// Whether it is called on a value; that is then the first of its arguments.
    pub member: bool,
    signatures: &'static [&'static str],
    body: Body,
}

/// One overload.
pub(in crate::cel) struct Overload {
    pub arguments: Vec<Kind>,
    pub result: Kind,
}

/// A function that can be found, and its overloads.
pub(in crate::cel) struct Found {
    pub function: &'static Function,
    pub overloads: Vec<Overload>,
}

impl Function {
    const fn global(name: &'static str, signatures: &'static [&'static str], body: Body) -> Self {
        Self {
            name,
            member: false,
            signatures,
            body,
        }
    }

    const fn member(name: &'static str, signatures: &'static [&'static str], body: Body) -> Self {
        Self {
            name,
            member: true,
            signatures,
            body,
        }
    }

    pub(in crate::cel) fn call<'a>(
        &self,
        meter: &mut Meter,
        values: &[Value<'a>],
        pattern: Option<&Pattern>,
    ) -> Outcome<'a> {
        (self.body)(meter, values, pattern)
    }

    fn overloads(&self) -> Vec<Overload> {
        self.signatures
            .iter()
            .filter_map(|text| overload(text))
            .collect()
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads `string,list<A>:bool`.
fn overload(text: &str) -> Option<Overload> {
    let (arguments, result) = text.rsplit_once(':')?;
    let mut found = Overload {
        arguments: Vec::new(),
        result: Kind::read(result)?,
    };
    let mut depth = 0_usize;
    for argument in arguments.split(|c| {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    }) {
        if !argument.is_empty() {
            found.arguments.push(Kind::read(argument)?);
        }
    }
    Some(found)
}

/// By name; what is called on a value is kept apart.
struct Table {
    global: HashMap<&'static str, Found>,
    member: HashMap<&'static str, Found>,
}

impl Table {
    fn of(&self, member: bool) -> &HashMap<&'static str, Found> {
        if member { &self.member } else { &self.global }
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let collect = |member: bool| {
        [
            operators::FUNCTIONS,
            convert::FUNCTIONS,
            strings::FUNCTIONS,
            format::FUNCTIONS,
            lists::FUNCTIONS,
            optional::FUNCTIONS,
            pattern::FUNCTIONS,
            time::FUNCTIONS,
            network::FUNCTIONS,
            url::FUNCTIONS,
            quantity::FUNCTIONS,
            semver::FUNCTIONS,
        ]
        .into_iter()
        .flatten()
        .filter(|function| function.member == member)
        .map(|function| {
            let found = Found {
                function,
                overloads: function.overloads(),
            };
            (function.name, found)
        })
        .collect()
    };
    Table {
        global: collect(false),
        member: collect(true),
    }
});

/// Finds a function by its name and how it is called.
pub(super) fn find(name: &str, member: bool) -> Option<&'static Found> {
    TABLE.of(member).get(name)
}

/// All names that an author can write, for suggestions.
pub(super) fn names(member: bool) -> impl Iterator<Item = &'static str> {
    TABLE
        .of(member)
        .keys()
        .copied()
        .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Types that have a name in expressions.
pub(super) const TYPES: &[(&str, &str)] = &[
    ("bool", "bool"),
    ("int", "int"),
    ("uint", "uint"),
    ("double", "double"),
    ("string", "string"),
    ("bytes", "bytes"),
    ("list", "list"),
    ("map", "map"),
    ("null_type", "null_type"),
    ("type", "type"),
    ("optional_type", "optional_type"),
    ("google.protobuf.Duration", "google.protobuf.Duration"),
    ("google.protobuf.Timestamp", "google.protobuf.Timestamp"),
    ("net.IP", "net.IP"),
    ("net.CIDR", "net.CIDR"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_can_be_read_and_no_name_is_taken_twice() {
        let mut count = 0;
        for found in TABLE.global.values().chain(TABLE.member.values()) {
            assert_eq!(
                found.overloads.len(),
                found.function.signatures.len(),
                "{}",
                found.function.name
            );
            count += 1;
        }
        assert!(count > 90, "{count}");
    }
}
