//! What is suspicious about rules that are valid: they never match, they never have a say,
//! they contradict each other, or they allow more than anybody means to. Part of room ④;
//! pure, and changes nothing: rules mean the same with and without a warning.
//!
//! A warning is only given where it is certain. What may be a custom resource is left alone.
//! Who is excepted from a rule (`exceptGroups`) is named in a warning that is not about them.

mod cover;
mod never;
mod wide;

use super::PolicySet;
use super::policy::{Policy, RuleSpec};
use super::rule::Rule;

/// What is suspicious about one field of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which kind of suspicion.
    pub lint: Lint,
    /// Which of the documents given, counted from 0.
    pub document: usize,
    /// The field's path in the document: `spec.rules[2].verbs`.
    pub field: String,
    /// What is suspicious.
    pub message: String,
    /// What to do.
    pub suggestion: Option<String>,
}

/// The kinds of suspicion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lint {
    /// A rule, or a part of it, that no request can match.
    NeverMatches,
    /// A rule that never decides anything, because another one always does.
    Shadowed,
    /// Two rules that say the opposite of the same requests.
    Contradicts,
    /// An allow rule that hands out more than looks meant.
    TooWide,
}

/// Looks at policies that compile. `clusters`: the names of all clusters, if they are known.
pub fn lint(policies: &[Policy], clusters: Option<&[&str]>) -> Vec<Warning> {
    let Ok(set) = PolicySet::compile(policies.to_vec()) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    for (document, policy) in policies.iter().enumerate() {
        for (index, spec) in policy.spec.rules.iter().enumerate() {
            let mut look = Look {
                at: format!("spec.rules[{index}]"),
                document,
                spec,
                warnings: &mut warnings,
            };
            let mine =
                |rule: &&Rule| *rule.policy == *policy.metadata.name && *rule.name == *spec.name;
            let Some(rule) = set.rules.iter().find(mine) else {
                continue;
            };
            let found = look.warnings.len();
            never::look(&mut look, rule, clusters);
            if look.warnings.len() == found {
                cover::look(&mut look, rule, &set);
                wide::look(&mut look, rule, &set);
            }
        }
    }
    warnings
}

/// One rule under suspicion.
struct Look<'a> {
    at: String,
    document: usize,
    spec: &'a RuleSpec,
    warnings: &'a mut Vec<Warning>,
}

impl Look<'_> {
    /// `field`: within the rule, empty for the rule as a whole.
    fn warn(&mut self, lint: Lint, field: &str, message: String, suggestion: Option<String>) {
        let field = match field {
            "" => self.at.clone(),
            field => format!("{}.{field}", self.at),
        };
        self.warnings.push(Warning {
            lint,
            document: self.document,
            field,
            message,
            suggestion,
        });
    }
}
