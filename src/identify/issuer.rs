//! One issuer: its discovery document, its keys, and when they are fetched again.
//!
//! Keys are fresh for an hour, then fetched again in the background; while that fails the
//! old ones serve for a day. A token that they cannot verify has them fetched again, at
//! most once in ten seconds, so that strangers cannot turn the gate against the issuer.
//! Nothing is believed that is not read over TLS from the configured place; redirects are
//! not followed.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Certificate, Client, redirect};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::configuration::{JwtAuthenticator, Problems};
use super::expressions::Expressions;
use super::keys::KeySet;
use super::token::Jws;
use crate::refusal::{Refusal, with_causes};

/// Keys younger than this are used without a question.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// Keys older than this are not used at all.
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// The shortest time between two fetches, with keys at hand.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// The shortest time between two fetches, without.
const PAUSE_WITHOUT_KEYS: SignedDuration = SignedDuration::from_secs(1);
/// For one request to the issuer, body included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer of an issuer, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A configured issuer and its current keys.
pub(super) struct Issuer {
    pub config: JwtAuthenticator,
    pub expressions: Expressions,
    client: Client,
    keys: ArcSwapOption<Keys>,
    /// Why the last fetch failed; none once one succeeds.
    fault: ArcSwapOption<String>,
    /// When the last fetch began. Locked while one runs, so that there is only one.
    last_fetch: Mutex<Option<Timestamp>>,
}

struct Keys {
    set: KeySet,
    fetched: Timestamp,
    /// Counts the changes of `set`: a token verified under another generation is verified
    /// again.
    generation: u64,
}

impl Issuer {
    pub(super) fn new(config: &JwtAuthenticator) -> Result<Self, String> {
        let mut client = Client::builder()
            .user_agent(concat!("gateward/", env!("CARGO_PKG_VERSION")))
            .https_only(true)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT);
        if let Some(pem) = &config.issuer.certificate_authority {
            let roots = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| e.to_string())?;
            client = client.tls_certs_only(roots);
        }
        let mut problems = Problems::default();
        let expressions = Expressions::compile(config, "", &mut problems);
        problems.into_result().map_err(|error| error.to_string())?;
        Ok(Self {
            config: config.clone(),
            expressions,
            client: client.build().map_err(|e| e.to_string())?,
            keys: ArcSwapOption::empty(),
            fault: ArcSwapOption::from_pointee("its keys have not been fetched yet".to_owned()),
            last_fetch: Mutex::new(None),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.config.issuer.url
    }

    /// Whether a token verified under `generation` counts as verified still; never waits.
    pub(super) fn stands(self: &Arc<Self>, generation: u64, now: Timestamp) -> bool {
        let keys = self.keys.load();
        let Some(keys) = keys.as_ref() else {
            return false;
        };
        let age = now.duration_since(keys.fetched);
        if age >= FRESH {
            self.refresh_behind(now);
        }
        keys.generation == generation && age < STALE
    }

    /// Verifies the token's signature, and says under which generation of the keys.
    pub(super) async fn verify(
        self: &Arc<Self>,
        jws: &Jws<'_>,
        now: Timestamp,
    ) -> Result<u64, Refusal> {
        let keys = self.current(now).await?;
        let Err(refusal) = keys.set.verify(jws) else {
            return Ok(keys.generation);
        };
        // The key may be newer than what we hold.
        self.refresh(now).await;
        let newer = self.current(now).await?;
        if newer.generation == keys.generation {
            return Err(refusal);
        }
        newer.set.verify(jws).map(|()| newer.generation)
    }

    /// Fetches the keys unless that was tried a moment ago, and says why there are none.
    pub(super) async fn warm(self: &Arc<Self>, now: Timestamp) -> Result<(), String> {
        if self.age(now).is_none_or(|age| age >= FRESH) {
            self.refresh(now).await;
        }
        self.fault(now).map_or(Ok(()), Err)
    }

    /// Why nobody of this issuer can be identified at the moment.
    pub(super) fn fault(&self, now: Timestamp) -> Option<String> {
        if self.age(now).is_some_and(|age| age < STALE) {
            return None;
        }
        let fault = self.fault.load();
        Some(fault.as_ref().map_or_else(
            || "its keys are older than a day".to_owned(),
            |f| f.as_ref().clone(),
        ))
    }

    fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.keys
            .load()
            .as_ref()
            .map(|keys| now.duration_since(keys.fetched))
    }

    /// The keys to use at `now`; waits for a fetch only if there are none.
    async fn current(self: &Arc<Self>, now: Timestamp) -> Result<Arc<Keys>, Refusal> {
        match self.age(now) {
            Some(age) if age < FRESH => {}
            Some(age) if age < STALE => self.refresh_behind(now),
            _ => self.refresh(now).await,
        }
        if let Some(fault) = self.fault(now) {
            return Err(Refusal::IssuerUnavailable {
                inside: format!("issuer {}: {fault}", self.url()),
            });
        }
        self.keys
            .load_full()
            .ok_or_else(|| Refusal::IssuerUnavailable {
                inside: format!("issuer {}: no keys", self.url()),
            })
    }

    /// Waits for a fetch, its own or the one that runs already.
    async fn refresh(self: &Arc<Self>, now: Timestamp) {
        let this = Arc::clone(self);
        // Its own task: a client that hangs up must not end the fetch that others wait for.
        if let Err(error) = tokio::spawn(async move { this.fetch_once(now).await }).await {
            self.fault
                .store(Some(Arc::new(format!("fetching its keys failed: {error}"))));
        }
    }

    /// Fetches without a wait, unless one fetch runs or has run a moment ago.
    fn refresh_behind(self: &Arc<Self>, now: Timestamp) {
        if self
            .last_fetch
            .try_lock()
            .is_ok_and(|last| self.may_fetch(*last, now))
        {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.fetch_once(now).await });
        }
    }

    fn may_fetch(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        let pause = if self.keys.load().is_some() {
            PAUSE
        } else {
            PAUSE_WITHOUT_KEYS
        };
        // A clock set back must not stop fetching, so the distance counts, not the order.
        last.is_none_or(|at| now.duration_since(at).abs() >= pause)
    }

    async fn fetch_once(&self, now: Timestamp) {
        let mut last = self.last_fetch.lock().await;
        if !self.may_fetch(*last, now) {
            return;
        }
        *last = Some(now);
        let held = self.keys.load_full();
        match self.fetch().await {
            Ok(set) => {
                let generation = match held.as_deref() {
                    Some(keys) if keys.set == set => keys.generation,
                    Some(keys) => keys.generation + 1,
                    None => 0,
                };
                self.keys.store(Some(Arc::new(Keys {
                    set,
                    fetched: now,
                    generation,
                })));
                self.fault.store(None);
            }
            Err(fault) => {
                tracing::warn!(
                    issuer = self.url(),
                    fault,
                    "the issuer's keys cannot be fetched"
                );
                self.fault.store(Some(Arc::new(fault)));
            }
        }
    }

    /// OpenID Connect Discovery 1.0 §4, then the JWK set that it names.
    async fn fetch(&self) -> Result<KeySet, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let url = match &self.config.issuer.discovery_url {
            Some(url) => url.clone(),
            None => {
                let base = self.url().strip_suffix('/').unwrap_or(self.url());
                format!("{base}/.well-known/openid-configuration")
            }
        };
        let body = self.get(&url).await?;
        let discovery: Discovery = serde_json::from_slice(&body)
            .map_err(|e| format!("{url} is not a discovery document: {e}"))?;
        if discovery.issuer != self.url() {
            return Err(format!(
                "{url} names the issuer {:?}, not {:?}",
                discovery.issuer,
                self.url()
            ));
        }
        KeySet::parse(&self.get(&discovery.jwks_uri).await?)
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let failed = |e: reqwest::Error| format!("GET {url}: {}", with_causes(&e.without_url()));
        let mut response = self.client.get(url).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("GET {url}: answered {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(format!(
                    "GET {url}: the answer is longer than {LONGEST_ANSWER} bytes"
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}
