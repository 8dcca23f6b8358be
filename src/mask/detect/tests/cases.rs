//! Every case of the pack, and that the pack is whole.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    regex: Option<String>,
    #[serde(default)]
    too_much: bool,
    #[serde(default)]
    found: Vec<String>,
    #[serde(default)]
    left: Vec<String>,
}

fn pack() -> Vec<Case> {
    serde_saphyr::from_str(pack::PACK).unwrap()
}

/// A case's text without its marks, the name beside it, and what is marked.
pub fn read(case: &str) -> (String, Option<String>, Vec<Range<usize>>) {
    let case = case.replace('¦', "");
    let (name, case) = match case.split_once(" == ") {
        Some((name, text)) => (Some(name.to_owned()), text.to_owned()),
        None => (None, case),
    };
    let (mut text, mut marks, mut start) = (String::new(), Vec::new(), 0);
    for character in case.chars() {
        match character {
            '«' => start = text.len(),
            '»' => marks.push(start..text.len()),
            _ => text.push(character),
        }
    }
    (text, name, marks)
}

#[test]
fn the_pack_is_whole() {
    let pack = pack();
    assert_eq!(pack.len(), pack::rules().len(), "a rule does not compile");
    for (case, rule) in pack.iter().zip(pack::rules()) {
        assert_eq!(case.name, rule.name);
        assert!(
            !rule.says.is_empty()
                && (case.too_much || !case.found.is_empty() && !case.left.is_empty()),
            "{}",
            rule.name
        );
        assert_eq!(
            case.regex.is_some(),
            matches!(&rule.finds, Finds::Regex { .. })
                || matches!(&rule.finds, Finds::Beside { value: Some(_), .. }),
            "{}",
            rule.name
        );
    }
}

#[test]
fn each_case_is_found_or_left() {
    let mut wrong = Vec::new();
    for rule in pack() {
        let alone = Detectors::select([rule.name.as_str()]).unwrap();
        let all = Detectors::standard();
        let on = Detectors::catalogue().any(|(name, _, on)| on && name == rule.name);
        for case in &rule.found {
            let (text, name, marks) = read(case);
            for detectors in [Some(&alone), on.then_some(all)].into_iter().flatten() {
                let found = detectors.scan(text.as_bytes(), name.as_deref().map(str::as_bytes));
                let ranges: Vec<_> = found.iter().map(|found| found.start..found.end).collect();
                let named = found.iter().all(|found| found.detector == rule.name);
                if ranges != marks || marks.is_empty() || !named {
                    wrong.push(format!("{}: {case}: {found:?}", rule.name));
                }
            }
        }
        for case in &rule.left {
            let (text, name, _) = read(case);
            let found = alone.scan(text.as_bytes(), name.as_deref().map(str::as_bytes));
            if !found.is_empty() {
                wrong.push(format!("{}: {case}: {found:?}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// All cases of all rules.
pub fn all() -> Vec<String> {
    pack()
        .into_iter()
        .flat_map(|rule| rule.found.into_iter().chain(rule.left))
        .collect()
}

#[test]
fn what_is_too_much_is_hidden() {
    let gzip = |text: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, text).unwrap();
        STANDARD.encode(gzip.finish().unwrap())
    };
    let scan = |text: &str| {
        let found = Detectors::standard().scan(text.as_bytes(), None);
        found
            .iter()
            .map(|found| (found.detector, found.start..found.end))
            .collect::<Vec<_>>()
    };
    let (little, much) = (gzip(&vec![b'a'; 1 << 19]), gzip(&vec![b'a'; 1 << 20]));
    assert_eq!(scan(&format!("a {little} b")), []);
    assert_eq!(
        scan(&format!("a {much} b")),
        [("too-much", 2..2 + much.len())]
    );
    // Many little ones are as much as a big one.
    let many = format!("{little} ").repeat(20);
    assert!((1..20).contains(&scan(&many).len()), "{:?}", scan(&many));
    let long = STANDARD.encode(vec![b'a'; 3 << 19]);
    assert_eq!(scan(&long), [("too-much", 0..long.len())]);
}

#[test]
fn a_long_value_is_hidden_to_its_end() {
    let value = "x7-".repeat(20_000);
    for (before, after) in [
        ("password=", "\nb=c"),
        ("password: \"", "\" c"),
        ("{\\\"password\\\":\\\"", "\\\"}"),
        ("<password>", "</password>"),
        ("--password ", " -h db"),
    ] {
        let found = Detectors::standard().scan(format!("{before}{value}{after}").as_bytes(), None);
        let all = before.len()..before.len() + value.len();
        assert_eq!(found.len(), 1, "{before}");
        assert_eq!(found[0].start..found[0].end, all, "{before}");
    }
}

#[test]
fn lines_of_base64_are_one() {
    let text = format!("{} password=hunter2 {}", "a".repeat(50), "b".repeat(50));
    let base64 = STANDARD.encode(text);
    for (columns, indent) in [(64, "\n"), (76, "\r\n"), (60, "\n    ")] {
        let lines: Vec<&str> = (0..base64.len())
            .step_by(columns)
            .map(|at| &base64[at..(at + columns).min(base64.len())])
            .collect();
        let block = lines.join(indent);

        let found = Detectors::standard().scan(format!("key: {block}\n").as_bytes(), None);
        assert_eq!(
            found,
            [Found {
                detector: "password",
                start: 5,
                end: 5 + block.len()
            }]
        );
    }
}
