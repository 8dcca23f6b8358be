//! All that judges, for tools that judge away from a gate: rules, and where custom resources
//! hold pods. Part of `config`. Of a configuration only these parts are looked at; its doors,
//! keys and clusters need not be there.

use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostic;
use super::document::{GatewardConfiguration, PolicySources};
use super::policies::load_policies;
use super::resolve::{beside, embedders};
use super::{node, shape};
use crate::decide::PolicySet;
use crate::parse::Embedders;

/// All that judges.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The rules, compiled.
    pub policy: PolicySet,
    /// Where custom resources hold pods.
    pub embedders: Embedders,
}

/// Reads rules from files: of policies, directories of these, or configurations, which bring
/// the policies that they name. `default_pack`: the shipped guardrails, too.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub fn load_rules(files: &[PathBuf], default_pack: bool) -> Result<Rules, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut found = Embedders::default();
    let mut sources = PolicySources {
        files: Vec::new(),
        default_pack,
    };
    for file in files {
        match configuration(file, &mut problems) {
            Some((policies, embedders)) => {
                sources.files.extend(policies.files);
                sources.default_pack |= policies.default_pack;
                found.extend(embedders);
            }
            None => sources.files.push(file.clone()),
        }
    }
    match load_policies(&sources) {
        Ok(policy) if problems.is_empty() => Ok(Rules {
            policy,
            embedders: found,
        }),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// What a configuration says; none if the file is none, or cannot be read: whoever reads it
/// as a policy says so.
fn configuration(
    file: &Path,
    problems: &mut Vec<Diagnostic>,
) -> Option<(PolicySources, Embedders)> {
    if file.is_dir() {
        return None;
    }
    let source = node::read(file).ok()?.into_iter().next()?;
    let kind = source.root.get("kind")?.value();
    if kind != "GatewardConfiguration" {
        return None;
    }
    let Some(document) = shape::typed::<GatewardConfiguration>(&source, problems) else {
        // What is wrong with it was noted; it is no policy, either.
        let nothing = PolicySources {
            files: Vec::new(),
            default_pack: false,
        };
        return Some((nothing, Embedders::default()));
    };
    let embedders = embedders(&document.spec.embedded_pods, &source, problems);
    let named = document.spec.policies;
    let files = named.files.iter().map(|named| beside(file, named));
    let policies = PolicySources {
        files: files.collect(),
        default_pack: named.default_pack,
    };
    Some((policies, embedders))
}
