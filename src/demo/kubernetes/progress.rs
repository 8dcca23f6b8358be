//! What the wait is for: one value per thing worth telling the person who waits.
//!
//! This file prints nothing. Whoever waits gives a [`Report`], prints as it likes, and
//! may stop the wait by its answer (Ctrl-C, a deadline).

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use super::failure::Failure;

/// Receives every [`Progress`], at least four times a second while something is waited
/// for; `ControlFlow::Break` stops the wait, cleans up and returns [`Failure::Cancelled`].
pub type Report<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// One step of the way to a running control plane. `Display` makes a line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The search for programs has begun.
    Looking,
    /// A program was found.
    Found {
        /// Its name.
        program: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// A program was found but is not the version that is needed.
    Skipped {
        /// Where it is.
        path: PathBuf,
        /// What it says it is.
        version: String,
    },
    /// Another process is building; this one waits for it.
    Waiting {
        /// How long already.
        elapsed: Duration,
    },
    /// `go build` runs.
    Building {
        /// What is being built, as a list for people.
        programs: String,
        /// How long already.
        elapsed: Duration,
        /// How many packages are compiled, and modules downloaded.
        packages: usize,
        /// The newest line of Go's output.
        latest: String,
    },
    /// `go build` is done.
    Built {
        /// How long it took.
        took: Duration,
    },
    /// A part of the control plane was started and is not ready yet.
    Starting {
        /// Which part.
        part: &'static str,
        /// How long already.
        elapsed: Duration,
    },
    /// A part of the control plane answers.
    Ready {
        /// Which part.
        part: &'static str,
        /// How long it took.
        took: Duration,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Looking => f.write_str("looking for the control plane's programs"),
            Self::Found { program, path } => write!(f, "{program}: {}", path.display()),
            Self::Skipped { path, version } => {
                write!(f, "{} passed over: it is {version:?}", path.display())
            }
            Self::Waiting { elapsed } => {
                write!(
                    f,
                    "another process is building Kubernetes, waiting {}",
                    clock(*elapsed)
                )
            }
            Self::Building {
                programs,
                elapsed,
                packages,
                latest,
            } => write!(
                f,
                "building {programs} (once; some minutes): {}, {packages} packages, {latest}",
                clock(*elapsed)
            ),
            Self::Built { took } => write!(f, "built in {}", clock(*took)),
            Self::Starting { part, elapsed } => write!(f, "starting {part}: {}", clock(*elapsed)),
            Self::Ready { part, took } => write!(f, "{part} ready in {:.1} s", took.as_secs_f32()),
        }
    }
}

/// A [`Report`] for those who do not care: says nothing, never stops.
pub fn quiet(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Hands one step to the report and turns its wish to stop into an error.
pub(super) fn tell(report: Report<'_>, step: Progress) -> Result<(), Failure> {
    match report(step) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Failure::Cancelled),
    }
}

fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {:02} s", seconds % 60),
    }
}
