//! The token: where it stands in a request, how it is taken apart, and when it is valid.
//!
//! Nothing here is proof: `header` and `claims` are what the token *says* until the
//! issuer's keys have verified `signed` (see `issuer`). A token is never printed, stored
//! or logged, and no sentence of a refusal quotes one.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::configuration::Issuer;
use crate::refusal::Refusal;

/// Longer tokens are refused unread, in bytes.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// The WebSocket subprotocol that carries a token (`k8s.io/apiserver`,
/// `pkg/authentication/request/websocket`).
const SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// A bearer token as it came: a secret, borrowed from its header where it can be.
pub struct Token<'a>(Text<'a>);

enum Text<'a> {
    InHeader(&'a str),
    Decoded(SecretString),
}

impl Token<'_> {
    /// The token itself. Only for hashing and verifying.
    pub(super) fn expose(&self) -> &str {
        match &self.0 {
            Text::InHeader(text) => text,
            Text::Decoded(text) => text.expose_secret(),
        }
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([REDACTED])")
    }
}

/// Takes the one token from a request: `Authorization: Bearer` (RFC 6750) or the
/// WebSocket subprotocol that browsers use.
///
/// # Errors
/// `TokenMissing` if there is none; `TokenRefused` if there is more than one, or one that
/// cannot be read.
pub fn bearer(headers: &HeaderMap) -> Result<Token<'_>, Refusal> {
    match (from_authorization(headers)?, from_subprotocol(headers)?) {
        (Some(_), Some(_)) => Err(refused(
            "send the token once: in the Authorization header or as a WebSocket subprotocol, not both",
            "a token in the Authorization header and in Sec-WebSocket-Protocol",
        )),
        (Some(token), None) | (None, Some(token)) => Ok(token),
        (None, None) => Err(Refusal::TokenMissing),
    }
}

fn from_authorization(headers: &HeaderMap) -> Result<Option<Token<'_>>, Refusal> {
    const SHAPE: &str = "send one Authorization header of the form: Bearer <token>";
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(refused(SHAPE, "more than one Authorization header"));
    }
    let text = value
        .to_str()
        .map_err(|_| refused(SHAPE, "the Authorization header is not ASCII"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused(
            SHAPE,
            "the Authorization header has another scheme than Bearer",
        ));
    }
    let token = token.trim_matches(' ');
    check_length(token.len())?;
    Ok(Some(Token(Text::InHeader(token))))
}

fn from_subprotocol(headers: &HeaderMap) -> Result<Option<Token<'_>>, Refusal> {
    const SHAPE: &str =
        "send one bearer subprotocol, base64url without padding, beside the subprotocol to speak";
    let mut found = None;
    let mut others = 0;
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let text = value
            .to_str()
            .map_err(|_| refused(SHAPE, "Sec-WebSocket-Protocol is not ASCII"))?;
        for protocol in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match protocol.strip_prefix(SUBPROTOCOL) {
                None => others += 1,
                Some(_) if found.is_some() => {
                    return Err(refused(SHAPE, "two bearer subprotocols"));
                }
                Some(encoded) => found = Some(encoded),
            }
        }
    }
    let Some(encoded) = found else {
        return Ok(None);
    };
    if others == 0 {
        return Err(refused(
            SHAPE,
            "a bearer subprotocol without another one to answer with",
        ));
    }
    check_length(encoded.len() / 4 * 3)?;
    let token = URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| refused(SHAPE, "the bearer subprotocol is not base64url of text"))?;
    check_length(token.len())?;
    Ok(Some(Token(Text::Decoded(token.into()))))
}

fn check_length(length: usize) -> Result<(), Refusal> {
    match length {
        0 => Err(refused(
            "the bearer token is empty; get a token from your identity provider",
            "an empty bearer token",
        )),
        1..=LONGEST_TOKEN => Ok(()),
        _ => Err(refused(
            "the token is longer than 16 KiB; ask for one with fewer claims",
            format!("a token of {length} bytes"),
        )),
    }
}

/// A JWS in compact serialisation (RFC 7515 §7.1) whose payload is a claims set, taken
/// apart and not yet verified.
pub(super) struct Jws<'a> {
    pub header: Header,
    pub claims: Claims,
    /// The bytes under the signature: header, dot, payload, as they came.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

/// The part of the JOSE header that counts. `jku`, `jwk` and `x5u` are ignored: keys come
/// from the configured issuer and from nowhere else.
#[derive(Deserialize)]
pub(super) struct Header {
    pub alg: String,
    #[serde(default)]
    pub kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Refusal> {
        const NOT_A_JWT: &str =
            "the token is not a signed JWT; get one from your identity provider";
        let not_a_jwt = |inside: &str| refused(NOT_A_JWT, inside);
        let (signed, signature) = token
            .rsplit_once('.')
            .ok_or_else(|| not_a_jwt("the token is not three parts"))?;
        let (header, payload) = signed
            .split_once('.')
            .ok_or_else(|| not_a_jwt("the token is not three parts"))?;
        let decode = |part: &str, name: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| not_a_jwt(&format!("the token's {name} is not base64url")))
        };
        let header: Header = serde_json::from_slice(&decode(header, "header")?)
            .map_err(|_| not_a_jwt("the token's header is not a JOSE header"))?;
        let claims: Claims =
            serde_json::from_slice(&decode(payload, "payload")?).map_err(|_| {
                not_a_jwt("the token's payload is not a JSON object with each claim once")
            })?;
        let signature = decode(signature, "signature")?;
        header.check()?;
        Ok(Self {
            header,
            claims,
            signed: signed.as_bytes(),
            signature,
        })
    }
}

impl Header {
    /// RFC 7515 §4.1.11: what is critical and not understood refuses the token.
    /// RFC 8725 §3.11: a token of another type (`logout+jwt`, `dpop+jwt`) is no credential.
    fn check(&self) -> Result<(), Refusal> {
        if self.crit.is_some() {
            return Err(refused(
                "the token needs a JWS extension that is not supported",
                "the token's header has crit",
            ));
        }
        let typ = self.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        if !["jwt", "at+jwt", "jose"].contains(&typ) {
            return Err(refused(
                "the token is not of a type that identifies a caller; send an access token or an ID token",
                format!("the token's typ is {}", quoted(typ)),
            ));
        }
        Ok(())
    }
}

/// A claims set in which no claim stands twice (RFC 7519 §4).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A NumericDate (RFC 7519 §2), in whole seconds, rounded down.
    fn date(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let whole = |seconds: f64| seconds.floor() as i64;
        value
            .as_i64()
            .or_else(|| value.as_f64().map(whole))
            .map(Some)
            .ok_or_else(|| {
                refused(
                    "the token's dates cannot be read; get a new one",
                    format!("the claim {name} is not a number"),
                )
            })
    }

    /// When the token is valid.
    pub(super) fn validity(&self) -> Result<Validity, Refusal> {
        let expires = self.date("exp")?.ok_or_else(|| {
            refused(
                "the token never expires, so it is not accepted; get one that does",
                "the token has no exp",
            )
        })?;
        Ok(Validity {
            expires,
            not_before: self.date("nbf")?,
            issued: self.date("iat")?,
        })
    }

    /// Whether `aud` (RFC 7519 §4.1.3) names one of the issuer's audiences, and none by which
    /// its tokens open the gate's other door: who holds what opens both could approve what
    /// they ask for.
    pub(super) fn check_audience(
        &self,
        issuer: &Issuer,
        other_door: &[(String, String)],
    ) -> Result<(), Refusal> {
        let url = issuer.url.trim_end_matches('/');
        if self.is_for(|named| issuer.audiences.iter().any(|audience| audience == named)) {
            if self.is_for(|named| other_door.iter().any(|(u, a)| u == url && a == named)) {
                return Err(refused(
                    "the token would open both doors of this gate; ask your identity provider \
                     for one for this door alone",
                    "the token's aud names an audience of the other door too",
                ));
            }
            return Ok(());
        }
        let aud = self
            .0
            .get("aud")
            .map_or_else(|| "absent".to_owned(), |aud| quoted(&aud.to_string()));
        Err(refused(
            "the token is for another audience; ask your identity provider for one for this gate",
            format!("the token's aud is {aud}"),
        ))
    }
}

impl Claims {
    /// Whether any audience that the token names is one of these.
    fn is_for(&self, these: impl Fn(&str) -> bool) -> bool {
        let named = |value: &Value| value.as_str().is_some_and(&these);
        match self.0.get("aud") {
            Some(Value::Array(list)) => list.iter().any(named),
            Some(one) => named(one),
            None => false,
        }
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EachOnce;
        impl<'de> Visitor<'de> for EachOnce {
            type Value = Claims;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(de::Error::custom("a claim stands twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        deserializer.deserialize_map(EachOnce)
    }
}

/// The times of a token, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub expires: i64,
    pub not_before: Option<i64>,
    pub issued: Option<i64>,
}

impl Validity {
    /// Whether the token is valid at `now`, given clocks that may differ by `leeway` seconds.
    pub(super) fn check(&self, now: i64, leeway: i64) -> Result<(), Refusal> {
        if now >= self.expires.saturating_add(leeway) {
            let late = now.saturating_sub(self.expires);
            return Err(refused(
                "the token has expired; get a new one",
                format!("the token expired {late} s ago"),
            ));
        }
        let latest = now.saturating_add(leeway);
        if self.not_before.is_some_and(|at| at > latest) {
            return Err(refused(
                "the token is not valid yet; check the clocks",
                "the token's nbf is in the future",
            ));
        }
        if self.issued.is_some_and(|at| at > latest) {
            return Err(refused(
                "the token was issued in the future; check the clocks",
                "the token's iat is in the future",
            ));
        }
        Ok(())
    }
}

/// A refusal with a fixed sentence for the outside.
pub(super) fn refused(outside: &'static str, inside: impl Into<String>) -> Refusal {
    Refusal::TokenRefused {
        outside,
        inside: inside.into(),
    }
}

/// A stranger's text, made fit for a log line: escaped and short.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    format!("{short:?}")
}
