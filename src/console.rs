//! HTTP for humans: the JSON API of the humans' door.
//!
//! Approvers see and answer holds; auditors search records and sessions. Everybody here is a
//! person with a token for this door's own audience; an agent's token is worth nothing.
//! The room calls the same verbs as every other one and decides nothing itself: four eyes and
//! quorum are `approve`'s business.

mod api;
mod past;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde_json::Value;
use tower::ServiceExt;

use crate::accept::Arrival;
use crate::approve::{ApproveError, Voter};
use crate::identify::{Identifier, Person};
use crate::journey::Gate;
use crate::output::text;
use crate::refusal::Refusal;
use crate::store::{Store, StoreError};

/// All that the humans' door needs.
pub struct Console {
    /// Proves who the person is.
    pub people: Identifier,
    /// The gate whose holds are answered here.
    pub gate: Arc<Gate>,
    /// Where records and sessions are searched.
    pub store: Store,
    /// Groups whose members may search and read everything.
    pub auditors: BTreeSet<String>,
}

/// The longest body that this door reads, in bytes.
const BODY: usize = 64 * 1024;

/// The routes of the humans' door, for who is identified.
pub fn router(console: Arc<Console>) -> Router {
    Router::new()
        .route("/api/v1/holds", get(api::holds))
        .route("/api/v1/holds/{id}", get(api::hold))
        .route("/api/v1/holds/{id}/votes", post(api::vote))
        .route("/api/v1/records", get(api::records))
        .route("/api/v1/entries", get(past::entries))
        .route("/api/v1/bodies/{digest}", get(past::body))
        .route("/api/v1/sessions", get(api::sessions))
        .route("/api/v1/sessions/{id}", get(api::session))
        .route("/api/v1/review/usage", get(api::usage))
        .fallback(api::nothing)
        .with_state(console)
}

/// Answers one request. Nothing is served to who is not identified, and nothing served here
/// is kept by a cache.
pub async fn answer(console: Arc<Console>, routes: Router, arrival: Arrival) -> Response {
    let mut response = match identified(&console, arrival).await {
        Ok(request) => match routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err(refusal) => No(refusal).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

/// The person first, then the body: a stranger's is not read.
async fn identified(console: &Console, arrival: Arrival) -> Result<Request, Refusal> {
    let person = console
        .people
        .identify_person(arrival.headers(), Timestamp::now())
        .await?;
    let mut request = arrival.whole(BODY).await?.map(Body::from);
    request.extensions_mut().insert(person);
    Ok(request)
}

impl Console {
    fn is_auditor(&self, person: &Person) -> bool {
        person
            .groups()
            .iter()
            .any(|group| self.auditors.contains(group))
    }

    /// # Errors
    /// A 403 that says which groups may.
    fn auditor(&self, person: &Person) -> Result<(), No> {
        if self.is_auditor(person) {
            return Ok(());
        }
        Err(No::forbidden(format!(
            "{:?} is in none of the groups that may search records: ask to be added to one of \
             identity.humans.auditorGroups",
            person.name()
        )))
    }
}

fn voter(person: &Person) -> Voter {
    Voter {
        name: person.name().to_owned(),
        aliases: person.aliases().to_vec(),
        groups: person.groups().to_vec(),
        issuer: person.issuer().to_owned(),
    }
}

/// A document, in JSON that may be printed as it is.
struct Shown(Value);

impl IntoResponse for Shown {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (json, text::json(&self.0, false)).into_response()
    }
}

/// A "no" of this door: the same `Status` document as at the agents' door.
struct No(Refusal);

impl No {
    fn forbidden(sentence: String) -> Self {
        Self(Refusal::NotPermitted { sentence })
    }
}

impl From<ApproveError> for No {
    fn from(error: ApproveError) -> Self {
        let sentence = error.to_string();
        Self(match error.code() {
            StatusCode::NOT_FOUND => Refusal::NotFound { sentence },
            StatusCode::FORBIDDEN => Refusal::NotPermitted { sentence },
            StatusCode::CONFLICT | StatusCode::GONE => Refusal::Conflict { sentence },
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                Refusal::Malformed { what: sentence }
            }
            _ => Refusal::StoreUnavailable { inside: sentence },
        })
    }
}

impl From<StoreError> for No {
    fn from(error: StoreError) -> Self {
        Self(Refusal::StoreUnavailable {
            inside: error.to_string(),
        })
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        if let Some(inside) = self.0.inside() {
            tracing::warn!(
                reason = self.0.reason(),
                inside,
                "refused at the humans' door"
            );
        }
        let status = serde_json::from_slice(&self.0.status_document("")).unwrap_or_default();
        (self.0.code(), Shown(status)).into_response()
    }
}
