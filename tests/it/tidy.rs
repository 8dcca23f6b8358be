//! The rules of the house, as far as a machine can hold them.
//!
//! Each rule is a function from one file to its findings, and each finding says where, what,
//! and what to do. `tidy/broken.rs` shows to each rule what it must find, and what
//! it must leave alone.
//! `unsafe`, `unwrap` and public items without a text are held by the lints in `Cargo.toml`.

mod broken;
mod form;
mod source;
mod walls;

use std::sync::LazyLock;

use source::Source;

static HOUSE: LazyLock<Vec<Source>> = LazyLock::new(source::repository);

fn hold(rule: impl Fn(&Source) -> Vec<String>) {
    let findings: Vec<String> = HOUSE.iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is() {
    hold(form::openings);
}

#[test]
fn files_stay_readable() {
    hold(form::files);
}

#[test]
fn functions_fit_on_a_screen() {
    hold(form::functions);
}

#[test]
fn tests_come_last() {
    hold(form::order);
}

#[test]
fn lints_are_lifted_with_a_reason() {
    hold(form::lints);
}

#[test]
fn nothing_is_left_lying_about() {
    hold(form::leftovers);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    hold(form::machine_paths);
}

#[test]
fn names_say_what_is_inside() {
    hold(form::names);
}

#[test]
fn decisions_are_numbered() {
    hold(form::decisions);
}

#[test]
fn a_bench_has_the_name_of_a_room() {
    let rooms: Vec<&str> = HOUSE.iter().filter_map(Source::room).collect();
    hold(|source| form::benches(source, &rooms));
}

#[test]
fn tests_of_attacks_are_numbered_by_the_table() {
    let index = HOUSE
        .iter()
        .find(|source| source.path == "tests/it/threats.rs");
    let numbers = form::table(&index.expect("the table is there").text);
    assert!(numbers.len() > 20, "the table was not read: {numbers:?}");
    hold(|source| form::attacks(source, &numbers));
}

#[test]
fn a_room_imports_only_what_it_may_know() {
    hold(walls::imports);
    let findings = walls::circles(walls::MAY_IMPORT);
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
    for (room, _) in walls::MAY_IMPORT {
        let there = HOUSE
            .iter()
            .any(|source| source.path == format!("src/{room}.rs"));
        assert!(
            there,
            "there is no room `{room}`: take it out of the table MAY_IMPORT"
        );
    }
}

#[test]
fn parse_decide_and_mask_are_pure() {
    hold(walls::purity);
}

#[test]
fn only_store_knows_sql() {
    hold(walls::sql);
}

#[test]
fn each_proof_is_made_in_one_place() {
    hold(walls::proofs);
    for proof in walls::PROOFS {
        let there = HOUSE.iter().any(|source| source.path == proof.path);
        assert!(there, "{} is gone: mend the table PROOFS", proof.path);
    }
}

#[test]
fn doors_are_opened_in_one_place() {
    hold(walls::doors);
    for (call, path, _) in walls::DOORS {
        let there = HOUSE
            .iter()
            .any(|source| source.path == *path && source.code.contains(call));
        assert!(
            there,
            "{path} calls no `{call}…` any more: mend the table DOORS"
        );
    }
}
