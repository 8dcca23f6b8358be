//! Values of query parameters: strictly decoded, typed, in one canonical form.
//!
//! What a parameter means for the request is `query`'s business.

use std::borrow::Cow;

use super::malformed;
use super::selector::{is_label_selector, name_of};
use crate::refusal::Refusal;

/// How a parameter's value is read.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Whole,
    Text,
    OneOf(&'static [&'static str]),
    FieldSelector,
    LabelSelector,
    Duration,
    Time,
    /// Its presence is what counts; `verbose=false` would mean true.
    Present,
    /// Text that may be repeated and hold line breaks.
    Argument,
    /// A port that may be repeated.
    Port,
}

/// Strict percent-decoding of one part, which `name` names in errors; `+` is a space. The part
/// itself is not repeated: there could be a credential in it, and errors go on record.
pub(super) fn decode<'a>(part: &'a str, name: &str) -> Result<Cow<'a, str>, Refusal> {
    let bad = |what: &str| malformed(format!("{name} holds {what}: encode it as %XX"));
    if !part.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("characters outside of printable ASCII"));
    }
    if part.contains([';', '#']) {
        return Err(bad("`;` or `#`"));
    }
    if !part.contains(['%', '+']) {
        return Ok(Cow::Borrowed(part));
    }
    let mut decoded = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(bad("a `%` without two hexadecimal digits")),
            },
            other => other,
        });
    }
    if decoded.contains(&0) {
        return Err(malformed("the query holds a NUL character: leave it out"));
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| bad("an encoding that is not UTF-8"))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// The value in its canonical form, or what it should have been.
pub(super) fn check(kind: Kind, value: Cow<'_, str>) -> Result<Cow<'_, str>, String> {
    let fits = match kind {
        Kind::Bool => {
            return match &*value {
                "true" | "1" => Ok(Cow::Borrowed("true")),
                "false" | "0" => Ok(Cow::Borrowed("false")),
                _ => Err("true, false, 1 or 0".to_owned()),
            };
        }
        Kind::Present => {
            return match &*value {
                "" | "true" | "1" => Ok(Cow::Borrowed("true")),
                _ => Err("true (leave it out if it should not be)".to_owned()),
            };
        }
        Kind::OneOf(words) => {
            if words.contains(&&*value) {
                return Ok(value);
            }
            return Err(words.join(" or "));
        }
        Kind::Argument => return Ok(value),
        Kind::Text => value.chars().all(|character| !character.is_control()),
        Kind::Whole => whole(&value) && value.parse::<i64>().is_ok(),
        Kind::Port => whole(&value) && value.parse::<u16>().is_ok_and(|port| port > 0),
        Kind::Duration => is_duration(&value),
        Kind::Time => {
            !value.is_empty()
                && value.len() <= 40
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b"-:.TZ+".contains(&byte))
        }
        Kind::FieldSelector => name_of(&value).is_ok(),
        Kind::LabelSelector => is_label_selector(&value),
    };
    if fits {
        return Ok(value);
    }
    Err(match kind {
        Kind::Whole => "a whole number, in digits",
        Kind::Port => "a port",
        Kind::Duration => "a duration such as 32s",
        Kind::Time => "a time as in RFC 3339",
        Kind::FieldSelector => "a field selector such as metadata.name=x (at most one name)",
        Kind::LabelSelector => "a label selector such as app=web,tier in (a,b),!old",
        _ => "free of control characters",
    }
    .to_owned())
}

fn whole(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// Go's `time.ParseDuration`, of whole numbers only: `32s`, `1m30s`, `0`.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() && parts < 5 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let Some((number, behind)) = rest.split_at_checked(digits) else {
            return false;
        };
        let unit = ["ms", "s", "m", "h"]
            .into_iter()
            .find_map(|unit| behind.strip_prefix(unit));
        match unit {
            Some(next) if !number.is_empty() && number.len() <= 9 => rest = next,
            _ => return text == "0",
        }
        parts += 1;
    }
    parts > 0 && rest.is_empty()
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn encode(value: &str, out: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |nibble: u8| HEX.get(usize::from(nibble & 15)).copied().unwrap_or('0');
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
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
    fn values_are_read_as_their_kind_or_told_what_they_should_be() {
        let (time, long) = ("0".repeat(40), "0".repeat(41));
        let table: &[(Kind, &[&str], &[&str], &str)] = &[
            (Kind::Text, &["", "a b"], &["a\nb"], "free of control"),
            (
                Kind::Whole,
                &["0", "7", "9223372036854775807"],
                &["", "05", "+5", "-5", "1.0", "9223372036854775808"],
                "a whole number",
            ),
            (
                Kind::Port,
                &["1", "80", "65535"],
                &["", "0", "080", "+80", "65536"],
                "a port",
            ),
            (
                Kind::Duration,
                &["999999999s", "1h1m1s1ms1s"],
                &["", "1"],
                "a duration",
            ),
            (
                Kind::Time,
                &["2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05+01:00", &time],
                &["", "2026-01-02 03:04:05Z", "now", &long],
                "a time",
            ),
            (
                Kind::FieldSelector,
                &["", "a=b"],
                &["a"],
                "a field selector",
            ),
            (Kind::LabelSelector, &["", "a"], &["!"], "a label selector"),
            (
                Kind::OneOf(&["All", "One"]),
                &["All"],
                &["all"],
                "All or One",
            ),
        ];
        for (kind, good, bad, wanted) in table {
            for value in *good {
                assert_eq!(check(*kind, (*value).into()).as_deref(), Ok(*value));
            }
            for value in *bad {
                let told = check(*kind, (*value).into()).unwrap_err();
                assert!(told.starts_with(wanted), "{value:?}: {told}");
            }
        }
        for (kind, value, canonical) in [
            (Kind::Bool, "1", "true"),
            (Kind::Bool, "true", "true"),
            (Kind::Bool, "0", "false"),
            (Kind::Bool, "false", "false"),
            (Kind::Present, "", "true"),
            (Kind::Present, "1", "true"),
        ] {
            assert_eq!(check(kind, value.into()).as_deref(), Ok(canonical));
        }
    }

    #[test]
    fn durations_as_go_writes_them() {
        for good in ["0", "0s", "32s", "1m30s", "500ms", "1h"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in [
            "",
            "s",
            "1",
            "1.5s",
            "-1s",
            "1d",
            "1 s",
            "9999999999s",
            "1s1s1s1s1s1s",
        ] {
            assert!(!is_duration(bad), "{bad}");
        }
    }
}
