//! Part of ⑦ mask: which names are those of secret values, by the words they are made of.
//!
//! A name is telling if its last word is (`db_password`, `apiToken`), so that the names of
//! names and places are not (`secretName`, `tokenPath`, `authMode`). Pure tables and words.

use std::ops::Range;

/// How much a name tells of the value beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Telling {
    /// The value is a password, whatever it looks like.
    Password,
    /// The value is a secret if it looks like one: names and words stand there too.
    Key,
    /// Like `Key`; behind the name of a scheme, or user and password in base64.
    Auth,
}

/// What every telling name holds, in the case in which it may stand there. The prefilter
/// looks for these; a test proves that no telling name is without one.
pub(super) const STEMS: [&str; 19] = [
    "pass", "Pass", "PASS", "pwd", "Pwd", "PWD", "ecret", "ECRET", "oken", "OKEN", "cred", "Cred",
    "CRED", "key", "Key", "KEY", "auth", "Auth", "AUTH",
];

/// Words that end a telling name, also when they are written together (`dbpassword`).
const PASSWORDS: [&str; 9] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passwort",
    "passcode",
    "userpass",
    "pwd",
    "dbpass",
];
const KEYS: [&str; 12] = [
    "secret",
    "token",
    "tokens",
    "apikey",
    "apikeys",
    "accesskey",
    "secretkey",
    "privatekey",
    "accountkey",
    "encryptionkey",
    "credential",
    "credentials",
];
const AUTHS: [&str; 4] = ["authorization", "basicauth", "httpauth", "dockerauth"];

/// Words that tell by themselves, but not at the end of another.
const ALONE: [(&str, Telling); 6] = [
    ("pass", Telling::Password),
    ("auth", Telling::Auth),
    ("cred", Telling::Key),
    ("creds", Telling::Key),
    ("secrets", Telling::Key),
    ("keypass", Telling::Password),
];

/// What must stand before `key` for it to be a secret one.
const KEY_OF: [&str; 44] = [
    "access",
    "account",
    "admin",
    "aes",
    "api",
    "app",
    "application",
    "auth",
    "cipher",
    "client",
    "consumer",
    "cookie",
    "crypto",
    "deploy",
    "enc",
    "encrypt",
    "encryption",
    "hmac",
    "integration",
    "jwt",
    "license",
    "master",
    "priv",
    "private",
    "recovery",
    "root",
    "rsa",
    "sas",
    "secret",
    "server",
    "service",
    "session",
    "shared",
    "sign",
    "signing",
    "ssh",
    "ssl",
    "storage",
    "subscription",
    "tls",
    "unseal",
    "user",
    "webhook",
    "write",
];

/// Words behind a telling one that change nothing.
const NEUTRAL: [&str; 22] = [
    "base",
    "b",
    "current",
    "data",
    "default",
    "dev",
    "encoded",
    "enc",
    "hash",
    "new",
    "old",
    "plain",
    "plaintext",
    "prev",
    "previous",
    "prod",
    "raw",
    "staging",
    "str",
    "string",
    "val",
    "value",
];

/// Words that make a name one of something else: `max_tokens`, `nextPageToken`,
/// `automountServiceAccountToken`, `imagePullSecrets`, `OLD_PWD`, `first_pass`.
const NOT_WITH: [&str; 24] = [
    "automount",
    "by",
    "cancel",
    "continuation",
    "continue",
    "count",
    "first",
    "max",
    "min",
    "multi",
    "next",
    "no",
    "num",
    "number",
    "oldpwd",
    "page",
    "pagination",
    "public",
    "pull",
    "second",
    "single",
    "skip",
    "total",
    "two",
];

/// Whole names that are telling in form and not in fact: working directories, and lists of
/// names.
const NOT: [&[u8]; 6] = [
    b"PWD",
    b"OLDPWD",
    b"INIT_CWD",
    b"secrets",
    b"Secrets",
    b"SECRETS",
];

/// So far to either side a name goes on.
const MAX_NAME: usize = 64;

/// More words than these are not looked at.
const MAX_WORDS: usize = 12;

/// How much the name tells; nothing if it is no name of a secret value.
pub(super) fn telling(name: &[u8]) -> Option<Telling> {
    if NOT.contains(&name) {
        return None;
    }
    let words = words(name);
    let mut rest: &[&[u8]] = &words;
    while let Some((last, before)) = rest.split_last() {
        if rest.len() > 1 && (is_in(last, &NEUTRAL) || last.is_empty()) {
            rest = before;
            continue;
        }
        let telling = word(last, before.last().copied())?;
        let other = before.iter().any(|word| is_in(word, &NOT_WITH));
        return (!other).then_some(telling);
    }
    None
}

/// The name around `part` of it.
pub(super) fn around(bytes: &[u8], part: &Range<usize>) -> Range<usize> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(*byte);
    let before = bytes.get(..part.start).unwrap_or_default();
    let behind = bytes.get(part.end..).unwrap_or_default();
    let front = before
        .iter()
        .rev()
        .take(MAX_NAME)
        .take_while(is_name)
        .count();
    let back = behind.iter().take(MAX_NAME).take_while(is_name).count();
    part.start - front..part.end + back
}

/// How much a name within a text tells. What stands behind a backslash may be an escape, and
/// not the beginning of the name.
pub(super) fn telling_in(bytes: &[u8], name: &Range<usize>) -> Option<Telling> {
    let whole = bytes.get(name.clone())?;
    let escaped = name.start.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'\\');
    let unescaped = || {
        let length = if whole.starts_with(b"u") { 5 } else { 1 };
        telling(whole.get(length..)?).or_else(|| telling(whole.get(1..)?))
    };
    telling(whole).or_else(|| escaped.then(unescaped).flatten())
}

fn word(last: &[u8], before: Option<&[u8]>) -> Option<Telling> {
    let ends = |words: &[&str]| words.iter().any(|word| ends_with(last, word));
    if let Some((_, telling)) = ALONE.iter().find(|(word, _)| same(last, word)) {
        return Some(*telling);
    }
    if ends(&PASSWORDS) {
        return Some(Telling::Password);
    }
    if ends(&AUTHS) {
        return Some(Telling::Auth);
    }
    let pass = before.is_some_and(|word| same(word, "pass"));
    if pass && is_in(last, &["word", "phrase", "code"]) {
        return Some(Telling::Password);
    }
    let key = same(last, "key") || same(last, "keys");
    let secret = key && before.is_some_and(|word| is_in(word, &KEY_OF));
    (secret || ends(&KEYS)).then_some(Telling::Key)
}

/// The words of a name in snake, kebab, camel, dotted or capital letters, without the digits
/// behind them.
fn words(name: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut start = 0;
    for at in 1..=name.len() {
        let (before, here) = (byte(name, at - 1), byte(name, at));
        let camel = before.is_ascii_lowercase() && here.is_ascii_uppercase();
        let title = before.is_ascii_uppercase()
            && here.is_ascii_uppercase()
            && byte(name, at + 1).is_ascii_lowercase();
        if camel || title || !here.is_ascii_alphanumeric() {
            let word = name.get(start..at).unwrap_or_default();
            let digits = word.iter().rev().take_while(|b| b.is_ascii_digit()).count();
            let word = word.get(..word.len() - digits).unwrap_or_default();
            let word = word.strip_prefix(b"_").unwrap_or(word);
            words.push(word);
            start = at + usize::from(!here.is_ascii_alphanumeric());
        }
    }
    let first = words.len().saturating_sub(MAX_WORDS);
    words.split_off(first)
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

fn same(word: &[u8], other: &str) -> bool {
    word.eq_ignore_ascii_case(other.as_bytes())
}

fn is_in(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|other| same(word, other))
}

fn ends_with(word: &[u8], end: &str) -> bool {
    let behind = word
        .len()
        .checked_sub(end.len())
        .and_then(|at| word.get(at..));
    behind.is_some_and(|behind| same(behind, end))
}
