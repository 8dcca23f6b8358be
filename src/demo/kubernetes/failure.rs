//! Why the local control plane is not there, as sentences that say what to do next.
//!
//! Never seen by an agent: these go to the person who ran the demo or the tests.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::programs::VERSION;

/// Everything that can keep the control plane from running.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Programs are missing and nothing here can build them.
    #[error(
        "{missing} of Kubernetes {VERSION} not found, and Go, which would build them, is not on \
         PATH. Install Go 1.26 or newer (https://go.dev/dl/), or put matching programs on PATH, \
         or let KUBEBUILDER_ASSETS name a directory with etcd, kube-apiserver and kubectl \
         (kwok 0.8 is then still needed on PATH)"
    )]
    NoGo {
        /// The programs that were not found, as a list for people.
        missing: String,
    },
    /// Go is there but cannot read the module.
    #[error(
        "building Kubernetes {VERSION} needs Go 1.26 or newer, and {go} is {found}. Install a newer \
         Go (https://go.dev/dl/), or allow it to fetch one (GOTOOLCHAIN=auto)"
    )]
    OldGo {
        /// The program that was asked.
        go: PathBuf,
        /// What it said it was.
        found: String,
    },
    /// `go build` ended without success.
    #[error(
        "building {programs} with go failed ({status}). The Go module proxy must be reachable \
         (GOPROXY), and about 4 GB of disk free. Its last lines:\n{tail}"
    )]
    Build {
        /// What was being built.
        programs: String,
        /// How `go build` ended.
        status: ExitStatus,
        /// The end of its output.
        tail: String,
    },
    /// There is no place to keep built programs.
    #[error(
        "no place to keep Kubernetes {VERSION}: set HOME, or XDG_CACHE_HOME to an absolute path"
    )]
    NoCache,
    /// A program of the control plane ended by itself.
    #[error("{program} ended early ({status}); its log is {log}, and ends:\n{tail}", log = log.display())]
    Died {
        /// Which program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// Its whole output.
        log: PathBuf,
        /// The end of its output.
        tail: String,
    },
    /// Something did not become ready in time.
    #[error("{what} after {waited:?}; the log is {log}, and ends:\n{tail}", log = log.display())]
    Slow {
        /// What is still missing, as a clause.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// The output of the program that is late.
        log: PathBuf,
        /// The end of that output.
        tail: String,
    },
    /// kubectl ran and said no.
    #[error("kubectl {args} failed ({status}): {stderr}")]
    Kubectl {
        /// Its arguments.
        args: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// A key or certificate could not be made.
    #[error("cannot make the local cluster's certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, and on which path.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The caller's report asked to stop.
    #[error("stopped on request")]
    Cancelled,
}

impl Failure {
    /// Whether somebody else took a port between our asking for it and our use of it.
    pub(super) fn is_stolen_port(&self) -> bool {
        matches!(self, Self::Died { tail, .. } if tail.contains("address already in use"))
    }
}

/// For `map_err`: gives an I/O error the sentence of what was tried.
pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let doing = doing.into();
    move |source| Failure::Io { doing, source }
}
