//! Calls of functions: which one, whether its signature fits, and literals that it could
//! never read. Part of the checker.

use cel::common::ast::{CallExpr, Expr};

use super::super::kind::{Bindings, Kind};
use super::super::library::pattern::{self, Pattern};
use super::super::library::{self, Found, Function};
use super::super::meter::{Meter, PER_EVALUATION};
use super::super::tree::{Constant, Node, Step};
use super::super::value::Value;
use super::super::{Fault, Trouble, place};
use super::{Checked, Checker};

impl Checker<'_> {
    /// A call of a function.
    pub(super) fn function(&mut self, id: u64, call: &CallExpr) -> Result<Checked, Fault> {
        let (found, target) = match self.callee(id, call) {
            Ok(callee) => callee,
            // What it is called on may be what is wrong.
            Err(fault) => {
                if let Some(target) = call.target.as_deref()
                    && !matches!(target.expr, Expr::Ident(_) | Expr::Select(_))
                {
                    self.node(target)?;
                }
                return Err(fault);
            }
        };
        let mixed = self.mixed;
        self.mixed |= found.function.name == "format";
        let mut arguments = Vec::with_capacity(call.args.len() + 1);
        let mut kinds = Vec::with_capacity(call.args.len() + 1);
        for argument in target.into_iter().chain(&call.args) {
            let (node, kind) = self.node(argument)?;
            arguments.push(node);
            kinds.push(kind);
        }
        self.mixed = mixed;
        let kind = self.overload(id, found, &kinds)?;
        let pattern = self.literal_arguments(found.function, &arguments)?;
        let step = Step::Call {
            function: found.function,
            arguments: arguments.into(),
            pattern,
        };
        Ok((self.made(id, step), kind))
    }

    /// The type of a call: that of all signatures that may fit, if they agree.
    fn overload(&self, id: u64, found: &Found, kinds: &[Kind]) -> Result<Kind, Fault> {
        let mut result: Option<Kind> = None;
        for overload in &found.overloads {
            let mut bindings = Bindings::default();
            let fits = overload.arguments.len() == kinds.len()
                && overload
                    .arguments
                    .iter()
                    .zip(kinds)
                    .all(|(wanted, given)| bindings.fit(wanted, given));
            if !fits {
                continue;
            }
            let kind = bindings.resolve(&overload.result);
            result = Some(match result {
                Some(other) if other != kind => Kind::Dyn,
                _ => kind,
            });
        }
        result.ok_or_else(|| {
            let kinds: Vec<String> = kinds.iter().map(Kind::to_string).collect();
            let name = found
                .function
                .name
                .trim_matches('_')
                .trim_start_matches('@');
            let message = format!("{name} does not take ({})", kinds.join(", "));
            let wanted: Vec<String> = found
                .overloads
                .iter()
                .take(4)
                .map(|overload| {
                    let kinds: Vec<String> =
                        overload.arguments.iter().map(Kind::to_string).collect();
                    format!("({})", kinds.join(", "))
                })
                .collect();
            self.fault(
                id,
                message,
                Some(format!("it takes {}", wanted.join(" or "))),
            )
        })
    }

    /// Reads what stands in the text as a literal now: a regular expression, which is kept,
    /// and durations, addresses and the like, which are only tried.
    fn literal_arguments(
        &self,
        function: &'static Function,
        arguments: &[Node],
    ) -> Result<Option<Pattern>, Fault> {
        let text = |at: usize| match arguments.get(at) {
            Some(Node {
                step: Step::Constant(Constant::String(text)),
                at,
            }) => Some((&**text, *at)),
            _ => None,
        };
        let fault = |at: u32, message: String| {
            let (line, column) = place(&self.info.source, at);
            Fault {
                line,
                column,
                message,
                suggestion: None,
            }
        };
        if let Some(at) = pattern::argument(function.name) {
            return match text(at) {
                Some((text, at)) => Pattern::compile(text)
                    .map(Some)
                    .map_err(|message| fault(at, message)),
                None => Ok(None),
            };
        }
        if function.name == "format"
            && let (Some((text, at)), Some(Step::List(elements))) =
                (text(0), arguments.get(1).map(|node| &node.step))
        {
            library::format::check(text, elements.len()).map_err(|message| fault(at, message))?;
        }
        let tried = matches!(
            function.name,
            "duration" | "timestamp" | "quantity" | "semver" | "ip" | "cidr" | "url"
        );
        if let (true, [_], Some((literal, at))) = (tried, arguments, text(0)) {
            let mut meter = Meter::of(PER_EVALUATION);
            meter.begin();
            if let Err(Trouble::Failed { what, .. }) =
                function.call(&mut meter, &[Value::text(literal)], None)
            {
                return Err(fault(at, what.into_owned()));
            }
        }
        Ok(None)
    }
}
