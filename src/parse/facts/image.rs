//! Image references, as container runtimes read them. Part of `facts`.
//!
//! Names without a registry are Docker Hub's, as Docker and containerd have it; CRI-O can
//! be configured otherwise, which nobody can see from here.

use serde::Serialize;

/// One image that a pod runs or mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Where it is named.
    pub field: String,
    /// The container's name; empty for image volumes.
    pub container: String,
    /// The reference as written.
    pub image: String,
    /// The registry, with its port: `docker.io`, `registry.example.com:5000`.
    pub registry: String,
    /// The repository in it: `library/nginx`.
    pub repository: String,
    /// The tag; `latest` if there is neither tag nor digest.
    pub tag: String,
    /// The digest, `sha256:…`; empty if there is none.
    pub digest: String,
}

impl Image {
    pub(super) fn of(field: String, container: &str, image: &str) -> Self {
        let (named, digest) = image.split_once('@').unwrap_or((image, ""));
        let (registry, rest) = split_registry(named);
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (rest, if digest.is_empty() { "latest" } else { "" }),
        };
        let official = registry == "docker.io" && !repository.contains('/');
        Self {
            field,
            container: container.to_owned(),
            image: image.to_owned(),
            registry: registry.to_owned(),
            repository: if official {
                format!("library/{repository}")
            } else {
                repository.to_owned()
            },
            tag: tag.to_owned(),
            digest: digest.to_owned(),
        }
    }

    /// What it costs to remember.
    pub(super) fn size(&self) -> usize {
        self.field.len() + self.container.len() + 3 * self.image.len()
    }
}

/// The part before the first slash is a registry if it cannot be anything else.
fn split_registry(named: &str) -> (&str, &str) {
    let Some((first, rest)) = named.split_once('/') else {
        return ("docker.io", named);
    };
    let is_registry = first.contains(['.', ':'])
        || first == "localhost"
        || first.chars().any(|c| c.is_ascii_uppercase());
    match (is_registry, first) {
        (true, "index.docker.io") => ("docker.io", rest),
        (true, _) => (first, rest),
        (false, _) => ("docker.io", named),
    }
}
