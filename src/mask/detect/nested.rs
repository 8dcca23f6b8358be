//! Part of ⑦ mask: looks into base64, and gzip within it, one level deep and at most 1 MiB.
//!
//! Which runs are worth it is told by their first characters: those of a text decode to
//! bytes of a text, which hardly any name, digest or path does.

use std::io::Read;
use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::GzDecoder;

/// The base64 of 11 bytes without its padding.
pub(super) const SHORTEST: usize = 15;

/// As much is decoded.
const MAX_DECODED: usize = 1 << 20;

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

/// What stands in the run and what it decodes to; more than one where it is not clear with
/// which byte it begins.
pub(super) fn decoded(text: &[u8], run: &Range<usize>) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut all = Vec::new();
    for start in starts(text, run) {
        let base64 = text.get(start..run.end).unwrap_or_default();
        if !begins_a_text(base64) {
            continue;
        }
        let length = whole(base64.len().min(MAX_DECODED / 3 * 4));
        let padding = text.get(run.end..).unwrap_or_default();
        let padding = padding
            .iter()
            .take(2)
            .take_while(|byte| **byte == b'=')
            .count();
        if let Ok(decoded) = LENIENT.decode(base64.get(..length).unwrap_or_default()) {
            all.push((start..run.end + padding, decoded));
        }
    }
    all
}

/// What is packed, unpacked as far as it is looked at: Helm keeps its releases so.
pub(super) fn unpacked(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut text = Vec::new();
    // What is cut or broken is looked at up to there.
    let _ = GzDecoder::new(&*bytes)
        .take(MAX_DECODED as u64)
        .read_to_end(&mut text);
    text
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
