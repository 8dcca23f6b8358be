//! The ledger: an append-only Merkle log in one directory.
//!
//! Part of ⑧ record. It takes bytes, gives them an index, and says when they are on stable
//! storage; what the bytes mean is no business of this part. Fail closed: after one failed
//! write or sync nothing more is accepted until the gate is started again, because nobody
//! can know what the disk really holds. It never deletes a record and never reads the
//! clock's time.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::checkpoint::Signer;
use super::disk::{Disk, ENTRIES};
use super::fault::LedgerError;
use super::frame::{self, Frames, Next};
use super::merkle::{Frontier, leaf_hash};
use super::{recover, sync};

/// Every how many records the place of one is remembered.
pub(super) const STRIDE: u64 = 64;
/// How long the disk may take for one sync before the ledger counts as unhealthy.
const STALL: Duration = Duration::from_secs(5);
/// The most that one [`Ledger::read`] returns, in bytes, unless one record is longer.
const MAX_READ: u64 = 4 << 20;

/// A ledger that this process owns. Cloning is cheap; the last clone closes it.
#[derive(Debug, Clone)]
pub struct Ledger {
    owner: Arc<Owner>,
}

impl Ledger {
    /// Opens the ledger in `dir`, or begins one, and checks that it is what was signed.
    ///
    /// The private key is read from `key`, or made there (mode 0600) for a new ledger.
    /// `origin` is the ledger's name for ever, best a URL without scheme. What a power cut
    /// left unfinished after the newest checkpoint is cut off; see [`Ledger::torn_bytes`].
    ///
    /// # Errors
    /// Every reason why not; nothing is written to a ledger that is not what was signed.
    pub fn open(dir: &Path, key: &Path, origin: &str) -> Result<Self, LedgerError> {
        let shared = Arc::new(recover::open(dir, key, origin)?);
        let thread = sync::start(Arc::clone(&shared))?;
        let thread = Mutex::new(Some(thread));
        let owner = Arc::new(Owner { shared, thread });
        Ok(Self { owner })
    }

    /// Writes one entry and returns its index. When this returns, the entry outlives this
    /// process; [`Ledger::durable`] tells when it outlives the machine's power.
    ///
    /// # Errors
    /// [`LedgerError::EntrySize`] harms nothing; any other one is final.
    pub fn append(&self, entry: &[u8]) -> Result<u64, LedgerError> {
        let leaf = leaf_hash(entry);
        let shared = &self.owner.shared;
        let mut guard = shared.lock();
        let state = &mut *guard;
        state.check_open()?;
        if !frame::encode(entry, &mut state.frame) {
            return Err(LedgerError::EntrySize(entry.len()));
        }
        if let Err(e) = shared.disk.write_frame(&state.frame, state.end) {
            // What was written of the frame counts for nothing; tidy up if that works.
            let _ = shared.disk.cut_entries(state.end);
            let error = LedgerError::io("write", &shared.disk.dir().join(ENTRIES), &e);
            drop(guard);
            return Err(shared.stop(error));
        }
        let index = state.tree.size();
        if index.is_multiple_of(STRIDE) {
            state.places.push(state.end);
        }
        state.end += state.frame.len() as u64;
        state.tree.push(leaf);
        state.new_leaves.extend_from_slice(&leaf);
        Ok(index)
    }

    /// Starts making a record durable without waiting for it.
    pub fn hasten(&self, index: u64) {
        let shared = &self.owner.shared;
        let mut state = shared.lock();
        if state.wanted <= index {
            state.wanted = index + 1;
            drop(state);
            shared.wake.notify_one();
        }
    }

    /// Returns when the record is on stable storage. All who wait share one sync.
    ///
    /// # Errors
    /// If the ledger has stopped before, or there is no such record. It may wait as long as
    /// the disk does: the caller sets the deadline.
    pub async fn durable(&self, index: u64) -> Result<(), LedgerError> {
        let shared = &self.owner.shared;
        let mut durable = shared.durable.subscribe();
        if *durable.borrow_and_update() > index {
            return Ok(());
        }
        if index >= self.size() {
            return Err(LedgerError::NoSuchRecord(index));
        }
        self.hasten(index);
        loop {
            if *durable.borrow_and_update() > index {
                return Ok(());
            }
            if let Some(error) = shared.lock().stopped.clone() {
                return Err(LedgerError::Stopped(Box::new(error)));
            }
            if durable.changed().await.is_err() {
                return Err(LedgerError::ThreadDied);
            }
        }
    }

    /// Durable records from index `from` on, at most `max` and 4 MiB; none at the end.
    /// Blocks on the disk. Works also when the ledger has stopped.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
        let shared = &self.owner.shared;
        let (place, end, durable) = {
            let state = shared.lock();
            let slot = usize::try_from(from / STRIDE).unwrap_or(usize::MAX);
            let place = state.places.get(slot).copied();
            (place, state.durable_end, state.durable)
        };
        let (Some(place), true) = (place, from < durable) else {
            return Ok(Vec::new());
        };
        let section = Section::new(&shared.disk, place, end);
        let mut frames = Frames::new(section);
        let mut records = Vec::new();
        let mut index = from - from % STRIDE;
        let mut bytes = 0;
        while records.len() < max && bytes < MAX_READ {
            let path = shared.disk.dir().join(ENTRIES);
            let next = frames.advance();
            match next.map_err(|e| LedgerError::io("read", &path, &e))? {
                Next::Entry if index >= from => {
                    bytes += frames.entry().len() as u64;
                    records.push((index, frames.entry().to_vec()));
                }
                Next::Entry => {}
                Next::End | Next::Broken => break,
            }
            index += 1;
        }
        Ok(records)
    }

    /// How many records are durable; changes whenever there are more, or the ledger stops.
    pub fn watch_durable(&self) -> watch::Receiver<u64> {
        self.owner.shared.durable.subscribe()
    }

    /// How many records there are, durable or not.
    pub fn size(&self) -> u64 {
        self.owner.shared.lock().tree.size()
    }

    /// How many bytes of unfinished, unsigned writes were cut off when it was opened.
    pub fn torn_bytes(&self) -> u64 {
        self.owner.shared.torn_bytes
    }

    /// The verifier key, in the C2SP form.
    pub fn vkey(&self) -> String {
        self.owner.shared.signer.verifier().to_string()
    }

    /// How many syncs of records there were, for metrics.
    pub fn syncs(&self) -> u64 {
        self.owner.shared.syncs.load(Ordering::Relaxed)
    }

    /// Whether records can be written.
    ///
    /// # Errors
    /// Why not: it has stopped, is closed, or the disk has not answered for 5 seconds.
    pub fn health(&self) -> Result<(), LedgerError> {
        let state = self.owner.shared.lock();
        state.check_open()?;
        match state.syncing_since.map(|since| since.elapsed()) {
            Some(elapsed) if elapsed > STALL => Err(LedgerError::Stalled(elapsed.as_secs())),
            _ => Ok(()),
        }
    }

    /// Makes all records durable, signs them, and accepts no more. Blocks on the disk.
    ///
    /// # Errors
    /// If that fails, or the ledger had stopped before.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.owner.close();
        match self.owner.shared.lock().stopped.clone() {
            None => Ok(()),
            Some(error) => Err(LedgerError::Stopped(Box::new(error))),
        }
    }

    #[cfg(test)]
    pub(super) fn faults(&self) -> &super::disk::Faults {
        &self.owner.shared.disk.faults
    }
}

/// Closes the ledger when the last clone goes.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Owner {
    fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            self.shared.stop(LedgerError::ThreadDied);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the callers and the sync thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub disk: Disk,
    pub signer: Signer,
    pub torn_bytes: u64,
    pub state: Mutex<State>,
    pub wake: Condvar,
    pub durable: watch::Sender<u64>,
    pub syncs: AtomicU64,
    /// Locked as long as it is open.
    pub _lock: std::fs::File,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// All records that are written.
    pub tree: Frontier,
    /// Where the next frame goes.
    pub end: u64,
    /// Where every `STRIDE`th frame begins.
    pub places: Vec<u64>,
    /// Leaf hashes that are not in their file yet.
    pub new_leaves: Vec<u8>,
    /// How many records are durable, and where the last of them ends.
    pub durable: u64,
    pub durable_end: u64,
    /// How many records somebody waits for.
    pub wanted: u64,
    pub syncing_since: Option<Instant>,
    pub stopped: Option<LedgerError>,
    pub closing: bool,
    /// Room for the frame that is being written.
    pub frame: Vec<u8>,
}

impl State {
    fn check_open(&self) -> Result<(), LedgerError> {
        match &self.stopped {
            Some(error) => Err(LedgerError::Stopped(Box::new(error.clone()))),
            None if self.closing => Err(LedgerError::Closed),
            None => Ok(()),
        }
    }
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // Each change under the lock is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the ledger for good and wakes all who wait. The first fault is the one kept.
    pub fn stop(&self, error: LedgerError) -> LedgerError {
        tracing::error!(%error, "the ledger has stopped: every request is refused from now on");
        self.lock().stopped.get_or_insert_with(|| error.clone());
        self.durable.send_modify(|_| ());
        error
    }
}

/// A part of `entries`, read without moving a file position that others share.
struct Section<'d> {
    disk: &'d Disk,
    at: u64,
    end: u64,
}

impl<'d> Section<'d> {
    fn new(disk: &'d Disk, at: u64, end: u64) -> Self {
        Self { disk, at, end }
    }
}

impl io::Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = left.min(into.len());
        let into = into.get_mut(..len).unwrap_or_default();
        self.disk.read_entries(into, self.at)?;
        self.at += len as u64;
        Ok(len)
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
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::verify::{VerifyError, verify};
    use super::*;

    const ORIGIN: &str = "gate.example/ledger";

    struct Place {
        root: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            Self { root }
        }
        fn dir(&self) -> PathBuf {
            self.root.path().join("ledger")
        }
        fn open(&self) -> Result<Ledger, LedgerError> {
            Ledger::open(&self.dir(), &self.root.path().join("ledger.key"), ORIGIN)
        }
        fn file(&self, name: &str) -> PathBuf {
            self.dir().join(name)
        }
        fn with_records(count: u64) -> Self {
            let place = Self::new();
            fill(&place.open().unwrap(), count);
            place
        }
    }

    fn fill(ledger: &Ledger, count: u64) {
        for _ in 0..count {
            let entry = format!("record {}", ledger.size());
            ledger.append(entry.as_bytes()).unwrap();
        }
    }

    fn cut(path: &Path, by: u64) {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - by).unwrap();
    }

    #[test]
    fn what_is_appended_is_there_after_a_restart_and_verifies() {
        let place = Place::with_records(3);
        let ledger = place.open().unwrap();
        assert_eq!((ledger.size(), ledger.torn_bytes()), (3, 0));
        fill(&ledger, 2);
        ledger.close().unwrap();
        let report = verify(&place.dir(), &ledger.vkey()).unwrap();
        assert_eq!((report.checkpoint.size, report.unsigned), (5, 0));
        assert_eq!((report.checkpoints, report.leaves_differ_at), (3, None));
        assert_eq!(ledger.append(b"late"), Err(LedgerError::Closed));
        drop(ledger);
        let records = place.open().unwrap().read(0, 10).unwrap();
        assert_eq!(records[4], (4, b"record 4".to_vec()));
    }

    #[test]
    fn an_empty_ledger_is_signed_too() {
        let place = Place::with_records(0);
        let vkey = fs::read_to_string(place.file("ledger.vkey")).unwrap();
        assert_eq!(verify(&place.dir(), &vkey).unwrap().checkpoint.size, 0);
        place.open().unwrap();
    }

    #[test]
    fn two_gates_never_share_a_directory() {
        let place = Place::new();
        let first = place.open().unwrap();
        assert_eq!(place.open().err(), Some(LedgerError::Locked(place.dir())));
        drop(first);
        place.open().unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_who_wait_share_few_syncs() {
        let place = Place::new();
        let ledger = place.open().unwrap();
        ledger.faults().sync_takes_ms.store(50, Relaxed);
        let waiting = (0..64).map(|i| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let index = ledger.append(format!("entry {i}").as_bytes()).unwrap();
                ledger.durable(index).await.unwrap();
                assert!(*ledger.watch_durable().borrow() > index);
            })
        });
        for waiter in waiting.collect::<Vec<_>>() {
            waiter.await.unwrap();
        }
        assert!(ledger.syncs() <= 16, "{} syncs for 64", ledger.syncs());
        ledger.durable(0).await.unwrap();
        let beyond = ledger.durable(64).await;
        assert_eq!(beyond, Err(LedgerError::NoSuchRecord(64)));
    }

    #[tokio::test]
    async fn only_durable_records_are_read_in_order_and_in_portions() {
        let place = Place::new();
        let ledger = place.open().unwrap();
        fill(&ledger, 200);
        assert_eq!(ledger.read(0, 10).unwrap(), vec![]);
        ledger.durable(199).await.unwrap();
        for (from, max) in [(0, 3), (63, 2), (64, 200), (150, 7), (199, 5), (200, 5)] {
            let got = ledger.read(from, max).unwrap();
            let to = (from + max as u64).min(200);
            let expected = (from..to).map(|i| (i, format!("record {i}").into_bytes()));
            assert_eq!(got, expected.collect::<Vec<_>>(), "{from} {max}");
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_durable_and_signed_within_seconds() {
        let place = Place::new();
        let ledger = place.open().unwrap();
        fill(&ledger, 1);
        let mut durable = ledger.watch_durable();
        let waited = tokio::time::timeout(Duration::from_secs(10), durable.wait_for(|n| *n == 1));
        waited.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn threat_29_a_full_disk_stops_the_ledger_with_a_typed_error() {
        let place = Place::new();
        let ledger = place.open().unwrap();
        fill(&ledger, 2);
        ledger.durable(1).await.unwrap();
        ledger.faults().full_at.store(25, Relaxed);
        let full = LedgerError::NoSpace {
            path: place.file(ENTRIES),
        };
        assert_eq!(ledger.append(b"record 2"), Err(full.clone()));
        ledger.faults().full_at.store(u64::MAX, Relaxed);
        let stopped = LedgerError::Stopped(Box::new(full));
        assert_eq!(ledger.append(b"x"), Err(stopped.clone()));
        assert_eq!(ledger.health(), Err(stopped.clone()));
        assert_eq!(ledger.close(), Err(stopped));
        assert_eq!(ledger.read(0, 9).unwrap().len(), 2);
        drop(ledger);
        assert_eq!(fs::metadata(place.file(ENTRIES)).unwrap().len(), 20);
        let ledger = place.open().unwrap();
        assert_eq!(ledger.append(b"again"), Ok(2));
    }

    #[tokio::test]
    async fn threat_29_after_a_failed_sync_nothing_is_believed() {
        let place = Place::new();
        let ledger = place.open().unwrap();
        fill(&ledger, 1);
        ledger.faults().sync_fails.store(true, Relaxed);
        let error = ledger.durable(0).await;
        assert!(matches!(error, Err(LedgerError::Stopped(_))), "{error:?}");
        ledger.faults().sync_fails.store(false, Relaxed);
        assert!(ledger.append(b"x").is_err() && ledger.durable(0).await.is_err());
        assert_eq!(*ledger.watch_durable().borrow(), 0);
    }

    #[test]
    fn an_entry_of_a_wrong_size_is_refused_and_harms_nothing() {
        let place = Place::new();
        let ledger = place.open().unwrap();
        assert_eq!(ledger.append(b""), Err(LedgerError::EntrySize(0)));
        let long = vec![b'x'; 65_536];
        assert_eq!(ledger.append(&long), Err(LedgerError::EntrySize(65_536)));
        assert_eq!(ledger.append(&long[1..]), Ok(0));
    }

    #[test]
    fn threat_29_a_write_cut_off_after_the_newest_checkpoint_is_recovered() {
        for torn in [
            &b"\x00"[..],
            b"\x00\x09half",
            b"\x00\x00\x00\x00",
            b"\xff\xff{",
        ] {
            let place = Place::with_records(70);
            // A whole record after the checkpoint, and a torn one after that.
            let mut tail = b"\x00\x05whole".to_vec();
            tail.extend_from_slice(torn);
            append_to(&place.file(ENTRIES), &tail);
            append_to(&place.file("checkpoints"), b"gate.exam");
            fs::write(place.file("leaves"), [0; 40]).unwrap();
            let ledger = place.open().unwrap();
            assert_eq!(
                (ledger.size(), ledger.torn_bytes()),
                (71, torn.len() as u64)
            );
            assert_eq!(ledger.read(70, 5).unwrap(), vec![(70, b"whole".to_vec())]);
            ledger.close().unwrap();
            let report = verify(&place.dir(), &ledger.vkey()).unwrap();
            assert_eq!((report.checkpoint.size, report.torn_bytes), (71, 0));
            assert_eq!(report.leaves_differ_at, None);
        }
    }

    #[test]
    fn threat_29_signed_records_are_never_cut_off_to_make_it_start() {
        let place = Place::with_records(3);
        cut(&place.file(ENTRIES), 1);
        let before = fs::read(place.file(ENTRIES)).unwrap();
        let error = place.open().err().unwrap();
        let LedgerError::Altered { cause, .. } = &error else {
            panic!("{error}");
        };
        assert!(matches!(cause, VerifyError::Broken { record, signed: 3 } if record.index == 2));
        assert_eq!(fs::read(place.file(ENTRIES)).unwrap(), before);
    }

    #[test]
    fn threat_29_an_altered_ledger_does_not_open() {
        let damages: [fn(&Place); 5] = [
            |p| flip(&p.file(ENTRIES), 5),
            |p| flip(&p.file("checkpoint"), 30),
            |p| fs::remove_file(p.file("checkpoint")).unwrap(),
            |p| fs::remove_file(p.file(ENTRIES)).unwrap(),
            |p| cut(&p.file(ENTRIES), 10),
        ];
        for (i, damage) in damages.iter().enumerate() {
            let place = Place::with_records(3);
            damage(&place);
            let error = place.open().err();
            assert!(
                matches!(error, Some(LedgerError::Altered { .. })),
                "{i} {error:?}"
            );
        }
    }

    #[test]
    fn threat_29_a_ledger_opens_only_with_its_own_key_and_name() {
        let place = Place::with_records(1);
        let key = place.root.path().join("ledger.key");
        let mode = std::os::unix::fs::PermissionsExt::mode;
        assert_eq!(
            mode(&fs::metadata(&key).unwrap().permissions()) & 0o777,
            0o600
        );
        let renamed = Ledger::open(&place.dir(), &key, "other.example").err();
        assert!(matches!(renamed, Some(LedgerError::Key { .. })));

        fs::rename(&key, key.with_extension("old")).unwrap();
        assert!(matches!(
            place.open().err(),
            Some(LedgerError::KeyMissing { .. })
        ));
        let foreign = Place::with_records(1);
        fs::copy(foreign.root.path().join("ledger.key"), &key).unwrap();
        assert!(matches!(
            place.open().err(),
            Some(LedgerError::OtherKey { .. })
        ));

        fs::rename(key.with_extension("old"), &key).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&key, open).unwrap();
        assert_eq!(place.open().err(), Some(LedgerError::KeyExposed(key)));
    }

    fn append_to(path: &Path, bytes: &[u8]) {
        let mut all = fs::read(path).unwrap();
        all.extend_from_slice(bytes);
        fs::write(path, all).unwrap();
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    }
}
