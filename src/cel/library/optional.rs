//! Optional values. Part of the CEL engine; `optMap` and `optFlatMap` are macros, and the
//! checker's.

use std::rc::Rc;

use super::super::run::Trouble;
use super::super::value::Value;
use super::{Function, operators};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global(
        "optional.of",
        &["A:optional<A>"],
        |_, values, _| match values {
            [value] => Ok(Value::Optional(Some(Rc::new(value.clone())))),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global("optional.none", &[":optional<A>"], |_, _, _| {
        Ok(Value::Optional(None))
    }),
    Function::global(
        "optional.ofNonZeroValue",
        &["A:optional<A>"],
        |_, values, _| match values {
            [value] if operators::is_zero(value) => Ok(Value::Optional(None)),
            [value] => Ok(Value::Optional(Some(Rc::new(value.clone())))),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::member(
        "hasValue",
        &["optional<A>:bool"],
        |_, values, _| match values {
            [Value::Optional(inner)] => Ok(Value::Bool(inner.is_some())),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::member("value", &["optional<A>:A"], |_, values, _| match values {
        [Value::Optional(Some(inner))] => Ok((**inner).clone()),
        [Value::Optional(None)] => Err(Trouble::new("optional.none() dereference")),
        _ => Err(Trouble::no_overload()),
    }),
    Function::member(
        "or",
        &["optional<A>,optional<A>:optional<A>"],
        |_, values, _| match values {
            [Value::Optional(None), other @ Value::Optional(_)] => Ok(other.clone()),
            [some @ Value::Optional(Some(_)), Value::Optional(_)] => Ok(some.clone()),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::member(
        "orValue",
        &["optional<A>,A:A"],
        |_, values, _| match values {
            [Value::Optional(Some(inner)), _] => Ok((**inner).clone()),
            [Value::Optional(None), other] => Ok(other.clone()),
            _ => Err(Trouble::no_overload()),
        },
    ),
];
