//! Every case of the pack, and that the pack is whole.

use super::*;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    regex: Option<String>,
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
            !rule.says.is_empty() && !case.found.is_empty(),
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
