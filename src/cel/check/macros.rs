//! `has`, and what walks lists, maps and optional values. Part of the checker; a macro is
//! checked as what it means, so its variables have types, and its faults places.

use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::super::Fault;
use super::super::kind::{Has, Kind};
use super::super::tree::{Each, Node, OptionalMap, Step, What};
use super::{Checked, Checker};

/// All macros that are called on a value.
pub(super) const NAMES: [&str; 12] = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "filter",
    "map",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "sortBy",
    "optMap",
    "optFlatMap",
];

/// The arguments of one macro.
struct Parts<'c> {
    what: What,
    variables: &'c [IdedExpr],
    filter: Option<&'c IdedExpr>,
    body: &'c IdedExpr,
}

impl Checker<'_> {
    /// A call that is a macro; none if it is not.
    pub(super) fn macro_call(
        &mut self,
        id: u64,
        call: &CallExpr,
    ) -> Result<Option<Checked>, Fault> {
        let arguments = call.args.as_slice();
        let Some(target) = call.target.as_deref() else {
            return match (call.func_name.as_str(), arguments) {
                ("has", [argument]) => self.has(id, argument).map(Some),
                _ => Ok(None),
            };
        };
        if let ("optMap" | "optFlatMap", [variable, body]) = (call.func_name.as_str(), arguments) {
            let flat = call.func_name == "optFlatMap";
            return self
                .optional_map(id, target, variable, body, flat)
                .map(Some);
        }
        match parts(&call.func_name, arguments) {
            Some(parts) => self.each(id, target, &parts).map(Some),
            None => Ok(None),
        }
    }

    fn has(&mut self, id: u64, argument: &IdedExpr) -> Result<Checked, Fault> {
        let Expr::Select(select) = &argument.expr else {
            return Err(self.fault(
                argument.id,
                "has() asks for a field",
                Some("write has(a.b)".to_owned()),
            ));
        };
        let (of, kind) = self.node(&select.operand)?;
        let inner = match &kind {
            Kind::Optional(inner) => inner,
            other => other,
        };
        let name = self.field_name(argument.id, &select.field)?;
        self.field(argument.id, inner, &name)?;
        let step = Step::Has {
            of: Box::new(of),
            name: name.into(),
            filled: matches!(inner, Kind::Record(shape) if shape.has == Has::Filled),
        };
        Ok((self.made(id, step), Kind::Bool))
    }

    fn optional_map(
        &mut self,
        id: u64,
        target: &IdedExpr,
        variable: &IdedExpr,
        body: &IdedExpr,
        flat: bool,
    ) -> Result<Checked, Fault> {
        let (over, kind) = self.node(target)?;
        let inner = match kind {
            Kind::Optional(inner) => *inner,
            Kind::Dyn => Kind::Dyn,
            other => {
                let message = format!("this needs an optional value, not one of type {other}");
                return Err(self.fault(target.id, message, None));
            }
        };
        let name = self.variable(variable)?;
        self.locals.push((name, inner));
        let checked = self.node(body);
        self.locals.pop();
        let (made, kind) = checked?;
        let kind = match (flat, kind) {
            (false, kind) => Kind::optional(kind),
            (true, kind @ (Kind::Optional(_) | Kind::Dyn)) => kind,
            (true, other) => {
                let message = format!("this must yield an optional value, and is of type {other}");
                return Err(self.fault(body.id, message, Some("use optMap".to_owned())));
            }
        };
        let map = OptionalMap {
            over,
            body: made,
            flat,
        };
        Ok((self.made(id, Step::OptionalMap(Box::new(map))), kind))
    }

    fn each(&mut self, id: u64, target: &IdedExpr, parts: &Parts<'_>) -> Result<Checked, Fault> {
        let (over, kind) = self.node(target)?;
        let two = parts.variables.len() == 2;
        let (key, item) = match &kind {
            Kind::List(of) => (Kind::Int, (**of).clone()),
            Kind::Map(of) if two => (of.0.clone(), of.1.clone()),
            Kind::Map(of) => (Kind::Dyn, of.0.clone()),
            Kind::Dyn => (Kind::Dyn, Kind::Dyn),
            other => {
                let message = format!("a value of type {other} cannot be walked");
                return Err(self.fault(
                    target.id,
                    message,
                    Some("this works on lists and maps".to_owned()),
                ));
            }
        };
        if parts.what == What::SortBy && !matches!(kind, Kind::List(_) | Kind::Dyn) {
            return Err(self.fault(target.id, "only lists can be sorted", None));
        }
        let base = self.locals.len();
        for (at, variable) in parts.variables.iter().enumerate() {
            let name = self.variable(variable)?;
            let so_far = self.locals.get(base..).unwrap_or_default();
            if so_far.iter().any(|(other, _)| *other == name) {
                self.locals.truncate(base);
                return Err(self.fault(variable.id, format!("{name} is there twice"), None));
            }
            let kind = if two && at == 0 { &key } else { &item };
            self.locals.push((name, kind.clone()));
        }
        let checked = self.within(parts);
        self.locals.truncate(base);
        let (filter, body, made) = checked?;
        let result = self.result(parts, &kind, &key, &item, made)?;
        let each = Each {
            over,
            what: parts.what,
            two,
            filter,
            body,
        };
        Ok((self.made(id, Step::Each(Box::new(each))), result))
    }

    /// Filter and body, with the variables in place.
    fn within(&mut self, parts: &Parts<'_>) -> Result<(Option<Node>, Node, Kind), Fault> {
        let filter = parts.filter.map(|filter| self.truth(filter)).transpose()?;
        let asks = matches!(
            parts.what,
            What::All | What::Exists | What::ExistsOne | What::Filter
        );
        if asks {
            let body = self.truth(parts.body)?;
            return Ok((filter, body, Kind::Bool));
        }
        let (body, kind) = self.node(parts.body)?;
        Ok((filter, body, kind))
    }

    fn result(
        &self,
        parts: &Parts<'_>,
        over: &Kind,
        key: &Kind,
        item: &Kind,
        made: Kind,
    ) -> Result<Kind, Fault> {
        Ok(match parts.what {
            What::All | What::Exists | What::ExistsOne => Kind::Bool,
            What::Filter => Kind::list(item.clone()),
            What::List => Kind::list(made),
            What::Map => Kind::map(key.clone(), made),
            What::Entries => match made {
                made @ (Kind::Map(_) | Kind::Dyn) => made,
                other => {
                    let message = format!("this must yield a map, and is of type {other}");
                    return Err(self.fault(parts.body.id, message, None));
                }
            },
            What::SortBy => match made {
                Kind::Bool
                | Kind::Int
                | Kind::Uint
                | Kind::Double
                | Kind::String
                | Kind::Bytes
                | Kind::Duration
                | Kind::Timestamp
                | Kind::Dyn => over.clone(),
                other => {
                    let message = format!("values of type {other} have no order");
                    return Err(self.fault(parts.body.id, message, None));
                }
            },
        })
    }

    fn variable(&self, expression: &IdedExpr) -> Result<String, Fault> {
        match &expression.expr {
            Expr::Ident(name) => Ok(name.clone()),
            _ => Err(self.fault(
                expression.id,
                "the first argument must be a name",
                Some("write it like list.all(item, …)".to_owned()),
            )),
        }
    }
}

/// Which macro it is, by name and number of arguments.
fn parts<'c>(name: &str, arguments: &'c [IdedExpr]) -> Option<Parts<'c>> {
    let (what, variables) = match (name, arguments.len()) {
        ("all", 2) => (What::All, 1),
        ("exists", 2) => (What::Exists, 1),
        ("exists_one", 2) => (What::ExistsOne, 1),
        ("filter", 2) => (What::Filter, 1),
        ("map", 2 | 3) => (What::List, 1),
        ("sortBy", 2) => (What::SortBy, 1),
        ("all", 3) => (What::All, 2),
        ("exists", 3) => (What::Exists, 2),
        ("exists_one" | "existsOne", 3) => (What::ExistsOne, 2),
        ("transformList", 3 | 4) => (What::List, 2),
        ("transformMap", 3 | 4) => (What::Map, 2),
        ("transformMapEntry", 3 | 4) => (What::Entries, 2),
        _ => return None,
    };
    let (variables, rest) = arguments.split_at_checked(variables)?;
    let (filter, body) = match rest {
        [body] => (None, body),
        [filter, body] => (Some(filter), body),
        _ => return None,
    };
    Some(Parts {
        what,
        variables,
        filter,
        body,
    })
}
