//! Is this ledger what was signed? Answered offline, from the files and the verifier key.
//!
//! Part of ⑧ record. It only reads, at constant memory, also while a gate is writing. It
//! trusts nothing in the directory but what the key has signed: first the leaf hashes are
//! held against the checkpoints, then every record against its leaf, so that a changed
//! record can be named. Not even this can see that *all* files were put back to an earlier
//! state: for that, give it a checkpoint that was kept elsewhere.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::checkpoint::{Checkpoint, NoteError, Verifier, split_history};
use super::disk::{CHECKPOINT, ENTRIES, HISTORY, LEAVES, read_if_any};
use super::frame::{Frames, Next};
use super::merkle::{Frontier, Hash, leaf_hash};

/// What was found, when nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The ledger's name.
    pub origin: String,
    /// The newest checkpoint; every record below its size is as it was signed.
    pub checkpoint: Checkpoint,
    /// How many different checkpoints were held against the records.
    pub checkpoints: usize,
    /// Whole records after the newest checkpoint: written, not yet signed.
    pub unsigned: u64,
    /// Bytes after the last whole record, of a write that goes on or was cut off.
    pub torn_bytes: u64,
    /// The first place where the file of leaf hashes is not what the records say. The
    /// records are proven all the same; the gate writes this file anew when it starts.
    pub leaves_differ_at: Option<u64>,
}

/// One record, as well as it can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordName {
    /// Its place in the ledger, from 0.
    pub index: u64,
    /// Its id, if it can still be read.
    pub id: Option<Uuid>,
    /// Its time, if it can still be read.
    pub time: Option<Timestamp>,
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}", self.index)?;
        match (self.id, self.time) {
            (Some(id), Some(time)) => write!(f, " (id {id}, {time})"),
            (Some(id), None) => write!(f, " (id {id})"),
            (None, Some(time)) => write!(f, " ({time})"),
            (None, None) => Ok(()),
        }
    }
}

/// What is wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Not a verifier key.
    #[error("the verifier key cannot be used: {0}")]
    Key(NoteError),
    /// A checkpoint cannot be believed.
    #[error("{place}: {cause}")]
    Checkpoint {
        /// Which one.
        place: String,
        /// Why.
        cause: NoteError,
    },
    /// There is no checkpoint.
    #[error("{0} has no signed checkpoint: it is no ledger, or its checkpoint was removed")]
    NoCheckpoint(PathBuf),
    /// Two checkpoints of one size.
    #[error("two different checkpoints of {size} records are signed: the ledger was forked")]
    Forked {
        /// The size.
        size: u64,
    },
    /// A record is not what was signed.
    #[error(
        "{0} is not the one that was signed: it was changed, moved, inserted, or one before it was removed"
    )]
    Changed(RecordName),
    /// A record's frame is not whole.
    #[error("{record} is cut off, or its length was changed; {signed} records were signed")]
    Broken {
        /// The record.
        record: RecordName,
        /// How many there should be.
        signed: u64,
    },
    /// Records are missing at the end.
    #[error("the ledger ends after {have} records, but {signed} were signed: the end was removed")]
    Truncated {
        /// How many there are.
        have: u64,
        /// How many there should be.
        signed: u64,
    },
    /// Records and leaf hashes were both changed.
    #[error(
        "between record {from} and record {to}, at least one is not the one that was signed; which one cannot be told, because the leaf hashes were changed too"
    )]
    ChangedBetween {
        /// The first one that may be changed.
        from: u64,
        /// The last one that may be changed.
        to: u64,
    },
}

/// Verifies the ledger in `dir` with its verifier key.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(dir: &Path, vkey: &str) -> Result<Report, VerifyError> {
    verify_against(dir, vkey, &[])
}

/// As [`verify`], and holds the records against checkpoints that were kept elsewhere: this
/// finds a ledger that was put back to an earlier state as a whole, or signed anew.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify_against(dir: &Path, vkey: &str, kept: &[&str]) -> Result<Report, VerifyError> {
    let verifier = Verifier::parse(vkey).map_err(VerifyError::Key)?;
    let mut heads = Heads::read(dir, &verifier)?.ok_or_else(|| no_checkpoint(dir))?;
    for (i, note) in kept.iter().enumerate() {
        heads.add(&verifier, note, || format!("kept checkpoint {}", i + 1))?;
    }
    heads.settle()?;
    let proven = proven_leaves(dir, &heads.all)?;
    let mut report = check_entries(dir, &heads.all, proven)?;
    verifier.origin().clone_into(&mut report.origin);
    Ok(report)
}

/// All signed checkpoints that a directory holds.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Oldest first, each size once.
    pub all: Vec<Checkpoint>,
    /// Length of the history's whole notes, in bytes.
    pub history_len: u64,
}

impl Heads {
    /// Reads and checks them; `None` if there is no newest one.
    pub fn read(dir: &Path, verifier: &Verifier) -> Result<Option<Self>, VerifyError> {
        let mut heads = Self::default();
        // The newest first: what the gate writes meanwhile can then only be more.
        let path = dir.join(CHECKPOINT);
        let Some(newest) = read_if_any(&path).map_err(|e| unreadable(&path, &e))? else {
            return Ok(None);
        };
        let place = || path.display().to_string();
        heads.add(verifier, valid_prefix(&newest), place)?;
        let path = dir.join(HISTORY);
        let history = read_if_any(&path).map_err(|e| unreadable(&path, &e))?;
        let history = history.unwrap_or_default();
        let (notes, whole) = split_history(valid_prefix(&history));
        for (i, note) in notes.into_iter().enumerate() {
            let place = || format!("checkpoint {} in {}", i + 1, path.display());
            heads.add(verifier, note, place)?;
        }
        heads.history_len = whole as u64;
        heads.settle()?;
        Ok(Some(heads))
    }

    /// The newest one.
    pub fn newest(&self) -> Option<Checkpoint> {
        self.all.last().copied()
    }

    fn add(
        &mut self,
        verifier: &Verifier,
        note: &str,
        place: impl Fn() -> String,
    ) -> Result<(), VerifyError> {
        let opened = verifier.open(note);
        self.all
            .push(opened.map_err(|cause| VerifyError::Checkpoint {
                place: place(),
                cause,
            })?);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), VerifyError> {
        self.all.sort_by_key(|head| head.size);
        self.all.dedup();
        let mut pairs = self.all.iter().zip(self.all.iter().skip(1));
        match pairs.find(|(a, b)| a.size == b.size) {
            Some((fork, _)) => Err(VerifyError::Forked { size: fork.size }),
            None => Ok(()),
        }
    }
}

/// How many leaf hashes, from the first, are proven by checkpoints.
fn proven_leaves(dir: &Path, heads: &[Checkpoint]) -> Result<u64, VerifyError> {
    let Some(mut leaves) = Leaves::open(dir)? else {
        return Ok(0);
    };
    let mut tree = Frontier::default();
    let mut proven = 0;
    for head in heads {
        while tree.size() < head.size {
            match leaves.next()? {
                Some(leaf) => tree.push(leaf),
                None => return Ok(proven),
            }
        }
        if tree.root() != head.root {
            return Ok(proven);
        }
        proven = head.size;
    }
    Ok(proven)
}

fn check_entries(dir: &Path, heads: &[Checkpoint], proven: u64) -> Result<Report, VerifyError> {
    let path = dir.join(ENTRIES);
    let file = File::open(&path).map_err(|e| unreadable(&path, &e))?;
    let mut frames = Frames::new(file);
    let mut leaves = Leaves::open(dir)?;
    let mut tree = Frontier::default();
    let mut leaves_differ_at = None;
    let mut heads_left = heads.iter().peekable();
    let mut from = 0;
    let newest = heads.last().ok_or_else(|| no_checkpoint(dir))?;
    let torn = loop {
        while let Some(head) = heads_left.next_if(|head| head.size == tree.size()) {
            if head.root != tree.root() {
                let to = head.size.saturating_sub(1);
                return Err(VerifyError::ChangedBetween { from, to });
            }
            from = head.size;
        }
        let index = tree.size();
        let next = frames.advance().map_err(|e| unreadable(&path, &e))?;
        if next != Next::Entry {
            if index >= newest.size {
                break next == Next::Broken;
            }
            return Err(ended_early(&next, index, frames.entry(), newest.size));
        }
        let leaf = leaf_hash(frames.entry());
        let stored = match &mut leaves {
            Some(leaves) => leaves.next()?,
            None => None,
        };
        if stored != Some(leaf) {
            if index < proven {
                return Err(VerifyError::Changed(name(index, frames.entry())));
            }
            // The last leaves may not be written yet when their records are not signed.
            if stored.is_some() || index < newest.size {
                leaves_differ_at.get_or_insert(index);
            }
        }
        tree.push(leaf);
    };
    let len = path.metadata().map_or(frames.end(), |m| m.len());
    Ok(Report {
        origin: String::new(),
        checkpoint: *newest,
        checkpoints: heads.len(),
        unsigned: tree.size() - newest.size,
        torn_bytes: if torn {
            len.saturating_sub(frames.end())
        } else {
            0
        },
        leaves_differ_at,
    })
}

fn ended_early(next: &Next, index: u64, entry: &[u8], signed: u64) -> VerifyError {
    if *next == Next::End {
        let have = index;
        return VerifyError::Truncated { have, signed };
    }
    let record = name(index, entry);
    VerifyError::Broken { record, signed }
}

/// The stored leaf hashes, one by one.
struct Leaves {
    path: PathBuf,
    reader: BufReader<File>,
}

impl Leaves {
    fn open(dir: &Path) -> Result<Option<Self>, VerifyError> {
        let path = dir.join(LEAVES);
        match File::open(&path) {
            Ok(file) => {
                let reader = BufReader::with_capacity(1 << 16, file);
                Ok(Some(Self { path, reader }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(&path, &e)),
        }
    }

    fn next(&mut self) -> Result<Option<Hash>, VerifyError> {
        let mut leaf = [0; 32];
        match self.reader.read_exact(&mut leaf) {
            Ok(()) => Ok(Some(leaf)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(unreadable(&self.path, &e)),
        }
    }
}

fn name(index: u64, entry: &[u8]) -> RecordName {
    #[derive(Deserialize)]
    struct Head {
        id: Option<String>,
        time: Option<String>,
    }
    // A changed record may be broken JSON: what comes first in it may still be told.
    let text = String::from_utf8_lossy(entry);
    let head = serde_json::from_str(&text).unwrap_or_else(|_| Head {
        id: field(&text, "\"id\":\""),
        time: field(&text, "\"time\":\""),
    });
    RecordName {
        index,
        id: head.id.and_then(|id| id.parse().ok()),
        time: head.time.and_then(|time| time.parse().ok()),
    }
}

fn field(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(key)?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn valid_prefix(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

fn no_checkpoint(dir: &Path) -> VerifyError {
    VerifyError::NoCheckpoint(dir.to_owned())
}

fn unreadable(path: &Path, e: &io::Error) -> VerifyError {
    VerifyError::Unreadable {
        path: path.to_owned(),
        cause: e.to_string(),
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

    use proptest::prelude::*;

    use super::super::checkpoint::Signer;
    use super::super::frame;
    use super::*;

    /// A ledger of `entries`, signed at each of `heads` and at the end.
    struct Made {
        dir: tempfile::TempDir,
        signer: Signer,
        entries: Vec<Vec<u8>>,
    }

    impl Made {
        fn new(entries: &[Vec<u8>], heads: &[usize]) -> Self {
            let signer = Signer::new("gate.example", &[3; 32]).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let entries = entries.to_vec();
            let made = Self {
                dir,
                signer,
                entries,
            };
            made.write_entries(&made.entries);
            made.write_leaves(&made.entries);
            let history = heads.iter().map(|n| made.note(&made.entries[..*n]) + "\n");
            made.write(HISTORY, history.collect::<String>().as_bytes());
            made.write(CHECKPOINT, made.note(&made.entries).as_bytes());
            made
        }
        fn of(count: usize) -> Self {
            let entry = |i| format!(r#"{{"v":1,"id":"{}","n":{i}}}"#, Uuid::from_u128(i));
            let entries = (0..count as u128).map(|i| entry(i).into_bytes());
            Self::new(&entries.collect::<Vec<_>>(), &[count / 3, count / 2])
        }
        fn note(&self, entries: &[Vec<u8>]) -> String {
            let mut tree = Frontier::default();
            entries.iter().for_each(|e| tree.push(leaf_hash(e)));
            let (size, root) = (tree.size(), tree.root());
            self.signer.sign(&Checkpoint { size, root })
        }
        fn write(&self, name: &str, bytes: &[u8]) {
            fs::write(self.dir.path().join(name), bytes).unwrap();
        }
        fn write_entries(&self, entries: &[Vec<u8>]) {
            let mut frame = vec![];
            let mut file = vec![];
            for entry in entries {
                assert!(frame::encode(entry, &mut frame));
                file.extend_from_slice(&frame);
            }
            self.write(ENTRIES, &file);
        }
        fn write_leaves(&self, entries: &[Vec<u8>]) {
            let leaves: Vec<_> = entries.iter().flat_map(|e| leaf_hash(e)).collect();
            self.write(LEAVES, &leaves);
        }
        fn verify(&self) -> Result<Report, VerifyError> {
            verify(self.dir.path(), &self.signer.verifier().to_string())
        }
    }

    fn changed_index(result: &Result<Report, VerifyError>) -> Option<u64> {
        match result {
            Err(VerifyError::Changed(record) | VerifyError::Broken { record, .. }) => {
                Some(record.index)
            }
            _ => None,
        }
    }

    fn some_entries() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let entry = proptest::collection::vec(any::<u8>(), 1..40);
        proptest::collection::vec(entry, 1..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn threat_29_any_flipped_byte_is_found_and_its_record_named(
            entries in some_entries(), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
        ) {
            let made = Made::new(&entries, &[entries.len() / 2]);
            prop_assert!(made.verify().is_ok());
            let mut bytes = fs::read(made.dir.path().join(ENTRIES)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            made.write(ENTRIES, &bytes);
            let mut end = 0;
            let hit = entries.iter().position(|e| { end += 2 + e.len(); at < end }).unwrap();
            prop_assert_eq!(changed_index(&made.verify()), Some(hit as u64));
        }

        #[test]
        fn threat_29_a_removed_end_is_found(
            entries in some_entries(), cut in any::<prop::sample::Index>(),
        ) {
            let made = Made::new(&entries, &[]);
            let bytes = fs::read(made.dir.path().join(ENTRIES)).unwrap();
            made.write(ENTRIES, &bytes[..cut.index(bytes.len())]);
            let found = made.verify();
            let truncated = matches!(found, Err(VerifyError::Truncated { .. }));
            prop_assert!(truncated || changed_index(&found).is_some(), "{:?}", found);
        }

        #[test]
        fn threat_29_an_inserted_removed_or_moved_record_is_found_and_named(
            a in 0..30_usize, b in 0..30_usize,
        ) {
            let made = Made::of(30);
            let mut inserted = made.entries.clone();
            inserted.insert(a, b"{\"forged\":true}".to_vec());
            made.write_entries(&inserted);
            prop_assert_eq!(changed_index(&made.verify()), Some(a as u64));

            let mut removed = made.entries.clone();
            removed.remove(a);
            made.write_entries(&removed);
            let truncated = made.verify() == Err(VerifyError::Truncated { have: 29, signed: 30 });
            prop_assert!(changed_index(&made.verify()) == Some(a as u64) || truncated && a == 29);

            let mut moved = made.entries.clone();
            moved.swap(a, b);
            made.write_entries(&moved);
            let first = (a != b).then_some(a.min(b) as u64);
            prop_assert_eq!(changed_index(&made.verify()), first);
        }
    }

    #[test]
    fn threat_29_a_changed_record_is_named_by_id() {
        let made = Made::of(20);
        let mut entries = made.entries.clone();
        *entries[7].last_mut().unwrap() = b'!';
        made.write_entries(&entries);
        let error = made.verify().unwrap_err().to_string();
        let name = "record 7 (id 00000000-0000-0000-0000-000000000007)";
        assert!(error.starts_with(name), "{error}");
    }

    #[test]
    fn threat_29_with_its_leaf_changed_too_a_record_is_still_bracketed() {
        let made = Made::of(30);
        let mut entries = made.entries.clone();
        entries[12].push(b' ');
        made.write_entries(&entries);
        made.write_leaves(&entries);
        let (from, to) = (10, 14);
        assert_eq!(made.verify(), Err(VerifyError::ChangedBetween { from, to }));
        fs::remove_file(made.dir.path().join(LEAVES)).unwrap();
        assert_eq!(made.verify(), Err(VerifyError::ChangedBetween { from, to }));
    }

    #[test]
    fn threat_29_a_checkpoint_of_another_key_or_none_is_not_believed() {
        let made = Made::of(5);
        let other = Signer::new("gate.example", &[4; 32]).unwrap();
        let error = verify(made.dir.path(), &other.verifier().to_string());
        assert!(matches!(error, Err(VerifyError::Checkpoint { .. })));
        assert!(matches!(
            verify(made.dir.path(), "?"),
            Err(VerifyError::Key(_))
        ));
        fs::remove_file(made.dir.path().join(CHECKPOINT)).unwrap();
        assert!(matches!(made.verify(), Err(VerifyError::NoCheckpoint(_))));
    }

    #[test]
    fn threat_29_a_rollback_and_a_fork_are_found() {
        // Put back as a whole, but for the history; then also the history.
        let made = Made::of(10);
        let kept = made.note(&made.entries);
        made.write(HISTORY, format!("{kept}\n").as_bytes());
        made.write_entries(&made.entries[..6]);
        made.write(CHECKPOINT, made.note(&made.entries[..6]).as_bytes());
        let (have, signed) = (6, 10);
        let truncated = Err(VerifyError::Truncated { have, signed });
        assert_eq!(made.verify(), truncated);
        fs::remove_file(made.dir.path().join(HISTORY)).unwrap();
        assert!(made.verify().is_ok());
        let vkey = made.signer.verifier().to_string();
        let against = |kept| verify_against(made.dir.path(), &vkey, &[kept]);
        assert_eq!(against(&kept), truncated);

        // Written and signed anew with the right key, at the same size.
        let mut forked = made.entries.clone();
        forked[9].push(b' ');
        made.write_entries(&forked);
        made.write_leaves(&forked);
        made.write(CHECKPOINT, made.note(&forked).as_bytes());
        assert!(made.verify().is_ok());
        assert_eq!(against(&kept), Err(VerifyError::Forked { size: 10 }));
    }

    #[test]
    fn what_is_not_signed_yet_is_counted_and_no_fault() {
        let made = Made::of(9);
        made.write(CHECKPOINT, made.note(&made.entries[..7]).as_bytes());
        let mut bytes = fs::read(made.dir.path().join(ENTRIES)).unwrap();
        bytes.extend_from_slice(b"\x00\x09torn");
        made.write(ENTRIES, &bytes);
        made.write_leaves(&made.entries[..8]);
        let report = made.verify().unwrap();
        assert_eq!((report.checkpoint.size, report.unsigned), (7, 2));
        assert_eq!((report.torn_bytes, report.checkpoints), (6, 3));
        assert_eq!(report.leaves_differ_at, None);
    }

    #[test]
    fn changed_leaves_alone_are_told_and_blame_no_record() {
        let made = Made::of(9);
        let mut leaves = fs::read(made.dir.path().join(LEAVES)).unwrap();
        leaves[32 * 5] ^= 1;
        made.write(LEAVES, &leaves);
        assert_eq!(made.verify().unwrap().leaves_differ_at, Some(5));
    }
}
