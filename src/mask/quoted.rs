//! Part of ⑦ mask: what is quoted within a string: a whole document, or a part of a message.
//!
//! A manifest in an annotation is a document of its own, and is masked as if it stood alone. A
//! message may quote a value that quotes another one; detectors know a text better without its
//! escapes, so it is looked at once more without them.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr;

use super::detect::{Detectors, Found};
use super::fields::{ANY, MASK};
use super::json::Root;
use super::rules::Masking;
use super::walk::Walk;

/// So often a text is quoted within itself before nobody reads it any more.
const LEVELS: usize = 3;

/// As deep may documents be quoted in one another. Whoever knows how makes a few bytes of one
/// that takes twice as many at each level once it is written anew.
const DOCUMENTS: u8 = 4;

/// Rule and path of everything that is hidden.
type By = Vec<(Box<str>, Box<str>)>;

/// The document that is the text, masked; none if the text is none, or nothing in it is hidden.
/// `level`: in how many documents it is quoted already; too deep, it is hidden whole.
pub(super) fn document(text: &str, masking: &Arc<Masking>, level: u8) -> Option<(String, By)> {
    if !text.trim_ascii_start().starts_with(['{', '[']) {
        return None;
    }
    if level == DOCUMENTS {
        let by = vec![("unreadable".into(), "**".into())];
        return Some((MASK.to_owned(), by));
    }
    let mut walk = Walk::new(&ANY, Root::Container, Some(masking.clone())).quoted(level + 1);
    let masked = walk.feed(&Bytes::copy_from_slice(text.as_bytes())).ok()?;
    walk.finish().ok()?;
    let by: By = walk
        .counts()
        .all()
        .iter()
        .map(|(cause, _)| (cause.rule.clone(), cause.path.clone()))
        .collect();
    let masked = String::from_utf8(masked.to_vec()).ok()?;
    (!by.is_empty()).then_some((masked, by))
}

/// Everything found in a text, ascending and not overlapping, with or without its escapes.
pub(super) fn scan(detectors: &Detectors, text: &[u8], name: Option<&[u8]>) -> Vec<Found> {
    let mut found = detectors.scan(text, name);
    if memchr(b'\\', text).is_none() {
        return found;
    }
    let mut level = Unescaped {
        text: text.to_vec(),
        origin: (0..=text.len()).collect(),
    };
    for _ in 0..LEVELS {
        if memchr(b'\\', &level.text).is_none() {
            break;
        }
        level = level.once_more();
        let origin = |at: usize| level.origin.get(at).copied().unwrap_or(text.len());
        let more = detectors.scan(&level.text, None);
        found.extend(more.into_iter().map(|it| Found {
            start: origin(it.start),
            end: origin(it.end),
            ..it
        }));
    }
    Found::joined(found)
}

/// A text without its escapes, and where each byte of it came from, its end included.
struct Unescaped {
    text: Vec<u8>,
    origin: Vec<usize>,
}

impl Unescaped {
    fn once_more(&self) -> Self {
        let (mut text, mut origin) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(rest) = self.text.get(at..).filter(|rest| !rest.is_empty()) {
            let (byte, length) = character(rest);
            text.push(byte);
            origin.push(self.origin.get(at).copied().unwrap_or_default());
            at += length;
        }
        origin.extend(self.origin.last());
        Self { text, origin }
    }
}

/// The first byte of a text, and how many bytes stand for it.
fn character(rest: &[u8]) -> (u8, usize) {
    match rest {
        [b'\\', b'n', ..] => (b'\n', 2),
        [b'\\', b'r', ..] => (b'\r', 2),
        [b'\\', b't', ..] => (b'\t', 2),
        [b'\\', byte @ (b'"' | b'\\' | b'/' | b'\''), ..] => (*byte, 2),
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            let digits = [*high, *low];
            let code = std::str::from_utf8(&digits).ok();
            let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match code.filter(u8::is_ascii) {
                Some(byte) => (byte, 6),
                None => (b'\\', 1),
            }
        }
        [byte, ..] => (*byte, 1),
        [] => (b' ', 1),
    }
}
