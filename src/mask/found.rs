//! Part of ⑦ mask: what detectors find in the strings of a document while it passes.
//!
//! A prefilter tells for each string whether something may stand in it. Only such a string, or
//! one that is cut by the end of a chunk, is looked at as a whole; all others pass untouched.

use std::ops::Range;
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

pub(super) struct Finder {
    masking: Arc<Masking>,
    /// The value at hand is a string to look at if there is such a place in it.
    in_string: bool,
    /// It is looked at, whatever it is.
    must_look: bool,
    /// The value at hand is a member, and its name is complete.
    member: bool,
    /// Where that name stands in the chunk, if it is in this one.
    name: Option<Range<usize>>,
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
            in_string: false,
            must_look: false,
            member: false,
            name: None,
            beside: Vec::new(),
            level: 0,
        }
    }

    /// A new chunk begins.
    pub fn begin(&mut self) {
        self.name = None;
    }

    /// A member's name ended before `end`.
    #[inline]
    pub fn key(&mut self, began: Option<usize>, end: usize) {
        self.member = true;
        self.name = began.map(|began| began..end);
    }

    /// A scalar begins: whether it is a string to look at.
    #[inline]
    pub fn value(&mut self, look: bool) {
        (self.in_string, self.must_look) = (look, false);
    }

    /// An object or array begins.
    #[inline]
    pub fn opened(&mut self) {
        self.member = false;
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
        (self.in_string, self.must_look) = (true, true);
    }

    /// Whether the chunk ends within a string that may have to be looked at.
    pub fn is_in_string(&self) -> bool {
        self.in_string
    }

    /// A scalar ended before `end`: whether it is a member's value, if it is a string to look
    /// at.
    #[inline]
    pub fn ended(&mut self, chunk: &[u8], began: Option<usize>, end: usize) -> Option<bool> {
        let member = std::mem::take(&mut self.member);
        let looked = std::mem::take(&mut self.in_string)
            && (self.must_look
                || !self.beside.is_empty()
                || self.is_hinted(chunk, member, began, end));
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

    /// Whether something may stand in the string between these places, or beside its name.
    #[inline]
    fn is_hinted(&self, chunk: &[u8], member: bool, began: Option<usize>, end: usize) -> bool {
        let name = self.name.as_ref().filter(|_| member);
        let (Some(began), true) = (began, name.is_some() == member) else {
            return true;
        };
        let detectors = self.masking.detectors();
        let slice = |from, to| chunk.get(from..to).unwrap_or_default();
        // Most are harmless, name and value, and told so at once.
        if detectors.is_harmless(slice(name.map_or(began, |name| name.start), end)) {
            return false;
        }
        name.is_some_and(|name| detectors.is_hinted(slice(name.start, name.end)))
            || detectors.is_hinted(slice(began, end))
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
