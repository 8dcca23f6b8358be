//! Rules about the walls: who may know whom, what a pure room may not touch, where SQL
//! lives, and where the proofs are made.

use super::source::{Source, end_of_item, is_word, words};

/// The rooms from the ground up, and the rooms that each may import from: none that stands
/// below it in this table, so there is no circle. A step of the walk knows earlier steps
/// and `refusal`; `journey` tells the walk and so knows every step.
pub const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("refusal", &[]),
    ("metrics", &[]),
    ("store", &["refusal"]),
    // The language of conditions: it knows neither requests nor callers.
    ("cel", &[]),
    // The steps.
    ("accept", &["refusal"]),
    ("identify", &["accept", "cel", "refusal"]),
    ("parse", &["accept", "identify", "refusal"]),
    ("decide", &["identify", "parse", "cel", "refusal"]),
    // What waits must outlive a restart: the one step that keeps rows.
    (
        "approve",
        &["identify", "parse", "decide", "store", "refusal"],
    ),
    // A record is opened at ① and holds what each step says of the request.
    ("record", &["identify", "parse", "refusal"]),
    (
        "forward",
        &["identify", "parse", "decide", "record", "refusal"],
    ),
    // What is hidden from whom, the policy says.
    ("mask", &["identify", "parse", "decide", "refusal"]),
    // Asks the cluster what a write would come to, each question on record; masks that come
    // back are put back before that.
    (
        "foresee",
        &[
            "identify", "parse", "decide", "record", "forward", "mask", "refusal",
        ],
    ),
    // The last step: it writes what is masked, and seals the record with the last byte.
    ("answer", &["forward", "mask", "record", "refusal"]),
    (
        "journey",
        &[
            "accept", "identify", "parse", "decide", "approve", "record", "forward", "foresee",
            "mask", "answer", "metrics", "refusal",
        ],
    ),
    // Beside the walk.
    ("review", &["store"]),
    // Masks name detectors.
    ("config", &["identify", "parse", "decide", "mask"]),
    // Judges what nobody has sent, away from any gate.
    (
        "suppose",
        &["parse", "decide", "record", "mask", "config", "refusal"],
    ),
    // What people read, on a terminal or through the humans' door.
    ("output", &[]),
    // The humans' door takes an Arrival as the agents' does, speaks of holds and records, and
    // asks the gate that serves agents.
    (
        "console",
        &[
            "accept", "identify", "approve", "record", "journey", "review", "store", "output",
            "refusal",
        ],
    ),
    // Builds every room that has something to build.
    (
        "app",
        &[
            "accept", "identify", "decide", "approve", "forward", "record", "mask", "journey",
            "metrics", "store", "config", "console",
        ],
    ),
    ("demo", &["mask", "config", "app", "output"]),
    (
        "cli",
        &[
            "record", "mask", "config", "suppose", "app", "demo", "output",
        ],
    ),
    ("main", &["cli"]),
];

/// Every import of another room must be in [`MAY_IMPORT`]. Tests may bring in what they need.
pub fn imports(source: &Source) -> Vec<String> {
    let Some(room) = source
        .room()
        .filter(|room| *room != "lib" && source.is_shipped())
    else {
        return Vec::new();
    };
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
        let what = format!("the room `{room}` is new: give it its place in the table MAY_IMPORT");
        let is_door = source.path == format!("src/{room}.rs");
        return is_door.then(|| source.at(0, what)).into_iter().collect();
    };
    let strangers = imported(source)
        .into_iter()
        .filter(|(_, other)| other != room && !allowed.contains(&other.as_str()));
    let finding = |(at, other): (usize, String)| {
        source.at(
            at,
            format!(
                "`{room}` imports `{other}`: hand it in as an argument, or move what is shared \
                 to the earlier of the two; a new door is a decision, to be told in MAY_IMPORT"
            ),
        )
    };
    strangers.map(finding).collect()
}

/// No room of [`MAY_IMPORT`] imports one that stands below it.
pub fn circles(table: &[(&str, &[&str])]) -> Vec<String> {
    let place = |room: &str| table.iter().position(|(name, _)| *name == room);
    let mut findings = Vec::new();
    for (room, allowed) in table {
        for other in *allowed {
            if place(other) >= place(room) {
                findings.push(format!(
                    "MAY_IMPORT: `{room}` stands above `{other}`, which it imports: break the circle"
                ));
            }
            if place(other).is_none() {
                findings.push(format!(
                    "MAY_IMPORT: there is no room `{other}`: take it out"
                ));
            }
        }
    }
    findings
}

/// The rooms behind each `crate::` (`crate::{a, b::c}` too), and where; and those behind as
/// many `super::` as lead out of the room.
fn imported(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let out = "super::".repeat(source.path.split('/').count() - 1);
    let mut rooms = Vec::new();
    for prefix in ["crate::", "gateward::", &out] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            if code[..at].ends_with(is_word) || rest.starts_with("super::") {
                continue;
            }
            let found = match rest.strip_prefix('{') {
                Some(group) => heads(group),
                None => vec![head(rest)],
            };
            rooms.extend(found.into_iter().map(|name| (at, name.to_owned())));
        }
    }
    rooms
}

fn head(path: &str) -> &str {
    &path[..path.find(|c| !is_word(c)).unwrap_or(path.len())]
}

/// The first words of the parts of a group, without those of inner groups.
fn heads(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(head(group[from..at].trim_start()));
                from = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// What gives the same answer to the same question can be tested by tables and searched by
/// properties; so these rooms have no clock, no disk, no network, no chance, no runtime.
/// (What they import may: they take the types of other rooms, which tell what was found.)
const PURE: [&str; 4] = ["parse", "decide", "mask", "cel"];

const IMPURE: [&str; 15] = [
    "tokio",
    "hyper",
    "rusqlite",
    "reqwest",
    "fs",
    "net",
    "env",
    "process",
    "thread",
    "SystemTime",
    "Instant",
    "now",
    "rand",
    "async",
    "Mutex",
];

pub fn purity(source: &Source) -> Vec<String> {
    if !source.is_shipped() || !source.room().is_some_and(|room| PURE.contains(&room)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for word in IMPURE {
        for at in words(&source.code, word).filter(|at| is_impure(&source.code, *at, word)) {
            findings.push(source.at(
                at,
                format!("`{word}` in a pure room: let `journey` do it and hand in what it found"),
            ));
        }
    }
    findings
}

/// `now` is a fine argument, and `net` a fine name: a module's name counts in a path.
fn is_impure(code: &str, at: usize, word: &str) -> bool {
    let (before, after) = (&code[..at], &code[at + word.len()..]);
    let line = before.rsplit('\n').next().unwrap_or_default();
    match word {
        "now" => before.ends_with("::"),
        // An address is a value.
        "net" if after.trim_start_matches([':', '{']).starts_with("Ip") => false,
        "fs" | "net" | "env" | "process" | "thread" => {
            let in_path = before.ends_with("::") || after.starts_with("::");
            in_path || after.starts_with('!') || line.trim_start().starts_with("use ")
        }
        _ => true,
    }
}

/// The beginnings of the statements that any SQL must open with.
const SQL: [&str; 10] = [
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE ",
    "ALTER TABLE ",
    "PRAGMA ",
];

/// `store` is the only room that knows SQL.
pub fn sql(source: &Source) -> Vec<String> {
    if !source.is_shipped() || source.room() == Some("store") {
        return Vec::new();
    }
    let statements = SQL
        .iter()
        .flat_map(|word| source.quoted.match_indices(word));
    let quoted = statements.map(|(at, _)| at);
    quoted
        .chain(words(&source.code, "rusqlite"))
        .map(|at| source.at(at, "SQL outside of `store`: give `store` a function for it"))
        .collect()
}

/// A type that proves something.
pub struct Proof {
    pub name: &'static str,
    pub path: &'static str,
    /// The functions that make one.
    pub makers: &'static [&'static str],
    /// Whether one may become two.
    pub copies: bool,
}

const fn proof(
    name: &'static str,
    path: &'static str,
    makers: &'static [&'static str],
    copies: bool,
) -> Proof {
    Proof {
        name,
        path,
        makers,
        copies,
    }
}

/// Where each proof comes from. The fields are private, so the compiler holds that no other
/// room makes one; this table holds where in its room it is made.
pub const PROOFS: &[Proof] = &[
    proof("Arrival", "src/accept.rs", &["carry"], false),
    proof("Caller", "src/identify.rs", &["caller"], true),
    proof("Ask", "src/parse.rs", &["head"], true),
    proof("Hold", "src/decide.rs", &["decide"], false),
    proof("Approval", "src/approve.rs", &["spend"], false),
    // `to_ask` lets reads and dry runs out, which the ask itself makes of a write.
    proof(
        "Permit",
        "src/decide.rs",
        &["decide", "granted", "to_ask"],
        false,
    ),
    proof("Written", "src/record/request.rs", &["intent"], false),
    proof("Durable", "src/record/request.rs", &["durable"], false),
    // Masked by `feed` and `finish`; the gate's own words; two that were masked, joined.
    proof(
        "Masked",
        "src/mask.rs",
        &["feed", "finish", "of_gate", "followed_by"],
        true,
    ),
];

pub fn proofs(source: &Source) -> Vec<String> {
    let here = PROOFS.iter().filter(|proof| proof.path == source.path);
    here.flat_map(|proof| judge(source, proof)).collect()
}

pub fn judge(source: &Source, proof: &Proof) -> Vec<String> {
    let Proof { name, makers, .. } = proof;
    let code = &source.code;
    let Some(start) = definition(code, name) else {
        return vec![source.at(
            0,
            format!("`{name}` is not here any more: mend the table PROOFS"),
        )];
    };
    let mut findings = Vec::new();
    let end = end_of_item(code, start);
    if let Some(at) = words(&code[start..end], "pub").nth(1) {
        let what =
            format!("a field of `{name}` is public, so anyone can make one: make it private");
        findings.push(source.at(start + at, what));
    }
    let attributes = code[..start].rfind("\n\n").unwrap_or(0);
    for (word, forbidden) in [("Deserialize", true), ("Clone", !proof.copies)] {
        if forbidden && let Some(at) = words(&code[attributes..start], word).next() {
            let what = format!("`{name}` derives `{word}`, a second way to make one: take it out");
            findings.push(source.at(attributes + at, what));
        }
    }
    let functions = source.functions();
    let mut seen = Vec::new();
    for at in made(code, name) {
        let maker = functions
            .iter()
            .rfind(|function| function.span.contains(&at));
        let maker = maker.map_or("", |function| function.name);
        seen.push(maker);
        if !makers.contains(&maker) {
            let what = format!(
                "`{maker}` makes a `{name}`: let one of {makers:?} make it, or tell in the table \
                 PROOFS why this is a proof too"
            );
            findings.push(source.at(at, what));
        }
    }
    let idle = makers.iter().filter(|maker| !seen.contains(maker));
    findings.extend(idle.map(|maker| {
        let what = format!("`{maker}` makes no `{name}` any more: mend the table PROOFS");
        source.at(start, what)
    }));
    findings
}

fn definition(code: &str, name: &str) -> Option<usize> {
    let place = words(code, name).find(|at| code[..*at].ends_with("pub struct "))?;
    Some(place - "pub struct ".len())
}

/// Where a value of the type is written out: `Name {`, `Name(` or `map(Name)`, and `Self` for
/// it within its impl.
fn made(code: &str, name: &str) -> Vec<usize> {
    let written = |at: usize, word: &str| {
        let (before, after) = (code[..at].trim_end(), code[at + word.len()..].trim_start());
        let other = ["struct", "impl", "for", "->", "let", "::", "&", ">"];
        let is_value =
            after.starts_with(['{', '(']) && !other.iter().any(|end| before.ends_with(end));
        is_value || (before.ends_with("map(") && after.starts_with(')'))
    };
    let spans = |item| words(code, item).map(|start| start..end_of_item(code, start));
    let in_enum = |at: &usize| spans("enum").any(|span| span.contains(at));
    let mut places: Vec<usize> = words(code, name)
        .filter(|at| written(*at, name) && !in_enum(at))
        .collect();
    for span in spans("impl") {
        let head = code[span.clone()].split('{').next().unwrap_or_default();
        let subject = head.rsplit(" for ").next().unwrap_or(head);
        if words(subject, name).next().is_some() {
            let own = words(&code[span.clone()], "Self").map(|at| span.start + at);
            places.extend(own.filter(|at| written(*at, "Self")));
        }
    }
    places
}

/// What may be called in one file only, and why.
pub const DOORS: &[(&str, &str, &str)] = &[
    (
        ".granted(",
        "src/approve.rs",
        "a hold becomes a permit by a spent approval alone",
    ),
    (
        ".spend(",
        "src/journey.rs",
        "an approval is spent in the walk, after it is decided again",
    ),
    (
        "Masked::of_gate(",
        "src/answer.rs",
        "what the gate says itself is told by one function",
    ),
    (
        ".into_inner(",
        "src/forward.rs",
        "a written permit is spent by sending it",
    ),
];

pub fn doors(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (call, path, why) in DOORS {
        if source.is_shipped() && source.path != *path {
            for (at, _) in source.code.match_indices(call) {
                findings.push(source.at(at, format!("`{call}…` belongs in {path}: {why}")));
            }
        }
    }
    findings
}
