//! `'…'.format([…])`. Part of the CEL engine.
//!
//! `%e` is refused: upstream writes it for people of one language ("1.2×10⁰⁴").

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::Value;
use super::pattern::Pattern;
use super::strings::quoted;
use super::{Function, convert};

/// The most digits after the point; upstream has no limit.
const MOST_PRECISE: usize = 100;

pub(super) const FUNCTIONS: &[Function] = &[Function::member(
    "format",
    &["string,list<dyn>:string"],
    format,
)];

fn format<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let [Value::String(text), Value::List(list)] = values else {
        return Err(Trouble::no_overload());
    };
    meter.pay_text(text.len())?;
    let mut arguments = list.iter();
    let mut out = String::with_capacity(text.len());
    let mut rest = &**text;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let argument = arguments
            .next()
            .ok_or_else(|| Trouble::new("format has more clauses than arguments"))?;
        let (precision, clause, after) = clause(rest)?;
        rest = after;
        let written = written(meter, clause, precision, &argument)?;
        meter.pay_text(written.len())?;
        out.push_str(&written);
    }
    out.push_str(rest);
    Ok(Value::made(out))
}

/// `.2f…` → 2, `f`, and the rest.
fn clause(rest: &str) -> Result<(Option<usize>, char, &str), Trouble> {
    let end = || Trouble::new("a format ends within a clause");
    let (precision, rest) = match rest.strip_prefix('.') {
        None => (None, rest),
        Some(after) => {
            let digits = after.trim_start_matches(|c: char| c.is_ascii_digit());
            let number = after.get(..after.len() - digits.len()).unwrap_or_default();
            let precision = number.parse::<usize>().ok();
            match precision.filter(|precision| *precision <= MOST_PRECISE) {
                Some(precision) => (Some(precision), digits),
                None => return Err(Trouble::new("the precision of a format is from 0 to 100")),
            }
        }
    };
    let clause = rest.chars().next().ok_or_else(end)?;
    Ok((
        precision,
        clause,
        rest.get(clause.len_utf8()..).unwrap_or_default(),
    ))
}

fn written(
    meter: &mut Meter,
    clause: char,
    precision: Option<usize>,
    value: &Value<'_>,
) -> Result<String, Trouble> {
    Ok(match (clause, value) {
        ('s', value) => text(meter, value)?,
        ('d', Value::Int(value)) => value.to_string(),
        ('d', Value::Uint(value)) => value.to_string(),
        ('f', Value::Double(value)) => fixed(*value, precision.unwrap_or(6)),
        ('b', Value::Bool(value)) => u8::from(*value).to_string(),
        ('b' | 'o' | 'x' | 'X', Value::Int(value)) => {
            let digits = radix(clause, value.unsigned_abs());
            if *value < 0 {
                format!("-{digits}")
            } else {
                digits
            }
        }
        ('b' | 'o' | 'x' | 'X', Value::Uint(value)) => radix(clause, *value),
        ('x' | 'X', Value::String(text)) => hexadecimal(meter, clause, text.as_bytes())?,
        ('x' | 'X', Value::Bytes(bytes)) => hexadecimal(meter, clause, bytes)?,
        ('e', _) => return Err(Trouble::new("%e is not supported: use %f")),
        ('d' | 'f' | 'b' | 'o' | 'x' | 'X', value) => {
            return Err(Trouble::new(format!(
                "%{clause} cannot write a value of type {}",
                value.type_name()
            )));
        }
        (other, _) => {
            return Err(Trouble::new(format!(
                "unrecognized formatting clause {other:?}"
            )));
        }
    })
}

fn radix(clause: char, value: u64) -> String {
    match clause {
        'b' => format!("{value:b}"),
        'o' => format!("{value:o}"),
        'x' => format!("{value:x}"),
        _ => format!("{value:X}"),
    }
}

fn hexadecimal(meter: &mut Meter, clause: char, bytes: &[u8]) -> Result<String, Trouble> {
    meter.pay_text(bytes.len().saturating_mul(3))?;
    Ok(bytes
        .iter()
        .map(|byte| match clause {
            'x' => format!("{byte:02x}"),
            _ => format!("{byte:02X}"),
        })
        .collect())
}

/// With commas between thousands, as upstream writes it.
fn fixed(value: f64, precision: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "-∞" }.to_owned();
    }
    let plain = format!("{value:.precision$}");
    let (sign, plain) = match plain.strip_prefix('-') {
        Some(plain) => ("-", plain),
        None => ("", &*plain),
    };
    let (whole, fraction) = match plain.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (plain, String::new()),
    };
    let mut grouped = String::with_capacity(whole.len() * 4 / 3 + 1);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// `%s`. As deep as values nest at most.
fn text(meter: &mut Meter, value: &Value<'_>) -> Result<String, Trouble> {
    meter.pay(1)?;
    match value {
        Value::Null => Ok("null".to_owned()),
        Value::List(list) => {
            let mut parts = Vec::new();
            for item in list.iter() {
                parts.push(within(meter, &item)?);
            }
            Ok(format!("[{}]", parts.join(", ")))
        }
        Value::Map(map) => {
            let mut parts = Vec::new();
            for (key, value) in map.entries() {
                parts.push((within(meter, &key)?, within(meter, &value)?));
            }
            parts.sort();
            let parts: Vec<String> = parts
                .into_iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            Ok(format!("{{{}}}", parts.join(", ")))
        }
        plain => convert::to_string(meter, plain).map_err(|trouble| match trouble {
            Trouble::Spent => Trouble::Spent,
            Trouble::Failed { .. } => Trouble::new(format!(
                "%s cannot write a value of type {}",
                plain.type_name()
            )),
        }),
    }
}

/// A value within a list or a map, where text has quotation marks.
fn within(meter: &mut Meter, value: &Value<'_>) -> Result<String, Trouble> {
    let plain = match value {
        Value::Double(value) => format!("{value:.6}"),
        other => text(meter, other)?,
    };
    Ok(match value {
        Value::String(_) => quoted(&plain),
        Value::Bytes(_) => format!("b{}", quoted(&plain)),
        Value::Timestamp(_) => format!("timestamp({})", quoted(&plain)),
        Value::Duration(_) => format!("duration({})", quoted(&plain)),
        _ => plain,
    })
}

/// Checks a format that stands in the text against the number of its arguments.
pub(in crate::cel) fn check(text: &str, arguments: usize) -> Result<(), String> {
    let mut rest = text;
    let mut clauses = 0;
    while let Some(at) = rest.find('%') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            rest = after;
            continue;
        }
        let (_, clause, after) = clause(rest).map_err(|trouble| match trouble {
            Trouble::Failed { what, .. } => what.into_owned(),
            Trouble::Spent => String::new(),
        })?;
        match clause {
            's' | 'd' | 'f' | 'b' | 'o' | 'x' | 'X' => {}
            'e' => return Err("%e is not supported: use %f".to_owned()),
            other => return Err(format!("unrecognized formatting clause {other:?}")),
        }
        clauses += 1;
        rest = after;
    }
    if clauses == arguments {
        Ok(())
    } else {
        Err(format!(
            "the format has {clauses} clauses and {arguments} arguments"
        ))
    }
}
