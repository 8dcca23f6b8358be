//! Part of ⑦ mask: what plainly is no secret, though it stands where one would: variables,
//! templates, paths, addresses, words; and whether a find stands alone in its text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::super::fields::{MASK, MASK_BASE64};

/// Values that stand for another one, or for none. All of the value must match.
const PLACEHOLDERS: &[&str] = &[
    // Variables and templates.
    r"\$\{.*\}",
    r"\$\(.*\)",
    // Small letters and digits behind a dollar are a password's: `$ecr3t`.
    r"\$\$?(?:[A-Z_][A-Z0-9_]*|[a-z_]+(?:[A-Z][a-z_]+)*)",
    r"\{\{.*\}\}",
    r"\{%.*%\}",
    r"<[^<>]*>",
    r"#\{.*\}",
    r"%(?:\[\d+\])?[-+#]?\d*[svqdxT]",
    r"%\([a-z_]+\)s",
    r"%[A-Z_]+%",
    r"__[A-Z0-9_]+__",
    r"\{[A-Za-z_][A-Za-z0-9_.]*\}",
    // Hidden already, or encrypted.
    r"(?i)[\[(<*]*(?:redacted|hidden|masked|omitted|sanitized|removed|filtered)[\])>*]*",
    r"ENC\[.*\]?",
    // Nothing, and words for it.
    r"(?i)(?:true|false|null|none|nil|undefined|yes|no|on|off|n/a|required|optional|string|bool)",
    r"(?:\*+|x+|X+|\.+|-+|_+|#+|\?+|0|~|\xe2\x80\xa6)",
    // The next option, and the version of a package that is called like a secret.
    r"--[a-z][a-z0-9-]*",
    r"[~^]\d+(?:\.\d+)*",
    // Where the value is kept.
    r"(?i)(?:env|file|vault|secret|secrets|ref\+[a-z]+|op|arn|projects|keyvault|ssm)[:/].*",
    r"(?:\.{0,2}|~)(?:/[A-Za-z][A-Za-z0-9_.@:*-]{0,40})+/?",
    r"[A-Za-z]:\\.*",
];

/// Values without quotes that are code, or a sentence.
const BARE: &[&str] = &[
    r"[A-Za-z_][A-Za-z0-9_.]*\(.*",
    r"[&*]?(?i:[a-z_][a-z0-9_]*\.)+[a-z_]*(?:pass|secret|token|key|cred|auth)[a-z_]*",
    // A variable with more inside than a word.
    r"\$[{(].*",
    // The first word of a sentence.
    r"(?i)(?:the|a|an|any|some|all|no|is|are|was|were|be|must|may|can|cannot|could|should|will|for|to|of|in|on|at|by|as|and|or|if|from|with|not|this|that|your|its|invalid|failed|missing|expired|empty|does|has|contains)(?: .*)?",
];

/// What is longer stands for nothing but itself.
const MAX_PLACEHOLDER: usize = 1 << 10;

static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| whole(PLACEHOLDERS));
static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| whole(BARE));

/// Whether a value is no secret whatever its name. `bare`: it stands without quotes.
pub(super) fn is_placeholder(value: &[u8], bare: bool) -> bool {
    let is = |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(value));
    if value.len() > MAX_PLACEHOLDER {
        return false;
    }
    value.is_empty()
        || value == MASK.as_bytes()
        || value == MASK_BASE64.as_bytes()
        || is(&PLACEHOLDER)
        || is_address(value)
        || (bare && is(&CODE))
}

/// An address that holds no password.
fn is_address(value: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(value, b"://") else {
        return false;
    };
    let (scheme, behind) = value.split_at(at);
    let host = behind.get(3..).unwrap_or_default();
    let host = host.split(|byte| *byte == b'/').next().unwrap_or_default();
    let secret_inside = memchr::memchr2(b'=', b'?', behind).is_some();
    scheme
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        && !host.contains(&b'@')
        && !secret_inside
}

/// Without the white space around it.
pub(super) fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let bytes = text.get(range.clone()).unwrap_or_default();
    let front = bytes.len() - bytes.trim_ascii_start().len();
    let inside = bytes.trim_ascii().len();
    range.start + front..range.start + front + inside
}

/// Whether neither letters nor digits adjoin, nor the rest of a decimal number.
pub(super) fn stands_alone(text: &[u8], range: &Range<usize>) -> bool {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let behind = text.get(range.end).copied().unwrap_or(b' ');
    begins_word(text, range.start)
        && !behind.is_ascii_alphanumeric()
        && behind != b'_'
        && !(behind == b'.' && digit(range.end + 1))
        && !(range.start >= 2 && text.get(range.start - 1) == Some(&b'.') && digit(range.start - 2))
}

/// Whether no letter, digit or underscore stands before; one that an escape ends with is
/// none.
pub(super) fn begins_word(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| bytes.get(at)).copied();
    match before(1) {
        Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => {
            before(2) == Some(b'\\') || (before(6) == Some(b'\\') && before(5) == Some(b'u'))
        }
        _ => true,
    }
}

fn whole(patterns: &[&str]) -> Option<Regex> {
    let pattern = format!("^(?:{})$", patterns.join("|"));
    let mut builder = RegexBuilder::new(&pattern);
    builder
        .unicode(false)
        .dot_matches_new_line(true)
        .build()
        .ok()
}
