//! Cases against rules: what was expected, and what was found. Part of `suppose`.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Found, Manifest, Problem, Request, Supposed, Who, of_manifest};
use crate::config::cases::{Case, CaseAt, Expected, ManifestVerb, Names};
use crate::config::{Diagnostic, Rules};

/// A case that was tried.
#[derive(Debug)]
pub struct Tried<'r> {
    /// The case.
    pub at: CaseAt,
    /// The request's line.
    pub line: String,
    /// What was found.
    pub found: Found<'r>,
}

impl Tried<'_> {
    /// Whether it is as expected.
    pub fn passed(&self) -> bool {
        let (case, found) = (&self.at.case, &self.found);
        let fits = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        case.verdict == found.verdict
            && fits(&case.rule, found.rule)
            && fits(&case.policy, found.policy)
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        self.at.case.name.as_deref().unwrap_or(&self.line)
    }

    /// What was expected, in words.
    pub fn expected(&self) -> String {
        let case = &self.at.case;
        let policy = case.policy.as_deref().unwrap_or_default();
        in_words(
            case.verdict,
            policy,
            case.rule.as_deref().unwrap_or_default(),
        )
    }

    /// What was found, in words.
    pub fn found(&self) -> String {
        let policy = match &self.at.case.policy {
            Some(_) => self.found.policy,
            None => "",
        };
        in_words(self.found.verdict, policy, self.found.rule)
    }

    /// For programs.
    pub fn document(&self) -> Value {
        let case = &self.at.case;
        json!({
            "file": self.at.file(),
            "line": self.at.line,
            "name": self.name(),
            "ask": self.line,
            "agent": case.caller.agent,
            "expected": {"verdict": case.verdict, "policy": case.policy, "rule": case.rule},
            "found": {
                "verdict": self.found.verdict,
                "policy": self.found.policy,
                "rule": self.found.rule,
                "why": self.found.why,
            },
            "passed": self.passed(),
        })
    }
}

/// Tries every case.
///
/// # Errors
/// What is wrong with cases, so that they say nothing.
pub fn try_all(cases: Vec<CaseAt>, rules: &Rules) -> Result<Vec<Tried<'_>>, Vec<Diagnostic>> {
    let mut tried = Vec::new();
    let mut problems = Vec::new();
    for at in cases {
        match supposed(&at) {
            Ok(supposed) => tried.push(Tried {
                line: supposed.request.line(),
                found: supposed.judge(rules),
                at,
            }),
            Err(Problem {
                field,
                message,
                suggestion,
            }) => problems.push(at.problem(field, message, suggestion)),
        }
    }
    match problems.is_empty() {
        true => Ok(tried),
        false => Err(problems),
    }
}

/// (policy, rule) of all rules that decided no case.
pub fn untried<'r>(tried: &[Tried<'r>], rules: &'r Rules) -> Vec<(&'r str, &'r str)> {
    let seen: HashSet<(&str, &str)> = tried
        .iter()
        .map(|tried| (tried.found.policy, tried.found.rule))
        .collect();
    let all = rules.policy.rules();
    all.filter(|rule| !seen.contains(rule)).collect()
}

fn supposed(at: &CaseAt) -> Result<Supposed, Problem> {
    let case = &at.case;
    let request = match (&case.ask, &case.manifest) {
        (Some(line), _) => {
            Request::of_line(line, case.body.as_ref(), case.content_type.as_deref())?
        }
        (None, manifest) => of_manifest(Manifest {
            object: manifest.as_ref().unwrap_or(&Value::Null),
            verb: case.verb.unwrap_or(ManifestVerb::Create),
            resource: case.resource.as_deref(),
            subresource: case.subresource.as_deref(),
            namespace: "default",
        })?,
    };
    for (field, object) in [("object", &case.object), ("oldObject", &case.old_object)] {
        if object.as_ref().is_some_and(|object| !object.is_object()) {
            return Err(Problem {
                field,
                message: "is not an object".to_owned(),
                suggestion: None,
            });
        }
    }
    Ok(Supposed {
        who: who(case),
        cluster: case.cluster.clone().unwrap_or_default(),
        now: at.now,
        request,
        object: case.object.clone(),
        old_object: case.old_object.clone(),
        grants: case.service_account_grants.clone(),
    })
}

fn who(case: &Case) -> Who {
    let Names {
        agent,
        principal,
        groups,
        issuer,
        uid,
        extra,
    } = case.caller.clone();
    Who {
        agent: agent.unwrap_or_default(),
        principal: principal.filter(|name| !name.is_empty()),
        groups: groups.unwrap_or_default(),
        issuer: issuer.unwrap_or_default(),
        uid: Some(uid.unwrap_or_default()),
        extra: Some(extra.unwrap_or_default()),
    }
}

fn in_words(verdict: Expected, policy: &str, rule: &str) -> String {
    let word = json!(verdict);
    let word = word.as_str().unwrap_or_default();
    match (policy, rule) {
        ("", "") => word.to_owned(),
        ("", rule) => format!("{word} by {rule}"),
        (policy, rule) => format!("{word} by {policy}/{rule}"),
    }
}
