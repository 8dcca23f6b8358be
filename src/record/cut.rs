//! Texts of strangers, cut so that an entry always fits in a frame.
//!
//! Part of ⑧ record. Pure. Sizes are bytes of JSON, because a control character takes six.

use sha2::{Digest, Sha256};

/// The most that a name takes.
pub(super) const NAME: usize = 512;
/// The most that a sentence takes.
pub(super) const REASON: usize = 2 << 10;

/// Cuts a text so that it takes at most `max` bytes of JSON, quotes not counted. What was
/// cut is told at the end, with the digest of the whole text.
pub(super) fn cut(text: &str, max: usize) -> String {
    const MARK: usize = 128;
    if json_len(text) <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub(MARK);
    let mut used = 0;
    let fits = |c: &char| {
        used += json_len(c.encode_utf8(&mut [0; 4]));
        used <= room
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    let (len, digest) = (text.len(), hex(&Sha256::digest(text)));
    kept.push_str(&format!("… [cut: {len} bytes, sha256 {digest}]"));
    kept
}

/// Whether a recorded text is only the beginning of what was asked.
pub(super) fn is_cut(text: &str) -> bool {
    text.ends_with("]") && text.contains("… [cut: ")
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn json_len(text: &str) -> usize {
    let len = |byte| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(len).sum()
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_never_takes_more_than_its_room(text in any::<String>(), max in 128..300_usize) {
            let kept = cut(&text.repeat(5), max);
            let json = serde_json::to_string(&kept).unwrap();
            prop_assert!(json.len() - 2 <= max, "{} > {max}", json.len());
        }
    }

    #[test]
    fn a_short_text_is_kept_and_a_long_one_says_what_is_missing() {
        assert_eq!(cut("kubectl/v1.37", 16), "kubectl/v1.37");
        let long = "ä".repeat(500);
        let kept = cut(&long, 512);
        assert!(kept.starts_with("ääää"), "{kept}");
        assert!(is_cut(&kept) && !is_cut(&long));
        let mark = format!(
            "… [cut: 1000 bytes, sha256 {}]",
            hex(&Sha256::digest(&long))
        );
        assert!(kept.ends_with(&mark), "{kept}");
    }
}
