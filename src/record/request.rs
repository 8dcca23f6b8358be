//! One request's record, and the proofs that it hands out on the way.
//!
//! Part of ⑧ record: opened at ①, told what ② and ③ found, written before ⑥ and sealed
//! after ⑦, or when it is dropped.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::asked::{Grounds, What, Who};
use super::cut::{NAME, REASON, cut, hex};
use super::entry::{Body, Ended, Event, INLINE_REQUEST, INLINE_RESPONSE, Intent, Outcome, Refused};
use super::fault::LedgerError;
use super::session::Key;
use super::{Recorder, unavailable};
use crate::identify::Caller;
use crate::parse::Ask;
use crate::refusal::Refusal;

/// How many kinds of masked values one outcome tells apart.
const MAX_MASKED: usize = 32;

/// What may go to the cluster once its intent is written.
pub trait Intended {
    /// What will be sent, exactly: this is what the intent says.
    fn what(&self) -> What;
}

/// A permit whose intent is in the ledger: durable, if it can change or run anything.
#[derive(Debug)]
pub struct Written<P>(P);

impl<P> Written<P> {
    /// What was permitted.
    pub fn get(&self) -> &P {
        &self.0
    }
    /// Spends it. For ⑥ forward only.
    pub fn into_inner(self) -> P {
        self.0
    }
}

/// Proof that the intent is durable: only now may a byte of the answer be released.
#[derive(Debug)]
pub struct Durable(());

/// The record of one request, from its arrival to its end.
pub struct Record {
    recorder: Recorder,
    id: Uuid,
    /// The record that this one was made for: this is a rehearsal, or another try.
    of: Option<Uuid>,
    opened: Instant,
    session: Option<Uuid>,
    who: Who,
    what: What,
    /// Kept from ② to ③, when the cluster is known and with it the session.
    key: Option<Key>,
    /// What ④ said, until an intent takes its place.
    judged: Option<Grounds>,
    hold: Option<String>,
    intent: Option<u64>,
    answer: Answer,
    sealed: bool,
}

/// What came of it, so far.
#[derive(Default)]
struct Answer {
    status: Option<u16>,
    reason: Option<String>,
    inside: Option<String>,
    failed: bool,
    bytes: u64,
    digest: Sha256,
    kept: Vec<u8>,
    masked: Vec<(String, u64)>,
}

impl Record {
    pub(super) fn new(recorder: Recorder, who: Who, what: What) -> Self {
        recorder.shared.open.fetch_add(1, Ordering::AcqRel);
        Self {
            id: recorder.new_id(),
            of: None,
            recorder,
            opened: Instant::now(),
            session: None,
            who,
            what,
            key: None,
            judged: None,
            hold: None,
            intent: None,
            answer: Answer::default(),
            sealed: false,
        }
    }

    /// The record's id, which goes to the cluster as `Audit-ID`.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// A record of its own for another request to the cluster that this one makes necessary:
    /// the same caller, the same session. For writes; a read gives its names away with its
    /// intent.
    #[must_use]
    pub fn another(&self) -> Self {
        let mut another = Self::new(self.recorder.clone(), self.who.clone(), self.what.clone());
        another.of = Some(self.id);
        another.session = self.session;
        another
    }

    /// The session, once caller and cluster are known.
    pub fn session(&self) -> Option<Uuid> {
        self.session
    }

    /// After ②: who asks.
    pub fn caller(&mut self, caller: &Caller) {
        self.who.identified(caller);
        self.key = Some(Key::new(caller));
    }

    /// After ③: what is asked.
    pub fn ask(&mut self, ask: &Ask) {
        self.asked(What::from(ask));
    }

    /// After ④: what the policy said of a request that may end here, and the hold that it
    /// waits for.
    pub fn judged(&mut self, grounds: Grounds, hold: Option<String>) {
        self.judged = Some(grounds.bounded());
        self.hold = hold.map(|hold| cut(&hold, NAME));
    }

    /// Before ⑥: writes down what is about to happen, and on what grounds. What can change
    /// or run anything is durable when this returns; a pure read is on its way there.
    /// `body` is the request's body, already masked.
    ///
    /// # Errors
    /// [`Refusal::LedgerUnavailable`]: the permit is gone then, and nothing was sent.
    pub async fn intent<P: Intended>(
        &mut self,
        permit: P,
        grounds: Grounds,
        body: Option<Bytes>,
    ) -> Result<Written<P>, Refusal> {
        if self.intent.is_some() {
            let inside = "a record was given a second intent".to_owned();
            return Err(Refusal::Internal { inside });
        }
        let body = match body {
            Some(body) => Some(self.keep(body).await?),
            None => None,
        };
        self.asked(permit.what());
        let intent = Intent {
            session: self.session,
            of: self.of,
            who: match self.what.read {
                true => std::mem::take(&mut self.who),
                false => self.who.clone(),
            },
            what: self.what.clone(),
            grounds: grounds.bounded(),
            body,
        };
        let event = Event::Intent(Box::new(intent));
        let index = self.recorder.write(self.id, event).map_err(unavailable)?;
        self.intent = Some(index);
        if self.what.read && !self.recorder.shared.settings.durable_reads {
            self.recorder.ledger().hasten(index);
        } else {
            self.recorder.durable(index).await?;
        }
        Ok(Written(permit))
    }

    /// Before the first byte of an answer: the intent is durable.
    ///
    /// # Errors
    /// [`Refusal::LedgerUnavailable`]: the answer must not go out.
    pub async fn durable(&self) -> Result<Durable, Refusal> {
        let Some(index) = self.intent else {
            let inside = "an answer was to go out that had no intent".to_owned();
            return Err(Refusal::Internal { inside });
        };
        self.recorder.durable(index).await?;
        Ok(Durable(()))
    }

    /// The gate says no: the HTTP status, what the client is told, and the cause inside.
    pub fn refused(&mut self, status: u16, reason: &str, inside: Option<&str>) {
        self.answer.status = Some(status);
        self.answer.reason = Some(cut(reason, REASON));
        self.answer.inside = inside.map(|inside| cut(inside, REASON));
    }

    /// The cluster answers with this HTTP status.
    pub fn answered(&mut self, status: u16) {
        self.answer.status = Some(status);
    }

    /// The cluster failed, before or amid its answer; `inside` is the cause.
    pub fn failed(&mut self, inside: &str) {
        self.answer.failed = true;
        self.answer.inside = Some(cut(inside, REASON));
    }

    /// Values of this kind were masked in the answer.
    pub fn masked(&mut self, kind: &str, count: u64) {
        let all = &mut self.answer.masked;
        if let Some((_, sum)) = all.iter_mut().find(|(known, _)| known == kind) {
            *sum = sum.saturating_add(count);
        } else if all.len() < MAX_MASKED {
            all.push((cut(kind, 256), count));
        }
    }

    /// The next piece of the masked answer, just before it goes to the client.
    pub fn sent(&mut self, masked: &[u8]) {
        let answer = &mut self.answer;
        answer.bytes += masked.len() as u64;
        answer.digest.update(masked);
        if !self.what.read && answer.bytes <= INLINE_RESPONSE as u64 {
            answer.kept.extend_from_slice(masked);
        }
    }

    /// Writes the outcome. To be called before the last byte of the answer goes out.
    ///
    /// # Errors
    /// [`Refusal::LedgerUnavailable`]: the last byte must not go out.
    pub fn seal(mut self, ended: Ended) -> Result<(), Refusal> {
        self.write_end(ended).map_err(unavailable)
    }

    /// Ends without a word, as in a power cut.
    #[cfg(test)]
    pub(super) fn forget(mut self) {
        self.sealed = true;
    }

    fn asked(&mut self, what: What) {
        self.what = what;
        if let Some(mut key) = self.key.take() {
            key.cluster.clone_from(&self.what.cluster);
            let shared = &self.recorder.shared;
            let (now, fresh) = ((shared.clock)(), self.recorder.new_id());
            let sessions = shared.sessions.lock();
            let mut sessions = sessions.unwrap_or_else(PoisonError::into_inner);
            self.session = Some(sessions.of(key, now, fresh));
        }
    }

    async fn keep(&self, masked: Bytes) -> Result<Body, Refusal> {
        let mut body = Body::new(&masked, INLINE_REQUEST);
        if body.json.is_none() && !masked.is_empty() {
            let blobs = self.recorder.shared.blobs.clone();
            let kept = tokio::task::spawn_blocking(move || blobs.keep(&masked)).await;
            let kept = kept.unwrap_or_else(|e| Err(std::io::Error::other(e)));
            kept.map_err(|e| Refusal::LedgerUnavailable {
                inside: format!("cannot keep a request's body as a blob: {e}"),
            })?;
            body.blob = true;
        }
        Ok(body)
    }

    fn write_end(&mut self, ended: Ended) -> Result<(), LedgerError> {
        self.sealed = true;
        let answer = std::mem::take(&mut self.answer);
        let micros = self.opened.elapsed().as_micros();
        let duration_us = u64::try_from(micros).unwrap_or(u64::MAX);
        let event = if self.intent.is_some() {
            let response = answer.response();
            Event::Outcome(Box::new(Outcome {
                ended,
                status: answer.status,
                failure: answer.inside.or(answer.reason),
                duration_us: Some(duration_us),
                bytes: answer.bytes,
                masked: answer.masked,
                response,
            }))
        } else {
            Event::Refused(Box::new(Refused {
                session: self.session,
                who: std::mem::take(&mut self.who),
                what: std::mem::take(&mut self.what),
                grounds: self.judged.take(),
                hold: self.hold.take(),
                ended,
                status: answer.status,
                reason: answer.reason,
                inside: answer.inside,
                duration_us,
            }))
        };
        self.recorder.write(self.id, event).map(|_| ())
    }

    fn how_it_ended(&self) -> Ended {
        if self.answer.reason.is_some() {
            Ended::Refused
        } else if self.answer.failed {
            Ended::UpstreamFailed
        } else if std::thread::panicking() {
            Ended::Unknown
        } else {
            Ended::ClientGone
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.sealed
            && let Err(error) = self.write_end(self.how_it_ended())
        {
            tracing::error!(id = %self.id, %error, "the end of a request could not be recorded");
        }
        self.recorder.shared.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Answer {
    /// The masked body, if there was any; held as it is if it was short.
    fn response(&self) -> Option<Body> {
        let whole = (self.kept.len() as u64 == self.bytes).then_some(self.kept.as_slice());
        let json = whole.and_then(|bytes| serde_json::from_slice::<&RawValue>(bytes).ok());
        (self.bytes > 0).then(|| Body {
            bytes: self.bytes,
            sha256: hex(&self.digest.clone().finalize()),
            json: json.map(ToOwned::to_owned),
            blob: false,
        })
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

    use super::super::entry::Entry;
    use super::super::tests::{Permit, Place, open};
    use super::super::{Settings, verify};
    use super::*;

    const READ: Permit = Permit { read: true };
    const WRITE: Permit = Permit { read: false };

    fn durable(recorder: &Recorder) -> u64 {
        *recorder.ledger().watch_durable().borrow()
    }

    fn last(place: &Place) -> Entry {
        place.entries().pop().unwrap()
    }

    #[tokio::test]
    async fn a_write_is_durable_before_its_permit_can_be_spent() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut record = open(&recorder);
        let written = record.intent(WRITE, Grounds::default(), None).await;
        assert!(!written.unwrap().into_inner().read);
        assert_eq!(durable(&recorder), 1);
    }

    #[tokio::test]
    async fn a_read_is_durable_before_its_answer_goes_out_or_on_wish_before_it_goes_up() {
        for durable_reads in [false, true] {
            let place = Place::new();
            let recorder = place.recorder_with(Settings {
                durable_reads,
                ..Settings::default()
            });
            recorder.ledger().faults().sync_takes_ms.store(200, Relaxed);
            let mut record = open(&recorder);
            assert!(record.durable().await.is_err(), "no intent yet");
            let written = record.intent(READ, Grounds::default(), None).await.unwrap();
            assert!(written.get().read);
            assert_eq!(recorder.ledger().size(), 1);
            assert_eq!(durable(&recorder), u64::from(durable_reads));
            record.durable().await.unwrap();
            assert_eq!(durable(&recorder), 1);
        }
    }

    #[tokio::test]
    async fn a_whole_request_leaves_an_intent_and_an_outcome() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut record = open(&recorder);
        let id = record.id();
        record.caller(&Caller::for_test("agent", Some("anna"), &["dev"]));
        let grounds = Grounds {
            verdict: "allow".to_owned(),
            ..Grounds::default()
        };
        let body = Bytes::from_static(br#"{"kind":"Pod"}"#);
        record
            .intent(WRITE, grounds.clone(), Some(body))
            .await
            .unwrap();
        record.answered(201);
        record.masked("secret", 2);
        record.masked("secret", 1);
        record.sent(br#"{"kind":"#);
        record.sent(br#""Pod"}"#);
        let session = record.session();
        assert!(session.is_some());
        record.seal(Ended::Complete).unwrap();
        drop(recorder);

        let entries = place.entries();
        let [intent, outcome] = &entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!((intent.id, outcome.id), (id, id));
        let (Event::Intent(intent), Event::Outcome(outcome)) = (&intent.event, &outcome.event)
        else {
            panic!("{entries:?}");
        };
        assert_eq!((intent.session, &intent.grounds), (session, &grounds));
        assert_eq!(intent.who.principal.as_deref(), Some("anna"));
        assert_eq!(intent.who.peer, "192.0.2.7:4711");
        assert_eq!(intent.what, WRITE.what());
        let body = intent.body.clone().unwrap();
        assert_eq!((body.bytes, body.blob), (14, false));
        assert_eq!(body.json.unwrap().get(), r#"{"kind":"Pod"}"#);
        assert_eq!(
            (outcome.ended, outcome.status),
            (Ended::Complete, Some(201))
        );
        assert_eq!(outcome.masked, [("secret".to_owned(), 3)]);
        let response = outcome.response.clone().unwrap();
        assert_eq!((response.bytes, response.sha256), (14, body.sha256));
        assert_eq!(response.json.unwrap().get(), r#"{"kind":"Pod"}"#);
    }

    #[tokio::test]
    async fn a_read_and_a_long_write_leave_only_a_digest_of_the_answer() {
        let long = format!("\"{}\"", "x".repeat(INLINE_RESPONSE));
        for (permit, answer) in [(READ, "{}"), (WRITE, long.as_str())] {
            let place = Place::new();
            let recorder = place.recorder();
            let mut record = open(&recorder);
            record
                .intent(permit, Grounds::default(), None)
                .await
                .unwrap();
            record.sent(answer.as_bytes());
            record.seal(Ended::Complete).unwrap();
            drop(recorder);
            let Event::Outcome(outcome) = last(&place).event else {
                panic!();
            };
            let response = outcome.response.unwrap();
            assert_eq!(response.bytes, answer.len() as u64);
            assert_eq!(response.sha256, hex(&Sha256::digest(answer)));
            assert!(response.json.is_none());
        }
    }

    #[tokio::test]
    async fn a_long_body_is_a_blob_before_its_intent() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut record = open(&recorder);
        let body = Bytes::from(format!("\"{}\"", "x".repeat(INLINE_REQUEST)));
        let written = record.intent(WRITE, Grounds::default(), Some(body.clone()));
        written.await.unwrap();
        let records = recorder.ledger().read(0, 1).unwrap();
        let Event::Intent(intent) = Entry::parse(&records[0].1).unwrap().event else {
            panic!();
        };
        let kept = intent.body.unwrap();
        assert!(kept.blob && kept.json.is_none());
        assert_eq!(recorder.blobs().read(&kept.sha256).unwrap(), body);
    }

    #[tokio::test]
    async fn a_record_that_is_dropped_seals_itself() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut record = open(&recorder);
        record
            .intent(WRITE, Grounds::default(), None)
            .await
            .unwrap();
        record.sent(b"{");
        drop(record);
        drop(recorder);
        let Event::Outcome(outcome) = last(&place).event else {
            panic!();
        };
        assert_eq!((outcome.ended, outcome.bytes), (Ended::ClientGone, 1));
    }

    #[tokio::test]
    async fn a_request_that_is_cancelled_while_it_waits_for_the_disk_leaves_both() {
        let place = Place::new();
        let recorder = place.recorder();
        recorder.ledger().faults().sync_takes_ms.store(300, Relaxed);
        let mut record = open(&recorder);
        let request = async move {
            record
                .intent(WRITE, Grounds::default(), None)
                .await
                .unwrap();
            panic!("it was to be cancelled before");
        };
        let cancelled = tokio::time::timeout(std::time::Duration::from_millis(20), request);
        assert!(cancelled.await.is_err());
        drop(recorder);
        let entries = place.entries();
        assert!(matches!(entries[0].event, Event::Intent(_)));
        let Event::Outcome(outcome) = &entries[1].event else {
            panic!("{entries:?}");
        };
        assert_eq!(outcome.ended, Ended::ClientGone);
    }

    #[tokio::test]
    async fn a_panic_and_a_failed_cluster_leave_what_is_known() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut record = open(&recorder);
        record
            .intent(WRITE, Grounds::default(), None)
            .await
            .unwrap();
        let panicked = std::thread::spawn(move || {
            let _record = record;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        let mut record = open(&recorder);
        record.intent(READ, Grounds::default(), None).await.unwrap();
        record.failed("connection reset");
        drop(record);
        drop(recorder);
        let ends: Vec<_> = place
            .entries()
            .into_iter()
            .filter_map(|entry| match entry.event {
                Event::Outcome(outcome) => Some((outcome.ended, outcome.failure)),
                _ => None,
            })
            .collect();
        let reset = Some("connection reset".to_owned());
        assert_eq!(
            ends,
            [(Ended::Unknown, None), (Ended::UpstreamFailed, reset)]
        );
    }

    #[tokio::test]
    async fn a_flood_of_refusals_waits_for_no_disk_and_shares_its_syncs() {
        let place = Place::new();
        let recorder = place.recorder();
        for _ in 0..500 {
            let mut record = open(&recorder);
            record.refused(401, "no token", Some("the header is missing"));
        }
        assert!(
            recorder.ledger().syncs() <= 3,
            "{}",
            recorder.ledger().syncs()
        );
        drop(recorder);
        let entries = place.entries();
        assert_eq!(entries.len(), 500);
        let Event::Refused(refused) = &entries[499].event else {
            panic!();
        };
        assert_eq!((refused.ended, refused.status), (Ended::Refused, Some(401)));
        assert_eq!(refused.reason.as_deref(), Some("no token"));
        assert_eq!(refused.who.agent, None);
        assert_eq!(refused.what.path, "/clusters/c/api/v1/pods");
    }

    #[tokio::test]
    async fn threat_29_when_the_ledger_is_full_nothing_is_permitted_and_no_answer_ends() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut served = open(&recorder);
        served.intent(READ, Grounds::default(), None).await.unwrap();
        recorder.ledger().faults().full_at.store(0, Relaxed);
        for permit in [READ, WRITE] {
            let mut record = open(&recorder);
            let refusal = record.intent(permit, Grounds::default(), None).await;
            let Err(Refusal::LedgerUnavailable { inside }) = refusal else {
                panic!("{refusal:?}");
            };
            assert!(inside.contains("no space is left"), "{inside}");
        }
        assert!(served.seal(Ended::Complete).is_err());
        assert!(recorder.ledger().health().is_err());
    }

    #[tokio::test]
    async fn one_record_has_one_intent() {
        let place = Place::new();
        let recorder = place.recorder();
        let mut record = open(&recorder);
        record.intent(READ, Grounds::default(), None).await.unwrap();
        let second = record.intent(WRITE, Grounds::default(), None).await;
        assert!(matches!(second, Err(Refusal::Internal { .. })));
    }

    #[tokio::test]
    async fn threat_29_verify_names_the_record_by_id_and_time() {
        let place = Place::new();
        let recorder = place.recorder();
        let ids: Vec<_> = (0..9)
            .map(|_| {
                let mut record = open(&recorder);
                record.refused(401, "no token", None);
                record.id()
            })
            .collect();
        let vkey = recorder.ledger().vkey();
        drop(recorder);
        let dir = place.root.path().join("ledger");
        let entries = dir.join("entries");
        let bytes = std::fs::read(&entries).unwrap();
        let at = bytes.len() / 2;
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        std::fs::write(&entries, changed).unwrap();
        let error = verify::verify(&dir, &vkey).unwrap_err().to_string();
        let named = format!("record 4 (id {}, 2027-01-15T08:00:00Z) is not", ids[4]);
        assert!(error.starts_with(&named), "{error}");
    }
}
