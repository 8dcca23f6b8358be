//! The operators' listener: health and metrics, plain HTTP, loopback by default.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures_util::future::join_all;
use serde::Serialize;
use tower::ServiceExt;

use crate::accept::Arrival;
use crate::console::Console;
use crate::identify::Identifier;
use crate::journey::Gate;

use super::Reload;

/// Whether the gate can do its work, and what is missing.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// The ledger and the store can be written, at least one cluster answers, and at least
    /// one issuer's keys are at hand at each door.
    pub ready: bool,
    /// Each part with what is wrong with it; `null` if nothing.
    pub parts: Vec<Part>,
}

/// One thing that the gate depends on.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// `ledger`, `store`, `policy`, `cluster <name>`, `agents' issuer <url>`, `humans' issuer <url>`.
    pub name: String,
    /// What is wrong; `None` if nothing.
    pub problem: Option<String>,
}

/// What the operators' answers tell of.
#[derive(Clone)]
pub(super) struct State {
    pub(super) gate: Arc<Gate>,
    pub(super) console: Arc<Console>,
    pub(super) reload: Arc<Reload>,
}

/// Asks every part how it is, all at once: one that hangs costs its own time only.
pub(super) async fn probe(state: &State) -> Readiness {
    let (gate, console) = (&state.gate, &state.console);
    let ledger = Part {
        name: "ledger".to_owned(),
        problem: said(gate.recorder.ledger().health()),
    };
    let clusters = gate.upstreams.values().map(|upstream| async move {
        Part {
            name: format!("cluster {}", upstream.name()),
            problem: upstream.probe().await.err(),
        }
    });
    let (indexed, clusters, agents, humans) = tokio::join!(
        console.store.indexed_up_to(),
        join_all(clusters),
        issuers("agents'", &gate.identifier),
        issuers("humans'", &console.people),
    );
    let store = Part {
        name: "store".to_owned(),
        problem: said(indexed),
    };
    let works = |part: &Part| part.problem.is_none();
    let ready = works(&ledger)
        && works(&store)
        && [&clusters, &agents, &humans]
            .iter()
            .all(|group| group.iter().any(works));
    // The policy before is a policy, too: what is wrong with the files is told, no more.
    let policy = Part {
        name: "policy".to_owned(),
        problem: state.reload.problem(),
    };
    let mut parts = vec![ledger, store, policy];
    parts.extend(clusters.into_iter().chain(agents).chain(humans));
    Readiness { ready, parts }
}

async fn issuers(door: &str, identifier: &Identifier) -> Vec<Part> {
    let part = |(url, outcome): (String, Result<(), String>)| Part {
        name: format!("{door} issuer {url}"),
        problem: outcome.err(),
    };
    identifier.warm().await.into_iter().map(part).collect()
}

fn said<T>(outcome: Result<T, impl std::fmt::Display>) -> Option<String> {
    outcome.err().map(|error| error.to_string())
}

/// The routes of the operators' listener.
pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// Answers one request; none needs a body.
pub(super) async fn answer(routes: Router, arrival: Arrival) -> Response {
    match arrival.whole(0).await {
        Ok(request) => match routes.oneshot(request.map(Body::from)).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err(refusal) => (refusal.code(), refusal.sentence()).into_response(),
    }
}

type Shared = extract::State<State>;

async fn readyz(extract::State(state): Shared) -> impl IntoResponse {
    let readiness = probe(&state).await;
    let code = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(readiness))
}

async fn metrics(extract::State(State { gate, .. }): Shared) -> impl IntoResponse {
    let ledger = gate.recorder.ledger();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [("content-type", content_type)],
        gate.metrics
            .text(ledger.health().is_ok(), ledger.size(), ledger.syncs()),
    )
}
