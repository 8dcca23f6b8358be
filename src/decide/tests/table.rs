//! `tests/cases/default-pack.yaml` against the shipped guardrails.

use std::collections::HashSet;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    ask: String,
    #[serde(default)]
    body: Option<serde_json::Value>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    verdict: Verdict,
    #[serde(default)]
    rule: String,
}

#[test]
fn the_default_pack_answers_as_the_table_says() {
    let text = include_str!("../../../tests/cases/default-pack.yaml");
    let table: Table = serde_saphyr::from_str(text).unwrap();
    let pack = default_pack();
    assert!(table.cases.len() >= 80);
    let mut unseen: HashSet<&str> = pack.rules().map(|(_, rule)| rule).collect();
    let mut wrong = Vec::new();
    for case in &table.cases {
        let mut asked = match &case.body {
            Some(body) => Asked::with_body(&case.ask, &body.to_string()),
            None => Asked::new(&case.ask),
        };
        if let Some(agent) = &case.agent {
            let groups: Vec<&str> = case.groups.iter().map(String::as_str).collect();
            asked.caller = Caller::for_test(agent, None, &groups);
        }
        let judged = judge(&asked.caller, &asked.ask, &pack, Timestamp::UNIX_EPOCH);
        if (judged.verdict, judged.rule) != (case.verdict, &*case.rule) {
            wrong.push(format!(
                "{}: {:?} by {:?}",
                case.ask, judged.verdict, judged.rule
            ));
        }
        unseen.remove(judged.rule);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A net below others: its own case needs a fact that no built-in path has by itself.
    unseen.remove("other-exec-like");
    assert!(unseen.is_empty(), "rules without a case: {unseen:?}");
}

#[test]
fn whatever_runs_something_is_held_even_under_an_unknown_name() {
    let mut asked = Asked::new("GET /apis/example.com/v1/namespaces/a/machines/m/console");
    asked.facts.exec_like = true;
    let pack = default_pack();
    let judged = asked.judge(&pack);
    assert_eq!(
        (judged.verdict, judged.rule),
        (Verdict::Hold, "other-exec-like")
    );
}
