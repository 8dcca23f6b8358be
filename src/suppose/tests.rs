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
use crate::config::cases::load_cases;
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
    // A net below others: its own case needs a fact that no built-in path has by itself.
    let untried = cases::untried(&tried, &pack);
    assert_eq!(untried, [("default", "other-exec-like")]);
}
