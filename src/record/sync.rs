//! The ledger's own thread: group commit and checkpoints.
//!
//! Part of ⑧ record. One sync serves all who wait, and those who come meanwhile wait for
//! the next one. A checkpoint covers only what is durable. This thread never writes a
//! record, and no client can cancel it.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::checkpoint::Checkpoint;
use super::disk::{CHECKPOINT, ENTRIES, HISTORY, LEAVES};
use super::fault::LedgerError;
use super::ledger::Shared;
use super::merkle::Frontier;

/// How often, at most, a checkpoint is signed while there are new records. Also the
/// longest that a record which nobody waits for stays without a sync.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How often, at most, one is kept in the history, to narrow down later changes.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// Starts the thread; it ends when the ledger is closing or has stopped.
pub(super) fn start(shared: Arc<Shared>) -> Result<JoinHandle<()>, LedgerError> {
    let dir = shared.disk.dir().to_owned();
    thread::Builder::new()
        .name("ledger".to_owned())
        .spawn(move || {
            let last_words = LastWords(&shared);
            let signed = shared.lock().durable;
            let mut clerk = Clerk {
                shared: &shared,
                signed,
                kept: signed,
                signed_at: Instant::now(),
                kept_at: Instant::now(),
            };
            if let Err(error) = clerk.work() {
                shared.stop(error);
            }
            drop(last_words);
        })
        .map_err(|e| LedgerError::io("start the thread that syncs", &dir, &e))
}

/// Signs the tree's head and puts it in place; `keep` adds it to the history.
pub(super) fn sign(shared: &Shared, tree: &Frontier, keep: bool) -> Result<(), LedgerError> {
    let (size, root) = (tree.size(), tree.root());
    let note = shared.signer.sign(&Checkpoint { size, root });
    let failed = |name, e| LedgerError::io("write", &shared.disk.dir().join(name), &e);
    let replaced = shared.disk.replace(CHECKPOINT, note.as_bytes());
    replaced.map_err(|e| failed(CHECKPOINT, e))?;
    if keep {
        let kept = shared.disk.append_history(&note);
        kept.map_err(|e| failed(HISTORY, e))?;
    }
    Ok(())
}

struct Clerk<'s> {
    shared: &'s Shared,
    /// How many records the newest checkpoint covers, and the newest one in the history.
    signed: u64,
    kept: u64,
    signed_at: Instant,
    kept_at: Instant,
}

/// What one round covers.
struct Batch {
    tree: Frontier,
    end: u64,
    leaves: Vec<u8>,
    closing: bool,
}

impl Clerk<'_> {
    fn work(&mut self) -> Result<(), LedgerError> {
        loop {
            let Some(batch) = self.next_batch() else {
                return Ok(());
            };
            self.sync(&batch)?;
            self.checkpoint(&batch)?;
            if batch.closing {
                return Ok(());
            }
        }
    }

    /// Waits until there is something to do; `None` if the ledger has stopped.
    fn next_batch(&self) -> Option<Batch> {
        let mut state = self.shared.lock();
        loop {
            if state.stopped.is_some() {
                return None;
            }
            let unsigned = state.tree.size() > self.signed;
            let wait = match CHECKPOINT_EVERY.checked_sub(self.signed_at.elapsed()) {
                Some(wait) if unsigned && !wait.is_zero() => wait,
                _ => CHECKPOINT_EVERY,
            };
            let due = unsigned && self.signed_at.elapsed() >= CHECKPOINT_EVERY;
            if due || state.closing || state.wanted > state.durable {
                state.syncing_since = Some(Instant::now());
                return Some(Batch {
                    tree: state.tree.clone(),
                    end: state.end,
                    leaves: std::mem::take(&mut state.new_leaves),
                    closing: state.closing,
                });
            }
            let waited = self.shared.wake.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn sync(&self, batch: &Batch) -> Result<(), LedgerError> {
        let shared = self.shared;
        let size = batch.tree.size();
        if !batch.leaves.is_empty() {
            let at = size * 32 - batch.leaves.len() as u64;
            let written = shared.disk.write_leaves(&batch.leaves, at);
            let path = || shared.disk.dir().join(LEAVES);
            written.map_err(|e| LedgerError::io("write", &path(), &e))?;
            let synced = shared.disk.sync_entries();
            let path = || shared.disk.dir().join(ENTRIES);
            synced.map_err(|e| LedgerError::io("sync", &path(), &e))?;
            shared.syncs.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = shared.lock();
        (state.durable, state.durable_end) = (size, batch.end);
        state.syncing_since = None;
        drop(state);
        shared.durable.send_replace(size);
        Ok(())
    }

    fn checkpoint(&mut self, batch: &Batch) -> Result<(), LedgerError> {
        let size = batch.tree.size();
        let due = self.signed_at.elapsed() >= CHECKPOINT_EVERY || batch.closing;
        let keep_due = self.kept_at.elapsed() >= KEEP_EVERY || batch.closing;
        let keep = keep_due && size > self.kept;
        if !(due && size > self.signed || keep) {
            return Ok(());
        }
        sign(self.shared, &batch.tree, keep)?;
        (self.signed, self.signed_at) = (size, Instant::now());
        if keep {
            (self.kept, self.kept_at) = (size, Instant::now());
        }
        Ok(())
    }
}

/// Stops the ledger if this thread panics, so that nobody waits for ever.
struct LastWords<'s>(&'s Shared);

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(LedgerError::ThreadDied);
        }
    }
}
