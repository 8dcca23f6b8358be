//! Rules about the form: sizes, openings, names, and what must not be left lying about.

use super::source::{Function, Source, is_word, words};

const FUNCTION: usize = 70;
const FILE: usize = 400;

/// What the room is, what it never does, where it sits in the walk.
pub fn openings(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//! ");
    let finding = || {
        source.at(
            0,
            "opens without `//!`: say what this is and what it never does",
        )
    };
    let bad = source.is_rust() && !opens;
    bad.then(finding).into_iter().collect()
}

/// Files stay readable. Tests may be long: they are read one at a time.
pub fn files(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count() - source.test_lines;
    let bad = source.is_rust() && !source.is_test() && lines > FILE;
    let finding = || {
        let what = format!(
            "{lines} lines without its tests, {FILE} may be: move a part with a name of its own \
             to a file below this one"
        );
        source.at(0, what)
    };
    bad.then(finding).into_iter().collect()
}

/// A function fits on a screen. A test may be a table of cases, as long as its cases.
pub fn functions(source: &Source) -> Vec<String> {
    if !source.is_rust() || source.is_test() {
        return Vec::new();
    }
    let functions = source.functions();
    let long = functions
        .iter()
        .filter(|function| function.lines > FUNCTION);
    let finding = |function: &Function<'_>| {
        let what = format!(
            "`{}` has {} lines, {FUNCTION} may be: give a part of it a name",
            function.name, function.lines
        );
        source.at(function.span.start, what)
    };
    long.map(finding).collect()
}

/// Tests come last: behind the module of tests there is nothing.
pub fn order(source: &Source) -> Vec<String> {
    let tests = words(&source.text, "mod tests").next();
    let Some(at) =
        tests.filter(|at| source.is_shipped() && source.text[at + 9..].starts_with(" {"))
    else {
        return Vec::new();
    };
    let behind = source.code[at..].find(|c: char| !c.is_whitespace());
    let finding = |behind| source.at(at + behind, "code behind the tests: tests come last");
    behind.map(finding).into_iter().collect()
}

/// Lints are lifted one place at a time, with a reason, and not longer than needed: an
/// `expect` that is not needed any more is a warning, an `allow` is not.
pub fn lints(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for opening in ["#[allow(", "#![allow("] {
        for (at, _) in source
            .code
            .match_indices(opening)
            .filter(|_| source.is_shipped())
        {
            findings.push(source.at(at, "`allow` outside of tests: write `#[expect(…, reason)]`"));
        }
    }
    for opening in ["#[expect(", "#![expect("] {
        for (at, _) in source
            .code
            .match_indices(opening)
            .filter(|_| source.is_rust())
        {
            let end = source.code[at..]
                .find(']')
                .map_or(source.code.len(), |end| at + end);
            if words(&source.code[at..end], "reason").next().is_none() {
                findings.push(source.at(at, "`expect` without a reason: say why it is right here"));
            }
        }
    }
    findings
}

/// What is not done is an issue, not a comment. (Spelled in halves, to be no finding itself.)
const LEFT: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

pub fn leftovers(source: &Source) -> Vec<String> {
    let found = LEFT.iter().flat_map(|word| words(&source.text, word));
    let finding = |at| source.at(at, "a note to oneself: do it now, or file an issue");
    found.map(finding).collect()
}

/// Folders of the machine on which something was written.
const MACHINE: [&str; 3] = [
    concat!("/ro", "ot"),
    concat!("/wo", "rk"),
    concat!("/ho", "me"),
];

pub fn machine_paths(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for folder in MACHINE {
        for (at, _) in source.text.match_indices(folder) {
            let before = source.text[..at].chars().next_back();
            let after = source.text[at + folder.len()..].chars().next();
            let begins = !before.is_some_and(|c| is_word(c) || "./-}*".contains(c));
            if begins && !after.is_some_and(|c| is_word(c) || c == '-') {
                let what = format!("`{folder}` is a path of one machine: name it by what it is");
                findings.push(source.at(at, what));
            }
        }
    }
    findings
}

/// Names that say nothing of what is inside.
const EMPTY: [&str; 9] = [
    "util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "shared",
];

pub fn names(source: &Source) -> Vec<String> {
    let parts = source.path.split(['/', '.']);
    let empty = parts.filter(|part| source.is_rust() && EMPTY.contains(part));
    let finding = |name| {
        source.at(
            0,
            format!("`{name}` names nothing: call it by what it is about"),
        )
    };
    empty.map(finding).collect()
}

/// `docs/decisions` holds one page per decision: `NNNN-title.md`.
pub fn decisions(source: &Source) -> Vec<String> {
    let Some(name) = source.path.strip_prefix("docs/decisions/") else {
        return Vec::new();
    };
    let good = name
        .strip_suffix(".md")
        .and_then(|name| name.split_once('-'));
    let good = good.is_some_and(|(number, title)| {
        number.len() == 4
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !title.is_empty()
            && title
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    });
    let finding = || {
        source.at(
            0,
            "a decision's page is named NNNN-title.md, in small letters",
        )
    };
    (!good).then(finding).into_iter().collect()
}

/// A bench measures a room and has its name.
pub fn benches(source: &Source, rooms: &[&str]) -> Vec<String> {
    let Some(name) = source.path.strip_prefix("benches/") else {
        return Vec::new();
    };
    let name = name.split(['/', '.']).next().unwrap_or(name);
    let bad = source.is_rust() && !rooms.contains(&name);
    let finding = || {
        source.at(
            0,
            format!("there is no room `{name}`: name a bench by its room"),
        )
    };
    bad.then(finding).into_iter().collect()
}

/// `threat_NN_what_it_says`, with a number of the table.
pub fn attacks(source: &Source, numbers: &[u8]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut at = 0;
    for line in source.text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let function = line.trim_start().trim_start_matches("async ");
        let Some(name) = function.strip_prefix("fn ").filter(|_| source.is_rust()) else {
            continue;
        };
        let name = &name[..name.find(|c: char| !is_word(c)).unwrap_or(name.len())];
        if !name.starts_with("threat") {
            continue;
        }
        match number(name) {
            None => {
                let what = format!("`{name}`: a test of an attack is named threat_NN_what_it_says");
                findings.push(source.at(start, what));
            }
            Some(number) if !numbers.contains(&number) => {
                let what = format!(
                    "attack {number} is not in the table of tests/it/threats.rs: add it there"
                );
                findings.push(source.at(start, what));
            }
            Some(_) => {}
        }
    }
    findings
}

/// The number of a well-formed name.
pub fn number(name: &str) -> Option<u8> {
    let (digits, says) = name.strip_prefix("threat_")?.split_once('_')?;
    let says_something = says.starts_with(|c: char| c.is_ascii_lowercase()) && says.len() > 3;
    let two_digits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    (says_something && two_digits).then(|| digits.parse().ok())?
}

/// The numbers of the table at the head of `tests/it/threats.rs`: its rows open with one.
pub fn table(threats: &str) -> Vec<u8> {
    let rows = threats
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "));
    rows.filter_map(|row| row.split(' ').next()?.parse().ok())
        .collect()
}
