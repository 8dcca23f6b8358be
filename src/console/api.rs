//! The handlers of the JSON API.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Console, No, Shown, voter};
use crate::approve::{Answer, HoldView};
use crate::identify::Person;
use crate::record::entry::{HoldEvent, HoldStep};
use crate::refusal::Refusal;
use crate::review::{self, Finding};
use crate::store::{HoldFilter, HoldStatus, RecordQuery, RecordRow, SessionQuery, SessionRow};

type Answered = Result<Shown, No>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Holds {
    state: Option<String>,
}

pub(super) async fn holds(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    query: Result<Query<Holds>, QueryRejection>,
) -> Answered {
    let Query(query) = query.map_err(unreadable)?;
    let state = match query.state.as_deref() {
        None | Some("all") => None,
        Some(word) => Some(state(word)?),
    };
    let filter = HoldFilter {
        state,
        ..HoldFilter::default()
    };
    let items: Vec<Value> = console
        .gate
        .holds
        .list(filter)
        .await?
        .iter()
        .filter(|hold| may_see(&console, &person, hold))
        .map(hold_document)
        .collect();
    Ok(Shown(json!({"items": items})))
}

pub(super) async fn hold(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    id: Result<Path<String>, PathRejection>,
) -> Answered {
    let Path(id) = id.map_err(unreadable)?;
    let hold = console.gate.holds.get(&id).await?;
    if !may_see(&console, &person, &hold) {
        return Err(not_an_approver(&person, &hold));
    }
    Ok(Shown(hold_document(&hold)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vote {
    answer: Answer,
    #[serde(default)]
    comment: String,
}

pub(super) async fn vote(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    id: Result<Path<String>, PathRejection>,
    vote: Result<Json<Vote>, JsonRejection>,
) -> Answered {
    let Path(id) = id.map_err(unreadable)?;
    let Json(vote) = vote.map_err(|rejection| {
        unreadable(format!(
            "{rejection}; send {{\"answer\": \"approve\"}} or {{\"answer\": \"deny\", \"comment\": \"…\"}} as \
             application/json"
        ))
    })?;
    // A vote that cannot be recorded must not count.
    console.gate.recorder.writable()?;
    let now = Timestamp::now();
    let hold = console
        .gate
        .holds
        .vote(&id, &voter(&person), vote.answer, &vote.comment, now)
        .await?;
    let event = match vote.answer {
        Answer::Approve => HoldStep::Approved,
        Answer::Deny => HoldStep::Denied,
    };
    let event = HoldEvent {
        hold: id,
        event,
        who: person.name().to_owned(),
        digest: hold.digest.clone(),
        comment: (!vote.comment.is_empty()).then_some(vote.comment),
    };
    console.gate.recorder.hold(event).await?;
    Ok(Shown(hold_document(&hold)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    id: Option<String>,
    agent: Option<String>,
    principal: Option<String>,
    cluster: Option<String>,
    verb: Option<String>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    verdict: Option<String>,
    session: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    before: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn records(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    query: Result<Query<Records>, QueryRejection>,
) -> Answered {
    console.auditor(&person)?;
    let Query(query) = query.map_err(unreadable)?;
    let found = console
        .store
        .search(RecordQuery {
            id: query.id,
            agent: query.agent,
            principal: query.principal,
            cluster: query.cluster,
            verb: query.verb,
            resource: query.resource,
            namespace: query.namespace,
            name: query.name,
            verdict: query.verdict,
            session: query.session,
            since_us: query.since.map(Timestamp::as_microsecond),
            until_us: query.until.map(Timestamp::as_microsecond),
            before: query.before,
            limit: query.limit,
            ..RecordQuery::default()
        })
        .await?;
    let next = found.last().map(|row| row.position);
    let items: Vec<Value> = found.iter().map(record_document).collect();
    Ok(Shown(json!({"items": items, "next": next})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sessions {
    agent: Option<String>,
    since: Option<Timestamp>,
}

pub(super) async fn sessions(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    query: Result<Query<Sessions>, QueryRejection>,
) -> Answered {
    console.auditor(&person)?;
    let Query(query) = query.map_err(unreadable)?;
    let found = console
        .store
        .sessions(SessionQuery {
            agent: query.agent,
            since_us: query.since.map(Timestamp::as_microsecond),
            ..SessionQuery::default()
        })
        .await?;
    let items: Vec<Value> = found.iter().map(session_document).collect();
    Ok(Shown(json!({"items": items})))
}

pub(super) async fn session(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    id: Result<Path<String>, PathRejection>,
) -> Answered {
    console.auditor(&person)?;
    let Path(id) = id.map_err(unreadable)?;
    let Some(session) = console.store.session(id.clone(), None).await? else {
        let sentence =
            format!("there is no session {id:?}: list them with `gateward sessions list`");
        return Err(No(Refusal::NotFound { sentence }));
    };
    let mut document = session_document(&session.summary);
    let items: Vec<Value> = session.records.iter().map(record_document).collect();
    if let Some(fields) = document.as_object_mut() {
        fields.insert("items".to_owned(), json!(items));
    }
    Ok(Shown(document))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Usage {
    since: Timestamp,
}

pub(super) async fn usage(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    query: Result<Query<Usage>, QueryRejection>,
) -> Answered {
    console.auditor(&person)?;
    let Query(query) = query.map_err(unreadable)?;
    let usage = review::usage(&console.store, query.since).await?;
    let rules: Vec<(String, String)> = console
        .gate
        .in_force
        .load()
        .policy
        .rules()
        .map(|(policy, rule)| (policy.to_owned(), rule.to_owned()))
        .collect();
    let findings: Vec<Value> = review::findings(&usage, &rules)
        .iter()
        .map(|finding| {
            let Finding::RuleNeverMatched(rule) = finding;
            json!({"finding": "RuleNeverMatched", "policy": rule.policy, "rule": rule.rule, "sentence": finding.to_string()})
        })
        .collect();
    Ok(Shown(json!({"items": usage, "findings": findings})))
}

pub(super) async fn nothing() -> No {
    No(Refusal::NotFound {
        sentence: "this door serves /api/v1/holds, /records, /entries, /bodies, /sessions and \
                   /review/usage"
            .to_owned(),
    })
}

fn state(word: &str) -> Result<HoldStatus, No> {
    serde_json::from_value(json!(word)).map_err(|_| {
        No(Refusal::Malformed {
            what: format!("state {word:?}: give pending, approved, denied, used, expired or all"),
        })
    })
}

pub(super) fn unreadable(rejection: impl std::fmt::Display) -> No {
    No(Refusal::Malformed {
        what: rejection.to_string(),
    })
}

/// An approver sees what they may answer; an auditor sees all.
fn may_see(console: &Console, person: &Person, hold: &HoldView) -> bool {
    console.is_auditor(person)
        || person
            .groups()
            .iter()
            .any(|group| hold.approver_groups.contains(group))
}

fn not_an_approver(person: &Person, hold: &HoldView) -> No {
    No::forbidden(format!(
        "{:?} is in none of the groups that may answer {}: {}",
        person.name(),
        hold.id,
        hold.approver_groups.join(", ")
    ))
}

fn hold_document(hold: &HoldView) -> Value {
    let mut document = json!(hold);
    let body: Value = serde_json::from_str(&hold.body).unwrap_or_else(|_| json!(hold.body));
    // A create names its object in the body alone.
    let in_body = body
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let name = if hold.name.is_empty() {
        in_body
    } else {
        &hold.name
    };
    let operation = operation(
        &hold.verb,
        &hold.api_group,
        &hold.resource,
        &hold.subresource,
        &hold.namespace,
        name,
        &hold.path,
    );
    let query = if hold.query.is_empty() {
        String::new()
    } else {
        format!("?{}", hold.query)
    };
    if let Some(fields) = document.as_object_mut() {
        fields.insert("operation".to_owned(), json!(operation));
        fields.insert(
            "request".to_owned(),
            json!(format!("{} {}{query}", hold.method, hold.path)),
        );
        fields.insert(
            "body".to_owned(),
            if hold.body.is_empty() {
                Value::Null
            } else {
                body
            },
        );
    }
    document
}

fn record_document(row: &RecordRow) -> Value {
    let mut document = json!(row);
    if let Some(fields) = document.as_object_mut() {
        let operation = operation(
            &row.verb,
            &row.api_group,
            &row.resource,
            &row.subresource,
            &row.namespace,
            &row.name,
            &row.path,
        );
        fields.insert("operation".to_owned(), json!(operation));
    }
    document
}

fn session_document(row: &SessionRow) -> Value {
    let moment = |us| {
        Timestamp::from_microsecond(us)
            .map(|time| time.to_string())
            .unwrap_or_default()
    };
    let mut document = json!(row);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("started".to_owned(), json!(moment(row.first_us)));
        fields.insert("last".to_owned(), json!(moment(row.last_us)));
    }
    document
}

/// A request in words, as the policy room says it.
fn operation(
    verb: &str,
    group: &str,
    resource: &str,
    subresource: &str,
    namespace: &str,
    name: &str,
    path: &str,
) -> String {
    if resource.is_empty() {
        return format!("{verb} {path}");
    }
    let mut words = format!("{verb} {resource}");
    for (mark, part) in [(".", group), ("/", subresource), (" ", name)] {
        if !part.is_empty() {
            words.push_str(mark);
            words.push_str(part);
        }
    }
    if !namespace.is_empty() && resource != "namespaces" {
        words.push_str(" in ");
        words.push_str(namespace);
    }
    words
}
