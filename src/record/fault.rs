//! Why the ledger cannot do what it was asked.
//!
//! Part of ⑧ record. Each sentence is for the operator, and says what to do next; a client
//! only ever hears that the gate cannot record.

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::NoteError;
use super::verify::VerifyError;

/// A fault of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Another process uses the directory.
    #[error(
        "the ledger in {0} is in use by another gate: stop that one, or give this one a directory of its own"
    )]
    Locked(PathBuf),
    /// The file system refused.
    #[error("cannot {doing} {path}: {cause}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kind of fault.
        kind: io::ErrorKind,
        /// What the system said.
        cause: String,
    },
    /// The disk, or a quota, is full.
    #[error("no space is left for {path}: free some, then start the gate again")]
    NoSpace {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// An entry is empty, or longer than 65 535 bytes.
    #[error("an entry of {0} bytes cannot be recorded: it must have 1 to 65535")]
    EntrySize(usize),
    /// Origin or key are unusable.
    #[error("{path}: {cause}")]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        cause: NoteError,
    },
    /// The key is readable by others.
    #[error(
        "{0} can be read by every user of this machine: chmod 600 it, and consider the key as known"
    )]
    KeyExposed(PathBuf),
    /// The ledger was written with another key.
    #[error(
        "{path} is not the key of this ledger, which is {expected}: put the right key back, or start a new ledger in an empty directory"
    )]
    OtherKey {
        /// The key's file.
        path: PathBuf,
        /// The ledger's verifier key.
        expected: String,
    },
    /// There are records, but no key.
    #[error(
        "the ledger in {dir} has records, but its key {key} is missing: put it back, or start a new ledger in an empty directory"
    )]
    KeyMissing {
        /// The ledger.
        dir: PathBuf,
        /// Where the key should be.
        key: PathBuf,
    },
    /// What is on disk is not what was signed.
    #[error(
        "the ledger in {dir} is not what was signed: {cause}. Keep a copy for the auditor, then restore it from a backup or start a new one in an empty directory"
    )]
    Altered {
        /// The ledger.
        dir: PathBuf,
        /// What was found.
        cause: VerifyError,
    },
    /// An earlier fault stopped it.
    #[error(
        "the ledger has stopped, until the gate is started again, because of an earlier fault: {0}"
    )]
    Stopped(Box<LedgerError>),
    /// The disk does not answer.
    #[error("the disk has not confirmed a write to the ledger for {0} s")]
    Stalled(u64),
    /// There is no such record.
    #[error("the ledger has no record {0}")]
    NoSuchRecord(u64),
    /// It was closed.
    #[error("the ledger is closed: the gate is shutting down")]
    Closed,
    /// A fault of the gate itself.
    #[error("the ledger's own thread has ended unexpectedly")]
    ThreadDied,
}

impl LedgerError {
    pub(super) fn io(doing: &'static str, path: &Path, e: &io::Error) -> Self {
        let path = path.to_owned();
        match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            kind => Self::Io {
                doing,
                path,
                kind,
                cause: e.to_string(),
            },
        }
    }
}
