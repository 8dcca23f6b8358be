//! The token endpoint of the development issuer: client credentials (RFC 6749 §4.4) and
//! token exchange (RFC 8693). Errors as RFC 6749 §5.2 has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{Client, Provider, lock};

/// The grant type of RFC 8693 §2.1.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const LONGEST_FORM: usize = 64 * 1024;

type Form = BTreeMap<String, String>;

/// An error of RFC 6749 §5.2.
struct Rejected(&'static str, &'static str);

impl IntoResponse for Rejected {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.0, "error_description": self.1 }));
        if self.0 == "invalid_client" {
            let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"development issuer\"")];
            return (StatusCode::UNAUTHORIZED, challenge, body).into_response();
        }
        (StatusCode::BAD_REQUEST, body).into_response()
    }
}

/// `POST /token`.
pub(super) async fn token(
    State(state): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = match to_bytes(body, LONGEST_FORM).await {
        Ok(body) => grant(&state, &headers, &body),
        Err(_) => Err(Rejected(
            "invalid_request",
            "the form is too long or was cut off",
        )),
    };
    ([(CACHE_CONTROL, "no-store")], answer.map(Json)).into_response()
}

fn grant(state: &Provider, headers: &HeaderMap, body: &[u8]) -> Result<Value, Rejected> {
    let mut form = Form::new();
    for (name, value) in form_urlencoded::parse(body) {
        if form.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Rejected("invalid_request", "a parameter stands twice"));
        }
    }
    let client = authenticate(state, headers, &form)?;
    let mut claims = claims_of(state, client);
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {
            if let Some(actor) = &client.act {
                claims.insert("act".to_owned(), json!({ "sub": actor }));
            }
        }
        Some(TOKEN_EXCHANGE) => exchange(state, client, &form, &mut claims)?,
        Some(_) => {
            return Err(Rejected(
                "unsupported_grant_type",
                "use client_credentials or token exchange",
            ));
        }
        None => return Err(Rejected("invalid_request", "grant_type is missing")),
    }
    let token = state
        .mint(&Value::Object(claims))
        .map_err(|_| Rejected("invalid_request", "the issuer cannot sign"))?;
    Ok(json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": client.ttl.as_secs(),
    }))
}

/// `client_secret_basic` or `client_secret_post`, not both (RFC 6749 §2.3.1).
fn authenticate<'a>(
    state: &'a Provider,
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'a Client, Rejected> {
    const UNKNOWN: Rejected = Rejected(
        "invalid_client",
        "the client is unknown or its secret is wrong",
    );
    let (id, secret) = match (headers.get(AUTHORIZATION), form.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(Rejected("invalid_request", "authenticate in one way only"));
        }
        (Some(header), None) => header.to_str().ok().and_then(basic).ok_or(UNKNOWN)?,
        (None, Some(secret)) => (
            form.get("client_id").cloned().ok_or(UNKNOWN)?,
            secret.clone(),
        ),
        (None, None) => return Err(UNKNOWN),
    };
    let client = state
        .clients
        .iter()
        .find(|client| client.id == id)
        .ok_or(UNKNOWN)?;
    verify_slices_are_equal(client.secret.as_bytes(), secret.as_bytes()).map_err(|_| UNKNOWN)?;
    Ok(client)
}

/// Id and secret, each form-encoded before they were joined.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        // A pair's name alone, decoded.
        let encoded = text.replace('&', "%26").replace('=', "%3D");
        form_urlencoded::parse(encoded.as_bytes())
            .next()
            .map_or_else(String::new, |(name, _)| name.into_owned())
    };
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| (plain(id), plain(secret)))
}

fn claims_of(state: &Provider, client: &Client) -> Map<String, Value> {
    let now = Timestamp::now().as_second();
    let ttl = i64::try_from(client.ttl.as_secs()).unwrap_or(i64::MAX);
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    set("iss", json!(state.url));
    set("sub", json!(client.subject));
    set("aud", json!(client.audience));
    set("client_id", json!(client.id));
    set("groups", json!(client.groups));
    set("iat", json!(now));
    set("nbf", json!(now));
    set("exp", json!(now.saturating_add(ttl)));
    set("jti", json!(uuid::Uuid::new_v4().to_string()));
    if let Some(email) = &client.email {
        set("email", json!(email));
        set("email_verified", json!(true));
    }
    claims
}

/// Turns the client's own claims into those of a delegation: the subject is the person's,
/// the actor is the client. Audience and groups stay the client's own, so that a person's
/// rights do not become the agent's.
fn exchange(
    state: &Provider,
    client: &Client,
    form: &Form,
    claims: &mut Map<String, Value>,
) -> Result<(), Rejected> {
    let token = form
        .get("subject_token")
        .ok_or(Rejected("invalid_request", "subject_token is missing"))?;
    match form.get("subject_token_type").map(String::as_str) {
        Some(ACCESS_TOKEN | ID_TOKEN | JWT) => {}
        _ => {
            return Err(Rejected(
                "invalid_request",
                "subject_token_type must be access_token, id_token or jwt",
            ));
        }
    }
    if form.contains_key("actor_token") {
        return Err(Rejected(
            "invalid_request",
            "actor_token is not supported: the client is the actor",
        ));
    }
    if form
        .get("audience")
        .is_some_and(|audience| *audience != client.audience)
    {
        return Err(Rejected(
            "invalid_target",
            "this client gets tokens for its own audience only",
        ));
    }
    let subject = verified(state, token).ok_or(Rejected(
        "invalid_request",
        "subject_token is not a valid token of this issuer",
    ))?;
    let sub = subject
        .get("sub")
        .cloned()
        .ok_or(Rejected("invalid_request", "subject_token names nobody"))?;
    let mut actor = json!({ "sub": client.subject });
    if let (Some(earlier), Some(actor)) = (subject.get("act"), actor.as_object_mut()) {
        actor.insert("act".to_owned(), earlier.clone());
    }
    claims.insert("sub".to_owned(), sub);
    claims.insert("act".to_owned(), actor);
    for name in ["email", "email_verified"] {
        match subject.get(name) {
            Some(value) => claims.insert(name.to_owned(), value.clone()),
            None => claims.remove(name),
        };
    }
    Ok(())
}

fn verified(state: &Provider, token: &str) -> Option<Map<String, Value>> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let keys = lock(&state.keys);
    let key = keys
        .iter()
        .find(|key| Some(key.kid()) == header.kid.as_deref())?;
    let jwk: Jwk = serde_json::from_value(key.jwk().clone()).ok()?;
    let alg: jsonwebtoken::Algorithm = jwk.common.key_algorithm?.to_string().parse().ok()?;
    let mut validation = Validation::new(alg);
    validation.set_issuer(&[&state.url]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    // A person's token is for another audience, and may be exchanged all the same.
    validation.validate_aud = false;
    validation.validate_nbf = true;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
        .ok()
        .map(|data| data.claims)
}
