//! The files of one ledger: `entries`, `leaves`, `checkpoint`, `checkpoints`.
//!
//! Part of ⑧ record, and the only part that writes to the ledger's directory. It knows
//! where bytes go and when they are safe, never what they mean. Positions are given, not
//! kept: after a failed write, what lies beyond the caller's position counts for nothing.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The frames of all records.
pub const ENTRIES: &str = "entries";
/// The leaf hashes of all records, 32 bytes each: tlog-tiles of level 0, end to end.
pub const LEAVES: &str = "leaves";
/// The newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// Earlier checkpoints, oldest first, a blank line after each.
pub const HISTORY: &str = "checkpoints";
/// The verifier key.
pub const VKEY: &str = "ledger.vkey";
/// Held while a gate uses the directory.
pub const LOCK: &str = "lock";

/// The open files of a ledger's directory.
#[derive(Debug)]
pub struct Disk {
    dir: PathBuf,
    entries: File,
    leaves: File,
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<Faults>,
}

impl Disk {
    /// Opens the files in `dir`, which exists; creates those that are missing.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let open = |name| options().read(true).open(dir.join(name));
        Ok(Self {
            dir: dir.to_owned(),
            entries: open(ENTRIES)?,
            leaves: open(LEAVES)?,
            #[cfg(test)]
            faults: std::sync::Arc::default(),
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a frame at byte `at` of `entries`, in one call unless the kernel splits it.
    pub fn write_frame(&self, frame: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.before_write(&self.entries, frame, at)?;
        self.entries.write_all_at(frame, at)
    }

    /// Writes leaf hashes at byte `at` of `leaves`.
    pub fn write_leaves(&self, leaves: &[u8], at: u64) -> io::Result<()> {
        self.leaves.write_all_at(leaves, at)
    }

    /// Cuts `entries` after `len` bytes.
    pub fn cut_entries(&self, len: u64) -> io::Result<()> {
        self.entries.set_len(len)
    }

    /// Cuts `leaves` after `len` bytes.
    pub fn cut_leaves(&self, len: u64) -> io::Result<()> {
        self.leaves.set_len(len)
    }

    /// Returns when all frames that were written before are on stable storage.
    pub fn sync_entries(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.before_sync()?;
        self.entries.sync_data()
    }

    /// Reads `entries` at byte `at`, as many bytes as `into` has room for.
    pub fn read_entries(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.entries.read_exact_at(into, at)
    }

    /// Puts a small file in place of the one with this name: at any moment, also after a
    /// power cut, there is the whole old one or the whole new one.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.dir.join(format!("{name}.new"));
        let mut file = options().truncate(true).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.dir.join(name))?;
        sync_dir(&self.dir)
    }

    /// Adds a checkpoint to the history.
    pub fn append_history(&self, note: &str) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.dir.join(HISTORY))?;
        file.write_all(format!("{note}\n").as_bytes())?;
        file.sync_data()
    }
}

/// Creates a directory and those above it, for this user only.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads a whole file; `None` if there is none.
pub fn read_if_any(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Opens or creates for writing, for this user only, keeping what is there.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

/// A disk that fills up, fails or hangs when a test says so.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Faults {
    pub full_at: std::sync::atomic::AtomicU64,
    pub sync_fails: std::sync::atomic::AtomicBool,
    pub sync_takes_ms: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl Default for Faults {
    fn default() -> Self {
        Self {
            full_at: u64::MAX.into(),
            sync_fails: false.into(),
            sync_takes_ms: 0.into(),
        }
    }
}

#[cfg(test)]
impl Faults {
    fn before_write(&self, file: &File, frame: &[u8], at: u64) -> io::Result<()> {
        let room = self.full_at.load(std::sync::atomic::Ordering::Relaxed);
        let room = usize::try_from(room.saturating_sub(at)).unwrap_or(usize::MAX);
        if room >= frame.len() {
            return Ok(());
        }
        file.write_all_at(frame.get(..room).unwrap_or_default(), at)?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn before_sync(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering::Relaxed;
        let ms = self.sync_takes_ms.load(Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(ms));
        if self.sync_fails.load(Relaxed) {
            return Err(io::Error::other("the test says so"));
        }
        Ok(())
    }
}
