//! The CEL of an `AuthenticationConfiguration`: over `claims` for mappings and rules about
//! claims, over `user` for rules about the outcome. What fails refuses the token.
//!
//! Rules follow `k8s.io/apiserver/pkg/apis/apiserver/validation/validation.go`, results
//! `…/plugin/pkg/authenticator/token/oidc/oidc.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::configuration::{JwtAuthenticator, Problems};
use super::mapping::Lookup;
use super::token::{quoted, refused};
use crate::cel::{
    Environment, Expression, Has, Kind, Meter, PER_EVALUATION, Record, Trouble, Value,
};
use crate::refusal::Refusal;

static CLAIMS: LazyLock<Environment> = LazyLock::new(|| {
    let claims = Kind::map(Kind::String, Kind::Dyn);
    Environment::new(vec![("claims", claims)]).with_escapes()
});

static USER: LazyLock<Environment> = LazyLock::new(|| {
    let texts = Kind::list(Kind::String);
    let fields = [
        ("username", Kind::String),
        ("uid", Kind::String),
        ("groups", texts.clone()),
        ("extra", Kind::map(Kind::String, texts)),
    ];
    Environment::new(vec![("user", Kind::record("user", &fields, Has::Always))]).with_escapes()
});

/// The expressions of one issuer.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    pub username: Option<Expression>,
    pub groups: Option<Expression>,
    pub uid: Option<Expression>,
    /// By key.
    extra: Vec<(String, Expression)>,
    claim_rules: Vec<Rule>,
    user_rules: Vec<Rule>,
}

/// What must be true, and what the operator says of it.
#[derive(Debug)]
struct Rule {
    expression: Expression,
    message: String,
}

impl Expressions {
    /// Compiles all that are there, and notes what is wrong with them; `at` is the
    /// issuer's place.
    pub(super) fn compile(jwt: &JwtAuthenticator, at: &str, found: &mut Problems) -> Self {
        let mappings = &jwt.claim_mappings;
        let strings = [Kind::String, Kind::list(Kind::String), Kind::Null];
        let mut compiler = Compiler { found };
        let mut claims = |text: &str, field: &str, kinds: &[Kind]| {
            let field = format!("{at}.{field}");
            (!text.is_empty())
                .then(|| compiler.compile(text, field, &CLAIMS, kinds))
                .flatten()
        };
        let mut compiled = Self {
            username: claims(
                &mappings.username.expression,
                "claimMappings.username.expression",
                &[Kind::String],
            ),
            groups: claims(
                &mappings.groups.expression,
                "claimMappings.groups.expression",
                &strings,
            ),
            uid: claims(
                &mappings.uid.expression,
                "claimMappings.uid.expression",
                &[Kind::String],
            ),
            ..Self::default()
        };
        for (i, extra) in mappings.extra.iter().enumerate() {
            let field = format!("claimMappings.extra[{i}].valueExpression");
            let expression = claims(&extra.value_expression, &field, &strings);
            let expression = expression.map(|expression| (extra.key.clone(), expression));
            compiled.extra.extend(expression);
        }
        for (i, rule) in jwt.claim_validation_rules.iter().enumerate() {
            let field = format!("claimValidationRules[{i}].expression");
            let expression = claims(&rule.expression, &field, &[Kind::Bool]);
            compiled
                .claim_rules
                .extend(expression.map(|expression| Rule {
                    expression,
                    message: rule.message.clone(),
                }));
        }
        for (i, rule) in jwt.user_validation_rules.iter().enumerate() {
            let field = format!("{at}.userValidationRules[{i}].expression");
            if rule.expression.is_empty() {
                continue;
            }
            let expression = compiler.compile(&rule.expression, field, &USER, &[Kind::Bool]);
            compiled
                .user_rules
                .extend(expression.map(|expression| Rule {
                    expression,
                    message: rule.message.clone(),
                }));
        }
        compiled.check_email(at, found);
        compiled
    }

    /// An address that nobody verified could be anybody's: as upstream, who makes a name of
    /// one must look at whether it is verified.
    fn check_email(&self, at: &str, found: &mut Problems) {
        let looks_at = |expression: &Expression, claim| expression.looks_at("claims", claim);
        let rules = self.claim_rules.iter().map(|rule| &rule.expression);
        let extra = self.extra.iter().map(|(_, expression)| expression);
        let uses = self.username.as_ref();
        if uses.is_some_and(|username| looks_at(username, "email"))
            && !uses
                .into_iter()
                .chain(rules)
                .chain(extra)
                .any(|expression| looks_at(expression, "email_verified"))
        {
            found.add(
                format!("{at}.claimMappings.username.expression"),
                "uses claims.email, so claims.email_verified must be used here, in an \
                 extra[].valueExpression or in a claimValidationRules[].expression",
            );
        }
    }

    /// Holds `claimValidationRules` that are expressions.
    pub(super) fn check_claims(&self, claims: Lookup<'_>) -> Result<(), Refusal> {
        check(&self.claim_rules, &Claims(claims))
    }

    /// Holds `userValidationRules`.
    pub(super) fn check_user(&self, user: &User<'_>) -> Result<(), Refusal> {
        check(&self.user_rules, user)
    }

    /// The extra attributes, keys without values left out.
    pub(super) fn extra(
        &self,
        claims: Lookup<'_>,
    ) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
        let mut extra = BTreeMap::new();
        for (key, expression) in &self.extra {
            let values = texts(expression, claims)?;
            if !values.is_empty() {
                extra.insert(key.clone(), values);
            }
        }
        Ok(extra)
    }
}

struct Compiler<'f> {
    found: &'f mut Problems,
}

impl Compiler<'_> {
    fn compile(
        &mut self,
        text: &str,
        field: String,
        environment: &Environment,
        kinds: &[Kind],
    ) -> Option<Expression> {
        Expression::compile_as(text, environment, kinds)
            .map_err(|fault| self.found.add(field, fault.to_string()))
            .ok()
    }
}

/// The keys of `extra`: as upstream, and none that the gate itself sets.
pub(super) fn check_extra_keys(jwt: &JwtAuthenticator, at: &str, found: &mut Problems) {
    let mut seen = BTreeSet::new();
    for (i, extra) in jwt.claim_mappings.extra.iter().enumerate() {
        let at = format!("{at}.claimMappings.extra[{i}]");
        let field = format!("{at}.key");
        let (domain, path) = extra.key.split_once('/').unwrap_or_default();
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| letter(b) || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let in_path = |b: u8| letter(b) || b"-._~!$&'()*+,;=:@/%".contains(&b);
        if !domain.split('.').all(label) || domain.len() > 253 || path.is_empty() {
            found.add(
                &field,
                "must be a path below a domain, in small letters: example.com/role",
            );
        } else if !path.bytes().all(in_path) {
            found.add(
                &field,
                "must be in small letters, digits and -._~!$&'()*+,;=:@/%",
            );
        }
        for reserved in ["kubernetes.io", "k8s.io", "gateward.dev"] {
            let below = domain.strip_suffix(reserved);
            if below.is_some_and(|below| below.is_empty() || below.ends_with('.')) {
                found.add(
                    &field,
                    format!("{reserved} and what is below it is reserved"),
                );
            }
        }
        if !seen.insert(&extra.key) {
            found.add(&field, "another entry has this key already");
        }
        if extra.value_expression.is_empty() {
            found.add(format!("{at}.valueExpression"), "is required");
        }
    }
}

/// What `user` is: the caller as the cluster will see it.
#[derive(Debug)]
pub(super) struct User<'u> {
    pub username: &'u str,
    pub uid: Option<&'u str>,
    pub groups: &'u [String],
    pub extra: &'u BTreeMap<String, Vec<String>>,
}

impl Record for User<'_> {
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            // The variable, and its fields.
            "user" => Value::Record(self),
            "username" => Value::text(self.username),
            "uid" => Value::text(self.uid.unwrap_or_default()),
            "groups" => Value::texts(self.groups),
            "extra" => Value::entries(self.extra),
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Claims<'c>(Lookup<'c>);

impl Record for Claims<'_> {
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        (name == "claims").then(|| Value::entries(self.0.all()))
    }
}

fn check(rules: &[Rule], variables: &dyn Record) -> Result<(), Refusal> {
    for Rule {
        expression,
        message,
    } in rules
    {
        match expression.holds(variables, &mut Meter::of(PER_EVALUATION)) {
            Ok(true) => {}
            Ok(false) => {
                return Err(refused(
                    "the token does not meet a rule of the gate's configuration",
                    format!("{message} ({} is false)", quoted(expression.text())),
                ));
            }
            Err(trouble) => return Err(failed(expression, &trouble)),
        }
    }
    Ok(())
}

/// The value of an expression that must be a string; empty strings are left to the caller.
pub(super) fn text(expression: &Expression, claims: Lookup<'_>) -> Result<String, Refusal> {
    let variables = Claims(claims);
    match expression.evaluate(&variables, &mut Meter::of(PER_EVALUATION)) {
        Ok(Value::String(text)) => Ok(text.to_string()),
        Ok(other) => Err(of_wrong_type(expression, &other)),
        Err(trouble) => Err(failed(expression, &trouble)),
    }
}

/// The value of an expression that is a string, a list of strings, or null; as upstream,
/// without empty strings.
pub(super) fn texts(expression: &Expression, claims: Lookup<'_>) -> Result<Vec<String>, Refusal> {
    let variables = Claims(claims);
    let value = expression
        .evaluate(&variables, &mut Meter::of(PER_EVALUATION))
        .map_err(|trouble| failed(expression, &trouble))?;
    let mut texts = Vec::new();
    match value {
        Value::Null => {}
        Value::String(text) => texts.push(text.to_string()),
        Value::List(list) => {
            for item in list.iter() {
                match item {
                    Value::String(text) => texts.push(text.to_string()),
                    other => return Err(of_wrong_type(expression, &other)),
                }
            }
        }
        other => return Err(of_wrong_type(expression, &other)),
    }
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

fn of_wrong_type(expression: &Expression, value: &Value<'_>) -> Refusal {
    let what = format!("yields a value of type {}", value.type_name());
    unusable(expression, &what)
}

fn failed(expression: &Expression, trouble: &Trouble) -> Refusal {
    unusable(expression, &expression.describe(trouble))
}

fn unusable(expression: &Expression, what: &str) -> Refusal {
    refused(
        "an expression of the gate's configuration has no use for this token; tell its operators",
        format!("{}: {what}", quoted(expression.text())),
    )
}
