//! ② Arrival → Caller. The only maker of a [`Caller`].
//!
//! A token is taken from the request, routed to the issuer that it names, judged by that
//! issuer's keys, audiences and dates, and mapped to names. Whatever cannot be proven is
//! refused: there are no anonymous callers. This room decides nothing about what a caller
//! may do, and never prints, logs or stores a token. It stands after `accept` and before
//! `parse`.

mod configuration;
mod delegation;
mod expressions;
mod issuer;
mod keys;
mod mapping;
mod token;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use http::HeaderMap;
use jiff::Timestamp;
use moka::sync::Cache;

pub use configuration::{
    Anonymous, AnonymousCondition, AuthenticationConfiguration, Claim, ClaimMappings,
    ClaimValidationRule, ConfigError, ExtraMapping, Issuer, JwtAuthenticator, PrefixedClaim,
    Problem, UserValidationRule,
};
pub use token::{LONGEST_TOKEN, Token, bearer};

use crate::refusal::Refusal;
use expressions::User;
use mapping::{Lookup, Mapping, SystemNames};
use token::{Jws, Validity, quoted, refused};

/// How long a verified token is remembered at most.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// How often [`Identifier::keep_warm`] looks after the issuers.
const ROUND: Duration = Duration::from_secs(10);

/// A proven identity: the agent, and the principal it acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    agent: String,
    principal: Option<String>,
    delegation: Vec<String>,
    aliases: Vec<String>,
    groups: Vec<String>,
    uid: Option<String>,
    extra: BTreeMap<String, Vec<String>>,
    issuer: String,
    token_id: String,
    expires: i64,
}

impl Caller {
    /// The agent's Kubernetes user name, as mapped by the issuer's configuration.
    pub fn agent(&self) -> &str {
        &self.agent
    }
    /// The user name of the human or team on whose behalf the agent acts (RFC 8693).
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }
    /// The user names of those who had the task before the agent, the latest first (nested
    /// `act` claims, RFC 8693 §4.1). Information for the record; it grants nothing.
    pub fn delegation(&self) -> &[String] {
        &self.delegation
    }
    /// Every name under which agent or principal may also be known (mapped and unmapped
    /// user name, `sub`, `email`), for four-eyes comparisons only.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }
    /// Groups, sorted, without duplicates.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
    /// `Impersonate-Uid`, if the mapping yields one.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }
    /// `Impersonate-Extra-*`, keys lower-case.
    pub fn extra(&self) -> &BTreeMap<String, Vec<String>> {
        &self.extra
    }
    /// The issuer's URL.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
    /// A keyed hash of the token, hexadecimal: joins records, reveals nothing.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }
    /// When the token expires, in seconds since the Unix epoch.
    pub fn expires(&self) -> i64 {
        self.expires
    }

    /// A caller without proof, for the tests of later rooms.
    #[cfg(test)]
    #[allow(dead_code, reason = "used by other rooms' tests")]
    pub(crate) fn for_test(agent: &str, principal: Option<&str>, groups: &[&str]) -> Self {
        Self {
            agent: agent.to_owned(),
            principal: principal.map(str::to_owned),
            delegation: Vec::new(),
            // Not its own names: who compares them must not count on finding them here.
            aliases: vec![format!("{agent}@issuer.test")],
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            uid: None,
            extra: BTreeMap::new(),
            issuer: "https://issuer.test".to_owned(),
            token_id: "0".repeat(32),
            expires: i64::MAX,
        }
    }
}

/// A proven human at the humans' door: someone who acts for themself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person(Arc<Caller>);

impl Person {
    /// The person's user name, as mapped by the issuer's configuration.
    pub fn name(&self) -> &str {
        self.0.agent()
    }
    /// Every name under which the person may also be known; see [`Caller::aliases`].
    pub fn aliases(&self) -> &[String] {
        self.0.aliases()
    }
    /// Groups, sorted, without duplicates.
    pub fn groups(&self) -> &[String] {
        self.0.groups()
    }
    /// The issuer's URL.
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }
    /// A keyed hash of the token; see [`Caller::token_id`].
    pub fn token_id(&self) -> &str {
        self.0.token_id()
    }
    /// When the token expires, in seconds since the Unix epoch.
    pub fn expires(&self) -> i64 {
        self.0.expires()
    }
}

/// What the operator chooses beside the issuers.
pub struct Options {
    /// User and group names that begin with `system:` and are accepted all the same:
    /// exact, or with one `*` at the end (`system:serviceaccount:agents:*`).
    pub allowed_system_names: Vec<String>,
    /// What the gate's other door accepts, as [`AuthenticationConfiguration::accepted`] lists
    /// it. A token for both doors is worth nothing at either.
    pub other_door: Vec<(String, String)>,
    /// By how much the issuers' clocks may differ from ours; counted in whole seconds.
    pub leeway: Duration,
    /// How many verified tokens are remembered.
    pub cache_capacity: u64,
    /// The key of [`Caller::token_id`]. Keep it, so that records join across restarts.
    pub token_id_key: [u8; 32],
}

impl Options {
    /// No `system:` names, no other door, ten seconds of leeway, ten thousand tokens.
    pub fn new(token_id_key: [u8; 32]) -> Self {
        Self {
            allowed_system_names: Vec::new(),
            other_door: Vec::new(),
            leeway: Duration::from_secs(10),
            cache_capacity: 10_000,
            token_id_key,
        }
    }
}

/// Proves identities. A clone is cheap and shares keys and memory.
#[derive(Clone)]
pub struct Identifier(Arc<Inner>);

struct Inner {
    issuers: Vec<Arc<issuer::Issuer>>,
    allowed: SystemNames,
    other_door: Vec<(String, String)>,
    leeway: i64,
    token_id_key: hmac::Key,
    verified: Cache<[u8; 32], Verified>,
}

/// What is remembered of a token, under its SHA-256.
#[derive(Clone)]
struct Verified {
    caller: Arc<Caller>,
    validity: Validity,
    /// Index into `issuers`.
    issuer: usize,
    /// Of the issuer's keys.
    generation: u64,
}

impl Identifier {
    /// Checks the configuration. Opens no connection; see [`Identifier::warm`].
    ///
    /// # Errors
    /// Everything that is wrong, with the path of each field.
    pub fn new(
        config: &AuthenticationConfiguration,
        options: Options,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut problems = configuration::Problems::default();
        let allowed = SystemNames::new(options.allowed_system_names).unwrap_or_else(|sentence| {
            problems.add("allowedSystemNames", sentence);
            SystemNames::default()
        });
        let mut issuers = Vec::with_capacity(config.jwt.len());
        for (i, jwt) in config.jwt.iter().enumerate() {
            match issuer::Issuer::new(jwt) {
                Ok(issuer) => issuers.push(Arc::new(issuer)),
                Err(sentence) => problems.add(format!("jwt[{i}].issuer"), sentence),
            }
        }
        problems.into_result()?;
        Ok(Self(Arc::new(Inner {
            issuers,
            allowed,
            other_door: options.other_door,
            leeway: i64::try_from(options.leeway.as_secs()).unwrap_or(i64::MAX),
            token_id_key: hmac::Key::new(hmac::HMAC_SHA256, &options.token_id_key),
            verified: Cache::builder()
                .max_capacity(options.cache_capacity)
                .time_to_live(REMEMBERED)
                .build(),
        })))
    }

    /// Fetches the keys of all issuers that need it, at once, and says for each URL why
    /// that failed. A failure is not final: the next token, or the next call, tries again.
    pub async fn warm(&self) -> Vec<(String, Result<(), String>)> {
        let now = Timestamp::now();
        let all = self
            .0
            .issuers
            .iter()
            .map(|issuer| async move { (issuer.url().to_owned(), issuer.warm(now).await) });
        futures_util::future::join_all(all).await
    }

    /// Keeps the keys fresh, and fetches what could not be fetched at start. Never ends:
    /// spawn it. Without it a gate that is not ready would wait for a token to try again.
    pub async fn keep_warm(&self) {
        loop {
            self.warm().await;
            tokio::time::sleep(ROUND).await;
        }
    }

    /// For each issuer's URL, why nobody can be identified by it at the moment, if so.
    pub fn ready(&self) -> Vec<(String, Option<String>)> {
        let now = Timestamp::now();
        self.0
            .issuers
            .iter()
            .map(|issuer| (issuer.url().to_owned(), issuer.fault(now)))
            .collect()
    }

    /// Proves who sent a request, from its headers.
    ///
    /// # Errors
    /// `TokenMissing`, `TokenRefused`, or `IssuerUnavailable` if there are no keys to
    /// judge by.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Arc<Caller>, Refusal> {
        let token = bearer(headers)?;
        let digest = sha256(token.expose());
        if let Some(caller) = self.remembered(&digest, now) {
            return Ok(caller);
        }
        let verified = self.verify(token.expose(), now).await?;
        let caller = Arc::clone(&verified.caller);
        self.0.verified.insert(digest, verified);
        Ok(caller)
    }

    /// Proves which human sent a request. A token with an `act` claim is an agent's, and
    /// worth nothing here.
    ///
    /// # Errors
    /// As [`Identifier::identify`].
    pub async fn identify_person(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Person, Refusal> {
        let caller = self.identify(headers, now).await?;
        if caller.principal.is_some() {
            return Err(refused(
                "an agent's delegated token is not accepted here; log in yourself",
                "a token with an act claim at the humans' door",
            ));
        }
        Ok(Person(caller))
    }

    /// What the cache holds, if it is as true now as when it was verified.
    fn remembered(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<Caller>> {
        let found = self.0.verified.get(digest)?;
        let issuer = self.0.issuers.get(found.issuer)?;
        let stands = found.validity.check(now.as_second(), self.0.leeway).is_ok()
            && issuer.stands(found.generation, now);
        stands.then_some(found.caller)
    }

    /// Judges a token. What it says about itself is checked first, because that is cheap;
    /// nothing of it is believed before the signature.
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let jws = Jws::parse(token)?;
        let iss = jws.claims.text("iss").unwrap_or_default();
        let index = self.0.issuers.iter().position(|issuer| issuer.url() == iss).ok_or_else(|| {
            refused(
                "the token's issuer is not accepted here; get a token from a configured identity provider",
                format!("the token's iss is {}", quoted(iss)),
            )
        })?;
        let issuer = self.0.issuers.get(index).ok_or_else(|| Refusal::Internal {
            inside: "an issuer that was found is gone".to_owned(),
        })?;
        let validity = jws.claims.validity()?;
        validity.check(now.as_second(), self.0.leeway)?;
        jws.claims
            .check_audience(&issuer.config.issuer, &self.0.other_door)?;
        let generation = issuer.verify(&jws, now).await?;
        let caller = Arc::new(self.caller(issuer, &jws.claims, validity, token)?);
        Ok(Verified {
            caller,
            validity,
            issuer: index,
            generation,
        })
    }

    /// The one place where a `Caller` is made, from verified claims.
    fn caller(
        &self,
        issuer: &issuer::Issuer,
        claims: &token::Claims,
        validity: Validity,
        token: &str,
    ) -> Result<Caller, Refusal> {
        let (config, expressions) = (&issuer.config, &issuer.expressions);
        mapping::check_rules(&config.claim_validation_rules, expressions, claims)?;
        let mapping = Mapping {
            claims: &config.claim_mappings,
            expressions,
            allowed: &self.0.allowed,
        };
        let parties = delegation::parties(mapping, issuer.url(), claims)?;
        let groups = mapping::groups(mapping, claims)?;
        let extra = mapping::extra(mapping, Lookup::Token(claims))?;
        expressions.check_user(&User {
            username: &parties.agent,
            uid: parties.uid.as_deref(),
            groups: &groups,
            extra: &extra,
        })?;
        Ok(Caller {
            agent: parties.agent,
            principal: parties.principal,
            delegation: parties.earlier,
            aliases: parties.aliases,
            groups,
            uid: parties.uid,
            extra,
            issuer: issuer.url().to_owned(),
            token_id: self.token_id(token),
            expires: validity.expires,
        })
    }

    /// The first 16 bytes of HMAC-SHA256.
    fn token_id(&self, token: &str) -> String {
        let tag = hmac::sign(&self.0.token_id_key, token.as_bytes());
        tag.as_ref()
            .iter()
            .take(16)
            .fold(String::with_capacity(32), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }
}

fn sha256(token: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests;
