//! Finds the four programs of a control plane, or has them built.
//!
//! Looked at in this order: `KUBEBUILDER_ASSETS`, our cache directory, PATH. What is found
//! outside the cache is asked for its version first, and passed over with a word when it
//! is another. What is still missing is built by `build`, once, into the cache.
//! Prebuilt archives (envtest's) are not downloaded: `KUBEBUILDER_ASSETS` takes them.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build;
use super::failure::Failure;
use super::progress::{Progress, Report, tell};

/// The Kubernetes release that is built, and that the cache directory is named after.
pub const VERSION: &str = "v1.37.2";

/// Where the programs are. All four exist and are executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The store behind the API server.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The client.
    pub kubectl: PathBuf,
    /// The node without containers.
    pub kwok: PathBuf,
}

/// Where to look.
#[derive(Debug, Clone)]
pub struct Places {
    /// A directory named by the user, with etcd, kube-apiserver and kubectl.
    pub assets: Option<PathBuf>,
    /// Our own directory, only for [`VERSION`]; built programs land here.
    pub cache: PathBuf,
    /// The directories of PATH, in order.
    pub path: Vec<PathBuf>,
}

impl Places {
    /// Reads `KUBEBUILDER_ASSETS`, `XDG_CACHE_HOME`, `HOME` and `PATH`. A relative
    /// `XDG_CACHE_HOME` counts as unset, as the XDG Base Directory Specification says.
    ///
    /// # Errors
    /// [`Failure::NoCache`] when neither cache variable is of use.
    pub fn from_environment() -> Result<Self, Failure> {
        let dir = |name: &str| {
            env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let cache = dir("XDG_CACHE_HOME")
            .filter(|dir| dir.is_absolute())
            .or_else(|| dir("HOME").map(|home| home.join(".cache")))
            .ok_or(Failure::NoCache)?;
        Ok(Self {
            assets: dir("KUBEBUILDER_ASSETS"),
            cache: cache.join("gateward/kubernetes").join(VERSION),
            path: env::split_paths(env::var_os("PATH").as_deref().unwrap_or(OsStr::new("")))
                .collect(),
        })
    }
}

/// Returns the programs, building what is missing. Quick when they are there; about five
/// minutes on two cores when all must be built.
///
/// # Errors
/// [`Failure::NoGo`], [`Failure::OldGo`], [`Failure::Build`], [`Failure::Io`];
/// [`Failure::Cancelled`] when the report says stop.
pub fn find(places: &Places, report: Report<'_>) -> Result<Programs, Failure> {
    tell(report, Progress::Looking)?;
    let mut found = look(places, report)?;
    if found.programs().is_none() {
        build::missing(places, report)?;
        found = look(places, report)?;
    }
    found.programs().ok_or_else(|| Failure::NoGo {
        missing: names(&found.missing()),
    })
}

/// One program: what it is called, where it comes from, how it tells its version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pinned {
    pub(super) name: &'static str,
    /// Its package in the wrapper module of `dev/kubernetes`.
    pub(super) package: &'static str,
    /// The name that `go build` gives the file.
    pub(super) built_as: &'static str,
    version_arguments: &'static [&'static str],
    /// What its first line may begin with.
    accepted: &'static [&'static str],
    /// Whether `KUBEBUILDER_ASSETS` is a place for it.
    in_assets: bool,
}

const ETCD: Pinned = Pinned {
    name: "etcd",
    package: "go.etcd.io/etcd/server/v3",
    built_as: "server",
    version_arguments: &["--version"],
    accepted: &["etcd Version: 3.6.", "etcd Version: 3.7."],
    in_assets: true,
};
const KUBE_APISERVER: Pinned = Pinned {
    name: "kube-apiserver",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    built_as: "kube-apiserver",
    version_arguments: &["--version"],
    accepted: &["Kubernetes v1.37."],
    in_assets: true,
};
const KUBECTL: Pinned = Pinned {
    name: "kubectl",
    package: "k8s.io/kubernetes/cmd/kubectl",
    built_as: "kubectl",
    version_arguments: &["version", "--client"],
    accepted: &["Client Version: v1.37."],
    in_assets: true,
};
const KWOK: Pinned = Pinned {
    name: "kwok",
    package: "sigs.k8s.io/kwok/cmd/kwok",
    built_as: "kwok",
    version_arguments: &["--version"],
    accepted: &["kwok version v0.8."],
    in_assets: false,
};

/// What one look brought.
pub(super) struct Found([(&'static Pinned, Option<PathBuf>); 4]);

impl Found {
    pub(super) fn missing(&self) -> Vec<&'static Pinned> {
        self.0
            .iter()
            .filter(|(_, path)| path.is_none())
            .map(|(pinned, _)| *pinned)
            .collect()
    }

    fn programs(&self) -> Option<Programs> {
        let [(_, etcd), (_, kube_apiserver), (_, kubectl), (_, kwok)] = self.0.clone();
        Some(Programs {
            etcd: etcd?,
            kube_apiserver: kube_apiserver?,
            kubectl: kubectl?,
            kwok: kwok?,
        })
    }
}

/// Looks once, builds nothing.
pub(super) fn look(places: &Places, report: Report<'_>) -> Result<Found, Failure> {
    let mut found = Found([
        (&ETCD, None),
        (&KUBE_APISERVER, None),
        (&KUBECTL, None),
        (&KWOK, None),
    ]);
    for (pinned, path) in &mut found.0 {
        *path = locate(pinned, places, report)?;
        if let Some(path) = path {
            tell(
                report,
                Progress::Found {
                    program: pinned.name,
                    path: path.clone(),
                },
            )?;
        }
    }
    Ok(found)
}

/// A list of names for people: "etcd, kubectl and kwok".
pub(super) fn names(programs: &[&Pinned]) -> String {
    let names: Vec<&str> = programs.iter().map(|pinned| pinned.name).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    }
}

/// The first executable file of this name in these directories.
pub(super) fn executable<'a>(
    name: &str,
    dirs: impl IntoIterator<Item = &'a PathBuf>,
) -> Option<PathBuf> {
    dirs.into_iter().map(|dir| dir.join(name)).find(|path| {
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    })
}

fn locate(
    pinned: &Pinned,
    places: &Places,
    report: Report<'_>,
) -> Result<Option<PathBuf>, Failure> {
    let assets = places.assets.iter().filter(|_| pinned.in_assets);
    if let Some(path) = right_version(pinned, executable(pinned.name, assets), report)? {
        return Ok(Some(path));
    }
    // The cache is filled only by renaming what was built for exactly this version.
    if let Some(path) = executable(pinned.name, [&places.cache]) {
        return Ok(Some(path));
    }
    right_version(pinned, executable(pinned.name, &places.path), report)
}

fn right_version(
    pinned: &Pinned,
    path: Option<PathBuf>,
    report: Report<'_>,
) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let version = version(&path, pinned.version_arguments);
    if pinned
        .accepted
        .iter()
        .any(|accepted| version.starts_with(accepted))
    {
        return Ok(Some(path));
    }
    tell(report, Progress::Skipped { path, version })?;
    Ok(None)
}

/// The first line that the program prints about itself, or why there is none.
fn version(program: &Path, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().next().unwrap_or("silent").trim().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
pub(super) mod tests {
    use super::*;
    use crate::demo::kubernetes::progress::quiet;
    use std::fs;
    use std::ops::ControlFlow;

    /// Places in a temporary directory, all empty, so that nothing of this machine is seen.
    pub(in super::super) struct Sandbox {
        pub(in super::super) dir: tempfile::TempDir,
        pub(in super::super) places: Places,
    }

    impl Sandbox {
        pub(in super::super) fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            let places = Places {
                assets: Some(at("assets")),
                cache: at("cache").join(VERSION),
                path: vec![at("path")],
            };
            Self { dir, places }
        }

        /// Puts a program that prints `says` into `place`.
        pub(in super::super) fn put(&self, place: &str, name: &str, says: &str) -> PathBuf {
            script(
                &self.dir.path().join(place).join(name),
                &format!("echo '{says}'"),
            )
        }
    }

    /// Written by another process: were it this one, a test that forks at the same moment
    /// would hold the file open for writing, and running it would fail (ETXTBSY).
    pub(in super::super) fn script(path: &Path, lines: &str) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let written = Command::new("sh")
            .args([
                "-c",
                "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"",
                "sh",
            ])
            .arg(path)
            .arg(lines)
            .status();
        assert!(written.unwrap().success());
        path.to_owned()
    }

    const CACHE: &str = "cache/v1.37.2";

    #[test]
    fn assets_come_before_the_cache_and_the_cache_before_path() {
        let sandbox = Sandbox::new();
        let etcd = sandbox.put("assets", "etcd", "etcd Version: 3.6.4");
        sandbox.put(CACHE, "etcd", "");
        let kube_apiserver = sandbox.put(CACHE, "kube-apiserver", "");
        sandbox.put("path", "kube-apiserver", "Kubernetes v1.37.1");
        let kubectl = sandbox.put("path", "kubectl", "Client Version: v1.37.0");
        let kwok = sandbox.put("path", "kwok", "kwok version v0.8.1 go1.26 (linux/amd64)");
        let found = find(&sandbox.places, &mut quiet).unwrap();
        assert_eq!(
            found,
            Programs {
                etcd,
                kube_apiserver,
                kubectl,
                kwok
            }
        );
    }

    #[test]
    fn another_version_is_passed_over_with_a_word() {
        let sandbox = Sandbox::new();
        let old = sandbox.put("assets", "kubectl", "Client Version: v1.32.4");
        sandbox.put("path", "kubectl", "Client Version: v1.371.0");
        // A kwok among the assets is not asked for: envtest has none.
        sandbox.put("assets", "kwok", "kwok version v0.8.0");
        let mut skipped = Vec::new();
        let found = look(&sandbox.places, &mut |step| {
            if let Progress::Skipped { path, version } = step {
                skipped.push((path, version));
            }
            ControlFlow::Continue(())
        });
        assert_eq!(
            names(&found.unwrap().missing()),
            "etcd, kube-apiserver, kubectl and kwok"
        );
        assert_eq!(skipped.len(), 2);
        assert_eq!(skipped[0], (old, "Client Version: v1.32.4".to_owned()));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_not_a_program() {
        let sandbox = Sandbox::new();
        let path = sandbox.put(CACHE, "etcd", "");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::create_dir_all(sandbox.places.cache.join("kwok")).unwrap();
        let found = look(&sandbox.places, &mut quiet).unwrap();
        assert_eq!(found.missing().len(), 4);
    }

    #[test]
    fn the_report_can_stop_the_search() {
        let stopped = find(&Sandbox::new().places, &mut |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(Failure::Cancelled)), "{stopped:?}");
    }
}
