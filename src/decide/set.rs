//! Policy documents → an immutable [`PolicySet`]. Part of room ④; everything that can be
//! wrong with a rule is found here, before the first request.

mod conditions;
mod hold;
mod masks;
mod whom;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::HoldTerms;
use super::glob::Glob;
use super::index::Index;
use super::masks::MaskRule;
use super::policy::{Effect, Policy, RuleSpec, Verb};
use super::rule::{Globs, Rule, Target, Verbs};
use masks::too_many_steps;

/// All rules of all policies, compiled; never changes.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// In order of effect (deny, hold, allow), policy and name: the first match decides.
    pub(super) rules: Box<[Rule]>,
    pub(super) digest: Arc<str>,
    document: Arc<[u8]>,
    pub(super) asks_rights: bool,
    /// Of these rules.
    pub(super) index: Index,
    masks: Box<[MaskRule]>,
}

/// What is wrong with one field of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Which of the documents given, counted from 0.
    pub document: usize,
    /// The field's path in the document: `spec.rules[2].verbs`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub suggestion: Option<String>,
}

impl PolicySet {
    /// Compiles documents, or says everything that is wrong with them.
    pub fn compile(mut policies: Vec<Policy>) -> Result<Self, Vec<PolicyError>> {
        let mut errors = Vec::new();
        let (mut rules, mut masks) = (Vec::new(), Vec::new());
        let mut names = HashSet::new();
        for (document, policy) in policies.iter().enumerate() {
            let mut check = Check {
                document,
                errors: &mut errors,
            };
            let name = &policy.metadata.name;
            check.name("metadata.name", name);
            if !names.insert(name.as_str()) {
                check.error(
                    "metadata.name",
                    format!("another policy is called \"{name}\" too"),
                    Some("give every policy its own name".to_owned()),
                );
            }
            check.rules(policy, &mut rules);
            check.masks(policy, &mut masks);
        }
        errors.extend(too_many_steps(&masks));
        if !errors.is_empty() {
            return Err(errors);
        }
        rules.sort_by(|a: &Rule, b: &Rule| {
            (a.effect, &a.policy, &a.name).cmp(&(b.effect, &b.policy, &b.name))
        });
        let document = document(&mut policies);
        Ok(Self {
            asks_rights: rules.iter().any(Rule::asks_rights),
            index: Index::of(&rules),
            rules: rules.into(),
            masks: masks.into(),
            digest: digest(&document),
            document,
        })
    }

    /// SHA-256 over the documents in normal form (the order of documents and rules aside),
    /// 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The documents in normal form, as JSON: [`digest`](Self::digest) is their SHA-256.
    pub fn document(&self) -> &[u8] {
        &self.document
    }

    /// The mask rules.
    pub fn masks(&self) -> &[MaskRule] {
        &self.masks
    }

    /// The names of every rule: (policy, rule), in the order in which they are tried.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().map(|rule| (&*rule.policy, &*rule.name))
    }
}

fn document(policies: &mut [Policy]) -> Arc<[u8]> {
    for policy in &mut *policies {
        policy.spec.rules.sort_by(|a, b| a.name.cmp(&b.name));
        policy.spec.masks.sort_by(|a, b| a.name.cmp(&b.name));
    }
    policies.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    // These types hold strings, lists and numbers only: their JSON cannot fail.
    serde_json::to_vec(policies).unwrap_or_default().into()
}

fn digest(document: &[u8]) -> Arc<str> {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(document) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.into()
}

/// Collects what is wrong with one document.
struct Check<'a> {
    document: usize,
    errors: &'a mut Vec<PolicyError>,
}

impl Check<'_> {
    fn error(&mut self, field: &str, message: String, suggestion: Option<String>) {
        self.errors.push(PolicyError {
            document: self.document,
            field: field.to_owned(),
            message,
            suggestion,
        });
    }

    fn name(&mut self, field: &str, name: &str) {
        let outer = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fine = name.len() <= 63
            && name.bytes().all(|b| outer(b) || b == b'-' || b == b'.')
            && name.bytes().next().is_some_and(outer)
            && name.bytes().next_back().is_some_and(outer);
        if !fine {
            self.error(
                field,
                format!("\"{name}\" is not a valid name"),
                Some(
                    "use lower-case letters, digits, \"-\" and \".\", at most 63 characters, \
                     with a letter or digit at both ends"
                        .to_owned(),
                ),
            );
        }
    }

    fn rules(&mut self, policy: &Policy, rules: &mut Vec<Rule>) {
        let policy_name: Arc<str> = policy.metadata.name.as_str().into();
        let mut names = HashSet::new();
        if policy.spec.rules.is_empty() && policy.spec.masks.is_empty() {
            self.error(
                "spec.rules",
                "a policy needs at least one rule or mask".to_owned(),
                None,
            );
        }
        for (index, spec) in policy.spec.rules.iter().enumerate() {
            let at = format!("spec.rules[{index}]");
            self.name(&format!("{at}.name"), &spec.name);
            if !names.insert(spec.name.as_str()) {
                self.error(
                    &format!("{at}.name"),
                    format!(
                        "another rule of this policy is called \"{}\" too",
                        spec.name
                    ),
                    Some("give every rule its own name".to_owned()),
                );
            }
            rules.extend(self.rule(&at, &policy_name, spec));
        }
    }

    /// `None` only after an error was noted.
    fn rule(&mut self, at: &str, policy: &Arc<str>, spec: &RuleSpec) -> Option<Rule> {
        let reason = self.reason(at, spec);
        let target = self.target(at, spec);
        let verbs = self.verbs(at, spec);
        let conditions = self.conditions(at, spec);
        let hold = self.hold(at, spec).map(|(expires_after, groups, quorum)| {
            Arc::new(HoldTerms {
                policy: policy.clone(),
                rule: spec.name.as_str().into(),
                reason: reason.clone(),
                approver_groups: groups,
                expires_after,
                quorum,
            })
        });
        Some(Rule {
            policy: policy.clone(),
            name: spec.name.as_str().into(),
            effect: spec.effect,
            reason,
            whom: self.whom(at, spec.subjects.as_ref()),
            clusters: self.globs(at, "clusters", spec.clusters.as_deref()),
            verbs,
            target: target?,
            conditions,
            hold,
        })
    }

    fn reason(&mut self, at: &str, spec: &RuleSpec) -> Arc<str> {
        let field = format!("{at}.reason");
        let reason = spec.reason.as_deref().unwrap_or_default().trim();
        if reason.is_empty() && spec.effect != Effect::Allow {
            self.error(
                &field,
                "a hold or deny rule needs a reason".to_owned(),
                Some(
                    "write one sentence that tells the agent why, and what to do instead"
                        .to_owned(),
                ),
            );
        }
        if reason.len() > 500 || reason.contains(char::is_control) {
            self.error(
                &field,
                "the reason is sent to the agent in a status message: one line, at most 500 \
                 bytes"
                    .to_owned(),
                None,
            );
        }
        reason.into()
    }

    fn verbs(&mut self, at: &str, spec: &RuleSpec) -> Verbs {
        let mut verbs = Verbs::none();
        if spec.verbs.is_empty() {
            self.empty(&format!("{at}.verbs"));
        }
        let on_paths = spec.non_resource_urls.is_some();
        for (index, verb) in spec.verbs.iter().enumerate() {
            let (fits, wanted) = match verb {
                Verb::Any | Verb::Get | Verb::Patch | Verb::Delete => (true, ""),
                Verb::Head | Verb::Post | Verb::Put | Verb::Options => (
                    on_paths,
                    "use get, list, watch, create, update, patch, delete or deletecollection",
                ),
                _ => (
                    !on_paths,
                    "use get, head, post, put, patch, delete or options",
                ),
            };
            if !fits {
                self.error(
                    &format!("{at}.verbs[{index}]"),
                    format!(
                        "this verb never occurs on {}",
                        if on_paths {
                            "nonResourceURLs"
                        } else {
                            "resources"
                        }
                    ),
                    Some(wanted.to_owned()),
                );
            }
            verbs = verbs.and(Verbs::of(*verb));
        }
        verbs
    }

    fn target(&mut self, at: &str, spec: &RuleSpec) -> Option<Target> {
        if let Some(paths) = &spec.non_resource_urls {
            return self.paths(at, spec, paths);
        }
        let groups = self.globs(at, "apiGroups", spec.api_groups.as_deref());
        let resources = self.globs(at, "resources", spec.resources.as_deref());
        for (index, resource) in spec.resources.iter().flatten().enumerate() {
            self.resource(&format!("{at}.resources[{index}]"), resource);
        }
        if groups.is_none() || resources.is_none() {
            self.error(
                at,
                "a rule needs apiGroups and resources, or nonResourceURLs".to_owned(),
                Some(
                    "write apiGroups: [\"\"] for the core group, [\"*\"] for every group"
                        .to_owned(),
                ),
            );
        }
        if spec.facts.as_ref().is_some_and(Vec::is_empty) {
            self.empty(&format!("{at}.facts"));
        }
        Some(Target::Resource {
            groups: groups?,
            resources: resources?,
            subresources: self.globs(at, "subresources", spec.subresources.as_deref()),
            namespaces: self.globs(at, "namespaces", spec.namespaces.as_deref()),
            names: self.globs(at, "resourceNames", spec.resource_names.as_deref()),
            facts: spec.facts.as_deref().map(Into::into),
        })
    }

    fn resource(&mut self, field: &str, resource: &str) {
        if let Some((main, sub)) = resource.split_once('/') {
            self.error(
                field,
                format!("\"{resource}\" names a subresource"),
                Some(format!("write resources: [{main}], subresources: [{sub}]")),
            );
        } else if resource.contains(|c: char| c.is_ascii_uppercase()) {
            self.error(
                field,
                format!("\"{resource}\" is not a resource"),
                Some("use the lower-case plural as in the API's paths: pods".to_owned()),
            );
        }
    }

    fn paths(&mut self, at: &str, spec: &RuleSpec, paths: &[String]) -> Option<Target> {
        let others = [
            ("apiGroups", spec.api_groups.is_some()),
            ("resources", spec.resources.is_some()),
            ("subresources", spec.subresources.is_some()),
            ("namespaces", spec.namespaces.is_some()),
            ("resourceNames", spec.resource_names.is_some()),
            ("facts", spec.facts.is_some()),
        ];
        for (field, _) in others.into_iter().filter(|(_, given)| *given) {
            self.error(
                &format!("{at}.{field}"),
                format!("a rule with nonResourceURLs cannot have {field}"),
                Some("make two rules of it".to_owned()),
            );
        }
        for (index, path) in paths.iter().enumerate() {
            let before_star = path.strip_suffix('*').unwrap_or(path);
            if before_star.contains('*') || !(path.starts_with('/') || path == "*") {
                self.error(
                    &format!("{at}.nonResourceURLs[{index}]"),
                    format!("\"{path}\" is not a path with at most one \"*\", at its end"),
                    Some("write it like /healthz or /healthz/*".to_owned()),
                );
            }
        }
        self.globs(at, "nonResourceURLs", Some(paths))
            .map(Target::Paths)
    }

    fn globs(&mut self, at: &str, field: &str, patterns: Option<&[String]>) -> Globs {
        let patterns = patterns?;
        if patterns.is_empty() {
            self.empty(&format!("{at}.{field}"));
        }
        let mut globs = Vec::with_capacity(patterns.len());
        for (index, pattern) in patterns.iter().enumerate() {
            let at = format!("{at}.{field}[{index}]");
            if pattern.is_empty() && !matches!(field, "apiGroups" | "subresources") {
                self.error(
                    &at,
                    "an empty pattern matches nothing".to_owned(),
                    Some("remove it".to_owned()),
                );
            }
            match Glob::compile(pattern) {
                Ok(glob) => globs.push(glob),
                Err(message) => self.error(&at, message, None),
            }
        }
        Some(globs.into())
    }

    fn empty(&mut self, field: &str) {
        self.error(
            field,
            "an empty list matches nothing".to_owned(),
            Some("leave it out, or name what it is about".to_owned()),
        );
    }
}
