//! The operators that are functions: arithmetic, comparison, `in`, and element access.
//! Part of the CEL engine; whole numbers never wrap.

use std::cmp::Ordering;

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::{List, Map, Value};
use super::pattern::Pattern;
use super::{Function, compare, time};

const COMPARABLE: &[&str] = &[
    "bool,bool:bool",
    "int,int:bool",
    "int,uint:bool",
    "int,double:bool",
    "uint,uint:bool",
    "uint,int:bool",
    "uint,double:bool",
    "double,double:bool",
    "double,int:bool",
    "double,uint:bool",
    "string,string:bool",
    "bytes,bytes:bool",
    "timestamp,timestamp:bool",
    "duration,duration:bool",
];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("_==_", &["A,A:bool"], |meter, values, _| {
        let [a, b] = two(values)?;
        Ok(Value::Bool(compare::equal(meter, a, b)?))
    }),
    Function::global("_!=_", &["A,A:bool"], |meter, values, _| {
        let [a, b] = two(values)?;
        Ok(Value::Bool(!compare::equal(meter, a, b)?))
    }),
    Function::global("_<_", COMPARABLE, |meter, values, _| {
        ordered(meter, values, |order| order == Ordering::Less)
    }),
    Function::global("_<=_", COMPARABLE, |meter, values, _| {
        ordered(meter, values, |order| order != Ordering::Greater)
    }),
    Function::global("_>_", COMPARABLE, |meter, values, _| {
        ordered(meter, values, |order| order == Ordering::Greater)
    }),
    Function::global("_>=_", COMPARABLE, |meter, values, _| {
        ordered(meter, values, |order| order != Ordering::Less)
    }),
    Function::global(
        "_+_",
        &[
            "int,int:int",
            "uint,uint:uint",
            "double,double:double",
            "string,string:string",
            "bytes,bytes:bytes",
            "list<A>,list<A>:list<A>",
            "duration,duration:duration",
            "timestamp,duration:timestamp",
            "duration,timestamp:timestamp",
        ],
        |meter, values, _| {
            let [a, b] = two(values)?;
            add(meter, a, b)
        },
    ),
    Function::global(
        "_-_",
        &[
            "int,int:int",
            "uint,uint:uint",
            "double,double:double",
            "duration,duration:duration",
            "timestamp,timestamp:duration",
            "timestamp,duration:timestamp",
        ],
        subtract,
    ),
    Function::global(
        "_*_",
        &["int,int:int", "uint,uint:uint", "double,double:double"],
        |_, values, _| match values {
            [Value::Int(a), Value::Int(b)] => int(a.checked_mul(*b)),
            [Value::Uint(a), Value::Uint(b)] => uint(a.checked_mul(*b)),
            [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a * b)),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global(
        "_/_",
        &["int,int:int", "uint,uint:uint", "double,double:double"],
        |_, values, _| match values {
            [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
                Err(Trouble::new("division by zero"))
            }
            [Value::Int(a), Value::Int(b)] => int(a.checked_div(*b)),
            [Value::Uint(a), Value::Uint(b)] => uint(a.checked_div(*b)),
            [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a / b)),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global(
        "_%_",
        &["int,int:int", "uint,uint:uint"],
        |_, values, _| match values {
            [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
                Err(Trouble::new("modulus by zero"))
            }
            [Value::Int(a), Value::Int(b)] => int(a.checked_rem(*b)),
            [Value::Uint(a), Value::Uint(b)] => uint(a.checked_rem(*b)),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global(
        "-_",
        &["int:int", "double:double"],
        |_, values, _| match values {
            [Value::Int(a)] => int(a.checked_neg()),
            [Value::Double(a)] => Ok(Value::Double(-a)),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global("!_", &["bool:bool"], |_, values, _| match values {
        [Value::Bool(a)] => Ok(Value::Bool(!a)),
        _ => Err(Trouble::no_overload()),
    }),
    Function::global("@in", &["A,list<A>:bool", "A,map<A,B>:bool"], contains),
];

fn two<'v, 'a>(values: &'v [Value<'a>]) -> Result<&'v [Value<'a>; 2], Trouble> {
    values.try_into().map_err(|_| Trouble::no_overload())
}

fn ordered<'a>(
    meter: &mut Meter,
    values: &[Value<'a>],
    holds: fn(Ordering) -> bool,
) -> Outcome<'a> {
    let [a, b] = two(values)?;
    Ok(Value::Bool(holds(compare::order(meter, a, b)?)))
}

/// `a + b`.
pub(super) fn add<'a>(meter: &mut Meter, a: &Value<'a>, b: &Value<'a>) -> Outcome<'a> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => int(a.checked_add(*b)),
        (Value::Uint(a), Value::Uint(b)) => uint(a.checked_add(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => {
            meter.pay_text(a.len() + b.len())?;
            Ok(Value::made([&**a, &**b].concat()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.pay_text(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) => {
            meter.pay_elements(a.len() + b.len())?;
            Ok(Value::list(a.iter().chain(b.iter()).collect()))
        }
        (Value::Duration(a), Value::Duration(b)) => duration(a.checked_add(*b)),
        (Value::Timestamp(at), Value::Duration(by))
        | (Value::Duration(by), Value::Timestamp(at)) => time::moved(*at, (*by).into()),
        _ => Err(Trouble::no_overload()),
    }
}

fn subtract<'a>(_: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    match values {
        [Value::Int(a), Value::Int(b)] => int(a.checked_sub(*b)),
        [Value::Uint(a), Value::Uint(b)] => uint(a.checked_sub(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a - b)),
        [Value::Duration(a), Value::Duration(b)] => duration(a.checked_sub(*b)),
        [Value::Timestamp(a), Value::Timestamp(b)] => duration(i64::try_from(a.0 - b.0).ok()),
        [Value::Timestamp(at), Value::Duration(by)] => time::moved(*at, -i128::from(*by)),
        _ => Err(Trouble::no_overload()),
    }
}

fn contains<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    match values {
        [item, Value::List(list)] => Ok(Value::Bool(is_in(meter, item, list)?)),
        [key, Value::Map(map)] => Ok(Value::Bool(compare::find(meter, map, key)?.is_some())),
        _ => Err(Trouble::no_overload()),
    }
}

/// `item in list`: the first element that is equal counts, whatever the others are.
pub(super) fn is_in(meter: &mut Meter, item: &Value<'_>, list: &List<'_>) -> Result<bool, Trouble> {
    for other in list.iter() {
        match compare::equal(meter, item, &other) {
            Ok(true) => return Ok(true),
            Err(Trouble::Spent) => return Err(Trouble::Spent),
            Ok(false) | Err(Trouble::Failed { .. }) => {}
        }
    }
    Ok(false)
}

/// `of[index]`; none if there is no such element, or nothing to look into.
pub(in crate::cel) fn element<'a>(
    meter: &mut Meter,
    of: &Value<'a>,
    index: &Value<'a>,
) -> Result<Option<Value<'a>>, Trouble> {
    match (of, index) {
        (Value::List(list), Value::Int(_) | Value::Uint(_) | Value::Double(_)) => {
            let at = match index {
                Value::Int(at) => usize::try_from(*at).ok(),
                Value::Uint(at) => usize::try_from(*at).ok(),
                Value::Double(at) if at.fract() == 0.0 && at.abs() < 1e15 => {
                    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
                    let at = *at as i64;
                    usize::try_from(at).ok()
                }
                _ => return Err(Trouble::new("this number is no index")),
            };
            Ok(at.and_then(|at| list.get(at)))
        }
        (Value::List(_), _) => Err(Trouble::new("this is no index of a list")),
        (Value::Map(map), key) => compare::find(meter, map, key),
        _ => Ok(None),
    }
}

/// Whether a value is empty or zero: what `optional.ofNonZeroValue` leaves out.
pub(in crate::cel) fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Optional(None) => true,
        Value::Bool(value) => !value,
        Value::Int(value) | Value::Duration(value) => *value == 0,
        Value::Uint(value) => *value == 0,
        Value::Double(value) => *value == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

fn int<'a>(value: Option<i64>) -> Outcome<'a> {
    value
        .map(Value::Int)
        .ok_or_else(|| Trouble::new("integer overflow"))
}

fn uint<'a>(value: Option<u64>) -> Outcome<'a> {
    value
        .map(Value::Uint)
        .ok_or_else(|| Trouble::new("unsigned integer overflow"))
}

fn duration<'a>(value: Option<i64>) -> Outcome<'a> {
    value
        .map(Value::Duration)
        .ok_or_else(|| Trouble::new("duration overflow"))
}

/// A map of text to lists of text.
pub(super) fn map_of_lists<'a>(entries: Vec<(String, Vec<String>)>) -> Value<'a> {
    let made = entries.into_iter().map(|(key, list)| {
        let list = list.into_iter().map(Value::made).collect();
        (Value::made(key), Value::list(list))
    });
    Value::Map(Map::Made(made.collect()))
}
