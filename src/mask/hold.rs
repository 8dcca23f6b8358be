//! Part of ⑦ mask: what has been decided to go out, and what still waits for a decision.
//!
//! Bytes are copied only from the first change in a chunk on. Where it is not yet known
//! whether a value is to be hidden (`data` stands before `kind` in alphabetical order), the
//! value and all that follows wait here, up to a limit, until the object has told.

use bytes::{Bytes, BytesMut};

use super::fields::{Rule, Shape, Treat};
use super::json::{Fault, Root};
use super::walk::Walk;

/// Bytes that wait for a decision, at most. An object in Kubernetes is smaller than 2 MiB.
pub(super) const MAX_HELD: usize = 4 << 20;

/// Values that wait for a decision, at most.
const MAX_WAITING: usize = 1 << 14;

#[derive(Default)]
pub(super) struct Hold {
    out: BytesMut,
    /// Where in the chunk the bytes begin that are not in `out` yet.
    from: usize,
    /// The value at hand is hidden: nothing of it is copied.
    hiding: bool,
    /// By their start; a later one may lie within an earlier one.
    waiting: Vec<Waiting>,
    undecided: usize,
    /// Where in `out` a string begins that is looked at once it is whole.
    string: Option<usize>,
    counts: Counts,
}

/// Why values are masked: the name of what demands it, and where it applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub rule: Box<str>,
    pub path: Box<str>,
}

/// A value of which it is not known, or not yet carried out, how it is treated.
struct Waiting {
    start: usize,
    end: usize,
    treat: Treat,
    /// The frame that decides; none once it has decided for `treat`.
    owner: Option<usize>,
}

impl Hold {
    /// How many values were masked, by rule.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A new chunk begins.
    pub fn begin(&mut self) {
        self.from = 0;
    }

    /// Whether the value at hand is hidden anyway.
    pub fn is_hiding(&self) -> bool {
        self.hiding
    }

    /// The chunk ends within a string that began at `at` and is looked at when it is whole.
    pub fn keep_string(&mut self, chunk: &[u8], at: usize) {
        self.copy(chunk, at);
        self.string = Some(self.out.len());
    }

    /// That string ended before `at`: its bytes, quotes included. What is returned stays
    /// where it is unless [`put`](Self::put) replaces it.
    pub fn kept_string(&mut self, chunk: &[u8], at: usize) -> Option<Bytes> {
        let start = self.string?;
        self.copy(chunk, at);
        Some(Bytes::copy_from_slice(self.out.get(start..)?))
    }

    /// The string that was kept stays, or is replaced by this one.
    pub fn put(&mut self, masked: Option<&str>) {
        if let (Some(start), Some(masked)) = (self.string.take(), masked) {
            self.out.truncate(start);
            self.out.extend_from_slice(masked.as_bytes());
        }
    }

    /// The string between these places of the chunk is replaced.
    pub fn replace_string(&mut self, chunk: &[u8], start: usize, end: usize, masked: &str) {
        self.copy(chunk, start);
        self.out.extend_from_slice(masked.as_bytes());
        self.from = end;
    }

    /// The value that begins at `at` is replaced.
    pub fn hide(&mut self, chunk: &[u8], at: usize, rule: &'static Rule) {
        self.copy(chunk, at);
        self.mask(rule);
        self.hiding = true;
    }

    /// The same with another mask, that is JSON text.
    pub fn hide_behind(&mut self, chunk: &[u8], at: usize, mask: &str) {
        self.copy(chunk, at);
        self.out.extend_from_slice(mask.as_bytes());
        self.hiding = true;
    }

    /// The value that ended before `at` was the last one to hide.
    #[inline]
    pub fn value_ended(&mut self, at: usize) {
        if self.hiding {
            self.hiding = false;
            self.from = at;
        }
    }

    /// The value that begins at `at` waits for `owner` to tell. Returns its number.
    ///
    /// # Errors
    /// Too many values wait.
    pub fn wait(
        &mut self,
        chunk: &[u8],
        at: usize,
        treat: Treat,
        owner: usize,
    ) -> Result<usize, Fault> {
        if self.waiting.len() == MAX_WAITING {
            return Err(TOO_LARGE);
        }
        self.copy(chunk, at);
        let start = self.out.len();
        self.waiting.push(Waiting {
            start,
            end: start,
            treat,
            owner: Some(owner),
        });
        self.undecided += 1;
        Ok(self.waiting.len() - 1)
    }

    /// The waiting value `number` ended before `at`.
    pub fn waiting_ended(&mut self, chunk: &[u8], at: usize, number: usize) {
        self.copy(chunk, at);
        if let Some(waiting) = self.waiting.get_mut(number) {
            waiting.end = self.out.len();
        }
    }

    /// The number that the next waiting value will have.
    #[inline]
    pub fn next_number(&self) -> usize {
        self.waiting.len()
    }

    /// `owner` has told: its waiting values, all at `first` or behind, are hidden or kept.
    ///
    /// # Errors
    /// A value cannot be masked.
    pub fn decide(&mut self, first: usize, owner: usize, hide: bool) -> Result<(), Fault> {
        if first >= self.waiting.len() {
            return Ok(());
        }
        for mut waiting in self.waiting.split_off(first) {
            if waiting.owner == Some(owner) {
                self.undecided = self.undecided.saturating_sub(1);
                if !hide {
                    continue;
                }
                waiting.owner = None;
            }
            self.waiting.push(waiting);
        }
        if self.undecided == 0 {
            self.settle()
        } else {
            Ok(())
        }
    }

    /// `owner` ended without having told: `list`, further out, decides instead.
    pub fn pass_on(&mut self, first: usize, owner: usize, list: usize) {
        for waiting in self.waiting.iter_mut().skip(first) {
            if waiting.owner == Some(owner) {
                waiting.owner = Some(list);
            }
        }
    }

    /// The chunk is read: hands out what may go.
    ///
    /// # Errors
    /// More waits than may be held.
    pub fn release(&mut self, chunk: &Bytes) -> Result<Bytes, Fault> {
        let decided = self.waiting.is_empty() && self.string.is_none();
        if self.out.is_empty() && decided && !self.hiding {
            return Ok(chunk.slice(self.from..));
        }
        self.copy(chunk, chunk.len());
        let undecided = self.waiting.first().map(|w| w.start);
        let ready = undecided.into_iter().chain(self.string).min();
        let ready = ready.unwrap_or(self.out.len());
        if self.out.len() - ready > MAX_HELD {
            return Err(TOO_LARGE);
        }
        for waiting in &mut self.waiting {
            waiting.start -= ready;
            waiting.end = waiting.end.saturating_sub(ready);
        }
        self.string = self.string.map(|start| start - ready);
        Ok(self.out.split_to(ready).freeze())
    }

    fn copy(&mut self, chunk: &[u8], to: usize) {
        if !self.hiding {
            self.out
                .extend_from_slice(chunk.get(self.from..to).unwrap_or_default());
            self.from = to;
        }
    }

    fn mask(&mut self, rule: &'static Rule) {
        self.out.extend_from_slice(rule.mask.as_bytes());
        self.counts.add(rule.name, rule.path, 1);
    }

    /// Something was masked.
    pub fn count(&mut self, rule: &str, path: &str) {
        self.counts.add(rule, path, 1);
    }

    /// All is decided: carries out what was decided for hiding.
    fn settle(&mut self) -> Result<(), Fault> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first().map(|w| w.start) else {
            return Ok(());
        };
        let held = self.out.split_off(first).freeze();
        let mut done = 0;
        for value in waiting {
            let (start, end) = (value.start - first, value.end - first);
            if start < done {
                continue;
            }
            self.out
                .extend_from_slice(held.get(done..start).unwrap_or_default());
            self.replace(held.slice(start..end), value.treat)?;
            done = end;
        }
        self.out
            .extend_from_slice(held.get(done..).unwrap_or_default());
        Ok(())
    }

    fn replace(&mut self, value: Bytes, treat: Treat) -> Result<(), Fault> {
        match treat {
            Treat::Hide(rule) => self.mask(rule),
            Treat::Enter(shape) => self.replace_within(value, shape)?,
            Treat::Keep | Treat::Tell | Treat::Told { .. } => self.out.extend_from_slice(&value),
        }
        Ok(())
    }

    fn replace_within(&mut self, value: Bytes, shape: &'static Shape) -> Result<(), Fault> {
        if !matches!(value.first(), Some(b'{' | b'[')) {
            return self.replace(value, shape.elements);
        }
        // What was held was looked at before it came here.
        let mut within = Walk::new(shape, Root::Container, None);
        let masked = within.feed(&value)?;
        within.finish()?;
        self.out.extend_from_slice(&masked);
        for (cause, count) in within.counts().all() {
            self.counts.add(&cause.rule, &cause.path, *count);
        }
        Ok(())
    }
}

/// How many values were masked, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts(Vec<(Cause, u64)>);

impl Counts {
    pub fn all(&self) -> &[(Cause, u64)] {
        &self.0
    }

    pub fn add(&mut self, rule: &str, path: &str, more: u64) {
        let same = |(cause, _): &&mut (Cause, u64)| &*cause.rule == rule && &*cause.path == path;
        match self.0.iter_mut().find(same) {
            Some((_, count)) => *count += more,
            None => self.0.push((
                Cause {
                    rule: rule.into(),
                    path: path.into(),
                },
                more,
            )),
        }
    }
}

const TOO_LARGE: Fault = Fault("an object is too large to be held back until its kind is known");
