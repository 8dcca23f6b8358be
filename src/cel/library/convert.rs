//! Conversions between types, `type`, `dyn`, and base64. Part of the CEL engine; what does
//! not fit is an error, nothing is cut or wrapped.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::Value;
use super::pattern::Pattern;
use super::{Function, time};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global(
        "int",
        &[
            "int:int",
            "uint:int",
            "double:int",
            "string:int",
            "timestamp:int",
            "duration:int",
        ],
        to_int,
    ),
    Function::global(
        "uint",
        &["uint:uint", "int:uint", "double:uint", "string:uint"],
        to_uint,
    ),
    Function::global(
        "double",
        &[
            "double:double",
            "int:double",
            "uint:double",
            "string:double",
        ],
        to_double,
    ),
    Function::global(
        "bool",
        &["bool:bool", "string:bool"],
        |_, values, _| match values {
            [Value::Bool(value)] => Ok(Value::Bool(*value)),
            [Value::String(text)] => match &**text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
                _ => Err(cannot("string", "bool")),
            },
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global(
        "string",
        &[
            "string:string",
            "bool:string",
            "bytes:string",
            "int:string",
            "uint:string",
            "double:string",
            "timestamp:string",
            "duration:string",
            "ip:string",
            "cidr:string",
        ],
        |meter, values, _| match values {
            [value @ (Value::Ip(_) | Value::Cidr(_))] => Ok(Value::made(match value {
                Value::Ip(address) => address.to_string(),
                Value::Cidr(network) => network.to_string(),
                _ => String::new(),
            })),
            [value] => to_string(meter, value).map(Value::made),
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global(
        "bytes",
        &["bytes:bytes", "string:bytes"],
        |meter, values, _| match values {
            [Value::Bytes(bytes)] => Ok(Value::Bytes(bytes.clone())),
            [Value::String(text)] => {
                meter.pay_text(text.len())?;
                Ok(Value::Bytes(text.as_bytes().into()))
            }
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global("dyn", &["A:dyn"], |_, values, _| match values {
        [value] => Ok(value.clone()),
        _ => Err(Trouble::no_overload()),
    }),
    Function::global("type", &["A:type"], |_, values, _| match values {
        [value] => Ok(Value::Type(value.type_name())),
        _ => Err(Trouble::no_overload()),
    }),
    Function::global(
        "base64.encode",
        &["bytes:string"],
        |meter, values, _| match values {
            [Value::Bytes(bytes)] => {
                meter.pay_text(bytes.len().saturating_mul(2))?;
                Ok(Value::made(STANDARD.encode(bytes)))
            }
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global("base64.decode", &["string:bytes"], decode),
];

fn decode<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let [Value::String(text)] = values else {
        return Err(Trouble::no_overload());
    };
    meter.pay_text(text.len().saturating_mul(2))?;
    // As Go's decoder: line ends are skipped, padding may be missing.
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = STANDARD
        .decode(&text)
        .or_else(|_| STANDARD_NO_PAD.decode(&text))
        .map_err(|_| Trouble::new("this is not base64"))?;
    Ok(Value::Bytes(bytes.into()))
}

fn cannot(from: &str, into: &str) -> Trouble {
    Trouble::new(format!("type conversion error from '{from}' to '{into}'"))
}

#[expect(clippy::cast_possible_truncation, reason = "ranges are checked")]
fn to_int<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let overflow = || Trouble::new("integer overflow");
    let value = match values {
        [Value::Int(value) | Value::Duration(value)] => *value,
        [Value::Uint(value)] => i64::try_from(*value).map_err(|_| overflow())?,
        // Upstream leaves both ends out, which a double cannot tell from beyond.
        [Value::Double(value)] if value.abs() < 9_223_372_036_854_775_808.0 => *value as i64,
        [Value::Double(_)] => return Err(overflow()),
        [Value::Timestamp(at)] => {
            i64::try_from(at.0.div_euclid(1_000_000_000)).map_err(|_| overflow())?
        }
        [Value::String(text)] => {
            meter.pay_text(text.len())?;
            text.parse().map_err(|_| cannot("string", "int"))?
        }
        _ => return Err(Trouble::no_overload()),
    };
    Ok(Value::Int(value))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranges are checked"
)]
fn to_uint<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let overflow = || Trouble::new("unsigned integer overflow");
    let value = match values {
        [Value::Uint(value)] => *value,
        [Value::Int(value)] => u64::try_from(*value).map_err(|_| overflow())?,
        [Value::Double(value)] if (0.0..18_446_744_073_709_551_616.0).contains(value) => {
            *value as u64
        }
        [Value::Double(_)] => return Err(overflow()),
        [Value::String(text)] if !text.starts_with('+') => {
            meter.pay_text(text.len())?;
            text.parse().map_err(|_| cannot("string", "uint"))?
        }
        [Value::String(_)] => return Err(cannot("string", "uint")),
        _ => return Err(Trouble::no_overload()),
    };
    Ok(Value::Uint(value))
}

#[expect(clippy::cast_precision_loss, reason = "as CEL has it")]
fn to_double<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let value = match values {
        [Value::Double(value)] => *value,
        [Value::Int(value)] => *value as f64,
        [Value::Uint(value)] => *value as f64,
        [Value::String(text)] => {
            meter.pay_text(text.len())?;
            let value: f64 = text.parse().map_err(|_| cannot("string", "double"))?;
            if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
                return Err(cannot("string", "double"));
            }
            value
        }
        _ => return Err(Trouble::no_overload()),
    };
    Ok(Value::Double(value))
}

/// What `string(value)` yields, and `%s` for a plain value.
pub(super) fn to_string(meter: &mut Meter, value: &Value<'_>) -> Result<String, Trouble> {
    Ok(match value {
        Value::String(text) => {
            meter.pay_text(text.len())?;
            text.to_string()
        }
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => double(*value),
        Value::Bytes(bytes) => {
            meter.pay_text(bytes.len())?;
            std::str::from_utf8(bytes)
                .map_err(|_| Trouble::new("invalid UTF-8 in bytes, cannot convert to string"))?
                .to_owned()
        }
        Value::Timestamp(at) => time::write_timestamp(*at),
        Value::Duration(span) => time::write_duration(*span),
        Value::Type(name) => (*name).to_owned(),
        _ => return Err(Trouble::no_overload()),
    })
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 64)`.
fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
