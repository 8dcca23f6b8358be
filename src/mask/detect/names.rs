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
#[rustfmt::skip]
pub(super) const STEMS: [&str; 18] = [
    "pass", "Pass", "PASS", "pwd", "Pwd", "PWD", "ecret", "ECRET", "oken", "OKEN", "cred", "Cred",
    "CRED", "Key", "KEY", "auth", "Auth", "AUTH",
];

/// It is one only behind another word.
pub(super) const KEY: &str = "key";

/// Whether there is a word before this `key` that may make it a telling name.
pub(super) fn is_behind_word(bytes: &[u8], key: &Range<usize>) -> bool {
    let before = bytes.get(..key.start).unwrap_or_default();
    let joined = [&b"pi"[..], b"ss", b"te"];
    match before.last() {
        None | Some(b'"') => false,
        Some(last) if last.is_ascii_alphanumeric() => {
            // An escape, such as that of a line break, is no part of a word.
            matches!(before, [.., b'\\', _]) || joined.iter().any(|word| before.ends_with(word))
        }
        Some(_) => true,
    }
}

/// What a word tells by itself.
#[rustfmt::skip]
fn tells_alone(word: &[u8]) -> Option<Telling> {
    Some(match word {
        b"password" | b"passwords" | b"passwd" | b"passphrase" | b"passwort" | b"passcode"
        | b"pass" | b"pwd" | b"keypass" => Telling::Password,
        b"secret" | b"secrets" | b"token" | b"tokens" | b"apikey" | b"apikeys" | b"cred"
        | b"creds" | b"credential" | b"credentials" => Telling::Key,
        b"auth" | b"authorization" => Telling::Auth,
        _ => return None,
    })
}

/// Words that tell at the end of another, too: `dbpassword`.
const ENDS: [(&str, Telling); 18] = [
    ("password", Telling::Password),
    ("passwd", Telling::Password),
    ("passphrase", Telling::Password),
    ("userpass", Telling::Password),
    ("dbpass", Telling::Password),
    ("pwd", Telling::Password),
    ("secret", Telling::Key),
    ("secrets", Telling::Key),
    ("token", Telling::Key),
    ("tokens", Telling::Key),
    ("apikey", Telling::Key),
    ("accesskey", Telling::Key),
    ("secretkey", Telling::Key),
    ("privatekey", Telling::Key),
    ("credentials", Telling::Key),
    ("basicauth", Telling::Auth),
    ("httpauth", Telling::Auth),
    ("dockerauth", Telling::Auth),
];

/// What must stand before `key` for it to be a secret one.
#[rustfmt::skip]
fn has_secret_keys(word: &[u8]) -> bool {
    matches!(
        word,
        b"access" | b"account" | b"admin" | b"aes" | b"api" | b"app" | b"application" | b"auth"
            | b"cipher" | b"client" | b"consumer" | b"cookie" | b"crypto" | b"deploy" | b"enc"
            | b"encrypt" | b"encryption" | b"hmac" | b"integration" | b"jwt" | b"license"
            | b"master" | b"priv" | b"private" | b"recovery" | b"root" | b"rsa" | b"sas"
            | b"secret" | b"server" | b"service" | b"session" | b"shared" | b"sign"
            | b"signing" | b"ssh" | b"ssl" | b"storage" | b"subscription" | b"tls" | b"unseal"
            | b"user" | b"webhook" | b"write"
    )
}

/// Words behind a telling one that change nothing.
#[rustfmt::skip]
fn is_neutral(word: &[u8]) -> bool {
    matches!(
        word,
        b"" | b"b" | b"base" | b"current" | b"data" | b"default" | b"dev" | b"enc" | b"encoded"
            | b"hash" | b"new" | b"old" | b"plain" | b"plaintext" | b"prev" | b"previous"
            | b"prod" | b"raw" | b"staging" | b"str" | b"string" | b"val" | b"value"
    )
}

/// Words that make a name one of something else: `max_tokens`, `nextPageToken`,
/// `automountServiceAccountToken`, `imagePullSecrets`, `first_pass`.
#[rustfmt::skip]
fn makes_other(word: &[u8]) -> bool {
    matches!(
        word,
        b"allow" | b"automount" | b"by" | b"cancel" | b"continuation" | b"continue" | b"count" | b"empty" | b"first"
            | b"max" | b"min" | b"multi" | b"next" | b"no" | b"num" | b"number" | b"page"
            | b"pagination" | b"public" | b"pull" | b"require" | b"required" | b"second" | b"single" | b"skip" | b"total"
            | b"two"
    )
}

/// Whole names that are telling in form and not in fact: working directories, and lists of
/// names.
const NOT: [&[u8]; 6] = [
    b"PWD", b"OLDPWD", b"oldpwd", b"secrets", b"Secrets", b"SECRETS",
];

/// So far to either side a name goes on.
const MAX_NAME: usize = 64;

/// More words than these are not looked at, and no more letters of one.
const MAX_WORDS: usize = 12;
const MAX_WORD: usize = 20;

/// How much the name tells; nothing if it is no name of a secret value.
pub(super) fn telling(name: &[u8]) -> Option<Telling> {
    if NOT.contains(&name) {
        return None;
    }
    let mut words = Words(name);
    let last = words.find(|word| !is_neutral(word.as_bytes()))?;
    let before = words.clone().next();
    let telling = tells(last.as_bytes(), before.as_ref().map(Word::as_bytes))?;
    let other = words
        .take(MAX_WORDS)
        .any(|word| makes_other(word.as_bytes()));
    (!other).then_some(telling)
}

/// The name around `part` of it.
pub(super) fn around(bytes: &[u8], part: &Range<usize>) -> Range<usize> {
    let is_name = |byte: &&u8| IN_NAMES.get(usize::from(**byte)) == Some(&true);
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

/// Letters, digits, `_`, `-` and `.`.
#[expect(clippy::indexing_slicing, reason = "a constant, made by the compiler")]
const IN_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        let joins = byte == b'_' || byte == b'-' || byte == b'.';
        table[byte as usize] = joins || byte.is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

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

fn tells(last: &[u8], before: Option<&[u8]>) -> Option<Telling> {
    if let Some(telling) = tells_alone(last) {
        return Some(telling);
    }
    match (last, before) {
        (b"word" | b"phrase" | b"code", Some(b"pass")) => return Some(Telling::Password),
        (b"key" | b"keys", Some(before)) if has_secret_keys(before) => return Some(Telling::Key),
        (b"key" | b"keys", _) => return None,
        _ => {}
    }
    let end = ENDS
        .iter()
        .find(|(word, _)| last.ends_with(word.as_bytes()));
    end.map(|(_, telling)| *telling)
}

/// The words of a name in snake, kebab, camel, dotted or capital letters, without the digits
/// behind them; the last one first.
#[derive(Clone)]
struct Words<'n>(&'n [u8]);

/// A word in small letters; of a long one the end.
struct Word {
    letters: [u8; MAX_WORD],
    length: usize,
}

impl Word {
    fn new(word: &[u8]) -> Self {
        let digits = word
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let word = word.get(..word.len() - digits).unwrap_or_default();
        let word = word
            .get(word.len().saturating_sub(MAX_WORD)..)
            .unwrap_or_default();
        let mut letters = [0; MAX_WORD];
        for (letter, byte) in letters.iter_mut().zip(word) {
            *letter = byte.to_ascii_lowercase();
        }
        let length = word.len();
        Self { letters, length }
    }

    fn as_bytes(&self) -> &[u8] {
        self.letters.get(..self.length).unwrap_or_default()
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Self::Item> {
        let joints = self
            .0
            .iter()
            .rev()
            .take_while(|byte| !byte.is_ascii_alphanumeric());
        let name = self.0.get(..self.0.len() - joints.count())?;
        let (last, before) = name.split_last()?;
        let mut start = before.len();
        let (mut here, mut behind) = (*last, 0);
        for byte in before.iter().rev() {
            let camel = byte.is_ascii_lowercase() && here.is_ascii_uppercase();
            let title = byte.is_ascii_uppercase()
                && here.is_ascii_uppercase()
                && u8::is_ascii_lowercase(&behind);
            if camel || title || !byte.is_ascii_alphanumeric() {
                break;
            }
            (here, behind) = (*byte, here);
            start -= 1;
        }
        let (before, word) = name.split_at_checked(start)?;
        self.0 = before;
        Some(Word::new(word))
    }
}
