//! The evaluation of a checked expression. Part of the CEL engine.
//!
//! Every visit is paid for. A spent budget is an error that nothing absorbs: `||` and `&&`
//! forgive other errors, as CEL says, never this one.

mod walk;

use std::borrow::Cow;
use std::rc::Rc;

use super::library::{compare, operators};
use super::meter::Meter;
use super::tree::{Constant, Entry, Node, OptionalMap, Step};
use super::value::{Map, Record, Value};

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be evaluated over these values.
    Failed {
        /// Where in the text: byte offset.
        at: u32,
        /// What is wrong. May hold parts of values: stays inside.
        what: Cow<'static, str>,
    },
    /// Its budget is spent.
    Spent,
}

impl Trouble {
    /// A failure whose place the caller fills in.
    pub(super) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed {
            at: u32::MAX,
            what: what.into(),
        }
    }

    /// What upstream says where no function fits.
    pub(super) fn no_overload() -> Self {
        Self::new("no such overload")
    }

    fn at(self, place: u32) -> Self {
        match self {
            Self::Failed { at: u32::MAX, what } => Self::Failed { at: place, what },
            placed => placed,
        }
    }
}

/// A value, or why there is none.
pub(super) type Outcome<'a> = Result<Value<'a>, Trouble>;

/// One evaluation.
pub(super) struct Run<'m, 'a> {
    pub meter: &'m mut Meter,
    scope: &'a dyn Record,
    locals: Vec<Value<'a>>,
}

impl<'m, 'a> Run<'m, 'a> {
    pub(super) fn new(scope: &'a dyn Record, meter: &'m mut Meter) -> Self {
        Self {
            meter,
            scope,
            locals: Vec::new(),
        }
    }

    pub(super) fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        self.meter.pay(1)?;
        self.step(node).map_err(|trouble| trouble.at(node.at))
    }

    fn step(&mut self, node: &'a Node) -> Outcome<'a> {
        match &node.step {
            Step::Constant(constant) => Ok(constant.value()),
            Step::Variable(name) => self
                .scope
                .field(name)
                .ok_or_else(|| Trouble::new(format!("{name} is not known here"))),
            Step::Local(at) => self
                .locals
                .get(*at)
                .cloned()
                .ok_or_else(|| Trouble::new("a variable without a value")),
            Step::Field { of, name, optional } => self.field(of, name, *optional),
            Step::Has { of, name, filled } => self.has(of, name, *filled),
            Step::Index {
                of,
                index,
                optional,
            } => self.index(of, index, *optional),
            Step::And(left, right) => self.logic(left, right, false),
            Step::Or(left, right) => self.logic(left, right, true),
            Step::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                match self.value(condition)? {
                    Value::Bool(true) => self.value(then),
                    Value::Bool(false) => self.value(otherwise),
                    _ => Err(Trouble::no_overload()),
                }
            }
            Step::List(elements) => {
                self.meter.pay_elements(elements.len())?;
                let mut items = Vec::with_capacity(elements.len());
                for element in elements {
                    let value = self.value(&element.value)?;
                    items.extend(unwrapped(value, element.optional)?);
                }
                Ok(Value::list(items))
            }
            Step::Map(entries) => self.map(entries),
            Step::Call {
                function,
                arguments,
                pattern,
            } => {
                // Few functions take more than four.
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.value(argument)?);
                }
                function.call(self.meter, &values, pattern.as_ref())
            }
            Step::Each(each) => self.each(each),
            Step::OptionalMap(map) => self.optional_map(map),
        }
    }

    fn field(&mut self, of: &'a Node, name: &str, optional: bool) -> Outcome<'a> {
        match self.value(of)? {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => {
                let found = self.select(&inner, name)?;
                Ok(Value::Optional(found.map(Rc::new)))
            }
            value if optional => Ok(Value::Optional(self.select(&value, name)?.map(Rc::new))),
            value @ (Value::Map(_) | Value::Record(_)) => self
                .select(&value, name)?
                .ok_or_else(|| Trouble::new(format!("no such key: {name}"))),
            value => Err(Trouble::new(format!(
                "no such key: {name}: this is of type {}",
                value.type_name()
            ))),
        }
    }

    /// None where there is no such field, or no fields at all.
    fn select(&mut self, value: &Value<'a>, name: &str) -> Result<Option<Value<'a>>, Trouble> {
        match value {
            Value::Map(map) => {
                self.meter.pay_search(map)?;
                Ok(map.get(name))
            }
            Value::Record(record) => Ok(record.field(name)),
            Value::List(_) => Err(Trouble::new("a list has no fields")),
            _ => Ok(None),
        }
    }

    fn has(&mut self, of: &'a Node, name: &str, filled: bool) -> Outcome<'a> {
        let value = self.value(of)?;
        let found = match &value {
            Value::Optional(None) => None,
            Value::Optional(Some(inner)) => self.select(inner, name)?,
            other => self.select(other, name)?,
        };
        Ok(Value::Bool(found.is_some_and(|found| {
            !filled || !operators::is_zero(&found)
        })))
    }

    fn index(&mut self, of: &'a Node, index: &'a Node, optional: bool) -> Outcome<'a> {
        let value = self.value(of)?;
        let index = self.value(index)?;
        let (value, optional) = match value {
            Value::Optional(None) => return Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => ((*inner).clone(), true),
            value => (value, optional),
        };
        let found = operators::element(self.meter, &value, &index)?;
        if optional {
            return Ok(Value::Optional(found.map(Rc::new)));
        }
        found.ok_or_else(|| match &value {
            Value::List(_) => Trouble::new("index out of bounds"),
            _ => Trouble::new("no such key"),
        })
    }

    /// `||` if `wins` is true, `&&` if it is false: a side that wins makes the other one's
    /// error irrelevant.
    fn logic(&mut self, left: &'a Node, right: &'a Node, wins: bool) -> Outcome<'a> {
        let left = match self.value(left) {
            Ok(Value::Bool(value)) if value == wins => return Ok(Value::Bool(wins)),
            Ok(Value::Bool(_)) => None,
            Ok(_) => Some(Trouble::no_overload()),
            Err(Trouble::Spent) => return Err(Trouble::Spent),
            Err(failed) => Some(failed),
        };
        match (self.value(right)?, left) {
            (Value::Bool(value), _) if value == wins => Ok(Value::Bool(wins)),
            (Value::Bool(_), None) => Ok(Value::Bool(!wins)),
            (Value::Bool(_), Some(failed)) => Err(failed),
            (_, failed) => Err(failed.unwrap_or_else(Trouble::no_overload)),
        }
    }

    fn map(&mut self, entries: &'a [Entry]) -> Outcome<'a> {
        self.meter.pay_elements(entries.len())?;
        let mut made = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = self.value(&entry.key)?;
            let value = self.value(&entry.value)?;
            if let Some(value) = unwrapped(value, entry.optional)? {
                self.insert(&mut made, key, value)?;
            }
        }
        Ok(Value::Map(Map::Made(made.into())))
    }

    fn insert(
        &mut self,
        made: &mut Vec<(Value<'a>, Value<'a>)>,
        key: Value<'a>,
        value: Value<'a>,
    ) -> Result<(), Trouble> {
        if !matches!(
            key,
            Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_)
        ) {
            return Err(Trouble::new(format!(
                "a value of type {} cannot be a key",
                key.type_name()
            )));
        }
        for (other, _) in made.iter() {
            if compare::equal(self.meter, other, &key)? {
                return Err(Trouble::new("the same key twice"));
            }
        }
        self.meter.pay(1)?;
        made.push((key, value));
        Ok(())
    }

    fn optional_map(&mut self, map: &'a OptionalMap) -> Outcome<'a> {
        let inner = match self.value(&map.over)? {
            Value::Optional(None) => return Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => inner,
            _ => return Err(Trouble::no_overload()),
        };
        self.locals.push((*inner).clone());
        let body = self.value(&map.body);
        self.locals.pop();
        match (body?, map.flat) {
            // Upstream trusts the checker here, and so a `dyn` passes.
            (value, true) => Ok(value),
            (value, false) => Ok(Value::Optional(Some(Rc::new(value)))),
        }
    }
}

/// What an element of a literal yields: nothing if it is an optional without a value.
fn unwrapped<'a>(value: Value<'a>, optional: bool) -> Result<Option<Value<'a>>, Trouble> {
    match (value, optional) {
        (value, false) => Ok(Some(value)),
        (Value::Optional(inner), true) => Ok(inner.map(|inner| (*inner).clone())),
        (_, true) => Err(Trouble::no_overload()),
    }
}

impl Constant {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::Double(value) => Value::Double(*value),
            Self::String(text) => Value::text(text),
            Self::Bytes(bytes) => Value::Bytes((**bytes).into()),
            Self::Type(name) => Value::Type(name),
        }
    }
}
