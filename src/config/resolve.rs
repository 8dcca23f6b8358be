//! A well-formed document → a [`Config`]: what fields mean together, and whether the files
//! that they name are there and are what they should be. Part of `config`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::diagnostic::{Diagnostic, nearest};
use super::document::{
    ClusterSpec, Doors, EmbeddedPod, GatewardConfiguration, HoldSettings, Kubeconfig,
    PolicySources, Tls,
};
use super::node::Source;
use super::policies::load_policies;
use super::{Cluster, Config, Connection, identity};
use crate::parse::Embedders;

/// `None` only if something was noted.
pub(super) fn resolve(
    document: GatewardConfiguration,
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Option<Config> {
    let spec = document.spec;
    let mut resolve = Resolve { source, problems };
    let clusters = resolve.clusters(spec.clusters);
    let doors = resolve.doors(spec.doors);
    resolve.holds(&spec.holds);
    let data_directory = resolve.data_directory(&spec.data_directory);
    let embedders = embedders(&spec.embedded_pods, source, resolve.problems);
    let policy_sources = resolve.policy_sources(spec.policies);
    let policy = load_policies(&policy_sources)
        .map_err(|found| resolve.policies(&policy_sources, found))
        .ok();
    let identity = identity::resolve(spec.identity, source, problems);
    let (agents, humans) = identity?;
    Some(Config {
        clusters,
        doors,
        agents,
        humans,
        embedders,
        policy: Arc::new(policy?),
        policy_sources,
        holds: spec.holds,
        record: spec.record,
        limits: spec.limits,
        data_directory,
    })
}

/// Where custom resources hold pods.
pub(super) fn embedders(
    specs: &[EmbeddedPod],
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Embedders {
    let mut embedders = Embedders::default();
    for (index, spec) in specs.iter().enumerate() {
        if let Err(message) = embedders.add(&spec.api_group, &spec.resource, &spec.path) {
            let field = format!("spec.embeddedPods[{index}].path");
            let suggestion = Some("write keys with dots between them".to_owned());
            problems.push(source.problem(&field, message, suggestion));
        }
    }
    embedders
}

/// A path as written in `file`, which starts at that file's directory.
pub(super) fn beside(file: &Path, path: &Path) -> PathBuf {
    let joined = file.parent().unwrap_or(Path::new("")).join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

struct Resolve<'a> {
    source: &'a Source,
    problems: &'a mut Vec<Diagnostic>,
}

impl Resolve<'_> {
    fn problem(&mut self, field: &str, message: String, suggestion: &str) {
        let suggestion = (!suggestion.is_empty()).then(|| suggestion.to_owned());
        self.problems
            .push(self.source.problem(field, message, suggestion));
    }

    fn clusters(&mut self, specs: Vec<ClusterSpec>) -> Vec<Cluster> {
        if specs.is_empty() {
            self.problem(
                "spec.clusters",
                "there is no cluster behind the gate".to_owned(),
                "name at least one",
            );
        }
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut clusters = Vec::new();
        for (index, spec) in specs.into_iter().enumerate() {
            let at = format!("spec.clusters[{index}]");
            if !is_dns_label(&spec.name) {
                self.problem(
                    &format!("{at}.name"),
                    format!("\"{}\" is not a valid name", spec.name),
                    "use lower-case letters, digits and \"-\", at most 63 characters, with a \
                     letter or digit at both ends",
                );
            }
            if let Some(first) = names.insert(spec.name.clone(), index) {
                self.problem(
                    &format!("{at}.name"),
                    format!("spec.clusters[{first}] is called \"{}\" too", spec.name),
                    "give every cluster its own name",
                );
            }
            let connection = match (spec.kubeconfig, spec.in_cluster) {
                (Some(kubeconfig), None) => {
                    Connection::Kubeconfig(self.kubeconfig(&at, kubeconfig))
                }
                (None, Some(_)) => Connection::InCluster,
                (given, _) => {
                    let message = match given {
                        Some(_) => "both kubeconfig and inCluster are given",
                        None => "neither kubeconfig nor inCluster is given",
                    };
                    self.problem(&at, message.to_owned(), "give exactly one of the two");
                    continue;
                }
            };
            clusters.push(Cluster {
                name: spec.name.into(),
                connection,
            });
        }
        clusters
    }

    fn kubeconfig(&mut self, at: &str, spec: Kubeconfig) -> Kubeconfig {
        let file = beside(&self.source.file, &spec.file);
        let field = format!("{at}.kubeconfig.file");
        if self.is_file(&field, &file) {
            match kube::config::Kubeconfig::read_from(&file) {
                Err(error) => self.problem(
                    &field,
                    format!("{} is not a kubeconfig: {error}", file.display()),
                    "",
                ),
                Ok(found) => self.context(at, &file, spec.context.as_deref(), &found),
            }
        }
        Kubeconfig {
            file,
            context: spec.context,
        }
    }

    fn context(
        &mut self,
        at: &str,
        file: &Path,
        wanted: Option<&str>,
        found: &kube::config::Kubeconfig,
    ) {
        let field = format!("{at}.kubeconfig.context");
        let known = || found.contexts.iter().map(|context| context.name.as_str());
        let current = found.current_context.as_deref();
        match wanted.or(current.filter(|name| !name.is_empty())) {
            None => self.problem(
                &field,
                format!("{} has no current context", file.display()),
                "name the context here",
            ),
            Some(wanted) if !known().any(|name| name == wanted) => self.problem(
                &field,
                format!("{} has no context \"{wanted}\"", file.display()),
                &nearest(wanted, known()).unwrap_or_default(),
            ),
            Some(_) => {}
        }
    }

    fn doors(&mut self, mut doors: Doors) -> Doors {
        self.tls("spec.doors.agents.tls", &mut doors.agents.tls);
        self.tls("spec.doors.humans.tls", &mut doors.humans.tls);
        let listen = [
            ("agents", doors.agents.listen),
            ("humans", doors.humans.listen),
            ("operators", doors.operators.listen),
        ];
        for (index, (door, address)) in listen.iter().enumerate() {
            let earlier = listen.iter().take(index);
            if let Some((other, _)) = earlier.clone().find(|(_, other)| collide(*address, *other)) {
                self.problem(
                    &format!("spec.doors.{door}.listen"),
                    format!("{address} is where the {other}' door listens already"),
                    "give every door its own port",
                );
            }
        }
        doors
    }

    fn tls(&mut self, at: &str, tls: &mut Tls) {
        tls.certificate_file = beside(&self.source.file, &tls.certificate_file);
        tls.key_file = beside(&self.source.file, &tls.key_file);
        let (field, file) = (format!("{at}.certificateFile"), &tls.certificate_file);
        if self.is_file(&field, file) {
            let fault = match CertificateDer::pem_file_iter(file) {
                Ok(found) => match found.collect::<Result<Vec<_>, _>>() {
                    Ok(found) if found.is_empty() => Some("it holds none".to_owned()),
                    Ok(_) => None,
                    Err(error) => Some(error.to_string()),
                },
                Err(error) => Some(error.to_string()),
            };
            if let Some(fault) = fault {
                let message = format!("no certificate in PEM in {}: {fault}", file.display());
                self.problem(&field, message, "");
            }
        }
        let (field, file) = (format!("{at}.keyFile"), &tls.key_file);
        if self.is_file(&field, file)
            && let Err(error) = PrivateKeyDer::from_pem_file(file)
        {
            let message = format!("no private key in PEM in {}: {error}", file.display());
            self.problem(&field, message, "");
        }
    }

    fn is_file(&mut self, field: &str, file: &Path) -> bool {
        let fault = match std::fs::File::open(file).and_then(|open| open.metadata()) {
            Ok(found) if found.is_file() => return true,
            Ok(_) => "is not a file".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        self.problem(
            field,
            format!("{} {fault}", file.display()),
            "relative paths start at the configuration's own directory",
        );
        false
    }

    fn holds(&mut self, holds: &HoldSettings) {
        let limit = Duration::from_secs(300);
        if holds.short_wait.duration() > limit {
            self.problem(
                "spec.holds.shortWait",
                format!("{} is more than 5m", holds.short_wait),
                "clients give up long before; 20s is a good choice",
            );
        }
        let retry = holds.retry_after.duration();
        if retry > limit || retry < Duration::from_secs(1) {
            self.problem(
                "spec.holds.retryAfter",
                format!("{} is not between 1s and 5m", holds.retry_after),
                "",
            );
        }
    }

    fn data_directory(&mut self, path: &Path) -> PathBuf {
        let path = beside(&self.source.file, path);
        if path.exists() && !path.is_dir() {
            self.problem(
                "spec.dataDirectory",
                format!("{} is not a directory", path.display()),
                "name a directory; it is created if absent",
            );
        }
        path
    }

    fn policy_sources(&mut self, sources: PolicySources) -> PolicySources {
        if sources.files.is_empty() && !sources.default_pack {
            self.problem(
                "spec.policies",
                "without any policy every request would be refused".to_owned(),
                "name policy files, or set \"defaultPack: true\"",
            );
        }
        PolicySources {
            files: sources
                .files
                .iter()
                .map(|file| beside(&self.source.file, file))
                .collect(),
            default_pack: sources.default_pack,
        }
    }

    /// A policy file that is not there is a problem of the line that names it.
    fn policies(&mut self, sources: &PolicySources, found: Vec<Diagnostic>) {
        for problem in found {
            let named = sources.files.iter().position(|file| *file == problem.file);
            match named {
                Some(index) if problem.line == 0 => self.problem(
                    &format!("spec.policies.files[{index}]"),
                    format!("{} {}", problem.file.display(), problem.message),
                    problem.suggestion.as_deref().unwrap_or_default(),
                ),
                _ => self.problems.push(problem),
            }
        }
    }
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn is_dns_label(name: &str) -> bool {
    let outer = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 63
        && name.bytes().all(|b| outer(b) || b == b'-')
        && name.bytes().next().is_some_and(outer)
        && name.bytes().next_back().is_some_and(outer)
}
