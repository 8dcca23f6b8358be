//! Tests of `suppose`: the table of the shipped guardrails, and what a record can tell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::Path;

use super::*;
use crate::config::cases::{Expected, load_cases};
use crate::config::load_rules;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/default-pack.yaml");

#[test]
fn the_default_pack_answers_as_the_table_says() {
    let pack = load_rules(&[], true).unwrap();
    let table = load_cases(Path::new(TABLE), &pack.policy).unwrap_or_else(|e| panic!("{e:#?}"));
    let tried = cases::try_all(table, &pack).unwrap_or_else(|e| panic!("{e:#?}"));
    assert!(tried.len() >= 200, "{} cases", tried.len());
    let wrong: Vec<String> = tried
        .iter()
        .filter(|tried| !tried.passed())
        .map(|tried| {
            format!(
                "{}: {}",
                tried.at.problem("", tried.found(), None),
                tried.found.why
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let untried = cases::untried(&tried, &pack);
    assert_eq!(untried, [], "every rule decides a case");
}

/// Whoever asks: for members of the group nothing waits, and nothing that is denied opens.
#[test]
fn break_glass_lifts_every_hold_of_the_default_pack_and_no_deny() {
    let pack = load_rules(&[], true).unwrap();
    let table = load_cases(Path::new(TABLE), &pack.policy).unwrap();
    let mut members = table.clone();
    for case in &mut members {
        let groups = case.case.caller.groups.get_or_insert_default();
        groups.push("gateward:break-glass".to_owned());
    }
    let others = cases::try_all(table, &pack).unwrap();
    let members = cases::try_all(members, &pack).unwrap();
    let mut lifted = 0;
    for (other, member) in others.iter().zip(&members) {
        let (was, is) = (&other.found, &member.found);
        let by_break_glass = is.verdict == Expected::Allow && is.rule == "break-glass";
        let fits = match was.verdict {
            Expected::Hold => by_break_glass,
            Expected::Allow => is.verdict == Expected::Allow,
            // Save what is no resource, and what the gate itself cannot judge.
            Expected::Default => match is.verdict {
                Expected::Default => !other.line.contains("/v1"),
                verdict => by_break_glass || verdict == Expected::Refused,
            },
            _ => (was.verdict, was.rule) == (is.verdict, is.rule),
        };
        assert!(fits, "{}: {was:?}, but for members {is:?}", other.line);
        lifted += usize::from(was.verdict == Expected::Hold);
    }
    assert!(lifted > 100, "{lifted} holds");
}
