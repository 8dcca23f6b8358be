//! The conditions of rules: CEL over what is known of a request. Part of room ④; pure, and
//! evaluated only for rules that match in every other way.
//!
//! What is not known of a request is no value: a condition that needs it fails, and a
//! failed condition refuses the request, whatever its rule would have done.

mod facts;

use std::cell::OnceCell;
use std::sync::{Arc, LazyLock};

use super::policy::MatchCondition;
use super::rule::{Known, View};
use crate::cel::{
    Entries, Environment, Expression, Has, Items, Kind, Meter, Moment, Record, Trouble, Value,
};
use crate::parse::{Facts, Node};
use facts::Shown;

/// The most conditions of one rule, as in a ValidatingAdmissionPolicy.
pub(super) const MOST: usize = 64;

/// What conditions may speak of.
pub(super) static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    let facts = serde_json::to_value(Facts::default()).unwrap_or_default();
    let text = |names: &[&'static str]| -> Vec<(&'static str, Kind)> {
        names.iter().map(|name| (*name, Kind::String)).collect()
    };
    let texts = Kind::list(Kind::String);
    let mut caller = text(&["agent", "principal", "uid", "issuer"]);
    caller.push(("groups", texts.clone()));
    caller.push(("extra", Kind::map(Kind::String, texts.clone())));
    let mut ask = text(&[
        "verb",
        "apiGroup",
        "apiVersion",
        "resource",
        "subresource",
        "namespace",
        "name",
        "path",
    ]);
    ask.push(("dryRun", Kind::Bool));
    ask.push(("command", texts));
    Environment::new(vec![
        ("caller", Kind::record("caller", &caller, Has::Filled)),
        ("ask", Kind::record("ask", &ask, Has::Filled)),
        ("object", Kind::Dyn),
        ("oldObject", Kind::Dyn),
        ("facts", Kind::like("facts", &facts)),
        ("cluster", Kind::String),
        ("now", Kind::Timestamp),
    ])
});

/// All conditions of one rule, in the order of their document.
pub(super) type Conditions = Arc<[Condition]>;

/// A condition, ready to be evaluated.
#[derive(Debug)]
pub(super) struct Condition {
    name: Box<str>,
    expression: Expression,
}

impl Condition {
    /// Its name, and what it says.
    pub(super) fn words(&self) -> (&str, &str) {
        (&self.name, self.expression.text())
    }

    /// Whether it asks for any of these variables.
    pub(super) fn uses(&self, variables: &[&str]) -> bool {
        variables.iter().any(|name| self.expression.uses(name))
    }

    /// Whether it asks for any of these fields of a variable.
    pub(super) fn looks_at(&self, variable: &str, fields: &[&str]) -> bool {
        let looks = |name: &&str| self.expression.looks_at(variable, name);
        fields.iter().any(looks)
    }

    /// Reads a condition, or says what is wrong with its expression and what to do.
    pub(super) fn compile(spec: &MatchCondition) -> Result<Self, (String, Option<String>)> {
        let expression = Expression::compile_as(&spec.expression, &ENVIRONMENT, &[Kind::Bool])
            .map_err(|fault| {
                let place = format!("line {}, column {}", fault.line, fault.column);
                let suggestion = match fault.message.contains("\"request\"") {
                    true => Some("here it is called ask, and who sent it caller".to_owned()),
                    false => fault.suggestion,
                };
                (format!("{} ({place})", fault.message), suggestion)
            })?;
        Ok(Self {
            name: spec.name.as_str().into(),
            expression,
        })
    }
}

/// The evaluation of conditions for one request; they share its budget.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    variables: Variables<'a>,
    meter: Meter,
}

impl<'a> Trial<'a> {
    pub(super) fn of(view: &'a View<'a>) -> Self {
        Self {
            variables: Variables {
                view,
                facts: OnceCell::new(),
            },
            meter: Meter::for_request(),
        }
    }

    /// Whether all conditions hold. As upstream, one that does not hold makes the failure
    /// of another irrelevant.
    ///
    /// # Errors
    /// Which one failed and how; for the operator, it may hold parts of the request.
    pub(super) fn holds(&mut self, conditions: &[Condition]) -> Result<bool, String> {
        let mut failed = None;
        for Condition { name, expression } in conditions {
            match expression.holds(&self.variables, &mut self.meter) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(trouble) => {
                    let cause = format!("condition {name:?}: {}", expression.describe(&trouble));
                    if trouble == Trouble::Spent {
                        return Err(cause);
                    }
                    failed.get_or_insert(cause);
                }
            }
        }
        match failed {
            Some(cause) => Err(cause),
            None => Ok(true),
        }
    }
}

#[derive(Debug)]
struct Variables<'a> {
    view: &'a View<'a>,
    /// Only if a condition asks for them.
    facts: OnceCell<Box<Shown<'a>>>,
}

impl Record for Variables<'_> {
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        let view = self.view;
        Some(match name {
            "caller" => Value::Record(&view.caller),
            "ask" => Value::Record(view),
            "object" => view.object.value()?,
            "oldObject" => view.old.value()?,
            "facts" => {
                let shown = || Box::new(Shown::of(view.facts));
                Value::entries(&**self.facts.get_or_init(shown))
            }
            "cluster" => Value::text(view.cluster),
            "now" => Value::Timestamp(Moment(view.now.as_nanosecond())),
            _ => return None,
        })
    }
}

impl Known<'_> {
    /// None if it is not known.
    fn value(&self) -> Option<Value<'_>> {
        match self {
            Self::Object(node) => Some(of_node(node)),
            Self::Nothing => Some(Value::Null),
            Self::Unknown => None,
        }
    }
}

/// `ask`. What it has none of is empty.
impl Record for View<'_> {
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        let info = self.info;
        Some(match name {
            "verb" => Value::text(info.verb),
            "apiGroup" => Value::text(&info.api_group),
            "apiVersion" => Value::text(&info.api_version),
            "resource" => Value::text(&info.resource),
            "subresource" => Value::text(&info.subresource),
            "namespace" => Value::text(&info.namespace),
            "name" => Value::text(&info.name),
            "path" => Value::text(&info.path),
            "dryRun" => Value::Bool(self.dry_run),
            "command" => Value::texts(&self.facts.exec_command),
            _ => return None,
        })
    }
}

fn of_node(node: &Node) -> Value<'_> {
    match node {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(*value),
        Node::Number(text) => Value::number(text),
        Node::String(text) => Value::text(text),
        Node::Array(items) => Value::items(items),
        Node::Object(entries) => Value::entries(entries),
    }
}

impl Items for Vec<Node> {
    fn count(&self) -> usize {
        self.len()
    }

    fn item<'a>(&'a self, at: usize) -> Option<Value<'a>> {
        self.get(at).map(of_node)
    }
}

impl Entries for Vec<(Box<str>, Node)> {
    fn count(&self) -> usize {
        self.len()
    }

    fn find<'a>(&'a self, key: &str) -> Option<Value<'a>> {
        let found = self.iter().find(|(name, _)| &**name == key);
        found.map(|(_, node)| of_node(node))
    }

    fn all<'a>(&'a self) -> Box<dyn Iterator<Item = (&'a str, Value<'a>)> + 'a> {
        Box::new(self.iter().map(|(name, node)| (&**name, of_node(node))))
    }
}
