//! Part of ⑦ mask: what detectors find in the strings of a document while it passes.
//!
//! The prefilter runs ahead, a window at a time, and names the places where something may
//! stand. Only a string at such a place, or one that is cut by the end of a chunk, is looked
//! at as a whole; all others pass untouched. What is hidden anyway is in no window but by
//! chance: in a list of Secrets that is most of the bytes.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use super::detect::{self, Detectors};
use super::fields::MASK;
use super::quoted;
use super::rules::Masking;

/// Where detectors look.
const EVERYWHERE: &str = "**";

/// So much of a name beside a value is enough: its last words tell.
const NAME: usize = 64;

/// How far the prefilter runs ahead, at least and at most.
const AHEAD: RangeInclusive<usize> = 64..=16 * 1024;

/// So much of a chunk that nobody asked about is worth a window that ends before it.
const GAP: usize = 128;

pub(super) struct Finder {
    masking: Arc<Masking>,
    /// The part of the chunk that the prefilter has seen last.
    window: Range<usize>,
    /// Places in it at which something may stand.
    hints: Vec<usize>,
    next: usize,
    /// How long the next window is, if nothing is expected.
    ahead: usize,
    /// The strings from here to there were asked about without a gap.
    asked: Range<usize>,
    /// How long such a stretch was, before the last gap.
    expected: Option<usize>,
    in_string: bool,
    /// The value at hand is a member, and its name is complete.
    member: bool,
    /// That name is such a place, too.
    named: bool,
    /// Telling names that stand beside their values, and how deep: an env variable's, in
    /// `{"name": "DB_PASSWORD", "value": …}`, and an option's, in `["--password", …]`.
    beside: Vec<(usize, Vec<u8>)>,
    /// In how many documents this one is quoted.
    pub level: u8,
}

/// A string in which something was found.
pub(super) struct Found {
    /// The JSON string that stands for it, quotes included.
    pub masked: String,
    /// On whose demand and where, one for each value that is hidden.
    pub by: Vec<(Box<str>, Box<str>)>,
}

impl Finder {
    pub fn new(masking: Arc<Masking>) -> Self {
        Self {
            masking,
            window: 0..0,
            hints: Vec::new(),
            next: 0,
            ahead: *AHEAD.start(),
            asked: 0..0,
            expected: None,
            in_string: false,
            member: false,
            named: false,
            beside: Vec::new(),
            level: 0,
        }
    }

    /// A new chunk begins.
    pub fn begin(&mut self) {
        (self.window, self.asked) = (0..0, 0..0);
    }

    /// A member's name ended before `end`.
    #[inline]
    pub fn key(&mut self, chunk: &[u8], began: Option<usize>, end: usize) {
        self.member = true;
        self.named = self.is_hinted(chunk, began, end);
    }

    /// A string, or something that is not looked at, begins.
    #[inline]
    pub fn value(&mut self, string: bool) {
        self.in_string = string;
    }

    /// An object or array begins.
    #[inline]
    pub fn opened(&mut self) {
        (self.member, self.named) = (false, false);
    }

    /// An object or array ended; what goes on stands at `depth`.
    #[inline]
    pub fn closed(&mut self, depth: usize) {
        while self.beside.last().is_some_and(|(at, _)| *at > depth) {
            self.beside.pop();
        }
    }

    /// The scalar that begins is looked at, whatever it is.
    pub fn must_look(&mut self) {
        (self.in_string, self.named) = (true, true);
    }

    /// Whether the chunk ends within a string that may have to be looked at.
    pub fn is_in_string(&self) -> bool {
        self.in_string
    }

    /// A scalar ended before `end`: whether it is a member's value, if it is a string to look
    /// at.
    #[inline]
    pub fn ended(&mut self, chunk: &[u8], began: Option<usize>, end: usize) -> Option<bool> {
        let (member, named) = (self.member, self.named);
        self.opened();
        let looked = std::mem::take(&mut self.in_string)
            && (named || !self.beside.is_empty() || self.is_hinted(chunk, began, end));
        looked.then_some(member)
    }

    /// Looks at a whole string, quotes included, that stands at `depth`; `key` is its name if
    /// it is a member; `base64`: nothing else may stand there.
    pub fn look(
        &mut self,
        string: &[u8],
        key: Option<&[u8]>,
        depth: usize,
        base64: bool,
    ) -> Option<Found> {
        // The reader has proven it; if the two disagree, it is hidden.
        let Ok(text) = serde_json::from_slice::<String>(string) else {
            return Some(Found::whole("unreadable"));
        };
        let inner = quoted::document(&text, &self.masking, self.level);
        let is_masked = inner.is_some();
        let (text, mut by) = inner.unwrap_or_else(|| (text, Vec::new()));
        let text = text.as_bytes();
        let beside = self.beside.pop_if(|(at, _)| *at == depth);
        let is_value = key.is_none_or(|key| key == b"value");
        let name = match &beside {
            Some((_, name)) if is_value => Some(&**name),
            _ => key,
        };
        let detectors = self.masking.detectors();
        let mut found = quoted::scan(detectors, text, name);
        found.retain(|found| {
            let value = text.get(found.start..found.end).unwrap_or_default();
            let masked = is_masked && memmem::find(value, MASK.as_bytes()).is_some();
            !masked && value != MASK.as_bytes()
        });
        if let Some(name) = names(key, text) {
            self.beside.push((depth, name.to_vec()));
        } else if let Some(beside) =
            beside.filter(|_| !is_value && !matches!(key, Some(b"name" | b"path")))
        {
            self.beside.push(beside);
        }
        found.retain(|found| self.masking.found(found.detector).is_some());
        if found.is_empty() && !is_masked {
            return None;
        }
        let is_base64 = base64 || is_packed(detectors, text, &found);
        let (mut masked, rules) = hide(text, &found, &self.masking);
        if is_base64 {
            masked = STANDARD.encode(masked).into_bytes();
        }
        by.extend(rules.into_iter().map(|rule| (rule, EVERYWHERE.into())));
        let masked = String::from_utf8(masked).ok();
        let masked = masked.and_then(|text| serde_json::to_string(&text).ok());
        Some(match masked {
            Some(masked) => Found { masked, by },
            None => Found::whole("unreadable"),
        })
    }

    /// What stands for a scalar, given as its JSON text, that a mask rule names.
    pub fn field(&self, scalar: &[u8], rule: usize, path: &str) -> Found {
        let how = self.masking.field(rule);
        Found {
            masked: self.masking.whole(how.with, scalar),
            by: vec![(how.rule.into(), path.into())],
        }
    }

    pub fn masking(&self) -> &Masking {
        &self.masking
    }

    /// Whether something may stand in the string between these places. They ascend from one
    /// question to the next.
    #[inline]
    fn is_hinted(&mut self, chunk: &[u8], began: Option<usize>, end: usize) -> bool {
        let Some(began) = began else {
            return true;
        };
        if began.saturating_sub(self.asked.end) > GAP {
            self.expected = Some(self.asked.len());
            self.asked.start = began;
        }
        self.asked.end = end;
        if end > self.window.end {
            self.look_ahead(chunk, began, end);
        }
        while self.hints.get(self.next).is_some_and(|hint| *hint < began) {
            self.next += 1;
        }
        self.hints.get(self.next).is_some_and(|hint| *hint < end)
    }

    /// The next window begins at `began`, and `end` is in it. Lists repeat themselves: after a
    /// gap it is as long as the last stretch without one.
    fn look_ahead(&mut self, chunk: &[u8], began: usize, end: usize) {
        let ahead = match self.expected.take() {
            Some(stretch) => {
                self.ahead = *AHEAD.start();
                stretch
            }
            None => {
                let ahead = self.ahead;
                self.ahead = (2 * ahead).min(*AHEAD.end());
                ahead
            }
        };
        self.window = began..(began + ahead).min(chunk.len()).max(end);
        let window = chunk.get(self.window.clone()).unwrap_or_default();
        let hints = self.masking.detectors().hints(window);
        self.hints.clear();
        self.hints.extend(hints.map(|hint| began + hint));
        self.next = 0;
    }
}

/// Whether a text is base64 of another one in which something was found.
fn is_packed(detectors: &Detectors, text: &[u8], found: &[detect::Found]) -> bool {
    let whole = |found: &detect::Found| (found.start, found.end) == (0, text.len());
    found.iter().any(whole)
        && STANDARD
            .decode(text)
            .is_ok_and(|inside| !detectors.scan(&inside, None).is_empty())
}

/// The telling name of the value that follows this string, if it is one.
fn names<'t>(key: Option<&[u8]>, text: &'t [u8]) -> Option<&'t [u8]> {
    let name = match key {
        Some(b"name") => text,
        // In an operation of a JSON Patch.
        Some(b"path") => text.rsplit(|byte| *byte == b'/').next()?,
        Some(_) => return None,
        None => text.strip_prefix(b"--")?,
    };
    let name = name.get(name.len().saturating_sub(NAME)..).unwrap_or(name);
    Detectors::is_telling(name).then_some(name)
}

impl Found {
    fn whole(detector: &str) -> Self {
        Self {
            masked: format!("\"{MASK}\""),
            by: vec![(detector.into(), EVERYWHERE.into())],
        }
    }
}

/// The text with a mask in place of everything that was found in it, and on whose demand each.
pub(super) fn hide(
    text: &[u8],
    found: &[detect::Found],
    masking: &Masking,
) -> (Vec<u8>, Vec<Box<str>>) {
    let mut masked = Vec::with_capacity(text.len());
    let (mut at, mut by) = (0, Vec::with_capacity(found.len()));
    for found in found {
        let Some(how) = masking.found(found.detector) else {
            continue;
        };
        let value = text.get(found.start..found.end).unwrap_or_default();
        masked.extend_from_slice(text.get(at..found.start).unwrap_or_default());
        masked.extend_from_slice(
            masking
                .part(how.with, &String::from_utf8_lossy(value))
                .as_bytes(),
        );
        by.push(how.rule.into());
        at = found.end;
    }
    masked.extend_from_slice(text.get(at..).unwrap_or_default());
    (masked, by)
}
