//! The operators' listener: health and metrics, plain HTTP, loopback by default.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::accept::told;
use crate::console::Console;
use crate::journey::Gate;

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
    /// `ledger`, `store`, `cluster <name>`, `agents' issuer <url>`, `humans' issuer <url>`.
    pub name: String,
    /// What is wrong; `None` if nothing.
    pub problem: Option<String>,
}

/// Asks every part how it is.
pub(super) async fn probe(gate: &Gate, console: &Console) -> Readiness {
    let mut parts = vec![
        Part {
            name: "ledger".to_owned(),
            problem: gate
                .recorder
                .ledger()
                .health()
                .err()
                .map(|error| error.to_string()),
        },
        Part {
            name: "store".to_owned(),
            problem: console
                .store
                .indexed_up_to()
                .await
                .err()
                .map(|error| error.to_string()),
        },
    ];
    let mut ready = parts.iter().all(|part| part.problem.is_none());
    let probes = gate.upstreams.values().map(|upstream| async move {
        Part {
            name: format!("cluster {}", upstream.name()),
            problem: upstream.probe().await.err(),
        }
    });
    let clusters = futures_util::future::join_all(probes).await;
    ready &= clusters.iter().any(|part| part.problem.is_none());
    parts.extend(clusters);
    for (door, identifier) in [("agents'", &gate.identifier), ("humans'", &console.people)] {
        let issuers: Vec<Part> = identifier
            .warm()
            .await
            .into_iter()
            .map(|(url, outcome)| Part {
                name: format!("{door} issuer {url}"),
                problem: outcome.err(),
            })
            .collect();
        ready &= issuers.iter().any(|part| part.problem.is_none());
        parts.extend(issuers);
    }
    Readiness { ready, parts }
}

pub(super) async fn serve(
    listener: TcpListener,
    gate: Arc<Gate>,
    console: Arc<Console>,
    mut stop: watch::Receiver<bool>,
) {
    let router = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state((gate, console));
    let stopped = async move {
        told(&mut stop).await;
    };
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
    {
        tracing::error!(%error, "the operators' listener ended");
    }
}

type Shared = State<(Arc<Gate>, Arc<Console>)>;

async fn readyz(State((gate, console)): Shared) -> impl IntoResponse {
    let readiness = probe(&gate, &console).await;
    let code = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(readiness))
}

async fn metrics(State((gate, _)): Shared) -> impl IntoResponse {
    let ledger = gate.recorder.ledger();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [("content-type", content_type)],
        gate.metrics.text(ledger.health().is_ok(), ledger.size()),
    )
}
