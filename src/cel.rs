//! The one engine for CEL, the Common Expression Language: conditions of rules, and
//! expressions of `AuthenticationConfiguration`.
//!
//! Text is parsed by the `cel` crate, then checked and evaluated here: that crate has no
//! type checker and no limit on cost, and both must hold before an expression may decide.
//! Language and functions are those of the API server, which the tests compare with; where
//! they differ, an expression is refused or fails, it never means something else.
//!
//! This room knows no policy and no request: `decide` and `identify` bring their variables.
//! It is pure: no clock, no file, no network.

mod check;
mod kind;
mod library;
mod meter;
mod run;
mod tree;
mod value;

use std::fmt;

pub use kind::{Has, Kind, Shape};
pub use meter::{Meter, PER_EVALUATION, PER_REQUEST};
pub use run::Trouble;
pub use value::{Entries, Items, List, Map, Moment, Record, Text, Value};

/// The variables that an expression may use, and their types.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<(&'static str, Kind)>,
    escapes: bool,
}

impl Environment {
    /// An environment with these variables.
    pub fn new(variables: Vec<(&'static str, Kind)>) -> Self {
        Self {
            variables,
            escapes: false,
        }
    }

    /// The same, where names of fields may be written with Kubernetes' escapes:
    /// `claims.example__dot__com`.
    pub fn with_escapes(self) -> Self {
        Self {
            escapes: true,
            ..self
        }
    }
}

/// An expression that can be evaluated.
#[derive(Debug)]
pub struct Expression {
    text: Box<str>,
    root: tree::Node,
    kind: Kind,
    used: Vec<Box<str>>,
}

/// What is wrong with the text of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line within the expression, from 1.
    pub line: usize,
    /// The column within the line, in code points from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do, or what may have been meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            message,
            suggestion,
        } = self;
        write!(f, "line {line}, column {column}: {message}")?;
        match suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

impl Expression {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// The first thing that is wrong: syntax, names, fields, types, literals that cannot be
    /// read, and what is not supported.
    pub fn compile(text: &str, environment: &Environment) -> Result<Self, Fault> {
        let ((root, kind), used) = check::check(text, environment)?;
        Ok(Self {
            text: text.into(),
            root,
            kind,
            used,
        })
    }

    /// As [`Expression::compile`], for an expression whose value must be of a type.
    ///
    /// # Errors
    /// As there, or that it is of another type. What only evaluation can tell passes.
    pub fn compile_as(
        text: &str,
        environment: &Environment,
        kinds: &[Kind],
    ) -> Result<Self, Fault> {
        let compiled = Self::compile(text, environment)?;
        let fits = kinds.iter().any(|kind| kind.join(&compiled.kind).is_some());
        if fits {
            return Ok(compiled);
        }
        let wanted: Vec<String> = kinds.iter().map(Kind::to_string).collect();
        Err(Fault {
            line: 1,
            column: 1,
            message: format!(
                "the expression must be of type {}, and is of type {}",
                wanted.join(" or "),
                compiled.kind
            ),
            suggestion: None,
        })
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The type of its values, as far as it is known.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether it uses a variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.used.iter().any(|used| &**used == variable)
    }

    /// Whether it looks at a field of a variable.
    pub fn looks_at(&self, variable: &str, field: &str) -> bool {
        use tree::{Constant, Step};
        let is_variable =
            |node: &tree::Node| matches!(&node.step, Step::Variable(name) if &**name == variable);
        self.root.any(&|step| match step {
            Step::Field { of, name, .. } | Step::Has { of, name, .. } => {
                is_variable(of) && &**name == field
            }
            Step::Index { of, index, .. } => {
                let by = matches!(&index.step, Step::Constant(Constant::String(name)) if &**name == field);
                is_variable(of) && by
            }
            _ => false,
        })
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// That it failed over these values, or that its budget is spent; whoever asks refuses.
    pub fn evaluate<'a>(
        &'a self,
        variables: &'a dyn Record,
        meter: &mut Meter,
    ) -> Result<Value<'a>, Trouble> {
        meter.begin();
        run::Run::new(variables, meter).value(&self.root)
    }

    /// Evaluates it to true or false.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], or that it is neither.
    pub fn holds(&self, variables: &dyn Record, meter: &mut Meter) -> Result<bool, Trouble> {
        match self.evaluate(variables, meter)? {
            Value::Bool(value) => Ok(value),
            other => Err(Trouble::Failed {
                at: 0,
                what: format!("neither true nor false, but of type {}", other.type_name()).into(),
            }),
        }
    }

    /// What went wrong, with its place, for the operator: it may hold parts of values.
    pub fn describe(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Spent => "its budget is spent".to_owned(),
            Trouble::Failed { at, what } => {
                let (line, column) = place(&self.text, *at);
                format!("line {line}, column {column}: {what}")
            }
        }
    }
}

/// Line and column of a byte offset, counted in code points from 1.
fn place(text: &str, at: u32) -> (usize, usize) {
    let at = usize::try_from(at).unwrap_or(0).min(text.len());
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

#[cfg(test)]
mod tests;
