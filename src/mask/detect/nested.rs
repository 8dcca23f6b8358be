//! Part of ⑦ mask: looks into base64, and gzip in it, one level deep and at most 1 MiB.
//!
//! Which runs are worth it is told by their first characters: those of a text decode to
//! bytes of a text, which hardly any name, digest or path does.

use std::io::Read;
use std::ops::Range;

use super::runs;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::GzDecoder;

/// The base64 of 11 bytes without its padding.
pub(super) const SHORTEST: usize = 15;

/// As much of one is looked into, and as much in all of what gzip holds in one text: a
/// little of that can become a lot.
const MAX_DECODED: usize = 1 << 20;
pub(super) const MAX_INFLATED: usize = 4 << 20;

/// Shorter lines are no part of a block of base64.
const LINE: usize = 60;

/// So much of it is looked at first, and so many bytes of a text are then in it. Wherever
/// they begin, nine of them begin with a group.
const HEAD: usize = 256;
const TEXT: usize = 11;

/// What gzip begins with.
pub(super) const GZIP: &str = "H4sI";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether the run decodes to a text, as far as its beginning tells.
pub(super) fn is_promising(bytes: &[u8], run: &Range<usize>) -> bool {
    starts(bytes, run).any(|start| begins_a_text(bytes.get(start..run.end).unwrap_or_default()))
}

/// What is in a piece of base64.
pub(super) struct Inside {
    /// All of the piece.
    pub range: Range<usize>,
    pub text: Vec<u8>,
    /// It is too much: this is only its beginning.
    pub cut: bool,
}

/// What is in the run, and in the lines of base64 that follow it; more than one where it is
/// not clear with which byte it begins. `budget`: as much may still be inflated.
pub(super) fn inside(text: &[u8], run: &Range<usize>, budget: &mut usize) -> Vec<Inside> {
    let mut all = Vec::new();
    for start in starts(text, run) {
        if !begins_a_text(text.get(start..run.end).unwrap_or_default()) {
            continue;
        }
        let (end, base64) = block(text, start..run.end);
        let length = whole(base64.len().min(MAX_DECODED / 3 * 4));
        let Ok(decoded) = LENIENT.decode(base64.get(..length).unwrap_or_default()) else {
            continue;
        };
        let cut = length + 4 < base64.len();
        let range = start..end;
        all.push(if base64.starts_with(GZIP.as_bytes()) {
            let text = inflated(&decoded, MAX_DECODED.min(*budget));
            *budget -= text.len();
            let cut = cut || text.len() == MAX_DECODED || *budget == 0;
            Inside { range, text, cut }
        } else {
            let text = decoded;
            Inside { range, text, cut }
        });
    }
    all
}

/// What is in a gzip file, as far as it can be read.
fn inflated(gzip: &[u8], most: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut reader = GzDecoder::new(gzip).take(most as u64);
    // What stands before a fault is looked at all the same.
    let _ = reader.read_to_end(&mut text);
    text
}

/// The lines of base64 that begin with this one, as one, and where they end.
fn block(text: &[u8], first: Range<usize>) -> (usize, Vec<u8>) {
    let mut base64 = text.get(first.clone()).unwrap_or_default().to_vec();
    let (mut end, mut line) = (first.end, first.len());
    while line >= LINE && line.is_multiple_of(4) {
        let behind = text.get(end..).unwrap_or_default();
        let gap = behind
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let next = runs::base64_from(text, end + gap);
        let breaks = behind.get(..gap).is_some_and(|gap| gap.contains(&b'\n'));
        let ends = matches!(
            text.get(next.end),
            None | Some(b'=' | b'\n' | b'\r' | b'"' | b'\'')
        );
        if !breaks || !ends || next.is_empty() || next.len() > line {
            break;
        }
        base64.extend_from_slice(text.get(next.clone()).unwrap_or_default());
        (end, line) = (next.end, if next.len() == line { line } else { 0 });
    }
    let padding = text.get(end..).unwrap_or_default().iter().take(2);
    (
        end + padding.take_while(|byte| **byte == b'=').count(),
        base64,
    )
}

/// The run's first byte, and that behind an escape (`\n`, `\u0000`) whose letters look as
/// if they belonged to it.
fn starts(bytes: &[u8], run: &Range<usize>) -> impl Iterator<Item = usize> {
    let escaped = run.start.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'\\');
    let unicode = escaped && bytes.get(run.start) == Some(&b'u');
    [
        Some(run.start),
        escaped.then_some(run.start + 1),
        unicode.then_some(run.start + 5),
    ]
    .into_iter()
    .flatten()
}

/// One character alone at the end says nothing.
fn whole(length: usize) -> usize {
    if length % 4 == 1 { length - 1 } else { length }
}

/// Whether the bytes of a text follow on one another somewhere in the beginning, or gzip.
fn begins_a_text(base64: &[u8]) -> bool {
    if base64.len() < SHORTEST {
        return false;
    }
    let mut decoded = [0; HEAD / 4 * 3];
    let head = base64
        .get(..whole(HEAD.min(base64.len())))
        .unwrap_or_default();
    let length = LENIENT.decode_slice(head, &mut decoded).unwrap_or_default();
    let mut run = 0;
    let found = decoded.iter().take(length).any(|byte| {
        let text = matches!(*byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
        run = if text { run + 1 } else { 0 };
        run >= TEXT.min(length)
    });
    found || head.starts_with(GZIP.as_bytes())
}
