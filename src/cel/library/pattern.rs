//! Regular expressions: RE2's syntax, as Go reads it, on Rust's engine, which takes linear
//! time too. Part of the CEL engine.
//!
//! A pattern is written anew for the other engine, item by item, so that `\d`, `\w`, `\s`
//! and `\b` mean ASCII and a `[` within a class means itself. What the two would read
//! differently is refused.

mod translate;

use regex::{Regex, RegexBuilder};

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::Value;
use super::Function;

/// The longest pattern, in bytes.
const LONGEST: usize = 1024;
/// What a compiled pattern may take, in bytes.
const LARGEST: usize = 1 << 18;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(in crate::cel) struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    pub(in crate::cel) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a regular expression of more than {LONGEST} bytes"));
        }
        let translated = translate::translated(text)?;
        RegexBuilder::new(&translated)
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .nest_limit(50)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "the regular expression is too big: repeat less".to_owned()
                }
                other => {
                    let text = other.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    format!("illegal regex: {}", last.trim_start_matches("error: "))
                }
            })
    }

    /// Whether it is anywhere in a text.
    #[cfg(test)]
    pub(in crate::cel) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

const FIND_ALL: &[&str] = &[
    "string,string:list<string>",
    "string,string,int:list<string>",
];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("matches", &["string,string:bool"], matches),
    Function::member("matches", &["string,string:bool"], matches),
    Function::member("find", &["string,string:string"], |meter, values, ready| {
        let (text, pattern, _) = prepared(meter, values, ready)?;
        let found = pattern.0.find(&text).map_or("", |found| found.as_str());
        Ok(Value::made(found))
    }),
    Function::member("findAll", FIND_ALL, |meter, values, ready| {
        let (text, pattern, limit) = prepared(meter, values, ready)?;
        let mut found = Vec::new();
        for one in pattern.0.find_iter(&text).take(limit) {
            // Every search that ends early may have looked at all that is left.
            meter.pay_text(text.len() - one.start().min(text.len()))?;
            found.push(Value::made(one.as_str()));
        }
        Ok(Value::list(found))
    }),
];

/// Which argument of a function is a pattern, if any.
pub(in crate::cel) fn argument(name: &str) -> Option<usize> {
    matches!(name, "matches" | "find" | "findAll").then_some(1)
}

fn matches<'a>(meter: &mut Meter, values: &[Value<'a>], ready: Option<&Pattern>) -> Outcome<'a> {
    let (text, pattern, _) = prepared(meter, values, ready)?;
    Ok(Value::Bool(pattern.0.is_match(&text)))
}

/// The text, the pattern, and how many matches are wanted.
fn prepared<'a>(
    meter: &mut Meter,
    values: &[Value<'a>],
    ready: Option<&Pattern>,
) -> Result<(super::super::value::Text<'a>, Pattern, usize), Trouble> {
    let (text, pattern, limit) = match values {
        [Value::String(text), Value::String(pattern)] => (text, pattern, -1),
        [
            Value::String(text),
            Value::String(pattern),
            Value::Int(limit),
        ] => (text, pattern, *limit),
        _ => return Err(Trouble::no_overload()),
    };
    // A state for about every byte of the pattern may be looked at for every byte of text.
    let states = 1 + pattern.len() as u64 / 4;
    meter.pay((1 + text.len() as u64 / 10).saturating_mul(states))?;
    let compiled = match ready {
        Some(ready) => ready.clone(),
        None => {
            // Compiling costs far more than its length says.
            meter.pay(500 + 20 * pattern.len() as u64)?;
            Pattern::compile(pattern).map_err(Trouble::new)?
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok((text.clone(), compiled, limit))
}
