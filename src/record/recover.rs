//! Opening a ledger: key, lock, and what a power cut may have left behind.
//!
//! Part of ⑧ record. Everything is checked before anything is changed: a ledger that is
//! not what was signed stays exactly as it was found. Only what lies after the newest
//! checkpoint may be cut off, and only from the first frame on that is not whole.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex};

use tokio::sync::watch;

use super::checkpoint::{NoteError, Signer};
use super::disk::{self, Disk, ENTRIES, HISTORY, LEAVES, LOCK, VKEY};
use super::fault::LedgerError;
use super::frame::{Frames, Next};
use super::ledger::{STRIDE, Shared, State};
use super::merkle::{Frontier, leaf_hash};
use super::sync;
use super::verify::{Heads, VerifyError, verify};

pub(super) fn open(dir: &Path, key: &Path, origin: &str) -> Result<Shared, LedgerError> {
    disk::create_dir(dir).map_err(|e| LedgerError::io("create", dir, &e))?;
    let lock = lock(dir)?;
    let has_records = dir.join(ENTRIES).metadata().is_ok_and(|m| m.len() > 0);
    let signer = signer(dir, key, origin, has_records)?;
    let heads = Heads::read(dir, signer.verifier()).map_err(|cause| altered(dir, cause))?;
    if heads.is_none() && has_records {
        return Err(altered(dir, VerifyError::NoCheckpoint(dir.to_owned())));
    }
    let disk = Disk::open(dir).map_err(|e| LedgerError::io("open the files in", dir, &e))?;
    let found = survey(dir, heads.as_ref(), &signer)?;
    let torn_bytes = found.len - found.end;
    repair(&disk, &found, heads.as_ref())?;
    let signed = heads.and_then(|heads| heads.newest());
    let grown = signed.is_none_or(|signed| signed.size < found.tree.size());
    let state = State {
        durable: found.tree.size(),
        durable_end: found.end,
        end: found.end,
        places: found.places,
        tree: found.tree,
        ..State::default()
    };
    let shared = Shared {
        disk,
        signer,
        torn_bytes,
        durable: watch::Sender::new(state.durable),
        wake: Condvar::new(),
        syncs: AtomicU64::new(0),
        _lock: lock,
        state: Mutex::new(state),
    };
    if grown {
        let tree = shared.lock().tree.clone();
        sync::sign(&shared, &tree, true)?;
    }
    Ok(shared)
}

fn lock(dir: &Path) -> Result<File, LedgerError> {
    let path = dir.join(LOCK);
    let file = disk::options().open(&path);
    let file = file.map_err(|e| LedgerError::io("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked(dir.to_owned())),
        Err(TryLockError::Error(e)) => Err(LedgerError::io("lock", &path, &e)),
    }
}

/// The key of this ledger; a new one for a new ledger.
fn signer(dir: &Path, key: &Path, origin: &str, old: bool) -> Result<Signer, LedgerError> {
    let bad = |cause| LedgerError::Key {
        path: key.to_owned(),
        cause,
    };
    let vkey_path = dir.join(VKEY);
    let vkey = disk::read_if_any(&vkey_path);
    let vkey = vkey.map_err(|e| LedgerError::io("read", &vkey_path, &e))?;
    let signer = match read_key(key)? {
        Some(secret) => Signer::parse(&secret).map_err(bad)?,
        None if old || vkey.is_some() => {
            return Err(LedgerError::KeyMissing {
                dir: dir.to_owned(),
                key: key.to_owned(),
            });
        }
        None => create_key(key, origin)?,
    };
    if signer.verifier().origin() != origin {
        return Err(bad(NoteError::OtherOrigin {
            expected: origin.to_owned(),
            found: signer.verifier().origin().to_owned(),
        }));
    }
    let ours = format!("{}\n", signer.verifier());
    match vkey {
        Some(vkey) if vkey == ours.as_bytes() => {}
        Some(vkey) => {
            return Err(LedgerError::OtherKey {
                path: key.to_owned(),
                expected: String::from_utf8_lossy(vkey.trim_ascii()).into_owned(),
            });
        }
        None => {
            let file = disk::options().open(&vkey_path);
            file.and_then(|mut file| file.write_all(ours.as_bytes()))
                .map_err(|e| LedgerError::io("write", &vkey_path, &e))?;
        }
    }
    Ok(signer)
}

fn read_key(path: &Path) -> Result<Option<String>, LedgerError> {
    let failed = |e: &io::Error| LedgerError::io("read", path, e);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(&e)),
    };
    // A group may read it: that is how Kubernetes mounts a Secret for a pod's fsGroup.
    let mode = file.metadata().map_err(|e| failed(&e))?.permissions();
    if mode.mode() & 0o007 != 0 {
        return Err(LedgerError::KeyExposed(path.to_owned()));
    }
    let mut secret = String::new();
    file.read_to_string(&mut secret).map_err(|e| failed(&e))?;
    Ok(Some(secret))
}

fn create_key(path: &Path, origin: &str) -> Result<Signer, LedgerError> {
    let failed = |e: &io::Error| LedgerError::io("create", path, e);
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed)
        .map_err(|_| failed(&io::Error::other("the system has no random numbers")))?;
    let signer = Signer::new(origin, &seed).map_err(|cause| LedgerError::Key {
        path: path.to_owned(),
        cause,
    })?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    disk::create_dir(dir).map_err(|e| failed(&e))?;
    // Made aside and never in place of another: a half-written key cannot be found.
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(format!("{}\n", signer.secret()).as_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        disk::sync_dir(dir)
    };
    write().map_err(|e| failed(&e))?;
    Ok(signer)
}

/// What is on disk.
struct Found {
    tree: Frontier,
    places: Vec<u64>,
    /// Where the last whole frame ends, and where the file does.
    end: u64,
    len: u64,
    /// How many leaf hashes, from the first, are right.
    right_leaves: u64,
}

/// Reads everything and holds it against the newest checkpoint.
fn survey(dir: &Path, heads: Option<&Heads>, signer: &Signer) -> Result<Found, LedgerError> {
    let path = dir.join(ENTRIES);
    let failed = |e: &io::Error| LedgerError::io("read", &path, e);
    let file = File::open(&path).map_err(|e| failed(&e))?;
    let len = file.metadata().map_err(|e| failed(&e))?.len();
    let mut frames = Frames::new(file.take(len));
    let leaves_path = dir.join(LEAVES);
    let leaves = File::open(&leaves_path);
    let leaves = leaves.map_err(|e| LedgerError::io("read", &leaves_path, &e))?;
    let mut leaves = io::BufReader::with_capacity(1 << 16, leaves);
    let signed = heads.and_then(Heads::newest);
    let mut found = Found {
        tree: Frontier::default(),
        places: Vec::new(),
        end: 0,
        len,
        right_leaves: 0,
    };
    let mut as_signed = signed.is_none_or(|s| s.size == 0 && s.root == found.tree.root());
    while frames.advance().map_err(|e| failed(&e))? == Next::Entry {
        let index = found.tree.size();
        let leaf = leaf_hash(frames.entry());
        let mut stored = [0; 32];
        if found.right_leaves == index && leaves.read_exact(&mut stored).is_ok() && stored == leaf {
            found.right_leaves += 1;
        }
        if index.is_multiple_of(STRIDE) {
            found.places.push(found.end);
        }
        found.tree.push(leaf);
        found.end = frames.end();
        as_signed |= signed.is_some_and(|s| s.size == index + 1 && s.root == found.tree.root());
    }
    if as_signed {
        return Ok(found);
    }
    // Something is wrong before the newest checkpoint: let the verifier name it.
    match verify(dir, &signer.verifier().to_string()) {
        Err(cause) => Err(altered(dir, cause)),
        Ok(_) => Err(failed(&io::Error::other("it changed while it was read"))),
    }
}

/// Cuts off what is torn, writes derived files anew where they are wrong, and makes all of
/// it durable.
fn repair(disk: &Disk, found: &Found, heads: Option<&Heads>) -> Result<(), LedgerError> {
    let at = |name: &str| disk.dir().join(name);
    let failed = |path: PathBuf| move |e: io::Error| LedgerError::io("repair", &path, &e);
    if found.len > found.end {
        tracing::warn!(
            bytes = found.len - found.end,
            "cut off an unfinished write at the end of the ledger"
        );
        disk.cut_entries(found.end).map_err(failed(at(ENTRIES)))?;
    }
    let size = found.tree.size();
    disk.cut_leaves(found.right_leaves * 32)
        .map_err(failed(at(LEAVES)))?;
    if found.right_leaves < size {
        rebuild_leaves(disk, found).map_err(failed(at(LEAVES)))?;
    }
    if let Some(heads) = heads
        && at(HISTORY)
            .metadata()
            .is_ok_and(|m| m.len() > heads.history_len)
    {
        disk::options()
            .open(at(HISTORY))
            .and_then(|history| history.set_len(heads.history_len))
            .map_err(failed(at(HISTORY)))?;
    }
    disk.sync_entries().map_err(failed(at(ENTRIES)))?;
    disk::sync_dir(disk.dir()).map_err(failed(disk.dir().to_owned()))
}

fn rebuild_leaves(disk: &Disk, found: &Found) -> io::Result<()> {
    let file = File::open(disk.dir().join(ENTRIES))?;
    let mut frames = Frames::new(file.take(found.end));
    let mut index = 0;
    let mut batch = Vec::new();
    let mut at = found.right_leaves * 32;
    while frames.advance()? == Next::Entry {
        if index >= found.right_leaves {
            batch.extend_from_slice(&leaf_hash(frames.entry()));
        }
        index += 1;
        if batch.len() >= 1 << 16 {
            disk.write_leaves(&batch, at)?;
            at += batch.len() as u64;
            batch.clear();
        }
    }
    disk.write_leaves(&batch, at)
}

fn altered(dir: &Path, cause: VerifyError) -> LedgerError {
    LedgerError::Altered {
        dir: dir.to_owned(),
        cause,
    }
}
