//! Policy files → a [`PolicySet`], with a place for every problem. Part of `config`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::diagnostic::Diagnostic;
use super::document::PolicySources;
use super::node::{self, Source};
use super::resolve::beside;
use super::shape;
use crate::decide::policy::Policy;
use crate::decide::{self, Lint, PolicyError, PolicySet};
use crate::mask::detectors;

/// The guardrails that come with Gateward, a `Policy` document in YAML.
pub const DEFAULT_PACK: &str = include_str!("../../policies/default.yaml");

/// The name of the shipped guardrails in diagnostics.
const DEFAULT_PACK_NAME: &str = "<default pack>";

/// Reads and compiles all policies. The paths in `sources` are taken as they are.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub fn load_policies(sources: &PolicySources) -> Result<PolicySet, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let (places, policies) = read(sources, &mut problems);
    for (source, policy) in places.iter().zip(&policies) {
        unknown_detectors(source, policy, &mut problems);
    }
    match PolicySet::compile(policies) {
        Ok(set) if problems.is_empty() => Ok(set),
        Ok(_) => Err(problems),
        Err(errors) => {
            problems.extend(errors.into_iter().filter_map(|error| place(&places, error)));
            Err(problems)
        }
    }
}

/// Detectors are the masks' business, so the rules cannot know their names.
fn unknown_detectors(source: &Source, policy: &Policy, problems: &mut Vec<Diagnostic>) {
    for (mask, spec) in policy.spec.masks.iter().enumerate() {
        for (at, name) in spec.detectors.iter().flatten().enumerate() {
            if name == "*" || detectors().any(|(known, ..)| known == name) {
                continue;
            }
            let near = detectors().map(|(known, ..)| known);
            let near = near.min_by_key(|known| strsim::levenshtein(known, name));
            problems.push(source.problem(
                &format!("spec.masks[{mask}].detectors[{at}]"),
                format!("there is no detector \"{name}\""),
                near.map(|near| {
                    format!("did you mean \"{near}\"? `gateward detectors` lists all of them")
                }),
            ));
        }
    }
}

/// Changes whenever any of the files does, or which files there are. What cannot be read
/// counts as empty.
pub fn fingerprint(sources: &PolicySources) -> [u8; 32] {
    let mut all = Sha256::new();
    for path in &sources.files {
        for file in files_of(path).unwrap_or_default() {
            let name = file.as_os_str().as_encoded_bytes();
            let content = std::fs::read(&file).unwrap_or_default();
            for part in [name, &content] {
                all.update((part.len() as u64).to_le_bytes());
                all.update(part);
            }
        }
    }
    all.finalize().into()
}

/// What is suspicious about a policy that is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspicion {
    /// Which kind.
    pub lint: Lint,
    /// Where, what, and what to do.
    #[serde(flatten)]
    pub at: Diagnostic,
}

/// What is suspicious about policies that can be loaded, in the order of files and lines.
/// `clusters`: the names of all clusters, if they are known.
pub fn lint_policies(sources: &PolicySources, clusters: Option<&[&str]>) -> Vec<Suspicion> {
    let (places, policies) = read(sources, &mut Vec::new());
    let mut found: Vec<Suspicion> = decide::lint(&policies, clusters)
        .into_iter()
        .filter_map(|warning| {
            let place = places.get(warning.document)?;
            Some(Suspicion {
                lint: warning.lint,
                at: place.problem(&warning.field, warning.message, warning.suggestion),
            })
        })
        .collect();
    found.sort_by(|a, b| {
        let key = |it: &Suspicion| (it.at.file.clone(), it.at.line, it.at.column);
        key(a).cmp(&key(b))
    });
    found
}

/// All documents that are policies by their shape, each with its place.
fn read(sources: &PolicySources, problems: &mut Vec<Diagnostic>) -> (Vec<Source>, Vec<Policy>) {
    let mut documents = Vec::new();
    if sources.default_pack {
        match node::parse(Path::new(DEFAULT_PACK_NAME), DEFAULT_PACK) {
            Ok(pack) => documents.extend(pack),
            Err(problem) => problems.push(problem),
        }
    }
    for path in &sources.files {
        match files_of(path) {
            Ok(files) => {
                for file in files {
                    match node::read(&file) {
                        Ok(found) if found.is_empty() => problems.push(Diagnostic::of_file(
                            &file,
                            "holds no policy".to_owned(),
                            Some("write a document of kind Policy, or remove the file".to_owned()),
                        )),
                        Ok(found) => documents.extend(found),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    documents
        .into_iter()
        .filter_map(|source| {
            let policy = shape::typed::<Policy>(&source, problems)?;
            Some((source, policy))
        })
        .unzip()
}

/// Checks the policies of a configuration that itself cannot be read as a whole.
pub(super) fn check_beside(source: &Source, problems: &mut Vec<Diagnostic>) {
    let policies = source
        .root
        .get("spec")
        .and_then(|spec| spec.get("policies"));
    let sources = policies.and_then(|node| serde_json::from_value(node.value()).ok());
    if let Some(PolicySources { files, .. }) = sources {
        let sources = PolicySources {
            files: files
                .iter()
                .map(|file| beside(&source.file, file))
                .collect(),
            default_pack: true,
        };
        problems.extend(load_policies(&sources).err().unwrap_or_default());
    }
}

fn place(places: &[Source], error: PolicyError) -> Option<Diagnostic> {
    places
        .get(error.document)
        .map(|source| source.problem(&error.field, error.message, error.suggestion))
}

/// A file itself; of a directory every YAML file in it, by name.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable =
        |error: std::io::Error| Diagnostic::of_file(path, format!("cannot be read: {error}"), None);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let is_yaml = file
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Diagnostic::of_file(
            path,
            "is a directory without *.yaml or *.yml files".to_owned(),
            Some("check the path".to_owned()),
        ));
    }
    Ok(files)
}
