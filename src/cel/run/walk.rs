//! The macros that walk lists and maps. Part of the evaluation; every element is paid for.

use super::super::library::compare;
use super::super::meter::Meter;
use super::super::tree::{Each, What};
use super::super::value::{Map, Value};
use super::{Outcome, Run, Trouble};

impl<'a> Run<'_, 'a> {
    /// A macro that walks a list or a map.
    pub(super) fn each(&mut self, each: &'a Each) -> Outcome<'a> {
        let over = self.value(&each.over)?;
        let mut work = Work::new(each.what);
        let base = self.locals.len();
        match &over {
            Value::List(list) => {
                for at in 0..list.len() {
                    let Some(item) = list.get(at) else { break };
                    if each.two {
                        let index = i64::try_from(at).unwrap_or(i64::MAX);
                        self.locals.push(Value::Int(index));
                    }
                    self.locals.push(item);
                    let done = self.turn(each, &mut work);
                    self.locals.truncate(base);
                    if done? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, value) in map.entries() {
                    self.locals.push(key);
                    if each.two {
                        self.locals.push(value);
                    }
                    let done = self.turn(each, &mut work);
                    self.locals.truncate(base);
                    if done? {
                        break;
                    }
                }
            }
            _ => return Err(Trouble::no_overload()),
        }
        work.result(self.meter, &over)
    }

    /// One element; its variables are on the stack. Says whether the walk is over.
    fn turn(&mut self, each: &'a Each, work: &mut Work<'a>) -> Result<bool, Trouble> {
        self.meter.pay(1)?;
        if let Some(filter) = &each.filter {
            match self.value(filter)? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Ok(false),
                _ => return Err(Trouble::no_overload()),
            }
        }
        let body = self.value(&each.body);
        match each.what {
            What::All | What::Exists => return work.quantify(body, each.what == What::Exists),
            What::ExistsOne => match body? {
                Value::Bool(yes) => work.count += usize::from(yes),
                _ => return Err(Trouble::no_overload()),
            },
            What::Filter => match body? {
                Value::Bool(true) => work.items.extend(self.locals.last().cloned()),
                Value::Bool(false) => {}
                _ => return Err(Trouble::no_overload()),
            },
            What::List | What::SortBy => work.items.push(body?),
            What::Map => {
                let key = self.locals.iter().rev().nth(1).cloned();
                let key = key.ok_or_else(Trouble::no_overload)?;
                self.insert(&mut work.entries, key, body?)?;
            }
            What::Entries => {
                let Value::Map(map) = body? else {
                    return Err(Trouble::no_overload());
                };
                for (key, value) in map.entries() {
                    self.insert(&mut work.entries, key, value)?;
                }
            }
        }
        Ok(false)
    }
}

/// What a macro has gathered.
struct Work<'a> {
    what: What,
    verdict: bool,
    failed: Option<Trouble>,
    count: usize,
    items: Vec<Value<'a>>,
    entries: Vec<(Value<'a>, Value<'a>)>,
}

impl<'a> Work<'a> {
    fn new(what: What) -> Self {
        Self {
            what,
            verdict: what == What::All,
            failed: None,
            count: 0,
            items: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// `all` and `exists` absorb errors as `&&` and `||` do.
    fn quantify(&mut self, body: Outcome<'a>, wins: bool) -> Result<bool, Trouble> {
        match body {
            Ok(Value::Bool(value)) if value == wins => {
                self.verdict = wins;
                self.failed = None;
                return Ok(true);
            }
            Ok(Value::Bool(_)) => {}
            Ok(_) => self.failed = Some(Trouble::no_overload()),
            Err(Trouble::Spent) => return Err(Trouble::Spent),
            Err(failed) => self.failed = Some(failed),
        }
        Ok(false)
    }

    fn result(self, meter: &mut Meter, over: &Value<'a>) -> Outcome<'a> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        match self.what {
            What::All | What::Exists => Ok(Value::Bool(self.verdict)),
            What::ExistsOne => Ok(Value::Bool(self.count == 1)),
            What::Filter | What::List => Ok(Value::list(self.items)),
            What::Map | What::Entries => Ok(Value::Map(Map::Made(self.entries.into()))),
            What::SortBy => match over {
                Value::List(list) => compare::sorted(meter, list, &self.items),
                _ => Err(Trouble::no_overload()),
            },
        }
    }
}
