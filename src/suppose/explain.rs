//! A judgement in words, for people and for programs. Part of `suppose`.

mod lines;

pub use lines::facts;

use serde_json::{Map, Value, json};

use super::replay::{Replay, Unknown};
use super::{Found, Supposed};
use crate::config::Rules;
use crate::config::cases::Expected;
use crate::decide::policy::Effect;
use crate::decide::{Explanation, Part, Verdict, Without, operation};
use crate::parse::Ask;
use crate::record::asked::Grounds;

/// How many rules that came near are told.
const NEAREST: usize = 5;

/// A request, what would be said to it, and why.
#[derive(Debug)]
pub struct Explained<'r> {
    /// The request's line.
    line: String,
    /// Who asks, for whom, where.
    circumstances: String,
    found: Found<'r>,
    /// None if no rule was asked.
    judged: Option<Judged<'r>>,
    /// What else there is to know.
    notes: Vec<String>,
    /// What the rules of that time said, of a record.
    recorded: Option<Grounds>,
}

#[derive(Debug)]
struct Judged<'r> {
    operation: String,
    facts: Map<String, Value>,
    explanation: Explanation<'r>,
}

/// Explains a supposed request.
pub fn of<'r>(supposed: &Supposed, rules: &'r Rules) -> Explained<'r> {
    let ask = supposed.ask(rules);
    let mut explained = Explained {
        line: supposed.request.line(),
        circumstances: circumstances(supposed),
        found: supposed.judge(rules),
        judged: None,
        notes: Vec::new(),
        recorded: None,
    };
    if let Ok(ask) = ask {
        explained.notes = notes(&ask, supposed.object.is_some());
        explained.judged = Some(judged(supposed, &ask, rules));
    }
    explained
}

/// Explains a record: what these rules would say to it.
pub fn of_record<'r>(replay: &Replay<'_>, rules: &'r Rules) -> Explained<'r> {
    let supposed = replay.supposed();
    let untold = |unknown: Unknown| Found {
        verdict: Expected::Refused,
        policy: "",
        rule: "",
        why: unknown.sentence().to_owned(),
    };
    let found = replay.judge(rules);
    let mut notes = Vec::new();
    if let Err(unknown) = &found {
        notes.push(format!(
            "what these rules would say cannot be told: {}; what follows is only about what is \
             on record",
            unknown.sentence()
        ));
    }
    let judged = replay
        .ask(rules)
        .ok()
        .map(|ask| judged(supposed, &ask, rules));
    Explained {
        line: supposed.request.line(),
        circumstances: circumstances(supposed),
        found: found.unwrap_or_else(untold),
        judged,
        notes,
        recorded: replay.past().grounds.clone(),
    }
}

fn judged<'r>(supposed: &Supposed, ask: &Ask, rules: &'r Rules) -> Judged<'r> {
    Judged {
        operation: operation(ask.info()),
        facts: ask.facts().shown(),
        explanation: supposed.explain(ask, rules),
    }
}

/// What the gate does beside judging.
fn notes(ask: &Ask, foreseen: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if ask.rehearsal().is_some() && !foreseen {
        notes.push(
            "the gate judges this on what a dry run says would come of it; here only the \
             request itself is known (give --object and --old-object)"
                .to_owned(),
        );
    }
    if let Err(refusal) = ask.carried() {
        notes.push(format!("even if it is let through: {}", refusal.sentence()));
    }
    notes
}

fn circumstances(supposed: &Supposed) -> String {
    let who = &supposed.who;
    let principal = match &who.principal {
        Some(principal) => format!(" for {principal}"),
        None => String::new(),
    };
    let groups = match who.groups.as_slice() {
        [] => String::new(),
        groups => format!(" ({})", groups.join(", ")),
    };
    format!(
        "{}{principal}{groups} on {} at {}",
        who.agent, supposed.cluster, supposed.now
    )
}

impl Explained<'_> {
    /// For programs.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "request": self.line,
            "circumstances": self.circumstances,
            "verdict": self.found.verdict,
            "policy": self.found.policy,
            "rule": self.found.rule,
            "why": self.found.why,
            "notes": self.notes,
        });
        let Some(fields) = document.as_object_mut() else {
            return document;
        };
        if let Some(recorded) = &self.recorded {
            fields.insert("recorded".to_owned(), json!(recorded));
        }
        if let Some(judged) = &self.judged {
            let explanation = &judged.explanation;
            let matching: Vec<Value> = matching(explanation).map(part).collect();
            let nearest: Vec<Value> = nearest(explanation).into_iter().map(part).collect();
            fields.insert("operation".to_owned(), json!(judged.operation));
            fields.insert("facts".to_owned(), json!(judged.facts));
            fields.insert("matching".to_owned(), json!(matching));
            fields.insert("nearest".to_owned(), json!(nearest));
            fields.insert(
                "without".to_owned(),
                json!(explanation.without.as_ref().map(without)),
            );
            if let Some(hold) = explanation.judgement.hold {
                let terms = json!({
                    "quorum": hold.quorum,
                    "expiresAfter": hold.expires_after.to_string(),
                    "approverGroups": hold.approver_groups,
                });
                fields.insert("hold".to_owned(), terms);
            }
        }
        document
    }
}

/// Those that have a say.
fn matching<'e, 'r>(explanation: &'e Explanation<'r>) -> impl Iterator<Item = &'e Part<'r>> {
    explanation
        .rules
        .iter()
        .filter(|part| part.matches() || part.failed.is_some())
}

/// The rules that would change the answer if they matched, and that come nearest to it: allow
/// rules for what nobody allows; for what is allowed, those that would stop the very same
/// operation for another caller, in another place, or with another meaning.
fn nearest<'e, 'r>(explanation: &'e Explanation<'r>) -> Vec<&'e Part<'r>> {
    const OPERATION: [&str; 5] = [
        "verbs",
        "apiGroups",
        "resources",
        "subresources",
        "nonResourceURLs",
    ];
    let same = |part: &&Part<'_>| {
        let another = |field: &str| OPERATION.contains(&field);
        !part.misses.iter().any(|miss| another(&miss.field))
    };
    let near = explanation
        .rules
        .iter()
        .filter(|part| !part.misses.is_empty());
    let mut near: Vec<&Part<'_>> = match explanation.judgement.verdict {
        Verdict::DefaultDeny => near.filter(|part| part.effect == Effect::Allow).collect(),
        Verdict::Allow => near
            .filter(|part| part.effect != Effect::Allow)
            .filter(same)
            .collect(),
        Verdict::Hold | Verdict::Deny | Verdict::Failed => Vec::new(),
    };
    near.sort_by_key(|part| part.misses.len());
    near.truncate(NEAREST);
    near
}

fn part(part: &Part<'_>) -> Value {
    let selects: Map<String, Value> = part
        .selects
        .iter()
        .map(|(field, wanted)| (field.clone(), json!(wanted)))
        .collect();
    let misses: Vec<Value> = part
        .misses
        .iter()
        .map(|miss| json!({"field": miss.field, "wanted": miss.wanted, "found": miss.found}))
        .collect();
    json!({
        "policy": part.policy,
        "rule": part.rule,
        "effect": effect(part.effect),
        "reason": part.reason,
        "selects": selects,
        "misses": misses,
        "failed": part.failed,
    })
}

fn without(without: &Without<'_>) -> Value {
    let rules: Vec<Value> = without
        .rules
        .iter()
        .map(|(policy, rule)| json!({"policy": policy, "rule": rule}))
        .collect();
    json!({
        "rules": rules,
        "verdict": without.verdict,
        "policy": without.policy,
        "rule": without.rule,
    })
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::Hold => "hold",
        Effect::Deny => "deny",
    }
}
