//! What strangers wrote, made fit to be shown. Part of `output`; the
//! humans' door answers by it too.
//!
//! JSON escapes what could end a string, and no more: a character that steers a terminal, or
//! turns around the text beside it, would pass. Whoever approves must see what is there.

use serde_json::Value;

/// Whether this character does something else than show: controls (C0, DEL, C1), line and
/// paragraph separators, marks that change direction (Trojan Source, CVE-2021-42574), and
/// characters without width.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Text in which such characters are replaced.
pub fn plain(text: &str) -> String {
    let shown = |c| match steers(c) {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

/// JSON in which such characters are escaped: the same document to any reader.
pub fn json(document: &Value, pretty: bool) -> String {
    // `{:#}` breaks lines between values; within strings all controls are escaped already.
    let text = match pretty {
        true => format!("{document:#}"),
        false => document.to_string(),
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && c != '\n' {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn threat_22_what_steers_is_escaped_and_means_the_same() {
        let hostile =
            "\u{1b}[2J\0\n\u{7f}\u{9b}31m\u{202e}evil\u{2066}\u{200b}\u{feff}\u{2028}é \"\\";
        let document = json!({"a\u{202e}": [hostile, 1.5, null]});
        for pretty in [false, true] {
            let text = json(&document, pretty);
            assert!(!text.contains(|c| steers(c) && c != '\n'), "{text:?}");
            assert!(text.contains('é'));
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        }
        assert_eq!(plain("a\u{1b}[m\u{202e}é"), "a\u{fffd}[m\u{fffd}é");
    }
}
