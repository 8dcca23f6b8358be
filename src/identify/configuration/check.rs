//! The rules that an `AuthenticationConfiguration` must hold: Kubernetes' own
//! (`k8s.io/apiserver/pkg/apis/apiserver/validation/validation.go`), and a refusal for
//! each thing that the gate does not support. Reads nothing, opens nothing.

use std::collections::BTreeSet;
use std::fmt;

use url::Url;

use super::super::expressions::{self, Expressions};
use super::{AuthenticationConfiguration, ClaimMappings, Issuer, JwtAuthenticator, PrefixedClaim};

const BOTH: &str = "claim and expression cannot both be set";
const MOST_ISSUERS: usize = 64;

/// Everything that is wrong with a configuration, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field's path, `jwt[0].issuer.url`.
    pub field: String,
    /// What is wrong, and what to do.
    pub sentence: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { field, sentence }) in self.problems.iter().enumerate() {
            write!(f, "{}{field}: {sentence}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl AuthenticationConfiguration {
    /// Holds Kubernetes' own rules, and refuses what the gate does not support.
    ///
    /// # Errors
    /// All problems at once, each with the path of its field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut found = Problems::default();
        self.validate_envelope(&mut found);
        let mut urls = BTreeSet::new();
        let mut discovery_urls = BTreeSet::new();
        for (i, jwt) in self.jwt.iter().enumerate() {
            let at = format!("jwt[{i}]");
            jwt.issuer.validate(&format!("{at}.issuer"), &mut found);
            if !urls.insert(&jwt.issuer.url) {
                found.add(
                    format!("{at}.issuer.url"),
                    "each issuer may be listed only once",
                );
            }
            if let Some(url) = &jwt.issuer.discovery_url
                && !discovery_urls.insert(url)
            {
                found.add(
                    format!("{at}.issuer.discoveryURL"),
                    "another issuer has this one",
                );
            }
            jwt.validate_rules(&at, &mut found);
            jwt.claim_mappings
                .validate(&format!("{at}.claimMappings"), &mut found);
        }
        found.into_result()
    }

    fn validate_envelope(&self, found: &mut Problems) {
        let versions = [
            "apiserver.config.k8s.io/v1",
            "apiserver.config.k8s.io/v1beta1",
        ];
        if self
            .api_version
            .as_deref()
            .is_some_and(|v| !versions.contains(&v))
        {
            found.add(
                "apiVersion",
                format!("must be {} or {}", versions[0], versions[1]),
            );
        }
        if self
            .kind
            .as_deref()
            .is_some_and(|k| k != "AuthenticationConfiguration")
        {
            found.add("kind", "must be AuthenticationConfiguration");
        }
        if self.jwt.is_empty() {
            found.add(
                "jwt",
                "name at least one issuer: without one, nobody can be identified",
            );
        }
        if self.jwt.len() > MOST_ISSUERS {
            found.add("jwt", format!("at most {MOST_ISSUERS} issuers"));
        }
        if let Some(anonymous) = &self.anonymous
            && (anonymous.enabled || !anonymous.conditions.is_empty())
        {
            found.add(
                "anonymous",
                "the gate knows no anonymous requests: set enabled to false",
            );
        }
    }
}

impl JwtAuthenticator {
    fn validate_rules(&self, at: &str, found: &mut Problems) {
        let mut seen = BTreeSet::new();
        for (i, rule) in self.claim_validation_rules.iter().enumerate() {
            let at = format!("{at}.claimValidationRules[{i}]");
            match (rule.claim.is_empty(), rule.expression.is_empty()) {
                (false, false) => found.add(at, BOTH),
                (true, true) => found.add(format!("{at}.claim"), "claim or expression is required"),
                (false, true) => {
                    if !seen.insert(&rule.claim) {
                        found.add(format!("{at}.claim"), "another rule has this claim already");
                    }
                    if !rule.message.is_empty() {
                        let sentence = "may not be set together with claim";
                        found.add(format!("{at}.message"), sentence);
                    }
                }
                (true, false) => {
                    if !seen.insert(&rule.expression) {
                        let sentence = "another rule has this expression already";
                        found.add(format!("{at}.expression"), sentence);
                    }
                    if !rule.required_value.is_empty() {
                        let sentence = "may not be set together with expression";
                        found.add(format!("{at}.requiredValue"), sentence);
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        for (i, rule) in self.user_validation_rules.iter().enumerate() {
            let at = format!("{at}.userValidationRules[{i}].expression");
            if rule.expression.is_empty() {
                found.add(at, "is required");
            } else if !seen.insert(&rule.expression) {
                found.add(at, "another rule has this expression already");
            }
        }
        expressions::check_extra_keys(self, at, found);
        Expressions::compile(self, at, found);
    }
}

impl Issuer {
    fn validate(&self, at: &str, found: &mut Problems) {
        https_url(&self.url, &format!("{at}.url"), found);
        if let Some(discovery) = &self.discovery_url {
            let at = format!("{at}.discoveryURL");
            https_url(discovery, &at, found);
            if discovery.trim_end_matches('/') == self.url.trim_end_matches('/') {
                found.add(
                    at,
                    "must differ from url; leave it out if the document is at the usual place",
                );
            }
        }
        if let Some(pem) = &self.certificate_authority
            && !reqwest::Certificate::from_pem_bundle(pem.as_bytes()).is_ok_and(|c| !c.is_empty())
        {
            found.add(
                format!("{at}.certificateAuthority"),
                "holds no PEM certificate; paste the certificate itself, not the path of a file",
            );
        }
        let mut seen = BTreeSet::new();
        if self.audiences.is_empty() {
            found.add(format!("{at}.audiences"), "name at least one audience");
        }
        for (i, audience) in self.audiences.iter().enumerate() {
            if audience.is_empty() {
                found.add(format!("{at}.audiences[{i}]"), "may not be empty");
            } else if !seen.insert(audience) {
                found.add(format!("{at}.audiences[{i}]"), "is listed twice");
            }
        }
        match self.audience_match_policy.as_deref().unwrap_or_default() {
            "MatchAny" => {}
            "" if self.audiences.len() <= 1 => {}
            _ => found.add(format!("{at}.audienceMatchPolicy"), "must be MatchAny"),
        }
        if self
            .egress_selector_type
            .as_deref()
            .is_some_and(|t| !t.is_empty())
        {
            found.add(
                format!("{at}.egressSelectorType"),
                "has no meaning at the gate: leave it out",
            );
        }
    }
}

impl ClaimMappings {
    fn validate(&self, at: &str, found: &mut Problems) {
        self.username.validate(&format!("{at}.username"), found);
        if self.username.claim.is_empty() && self.username.expression.is_empty() {
            found.add(
                format!("{at}.username.claim"),
                "claim or expression is required",
            );
        }
        self.groups.validate(&format!("{at}.groups"), found);
        if !self.uid.claim.is_empty() && !self.uid.expression.is_empty() {
            found.add(format!("{at}.uid"), BOTH);
        }
    }
}

impl PrefixedClaim {
    fn validate(&self, at: &str, found: &mut Problems) {
        match (self.claim.is_empty(), self.expression.is_empty()) {
            (false, false) => found.add(at, BOTH),
            (true, false) if self.prefix.is_some() => found.add(
                format!("{at}.prefix"),
                "may not be set together with expression, which can add it itself",
            ),
            (true, true) if self.prefix.is_some() => {
                found.add(format!("{at}.prefix"), "has no meaning without claim");
            }
            (false, true) if self.prefix.is_none() => found.add(
                format!("{at}.prefix"),
                "is required when claim is set; it may be the empty string",
            ),
            _ => {}
        }
    }
}

fn https_url(text: &str, at: &str, found: &mut Problems) {
    if text.is_empty() {
        return found.add(at, "is required");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return found.add(at, format!("is not a URL: {error}")),
    };
    if url.scheme() != "https" {
        found.add(at, "must begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        found.add(at, "must not contain a user name or password");
    }
    if url.query().is_some() {
        found.add(at, "must not contain a query");
    }
    if url.fragment().is_some() {
        found.add(at, "must not contain a fragment");
    }
}

/// Problems in the making.
#[derive(Default)]
pub(in crate::identify) struct Problems(Vec<Problem>);

impl Problems {
    pub(in crate::identify) fn add(
        &mut self,
        field: impl Into<String>,
        sentence: impl Into<String>,
    ) {
        self.0.push(Problem {
            field: field.into(),
            sentence: sentence.into(),
        });
    }

    pub(in crate::identify) fn into_result(self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { problems: self.0 })
        }
    }
}
