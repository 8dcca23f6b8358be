//! Text → checked expression. Part of the CEL engine; all that can be wrong with an
//! expression is found here, before the first request.
//!
//! The parser is that of the `cel` crate. Its macros are left out: `all`, `map` and the
//! others are checked and evaluated as what they are, see `macros`.

mod call;
mod macros;
mod name;
mod read;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::kind::Kind;
use super::tree::{Constant, Element, Entry, Node, Step};
use super::{Environment, Fault};

/// How deep an expression may nest.
const DEEPEST: usize = 100;

/// A checked expression and its type.
pub(super) type Checked = (Node, Kind);

/// What is known while an expression is walked.
pub(super) struct Checker<'e> {
    environment: &'e Environment,
    info: SourceInfo,
    /// Variables of macros, the innermost last; their places are those on the stack.
    locals: Vec<(String, Kind)>,
    depth: usize,
    /// Within the arguments of `format`, where lists may hold what they like.
    mixed: bool,
    /// The variables of the environment that are used.
    used: Vec<Box<str>>,
}

/// Checks a text; yields the variables that it uses, too.
pub(super) fn check(
    text: &str,
    environment: &Environment,
) -> Result<(Checked, Vec<Box<str>>), Fault> {
    let (expression, info) = read::parse(text)?;
    let mut checker = Checker {
        environment,
        info,
        locals: Vec::new(),
        depth: 0,
        mixed: false,
        used: Vec::new(),
    };
    let checked = checker.node(&expression)?;
    Ok((checked, checker.used))
}

impl Checker<'_> {
    fn fault(&self, id: u64, message: impl Into<String>, suggestion: Option<String>) -> Fault {
        let (line, column) = self.place(id);
        Fault {
            line,
            column,
            message: message.into(),
            suggestion,
        }
    }

    fn offset(&self, id: u64) -> u32 {
        self.info.offset_for(id).map_or(0, |(start, _)| start)
    }

    /// Line and column of a node, counted in code points from 1.
    fn place(&self, id: u64) -> (usize, usize) {
        super::place(&self.info.source, self.offset(id))
    }

    fn made(&self, id: u64, step: Step) -> Node {
        Node {
            at: self.offset(id),
            step,
        }
    }

    fn node(&mut self, expression: &IdedExpr) -> Result<Checked, Fault> {
        if self.depth == DEEPEST {
            return Err(self.fault(
                expression.id,
                "the expression nests too deep",
                Some("make several of it".to_owned()),
            ));
        }
        self.depth += 1;
        let checked = self.step(expression);
        self.depth -= 1;
        checked
    }

    fn step(&mut self, expression: &IdedExpr) -> Result<Checked, Fault> {
        let id = expression.id;
        match &expression.expr {
            Expr::Literal(literal) => {
                let (constant, kind) = constant(literal);
                Ok((self.made(id, Step::Constant(constant)), kind))
            }
            Expr::Ident(_) => self.name(expression),
            Expr::Select(select) => match self.qualified(expression) {
                Some(checked) => Ok(checked),
                None => self.select(id, &select.operand, &select.field, false),
            },
            Expr::List(list) => {
                let mut elements = Vec::with_capacity(list.elements.len());
                let mut kind = None;
                for (at, element) in list.elements.iter().enumerate() {
                    let optional = list.optional_indices.contains(&at);
                    let (value, found) = self.element(element, optional)?;
                    if !(optional && found == Kind::Dyn) {
                        kind = Some(self.homogeneous(element.id, kind, found)?);
                    }
                    elements.push(Element { value, optional });
                }
                let kind = Kind::list(kind.unwrap_or(Kind::Dyn));
                Ok((self.made(id, Step::List(elements.into())), kind))
            }
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                let mut kinds: (Option<Kind>, Option<Kind>) = (None, None);
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(self.fault(id, "this is no map", None));
                    };
                    let (key, found) = self.node(&entry.key)?;
                    self.key(entry.key.id, &found)?;
                    kinds.0 = Some(self.homogeneous(entry.key.id, kinds.0, found)?);
                    let (value, found) = self.element(&entry.value, entry.optional)?;
                    if !(entry.optional && found == Kind::Dyn) {
                        kinds.1 = Some(self.homogeneous(entry.value.id, kinds.1, found)?);
                    }
                    entries.push(Entry {
                        key,
                        value,
                        optional: entry.optional,
                    });
                }
                let kind = Kind::map(kinds.0.unwrap_or(Kind::Dyn), kinds.1.unwrap_or(Kind::Dyn));
                Ok((self.made(id, Step::Map(entries.into())), kind))
            }
            Expr::Call(call) => match self.macro_call(id, call)? {
                Some(checked) => Ok(checked),
                None => self.call(id, call),
            },
            Expr::Struct(structure) => Err(self.fault(
                id,
                format!(
                    "messages such as {} cannot be made here",
                    structure.type_name
                ),
                Some("write a map, or a plain value".to_owned()),
            )),
            Expr::Comprehension(_) | Expr::Unspecified => {
                Err(self.fault(id, "the expression cannot be read", None))
            }
        }
    }

    /// An element of a literal; the type is that of what it yields.
    fn element(&mut self, expression: &IdedExpr, optional: bool) -> Result<Checked, Fault> {
        let (node, kind) = self.node(expression)?;
        let kind = match (optional, kind) {
            (true, Kind::Optional(inner)) => *inner,
            (true, Kind::Dyn) => Kind::Dyn,
            (true, other) => {
                return Err(self.fault(
                    expression.id,
                    format!("? needs an optional value, and this is of type {other}"),
                    Some("use optional.of(…), or leave the ? out".to_owned()),
                ));
            }
            (false, kind) => kind,
        };
        Ok((node, kind))
    }

    /// As upstream: what a literal holds is of one type.
    fn homogeneous(&self, id: u64, so_far: Option<Kind>, found: Kind) -> Result<Kind, Fault> {
        let Some(so_far) = so_far else {
            return Ok(found);
        };
        let either_is_dyn = (so_far == Kind::Dyn) != (found == Kind::Dyn);
        match so_far.join(&found) {
            _ if self.mixed => Ok(Kind::Dyn),
            Some(kind) if !either_is_dyn => Ok(kind),
            _ => Err(self.fault(
                id,
                format!("expected type {so_far} but found {found}"),
                Some("a literal holds values of one type; wrap each in dyn(…)".to_owned()),
            )),
        }
    }

    fn key(&self, id: u64, kind: &Kind) -> Result<(), Fault> {
        match kind {
            Kind::Bool | Kind::Int | Kind::Uint | Kind::String | Kind::Dyn => Ok(()),
            other => Err(self.fault(
                id,
                format!("a value of type {other} cannot be a key"),
                Some("keys are strings, whole numbers or booleans".to_owned()),
            )),
        }
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Result<Checked, Fault> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                let left = Box::new(self.truth(left)?);
                let right = Box::new(self.truth(right)?);
                let step = match call.func_name.as_str() {
                    operators::LOGICAL_AND => Step::And(left, right),
                    _ => Step::Or(left, right),
                };
                Ok((self.made(id, step), Kind::Bool))
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let condition = self.truth(condition)?;
                let (then, a) = self.node(then)?;
                let (otherwise, b) = self.node(otherwise)?;
                let kind = a.join(&b).ok_or_else(|| {
                    let message = format!("the two sides of ? : are of types {a} and {b}");
                    self.fault(id, message, Some("make them of one type".to_owned()))
                })?;
                let parts = Box::new([condition, then, otherwise]);
                Ok((self.made(id, Step::Choice(parts)), kind))
            }
            (operators::INDEX, [of, index]) => self.index(id, of, index, false),
            (operators::OPT_INDEX, [of, index]) => self.index(id, of, index, true),
            (operators::OPT_SELECT, [of, field]) => {
                let Expr::Literal(LiteralValue::String(field)) = &field.expr else {
                    return Err(self.fault(id, "?. needs the name of a field", None));
                };
                self.select(id, of, field.inner(), true)
            }
            _ => self.function(id, call),
        }
    }

    /// A part that must be true or false.
    fn truth(&mut self, expression: &IdedExpr) -> Result<Node, Fault> {
        let (node, kind) = self.node(expression)?;
        match kind {
            Kind::Bool | Kind::Dyn => Ok(node),
            other => Err(self.fault(
                expression.id,
                format!("this must be true or false, and is of type {other}"),
                None,
            )),
        }
    }

    fn index(
        &mut self,
        id: u64,
        of: &IdedExpr,
        index: &IdedExpr,
        optional: bool,
    ) -> Result<Checked, Fault> {
        let (of, kind) = self.node(of)?;
        let (index, by) = self.node(index)?;
        let (inner, optional_of) = match kind.clone() {
            Kind::Optional(inner) => (*inner, true),
            other => (other, false),
        };
        let found = match (&inner, &by) {
            (Kind::Dyn, _) => Kind::Dyn,
            (Kind::List(of), Kind::Int | Kind::Dyn) => (**of).clone(),
            (Kind::Map(of), by) if of.0.join(by).is_some() => of.1.clone(),
            _ => {
                let message = format!("a value of type {by} is no index of a {kind}");
                let suggestion = match inner {
                    Kind::Record(_) => Some("write .name instead".to_owned()),
                    _ => None,
                };
                return Err(self.fault(id, message, suggestion));
            }
        };
        let kind = match (optional || optional_of, found) {
            (true, found) => Kind::optional(found),
            (false, found) => found,
        };
        let step = Step::Index {
            of: Box::new(of),
            index: Box::new(index),
            optional,
        };
        Ok((self.made(id, step), kind))
    }
}

fn constant(literal: &LiteralValue) -> (Constant, Kind) {
    match literal {
        LiteralValue::Null => (Constant::Null, Kind::Null),
        LiteralValue::Boolean(value) => (Constant::Bool(*value.inner()), Kind::Bool),
        LiteralValue::Int(value) => (Constant::Int(*value.inner()), Kind::Int),
        LiteralValue::UInt(value) => (Constant::Uint(*value.inner()), Kind::Uint),
        LiteralValue::Double(value) => (Constant::Double(*value.inner()), Kind::Double),
        LiteralValue::String(value) => (Constant::String(value.inner().into()), Kind::String),
        LiteralValue::Bytes(value) => (Constant::Bytes(value.inner().into()), Kind::Bytes),
    }
}
