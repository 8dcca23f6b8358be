//! Builds the missing programs with Go, from the pinned module that this binary carries.
//!
//! One process at a time (a lock file), aside and then renamed, so that nobody ever finds
//! half a program. Go runs as a supervised child: it ends with us. The module's checksums
//! are in its go.sum, so the proxy that delivers the sources need not be trusted.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::failure::{Failure, io};
use super::process::{Child, tail};
use super::programs::{self, Pinned, Places, VERSION, names};
use super::progress::{Progress, Report, tell};

/// The wrapper module: each file's name and content.
const MODULE: [(&str, &str); 3] = [
    ("go.mod", include_str!("../../../dev/kubernetes/go.mod")),
    ("go.sum", include_str!("../../../dev/kubernetes/go.sum")),
    ("tools.go", include_str!("../../../dev/kubernetes/tools.go")),
];
/// The least Go 1.x that reads the module.
const GO_MINOR: u32 = 26;
/// How often the wait looks and reports.
const LOOK: Duration = Duration::from_millis(200);
/// What a build that is called off gets to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// Builds what is not found and puts it into the cache. Another process that is building
/// is waited for, and what it built is used.
pub(super) fn missing(places: &Places, report: Report<'_>) -> Result<(), Failure> {
    let parent = places.cache.parent().ok_or(Failure::NoCache)?;
    fs::create_dir_all(&places.cache).map_err(io(format!("create {}", places.cache.display())))?;
    let _lock = lock(&parent.join(format!("{VERSION}.lock")), report)?;

    let missing = programs::look(places, report)?.missing();
    if missing.is_empty() {
        return Ok(());
    }
    sweep(parent)?;
    let go = programs::executable("go", &places.path).ok_or_else(|| Failure::NoGo {
        missing: names(&missing),
    })?;
    // Beside the cache, not in /tmp: a rename must not cross file systems.
    let aside = tempfile::Builder::new()
        .prefix(&aside_prefix())
        .tempdir_in(parent)
        .map_err(io(format!("create a directory in {}", parent.display())))?;
    for (name, content) in MODULE {
        let path = aside.path().join(name);
        fs::write(&path, content).map_err(io(format!("write {}", path.display())))?;
    }
    check_version(&go, aside.path())?;
    build(&go, aside.path(), &missing, report)?;
    for pinned in missing {
        install(
            &aside.path().join("bin").join(pinned.built_as),
            &places.cache.join(pinned.name),
        )?;
    }
    Ok(())
}

/// Held until the returned file is dropped; the system frees it when a process dies.
fn lock(path: &Path, report: Report<'_>) -> Result<File, Failure> {
    let doing = || format!("lock {}", path.display());
    let file = File::create(path).map_err(io(doing()))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                tell(
                    report,
                    Progress::Waiting {
                        elapsed: begun.elapsed(),
                    },
                )?;
                sleep(LOOK);
            }
            Err(TryLockError::Error(error)) => return Err(io(doing())(error)),
        }
    }
}

/// Removes what killed builders left; with the lock held there is no living one.
fn sweep(parent: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(parent).map_err(io(format!("read {}", parent.display())))?;
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(&aside_prefix())
        {
            // At worst it stays and costs disk.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn aside_prefix() -> String {
    format!("{VERSION}.building-")
}

/// Asked inside the module, where Go itself may switch to the toolchain that go.mod wants.
fn check_version(go: &Path, module: &Path) -> Result<(), Failure> {
    let output = Command::new(go)
        .args(["env", "GOVERSION"])
        .current_dir(module)
        .env("GOWORK", "off")
        .output()
        .map_err(io(format!("run {}", go.display())))?;
    let said = if output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    };
    let said = String::from_utf8_lossy(said).trim().to_owned();
    if output.status.success() && minor(&said).is_none_or(|minor| minor >= GO_MINOR) {
        return Ok(());
    }
    Err(Failure::OldGo {
        go: go.to_owned(),
        found: said,
    })
}

/// 26 of "go1.26.8"; `None` for development versions, which are given the chance.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn build(go: &Path, module: &Path, missing: &[&Pinned], report: Report<'_>) -> Result<(), Failure> {
    let programs = names(missing);
    let log = module.join("build.log");
    let begun = Instant::now();
    let mut child = Child::start("gateward-go-build", &command(go, module, missing), &log)
        .map_err(io(format!("start {}", go.display())))?;
    loop {
        let ended = child.ended().map_err(io("wait for go build"))?;
        if let Some(status) = ended {
            if status.success() {
                return tell(
                    report,
                    Progress::Built {
                        took: begun.elapsed(),
                    },
                );
            }
            return Err(Failure::Build {
                programs,
                status,
                tail: tail(&log),
            });
        }
        // With -v Go writes one line per package compiled, and one per module fetched.
        let output = fs::read(&log).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        let step = Progress::Building {
            programs: programs.clone(),
            elapsed: begun.elapsed(),
            packages: output.lines().count(),
            latest: output.lines().next_back().unwrap_or("starting").to_owned(),
        };
        if let Err(cancelled) = tell(report, step) {
            child.stop(GRACE).map_err(io("stop go build"))?;
            return Err(cancelled);
        }
        sleep(LOOK);
    }
}

fn command(go: &Path, module: &Path, missing: &[&Pinned]) -> Command {
    let mut command = Command::new(go);
    command
        .args([
            "build",
            "-v",
            "-mod=readonly",
            "-trimpath",
            "-ldflags",
            &linker_flags(),
            "-o",
        ])
        .arg(module.join("bin/"))
        .args(missing.iter().map(|pinned| pinned.package))
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off");
    // For this machine, whatever else the caller's shell builds for.
    for variable in ["GOOS", "GOARCH", "GOBIN"] {
        command.env_remove(variable);
    }
    command
}

/// Without these the programs say v0.0.0, and clients complain of the skew.
fn linker_flags() -> String {
    let mut parts = VERSION.trim_start_matches('v').split('.');
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let mut flags = "-s -w".to_owned();
    for package in [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
    ] {
        flags += &format!(
            " -X {package}.gitVersion={VERSION} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        );
    }
    flags
}

/// Durable before visible, so that a power cut cannot leave an empty program either.
fn install(built: &Path, cached: &PathBuf) -> Result<(), Failure> {
    File::open(built)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(built, cached))
        .map_err(io(format!(
            "move {} to {}",
            built.display(),
            cached.display()
        )))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::super::programs::tests::{Sandbox, script};
    use super::super::progress::quiet;
    use super::*;
    use std::ops::ControlFlow;

    /// A `go` that answers `env GOVERSION`, and for `build` runs `lines` with $out set.
    fn go(sandbox: &Sandbox, version: &str, lines: &str) {
        let body = format!(
            "if [ \"$1\" = env ]; then echo {version}; exit; fi\n\
             while [ \"$1\" != -o ]; do shift; done; out=$2; mkdir -p \"$out\"; shift 2\n{lines}"
        );
        script(&sandbox.dir.path().join("path/go"), &body);
    }

    const MAKE_ALL: &str = "for p in server kube-apiserver kubectl kwok; do echo $p >&2; \
                            echo '#!/bin/sh' > $out/$p; chmod +x $out/$p; done";

    fn left_aside(sandbox: &Sandbox) -> Vec<String> {
        fs::read_dir(sandbox.places.cache.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("building"))
            .collect()
    }

    #[test]
    fn the_module_pins_what_the_cache_is_named_after() {
        let [(_, go_mod), (_, go_sum), _] = MODULE;
        assert!(go_mod.contains(&format!("\tk8s.io/kubernetes {VERSION}\n")));
        assert!(go_mod.contains("\ngo 1.26"));
        assert!(go_sum.contains(&format!("\nk8s.io/kubernetes {VERSION} h1:")));
    }

    #[test]
    fn versions_are_linked_in() {
        let flags = linker_flags();
        assert!(flags.contains("-X k8s.io/component-base/version.gitVersion=v1.37.2 "));
        assert!(flags.ends_with("-X k8s.io/client-go/pkg/version.gitMinor=37"));
    }

    #[test]
    fn go_versions_are_read() {
        let cases = [
            ("go1.26.8", Some(26)),
            ("go1.27rc1", Some(27)),
            ("go1.9", Some(9)),
            ("devel go1.28-abc", None),
            ("", None),
        ];
        for (version, expected) in cases {
            assert_eq!(minor(version), expected, "{version}");
        }
    }

    #[test]
    fn a_cold_build_fills_the_cache_and_leaves_nothing_aside() {
        let sandbox = Sandbox::new();
        go(
            &sandbox,
            "go1.26.8",
            &format!("echo first >&2; sleep 0.5\n{MAKE_ALL}"),
        );
        // What a killed builder would have left.
        fs::create_dir_all(sandbox.dir.path().join("cache/v1.37.2.building-old/bin")).unwrap();
        let mut steps = Vec::new();
        let found = programs::find(&sandbox.places, &mut |step| {
            steps.push(step);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(found.etcd, sandbox.places.cache.join("etcd"));
        assert!(
            left_aside(&sandbox).is_empty(),
            "{:?}",
            left_aside(&sandbox)
        );
        let seen = steps.iter().any(|step| {
            matches!(step, Progress::Building { packages: 1, latest, programs, .. }
                if latest == "first" && programs == "etcd, kube-apiserver, kubectl and kwok")
        });
        assert!(seen, "{steps:?}");
        assert!(
            steps
                .iter()
                .any(|step| matches!(step, Progress::Built { .. }))
        );
    }

    #[test]
    fn only_what_is_missing_is_built() {
        let sandbox = Sandbox::new();
        for name in ["etcd", "kube-apiserver", "kubectl"] {
            sandbox.put("cache/v1.37.2", name, "");
        }
        let made = sandbox.dir.path().join("made");
        go(
            &sandbox,
            "go1.26.8",
            &format!("echo \"$@\" > {}\n{MAKE_ALL}", made.display()),
        );
        programs::find(&sandbox.places, &mut quiet).unwrap();
        assert_eq!(
            fs::read_to_string(made).unwrap(),
            "sigs.k8s.io/kwok/cmd/kwok\n"
        );
    }

    #[test]
    fn a_failed_build_shows_its_last_lines_and_leaves_nothing() {
        let sandbox = Sandbox::new();
        go(
            &sandbox,
            "go1.26.8",
            &format!("{MAKE_ALL}; echo 'no space left' >&2; exit 1"),
        );
        let failed = programs::find(&sandbox.places, &mut quiet).unwrap_err();
        assert!(matches!(failed, Failure::Build { .. }), "{failed}");
        assert!(
            failed.to_string().ends_with("kwok\nno space left"),
            "{failed}"
        );
        assert!(left_aside(&sandbox).is_empty());
        assert_eq!(fs::read_dir(&sandbox.places.cache).unwrap().count(), 0);
    }

    #[test]
    fn an_old_go_and_no_go_say_what_to_do() {
        let sandbox = Sandbox::new();
        let none = programs::find(&sandbox.places, &mut quiet).unwrap_err();
        assert!(
            none.to_string().contains("Install Go 1.26 or newer"),
            "{none}"
        );
        assert!(
            none.to_string()
                .starts_with("etcd, kube-apiserver, kubectl and kwok"),
            "{none}"
        );
        go(&sandbox, "go1.25.4", MAKE_ALL);
        let old = programs::find(&sandbox.places, &mut quiet).unwrap_err();
        assert!(old.to_string().contains("is go1.25.4."), "{old}");
    }

    #[test]
    fn a_build_can_be_called_off() {
        let sandbox = Sandbox::new();
        go(&sandbox, "go1.26.8", "sleep 600");
        let begun = Instant::now();
        let stopped = programs::find(&sandbox.places, &mut |step| match step {
            Progress::Building { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert!(matches!(stopped, Err(Failure::Cancelled)), "{stopped:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(left_aside(&sandbox).is_empty());
    }

    #[test]
    fn two_builders_at_once_build_once() {
        let sandbox = Sandbox::new();
        let builds = sandbox.dir.path().join("builds");
        go(
            &sandbox,
            "go1.26.8",
            &format!("echo one >> {}; sleep 1\n{MAKE_ALL}", builds.display()),
        );
        let waited = std::sync::atomic::AtomicBool::new(false);
        let one = || {
            programs::find(&sandbox.places, &mut |step| {
                if matches!(step, Progress::Waiting { .. }) {
                    waited.store(true, std::sync::atomic::Ordering::SeqCst);
                }
                ControlFlow::Continue(())
            })
            .unwrap()
        };
        std::thread::scope(|scope| {
            let (a, b) = (scope.spawn(one), scope.spawn(one));
            assert_eq!(a.join().unwrap(), b.join().unwrap());
        });
        assert_eq!(fs::read_to_string(builds).unwrap(), "one\n");
        assert!(waited.into_inner());
    }
}
