//! Part of ⑦ mask: text that is made of lines, logs and what a process writes, masked line by
//! line while it passes.
//!
//! A line waits until it is whole, and then goes out as it is but for what detectors found
//! in it. A private key is written over several lines: from its first line on all is
//! dropped until its last one. Nothing here depends on how the bytes are cut; only what a
//! process has not ended may go out before its line is whole, if the caller asks for it.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memmem};

use super::detect::{Detectors, Found};
use super::found::hide;
use super::hold::Counts;
use super::json::Fault;
use super::prompt;
use super::rules::Masking;
use super::terminal::Source;

/// So many bytes without a line break are looked at for themselves.
const WINDOW: usize = 64 * 1024;

/// What is found in a window may go on behind it if it ends this near to its end.
const MARGIN: usize = 4 * 1024;

/// A single thing to hide may be this long before nothing is passed on any more.
const MAX_HELD: usize = 1 << 20;

/// A private key has at most so many bytes; what follows a longer one is no part of it.
const MAX_KEY: usize = 32 * 1024;

/// The detector of private keys.
const PRIVATE_KEY: &str = "private-key";

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const KEY: &[u8] = b"PRIVATE KEY";

pub(super) struct Lines {
    source: Source,
    masking: Arc<Masking>,
    /// A line that is not whole; of a long one the end.
    held: BytesMut,
    /// How much of a line is looked at, in bytes.
    window: usize,
    /// How many bytes of a private key were dropped, while one is on.
    key: Option<usize>,
    /// The last line, if it ends with a name that tells of a value in the next one.
    named: Option<Bytes>,
    /// How much of what is held is out already.
    shown: usize,
    /// How much of it is the end of what a long line was cut behind.
    before: usize,
    counts: Counts,
}

impl Lines {
    pub fn new(source: Source, masking: Arc<Masking>) -> Self {
        Self {
            source,
            masking,
            held: BytesMut::new(),
            window: WINDOW,
            key: None,
            named: None,
            shown: 0,
            before: 0,
            counts: Counts::default(),
        }
    }

    /// Takes the next bytes and returns those that may go out.
    ///
    /// # Errors
    /// Something to hide is longer than may be held back.
    pub fn feed(&mut self, chunk: &Bytes) -> Result<Bytes, Fault> {
        let whole = chunk.slice(..self.source.whole(chunk));
        let goes_on = self.key.is_some() || self.named.is_some();
        let hints = self.held.is_empty().then(|| self.hints(&whole));
        let is_clean = hints.as_ref().is_some_and(|hints| hints.at.is_empty());
        if is_clean && !goes_on && is_short(&whole) && self.source.is_plain(&whole) {
            let rest = chunk.get(whole.len()..).unwrap_or_default();
            self.held.extend_from_slice(rest);
            return self.rest(whole, &Hints::default());
        }
        self.held.extend_from_slice(chunk);
        let hints = hints.unwrap_or_else(|| self.hints(&self.held));
        self.rest(Bytes::new(), &hints)
    }

    /// The text is complete: its last line needs no line break.
    pub fn finish(&mut self) -> Bytes {
        let line = self.held.split().freeze();
        self.line(line, true).unwrap_or_default()
    }

    /// Nothing has come for a moment: as much of the line that is not whole as may be shown,
    /// and was not yet. All of it remains what the next bytes are read with.
    pub fn pause(&mut self) -> Bytes {
        if self.key.is_some() || self.shown == self.held.len() || self.held.len() > WINDOW {
            return Bytes::new();
        }
        let line = Bytes::copy_from_slice(&self.held);
        let named = self.named.clone().unwrap_or_default();
        let text = [&*named, &*line].concat();
        let end = prompt::end(self.masking.detectors(), &text);
        let end = end.saturating_sub(named.len());
        if end <= self.shown {
            return Bytes::new();
        }
        let found = self.found(&named, &line);
        let shown = std::mem::replace(&mut self.shown, end);
        self.hidden(&line.slice(shown..end), shown, found)
    }

    /// How many values were masked, by detector.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// All lines of what is held that are whole, behind `first`.
    fn rest(&mut self, first: Bytes, hints: &Hints) -> Result<Bytes, Fault> {
        let mut out = BytesMut::new();
        let mut at = 0;
        while let Some((piece, kept)) = self.piece()? {
            let place = at..at + piece.len();
            at = place.end - kept;
            let hinted = hints.holds(&place);
            out.extend_from_slice(&self.line(piece, hinted).unwrap_or_default());
            self.shown += kept;
        }
        if out.is_empty() {
            return Ok(first);
        }
        if first.is_empty() {
            return Ok(out.freeze());
        }
        Ok([first, out.freeze()].concat().into())
    }

    /// Where in the whole lines of a text something may stand: one look at all of them costs
    /// much less than one at each.
    fn hints(&self, text: &[u8]) -> Hints {
        let whole = self.source.whole(text);
        let lines = text.get(..whole).unwrap_or_default();
        let at = self.masking.detectors().hints_in_lines(lines).collect();
        Hints { at, whole }
    }

    /// The next line, or of a long one as much as nothing that is found in it goes beyond,
    /// and how much of it is held on to, as what stands before the rest: a name, maybe, and
    /// its value comes. None if more bytes are needed. Where it ends does not depend on how
    /// they came.
    fn piece(&mut self) -> Result<Option<(Bytes, usize)>, Fault> {
        loop {
            let seen = self.held.get(..self.window.min(self.held.len()));
            let seen = seen.unwrap_or_default();
            if let Some(end) = self.source.line(seen) {
                (self.window, self.before) = (WINDOW, 0);
                return Ok(Some((self.held.split_to(end).freeze(), 0)));
            }
            if seen.len() < self.window {
                return Ok(None);
            }
            let end = self.cut(seen);
            if end > self.before {
                let kept = end.min(MARGIN);
                let piece = Bytes::copy_from_slice(seen.get(..end).unwrap_or_default());
                self.held.advance(end - kept);
                (self.window, self.before) = (WINDOW, kept);
                return Ok(Some((piece, kept)));
            }
            if self.window == MAX_HELD {
                return Err(Fault("a value in a line is too long to be hidden"));
            }
            self.window += WINDOW;
        }
    }

    /// Where a text that goes on may be cut.
    fn cut(&self, text: &[u8]) -> usize {
        let cut = text.len().saturating_sub(MARGIN);
        before(&self.source.scan(self.masking.detectors(), text), cut)
    }

    /// A line as it may go out, but for what was shown of it; none for one that is dropped.
    /// `hinted`: something may stand in it.
    fn line(&mut self, line: Bytes, hinted: bool) -> Option<Bytes> {
        let shown = self.shown.min(line.len());
        self.shown -= shown;
        if let Some(dropped) = self.key {
            let dropped = dropped + line.len() - shown;
            let rest = line.get(shown.saturating_sub(END.len() - 1)..);
            let rest = self.source.seen(rest.unwrap_or_default());
            let ends = memmem::find(&rest.text, END).is_some();
            self.key = (!ends && dropped < MAX_KEY).then_some(dropped);
            return None;
        }
        let seen = self.source.seen(&line);
        let hinted = hinted || !seen.is_all();
        let named = self.named.take().unwrap_or_default();
        // A telling name at the end of a line gives a hint; so does the first line of a private
        // key, whose detector is always on.
        if named.is_empty() && !hinted {
            return Some(line.slice(shown..));
        }
        let broken = self.source.whole(&line) == line.len();
        if broken && ends_with_name(&seen.text) {
            self.named = Some(line.clone());
        }
        let mut found = self.found(&named, &line);
        let hides_keys = self.masking.found(PRIVATE_KEY).is_some();
        if let Some(start) = opens_key(&seen.text).filter(|_| hides_keys) {
            let start = seen.origin(start);
            found.retain(|found| found.start < start);
            found
                .iter_mut()
                .for_each(|found| found.end = found.end.min(start));
            let end = line.len() - usize::from(broken);
            let detector = "private-key";
            found.push(Found {
                detector,
                start,
                end,
            });
            self.key = Some(line.len() - start);
        }
        Some(self.hidden(&line.slice(shown..), shown, found))
    }

    /// What is found in a line, behind the one that ends with a name.
    fn found(&self, named: &[u8], line: &[u8]) -> Vec<Found> {
        // Between the two lines stands the time, where it is asked for.
        let skipped = match named.is_empty() {
            true => 0,
            false => timestamp(line),
        };
        let text = [named, line.get(skipped..).unwrap_or_default()].concat();
        let mut found = self.source.scan(self.masking.detectors(), &text);
        // What stands in the line before is hidden already.
        found.retain(|found| found.end > named.len());
        found.iter_mut().for_each(|found| {
            found.start = found.start.saturating_sub(named.len()) + skipped;
            found.end = found.end - named.len() + skipped;
        });
        found
    }

    /// A part of a line, which begins at `start`, as it may go out.
    fn hidden(&mut self, part: &Bytes, start: usize, mut found: Vec<Found>) -> Bytes {
        found.retain(|found| found.end > start && found.start < start + part.len());
        found.iter_mut().for_each(|found| {
            found.start = found.start.saturating_sub(start);
            found.end = found.end.min(start + part.len()) - start;
        });
        if found.is_empty() {
            return part.clone();
        }
        let (masked, by) = hide(part, &found, &self.masking);
        for rule in by {
            self.counts.add(&rule, self.source.path(), 1);
        }
        masked.into()
    }
}

/// The last place up to `at` that is in nothing that was found.
pub(super) fn before(found: &[Found], at: usize) -> usize {
    let finds = found.iter().rev();
    finds.fold(at, |at, found| match found.end > at {
        true => at.min(found.start),
        false => at,
    })
}

/// Whether no line is longer than a window.
fn is_short(lines: &[u8]) -> bool {
    let mut each = lines.split(|byte| *byte == b'\n');
    lines.len() <= WINDOW || each.all(|line| line.len() < WINDOW)
}

/// Where in some lines something may stand.
#[derive(Default)]
struct Hints {
    /// Ascending.
    at: Vec<usize>,
    /// What is behind this was not looked at.
    whole: usize,
}

impl Hints {
    fn holds(&self, place: &Range<usize>) -> bool {
        let next = self.at.partition_point(|at| *at < place.start);
        place.end > self.whole || self.at.get(next).is_some_and(|at| *at < place.end)
    }
}

/// How long the time is with which a line begins.
fn timestamp(line: &[u8]) -> usize {
    let Some(end) = memchr(b' ', line) else {
        return 0;
    };
    let time = line.get(..end).unwrap_or_default();
    let is_time = time.first().is_some_and(u8::is_ascii_digit)
        && time.contains(&b'T')
        && time
            .iter()
            .all(|byte| byte.is_ascii_digit() || b"-:.+TZ".contains(byte));
    if is_time { end + 1 } else { 0 }
}

/// Whether a line ends like the first of `name: DB_PASSWORD` and `value: …`.
fn ends_with_name(line: &[u8]) -> bool {
    let mut words = line
        .split(|byte| b" \t\r\n\"',:".contains(byte))
        .filter(|word| !word.is_empty())
        .rev();
    let name = words.next().unwrap_or_default();
    words
        .next()
        .is_some_and(|key| key.eq_ignore_ascii_case(b"name"))
        && Detectors::is_telling(name)
}

/// Where a private key begins that does not end in the same line.
pub(super) fn opens_key(line: &[u8]) -> Option<usize> {
    let start = memmem::rfind(line, BEGIN)?;
    let rest = line.get(start..)?;
    let is_key = memmem::find(rest, KEY).is_some();
    (is_key && memmem::find(rest, END).is_none()).then_some(start)
}
