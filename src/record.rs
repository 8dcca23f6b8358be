//! ⑧ The record of one request: opened at ①, intent before ⑥, sealed on drop.
//!
//! The only maker of a [`Written`], which ⑥ forward spends, and of a [`Durable`], without
//! which no byte of an answer goes out. No record, no access: when the ledger cannot be
//! written, every step here is a refusal. A [`Record`] that is dropped without being sealed
//! (a client that hung up, a cancelled future, a panic) writes what is known by itself.
//! This room never waits for a client, and never sees a token or a body that was not masked.

pub mod asked;
mod blob;
pub mod checkpoint;
mod cut;
mod disk;
pub mod entry;
mod fault;
mod frame;
mod ledger;
pub mod merkle;
pub mod past;
mod recover;
mod request;
mod session;
mod sync;
pub mod verify;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::{NoContext, Uuid};

use asked::{What, Who};
pub use blob::Blobs;
use entry::{Ended, Entry, Event, HoldEvent, Outcome, System};
pub use fault::LedgerError;
pub use ledger::Ledger;
pub use request::{Durable, Intended, Record, Written};
use session::Sessions;

use crate::refusal::Refusal;

/// How many sessions are remembered at once.
const MAX_SESSIONS: usize = 10_000;

/// How records are written.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The pause that ends a session.
    pub idle: Duration,
    /// Whether the intent of a pure read, too, is durable before it goes upstream.
    pub durable_reads: bool,
    /// How long a request waits for the disk before it is refused.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            durable_reads: false,
            patience: Duration::from_secs(5),
        }
    }
}

/// Opens records. Cloning is cheap.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Ledger,
    blobs: Blobs,
    settings: Settings,
    sessions: Mutex<Sessions>,
    /// Records that are not sealed yet.
    open: AtomicUsize,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Recorder {
    /// Records go to this ledger, and long bodies to these blobs. Call
    /// [`Recorder::recover`] before the first record.
    pub fn new(
        ledger: Ledger,
        blobs: Blobs,
        settings: Settings,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let sessions = Mutex::new(Sessions::new(settings.idle, MAX_SESSIONS));
        let shared = Shared {
            ledger,
            blobs,
            settings,
            sessions,
            open: AtomicUsize::new(0),
            clock: Box::new(clock),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Gives every intent without an outcome one that says `unknown`, and returns how many
    /// there were. Reads the whole ledger once; only sound once, before
    /// the first record is opened.
    ///
    /// # Errors
    /// If the ledger cannot be read or written.
    pub fn recover(&self) -> Result<u64, LedgerError> {
        let open = self.open_intents()?;
        let (unknown, torn) = (open.len() as u64, self.shared.ledger.torn_bytes());
        for id in open {
            let outcome = Outcome {
                ended: Ended::Unknown,
                status: None,
                failure: None,
                duration_us: None,
                bytes: 0,
                masked: Vec::new(),
                response: None,
            };
            self.write(id, Event::Outcome(Box::new(outcome)))?;
        }
        if unknown > 0 || torn > 0 {
            self.system(System::Recovered { unknown, torn })?;
        }
        Ok(unknown)
    }

    /// Opens the record of a request that has just arrived. Nothing is written yet. The
    /// path comes without its query, in which there could be a credential.
    pub fn open(&self, peer: SocketAddr, method: &str, path: &str, user_agent: &str) -> Record {
        Record::new(
            self.clone(),
            Who::arrived(peer, user_agent),
            What::arrived(method, path),
        )
    }

    /// Whether anything can be recorded at the moment.
    ///
    /// # Errors
    /// [`Refusal::LedgerUnavailable`].
    pub fn writable(&self) -> Result<(), Refusal> {
        self.shared.ledger.health().map_err(unavailable)
    }

    /// How many records are open: requests whose outcome is not written yet.
    pub fn open_records(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Records something about a hold; durable when this returns.
    ///
    /// # Errors
    /// [`Refusal::LedgerUnavailable`].
    pub async fn hold(&self, event: HoldEvent) -> Result<(), Refusal> {
        let event = Event::Hold(Box::new(event.bounded()));
        let index = self.write(self.new_id(), event).map_err(unavailable)?;
        self.durable(index).await
    }

    /// Records something about the gate itself; durable within a second or two.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn system(&self, event: System) -> Result<(), LedgerError> {
        let event = Event::System(Box::new(event));
        self.write(self.new_id(), event).map(|_| ())
    }

    /// The ledger, for its health, its readers and its end.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// The blobs that entries refer to.
    pub fn blobs(&self) -> &Blobs {
        &self.shared.blobs
    }

    fn write(&self, id: Uuid, event: Event) -> Result<u64, LedgerError> {
        let time = (self.shared.clock)();
        let entry = serde_json::to_vec(&Entry { id, time, event });
        // Cannot fail for these types; an empty entry is refused by the ledger.
        self.shared.ledger.append(&entry.unwrap_or_default())
    }

    async fn durable(&self, index: u64) -> Result<(), Refusal> {
        let patience = self.shared.settings.patience;
        match tokio::time::timeout(patience, self.shared.ledger.durable(index)).await {
            Ok(durable) => durable.map_err(unavailable),
            Err(_) => Err(unavailable(LedgerError::Stalled(patience.as_secs()))),
        }
    }

    fn new_id(&self) -> Uuid {
        let now = (self.shared.clock)();
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
    }

    fn open_intents(&self) -> Result<HashSet<Uuid>, LedgerError> {
        #[derive(Deserialize)]
        struct Seen<'a> {
            id: &'a str,
            intent: Option<IgnoredAny>,
            outcome: Option<IgnoredAny>,
        }
        let mut open = HashSet::new();
        let mut from = 0;
        loop {
            let records = self.shared.ledger.read(from, 4096)?;
            let Some((last, _)) = records.last() else {
                return Ok(open);
            };
            from = last + 1;
            for (index, bytes) in &records {
                let seen = serde_json::from_slice::<Seen<'_>>(bytes).ok();
                let id = seen.as_ref().and_then(|seen| seen.id.parse().ok());
                let (Some(seen), Some(id)) = (seen, id) else {
                    tracing::warn!(index, "a record of the ledger cannot be read");
                    continue;
                };
                if seen.intent.is_some() {
                    open.insert(id);
                } else if seen.outcome.is_some() {
                    open.remove(&id);
                }
            }
        }
    }
}

fn unavailable(error: LedgerError) -> Refusal {
    Refusal::LedgerUnavailable {
        inside: error.to_string(),
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
    use std::sync::atomic::Ordering::Relaxed;

    use super::asked::Grounds;
    use super::*;

    /// A recorder in a directory of its own, whose clock stands still.
    pub(super) struct Place {
        pub root: tempfile::TempDir,
    }

    impl Place {
        pub fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            Self { root }
        }
        pub fn recorder(&self) -> Recorder {
            self.recorder_with(Settings::default())
        }
        pub fn recorder_with(&self, settings: Settings) -> Recorder {
            let root = self.root.path();
            let (dir, key) = (root.join("ledger"), root.join("ledger.key"));
            let ledger = Ledger::open(&dir, &key, "gate.example").unwrap();
            let blobs = Blobs::open(&root.join("blobs")).unwrap();
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            Recorder::new(ledger, blobs, settings, move || now)
        }
        /// Everything in the ledger, after it was closed.
        pub fn entries(&self) -> Vec<Entry> {
            let recorder = self.recorder();
            let records = recorder.ledger().read(0, 1000).unwrap();
            records
                .iter()
                .map(|(_, bytes)| Entry::parse(bytes).unwrap())
                .collect()
        }
    }

    pub(super) fn open(recorder: &Recorder) -> Record {
        let peer = "192.0.2.7:4711".parse().unwrap();
        recorder.open(peer, "GET", "/clusters/c/api/v1/pods", "kubectl/v1.37")
    }

    /// A permit, as far as this room needs one.
    #[derive(Debug)]
    pub(super) struct Permit {
        pub read: bool,
    }

    impl Intended for Permit {
        fn what(&self) -> What {
            What {
                cluster: "c".to_owned(),
                read: self.read,
                ..What::arrived("GET", "/api/v1/pods")
            }
        }
    }

    #[tokio::test]
    async fn threat_29_an_intent_without_an_outcome_is_marked_unknown_at_the_next_start() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut ids = vec![];
        for i in 0..3 {
            let mut record = open(&recorder);
            ids.push(record.id());
            let permit = Permit { read: false };
            let written = record.intent(permit, Grounds::default(), None).await;
            written.unwrap();
            if i == 1 {
                record.seal(Ended::Complete).unwrap();
            } else {
                // A power cut: nothing runs any more, not even a destructor.
                record.forget();
            }
        }
        drop(recorder);
        let recorder = place.recorder();
        assert_eq!(recorder.recover().unwrap(), 2);
        drop(recorder);
        let recorder = place.recorder();
        assert_eq!(recorder.recover().unwrap(), 0, "only once");
        drop(recorder);
        let mut unknown: Vec<_> = vec![];
        let mut recovered = 0;
        for entry in place.entries() {
            match entry.event {
                Event::Outcome(o) if o.ended == Ended::Unknown => unknown.push(entry.id),
                Event::System(s) => {
                    let (unknown, torn) = (2, 0);
                    assert_eq!(*s, System::Recovered { unknown, torn });
                    recovered += 1;
                }
                _ => {}
            }
        }
        unknown.sort();
        let mut expected = vec![ids[0], ids[2]];
        expected.sort();
        assert_eq!((unknown, recovered), (expected, 1));
    }

    #[tokio::test]
    async fn holds_and_the_gate_itself_are_recorded() {
        use super::entry::HoldStep;
        let place = Place::new();
        let recorder = place.recorder();
        let event = HoldEvent {
            hold: "h1".to_owned(),
            event: HoldStep::Approved,
            who: "anna".to_owned(),
            digest: "00".to_owned(),
            comment: Some("x".repeat(100_000)),
        };
        recorder.hold(event).await.unwrap();
        assert_eq!(*recorder.ledger().watch_durable().borrow(), 1);
        recorder.system(System::Stopped).unwrap();
        drop(recorder);
        let entries = place.entries();
        assert!(matches!(&entries[0].event, Event::Hold(h) if h.event == HoldStep::Approved));
        assert!(matches!(&entries[1].event, Event::System(s) if **s == System::Stopped));
    }

    #[tokio::test]
    async fn threat_29_a_disk_that_hangs_refuses_and_does_not_wait_for_ever() {
        let place = Place::new();
        let patience = Duration::from_millis(20);
        let recorder = place.recorder_with(Settings {
            patience,
            ..Settings::default()
        });
        recorder.ledger().faults().sync_takes_ms.store(500, Relaxed);
        let mut record = open(&recorder);
        let permit = Permit { read: false };
        let refusal = record.intent(permit, Grounds::default(), None).await;
        assert!(matches!(refusal, Err(Refusal::LedgerUnavailable { .. })));
    }
}
