//! Durations and timestamps: reading, writing, and parts of dates. Part of the CEL engine;
//! the formats are Go's, time zones come from the tables that the program carries.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::{Moment, Value};
use super::Function;
use super::pattern::Pattern;

const SECOND: i128 = 1_000_000_000;
/// 0001-01-01T00:00:00Z.
const FIRST: i128 = -62_135_596_800 * SECOND;
/// 9999-12-31T23:59:59.999999999Z.
const LAST: i128 = 253_402_300_800 * SECOND - 1;

const PART: &[&str] = &["timestamp:int", "timestamp,string:int"];
const PART_OR_SPAN: &[&str] = &["timestamp:int", "timestamp,string:int", "duration:int"];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::member("getFullYear", PART, |_, values, _| {
        part(values, None, |civil| civil.year().into())
    }),
    Function::member("getMonth", PART, |_, values, _| {
        part(values, None, |civil| i64::from(civil.month()) - 1)
    }),
    Function::member("getDayOfYear", PART, |_, values, _| {
        part(values, None, |civil| {
            i64::from(civil.date().day_of_year()) - 1
        })
    }),
    Function::member("getDayOfMonth", PART, |_, values, _| {
        part(values, None, |civil| i64::from(civil.day()) - 1)
    }),
    Function::member("getDate", PART, |_, values, _| {
        part(values, None, |civil| civil.day().into())
    }),
    Function::member("getDayOfWeek", PART, |_, values, _| {
        part(values, None, |civil| {
            civil.weekday().to_sunday_zero_offset().into()
        })
    }),
    Function::member("getHours", PART_OR_SPAN, |_, values, _| {
        part(values, Some(3600 * SECOND), |civil| civil.hour().into())
    }),
    Function::member("getMinutes", PART_OR_SPAN, |_, values, _| {
        part(values, Some(60 * SECOND), |civil| civil.minute().into())
    }),
    Function::member("getSeconds", PART_OR_SPAN, |_, values, _| {
        part(values, Some(SECOND), |civil| civil.second().into())
    }),
    Function::member("getMilliseconds", PART_OR_SPAN, |_, values, _| {
        part(values, Some(1_000_000), |civil| civil.millisecond().into())
    }),
    Function::global(
        "duration",
        &["duration:duration", "string:duration"],
        |meter, values, _| match values {
            [Value::Duration(value)] => Ok(Value::Duration(*value)),
            [Value::String(text)] => {
                meter.pay_text(text.len())?;
                read_duration(text)
                    .map(Value::Duration)
                    .ok_or_else(|| Trouble::new("this is no duration such as \"1h30m\""))
            }
            _ => Err(Trouble::no_overload()),
        },
    ),
    Function::global(
        "timestamp",
        &["timestamp:timestamp", "string:timestamp", "int:timestamp"],
        timestamp,
    ),
];

fn timestamp<'a>(meter: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    match values {
        [Value::Timestamp(value)] => Ok(Value::Timestamp(*value)),
        [Value::Int(seconds)] => moved(Moment(0), i128::from(*seconds) * SECOND),
        [Value::String(text)] => {
            meter.pay_text(text.len())?;
            let at = read_timestamp(text).ok_or_else(|| {
                Trouble::new("this is no timestamp such as \"2026-01-31T09:00:00Z\"")
            })?;
            moved(Moment(at), 0)
        }
        _ => Err(Trouble::no_overload()),
    }
}

/// A point in time, so many nanoseconds later.
pub(super) fn moved<'a>(at: Moment, by: i128) -> Outcome<'a> {
    match at.0.checked_add(by) {
        Some(nanoseconds) if (FIRST..=LAST).contains(&nanoseconds) => {
            Ok(Value::Timestamp(Moment(nanoseconds)))
        }
        _ => Err(Trouble::new("timestamp overflow")),
    }
}

/// One part of a date, or a duration in a unit.
fn part<'a>(values: &[Value<'a>], unit: Option<i128>, of: fn(DateTime) -> i64) -> Outcome<'a> {
    let (at, zone) = match (values, unit) {
        ([Value::Timestamp(at)], _) => (*at, TimeZone::UTC),
        ([Value::Timestamp(at), Value::String(name)], _) => (*at, zone(name)?),
        ([Value::Duration(span)], Some(unit)) => {
            let count = i128::from(*span) / unit;
            return Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
        }
        _ => return Err(Trouble::no_overload()),
    };
    let civil = Timestamp::from_nanosecond(at.0)
        .map(|at| zone.to_datetime(at))
        .map_err(|_| Trouble::new("too close to the end of time for a date"))?;
    Ok(Value::Int(of(civil)))
}

/// An IANA name, or an offset such as `+02:00` or `02:00`.
fn zone(name: &str) -> Result<TimeZone, Trouble> {
    let unknown = || Trouble::new(format!("unknown time zone {name:?}"));
    if matches!(name, "" | "UTC") {
        return Ok(TimeZone::UTC);
    }
    if !name.contains(':') {
        return TimeZoneDatabase::bundled().get(name).map_err(|_| unknown());
    }
    let (sign, digits) = match name.as_bytes().first() {
        Some(b'-') => (-1, name.get(1..)),
        Some(b'+') => (1, name.get(1..)),
        _ => (1, Some(name)),
    };
    let (hours, minutes) = digits
        .and_then(|digits| digits.split_once(':'))
        .ok_or_else(unknown)?;
    let number = |text: &str| match text.len() {
        2 => text.parse::<u8>().ok().map(i32::from),
        _ => None,
    };
    match (number(hours), number(minutes)) {
        (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => {
            Offset::from_seconds(sign * (hours * 3600 + minutes * 60))
                .map(TimeZone::fixed)
                .map_err(|_| unknown())
        }
        _ => Err(unknown()),
    }
}

/// Go's `time.ParseDuration`.
pub(super) fn read_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (whole, after) = rest.split_at_checked(digits)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => {
                let digits =
                    after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                after.split_at_checked(digits)?
            }
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let name = after.len()
            - after
                .trim_start_matches(|c: char| c != '.' && !c.is_ascii_digit())
                .len();
        let (name, after) = after.split_at_checked(name)?;
        let unit: i128 = match name {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        // More digits than this mean nothing below a nanosecond.
        let kept = fraction.get(..fraction.len().min(18))?;
        let scale = 10_i128.checked_pow(u32::try_from(kept.len()).ok()?)?;
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        let part: i128 = if kept.is_empty() {
            0
        } else {
            kept.parse().ok()?
        };
        total = total
            .checked_add(whole.checked_mul(unit)?)?
            .checked_add(part.checked_mul(unit)? / scale)?;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Go's reading of RFC 3339; nanoseconds since the epoch.
fn read_timestamp(text: &str) -> Option<i128> {
    let date = text.get(..19)?;
    let bytes = date.as_bytes();
    let fine = bytes.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !fine || date.ends_with("60") {
        return None;
    }
    let civil: DateTime = date.parse().ok()?;
    let rest = text.get(19..)?;
    let (nanoseconds, rest) = match rest.strip_prefix(['.', ',']) {
        None => (0, rest),
        Some(rest) => {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (digits, rest) = rest.split_at_checked(digits)?;
            if digits.is_empty() {
                return None;
            }
            let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
            (nine.parse::<i128>().ok()?, rest)
        }
    };
    let offset = match rest.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let digit = |byte: &u8| byte.is_ascii_digit().then(|| i128::from(byte - b'0'));
            let hours = digit(h1)? * 10 + digit(h2)?;
            let minutes = digit(m1)? * 10 + digit(m2)?;
            if hours > 24 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let since: SignedDuration = civil.duration_since(epoch);
    Some(since.as_nanos() + nanoseconds - offset * SECOND)
}

/// RFC 3339 in UTC, with as many digits as it takes.
pub(in crate::cel) fn write_timestamp(at: Moment) -> String {
    let seconds = at.0.div_euclid(SECOND);
    let nanoseconds = at.0.rem_euclid(SECOND);
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let span = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default());
    let civil = epoch.checked_add(span).unwrap_or(DateTime::MAX);
    let (date, time) = (civil.date(), civil.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        fraction(nanoseconds)
    )
}

/// Seconds, as upstream writes them: `5400s`, `-0.001s`.
#[expect(clippy::cast_precision_loss, reason = "upstream loses it too")]
pub(super) fn write_duration(nanoseconds: i64) -> String {
    let seconds = (nanoseconds / 1_000_000_000) as f64;
    let rest = (nanoseconds % 1_000_000_000) as f64;
    format!("{}s", seconds + rest / 1e9)
}

fn fraction(nanoseconds: i128) -> String {
    if nanoseconds == 0 {
        return String::new();
    }
    format!(".{nanoseconds:09}")
        .trim_end_matches('0')
        .to_owned()
}
