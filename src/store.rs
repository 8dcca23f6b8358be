//! Rows and transactions: the only room that knows SQL.
//!
//! Not a step of the walk, but the memory that ⑤ `approve`, the console and `review` share:
//! holds with the answers of people, and a search index derived from the ledger. It judges
//! nothing; whoever needs a decision inside a transaction brings it as a closure.
//!
//! SQLite in WAL mode. One thread writes, a few read; callers talk to them over bounded
//! channels, so no async task ever waits for the disk. Every commit is flushed
//! (`synchronous = FULL`): an approval that was spent stays spent after a power cut.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::refusal::Refusal;

mod holds;
mod migrate;
mod records;
mod sessions;
mod usage;

pub use holds::{Answer, Filed, HoldFilter, HoldRow, HoldStatus, NewHold, Vote};
pub use records::{IndexRow, OutcomeRow, RecordQuery, RecordRow};
pub use sessions::{Session, SessionQuery, SessionRow};
pub use usage::UsageRow;

/// The most rows that one search answers with, whatever was asked for.
pub const MAX_ROWS: usize = 1000;

/// Threads that read; the writer is one more.
const READERS: usize = 3;
/// Jobs that may wait for a thread before callers wait too.
const QUEUE: usize = 256;
/// How long SQLite waits for a lock held by another process.
const BUSY: Duration = Duration::from_secs(5);

/// What can go wrong between a caller and its rows.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or is no database.
    #[error("cannot open the store {path}: {cause}; check that the directory exists and is writable by the gate", path = path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system or SQLite said.
        cause: String,
    },
    /// A newer Gateward has written this file.
    #[error("the store {path} has schema version {found}, this gateward knows up to {known}; run the newer gateward, or restore a backup of before the upgrade", path = path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// SQLite refused: disk full, lock not had, file damaged, a value that cannot be read.
    #[error("the store failed: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A hold changed under a transaction's feet; nothing was written.
    #[error("hold {id} was changed by someone else at the same moment; ask again")]
    Raced {
        /// The hold's id.
        id: String,
    },
    /// More distinct rows than a review can carry.
    #[error("more than {limit} distinct kinds of use in this period; choose a shorter one")]
    TooMuch {
        /// The limit.
        limit: usize,
    },
    /// The store's thread is gone.
    #[error("the store is closed; restart the gate")]
    Closed,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::StoreUnavailable {
            inside: error.to_string(),
        }
    }
}

/// One unit of work for a thread that owns a connection.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The store. Cheap to clone; the threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    write: mpsc::Sender<Job>,
    read: mpsc::Sender<Job>,
}

impl Store {
    /// Opens the database file, making it (mode 0600) if it is not there, and brings its
    /// schema up to date. Blocks; call it at start.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], or [`StoreError::Sql`] if a migration
    /// fails, in which case the file is as it was.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |cause: &dyn fmt::Display| StoreError::Open {
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        make_private(path).map_err(|e| failed(&e))?;
        let mut writer = connect(path).map_err(|e| failed(&e))?;
        migrate::migrate(&mut writer, path)?;
        let (write, jobs) = mpsc::channel(QUEUE);
        spawn("store-write", writer, jobs).map_err(|e| failed(&e))?;

        let (read, jobs) = mpsc::channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..READERS {
            let reader = connect(path).map_err(|e| failed(&e))?;
            reader
                .pragma_update(None, "query_only", true)
                .map_err(|e| failed(&e))?;
            spawn_shared("store-read", reader, Arc::clone(&jobs)).map_err(|e| failed(&e))?;
        }
        Ok(Self { write, read })
    }

    /// Runs `work` on a reading thread.
    async fn reading<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        run(&self.read, move |c| work(c)).await
    }

    /// Runs `work` on the writing thread in one transaction: committed if it answers `Ok`,
    /// rolled back otherwise. Goes through even if the caller stops waiting for it.
    async fn writing<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        run(&self.write, move |c| {
            let tx = c
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(StoreError::from)?;
            let answer = work(&tx)?;
            tx.commit().map_err(StoreError::from)?;
            Ok(answer)
        })
        .await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// Hands `work` to a thread and waits for its answer.
async fn run<T, E>(
    lane: &mpsc::Sender<Job>,
    work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let job: Job = Box::new(move |c| {
        // A caller that has gone away does not need the answer.
        let _ = tell.send(work(c));
    });
    lane.send(job).await.map_err(|_| StoreError::Closed)?;
    told.await.map_err(|_| StoreError::Closed)?
}

/// Bodies and names are nobody else's business: the file must not start world-readable.
/// SQLite gives its side files the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn spawn(
    name: &str,
    mut connection: Connection,
    mut jobs: mpsc::Receiver<Job>,
) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            while let Some(job) = jobs.blocking_recv() {
                job(&mut connection);
            }
        })
        .map(drop)
}

fn spawn_shared(
    name: &str,
    mut connection: Connection,
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
) -> std::io::Result<()> {
    // The lock is let go before the job runs, so that the next thread can take the next job.
    let next = move || {
        jobs.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv()
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            while let Some(job) = next() {
                job(&mut connection);
            }
        })
        .map(drop)
}

/// SQLite's integers are signed; a count that does not fit is at its end anyway.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// How many rows to ask for: at least one, at most [`MAX_ROWS`].
fn capped(limit: usize) -> i64 {
    signed(limit.clamp(1, MAX_ROWS) as u64)
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
    use super::*;

    #[tokio::test]
    async fn a_missing_directory_is_named() {
        let error = Store::open(Path::new("/nonexistent/gate.db")).unwrap_err();
        assert!(
            error.to_string().contains("/nonexistent/gate.db"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gate.db");
        let text = "this is not a database, it is somebody's notes ".repeat(100);
        std::fs::write(&path, &text).unwrap();
        assert!(matches!(
            Store::open(&path),
            Err(StoreError::Open { .. } | StoreError::Sql(_))
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_files_are_readable_by_the_gate_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gate.db");
        let store = Store::open(&path).unwrap();
        store.index(Vec::new(), 1).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert!(files.len() >= 2, "no WAL beside the database");
        for file in files {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }

    #[tokio::test]
    async fn a_failed_transaction_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gate.db")).unwrap();
        let outcome: Result<(), StoreError> = store
            .writing(|tx| {
                tx.execute("UPDATE index_progress SET indexed = 7", [])?;
                Err(StoreError::Closed)
            })
            .await;
        assert!(outcome.is_err());
        assert_eq!(store.indexed_up_to().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gate.db")).unwrap();
        let outcome: Result<usize, StoreError> = store
            .reading(|c| Ok(c.execute("UPDATE index_progress SET indexed = 7", [])?))
            .await;
        assert!(outcome.is_err());
    }
}
