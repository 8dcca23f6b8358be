//! Who acts, and for whom (RFC 8693 §4.1).
//!
//! Without `act`, the token's subject is the agent and acts for itself. With it, the
//! outermost actor is the agent and the subject is the principal; actors within are those
//! who passed the task on, and only ever information. `may_act` grants nothing here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::mapping::{self, Lookup, Mapping, Username};
use super::token::{Claims, refused};
use crate::refusal::Refusal;

/// Deeper chains are refused.
const LONGEST_CHAIN: usize = 8;

/// The parties named by one token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parties {
    pub agent: String,
    pub principal: Option<String>,
    /// Who had the task before the agent, the latest first.
    pub earlier: Vec<String>,
    /// All names of agent and principal, sorted, each once.
    pub aliases: Vec<String>,
    /// The agent's uid.
    pub uid: Option<String>,
}

/// Reads the parties out of a verified claims set.
pub(super) fn parties(
    mapping: Mapping<'_>,
    issuer: &str,
    claims: &Claims,
) -> Result<Parties, Refusal> {
    let token = Lookup::Token(claims);
    let subject = mapping::username(mapping, token)?.ok_or_else(|| {
        refused(
            "the token names no user",
            format!("no claim {}", mapping.claims.username.claim),
        )
    })?;
    let mut aliases = BTreeSet::new();
    note_aliases(&mut aliases, &subject, token);
    let Some(act) = claims.get("act") else {
        let uid = mapping::uid(mapping, token)?;
        return Ok(Parties {
            agent: subject.mapped,
            principal: None,
            earlier: Vec::new(),
            aliases: aliases.into_iter().collect(),
            uid,
        });
    };
    let chain = chain(act)?;
    let mut names = Vec::with_capacity(chain.len());
    for (i, actor) in chain.iter().enumerate() {
        let name = actor_name(mapping, issuer, actor)?;
        if i == 0 {
            note_aliases(&mut aliases, &name, Lookup::Actor(actor));
        }
        names.push(name.mapped);
    }
    // The token's uid is the subject's. The agent has one only if `act` says so; an
    // expression is asked of `act` as it is of a token.
    let uid = match chain.first() {
        Some(actor)
            if mapping.expressions.uid.is_some()
                || actor.contains_key(&mapping.claims.uid.claim) =>
        {
            mapping::uid(mapping, Lookup::Actor(actor))?
        }
        _ => None,
    };
    let mut names = names.into_iter();
    let agent = names
        .next()
        .ok_or_else(|| malformed("the chain of actors is empty"))?;
    Ok(Parties {
        agent,
        principal: Some(subject.mapped),
        earlier: names.collect(),
        aliases: aliases.into_iter().collect(),
        uid,
    })
}

/// The actors, the current one first.
fn chain(act: &Value) -> Result<Vec<&Map<String, Value>>, Refusal> {
    let mut chain = Vec::new();
    let mut next = Some(act);
    while let Some(act) = next {
        if chain.len() == LONGEST_CHAIN {
            return Err(malformed("the chain of actors is longer than 8"));
        }
        let actor = act
            .as_object()
            .ok_or_else(|| malformed("act is not an object"))?;
        next = actor.get("act");
        chain.push(actor);
    }
    Ok(chain)
}

fn actor_name(
    mapping: Mapping<'_>,
    issuer: &str,
    actor: &Map<String, Value>,
) -> Result<Username, Refusal> {
    let claims = Lookup::Actor(actor);
    // The prefix that tells this issuer's names apart says nothing of another's.
    if mapping::text(claims, "iss")?.is_some_and(|iss| iss != issuer) {
        return Err(refused(
            "the token's actor comes from another issuer than the token",
            "act.iss differs from iss",
        ));
    }
    if let Some(name) = mapping::username(mapping, claims)? {
        return Ok(name);
    }
    let sub = mapping::text(claims, "sub")?.ok_or_else(|| malformed("an actor without a name"))?;
    mapping::named(mapping, sub)
}

fn note_aliases(aliases: &mut BTreeSet<String>, name: &Username, claims: Lookup<'_>) {
    aliases.extend([name.plain.clone(), name.mapped.clone()]);
    for claim in ["sub", "email"] {
        if let Some(Value::String(text)) = claims.get(claim)
            && !text.is_empty()
        {
            aliases.insert(text.clone());
        }
    }
}

fn malformed(inside: &str) -> Refusal {
    refused(
        "the token's act claim cannot be read; it must name an actor (RFC 8693)",
        inside,
    )
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
    use serde_json::json;

    use super::super::configuration::{JwtAuthenticator, Problems};
    use super::super::expressions::Expressions;
    use super::super::mapping::SystemNames;
    use super::*;

    fn read(claims: Value) -> Result<Parties, Refusal> {
        read_by("sub", claims)
    }

    fn read_by(claim: &str, claims: Value) -> Result<Parties, Refusal> {
        read_as(
            json!({ "username": { "claim": claim, "prefix": "p:" }, "uid": { "claim": "uid" } }),
            claims,
        )
    }

    fn read_as(mappings: Value, claims: Value) -> Result<Parties, Refusal> {
        let jwt = JwtAuthenticator {
            claim_mappings: serde_json::from_value(mappings).unwrap(),
            ..JwtAuthenticator::default()
        };
        let mut problems = Problems::default();
        let expressions = Expressions::compile(&jwt, "jwt[0]", &mut problems);
        problems.into_result().unwrap();
        let allowed = SystemNames::new(vec!["system:serviceaccount:agents:*".to_owned()]).unwrap();
        let mapping = Mapping {
            claims: &jwt.claim_mappings,
            expressions: &expressions,
            allowed: &allowed,
        };
        let claims = serde_json::from_value(claims).unwrap();
        parties(mapping, "https://a.test", &claims)
    }

    #[test]
    fn the_outermost_actor_is_the_agent() {
        let cases = [
            (
                json!({"sub": "bot", "uid": "1"}),
                "p:bot",
                None,
                vec![],
                Some("1"),
            ),
            (
                json!({"sub": "ann", "uid": "1", "act": {"sub": "bot"}}),
                "p:bot",
                Some("p:ann"),
                vec![],
                None,
            ),
            (
                json!({"sub": "ann", "uid": "1", "act": {"sub": "bot", "uid": "2"}}),
                "p:bot",
                Some("p:ann"),
                vec![],
                Some("2"),
            ),
            (
                json!({"sub": "ann", "uid": "1", "act": {"sub": "bot", "iss": "https://a.test"}}),
                "p:bot",
                Some("p:ann"),
                vec![],
                None,
            ),
            (
                json!({"sub": "ann", "uid": "1", "act": {"sub": "c", "act": {"sub": "b", "act": {"sub": "a"}}}}),
                "p:c",
                Some("p:ann"),
                vec!["p:b", "p:a"],
                None,
            ),
            (
                json!({"sub": "bot", "uid": "1", "may_act": {"sub": "other"}}),
                "p:bot",
                None,
                vec![],
                Some("1"),
            ),
        ];
        for (claims, agent, principal, earlier, uid) in cases {
            let parties = read(claims.clone()).unwrap();
            assert_eq!(parties.agent, agent, "{claims}");
            assert_eq!(parties.principal.as_deref(), principal, "{claims}");
            assert_eq!(parties.earlier, earlier, "{claims}");
            assert_eq!(parties.uid.as_deref(), uid, "{claims}");
        }
    }

    #[test]
    fn a_malformed_actor_refuses_the_token() {
        let deep = (0..9).fold(
            json!({"sub": "a"}),
            |act, _| json!({"sub": "a", "act": act}),
        );
        let cases = [
            json!(null),
            json!("bot"),
            json!([]),
            json!({}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": "bot", "iss": "https://b.test"}),
            json!({"sub": "bot", "iss": 7}),
            json!({"sub": "bot", "act": null}),
            json!({"sub": "bot", "act": {}}),
            json!({"sub": "bot", "act": {"sub": "a", "iss": "https://b.test"}}),
            json!({"sub": "a\r\nImpersonate-Group: system:masters"}),
            deep,
        ];
        for act in cases {
            let claims = json!({"sub": "ann", "uid": "1", "act": act});
            assert!(
                matches!(read(claims.clone()), Err(Refusal::TokenRefused { .. })),
                "{claims}"
            );
        }
    }

    #[test]
    fn every_name_of_subject_and_actor_is_an_alias_but_not_of_earlier_actors() {
        let claims = json!({
            "sub": "s1", "name": "ann", "email": "ann@example.com", "uid": "1",
            "act": {"sub": "s2", "name": "bot", "email": "bot@example.com", "act": {"sub": "s3"}}
        });
        let parties = read_by("name", claims).unwrap();
        assert_eq!(
            (parties.agent.as_str(), parties.principal.as_deref()),
            ("p:bot", Some("p:ann"))
        );
        assert_eq!(parties.earlier, ["p:s3"]);
        let expected = [
            "ann",
            "ann@example.com",
            "bot",
            "bot@example.com",
            "p:ann",
            "p:bot",
            "s1",
            "s2",
        ];
        assert_eq!(parties.aliases, expected);
    }

    #[test]
    fn an_email_that_is_not_verified_names_nobody() {
        let with = |verified: Value| json!({"email": "ann@example.com", "email_verified": verified, "uid": "1"});
        assert!(read_by("email", json!({"email": "ann@example.com", "uid": "1"})).is_ok());
        assert!(read_by("email", with(json!(true))).is_ok());
        for verified in [json!(false), json!("true"), json!(null)] {
            assert!(read_by("email", with(verified)).is_err());
        }
        let act = json!({"email": "a@example.com", "uid": "1", "act": {"email": "b@example.com", "email_verified": false}});
        assert!(read_by("email", act).is_err());
    }

    #[test]
    fn expressions_name_subject_and_actor_alike() {
        let mappings = json!({
            "username": { "expression": "'x:' + claims.sub" },
            "uid": { "expression": "claims.?uid.orValue('')" }
        });
        let read = |claims: Value| read_as(mappings.clone(), claims);
        let alone = read(json!({"sub": "bot", "uid": "1"})).unwrap();
        assert_eq!((&*alone.agent, alone.uid.as_deref()), ("x:bot", Some("1")));
        let both = read(json!({"sub": "ann", "uid": "1", "act": {"sub": "bot"}})).unwrap();
        assert_eq!(
            (&*both.agent, both.principal.as_deref()),
            ("x:bot", Some("x:ann"))
        );
        assert_eq!(both.uid, None);
        assert_eq!(both.aliases, ["ann", "bot", "x:ann", "x:bot"]);
        // What an expression makes nothing of, nobody else may name.
        for act in [
            json!({"name": "bot"}),
            json!({"sub": 7}),
            json!({"sub": null}),
        ] {
            let claims = json!({"sub": "ann", "act": act});
            assert!(
                matches!(read(claims.clone()), Err(Refusal::TokenRefused { .. })),
                "{claims}"
            );
        }
    }
}
