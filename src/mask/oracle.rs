//! The slow, obvious masker: for tests and fuzz targets only, never in a release.
//!
//! It reads a whole answer into a tree, says in the words of the rules what is hidden, and
//! leaves every other byte as it was. ⑦ mask must agree with it on every answer, in any
//! spelling and cut anywhere. Of the room it shares what detectors find in one text; nothing
//! that walks, waits or is cut. It knows no mask rules that name fields.

mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use memchr::memmem;
use serde_json::value::RawValue;

use super::detect::{self, Detectors};
use super::found::hide;
use super::plan::Answer;
use super::rules::Masking;
use super::{MASK, MASK_BASE64, Masks, Plan, quoted};
use crate::decide::PolicySet;
use crate::parse::RequestInfo;
use tree::{Node, Value, told};

/// What an answer is about, as far as it matters for what is hidden in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Anything but the other two.
    Objects,
    /// An ask on secrets.
    Secrets,
    /// A TokenRequest or a TokenReview.
    Tokens,
}

/// The plan for the answer to a GET of `info`, with every mask rule of a policy, whoever asks.
pub fn plan(info: &RequestInfo, policy: &PolicySet) -> Plan {
    let masks = Arc::new(Masks::new(policy, &[7; 32]).unwrap());
    Plan::of(info, &Method::GET, Arc::new(Masking::of_all(&masks)))
}

/// The JSON answer as the agent must see it; none if it must be refused.
pub fn masked(plan: &Plan, about: About, answer: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(answer).ok()?;
    let roots: Vec<&RawValue> = match plan.answer {
        Answer::Documents { watch: true, .. } => {
            let documents = serde_json::Deserializer::from_str(text).into_iter();
            documents.collect::<Result<_, _>>().ok()?
        }
        _ => vec![serde_json::from_str(text).ok()?],
    };
    let mut masker = Masker::new(&plan.masking, 0);
    for root in roots {
        let root = Node::read(root.get(), text, 0).filter(|root| root.is_object())?;
        match about {
            About::Objects => masker.object(&root, false)?,
            About::Secrets => masker.secret(&root)?,
            About::Tokens => masker.token(&root),
        }
    }
    Some(masker.masked(text).into_bytes())
}

const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
const LAST_MASK: &str =
    "{\"metadata\":{\"annotations\":{\"gateward/masked\":\"gateward:masked\"}}}\n";
const MESSAGE_MASK: &str = "gateward:masked: the API server's message may hold secret values, so the gate does not pass it on; see reason and code";

/// Reasons whose messages name objects and no values.
const SAFE: [&str; 13] = [
    "NotFound",
    "AlreadyExists",
    "Conflict",
    "Forbidden",
    "Unauthorized",
    "Expired",
    "Gone",
    "TooManyRequests",
    "Timeout",
    "ServerTimeout",
    "MethodNotAllowed",
    "NotAcceptable",
    "UnsupportedMediaType",
];

/// Strings in which nothing is looked for.
const PLAIN: &[&str] = &["kind", "apiVersion"];
const PLAIN_METADATA: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generateName",
    "creationTimestamp",
    "continue",
];

struct Masker<'m> {
    masking: &'m Arc<Masking>,
    /// In how many documents this one is quoted.
    level: u32,
    /// By their starts: where they end, and what stands there instead.
    masks: BTreeMap<usize, (usize, String)>,
}

impl<'m> Masker<'m> {
    fn new(masking: &'m Arc<Masking>, level: u32) -> Self {
        Self {
            masking,
            level,
            masks: BTreeMap::new(),
        }
    }

    fn masked(&self, text: &str) -> String {
        let (mut out, mut done) = (String::new(), 0);
        for (start, (end, mask)) in &self.masks {
            // What stands within another is hidden with it.
            if *start >= done {
                out += &text[done..*start];
                out += mask;
                done = *end;
            }
        }
        out + &text[done..]
    }

    /// `listed`: an item of a list of Secrets. None if an object says two things.
    fn object(&mut self, node: &Node, listed: bool) -> Option<()> {
        self.elements(node, false);
        for element in node.elements() {
            self.object(element, listed)?;
        }
        self.texts(node, PLAIN, Some("kind"), false);
        let says = told(node, "kind", |kind| matches!(kind, "Secret" | "SecretList"))?;
        let secret = says.map_or(listed, |(_, secret)| secret);
        // What stands before the kind is read before anybody knows that it is hidden.
        let read = |value: &Node| !secret || says.is_none_or(|(at, _)| value.at.start < at);
        for (name, value) in node.members() {
            match &*name.to_ascii_lowercase() {
                "data" | "stringdata" => {
                    if read(value) {
                        self.object(value, false)?;
                    }
                    if secret {
                        let base64 = name.eq_ignore_ascii_case("data");
                        self.hide_members(value, if base64 { MASK_BASE64 } else { MASK });
                    }
                }
                "metadata" if value.is_object() => self.metadata(value, secret, &read)?,
                "items" => self.object(value, secret)?,
                "binarydata" => self.binary(value)?,
                _ => self.object(value, false)?,
            }
        }
        Some(())
    }

    fn metadata(&mut self, node: &Node, secret: bool, read: &impl Fn(&Node) -> bool) -> Option<()> {
        self.texts(node, PLAIN_METADATA, None, false);
        for (name, value) in node.members() {
            match &*name.to_ascii_lowercase() {
                "managedfields" => {}
                "annotations" if value.is_object() => {
                    self.texts(value, &[], None, false);
                    for (name, value) in value.members() {
                        let last = name.eq_ignore_ascii_case(LAST);
                        if !last || read(value) {
                            self.object(value, false)?;
                        }
                        if last && secret {
                            self.hide(value, LAST_MASK);
                        }
                    }
                }
                _ => self.object(value, false)?,
            }
        }
        Some(())
    }

    /// What must stay base64.
    fn binary(&mut self, node: &Node) -> Option<()> {
        self.elements(node, true);
        self.texts(node, &[], None, true);
        let members = node.members().iter().map(|(_, value)| value);
        for value in node.elements().iter().chain(members) {
            self.object(value, false)?;
        }
        Some(())
    }

    /// Within the answer to an ask on secrets. None if a Status says two things.
    fn secret(&mut self, node: &Node) -> Option<()> {
        self.elements(node, false);
        for element in node.elements() {
            self.secret(element)?;
        }
        self.texts(node, PLAIN, Some("reason"), false);
        let says = told(node, "reason", |reason| SAFE.contains(&reason))?;
        let safe = says.is_some_and(|(_, safe)| safe);
        for (name, value) in node.members() {
            match &*name.to_ascii_lowercase() {
                "data" => self.hide_members(value, MASK_BASE64),
                "stringdata" => self.hide_members(value, MASK),
                "metadata" => self.secret_metadata(value),
                "message" if safe => {}
                "message" => self.hide(value, MESSAGE_MASK),
                "details" => self.details(value),
                _ => self.secret(value)?,
            }
        }
        Some(())
    }

    fn secret_metadata(&mut self, node: &Node) {
        self.elements(node, false);
        let elements = node.elements().iter();
        elements.for_each(|element| self.secret_metadata(element));
        self.texts(node, PLAIN_METADATA, None, false);
        for (name, value) in node.members() {
            match &*name.to_ascii_lowercase() {
                "managedfields" => {}
                "annotations" => self.secret_annotations(value),
                _ => self.everything(value),
            }
        }
    }

    fn secret_annotations(&mut self, node: &Node) {
        self.elements(node, false);
        let elements = node.elements().iter();
        elements.for_each(|element| self.secret_annotations(element));
        self.texts(node, &[], None, false);
        for (name, value) in node.members() {
            if name.eq_ignore_ascii_case(LAST) {
                self.hide(value, LAST_MASK);
            }
        }
    }

    fn details(&mut self, node: &Node) {
        self.elements(node, false);
        let elements = node.elements().iter();
        elements.for_each(|element| self.details(element));
        self.texts(node, &[], None, false);
        for (name, value) in node.members() {
            match name.eq_ignore_ascii_case("message") {
                true => self.hide(value, MASK),
                false => self.details(value),
            }
        }
    }

    fn token(&mut self, node: &Node) {
        self.elements(node, false);
        let elements = node.elements().iter();
        elements.for_each(|element| self.token(element));
        self.texts(node, PLAIN, None, false);
        for (name, value) in node.members() {
            match &*name.to_ascii_lowercase() {
                "token" => self.hide(value, MASK),
                "metadata" => self.secret_metadata(value),
                _ => self.token(value),
            }
        }
    }

    /// Nothing is hidden but what detectors find.
    fn everything(&mut self, node: &Node) {
        self.elements(node, false);
        self.texts(node, &[], None, false);
        let members = node.members().iter().map(|(_, value)| value);
        let values = node.elements().iter().chain(members);
        values.for_each(|value| self.everything(value));
    }

    /// What detectors find in the strings that are members of this object. `tells`: a member
    /// that is not looked at, however it is written.
    fn texts(&mut self, node: &Node, plain: &[&str], tells: Option<&str>, base64: bool) {
        let mut beside: Option<Vec<u8>> = None;
        for (name, value) in node.members() {
            let Value::Text(text) = &value.value else {
                continue;
            };
            let tells = tells.is_some_and(|tells| name.eq_ignore_ascii_case(tells));
            if tells || plain.contains(&&**name) {
                continue;
            }
            // A name that is longer than any that matters is none.
            let name = if name.len() > 320 { "" } else { name };
            let beside_value = beside.as_deref().filter(|_| name == "value");
            let seen = self.text(
                value,
                text,
                Some(beside_value.unwrap_or(name.as_bytes())),
                base64,
            );
            beside = match name {
                "name" => telling(&seen),
                "path" => telling(seen.rsplit('/').next().unwrap_or_default()),
                "value" => None,
                _ => beside,
            };
        }
    }

    /// The same for the elements of an array.
    fn elements(&mut self, node: &Node, base64: bool) {
        let mut beside: Option<Vec<u8>> = None;
        for element in node.elements() {
            let Value::Text(text) = &element.value else {
                continue;
            };
            let seen = self.text(element, text, beside.as_deref(), base64);
            beside = seen.strip_prefix("--").and_then(telling);
        }
    }

    /// Hides what is found in a string, and returns it as it is but for what a document within
    /// it hides by itself.
    fn text(&mut self, node: &Node, text: &str, name: Option<&[u8]>, base64: bool) -> String {
        let inner = self.document(text);
        let text = inner.as_deref().unwrap_or(text);
        let detectors = self.masking.detectors();
        let mut found = quoted::scan(detectors, text.as_bytes(), name);
        found.retain(|found| {
            let value = &text.as_bytes()[found.start..found.end];
            let masked = inner.is_some() && memmem::find(value, MASK.as_bytes()).is_some();
            !masked && value != MASK.as_bytes() && self.masking.found(found.detector).is_some()
        });
        if inner.is_some() || !found.is_empty() {
            let packed = base64 || is_packed(detectors, text, &found);
            let (mut masked, _) = hide(text.as_bytes(), &found, self.masking);
            if packed {
                masked = STANDARD.encode(masked).into_bytes();
            }
            self.put(node, &String::from_utf8(masked).unwrap());
        }
        text.to_owned()
    }

    /// The document that a text is, masked as if it stood alone; none if nothing is hidden.
    fn document(&self, text: &str) -> Option<String> {
        if self.level == 4 && text.trim_ascii_start().starts_with(['{', '[']) {
            return Some(MASK.to_owned());
        }
        let whole: &RawValue = serde_json::from_str(text).ok()?;
        let root = Node::read(whole.get(), text, 0)?;
        let mut masker = Masker::new(self.masking, self.level + 1);
        match root.value {
            Value::Object(_) | Value::Array(_) => masker.object(&root, false)?,
            _ => return None,
        }
        (!masker.masks.is_empty()).then(|| masker.masked(text))
    }

    /// Each member or element, or what stands instead of both.
    fn hide_members(&mut self, node: &Node, mask: &str) {
        match &node.value {
            Value::Object(members) => members.iter().for_each(|(_, value)| self.hide(value, mask)),
            Value::Array(elements) => elements.iter().for_each(|value| self.hide(value, mask)),
            _ => self.hide(node, mask),
        }
    }

    fn hide(&mut self, node: &Node, mask: &str) {
        if !matches!(node.value, Value::Null) {
            self.put(node, mask);
        }
    }

    fn put(&mut self, node: &Node, text: &str) {
        let text = serde_json::to_string(text).unwrap();
        self.masks.insert(node.at.start, (node.at.end, text));
    }
}

fn telling(name: &str) -> Option<Vec<u8>> {
    let name = name.as_bytes();
    let name = name.get(..64).unwrap_or(name);
    Detectors::is_telling(name).then(|| name.to_vec())
}

/// Whether a text is base64 of another one in which something is found.
fn is_packed(detectors: &Detectors, text: &str, found: &[detect::Found]) -> bool {
    let whole = |found: &detect::Found| (found.start, found.end) == (0, text.len());
    let inside = STANDARD.decode(text);
    found.iter().any(whole) && inside.is_ok_and(|inside| !detectors.scan(&inside, None).is_empty())
}
