//! What names mean: variables, fields, types and functions; and what an author may have
//! meant instead. Part of the checker.

use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::super::kind::Kind;
use super::super::library::{self, Found};
use super::super::tree::{Constant, Step};
use super::super::{Environment, Fault};
use super::{Checked, Checker};

impl<'e> Checker<'e> {
    /// A name without dots.
    pub(super) fn name(&mut self, expression: &IdedExpr) -> Result<Checked, Fault> {
        let Expr::Ident(name) = &expression.expr else {
            return Err(self.fault(expression.id, "this is no name", None));
        };
        let id = expression.id;
        if let Some(at) = self.locals.iter().rposition(|(local, _)| local == name) {
            let kind = self
                .locals
                .get(at)
                .map_or(Kind::Dyn, |(_, kind)| kind.clone());
            return Ok((self.made(id, Step::Local(at)), kind));
        }
        if let Some(kind) = self.environment.kind(name) {
            let kind = kind.clone();
            let name: Box<str> = name.as_str().into();
            if !self.used.contains(&name) {
                self.used.push(name.clone());
            }
            return Ok((self.made(id, Step::Variable(name)), kind));
        }
        if let Some(checked) = self.type_name(id, name) {
            return Ok(checked);
        }
        let known = self
            .locals
            .iter()
            .map(|(name, _)| name.as_str())
            .chain(self.environment.names());
        let suggestion = nearest(name, known);
        Err(self.fault(id, format!("there is no variable {name:?}"), suggestion))
    }

    fn type_name(&self, id: u64, name: &str) -> Option<Checked> {
        let (_, name) = library::TYPES.iter().find(|(known, _)| *known == name)?;
        let step = Step::Constant(Constant::Type(name));
        Some((self.made(id, step), Kind::Type))
    }

    /// The name of a type with dots in it; none if it is none, or begins with a variable.
    pub(super) fn qualified(&self, expression: &IdedExpr) -> Option<Checked> {
        let name = self.dotted(expression)?;
        self.type_name(expression.id, &name)
    }

    /// `a.b.c`, unless `a` is a variable.
    fn dotted(&self, expression: &IdedExpr) -> Option<String> {
        match &expression.expr {
            Expr::Ident(name) => {
                let local = self.locals.iter().any(|(local, _)| local == name);
                let taken = local || self.environment.kind(name).is_some();
                (!taken).then(|| name.clone())
            }
            Expr::Select(select) if !select.test => {
                let before = self.dotted(&select.operand)?;
                Some(format!("{before}.{}", select.field))
            }
            _ => None,
        }
    }

    /// `of.field`, or `of.?field`.
    pub(super) fn select(
        &mut self,
        id: u64,
        of: &IdedExpr,
        field: &str,
        optional: bool,
    ) -> Result<Checked, Fault> {
        let (of, kind) = self.node(of)?;
        let field = self.field_name(id, field)?;
        let (found, optional_of) = match &kind {
            Kind::Optional(inner) => (self.field(id, inner, &field)?, true),
            other => (self.field(id, other, &field)?, false),
        };
        let kind = if optional || optional_of {
            Kind::optional(found)
        } else {
            found
        };
        let step = Step::Field {
            of: Box::new(of),
            name: field.into(),
            optional,
        };
        Ok((self.made(id, step), kind))
    }

    /// A field's name as it is, where it may be written with escapes.
    pub(super) fn field_name(&self, id: u64, written: &str) -> Result<String, Fault> {
        if !self.environment.escapes {
            return Ok(written.to_owned());
        }
        unescaped(written).ok_or_else(|| {
            self.fault(
                id,
                format!("{written:?} has an escape that is not known"),
                Some("escapes are __dot__, __dash__, __slash__ and __underscores__".to_owned()),
            )
        })
    }

    /// The type of a field.
    pub(super) fn field(&self, id: u64, of: &Kind, field: &str) -> Result<Kind, Fault> {
        match of {
            Kind::Dyn => Ok(Kind::Dyn),
            Kind::Map(of) if of.0.join(&Kind::String).is_some() => Ok(of.1.clone()),
            Kind::Record(shape) => {
                let found = shape.fields.iter().find(|(name, _)| name == field);
                found.map(|(_, kind)| kind.clone()).ok_or_else(|| {
                    let names = shape.fields.iter().map(|(name, _)| name.as_str());
                    let all: Vec<&str> = names.clone().collect();
                    let suggestion = nearest(field, names)
                        .unwrap_or_else(|| format!("it has {}", all.join(", ")));
                    let message = format!("{} has no field {field:?}", shape.name);
                    self.fault(id, message, Some(suggestion))
                })
            }
            other => Err(self.fault(
                id,
                format!("a value of type {other} has no field {field:?}"),
                None,
            )),
        }
    }

    /// The function that is called, and the value that it is called on.
    pub(super) fn callee<'c>(
        &self,
        id: u64,
        call: &'c CallExpr,
    ) -> Result<(&'static Found, Option<&'c IdedExpr>), Fault> {
        let name = call.func_name.as_str();
        let Some(target) = call.target.as_deref() else {
            return match library::find(name, false) {
                Some(found) => Ok((found, None)),
                None => Err(self.unknown(id, name, false)),
            };
        };
        if let Some(before) = self.dotted(target) {
            let whole = format!("{before}.{name}");
            if let Some(found) = library::find(&whole, false) {
                return Ok((found, None));
            }
            // Not a type either, so the author means a function of a library.
            if library::TYPES.iter().all(|(known, _)| *known != before) {
                return Err(self.unknown(id, &whole, false));
            }
        }
        match library::find(name, true) {
            Some(found) => Ok((found, Some(target))),
            None => Err(self.unknown(id, name, true)),
        }
    }

    fn unknown(&self, id: u64, name: &str, member: bool) -> Fault {
        let suggestion = match (library::find(name, !member), member) {
            (Some(_), true) => Some(format!("write {name}(…), not ….{name}()")),
            (Some(_), false) => Some(format!("write ….{name}(), not {name}(…)")),
            (None, true) => nearest(name, library::names(true).chain(super::macros::NAMES)),
            (None, false) => nearest(name, library::names(false).chain(["has"])),
        };
        let reason = match name.split('.').next().unwrap_or_default() {
            "authorizer" => ": the gate does not ask the cluster for permissions",
            "format" | "jsonpatch" | "math" | "json" | "cel" if name.contains('.') => {
                ": this library is not supported"
            }
            _ => "",
        };
        self.fault(
            id,
            format!("there is no function {name:?}{reason}"),
            suggestion,
        )
    }
}

impl Environment {
    fn kind(&self, name: &str) -> Option<&Kind> {
        self.variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, kind)| kind)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| *name)
    }
}

/// Undoes Kubernetes' escapes of names: `a__dot__b` is `a.b`, `__namespace__` a reserved word.
fn unescaped(written: &str) -> Option<String> {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find("__") {
        let (before, from) = rest.split_at(at);
        let inside = from.get(2..)?;
        let length = inside.find('_').unwrap_or(inside.len());
        let closed = inside.get(length..)?.starts_with("__");
        if length == 0 || !closed {
            // No escape begins here, but one may with the next letter.
            out.push_str(before);
            out.push('_');
            rest = from.get(1..)?;
            continue;
        }
        let name = inside.get(..length)?;
        out.push_str(before);
        out.push_str(match name {
            "underscores" => "__",
            "dot" => ".",
            "dash" => "-",
            "slash" => "/",
            word if RESERVED.contains(&word) && length + 4 == written.len() => word,
            _ => return None,
        });
        rest = inside.get(length + 2..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// The name that is most like a wrong one.
fn nearest<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    known
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("did you mean {name:?}?"))
}
