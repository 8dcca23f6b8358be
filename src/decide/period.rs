//! Lengths of time as people write them: `20s`, `15m`, `1h30m`. Used in policies and in the
//! configuration; knows no clock.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written as whole numbers with the units `ms`, `s`, `m`, `h`, `d`,
/// largest first: `500ms`, `20s`, `15m`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// The JSON Schema `format` by which the configuration's checks know a period.
    pub(crate) const FORMAT: &'static str = "period";

    /// This many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// This many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The same, for timers.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// Largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl FromStr for Period {
    type Err = String;

    /// The error is a sentence for the author of the text.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is not a length of time; write it like 20s, 15m or 1h30m");
        let mut total: u64 = 0;
        let mut below = u64::MAX;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, after) = rest.split_at(digits);
            let letters = after
                .find(|c: char| !c.is_ascii_lowercase())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            let (_, millis) = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(wrong)?;
            if *millis >= below {
                return Err(wrong());
            }
            below = *millis;
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(*millis))
                .and_then(|part| total.checked_add(part))
                .ok_or_else(wrong)?;
            rest = after;
        }
        if total == 0 {
            return Err(wrong());
        }
        Ok(Self::from_millis(total))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        for (name, millis) in UNITS {
            if rest >= millis {
                write!(f, "{}{name}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": Self::FORMAT,
            "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "description": "A length of time: whole numbers with the units d, h, m, s, ms, \
                            largest first: 500ms, 20s, 15m, 1h30m.",
        })
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_usual_forms() {
        let table = [
            ("500ms", 500),
            ("20s", 20_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("2d1s", 172_801_000),
        ];
        for (text, millis) in table {
            let period: Period = text.parse().unwrap();
            assert_eq!(period, Period::from_millis(millis), "{text}");
            assert_eq!(period.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_could_be_misread() {
        let table = [
            "",
            "20",
            "s",
            "20 s",
            "-5s",
            "1.5h",
            "5s3m",
            "1m1m",
            "0s",
            "5S",
            "5min",
            "99999999999999999999s",
            "18446744073709551615d",
        ];
        for text in table {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
