//! Semantic versions, 2.0.0. Part of the CEL engine; build metadata does not count in
//! comparisons.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::Value;
use super::Function;
use super::pattern::Pattern;

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    before: Vec<Part>,
}

/// One part of what stands after `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Number(u64),
    Text(String),
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let fine = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if build.is_some_and(|build| !build.split('.').all(fine)) {
            return None;
        }
        let (core, before) = match text.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (text, None),
        };
        let mut parts = core.split('.');
        let numbers = [
            number(parts.next()?)?,
            number(parts.next()?)?,
            number(parts.next()?)?,
        ];
        if parts.next().is_some() {
            return None;
        }
        let before = match before {
            None => Vec::new(),
            Some(before) => before
                .split('.')
                .map(|part| {
                    if part.bytes().all(|b| b.is_ascii_digit()) {
                        number(part).map(Part::Number)
                    } else {
                        fine(part).then(|| Part::Text(part.to_owned()))
                    }
                })
                .collect::<Option<_>>()?,
        };
        Some(Self { numbers, before })
    }

    /// Takes a leading `v`, leading zeros and missing parts too.
    fn parse_loosely(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<String> = text.splitn(3, '.').map(without_zeros).collect();
        if parts.len() < 3 && parts.last()?.contains(['+', '-']) {
            return None;
        }
        parts.resize(3, "0".to_owned());
        Self::parse(&parts.join("."))
    }

    /// Which is the later one.
    pub fn compare(&self, other: &Self) -> Ordering {
        let parts = || {
            for (a, b) in self.before.iter().zip(&other.before) {
                let order = match (a, b) {
                    (Part::Number(a), Part::Number(b)) => a.cmp(b),
                    (Part::Text(a), Part::Text(b)) => a.cmp(b),
                    (Part::Number(_), Part::Text(_)) => Ordering::Less,
                    (Part::Text(_), Part::Number(_)) => Ordering::Greater,
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
            self.before.len().cmp(&other.before.len())
        };
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.before.is_empty(), other.before.is_empty()) {
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ => parts(),
            }
        })
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if plain && !leading_zero {
        text.parse().ok()
    } else {
        None
    }
}

fn without_zeros(part: &str) -> String {
    if part.len() <= 1 {
        return part.to_owned();
    }
    let rest = part.trim_start_matches('0');
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        rest.to_owned()
    } else {
        format!("0{rest}")
    }
}

const READS: &[&str] = &["string:semver", "string,bool:semver"];
const TESTS: &[&str] = &["string:bool", "string,bool:bool"];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("semver", READS, |meter, values, _| {
        read(meter, values)?
            .map(|version| Value::Semver(Rc::new(version)))
            .ok_or_else(|| Trouble::new("this is no semantic version such as \"1.2.3\""))
    }),
    Function::global("isSemver", TESTS, |meter, values, _| {
        Ok(Value::Bool(read(meter, values)?.is_some()))
    }),
    Function::member("major", &["semver:int"], |_, values, _| part(values, 0)),
    Function::member("minor", &["semver:int"], |_, values, _| part(values, 1)),
    Function::member("patch", &["semver:int"], |_, values, _| part(values, 2)),
    Function::member(
        "isGreaterThan",
        &["semver,semver:bool", "quantity,quantity:bool"],
        |_, values, _| Ok(Value::Bool(order(values)? == Ordering::Greater)),
    ),
    Function::member(
        "isLessThan",
        &["semver,semver:bool", "quantity,quantity:bool"],
        |_, values, _| Ok(Value::Bool(order(values)? == Ordering::Less)),
    ),
    Function::member(
        "compareTo",
        &["semver,semver:int", "quantity,quantity:int"],
        compare_to,
    ),
];

fn read(meter: &mut Meter, values: &[Value<'_>]) -> Result<Option<Version>, Trouble> {
    let (text, loosely) = match values {
        [Value::String(text)] => (text, false),
        [Value::String(text), Value::Bool(loosely)] => (text, *loosely),
        _ => return Err(Trouble::no_overload()),
    };
    meter.pay_text(text.len())?;
    Ok(if loosely {
        Version::parse_loosely(text)
    } else {
        Version::parse(text)
    })
}

fn part<'a>(values: &[Value<'a>], at: usize) -> Outcome<'a> {
    match values {
        [Value::Semver(version)] => {
            let number = version.numbers.get(at).copied().unwrap_or_default();
            i64::try_from(number)
                .map(Value::Int)
                .map_err(|_| Trouble::new("integer overflow"))
        }
        _ => Err(Trouble::no_overload()),
    }
}

fn order(values: &[Value<'_>]) -> Result<Ordering, Trouble> {
    match values {
        [Value::Semver(a), Value::Semver(b)] => Ok(a.compare(b)),
        [Value::Quantity(a), Value::Quantity(b)] => Ok(a.compare(b)),
        _ => Err(Trouble::no_overload()),
    }
}

fn compare_to<'a>(_: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    Ok(Value::Int(match order(values)? {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}
