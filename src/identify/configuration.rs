//! Kubernetes' own `AuthenticationConfiguration`, as far as the gate understands it.
//!
//! An existing file for kube-apiserver works unchanged, or is refused with a sentence:
//! what is not supported is never silently ignored. Fields and rules follow
//! `k8s.io/apiserver/pkg/apis/apiserver/v1/types.go` and `…/validation/validation.go`.
//! This part reads no file and opens no connection.

mod check;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use check::Problems;
pub use check::{ConfigError, Problem};

/// Who may knock: the OIDC issuers, and how their claims become names and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthenticationConfiguration {
    /// `apiserver.config.k8s.io/v1` or `…/v1beta1`; may be left out where the
    /// configuration is written inline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `AuthenticationConfiguration`; may be left out where the configuration is inline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The issuers. A token is judged by the one whose `url` equals its `iss` claim.
    pub jwt: Vec<JwtAuthenticator>,
    /// Anonymous requests. The gate knows none: this may only be disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Anonymous>,
}

impl AuthenticationConfiguration {
    /// Every issuer (without a slash at the end) and audience whose tokens are accepted.
    pub fn accepted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.jwt.iter().flat_map(|jwt| {
            let url = jwt.issuer.url.trim_end_matches('/');
            let audiences = jwt.issuer.audiences.iter();
            audiences.map(move |audience| (url, audience.as_str()))
        })
    }
}

/// Anonymous requests; only `enabled: false` is accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Anonymous {
    /// Must be false.
    pub enabled: bool,
    /// Must be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<AnonymousCondition>,
}

/// Where Kubernetes would let anonymous requests in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnonymousCondition {
    /// The path.
    pub path: String,
}

/// One issuer, and what is made of its tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtAuthenticator {
    /// Where the tokens come from, and for whom they must be.
    pub issuer: Issuer,
    /// What else a token must claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim_validation_rules: Vec<ClaimValidationRule>,
    /// How claims become user name, groups and uid.
    pub claim_mappings: ClaimMappings,
    /// What must be true of the caller that a token makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_validation_rules: Vec<UserValidationRule>,
}

/// An OIDC provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    /// `https://…`, equal to the `iss` claim and to the discovery document's `issuer`,
    /// byte for byte. Unique.
    pub url: String,
    /// Where the discovery document is, if not at
    /// `{url}/.well-known/openid-configuration`; used exactly as written. Unique.
    #[serde(
        default,
        rename = "discoveryURL",
        skip_serializing_if = "Option::is_none"
    )]
    pub discovery_url: Option<String>,
    /// PEM certificates that the issuer's TLS certificate must chain to, instead of the
    /// system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// A token's `aud` must name at least one of these.
    pub audiences: Vec<String>,
    /// `MatchAny`; required when there are several audiences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience_match_policy: Option<String>,
    /// How kube-apiserver reaches the issuer; has no meaning here and is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_selector_type: Option<String>,
}

/// A claim that must be there and have this value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimValidationRule {
    /// The claim's name; its value must be a string.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// The value; if left out, the claim must be the empty string.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub required_value: String,
    /// Instead of `claim`: CEL over `claims` that must be true.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expression: String,
    /// What the log says when `expression` is not true.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How claims become a Kubernetes user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimMappings {
    /// The user name. With the claim `email`, a token whose `email_verified` is not true
    /// is refused.
    pub username: PrefixedClaim,
    /// The groups: a claim that is a string or a list of strings.
    #[serde(default)]
    pub groups: PrefixedClaim,
    /// The uid.
    #[serde(default)]
    pub uid: Claim,
    /// Extra attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraMapping>,
}

/// A claim with a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrefixedClaim {
    /// The claim's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// Put before the claim's value. Must be set where `claim` is set, and may be empty; not
    /// with `expression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Instead of `claim`: CEL over `claims`. For a user name a string that is not empty, and
    /// who uses `claims.email` must use `claims.email_verified`; for groups a string, a list
    /// of strings, or null.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expression: String,
}

/// A claim as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Claim {
    /// The claim's name; its value must be a string.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// Instead of `claim`: CEL over `claims` that is a string.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expression: String,
}

/// An extra attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtraMapping {
    /// Its key, `example.com/role`: a path below a domain, in small letters. Unique.
    pub key: String,
    /// CEL over `claims`: a string, a list of strings, or null.
    pub value_expression: String,
}

/// A rule over the resulting user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserValidationRule {
    /// CEL over `user` (`username`, `uid`, `groups`, `extra`) that must be true.
    pub expression: String,
    /// What the log says when it is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
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
    use serde_json::{Value, json};

    use super::*;

    /// A configuration as Kubernetes' documentation writes it, without expressions.
    fn good() -> Value {
        json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [{
                "issuer": { "url": "https://a.test", "audiences": ["gate"] },
                "claimMappings": {
                    "username": { "claim": "sub", "prefix": "" },
                    "groups": { "claim": "groups", "prefix": "oidc:" },
                    "uid": { "claim": "sub" }
                },
                "claimValidationRules": [{ "claim": "hd", "requiredValue": "example.com" }]
            }]
        })
    }

    fn problems(value: Value) -> Vec<String> {
        let parsed: AuthenticationConfiguration = serde_json::from_value(value).unwrap();
        match parsed.validate() {
            Ok(()) => Vec::new(),
            Err(e) => e.problems.into_iter().map(|p| p.field).collect(),
        }
    }

    #[test]
    fn kubernetes_own_file_is_accepted_and_survives_a_round_trip() {
        assert_eq!(problems(good()), Vec::<String>::new());
        let parsed: AuthenticationConfiguration = serde_json::from_value(good()).unwrap();
        let again = serde_json::to_value(&parsed).unwrap();
        assert_eq!(
            serde_json::from_value::<AuthenticationConfiguration>(again).unwrap(),
            parsed
        );
    }

    #[test]
    fn unknown_fields_are_errors_at_every_level() {
        for at in [
            "",
            "/jwt/0",
            "/jwt/0/issuer",
            "/jwt/0/claimMappings",
            "/jwt/0/claimMappings/username",
        ] {
            let mut value = good();
            value.pointer_mut(at).unwrap()["surprise"] = json!(1);
            assert!(
                serde_json::from_value::<AuthenticationConfiguration>(value).is_err(),
                "{at}"
            );
        }
    }

    #[test]
    fn each_rule_names_its_field() {
        let cases = [
            (
                "/apiVersion",
                json!("apiserver.config.k8s.io/v1alpha1"),
                "apiVersion",
            ),
            ("/kind", json!("Policy"), "kind"),
            ("/jwt", json!([]), "jwt"),
            ("/anonymous", json!({"enabled": true}), "anonymous"),
            ("/jwt/0/issuer/url", json!(""), "jwt[0].issuer.url"),
            (
                "/jwt/0/issuer/url",
                json!("http://a.test"),
                "jwt[0].issuer.url",
            ),
            (
                "/jwt/0/issuer/url",
                json!("https://u:p@a.test"),
                "jwt[0].issuer.url",
            ),
            (
                "/jwt/0/issuer/url",
                json!("https://a.test?q=1"),
                "jwt[0].issuer.url",
            ),
            (
                "/jwt/0/issuer/url",
                json!("https://a.test#f"),
                "jwt[0].issuer.url",
            ),
            ("/jwt/0/issuer/url", json!("not a url"), "jwt[0].issuer.url"),
            (
                "/jwt/0/issuer/discoveryURL",
                json!("https://a.test/"),
                "jwt[0].issuer.discoveryURL",
            ),
            (
                "/jwt/0/issuer/discoveryURL",
                json!("http://b.test/d"),
                "jwt[0].issuer.discoveryURL",
            ),
            (
                "/jwt/0/issuer/certificateAuthority",
                json!("/etc/ca.pem"),
                "jwt[0].issuer.certificateAuthority",
            ),
            (
                "/jwt/0/issuer/audiences",
                json!([]),
                "jwt[0].issuer.audiences",
            ),
            (
                "/jwt/0/issuer/audiences",
                json!([""]),
                "jwt[0].issuer.audiences[0]",
            ),
            (
                "/jwt/0/issuer/audiences",
                json!(["a", "b"]),
                "jwt[0].issuer.audienceMatchPolicy",
            ),
            (
                "/jwt/0/issuer/audienceMatchPolicy",
                json!("MatchAll"),
                "jwt[0].issuer.audienceMatchPolicy",
            ),
            (
                "/jwt/0/issuer/egressSelectorType",
                json!("cluster"),
                "jwt[0].issuer.egressSelectorType",
            ),
            (
                "/jwt/0/claimMappings/username",
                json!({"claim": "sub"}),
                "jwt[0].claimMappings.username.prefix",
            ),
            (
                "/jwt/0/claimMappings/username",
                json!({}),
                "jwt[0].claimMappings.username.claim",
            ),
            (
                "/jwt/0/claimMappings/groups",
                json!({"claim": "g"}),
                "jwt[0].claimMappings.groups.prefix",
            ),
            (
                "/jwt/0/claimMappings/groups",
                json!({"prefix": "g"}),
                "jwt[0].claimMappings.groups.prefix",
            ),
            (
                "/jwt/0/claimValidationRules/0",
                json!({}),
                "jwt[0].claimValidationRules[0].claim",
            ),
            (
                "/jwt/0/claimValidationRules/0/message",
                json!("m"),
                "jwt[0].claimValidationRules[0].message",
            ),
        ];
        for (at, to, field) in cases {
            let mut value = good();
            let (parent, key) = at.rsplit_once('/').unwrap();
            match value.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[key.parse::<usize>().unwrap()] = to.clone(),
                other => other[key] = to.clone(),
            }
            assert_eq!(problems(value), [field], "{at} = {to}");
        }
    }

    #[test]
    fn issuers_and_discovery_urls_are_unique() {
        let mut value = good();
        value["jwt"][0]["issuer"]["discoveryURL"] = json!("https://b.test/d");
        let twin = value["jwt"][0].clone();
        value["jwt"].as_array_mut().unwrap().push(twin);
        assert_eq!(
            problems(value),
            ["jwt[1].issuer.url", "jwt[1].issuer.discoveryURL"]
        );
    }

    /// The same with expressions, as Kubernetes' documentation writes them.
    fn with_expressions() -> Value {
        let mut value = good();
        let jwt = &mut value["jwt"][0];
        jwt["claimMappings"] = json!({
            "username": { "expression": "claims.username + ':external-user'" },
            "groups": { "expression": "claims.roles.split(',')" },
            "uid": { "expression": "claims.sub" },
            "extra": [{ "key": "example.com/tenant", "valueExpression": "claims.tenant" }]
        });
        jwt["claimValidationRules"] = json!([
            { "claim": "hd", "requiredValue": "example.com" },
            { "expression": "claims.exp - claims.nbf <= 86400", "message": "at most a day" },
            { "expression": "claims.kubernetes__dot__io.namespace == 'agents'" }
        ]);
        jwt["userValidationRules"] = json!([
            { "expression": "!user.username.startsWith('system:')", "message": "reserved" },
            { "expression": "user.groups.all(group, !group.startsWith('system:'))" }
        ]);
        value
    }

    #[test]
    fn kubernetes_own_expressions_are_accepted() {
        assert_eq!(problems(with_expressions()), Vec::<String>::new());
    }

    #[test]
    fn each_rule_of_expressions_names_its_field() {
        let mappings = "/jwt/0/claimMappings";
        let both = json!({ "claim": "a", "prefix": "", "expression": "claims.a" });
        for (at, to, field) in [
            ("username", both.clone(), "username"),
            ("groups", both, "groups"),
            (
                "uid",
                json!({ "claim": "a", "expression": "claims.a" }),
                "uid",
            ),
            (
                "username",
                json!({ "expression": "claims.a", "prefix": "" }),
                "username.prefix",
            ),
            (
                "username",
                json!({ "expression": "claim.a" }),
                "username.expression",
            ),
            (
                "username",
                json!({ "expression": "1 + 1" }),
                "username.expression",
            ),
            (
                "groups",
                json!({ "expression": "{'a': 1}" }),
                "groups.expression",
            ),
            ("uid", json!({ "expression": "['a']" }), "uid.expression"),
            (
                "username",
                json!({ "expression": "claims.email" }),
                "username.expression",
            ),
            (
                "username",
                json!({ "expression": "claims['email']" }),
                "username.expression",
            ),
        ] {
            let mut value = with_expressions();
            value.pointer_mut(mappings).unwrap()[at] = to.clone();
            assert_eq!(
                problems(value),
                [format!("jwt[0].claimMappings.{field}")],
                "{to}"
            );
        }
        for (rules, to, field) in [
            (
                "claimValidationRules",
                json!([{ "claim": "a", "expression": "true" }]),
                "[0]",
            ),
            (
                "claimValidationRules",
                json!([{ "expression": "true", "requiredValue": "a" }]),
                "[0].requiredValue",
            ),
            (
                "claimValidationRules",
                json!([{ "expression": "true" }, { "expression": "true" }]),
                "[1].expression",
            ),
            (
                "claimValidationRules",
                json!([{ "expression": "user.username == 'a'" }]),
                "[0].expression",
            ),
            (
                "claimValidationRules",
                json!([{ "expression": "'a'" }]),
                "[0].expression",
            ),
            (
                "userValidationRules",
                json!([{ "expression": "" }]),
                "[0].expression",
            ),
            (
                "userValidationRules",
                json!([{ "expression": "true" }, { "expression": "true" }]),
                "[1].expression",
            ),
            (
                "userValidationRules",
                json!([{ "expression": "user.name == 'a'" }]),
                "[0].expression",
            ),
            (
                "userValidationRules",
                json!([{ "expression": "claims.a == 'a'" }]),
                "[0].expression",
            ),
        ] {
            let mut value = with_expressions();
            value["jwt"][0][rules] = to.clone();
            assert_eq!(problems(value), [format!("jwt[0].{rules}{field}")], "{to}");
        }
        for key in [
            "",
            "tenant",
            "/tenant",
            "example.com/",
            "Example.com/a",
            "example.com/A",
            "-a.com/a",
            "example.com/a b",
            "k8s.io/a",
            "authentication.kubernetes.io/a",
            "gateward.dev/principal",
        ] {
            let mut value = with_expressions();
            value.pointer_mut(mappings).unwrap()["extra"][0]["key"] = json!(key);
            assert_eq!(
                problems(value),
                ["jwt[0].claimMappings.extra[0].key"],
                "{key}"
            );
        }
    }

    #[test]
    fn who_makes_a_name_of_an_email_looks_at_whether_it_is_verified() {
        let verified = "claims.email_verified == true";
        for (username, rules, extra, fine) in [
            ("claims.email", "true", "claims.a", false),
            ("claims.?email.orValue('')", "true", "claims.a", false),
            ("claims.sub", "true", "claims.a", true),
            ("claims.email", verified, "claims.a", true),
            (
                "claims.email",
                "true",
                "string(claims.email_verified)",
                true,
            ),
            (
                "claims.email_verified ? claims.email : claims.sub",
                "true",
                "claims.a",
                true,
            ),
        ] {
            let mut value = with_expressions();
            let jwt = &mut value["jwt"][0];
            jwt["claimMappings"]["username"] = json!({ "expression": username });
            jwt["claimMappings"]["extra"][0]["valueExpression"] = json!(extra);
            jwt["claimValidationRules"] = json!([{ "expression": rules }]);
            assert_eq!(
                problems(value).is_empty(),
                fine,
                "{username} {rules} {extra}"
            );
        }
    }
}
