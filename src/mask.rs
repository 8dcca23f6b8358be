//! ⑦ Response → Masked. Only [`Masked`] reaches the wire.
//!
//! Answers are masked while they pass, chunk by chunk, in one pass and at bounded memory:
//! whatever is unmasked keeps its very bytes. What cannot be masked (another content type,
//! a compressed body, invalid or truncated JSON) is refused, never passed on. This room
//! does no I/O, reads no clock, and keeps and reports no value that it hides.
//!
//! It hides the values of Secrets and tokens (`mask/fields.rs` says which), what detectors
//! find, and the fields that a policy names; and it knows what its masks stand for when they
//! come back in a write.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use crate::parse::Ask;
use crate::refusal::Refusal;

mod detect;
mod fields;
mod found;
mod hold;
mod json;
mod lines;
#[cfg(any(test, feature = "fuzzing"))]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "for tests and fuzz targets"
)]
pub mod oracle;
mod output;
mod packed;
mod paths;
mod plan;
mod prompt;
mod quoted;
mod restore;
mod returned;
mod rules;
mod status;
mod terminal;
mod text;
mod walk;

pub use fields::{MASK, MASK_BASE64};
pub use output::Output;
pub use packed::Packer;
pub use plan::Plan;
pub use restore::{Restored, restore};
pub use rules::Masks;

use hold::Counts;
use json::{Fault, Root};
use lines::Lines;
use plan::Answer;
use rules::Masking;
use terminal::Source;
use walk::Walk;

/// The detectors: name, what it finds, and whether it is on unless a policy says otherwise.
pub fn detectors() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    detect::Detectors::catalogue()
}

/// Bytes that may go to the agent. Made only in this room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked(Bytes);

impl Masked {
    /// Bytes that the gate wrote itself, such as the body of a refusal. Never an answer,
    /// or part of one.
    pub fn of_gate(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// These bytes, and then those.
    #[must_use]
    pub fn followed_by(self, next: Self) -> Self {
        if self.0.is_empty() {
            return next;
        }
        if next.0.is_empty() {
            return self;
        }
        let mut both = BytesMut::with_capacity(self.0.len() + next.0.len());
        both.extend_from_slice(&self.0);
        both.extend_from_slice(&next.0);
        Self(both.freeze())
    }

    /// The bytes, to be written.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// The socket writer takes only this.
impl Buf for Masked {
    fn remaining(&self) -> usize {
        self.0.remaining()
    }
    fn chunk(&self) -> &[u8] {
        self.0.chunk()
    }
    fn advance(&mut self, count: usize) {
        self.0.advance(count);
    }
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        self.0.copy_to_bytes(len)
    }
}

/// What was masked: for the record. Holds no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    counts: Vec<Count>,
}

/// How often one rule masked one kind of field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The rule's name, `secret-data`; that of a detector, or of a mask rule, `policy/rule`.
    pub rule: Box<str>,
    /// Where, as a pattern: `data.*`.
    pub path: Box<str>,
    /// Masked values.
    pub values: u64,
}

impl Summary {
    /// One entry per rule and path that masked anything; not more than there are rules.
    pub fn counts(&self) -> &[Count] {
        &self.counts
    }
}

/// Masks one answer while it passes. After an error it masks nothing more.
pub struct Masker {
    mode: Mode,
    /// As it was when masking failed.
    summary: Summary,
    content_type: Option<String>,
    fed: u64,
}

enum Mode {
    /// JSON documents. `empty_ok`: it need not hold any.
    Json { walk: Box<Walk>, empty_ok: bool },
    /// Text, line by line.
    Lines(Box<Lines>),
    /// Passed on as it is.
    Public,
    /// There must be no body.
    Empty,
    /// Whatever it is, it is dropped, and this is sent instead.
    Replaced(Bytes),
    /// An error was returned.
    Failed,
}

impl Masker {
    /// A masker for the answer with this status, `Content-Type` and `Content-Encoding`.
    ///
    /// An error answer (not 2xx) to a resource request that is not JSON is replaced by a
    /// `Status` with the same code and a fixed message: the API server says some errors in
    /// plain text (`404 page not found`), and clients should see the code all the same.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`] if an answer like this cannot be masked.
    pub fn new(
        plan: &Plan,
        status: u16,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
    ) -> Result<Self, Refusal> {
        plan.check()?;
        let mode = mode(plan, status, content_type, content_encoding)?;
        let content_type = match mode {
            Mode::Empty | Mode::Failed => None,
            Mode::Replaced(_) => Some("application/json"),
            Mode::Json { .. } | Mode::Lines(_) | Mode::Public => content_type,
        };
        Ok(Self {
            content_type: content_type.map(str::to_owned),
            mode,
            summary: Summary::default(),
            fed: 0,
        })
    }

    /// The `Content-Type` that the agent gets; the length that the API server declared does
    /// not hold any more.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Whether there is a body at all: not in answers to `HEAD`, and not with 204 and 304.
    pub fn has_body(&self) -> bool {
        !matches!(self.mode, Mode::Empty)
    }

    /// Takes the next bytes of the answer and returns those that may go out: the very same
    /// where nothing in them is masked, none where all must wait.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`]. What was returned before may have gone out; nothing of this
    /// chunk does, and the answer must be cut.
    pub fn feed(&mut self, chunk: Bytes) -> Result<Masked, Refusal> {
        self.fed = self.fed.saturating_add(chunk.len() as u64);
        let masked = match &mut self.mode {
            _ if chunk.is_empty() => Ok(chunk),
            Mode::Json { walk, .. } => walk.feed(&chunk),
            Mode::Lines(lines) => lines.feed(&chunk),
            Mode::Public => Ok(chunk),
            Mode::Replaced(_) => Ok(Bytes::new()),
            Mode::Empty => Err(Fault("the answer has a body where it must have none")),
            Mode::Failed => Err(Fault("the answer failed before")),
        };
        masked.map(Masked).map_err(|fault| self.fail(fault))
    }

    /// The answer is complete: returns what is left of it.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`] if the last document is not complete.
    pub fn finish(&mut self) -> Result<Masked, Refusal> {
        let rest = match &mut self.mode {
            Mode::Json { walk, empty_ok } => match walk.finish() {
                Ok(any) if any || *empty_ok => Ok(Bytes::new()),
                Ok(_) => Err(Fault("the answer is empty")),
                Err(fault) => Err(fault),
            },
            Mode::Lines(lines) => Ok(lines.finish()),
            Mode::Public | Mode::Empty => Ok(Bytes::new()),
            Mode::Replaced(status) => Ok(std::mem::take(status)),
            Mode::Failed => Err(Fault("the answer failed before")),
        };
        rest.map(Masked).map_err(|fault| self.fail(fault))
    }

    /// What was masked so far.
    pub fn summary(&self) -> Summary {
        match &self.mode {
            Mode::Json { walk, .. } => summary_of(walk.counts()),
            Mode::Lines(lines) => summary_of(lines.counts()),
            _ => self.summary.clone(),
        }
    }

    fn fail(&mut self, fault: Fault) -> Refusal {
        self.summary = self.summary();
        self.mode = Mode::Failed;
        unmaskable(
            "the answer is invalid, or cannot be masked while it passes",
            format!("{} (after {} bytes)", fault.0, self.fed),
        )
    }
}

/// Says how far it is; what waits for a decision may be a value.
impl fmt::Debug for Masker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Masker")
            .field("content_type", &self.content_type)
            .field("fed", &self.fed)
            .finish_non_exhaustive()
    }
}

/// The ask's own body as it may be recorded and shown: masked like an answer.
///
/// # Errors
/// [`Refusal::Unmaskable`] if the body is not one JSON object or array.
pub fn mask_body(ask: &Ask, plan: &Plan) -> Result<Bytes, Refusal> {
    let masking = &plan.masking;
    mask_document(
        plan::body_shape(ask.info(), ask.is_json_patch(), masking),
        masking,
        ask.body(),
    )
}

/// Refuses a mask that comes back where it cannot be put back to the value behind it, because
/// there is no object before the write, or nobody can tell what comes of it.
///
/// # Errors
/// [`Refusal::MaskReturned`] names the field.
pub fn refuse_returned(ask: &Ask) -> Result<(), Refusal> {
    match ask.look().is_some() && ask.rehearsal().is_some() {
        true => Ok(()),
        false => returned::refuse_in(ask.body()),
    }
}

fn mask_document(
    shape: &'static fields::Shape,
    masking: &Arc<Masking>,
    body: &Bytes,
) -> Result<Bytes, Refusal> {
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let mut walk = Walk::new(shape, Root::Container, Some(masking.clone()));
    let masked = walk.feed(body);
    masked
        .and_then(|masked| walk.finish().map(|_| masked))
        .map_err(|fault| {
            unmaskable(
                "the request's body cannot be masked for the record",
                fault.0.to_owned(),
            )
        })
}

fn mode(
    plan: &Plan,
    status: u16,
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<Mode, Refusal> {
    if status < 200 {
        return Err(unmaskable("the answer is not final", status.to_string()));
    }
    if plan.bodiless || matches!(status, 204 | 304) {
        return Ok(Mode::Empty);
    }
    let success = status < 300;
    let plain = content_encoding.is_none_or(|e| e.trim().eq_ignore_ascii_case("identity"));
    let (shape, watch) = match plan.answer {
        Answer::Documents { shape, watch } => (shape, watch),
        Answer::Lines { .. }
            if success
                && plain
                && content_type.is_some_and(|t| plan::is_media_type(t, "text/plain")) =>
        {
            return Ok(Mode::Lines(Box::new(Lines::new(
                Source::Log,
                plan.masking.clone(),
            ))));
        }
        // What went wrong is said in JSON.
        Answer::Lines { .. } if !success => (plan::errors(), false),
        Answer::Public if plain && content_type.is_some_and(plan::is_public_type) => {
            return Ok(Mode::Public);
        }
        Answer::Lines { .. } | Answer::Public | Answer::Output | Answer::Unmaskable(_) => {
            return Err(of_type(content_type, content_encoding));
        }
    };
    if plain && content_type.is_some_and(|t| plan::is_media_type(t, "application/json")) {
        let stream = success && watch;
        let shape = match success {
            true => shape,
            false => plan::of_error(shape, &plan.masking),
        };
        let root = if stream { Root::Objects } else { Root::Object };
        return Ok(Mode::Json {
            walk: Box::new(Walk::new(shape, root, Some(plan.masking.clone()))),
            empty_ok: stream || !success,
        });
    }
    if success {
        return Err(of_type(content_type, content_encoding));
    }
    Ok(Mode::Replaced(status::replacement(status)))
}

fn summary_of(counts: &Counts) -> Summary {
    let counts = counts.all().iter().map(|(cause, values)| Count {
        rule: cause.rule.clone(),
        path: cause.path.clone(),
        values: *values,
    });
    Summary {
        counts: counts.collect(),
    }
}

fn of_type(content_type: Option<&str>, content_encoding: Option<&str>) -> Refusal {
    let inside = format!("content type {content_type:?}, encoding {content_encoding:?}");
    unmaskable("the answer is of a type that the gate cannot mask", inside)
}

fn unmaskable(what: &'static str, inside: String) -> Refusal {
    Refusal::Unmaskable { what, inside }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests;
