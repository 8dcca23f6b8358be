//! Mask rules: what of an answer is hidden, from whom, and how. Part of room ④; it says which
//! of them are about a request, `mask` carries them out.
//!
//! Where it is not known yet which objects an answer will hold (a list over all namespaces, a
//! name that stands in the objects alone), a rule that hides is taken to be about them, and
//! one that keeps is not.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Party;
use super::policy::Subjects;
use super::rule::{Globs, within};
use super::whom::Whom;
use crate::parse::{Ask, RequestInfo};

/// One mask rule: what is hidden, of which objects, from whom, and how.
///
/// A field that is left out does not narrow the rule. The values of Secrets are masked by the
/// gate itself, whatever the rules say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaskSpec {
    /// Unique among the masks of the policy: lower-case letters, digits, `-` and `.`, at most 63.
    pub name: String,
    /// From whom it is hidden. Default: from everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
    /// Patterns of cluster names. Default: every cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Vec<String>>,
    /// Patterns of API groups; `""` is the core group. Default: every group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_groups: Option<Vec<String>>,
    /// Patterns of resources, in the plural; their subresources count with them. Default: every
    /// resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// Patterns of namespaces. Default: every namespace, and what lies in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// Patterns of object names. Default: every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_names: Option<Vec<String>>,
    /// Fields of the object: `spec.password`, `spec.users[*].token`, `metadata.annotations["a/b"]`,
    /// `**.secret`. `*` is any member, `[*]` any element, `**` any number of either. Whatever
    /// stands there is hidden with all that is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Detectors, by name: what they find is hidden, wherever it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectors: Option<Vec<String>>,
    /// What the agent gets instead. Default: `redact`.
    #[serde(default)]
    pub with: With,
}

/// What an agent gets in place of a value. Where several rules are about the same value, the
/// first of these counts.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum With {
    /// The value itself. Only for detectors: it takes back what they would hide.
    Keep,
    /// Nothing: `null`, which Kubernetes reads like a field that is not there.
    Drop,
    /// The same mask for all: `gateward:masked`; a number becomes 0, a truth value false.
    #[default]
    Redact,
    /// A name for the value that is the same wherever this agent meets the same value in this
    /// cluster, and another one for other agents and in other clusters.
    Pseudonym,
    /// The mask and the value's last four characters, if it has twelve or more.
    Partial,
}

/// A mask rule, ready to be asked.
#[derive(Debug, Clone)]
pub struct MaskRule {
    /// The policy and the rule, `policy/rule`.
    pub name: Arc<str>,
    /// What stands instead.
    pub with: With,
    /// The fields.
    pub fields: Box<[FieldPath]>,
    /// The detectors' names.
    pub detectors: Box<[String]>,
    scope: Scope,
}

#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub whom: Whom,
    pub clusters: Globs,
    pub api_groups: Globs,
    pub resources: Globs,
    pub namespaces: Globs,
    pub names: Globs,
}

/// A path of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    /// As it was written.
    pub text: Box<str>,
    /// Step by step, at least one.
    pub steps: Box<[Step]>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The member of this name.
    Member(Box<str>),
    /// Any member.
    AnyMember,
    /// Any element of an array.
    AnyElement,
    /// Any number of members and elements.
    Deep,
}

impl MaskRule {
    pub(super) fn new(
        name: Arc<str>,
        with: With,
        fields: Vec<FieldPath>,
        detectors: Vec<String>,
        scope: Scope,
    ) -> Self {
        Self {
            name,
            with,
            fields: fields.into(),
            detectors: detectors.into(),
            scope,
        }
    }

    /// Whether it is about the answer to this request.
    pub fn is_about<'a>(&self, caller: impl Into<Party<'a>>, ask: &Ask) -> bool {
        let (caller, info, scope) = (caller.into(), ask.info(), &self.scope);
        scope.whom.matches(&caller)
            && within(&scope.clusters, ask.cluster())
            && within(&scope.api_groups, &info.api_group)
            && within(&scope.resources, &info.resource)
            && self.may_reach(&scope.namespaces, namespace(info))
            && self.may_reach(&scope.names, &info.name)
    }

    fn may_reach(&self, globs: &Globs, named: &str) -> bool {
        match (globs, named) {
            (None, _) => true,
            (Some(_), "") => self.with != With::Keep,
            (globs, named) => within(globs, named),
        }
    }
}

fn namespace(info: &RequestInfo) -> &str {
    match info.resource.as_str() {
        "namespaces" => &info.name,
        _ => &info.namespace,
    }
}

/// Reads a path.
///
/// # Errors
/// What is wrong with it.
pub(super) fn path(text: &str) -> Result<FieldPath, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let first = steps.is_empty();
        if let Some(behind) = rest.strip_prefix("[*]").filter(|_| !first) {
            steps.push(Step::AnyElement);
            rest = behind;
            continue;
        }
        if let Some(behind) = rest.strip_prefix("[\"") {
            let end = behind.find("\"]").ok_or("a name in [\"…\"] does not end")?;
            let (name, behind) = (behind.get(..end), behind.get(end + 2..));
            steps.push(Step::Member(name.unwrap_or_default().into()));
            rest = behind.unwrap_or_default();
            continue;
        }
        if !first {
            rest = rest
                .strip_prefix('.')
                .ok_or("expected \".\", \"[*]\" or [\"name\"]")?;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        steps.push(match name {
            "" => return Err("a name is missing".to_owned()),
            "*" => Step::AnyMember,
            "**" => Step::Deep,
            name if name.contains('*') => {
                return Err("a name is whole: \"*\" stands for all of it".to_owned());
            }
            name => Step::Member(name.into()),
        });
        rest = behind;
    }
    match steps.last() {
        None => Err("is empty".to_owned()),
        Some(Step::Deep) => Err("ends with \"**\": name what is hidden there".to_owned()),
        Some(_) => Ok(FieldPath {
            text: text.into(),
            steps: steps.into(),
        }),
    }
}
