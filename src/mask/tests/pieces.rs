//! Tests of ⑦ mask: in whatever pieces a list comes, it is masked the same. Cut into single
//! bytes, no string is left to the prefilter or the short cut of the reader: all are read
//! closely.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TOKEN: &str = concat!("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17");

/// A Secret with a note and a value of so many bytes; a token may stand in the note, in front
/// of the value, or behind it.
fn secret((note, value, token): (usize, usize, u8)) -> Value {
    let mut note = "plain words ".repeat(note / 12);
    if token == 0 {
        note = note + " " + TOKEN;
    }
    let behind = if token == 1 { TOKEN } else { "Opaque" };
    json!({
        "metadata": {"annotations": {"note": note}},
        "data": {"key": "QUJD".repeat(value / 4), "password": "aHVudGVyMg=="},
        "type": behind,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_list_is_masked_the_same_in_any_pieces(
        items in proptest::collection::vec((0..700usize, 0..3000usize, 0..6u8), 1..60),
        size in 1..9000usize,
    ) {
        let items: Vec<Value> = items.into_iter().map(secret).collect();
        let list = json!({"kind": "SecretList", "apiVersion": "v1", "items": items}).to_string();
        let masked = |size: usize| {
            let chunks: Vec<&[u8]> = list.as_bytes().chunks(size).collect();
            String::from_utf8(run(masker(&secrets("list"), 200), &chunks).unwrap()).unwrap()
        };
        let single = masked(1);
        prop_assert!(!single.contains(TOKEN));
        for size in [list.len(), size] {
            prop_assert_eq!(&masked(size), &single, "in pieces of {} bytes", size);
        }
    }
}
