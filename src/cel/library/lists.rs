//! Functions of lists, and lists as sets. Part of the CEL engine.

use std::cmp::Ordering;

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::{List, Value};
use super::pattern::Pattern;
use super::{Function, compare, operators};

const SORTABLE: &[&str] = &[
    "list<int>:list<int>",
    "list<uint>:list<uint>",
    "list<double>:list<double>",
    "list<bool>:list<bool>",
    "list<duration>:list<duration>",
    "list<timestamp>:list<timestamp>",
    "list<string>:list<string>",
    "list<bytes>:list<bytes>",
];
const COMPARABLE: &[&str] = &[
    "list<int>:int",
    "list<uint>:uint",
    "list<double>:double",
    "list<bool>:bool",
    "list<duration>:duration",
    "list<timestamp>:timestamp",
    "list<string>:string",
    "list<bytes>:bytes",
];
const SORTED: &[&str] = &[
    "list<int>:bool",
    "list<uint>:bool",
    "list<double>:bool",
    "list<bool>:bool",
    "list<duration>:bool",
    "list<timestamp>:bool",
    "list<string>:bool",
    "list<bytes>:bool",
];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::member("isSorted", SORTED, |meter, values, _| {
        let list = only(values)?;
        for (a, b) in list.iter().zip(list.iter().skip(1)) {
            if compare::order(meter, &a, &b)? == Ordering::Greater {
                return Ok(Value::Bool(false));
            }
        }
        Ok(Value::Bool(true))
    }),
    Function::member(
        "sum",
        &[
            "list<int>:int",
            "list<uint>:uint",
            "list<double>:double",
            "list<duration>:duration",
        ],
        sum,
    ),
    Function::member("max", COMPARABLE, |meter, values, _| {
        best(meter, values, Ordering::Less)
    }),
    Function::member("min", COMPARABLE, |meter, values, _| {
        best(meter, values, Ordering::Greater)
    }),
    Function::member(
        "includes",
        &["dyn,dyn:bool"],
        |meter, values, _| match values {
            [Value::List(list), item] => Ok(Value::Bool(operators::is_in(meter, item, list)?)),
            [value, item] => Ok(Value::Bool(compare::equal(meter, value, item)?)),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::member("slice", &["list<A>,int,int:list<A>"], slice),
    Function::member(
        "flatten",
        &["list<list<A>>:list<A>", "list<dyn>,int:list<dyn>"],
        |meter, values, _| {
            let (list, depth) = match values {
                [Value::List(list)] => (list, 1),
                [Value::List(list), Value::Int(depth)] => (list, *depth),
                _ => return Err(Trouble::no_overload()),
            };
            if depth < 0 {
                return Err(Trouble::new("the depth of flatten must not be negative"));
            }
            let mut items = Vec::new();
            flatten(meter, list, depth, &mut items)?;
            Ok(Value::list(items))
        },
    ),
    Function::member("sort", SORTABLE, |meter, values, _| {
        let list = only(values)?;
        meter.pay_elements(list.len())?;
        let keys: Vec<Value<'_>> = list.iter().collect();
        compare::sorted(meter, list, &keys)
    }),
    Function::member(
        "reverse",
        &["list<A>:list<A>", "string:string"],
        |meter, values, _| match values {
            [Value::List(list)] => {
                meter.pay_elements(list.len())?;
                Ok(Value::list(list.iter().rev().collect()))
            }
            [Value::String(text)] => {
                meter.pay_text(text.len())?;
                Ok(Value::made(text.chars().rev().collect::<String>()))
            }
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::member("distinct", &["list<A>:list<A>"], distinct),
    Function::global("lists.range", &["int:list<int>"], |meter, values, _| {
        let [Value::Int(end)] = values else {
            return Err(Trouble::no_overload());
        };
        let size = usize::try_from(*end)
            .map_err(|_| Trouble::new("the size of lists.range must not be negative"))?;
        meter.pay_elements(size)?;
        Ok(Value::list((0..*end).map(Value::Int).collect()))
    }),
    Function::global(
        "sets.contains",
        &["list<A>,list<A>:bool"],
        |meter, values, _| {
            let (a, b) = both(values)?;
            Ok(Value::Bool(covers(meter, a, b)?))
        },
    ),
    Function::global(
        "sets.equivalent",
        &["list<A>,list<A>:bool"],
        |meter, values, _| {
            let (a, b) = both(values)?;
            Ok(Value::Bool(covers(meter, a, b)? && covers(meter, b, a)?))
        },
    ),
    Function::global(
        "sets.intersects",
        &["list<A>,list<A>:bool"],
        |meter, values, _| {
            let (a, b) = both(values)?;
            for item in a.iter() {
                if operators::is_in(meter, &item, b)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        },
    ),
];

fn only<'v, 'a>(values: &'v [Value<'a>]) -> Result<&'v List<'a>, Trouble> {
    match values {
        [Value::List(list)] => Ok(list),
        _ => Err(Trouble::no_overload()),
    }
}

fn both<'v, 'a>(values: &'v [Value<'a>]) -> Result<(&'v List<'a>, &'v List<'a>), Trouble> {
    match values {
        [Value::List(a), Value::List(b)] => Ok((a, b)),
        _ => Err(Trouble::no_overload()),
    }
}

fn sum<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let list = only(values)?;
    let mut items = list.iter();
    // As upstream: the sum of nothing is a whole number.
    let mut sum = match items.next() {
        None => return Ok(Value::Int(0)),
        Some(first @ (Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_))) => {
            first
        }
        Some(_) => return Err(Trouble::no_overload()),
    };
    for item in items {
        meter.pay(1)?;
        sum = operators::add(meter, &sum, &item)?;
    }
    Ok(sum)
}

fn best<'a>(meter: &mut Meter, values: &[Value<'a>], worse: Ordering) -> Outcome<'a> {
    let mut best: Option<Value<'a>> = None;
    for item in only(values)?.iter() {
        best = Some(match best {
            None => {
                // What has no order is no maximum of a list of one either.
                compare::order(meter, &item, &item)?;
                item
            }
            Some(best) if compare::order(meter, &best, &item)? == worse => item,
            Some(best) => best,
        });
    }
    best.ok_or_else(|| Trouble::new("an empty list has neither minimum nor maximum"))
}

/// The first or last place of an item; -1 if it is not there.
pub(super) fn index_of<'a>(
    meter: &mut Meter,
    list: &List<'a>,
    item: &Value<'a>,
    last: bool,
) -> Outcome<'a> {
    let mut found = -1;
    for (at, other) in list.iter().enumerate() {
        let same = match compare::equal(meter, &other, item) {
            Err(Trouble::Failed { .. }) => false,
            outcome => outcome?,
        };
        if same {
            found = i64::try_from(at).unwrap_or(i64::MAX);
            if !last {
                break;
            }
        }
    }
    Ok(Value::Int(found))
}

fn slice<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = values else {
        return Err(Trouble::no_overload());
    };
    match (usize::try_from(*start), usize::try_from(*end)) {
        (Ok(start), Ok(end)) if start <= end && end <= list.len() => {
            meter.pay_elements(end - start)?;
            Ok(Value::list(
                (start..end).filter_map(|at| list.get(at)).collect(),
            ))
        }
        _ => Err(Trouble::new(format!(
            "cannot slice({start}, {end}) a list of {}",
            list.len()
        ))),
    }
}

/// As deep as values nest at most, which the limits on bodies and expressions bound.
fn flatten<'a>(
    meter: &mut Meter,
    list: &List<'a>,
    depth: i64,
    into: &mut Vec<Value<'a>>,
) -> Result<(), Trouble> {
    for item in list.iter() {
        meter.pay(1)?;
        match item {
            Value::List(inner) if depth > 0 => flatten(meter, &inner, depth - 1, into)?,
            other => into.push(other),
        }
    }
    Ok(())
}

fn distinct<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let mut kept: Vec<Value<'a>> = Vec::new();
    for item in only(values)?.iter() {
        let mut seen = false;
        for other in &kept {
            seen = match compare::equal(meter, &item, other) {
                Err(Trouble::Failed { .. }) => false,
                outcome => outcome?,
            };
            if seen {
                break;
            }
        }
        if !seen {
            meter.pay(1)?;
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn covers(meter: &mut Meter, all: &List<'_>, some: &List<'_>) -> Result<bool, Trouble> {
    for item in some.iter() {
        if !operators::is_in(meter, &item, all)? {
            return Ok(false);
        }
    }
    Ok(true)
}
