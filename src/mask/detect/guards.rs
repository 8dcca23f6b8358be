//! Part of ⑦ mask: a cheap look beside a literal, before a text is read closely.
//!
//! A guard may be too generous and never too strict: what a rule would accept in an unescaped
//! text, its guard lets pass in the raw one, unless an escape lies within.

use std::ops::Range;

use super::plain::begins_word;

/// A cheap look beside an anchor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Guard {
    #[default]
    None,
    /// A word begins here.
    Word,
    /// `@` behind `://…:`.
    UserInfo,
    /// `@` before `tcp(` or `unix(`.
    Socket,
    /// `@` between a name and a domain.
    Mail,
    /// `+` before a digit.
    Digit,
}

impl Guard {
    /// Whether a rule may find something at this anchor.
    #[inline]
    pub fn passes(self, bytes: &[u8], anchor: &Range<usize>) -> bool {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        match self {
            Self::None => true,
            Self::Word => begins_word(bytes, anchor.start),
            Self::UserInfo => has_user_info(bytes.get(..anchor.start).unwrap_or_default()),
            Self::Socket => {
                let behind = bytes.get(anchor.end..).unwrap_or_default();
                behind.starts_with(b"tcp(") || behind.starts_with(b"unix(")
            }
            Self::Mail => {
                let before = anchor.start.checked_sub(1).map_or(0, byte);
                !b" \"'@,;:<>".contains(&before) && byte(anchor.end).is_ascii_alphanumeric()
            }
            Self::Digit => matches!(byte(anchor.end), b'1'..=b'9'),
        }
    }
}

/// Whether `://…:…` stands before the `@`. It looks back to the last `@` at most, so all
/// looks together are one pass; at that one, the rule has been told already.
fn has_user_info(before: &[u8]) -> bool {
    let mut colon = false;
    for (at, byte) in before.iter().enumerate().rev() {
        match byte {
            b':' => colon = true,
            b'/' => return colon && before.get(..at).is_some_and(|b| b.ends_with(b":/")),
            b'@' | b'"' | b'\'' | b' ' | b'\t' | b'\n' | b'\r' => return false,
            _ => {}
        }
    }
    false
}

/// Whether an escape can hide something. The API server escapes `<`, `>` and `&` in any
/// text; they are part of nothing that is looked for, and only `&` could pass its digits
/// off as those of a run.
pub(super) fn hides(escape: &[u8]) -> bool {
    let behind = escape.get(6).copied().unwrap_or(b'0');
    match escape.get(..6) {
        Some(br"\u003c" | br"\u003e") => false,
        Some(br"\u0026") => behind.is_ascii_digit() || behind.is_ascii_uppercase(),
        _ => true,
    }
}

/// Whether a value may be beside the name, or the name be all of its string.
pub(super) fn is_followed(bytes: &[u8], name: &Range<usize>) -> bool {
    let rest = bytes.get(name.end..).unwrap_or_default();
    let blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
    let behind_blanks = |rest: &[u8]| {
        let blanks = rest.iter().take_while(blank).count();
        rest.get(blanks).copied()
    };
    match rest.first() {
        None | Some(b'"' | b'\\' | b':' | b'=' | b',' | b'>' | b'\n' | b'\r' | b'\'' | b'`') => {
            true
        }
        Some(b' ' | b'\t') => {
            let option = bytes
                .get(name.clone())
                .is_some_and(|name| name.starts_with(b"--"));
            let next = behind_blanks(rest);
            option || next.is_none_or(|next| b":=,\\\n\r".contains(&next))
        }
        _ => false,
    }
}
