//! Part of ⑦ mask: how much of a line that has not ended may be shown, so that whoever waits
//! for a prompt sees it.
//!
//! What may go on is no word, number or value that could turn out to be hidden once the rest
//! has come. It is told without knowing the rest: a value is put behind the text, and where
//! detectors take it for a secret, whatever they take for the same one waits. This part keeps
//! nothing.

use super::detect::Detectors;
use super::lines::{before, opens_key};
use super::terminal::{self, Seen, Source};

/// A value that is none of its own, and is hidden wherever a secret stands: drawn by lot, no
/// path, and no word; and what may end it.
const PROBE: &[u8] = b"q7Zr9vK2xW4mT8nB!c</";

/// Numbers that are written in groups are shorter, with the blanks between.
const LONGEST_NUMBER: usize = 64;

/// The groups of such a number are not longer; the first of them has four characters.
const LONGEST_GROUP: usize = 6;
const FIRST_GROUP: usize = 4;

/// How much of a text may be shown, whatever follows.
pub(super) fn end(detectors: &Detectors, text: &[u8]) -> usize {
    let text = text.get(..terminal::whole(text)).unwrap_or_default();
    let end = |seen: Seen<'_>| seen.origin(end_of(detectors, &seen.text));
    match Source::Process.is_plain(text) {
        true => end(Seen::all(text)),
        false => Seen::ways(text).into_iter().map(end).min().unwrap_or(0),
    }
}

/// The same of a text without sequences.
fn end_of(detectors: &Detectors, text: &[u8]) -> usize {
    let blank = text.iter().rposition(u8::is_ascii_whitespace);
    let (_, word) = text.split_at(blank.map_or(0, |at| at + 1));
    let word = if asks(word) { &[] } else { word };
    let end = (text.len() - word.len())
        .min(number(text))
        .min(phone(text))
        .min(opens_key(text).unwrap_or(text.len()));
    before(&detectors.scan(&[text, PROBE].concat(), None), end)
}

/// Whether a word is the end of a question and of no value: of what is known by its form
/// nothing ends like this, and what stands beside a name waits anyway.
fn asks(word: &[u8]) -> bool {
    let Some((last, before)) = word.split_last() else {
        return true;
    };
    let letters = before
        .iter()
        .all(|byte| byte.is_ascii_alphabetic() || b"_/()[]".contains(byte));
    let asks = match last {
        b'=' => Detectors::is_telling(before),
        _ => b":?>$#)]".contains(last),
    };
    (letters && asks) || word.iter().all(|byte| b".>*#-".contains(byte))
}

/// Where a number begins that is written in groups, a card's or an account's, and may go on.
fn number(text: &[u8]) -> usize {
    let near = text.len().saturating_sub(LONGEST_NUMBER);
    let mut end = text.len();
    let mut begins = end;
    let groups = text
        .get(near..)
        .unwrap_or_default()
        .rsplit(|byte| *byte == b' ');
    for (place, group) in groups.enumerate() {
        let start = end - group.len();
        let is_group = group.len() <= LONGEST_GROUP
            && group
                .iter()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        // Only the last may be still to come.
        if !is_group || (group.is_empty() && place > 0) {
            break;
        }
        if group.len() == FIRST_GROUP && group.iter().any(u8::is_ascii_digit) {
            begins = start;
        }
        end = start.saturating_sub(1);
    }
    begins
}

/// Where a phone number begins that may go on.
fn phone(text: &[u8]) -> usize {
    let near = text.len().saturating_sub(LONGEST_NUMBER);
    let near = text.get(near..).unwrap_or_default();
    let inside = |byte: &&u8| byte.is_ascii_digit() || b" ().-".contains(byte);
    let length = near.iter().rev().take_while(inside).count();
    let plus = near.iter().rev().nth(length) == Some(&b'+');
    text.len() - if plus { length + 1 } else { 0 }
}
