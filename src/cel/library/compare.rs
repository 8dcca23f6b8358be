//! Equality and order of values, as CEL defines them: numbers compare across their types,
//! what cannot be compared is not equal. Part of the CEL engine.

use std::cmp::Ordering;

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::{List, Map, Value};

/// `a == b`.
pub(in crate::cel) fn equal(
    meter: &mut Meter,
    a: &Value<'_>,
    b: &Value<'_>,
) -> Result<bool, Trouble> {
    meter.pay(1)?;
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => numbers(a, b) == Some(Ordering::Equal),
        (Value::String(a), Value::String(b)) => {
            meter.pay_text(a.len().min(b.len()))?;
            **a == **b
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.pay_text(a.len().min(b.len()))?;
            a == b
        }
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::List(a), Value::List(b)) => lists(meter, a, b)?,
        (Value::Map(a), Value::Map(b)) => maps(meter, a, b)?,
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => equal(meter, a, b)?,
            (None, None) => true,
            _ => false,
        },
        (Value::Ip(a), Value::Ip(b)) => a == b,
        (Value::Cidr(a), Value::Cidr(b)) => a == b,
        (Value::Url(a), Value::Url(b)) => a.text() == b.text(),
        (Value::Quantity(a), Value::Quantity(b)) => a.compare(b) == Ordering::Equal,
        (Value::Semver(a), Value::Semver(b)) => a.compare(b) == Ordering::Equal,
        // As upstream: these know nobody but their own kind.
        (
            Value::Ip(_)
            | Value::Cidr(_)
            | Value::Url(_)
            | Value::Quantity(_)
            | Value::Semver(_)
            | Value::Record(_),
            _,
        ) => return Err(Trouble::no_overload()),
        _ => false,
    })
}

fn lists(meter: &mut Meter, a: &List<'_>, b: &List<'_>) -> Result<bool, Trouble> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        if !equal(meter, &a, &b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps(meter: &mut Meter, a: &Map<'_>, b: &Map<'_>) -> Result<bool, Trouble> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a.entries() {
        match find(meter, b, &key)? {
            Some(other) if equal(meter, &value, &other)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The value of a key of any type; numbers find each other across their types.
pub(in crate::cel) fn find<'a>(
    meter: &mut Meter,
    map: &Map<'a>,
    key: &Value<'_>,
) -> Result<Option<Value<'a>>, Trouble> {
    meter.pay_search(map)?;
    if let Value::String(key) = key {
        return Ok(map.get(key));
    }
    let Map::Made(entries) = map else {
        return Ok(None);
    };
    for (name, value) in entries.iter() {
        if equal(meter, name, key)? {
            return Ok(Some(value.clone()));
        }
    }
    Ok(None)
}

/// Which of two values is the greater.
pub(in crate::cel) fn order(
    meter: &mut Meter,
    a: &Value<'_>,
    b: &Value<'_>,
) -> Result<Ordering, Trouble> {
    meter.pay(1)?;
    Ok(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => {
            return numbers(a, b).ok_or_else(|| Trouble::new("NaN values cannot be ordered"));
        }
        (Value::String(a), Value::String(b)) => {
            meter.pay_text(a.len().min(b.len()))?;
            (**a).cmp(&**b)
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.pay_text(a.len().min(b.len()))?;
            a.cmp(b)
        }
        (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        _ => return Err(Trouble::no_overload()),
    })
}

/// None where one is not a number.
fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Double(a), b) => against(*a, whole(b)?),
        (a, Value::Double(b)) => against(*b, whole(a)?).map(Ordering::reverse),
        (a, b) => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(value) => Some((*value).into()),
        Value::Uint(value) => Some((*value).into()),
        _ => None,
    }
}

/// A double against a whole number, which is rounded to a double, as upstream does it.
#[expect(clippy::cast_precision_loss, reason = "upstream loses it too")]
fn against(double: f64, whole: i128) -> Option<Ordering> {
    double.partial_cmp(&(whole as f64))
}

/// The elements of a list in the order of their keys; equal keys keep their order.
pub(in crate::cel) fn sorted<'a>(
    meter: &mut Meter,
    list: &List<'a>,
    keys: &[Value<'a>],
) -> Outcome<'a> {
    meter.pay_elements(list.len().saturating_mul(2))?;
    if let Some(first) = keys.first() {
        let name = first.type_name();
        if keys.iter().any(|key| key.type_name() != name) {
            return Err(Trouble::new("list elements must have the same type"));
        }
        order(meter, first, first)?;
    }
    let mut places: Vec<usize> = (0..list.len()).collect();
    let mut failed = None;
    places.sort_by(|a, b| {
        let (Some(a), Some(b)) = (keys.get(*a), keys.get(*b)) else {
            return Ordering::Equal;
        };
        if failed.is_some() {
            return Ordering::Equal;
        }
        order(meter, a, b).unwrap_or_else(|trouble| {
            failed = Some(trouble);
            Ordering::Equal
        })
    });
    match failed {
        Some(trouble) => Err(trouble),
        None => Ok(Value::list(
            places.into_iter().filter_map(|at| list.get(at)).collect(),
        )),
    }
}
