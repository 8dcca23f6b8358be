//! A small OpenID provider on loopback, for the demo and for tests.
//!
//! It speaks TLS with a certificate authority of its own making, and knows what the gate
//! needs of a provider: discovery, keys, client credentials and token exchange (RFC 8693).
//! It keeps everything in memory, logs nobody in, and is not for production: whoever knows
//! a client's secret gets that client's tokens.

mod endpoint;
mod signer;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

pub use signer::Signer;

const HANDSHAKE: Duration = Duration::from_secs(5);

/// What to serve.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 asks the kernel for one.
    pub port: u16,
    /// Who may ask for tokens.
    pub clients: Vec<Client>,
}

/// An OAuth client, and what its tokens say.
#[derive(Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: String,
    /// `sub` of its tokens; its name as an actor in a token exchange.
    pub subject: String,
    /// `aud` of its tokens.
    pub audience: String,
    /// `groups` of its tokens.
    pub groups: Vec<String>,
    /// `act.sub` of its tokens: who acts for `subject`.
    pub act: Option<String>,
    /// `email` of its tokens, always verified.
    pub email: Option<String>,
    /// For how long its tokens are valid.
    pub ttl: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// How the provider misbehaves, for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers 503.
    Unavailable,
    /// Never answers.
    Hang,
    /// Sends the client elsewhere, where the true answer is.
    Redirect,
    /// Answers 2 MiB.
    TooLong,
    /// Claims to be another issuer.
    WrongIssuer,
    /// Names a place for its keys that is not TLS.
    PlainKeys,
}

/// Why the provider, or a signature of its, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The port cannot be bound.
    #[error("the development issuer cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// Its certificate cannot be made.
    #[error("the development issuer's certificate cannot be made: {0}")]
    Certificate(String),
    /// A key cannot be made, or does not sign.
    #[error("the development issuer cannot make or use a key for {0}")]
    Key(String),
}

/// A running provider. Dropping it ends it.
pub struct DevIssuer {
    state: Arc<Provider>,
    ca_pem: String,
    server: AbortHandle,
}

/// What the endpoints share.
struct Provider {
    url: String,
    clients: Vec<Client>,
    /// The first one signs; all are published.
    keys: Mutex<Vec<Arc<Signer>>>,
    requests: AtomicUsize,
    fault: Mutex<Option<Fault>>,
}

impl DevIssuer {
    /// Starts a provider with a fresh ES256 key and a fresh certificate authority.
    ///
    /// # Errors
    /// If the port is taken, or no key can be made.
    pub async fn start(options: Options) -> Result<Self, IssuerError> {
        let port = options.port;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|source| IssuerError::Listen { port, source })?;
        let address: SocketAddr = listener
            .local_addr()
            .map_err(|source| IssuerError::Listen { port, source })?;
        let (ca_pem, acceptor) = certificate()?;
        let state = Arc::new(Provider {
            url: format!("https://{address}"),
            clients: options.clients,
            keys: Mutex::new(vec![Arc::new(Signer::generate("ES256")?)]),
            requests: AtomicUsize::new(0),
            fault: Mutex::new(None),
        });
        let router = router(Arc::clone(&state));
        let server = tokio::spawn(serve(listener, acceptor, router)).abort_handle();
        Ok(Self {
            state,
            ca_pem,
            server,
        })
    }

    /// The issuer's URL, `https://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// The certificate authority to trust, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Replaces all keys by a new one: what was signed before is worth nothing after.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn rotate_keys(&self) -> Result<(), IssuerError> {
        *lock(&self.state.keys) = vec![Arc::new(Signer::generate("ES256")?)];
        Ok(())
    }

    /// Publishes one more key.
    pub fn publish(&self, key: Arc<Signer>) {
        lock(&self.state.keys).push(key);
    }

    /// Signs exactly these claims with the current key.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn mint(&self, claims: &Value) -> Result<String, IssuerError> {
        self.state.mint(claims)
    }

    /// The current key's id.
    pub fn kid(&self) -> String {
        self.state
            .signer()
            .map_or_else(|_| String::new(), |key| key.kid().to_owned())
    }

    /// How many requests have come so far.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Misbehaves from now on, or no more.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *lock(&self.state.fault) = fault;
    }

    /// Stops listening and closes all connections.
    pub fn stop(&self) {
        self.server.abort();
    }
}

impl Drop for DevIssuer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Provider {
    fn signer(&self) -> Result<Arc<Signer>, IssuerError> {
        lock(&self.keys)
            .first()
            .cloned()
            .ok_or_else(|| IssuerError::Key("ES256".to_owned()))
    }

    fn mint(&self, claims: &Value) -> Result<String, IssuerError> {
        self.signer()?.sign(claims)
    }

    fn jwks(&self) -> Value {
        let keys: Vec<Value> = lock(&self.keys)
            .iter()
            .map(|key| key.jwk().clone())
            .collect();
        json!({ "keys": keys })
    }
}

fn router(state: Arc<Provider>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route(
            "/jwks",
            get(async |State(state): State<Arc<Provider>>| axum::Json(state.jwks())),
        )
        .route("/token", post(endpoint::token))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            misbehave,
        ))
        .with_state(state)
}

async fn discovery(State(state): State<Arc<Provider>>) -> axum::Json<Value> {
    let url = &state.url;
    let fault = *lock(&state.fault);
    let issuer = if fault == Some(Fault::WrongIssuer) {
        "https://elsewhere.test"
    } else {
        url
    };
    let scheme = if fault == Some(Fault::PlainKeys) {
        "http"
    } else {
        "https"
    };
    axum::Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{}/jwks", url.replacen("https", scheme, 1)),
        "token_endpoint": format!("{url}/token"),
        "grant_types_supported": ["client_credentials", endpoint::TOKEN_EXCHANGE],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn misbehave(State(state): State<Arc<Provider>>, request: Request, next: Next) -> Response {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let fault = *lock(&state.fault);
    match fault {
        Some(Fault::Unavailable) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Redirect) if request.uri().query().is_none() => {
            Redirect::temporary(&format!("{}?moved", request.uri().path())).into_response()
        }
        Some(Fault::TooLong) => " ".repeat(2 * 1024 * 1024).into_response(),
        _ => next.run(request).await,
    }
}

/// A certificate authority, and a server certificate of its for 127.0.0.1 and localhost.
fn certificate() -> Result<(String, TlsAcceptor), IssuerError> {
    let failed = |e: rcgen::Error| IssuerError::Certificate(e.to_string());
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "Gateward development issuer CA");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(failed)?)
        .map_err(failed)?;
    let key = KeyPair::generate().map_err(failed)?;
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names)
        .and_then(|params| params.signed_by(&key, &authority))
        .map_err(failed)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![leaf.der().clone()], private)
        })
        .map_err(|e| IssuerError::Certificate(e.to_string()))?;
    Ok((authority.pem(), TlsAcceptor::from(Arc::new(config))))
}

/// Ends when it is aborted, and all connections with it.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors, say: breathe, then try again.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        connections.spawn(async move {
            let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await else {
                return;
            };
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                router.clone().oneshot(request.map(Body::new))
            });
            let server = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = server.serve_connection(TokioIo::new(tls), service).await {
                tracing::debug!(%error, "a connection to the development issuer ended");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Nothing here can be left half-changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn client(id: &str, act: Option<&str>) -> Client {
        Client {
            id: id.to_owned(),
            secret: format!("{id} secret:+&="),
            subject: format!("{id}-name"),
            audience: "gate".to_owned(),
            groups: vec!["agents".to_owned()],
            act: act.map(str::to_owned),
            email: None,
            ttl: Duration::from_secs(300),
        }
    }

    async fn issuer() -> (DevIssuer, reqwest::Client) {
        let mut ann = client("ann", None);
        ann.audience = "console".to_owned();
        ann.email = Some("ann@example.com".to_owned());
        let clients = vec![
            client("bot", None),
            client("sub-bot", None),
            client("for-ann", Some("bot")),
            ann,
        ];
        let issuer = DevIssuer::start(Options { port: 0, clients })
            .await
            .unwrap();
        let ca = reqwest::Certificate::from_pem(issuer.ca_pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .build()
            .unwrap();
        (issuer, http)
    }

    async fn post(
        issuer: &DevIssuer,
        http: &reqwest::Client,
        form: &[(&str, &str)],
    ) -> (u16, Value) {
        let response = http
            .post(format!("{}/token", issuer.url()))
            .form(form)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    fn claims(answer: &Value) -> Value {
        let token = answer["access_token"].as_str().unwrap();
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn client_credentials_by_post_and_by_basic() {
        let (issuer, http) = issuer().await;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "bot"),
            ("client_secret", "bot secret:+&="),
        ];
        let (status, answer) = post(&issuer, &http, &form).await;
        assert_eq!(
            (status, &answer["token_type"], &answer["expires_in"]),
            (200, &json!("Bearer"), &json!(300))
        );
        let token = claims(&answer);
        assert_eq!(
            (&token["sub"], &token["aud"], &token["iss"]),
            (&json!("bot-name"), &json!("gate"), &json!(issuer.url()))
        );
        assert_eq!(
            token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap(),
            300
        );
        assert_eq!(token.get("act"), None);

        let secret: String = url::form_urlencoded::byte_serialize(b"for-ann secret:+&=").collect();
        let basic = http
            .post(format!("{}/token", issuer.url()))
            .basic_auth("for-ann", Some(secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .unwrap();
        assert_eq!(basic.headers()["cache-control"], "no-store");
        assert_eq!(
            claims(&basic.json().await.unwrap())["act"],
            json!({"sub": "bot"})
        );
    }

    #[tokio::test]
    async fn an_exchange_makes_the_client_the_actor_for_the_person() {
        let (issuer, http) = issuer().await;
        let credentials = [
            ("grant_type", "client_credentials"),
            ("client_id", "ann"),
            ("client_secret", "ann secret:+&="),
        ];
        let (_, ann) = post(&issuer, &http, &credentials).await;
        let exchange = async |id: &str, token: &str| {
            let secret = format!("{id} secret:+&=");
            let form = [
                ("grant_type", endpoint::TOKEN_EXCHANGE),
                ("client_id", id),
                ("client_secret", &secret),
                ("subject_token", token),
                (
                    "subject_token_type",
                    "urn:ietf:params:oauth:token-type:access_token",
                ),
            ];
            post(&issuer, &http, &form).await
        };
        let (status, answer) = exchange("bot", ann["access_token"].as_str().unwrap()).await;
        assert_eq!(status, 200, "{answer}");
        let token = claims(&answer);
        assert_eq!(
            (&token["sub"], &token["act"]),
            (&json!("ann-name"), &json!({"sub": "bot-name"}))
        );
        assert_eq!(
            (&token["aud"], &token["groups"]),
            (&json!("gate"), &json!(["agents"]))
        );
        assert_eq!(token["email"], json!("ann@example.com"));

        let (_, again) = exchange("sub-bot", answer["access_token"].as_str().unwrap()).await;
        let chain = json!({"sub": "sub-bot-name", "act": {"sub": "bot-name"}});
        assert_eq!(claims(&again)["act"], chain);

        let forged = Signer::generate("ES256").unwrap().sign(&token).unwrap();
        for bad in ["", "x.y.z", &forged] {
            let (status, answer) = exchange("bot", bad).await;
            assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")));
        }
    }

    #[tokio::test]
    async fn errors_are_those_of_rfc_6749() {
        let (issuer, http) = issuer().await;
        type Form<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Form<'_>, u16, &str); 6] = [
            (
                &[("grant_type", "client_credentials")],
                401,
                "invalid_client",
            ),
            (
                &[
                    ("grant_type", "client_credentials"),
                    ("client_id", "bot"),
                    ("client_secret", "no"),
                ],
                401,
                "invalid_client",
            ),
            (
                &[
                    ("grant_type", "client_credentials"),
                    ("client_id", "who"),
                    ("client_secret", "no"),
                ],
                401,
                "invalid_client",
            ),
            (
                &[("client_id", "bot"), ("client_secret", "bot secret:+&=")],
                400,
                "invalid_request",
            ),
            (
                &[
                    ("grant_type", "password"),
                    ("client_id", "bot"),
                    ("client_secret", "bot secret:+&="),
                ],
                400,
                "unsupported_grant_type",
            ),
            (
                &[("client_id", "bot"), ("client_id", "bot")],
                400,
                "invalid_request",
            ),
        ];
        for (form, status, error) in cases {
            let (got, answer) = post(&issuer, &http, form).await;
            assert_eq!((got, &answer["error"]), (status, &json!(error)), "{form:?}");
        }
    }
}
