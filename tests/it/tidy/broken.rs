//! What each rule must find, and what it must leave alone: a rule that finds nothing in bad
//! code holds nothing.

use super::source::Source;
use super::walls::{MAY_IMPORT, Proof};
use super::{form, walls};

type Rule = fn(&Source) -> Vec<String>;

/// A rule, a file that breaks it, and the place and the words of its finding.
#[rustfmt::skip]
const BROKEN: &[(Rule, &str, &str, &str)] = &[
    (form::openings, "src/a.rs", "use b;", "src/a.rs:1: opens without"),
    (form::openings, "tests/it/a.rs", "/// A.\nfn a() {}", "opens without"),
    (form::order, "src/a.rs", "#[cfg(test)]\nmod tests {\n}\n\nfn late() {}\n", "src/a.rs:5: code behind"),
    (form::lints, "src/a.rs", "fn a() {}\n#[allow(dead_code, reason = \"b\")]\nfn b() {}", "src/a.rs:2: `allow`"),
    (form::lints, "src/a.rs", "#![allow(dead_code)]", "`allow` outside"),
    (form::lints, "src/a.rs", "#[expect(\n    dead_code\n)]\nfn b() {}", "without a reason"),
    (form::leftovers, "docs/a.md", concat!("Well.\nTO", "DO: more"), "docs/a.md:2: a note"),
    (form::leftovers, "src/a.rs", concat!("// XX", "X"), "a note"),
    (form::machine_paths, "a.yaml", concat!("a: \"/wo", "rk/a\""), "a.yaml:1: `/wo"),
    (form::machine_paths, "a.md", concat!("in /ro", "ot"), "one machine"),
    (form::names, "src/parse/util.rs", "", "`util` names nothing"),
    (form::names, "src/helpers/a.rs", "", "`helpers` names nothing"),
    (form::decisions, "docs/decisions/1-a.md", "", "NNNN-title"),
    (form::decisions, "docs/decisions/0001.md", "", "NNNN-title"),
    (form::decisions, "docs/decisions/0001-A b.md", "", "NNNN-title"),
    (benches, "benches/speed.rs", "", "no room `speed`"),
    (attacks, "src/a.rs", "\nfn threat_7_is_short() {}", "src/a.rs:2: `threat_7_is_short`"),
    (attacks, "src/a.rs", "fn threat_07() {}", "`threat_07`"),
    (attacks, "src/a.rs", "fn threats_07_are_many() {}", "named threat_NN"),
    (attacks, "tests/it/a.rs", "async fn threat_30_is_new() {}", "attack 30 is not"),
    (walls::imports, "src/parse/a.rs", "\nuse crate::decide::Permit;", "src/parse/a.rs:2: `parse` imports `decide`"),
    (walls::imports, "src/mask.rs", "fn a() { crate::store::open() }", "imports `store`"),
    (walls::imports, "src/decide.rs", "use crate::{parse::Ask, record::{Record, store}};", "`decide` imports `record`"),
    (walls::imports, "src/parse/query/a.rs", "use super::super::super::forward::Upstream;", "imports `forward`"),
    (walls::imports, "src/parse.rs", "use super::{decide, refusal};", "imports `decide`"),
    (walls::imports, "src/store.rs", "use super::journey;", "imports `journey`"),
    (walls::imports, "src/lobby.rs", "", "`lobby` is new"),
    (walls::purity, "src/parse.rs", "use std::fs;", "`fs` in a pure room"),
    (walls::purity, "src/parse/a.rs", "use std::{fs, io};", "`fs` in a pure room"),
    (walls::purity, "src/decide/a.rs", "fn a() { Timestamp::now() }", "`now` in a pure room"),
    (walls::purity, "src/mask/a.rs", "\nasync fn a() {}", "src/mask/a.rs:2: `async`"),
    (walls::purity, "src/mask/a.rs", "fn a() { env!(\"A\") }", "`env` in a pure room"),
    (walls::purity, "src/decide.rs", "use tokio::sync::watch;", "`tokio` in a pure room"),
    (walls::sql, "src/approve.rs", "\nfn a() { b(\"DELETE FROM holds\") }", "src/approve.rs:2: SQL outside"),
    (walls::sql, "src/app.rs", "fn a() { b(r#\"SELECT \"a\" FROM b\"#) }", "SQL outside"),
    (walls::sql, "src/app.rs", "use rusqlite::Connection;", "SQL outside"),
    (proof, "src/a.rs", "pub struct P {\n    pub a: u8,\n}\nfn make() { P { a: 1 } }", "src/a.rs:2: a field of `P`"),
    (proof, "src/a.rs", "#[derive(Clone)]\npub struct P(u8);\nfn make() { P(1) }", "derives `Clone`"),
    (proof, "src/a.rs", "pub struct P(u8);\nfn make() { P(1) }\nfn also() -> P {\n    P(2)\n}", "src/a.rs:4: `also` makes"),
    (proof, "src/a.rs", "pub struct P(u8);\nfn make() { P(1) }\nimpl P { fn new() -> Self { Self(1) } }", "`new` makes"),
    (proof, "src/a.rs", "pub struct P(u8);\nfn make() { P(1) }\nfn also() { a.map(P) }", "`also` makes"),
    (proof, "src/a.rs", "pub struct P(u8);\nfn make() { None }", "`make` makes no"),
    (proof, "src/a.rs", "pub struct Q(u8);", "is not here any more"),
    (walls::doors, "src/console.rs", "fn a() {\n    hold.granted(b)\n}", "src/console.rs:2: `.granted(…`"),
];

/// A rule, and a file that it must leave alone.
#[rustfmt::skip]
const KEPT: &[(Rule, &str, &str)] = &[
    (form::openings, "src/a.rs", "//! A room.\n"),
    (form::openings, "a.md", "# A\n"),
    (form::order, "src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n"),
    (form::lints, "src/a.rs", "#[expect(dead_code, reason = \"b\")]\nfn b() {}"),
    (form::lints, "src/a.rs", "#[cfg(test)]\n#[allow(dead_code)]\nmod tests {\n}"),
    (form::lints, "tests/it/a.rs", "#![allow(dead_code, reason = \"a test\")]"),
    (form::machine_paths, "a.md", concat!("src/wo", "rk.rs, https://a/wo", "rk, /wo", "rkspace")),
    (form::names, "src/utility.rs", ""),
    (form::decisions, "docs/decisions/0012-one-binary.md", ""),
    (benches, "benches/journey.rs", ""),
    (attacks, "src/a.rs", "fn threat_07_a_get_is_a_create() {}"),
    (walls::imports, "src/decide.rs", "use crate::parse::Ask;\nuse crate::{identify::Caller, refusal};"),
    (walls::imports, "src/decide/a.rs", "use super::policy::Policy; // crate::store is far"),
    (walls::imports, "src/decide/a/b.rs", "use super::super::store;"),
    (walls::imports, "src/decide.rs", "#[cfg(test)]\nmod tests {\n    use crate::demo::Signer;\n}"),
    (walls::purity, "src/decide.rs", "fn a(now: Timestamp) -> &'static str { \"tokio\" } // fs::read"),
    (walls::purity, "src/app.rs", "use std::fs;"),
    (walls::sql, "src/store.rs", "fn a() { b(\"SELECT a FROM b\") }"),
    (walls::sql, "src/parse.rs", "const SELECT: &str = \"a DELETE of many\";"),
    (proof, "src/a.rs", "pub struct P(u8);\nenum Q { P(P) }\nfn make() { P(1) }\nfn a() { let P(b) = c; Q::P(b) }"),
    (walls::doors, "src/approve.rs", "fn a() { hold.granted(b) }"),
];

fn benches(source: &Source) -> Vec<String> {
    form::benches(source, &["journey", "mask"])
}

fn attacks(source: &Source) -> Vec<String> {
    let table = "//! | # | attack |\n//! |---|---|\n//! | 1 | a header |\n//! | 7 | a stream |\n";
    assert_eq!(form::table(table), [1, 7]);
    form::attacks(source, &form::table(table))
}

fn proof(source: &Source) -> Vec<String> {
    let proof = Proof {
        name: "P",
        path: "src/a.rs",
        makers: &["make"],
        copies: false,
    };
    walls::judge(source, &proof)
}

#[test]
fn every_rule_finds_what_breaks_it() {
    for (rule, path, text, finding) in BROKEN {
        let findings = rule(&Source::new(path, text));
        let found = findings.len() == 1 && findings[0].contains(finding);
        assert!(found, "{path} with {text:?}: {findings:?}, not {finding:?}");
    }
}

#[test]
fn no_rule_finds_what_is_right() {
    for (rule, path, text) in KEPT {
        let findings = rule(&Source::new(path, text));
        assert!(findings.is_empty(), "{path} with {text:?}: {findings:?}");
    }
}

#[test]
fn lines_are_counted_without_tests() {
    let long = |lines: usize| format!("fn a() {{\n{}}}\n", "    b();\n".repeat(lines - 2));
    let count = |rule: Rule, text: &str| rule(&Source::new("src/a.rs", text)).len();
    assert_eq!(count(form::functions, &long(70)), 0);
    assert_eq!(count(form::functions, &long(71)), 1);
    assert_eq!(count(form::files, &long(400)), 0);
    assert_eq!(count(form::files, &long(401)), 1);
    let tested = |lines| {
        format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            long(lines),
            long(500)
        )
    };
    assert_eq!(count(form::files, &tested(400)), 0);
    assert_eq!(count(form::files, &tested(401)), 1);
    assert_eq!(count(form::functions, &tested(70)), 0);
}

#[test]
fn a_circle_of_rooms_is_found() {
    assert!(walls::circles(MAY_IMPORT).is_empty());
    let circle: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["a"])];
    assert_eq!(walls::circles(circle).len(), 1);
    assert_eq!(walls::circles(&[("a", &["a"])]).len(), 1);
    assert_eq!(walls::circles(&[("a", &["gone"])]).len(), 1);
}

#[test]
fn code_is_told_from_comments_and_quotes() {
    let text = r##"a("b\"c", 'd', '\'', r#"e"f"#) /* g */ + 'h: 'i' // j"##;
    let source = Source::new("src/a.rs", text);
    let letters = |text: &str| text.replace(|c: char| !c.is_ascii_lowercase(), "");
    assert_eq!(letters(&source.code), "ah");
    assert_eq!(letters(&source.quoted), "bcdrefi");
    assert_eq!(source.code.len(), text.len());
}
