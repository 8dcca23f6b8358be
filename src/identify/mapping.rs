//! Claims → names, as Kubernetes' `claimMappings` make them.
//!
//! What comes out goes into impersonation headers, so it is held to more than Kubernetes
//! asks: nothing empty, nothing invisible, nothing `system:` that is not allowed by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::configuration::{ClaimMappings, ClaimValidationRule};
use super::expressions::{self, Expressions};
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
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(refused(
                "the token yields a user or group name that is empty or too long",
                format!("a name of {} bytes", name.len()),
            ));
        }
        if !is_visible(&name) {
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

/// Whether a text shows all that it is.
fn is_visible(text: &str) -> bool {
    let visible =
        |c: char| c.is_ascii_graphic() || c == ' ' || (!c.is_ascii() && c.is_alphanumeric());
    text.chars().all(visible) && !text.starts_with(' ') && !text.ends_with(' ')
}

/// How the claims of one issuer become names.
#[derive(Clone, Copy)]
pub(super) struct Mapping<'a> {
    pub claims: &'a ClaimMappings,
    pub expressions: &'a Expressions,
    pub allowed: &'a SystemNames,
}

/// A user name before and after its prefix; an expression makes both at once.
pub(super) struct Username {
    pub plain: String,
    pub mapped: String,
}

/// The user name of a claims set: a token's, or an actor's. None if the claim is absent.
pub(super) fn username(
    mapping: Mapping<'_>,
    claims: Lookup<'_>,
) -> Result<Option<Username>, Refusal> {
    if let Some(expression) = &mapping.expressions.username {
        let mapped = mapping
            .allowed
            .check(expressions::text(expression, claims)?)?;
        return Ok(Some(Username {
            plain: mapped.clone(),
            mapped,
        }));
    }
    let claim = mapping.claims.username.claim.as_str();
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
    named(mapping, plain).map(Some)
}

/// A name with the user names' prefix.
pub(super) fn named(mapping: Mapping<'_>, plain: &str) -> Result<Username, Refusal> {
    if plain.is_empty() {
        return Err(refused(
            "the token names no user",
            "the user name's claim is empty",
        ));
    }
    let prefix = mapping.claims.username.prefix.as_deref();
    let prefix = prefix.unwrap_or_default();
    let mapped = mapping.allowed.check(format!("{prefix}{plain}"))?;
    Ok(Username {
        plain: plain.to_owned(),
        mapped,
    })
}

/// The groups, sorted, each once.
pub(super) fn groups(mapping: Mapping<'_>, claims: &Claims) -> Result<Vec<String>, Refusal> {
    let claim = mapping.claims.groups.claim.as_str();
    let plain = match &mapping.expressions.groups {
        Some(expression) => {
            // No expression can see what is held elsewhere.
            if claims.get("_claim_names").is_some() {
                return Err(by_reference("groups.expression is set"));
            }
            expressions::texts(expression, Lookup::Token(claims))?
        }
        None if claim.is_empty() => Vec::new(),
        None => claimed_groups(claim, claims)?,
    };
    if plain.len() > MOST_GROUPS {
        return Err(refused(
            "the token names more than 256 groups",
            format!("{} groups", plain.len()),
        ));
    }
    let prefix = mapping.claims.groups.prefix.as_deref().unwrap_or_default();
    let mut groups = plain
        .into_iter()
        .map(|group| mapping.allowed.check(format!("{prefix}{group}")))
        .collect::<Result<Vec<_>, _>>()?;
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

/// A claim that is a string or a list of strings, as it is.
fn claimed_groups(claim: &str, claims: &Claims) -> Result<Vec<String>, Refusal> {
    let wrong = || {
        refused(
            "the token's groups cannot be read",
            format!("the claim {claim} is not a string or a list of strings"),
        )
    };
    match claims.get(claim) {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(list)) => list
            .iter()
            .map(|group| group.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(Value::Null) => Ok(Vec::new()),
        Some(_) => Err(wrong()),
        // OpenID Connect Core §5.6.2: taken for no groups, a rule that denies a group
        // would be slipped past.
        None if claims
            .get("_claim_names")
            .is_some_and(|names| names.get(claim).is_some()) =>
        {
            Err(by_reference(&format!("it has {claim}")))
        }
        None => Ok(Vec::new()),
    }
}

fn by_reference(why: &str) -> Refusal {
    refused(
        "the token holds its groups by reference, which is not supported; have your identity provider put fewer groups into the token",
        format!("the token has _claim_names, and {why}"),
    )
}

/// The uid, if one is mapped. Kubernetes refuses a token that lacks the mapped claim.
pub(super) fn uid(mapping: Mapping<'_>, claims: Lookup<'_>) -> Result<Option<String>, Refusal> {
    if let Some(expression) = &mapping.expressions.uid {
        let uid = expressions::text(expression, claims)?;
        return match uid.is_empty() {
            true => Ok(None),
            false => mapping.allowed.check(uid).map(Some),
        };
    }
    let claim = mapping.claims.uid.claim.as_str();
    if claim.is_empty() {
        return Ok(None);
    }
    match text(claims, claim)? {
        Some(uid) => mapping.allowed.check(uid.to_owned()).map(Some),
        None => Err(refused(
            "the token lacks the claim that yields the uid",
            format!("no claim {claim}"),
        )),
    }
}

/// The extra attributes. Their values go into headers, so they are visible text.
pub(super) fn extra(
    mapping: Mapping<'_>,
    claims: Lookup<'_>,
) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let extra = mapping.expressions.extra(claims)?;
    for value in extra.values().flatten() {
        if value.len() > LONGEST_NAME || !is_visible(value) {
            return Err(refused(
                "the token yields an extra attribute that is too long, or with characters that are not allowed",
                format!("the value {}", quoted(value)),
            ));
        }
    }
    if extra.values().map(Vec::len).sum::<usize>() > MOST_GROUPS {
        return Err(refused(
            "the token yields more than 256 extra attributes",
            "too many values",
        ));
    }
    Ok(extra)
}

/// Holds `claimValidationRules`.
pub(super) fn check_rules(
    rules: &[ClaimValidationRule],
    expressions: &Expressions,
    claims: &Claims,
) -> Result<(), Refusal> {
    let broken = rules.iter().find(|rule| {
        rule.expression.is_empty() && claims.text(&rule.claim) != Some(&rule.required_value)
    });
    match broken {
        None => expressions.check_claims(Lookup::Token(claims)),
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
#[derive(Debug, Clone, Copy)]
pub(super) enum Lookup<'a> {
    Token(&'a Claims),
    Actor(&'a Map<String, Value>),
}

impl<'a> Lookup<'a> {
    pub(super) fn all(self) -> &'a Map<String, Value> {
        match self {
            Self::Token(claims) => claims.all(),
            Self::Actor(claims) => claims,
        }
    }

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
