//! The promise of the hints: nothing is found in a string that gave none.

use proptest::prelude::*;

use super::*;

/// Texts in which something may be found: the cases of the pack in one another's company.
fn text() -> impl Strategy<Value = String> {
    let cases: Vec<String> = super::cases::all()
        .into_iter()
        .map(|case| super::cases::read(&case).0)
        .collect();
    let part = prop_oneof![
        3 => prop::sample::select(cases),
        1 => "[ -~]{0,20}",
        1 => prop::sample::select(vec!["\n", "\\n", "\\", "\"", "&", "<", ">", "\t", "é", "\u{1b}[0m", " ", "/", "=", ":"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
}

/// Lines in which something may be found, some of them with the value of a quoted name.
fn line() -> impl Strategy<Value = String> {
    let pair = "\"(password|token|x)\" ?: ?[\"a-z\\[{-][a-z0-9]{0,12}";
    prop_oneof![text(), pair].prop_map(|line| line + "\n")
}

/// How one character is written in JSON, by chance.
fn escaped(text: &str, seed: u64) -> String {
    let mut raw = String::new();
    let mut state = seed | 1;
    for unit in text.chars() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let often = seed.is_multiple_of(3) && state.is_multiple_of(40);
        match unit {
            '"' => raw.push_str("\\\""),
            '\\' => raw.push_str("\\\\"),
            '\n' => raw.push_str(if state.is_multiple_of(2) {
                "\\n"
            } else {
                "\\u000a"
            }),
            '\t' => raw.push_str("\\t"),
            '<' | '>' | '&' => raw.push_str(&format!("\\u{:04x}", u32::from(unit))),
            '/' if often => raw.push_str("\\/"),
            c if u32::from(c) < 0x20 || often || (!c.is_ascii() && state.is_multiple_of(2)) => {
                raw.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => raw.push(c),
        }
    }
    raw
}

pub(super) fn promise(detectors: &Detectors, text: &str, name: Option<&str>, seed: u64) {
    let quoted = |text: &str, seed| format!("\"{}\"", escaped(text, seed));
    let (key, value) = (quoted(name.unwrap_or("x"), seed), quoted(text, seed / 2));
    let is_hinted = |string: &str| detectors.is_hinted(string.as_bytes());
    let name = name.map(str::as_bytes);
    if !detectors.scan(text.as_bytes(), None).is_empty() {
        assert!(is_hinted(&value), "no hint for the text in {value}");
    } else if !detectors.scan(text.as_bytes(), name).is_empty() {
        let hinted = is_hinted(&key) || is_hinted(&value);
        assert!(hinted, "no hint for the name in {key}: {value}");
    }
}

#[test]
fn every_case_gives_a_hint() {
    let all = Detectors::select(Detectors::catalogue().map(|(name, ..)| name)).unwrap();
    for case in super::cases::all() {
        let (text, name, _) = super::cases::read(&case);
        for seed in 0..64 {
            promise(&all, &text, name.as_deref(), seed);
        }
    }
}

#[test]
fn a_name_of_other_letters_gives_a_hint() {
    for name in [
        "api key",
        "api\nkey",
        "api\tkey",
        "apiékey",
        "api!key",
        "api/key",
        "my password (db)",
        "access key",
    ] {
        for seed in 0..64 {
            promise(
                Detectors::standard(),
                "DE89370400440532013001",
                Some(name),
                seed,
            );
        }
    }
}

/// Whatever else a key may hold, it is asked about as a whole.
const NAME: &str =
    "(db|api|my|a \"|pass)?[ ._!\n\\\\é-]?(password|Secret|TOKEN|key|word|Name|x)[ !(\"\\\\é]{0,2}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_is_found_gave_a_hint(text in text(), name in prop::option::of(NAME), seed in any::<u64>()) {
        promise(Detectors::standard(), &text, name.as_deref(), seed);
    }

    #[test]
    fn what_is_found_in_a_line_gave_a_hint(texts in prop::collection::vec(line(), 1..6)) {
        let detectors = Detectors::standard();
        let lines = texts.concat();
        let hints: Vec<usize> = detectors.hints_in_lines(lines.as_bytes()).collect();
        prop_assert!(hints.is_sorted());
        let mut at = 0;
        for line in lines.split_inclusive('\n') {
            let place = at..at + line.len();
            at = place.end;
            let hinted = hints.iter().any(|hint| place.contains(hint));
            let found = detectors.scan(line.as_bytes(), None);
            prop_assert!(hinted || found.is_empty(), "no hint for {line:?} in {lines:?}");
        }
    }
}
