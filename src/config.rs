//! One file → a wholly checked [`Config`]. Stands before the walk: read once, at start.
//!
//! Finds as much as it can in one run, and says of each problem the file, line, column,
//! field and what to do. Reads files only: binds no address, asks no network, looks at no
//! environment variable.

pub mod cases;
mod diagnostic;
mod document;
mod identity;
mod node;
mod policies;
mod resolve;
mod rules;
mod schema;
mod shape;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decide::PolicySet;
use crate::identify::AuthenticationConfiguration;
use crate::parse::Embedders;

pub use diagnostic::Diagnostic;
pub use document::{
    AgentsDoor, Doors, GatewardConfiguration, HoldSettings, HumansDoor, Kubeconfig, Limits,
    OperatorsDoor, PolicySources, ReadDurability, RecordSettings, Tls,
};
pub use policies::{DEFAULT_PACK, Suspicion, fingerprint, load_policies};
pub use rules::{Rules, load_rules};
pub use schema::schemas;

/// Everything that `gateward serve` needs to know. Paths no longer depend on where the
/// configuration stood.
#[derive(Debug, Clone)]
pub struct Config {
    /// The clusters behind the gate; at least one, names unique.
    pub clusters: Vec<Cluster>,
    /// Where the gate listens; no two doors at the same address.
    pub doors: Doors,
    /// Whose tokens open the agents' door.
    pub agents: AgentIdentity,
    /// Whose tokens open the humans' door; no issuer and audience in common with `agents`.
    pub humans: HumanIdentity,
    /// Where custom resources hold pods.
    pub embedders: Embedders,
    /// The rules, compiled.
    pub policy: Arc<PolicySet>,
    /// Where the rules came from, to read them again with [`load_policies`].
    pub policy_sources: PolicySources,
    /// How requests wait for a human.
    pub holds: HoldSettings,
    /// How much is certain before a request goes on.
    pub record: RecordSettings,
    /// What a stranger can make the gate spend.
    pub limits: Limits,
    /// Where the ledger, the holds and the gate's own keys are kept; may not exist yet.
    pub data_directory: PathBuf,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in paths, policies and records.
    pub name: Arc<str>,
    /// How to reach it.
    pub connection: Connection,
}

/// How to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// As a kubeconfig says.
    Kubeconfig(Kubeconfig),
    /// As the pod in which the gate runs.
    InCluster,
}

/// Whose tokens open the agents' door.
#[derive(Debug, Clone)]
pub struct AgentIdentity {
    /// The identity providers.
    pub authentication: AuthenticationConfiguration,
    /// `system:` names that a token may carry.
    pub allowed_system_names: Vec<String>,
}

/// Whose tokens open the humans' door, and what those people may do.
#[derive(Debug, Clone)]
pub struct HumanIdentity {
    /// The identity providers.
    pub authentication: AuthenticationConfiguration,
    /// `system:` names that a token may carry.
    pub allowed_system_names: Vec<String>,
    /// Groups whose members may answer holds, where a rule does not name its own.
    pub approver_groups: Vec<String>,
    /// Groups whose members may see sessions and search the ledger.
    pub auditor_groups: Vec<String>,
}

/// Reads and checks a configuration and every file that it names.
///
/// # Errors
/// Everything that is wrong, in the order of files and lines.
pub fn load(path: &Path) -> Result<Config, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let config = read(path, &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => {
            problems.sort_by(|a, b| {
                (a.file != path, &a.file, a.line, a.column).cmp(&(
                    b.file != path,
                    &b.file,
                    b.line,
                    b.column,
                ))
            });
            problems.dedup();
            Err(problems)
        }
    }
}

/// The same without the result: what is wrong, nothing if all is well.
pub fn check(path: &Path) -> Vec<Diagnostic> {
    load(path).err().unwrap_or_default()
}

/// The documents of a YAML or JSON text; `name` is its name in the diagnostic.
///
/// # Errors
/// Where it is not YAML.
pub fn documents(name: &Path, text: &str) -> Result<Vec<serde_json::Value>, Diagnostic> {
    let sources = node::parse(name, text)?;
    Ok(sources.iter().map(|source| source.root.value()).collect())
}

/// What is suspicious about the policies of a configuration that is valid.
pub fn lint(config: &Config) -> Vec<Suspicion> {
    let clusters: Vec<&str> = config.clusters.iter().map(|it| &*it.name).collect();
    policies::lint_policies(&config.policy_sources, Some(&clusters))
}

/// `None` only if something was noted.
fn read(path: &Path, problems: &mut Vec<Diagnostic>) -> Option<Config> {
    let mut sources = match node::read(path) {
        Ok(sources) => sources.into_iter(),
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let Some(source) = sources.next() else {
        problems.push(Diagnostic::of_file(
            path,
            "is empty".to_owned(),
            Some("write a document of kind GatewardConfiguration".to_owned()),
        ));
        return None;
    };
    if let Some(second) = sources.next() {
        problems.push(second.problem(
            "",
            "a second document".to_owned(),
            Some("keep one document here; policies go into files of their own".to_owned()),
        ));
    }
    let document = shape::typed::<GatewardConfiguration>(&source, problems);
    match document {
        Some(document) => resolve::resolve(document, &source, problems),
        None => {
            policies::check_beside(&source, problems);
            None
        }
    }
}

#[cfg(test)]
mod tests;
