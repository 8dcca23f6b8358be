//! Quantities of resources: `100m`, `1.5Gi`, `2e3`. Part of the CEL engine; follows
//! `k8s.io/apimachinery/pkg/api/resource` down to when a number counts as an integer.

use std::cmp::Ordering;

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::Value;
use super::Function;

/// More digits than this are refused: upstream has no limit, the gate's numbers do.
const MOST_DIGITS: usize = 36;
/// Exponents beyond this are refused.
const LARGEST_EXPONENT: i32 = 1000;

/// `value × 10^scale`.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    value: i128,
    scale: i32,
    /// Upstream keeps such numbers as decimals, which it never takes for integers.
    decimal: bool,
}

enum Unit {
    Decimal(i32),
    Binary(u32),
}

/// Why a text is no quantity.
enum Fault {
    Wrong,
    TooLarge,
}

impl Quantity {
    fn parse(text: &str) -> Result<Self, Fault> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let negative = text.starts_with('-');
        let digits =
            |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (whole, rest) = unsigned.split_at(digits(unsigned));
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(digits(rest)),
            None => ("", rest),
        };
        // As upstream: no digits are a zero.
        if text.is_empty() {
            return Err(Fault::Wrong);
        }
        let unit = unit(suffix)?;
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let shown = whole.len() + fraction.len();
        if shown > MOST_DIGITS {
            return Err(Fault::TooLarge);
        }
        let value: i128 = format!("{whole}{fraction}")
            .parse()
            .map_err(|_| Fault::Wrong)?;
        let places = i32::try_from(fraction.len()).map_err(|_| Fault::TooLarge)?;
        let quantity = match unit {
            Unit::Decimal(exponent) => {
                let scale = exponent - places;
                let quick = shown <= 18 && scale >= -9;
                Self {
                    value,
                    scale,
                    decimal: !quick,
                }
            }
            Unit::Binary(exponent) => {
                let value = value.checked_mul(1 << exponent).ok_or(Fault::TooLarge)?;
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    reason = "upstream's own estimate, of small numbers"
                )]
                let lost = (exponent as f32 * 3.0 / 10.0) as i64;
                let room = 15 - i64::try_from(whole.len()).unwrap_or(i64::MAX) - lost - 1;
                let quick = fraction.is_empty() && room >= 0 && i64::try_from(value).is_ok();
                Self {
                    value,
                    scale: -places,
                    decimal: !quick,
                }
                .capped(!quick)
            }
        };
        let quantity = if quantity.decimal {
            quantity.rounded()
        } else {
            quantity
        };
        Ok(Self {
            value: if negative {
                -quantity.value
            } else {
                quantity.value
            },
            ..quantity
        })
    }

    /// Away from zero, to what is a whole number of nanos.
    fn rounded(self) -> Self {
        let drop = u32::try_from(-9 - self.scale).unwrap_or(0);
        match 10_i128.checked_pow(drop) {
            Some(_) if drop == 0 => self,
            Some(by) => {
                let up = i128::from(self.value % by != 0);
                Self {
                    value: self.value / by + up,
                    scale: -9,
                    ..self
                }
            }
            None => Self {
                value: i128::from(self.value != 0),
                scale: -9,
                ..self
            },
        }
    }

    /// Binary quantities end at the largest integer of 64 bits.
    fn capped(self, cap: bool) -> Self {
        let most = Self {
            value: i64::MAX.into(),
            scale: 0,
            decimal: true,
        };
        if cap && self.compare(&most) == Ordering::Greater {
            most
        } else {
            self
        }
    }

    /// Which is the greater.
    pub fn compare(&self, other: &Self) -> Ordering {
        let sign = self.value.signum().cmp(&other.value.signum());
        if sign != Ordering::Equal || self.value == 0 {
            return sign;
        }
        let (a, b) = (self.value.unsigned_abs(), other.value.unsigned_abs());
        let magnitude = |value: u128, scale: i32| i64::from(value.ilog10()) + i64::from(scale);
        let order = magnitude(a, self.scale)
            .cmp(&magnitude(b, other.scale))
            .then_with(|| same_size(a, b));
        if self.value < 0 {
            order.reverse()
        } else {
            order
        }
    }

    fn as_integer(self) -> Option<i64> {
        if self.decimal || self.scale < 0 {
            return None;
        }
        // Upstream's zero passes at any scale.
        if self.value == 0 {
            return Some(0);
        }
        let by = 10_i128.checked_pow(u32::try_from(self.scale).ok()?)?;
        i64::try_from(self.value.checked_mul(by)?).ok()
    }

    #[expect(clippy::cast_precision_loss, reason = "approximate by name")]
    fn as_float(self) -> f64 {
        self.value as f64 * 10_f64.powi(self.scale)
    }

    fn plus(self, other: Self, sign: i128) -> Result<Self, Trouble> {
        let out = || Trouble::new("quantity overflow");
        let scale = if other.value == 0 && !other.decimal {
            self.scale
        } else if self.value == 0 && !self.decimal {
            other.scale
        } else {
            self.scale.min(other.scale)
        };
        let at = |quantity: Self| -> Option<i128> {
            if quantity.value == 0 {
                return Some(0);
            }
            let by = 10_i128.checked_pow(u32::try_from(quantity.scale - scale).ok()?)?;
            quantity.value.checked_mul(by)
        };
        let (a, b) = (at(self).ok_or_else(out)?, at(other).ok_or_else(out)?);
        let value = a.checked_add(b * sign).ok_or_else(out)?;
        let small = [a, b, value].iter().all(|n| i64::try_from(*n).is_ok());
        Ok(Self {
            value,
            scale,
            decimal: self.decimal || other.decimal || !small,
        })
    }
}

/// Compares two numbers of the same magnitude digit by digit.
fn same_size(a: u128, b: u128) -> Ordering {
    let (digits_a, digits_b) = (a.ilog10(), b.ilog10());
    let grow = |value: u128, by: u32| value.saturating_mul(10_u128.saturating_pow(by));
    grow(a, digits_b.saturating_sub(digits_a)).cmp(&grow(b, digits_a.saturating_sub(digits_b)))
}

fn unit(suffix: &str) -> Result<Unit, Fault> {
    Ok(match suffix {
        "" => Unit::Decimal(0),
        "n" => Unit::Decimal(-9),
        "u" => Unit::Decimal(-6),
        "m" => Unit::Decimal(-3),
        "k" => Unit::Decimal(3),
        "M" => Unit::Decimal(6),
        "G" => Unit::Decimal(9),
        "T" => Unit::Decimal(12),
        "P" => Unit::Decimal(15),
        "E" => Unit::Decimal(18),
        "Ki" => Unit::Binary(10),
        "Mi" => Unit::Binary(20),
        "Gi" => Unit::Binary(30),
        "Ti" => Unit::Binary(40),
        "Pi" => Unit::Binary(50),
        "Ei" => Unit::Binary(60),
        other => {
            let exponent = other.strip_prefix(['e', 'E']).ok_or(Fault::Wrong)?;
            let exponent: i64 = exponent.parse().map_err(|_| Fault::Wrong)?;
            match i32::try_from(exponent) {
                Ok(exponent) if exponent.abs() <= LARGEST_EXPONENT => Unit::Decimal(exponent),
                _ => return Err(Fault::TooLarge),
            }
        }
    })
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global(
        "quantity",
        &["string:quantity"],
        |meter, values, _| match read(meter, values)? {
            Ok(quantity) => Ok(Value::Quantity(quantity)),
            Err(Fault::Wrong) => Err(Trouble::new("this is no quantity such as \"500Mi\"")),
            Err(Fault::TooLarge) => Err(too_large()),
        },
    ),
    Function::global(
        "isQuantity",
        &["string:bool"],
        |meter, values, _| match read(meter, values)? {
            Ok(_) => Ok(Value::Bool(true)),
            Err(Fault::Wrong) => Ok(Value::Bool(false)),
            Err(Fault::TooLarge) => Err(too_large()),
        },
    ),
    Function::global("sign", &["quantity:int"], |_, values, _| {
        match the(values)?.value.signum() {
            0 => Ok(Value::Int(0)),
            1 => Ok(Value::Int(1)),
            _ => Ok(Value::Int(-1)),
        }
    }),
    Function::member("isInteger", &["quantity:bool"], |_, values, _| {
        Ok(Value::Bool(the(values)?.as_integer().is_some()))
    }),
    Function::member("asInteger", &["quantity:int"], |_, values, _| {
        the(values)?
            .as_integer()
            .map(Value::Int)
            .ok_or_else(|| Trouble::new("cannot convert value to integer"))
    }),
    Function::member(
        "asApproximateFloat",
        &["quantity:double"],
        |_, values, _| Ok(Value::Double(the(values)?.as_float())),
    ),
    Function::member(
        "add",
        &["quantity,quantity:quantity", "quantity,int:quantity"],
        |_, values, _| sum(values, 1),
    ),
    Function::member(
        "sub",
        &["quantity,quantity:quantity", "quantity,int:quantity"],
        |_, values, _| sum(values, -1),
    ),
];

fn too_large() -> Trouble {
    Trouble::new("a quantity of more than 36 digits, or beyond 1e1000")
}

fn read(meter: &mut Meter, values: &[Value<'_>]) -> Result<Result<Quantity, Fault>, Trouble> {
    match values {
        [Value::String(text)] => {
            meter.pay_text(text.len())?;
            Ok(Quantity::parse(text))
        }
        _ => Err(Trouble::no_overload()),
    }
}

fn the(values: &[Value<'_>]) -> Result<Quantity, Trouble> {
    match values {
        [Value::Quantity(quantity)] => Ok(*quantity),
        _ => Err(Trouble::no_overload()),
    }
}

fn sum<'a>(values: &[Value<'a>], sign: i128) -> Outcome<'a> {
    let (a, b) = match values {
        [Value::Quantity(a), Value::Quantity(b)] => (*a, *b),
        [Value::Quantity(a), Value::Int(b)] => {
            let b = Quantity {
                value: (*b).into(),
                scale: 0,
                decimal: false,
            };
            (*a, b)
        }
        _ => return Err(Trouble::no_overload()),
    };
    a.plus(b, sign).map(Value::Quantity)
}
