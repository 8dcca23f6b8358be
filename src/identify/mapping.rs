//! Claims → names, as Kubernetes' `claimMappings` make them.
//!
//! What comes out goes into impersonation headers, so it is held to more than Kubernetes
//! asks: nothing empty, nothing invisible, nothing `system:` that is not allowed by name.

use serde_json::{Map, Value};

use super::configuration::{ClaimMappings, ClaimValidationRule};
use super::token::{Claims, quoted, refused};
use crate::refusal::Refusal;

const LONGEST_NAME: usize = 1024;
const MOST_GROUPS: usize = 256;

/// Names that begin with `system:` and are accepted all the same.
#[derive(Debug, Clone, Default)]
pub(super) struct SystemNames(Vec<String>);

impl SystemNames {
    /// Exact names, or prefixes that end in `*`.
    pub(super) fn new(patterns: Vec<String>) -> Result<Self, String> {
        match patterns.iter().find(|p| {
            !p.starts_with("system:") || p.trim_end_matches('*').contains('*') || p.ends_with("**")
        }) {
            Some(p) => Err(format!(
                "{p:?} must begin with system: and may have one * at its end"
            )),
            None => Ok(Self(patterns)),
        }
    }

    fn allow(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            })
    }

    /// Lets a name through, or says what is wrong with it.
    pub(super) fn check(&self, name: String) -> Result<String, Refusal> {
        let visible =
            |c: char| c.is_ascii_graphic() || c == ' ' || (!c.is_ascii() && c.is_alphanumeric());
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(refused(
                "the token yields a user or group name that is empty or too long",
                format!("a name of {} bytes", name.len()),
            ));
        }
        if !name.chars().all(visible) || name.starts_with(' ') || name.ends_with(' ') {
            return Err(refused(
                "the token yields a user or group name with characters that are not allowed",
                format!("the name {}", quoted(&name)),
            ));
        }
        if name.starts_with("system:") && !self.allow(&name) {
            return Err(refused(
                "the token yields a user or group name that is reserved for Kubernetes; map it with a prefix, or allow it in the gate's configuration",
                format!("the name {}", quoted(&name)),
            ));
        }
        Ok(name)
    }
}

/// A user name before and after its prefix.
pub(super) struct Username {
    pub plain: String,
    pub mapped: String,
}

/// The user name of a claims set: a token's, or an actor's. None if the claim is absent.
pub(super) fn username(
    mappings: &ClaimMappings,
    allowed: &SystemNames,
    claims: Lookup<'_>,
) -> Result<Option<Username>, Refusal> {
    let claim = mappings.username.claim.as_str();
    let Some(plain) = text(claims, claim)? else {
        return Ok(None);
    };
    if claim == "email"
        && claims
            .get("email_verified")
            .is_some_and(|v| v != &Value::Bool(true))
    {
        return Err(refused(
            "the token's email address is not verified",
            "email_verified is not true",
        ));
    }
    named(mappings, allowed, plain).map(Some)
}

/// A name with the user names' prefix.
pub(super) fn named(
    mappings: &ClaimMappings,
    allowed: &SystemNames,
    plain: &str,
) -> Result<Username, Refusal> {
    if plain.is_empty() {
        return Err(refused(
            "the token names no user",
            "the user name's claim is empty",
        ));
    }
    let prefix = mappings.username.prefix.as_deref().unwrap_or_default();
    let mapped = allowed.check(format!("{prefix}{plain}"))?;
    Ok(Username {
        plain: plain.to_owned(),
        mapped,
    })
}

/// The groups, sorted, each once.
pub(super) fn groups(
    mappings: &ClaimMappings,
    allowed: &SystemNames,
    claims: &Claims,
) -> Result<Vec<String>, Refusal> {
    let claim = mappings.groups.claim.as_str();
    if claim.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = || {
        refused(
            "the token's groups cannot be read",
            format!("the claim {claim} is not a string or a list of strings"),
        )
    };
    let plain: Vec<&str> = match claims.get(claim) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list
            .iter()
            .map(|g| g.as_str().ok_or_else(wrong))
            .collect::<Result<_, _>>()?,
        Some(Value::Null) => Vec::new(),
        Some(_) => return Err(wrong()),
        // OpenID Connect Core §5.6.2: taken for no groups, a rule that denies a group
        // would be slipped past.
        None if claims
            .get("_claim_names")
            .is_some_and(|names| names.get(claim).is_some()) =>
        {
            return Err(refused(
                "the token holds its groups by reference, which is not supported; have your identity provider put fewer groups into the token",
                format!("_claim_names has {claim}"),
            ));
        }
        None => Vec::new(),
    };
    if plain.len() > MOST_GROUPS {
        return Err(refused(
            "the token names more than 256 groups",
            format!("{} groups", plain.len()),
        ));
    }
    let prefix = mappings.groups.prefix.as_deref().unwrap_or_default();
    let mut groups = plain
        .into_iter()
        .map(|group| allowed.check(format!("{prefix}{group}")))
        .collect::<Result<Vec<_>, _>>()?;
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

/// The uid, if one is mapped. Kubernetes refuses a token that lacks the mapped claim.
pub(super) fn uid(
    mappings: &ClaimMappings,
    allowed: &SystemNames,
    claims: Lookup<'_>,
) -> Result<Option<String>, Refusal> {
    let claim = mappings.uid.claim.as_str();
    if claim.is_empty() {
        return Ok(None);
    }
    match text(claims, claim)? {
        Some(uid) => allowed.check(uid.to_owned()).map(Some),
        None => Err(refused(
            "the token lacks the claim that yields the uid",
            format!("no claim {claim}"),
        )),
    }
}

/// Holds `claimValidationRules`.
pub(super) fn check_rules(rules: &[ClaimValidationRule], claims: &Claims) -> Result<(), Refusal> {
    match rules
        .iter()
        .find(|rule| claims.text(&rule.claim) != Some(&rule.required_value))
    {
        None => Ok(()),
        Some(rule) => Err(refused(
            "the token lacks a claim that the gate's configuration requires",
            format!(
                "the claim {} is not {}",
                rule.claim,
                quoted(&rule.required_value)
            ),
        )),
    }
}

/// A claims set to look into: a token's, or an `act` claim's.
#[derive(Clone, Copy)]
pub(super) enum Lookup<'a> {
    Token(&'a Claims),
    Actor(&'a Map<String, Value>),
}

impl<'a> Lookup<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        match self {
            Self::Token(claims) => claims.get(name),
            Self::Actor(claims) => claims.get(name),
        }
    }
}

/// A claim that must be a string if it is there.
pub(super) fn text<'a>(claims: Lookup<'a>, claim: &str) -> Result<Option<&'a str>, Refusal> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refused(
            "a claim of the token has an unexpected type",
            format!("the claim {claim} is not a string"),
        )),
    }
}
