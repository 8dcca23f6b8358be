//! Functions of text, counted in code points. Part of the CEL engine.

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::Value;
use super::Function;
use super::pattern::Pattern;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("size", SIZES, size),
    Function::member("size", SIZES, size),
    Function::member("contains", &["string,string:bool"], |meter, values, _| {
        test(meter, values, |text, part| text.contains(part))
    }),
    Function::member("startsWith", &["string,string:bool"], |meter, values, _| {
        test(meter, values, |text, part| text.starts_with(part))
    }),
    Function::member("endsWith", &["string,string:bool"], |meter, values, _| {
        test(meter, values, |text, part| text.ends_with(part))
    }),
    Function::member("charAt", &["string,int:string"], char_at),
    Function::member(
        "indexOf",
        &[
            "string,string:int",
            "string,string,int:int",
            "list<A>,A:int",
        ],
        |meter, values, _| match values {
            [Value::List(list), item] => super::lists::index_of(meter, list, item, false),
            [Value::String(text), Value::String(part)] => index_of(meter, text, part, 0),
            [Value::String(text), Value::String(part), Value::Int(from)] => {
                index_of(meter, text, part, *from)
            }
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::member(
        "lastIndexOf",
        &[
            "string,string:int",
            "string,string,int:int",
            "list<A>,A:int",
        ],
        |meter, values, _| match values {
            [Value::List(list), item] => super::lists::index_of(meter, list, item, true),
            [Value::String(text), Value::String(part)] => {
                if part.is_empty() {
                    return count(meter, text);
                }
                last_index_of(meter, text, part, i64::MAX)
            }
            [Value::String(text), Value::String(part), Value::Int(from)] => {
                last_index_of(meter, text, part, *from)
            }
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::member("lowerAscii", &["string:string"], |meter, values, _| {
        change(meter, values, |text| text.to_ascii_lowercase())
    }),
    Function::member("upperAscii", &["string:string"], |meter, values, _| {
        change(meter, values, |text| text.to_ascii_uppercase())
    }),
    Function::member("trim", &["string:string"], |meter, values, _| {
        change(meter, values, |text| text.trim().to_owned())
    }),
    Function::member(
        "replace",
        &[
            "string,string,string:string",
            "string,string,string,int:string",
        ],
        replace,
    ),
    Function::member(
        "split",
        &[
            "string,string:list<string>",
            "string,string,int:list<string>",
        ],
        split,
    ),
    Function::member(
        "substring",
        &["string,int:string", "string,int,int:string"],
        substring,
    ),
    Function::member(
        "join",
        &["list<string>:string", "list<string>,string:string"],
        join,
    ),
    Function::global("strings.quote", &["string:string"], |meter, values, _| {
        change(meter, values, quoted)
    }),
];

const SIZES: &[&str] = &["string:int", "bytes:int", "list<A>:int", "map<A,B>:int"];

fn size<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let size = match values {
        [Value::String(text)] => return count(meter, text),
        [Value::Bytes(bytes)] => bytes.len(),
        [Value::List(list)] => list.len(),
        [Value::Map(map)] => map.len(),
        _ => return Err(Trouble::no_overload()),
    };
    Ok(int(size))
}

fn count<'a>(meter: &mut Meter, text: &str) -> Outcome<'a> {
    meter.pay_text(text.len())?;
    Ok(int(text.chars().count()))
}

fn int<'a>(size: usize) -> Value<'a> {
    Value::Int(i64::try_from(size).unwrap_or(i64::MAX))
}

fn test<'a>(meter: &mut Meter, values: &[Value<'a>], holds: fn(&str, &str) -> bool) -> Outcome<'a> {
    match values {
        [Value::String(text), Value::String(part)] => {
            meter.pay_text(text.len() + part.len())?;
            Ok(Value::Bool(holds(text, part)))
        }
        _ => Err(Trouble::no_overload()),
    }
}

fn change<'a>(meter: &mut Meter, values: &[Value<'a>], into: fn(&str) -> String) -> Outcome<'a> {
    match values {
        [Value::String(text)] => {
            meter.pay_text(text.len().saturating_mul(2))?;
            Ok(Value::made(into(text)))
        }
        _ => Err(Trouble::no_overload()),
    }
}

/// The byte offset of a code point, which may be the one after the last.
fn offset(text: &str, index: i64) -> Result<usize, Trouble> {
    let out = || Trouble::new(format!("index out of range: {index}"));
    let at = usize::try_from(index).map_err(|_| out())?;
    text.char_indices()
        .map(|(offset, _)| offset)
        .chain([text.len()])
        .nth(at)
        .ok_or_else(out)
}

fn char_at<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let [Value::String(text), Value::Int(index)] = values else {
        return Err(Trouble::no_overload());
    };
    meter.pay_text(text.len())?;
    let rest = text.get(offset(text, *index)?..).unwrap_or_default();
    Ok(Value::made(rest.chars().take(1).collect::<String>()))
}

fn index_of<'a>(meter: &mut Meter, text: &str, part: &str, from: i64) -> Outcome<'a> {
    meter.pay_text(text.len() + part.len())?;
    if from < 0 {
        return Err(Trouble::new(format!("index out of range: {from}")));
    }
    let Ok(start) = offset(text, from) else {
        // As upstream: beyond the end only nothing is found, at the end.
        return match part.is_empty() {
            true => Ok(int(text.chars().count())),
            false => Ok(Value::Int(-1)),
        };
    };
    let rest = text.get(start..).unwrap_or_default();
    Ok(match rest.find(part) {
        Some(at) => {
            let before = rest.get(..at).unwrap_or_default().chars().count();
            Value::Int(from + i64::try_from(before).unwrap_or(i64::MAX))
        }
        None => Value::Int(-1),
    })
}

/// The last place at or before a code point.
fn last_index_of<'a>(meter: &mut Meter, text: &str, part: &str, from: i64) -> Outcome<'a> {
    meter.pay_text(text.len().saturating_mul(2) + part.len())?;
    if from < 0 {
        return Err(Trouble::new(format!("index out of range: {from}")));
    }
    let length = text.chars().count();
    if part.is_empty() {
        return Ok(Value::Int(
            from.min(i64::try_from(length).unwrap_or(i64::MAX)),
        ));
    }
    if from != i64::MAX && usize::try_from(from).is_ok_and(|from| from >= length) {
        return Ok(Value::Int(-1));
    }
    // A match may begin at `from`, so it may end that much later.
    let end = offset(text, from).map_or(text.len(), |at| (at + part.len()).min(text.len()));
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    let found = memchr::memmem::rfind(bytes, part.as_bytes());
    Ok(match found {
        Some(at) => int(text.get(..at).unwrap_or_default().chars().count()),
        None => Value::Int(-1),
    })
}

fn replace<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let (text, old, new, limit) = match values {
        [Value::String(text), Value::String(old), Value::String(new)] => (text, old, new, -1),
        [
            Value::String(text),
            Value::String(old),
            Value::String(new),
            Value::Int(limit),
        ] => (text, old, new, *limit),
        _ => return Err(Trouble::no_overload()),
    };
    meter.pay_text(text.len() + old.len() + new.len())?;
    let count = text.matches(&**old).count();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(count);
    meter.pay_text(text.len() + limit.saturating_mul(new.len()))?;
    Ok(Value::made(text.replacen(&**old, new, limit)))
}

fn split<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let (text, by, limit) = match values {
        [Value::String(text), Value::String(by)] => (text, by, -1),
        [Value::String(text), Value::String(by), Value::Int(limit)] => (text, by, *limit),
        _ => return Err(Trouble::no_overload()),
    };
    meter.pay_text(text.len())?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<&str> = if limit == 0 {
        Vec::new()
    } else if by.is_empty() {
        letters(text, limit)
    } else {
        text.splitn(limit, &**by).collect()
    };
    meter.pay_elements(parts.len())?;
    Ok(Value::list(parts.into_iter().map(Value::made).collect()))
}

/// The code points, the last of so many parts with all that is left.
fn letters(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == limit {
            parts.push(rest);
            break;
        }
        let (letter, after) = rest.split_at(first.len_utf8());
        parts.push(letter);
        rest = after;
    }
    parts
}

fn substring<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let (text, start, end) = match values {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(Trouble::no_overload()),
    };
    meter.pay_text(text.len().saturating_mul(2))?;
    if end.is_some_and(|end| start > end) {
        return Err(Trouble::new("the start of a substring after its end"));
    }
    let from = offset(text, start)?;
    let to = end.map_or(Ok(text.len()), |end| offset(text, end))?;
    Ok(Value::made(text.get(from..to).unwrap_or_default()))
}

fn join<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let (list, by) = match values {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(by)] => (list, &**by),
        _ => return Err(Trouble::no_overload()),
    };
    let mut joined = String::new();
    for (at, item) in list.iter().enumerate() {
        let Value::String(item) = item else {
            return Err(Trouble::new(format!(
                "join takes a list of strings, and this holds a value of type {}",
                item.type_name()
            )));
        };
        let by = if at > 0 { by } else { "" };
        meter.pay_text(item.len() + by.len())?;
        joined.push_str(by);
        joined.push_str(&item);
    }
    Ok(Value::made(joined))
}

/// Text in quotation marks, as CEL would write it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
