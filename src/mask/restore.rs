//! Part of ⑦ mask: a mask that comes back in a write, and what it stands for.
//!
//! Whoever reads a masked object, changes it and writes it whole means the values behind the
//! masks to stay. Each mask is put back to the value that the agent was shown it for: at the
//! same place of the same object, where the object as it stands shows exactly this mask. In
//! any other place a mask is refused, and so is every operation of a JSON Patch that would
//! compare or carry a value that is hidden.
//!
//! What the cluster makes of the write is looked at once more: a value that was put back must
//! not show there where it was hidden before.

use bytes::Bytes;

use super::plan::Plan;
use super::{Masker, returned};
use crate::parse::{self, Ask, Node, Old};
use crate::refusal::Refusal;

/// Fields by which elements of Kubernetes' lists are told apart.
const KEYS: [&str; 7] = [
    "name",
    "key",
    "containerPort",
    "port",
    "mountPath",
    "devicePath",
    "ip",
];

/// The values that were put back.
#[derive(Default)]
pub struct Restored {
    values: Vec<Node>,
    /// The object as it stood, as the agent sees it.
    seen: Option<Node>,
}

/// Puts back the values behind the masks of a write, as the object stands.
///
/// # Errors
/// [`Refusal::MaskReturned`] for a mask in another place than it was shown in, and for what
/// would compare or carry hidden values.
pub fn restore(ask: Ask, old: &Old, plan: &Plan) -> Result<(Ask, Restored), Refusal> {
    let patches = ask.is_json_patch();
    // A number that is hidden has no mask that shows.
    let fields = plan.masking.paths.is_some();
    if !patches && !fields && !returned::holds_mask(ask.body()) {
        return Ok((ask, Restored::default()));
    }
    let (Some(body), Old::Known(real)) = (ask.tree(), old) else {
        returned::refuse_in(ask.body())?;
        return Ok((ask, Restored::default()));
    };
    let seen = as_seen(plan, real)?;
    let mut restorer = Restorer {
        root: (&seen, real),
        values: Vec::new(),
    };
    let tree = match patches {
        true => restorer.operations(body)?,
        false => restorer.fill(body, Some((&seen, real)), "")?,
    };
    let values = restorer.values;
    let ask = match values.is_empty() {
        true => ask,
        false => ask.with_body(tree),
    };
    let seen = Some(seen);
    Ok((ask, Restored { values, seen }))
}

impl Restored {
    /// Whether the write is as it came.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether the object that comes of the write hides what was put back.
    ///
    /// # Errors
    /// [`Refusal::MaskReturned`] if it shows more of it than the object before.
    pub fn hidden_in(&self, plan: &Plan, result: &Node) -> Result<(), Refusal> {
        let Some(before) = self.seen.as_ref().filter(|_| !self.values.is_empty()) else {
            return Ok(());
        };
        let after = as_seen(plan, result)?;
        let shown = self
            .values
            .iter()
            .any(|value| count(&after, value) > count(before, value));
        match shown {
            true => Err(refused(
                "a value that is hidden would show in what comes of this write",
            )),
            false => Ok(()),
        }
    }
}

/// An object as the agent sees it.
fn as_seen(plan: &Plan, object: &Node) -> Result<Node, Refusal> {
    let mut masker = Masker::new(plan, 200, Some("application/json"), None)?;
    let masked = masker.feed(Bytes::from(object.to_json()))?;
    let masked = masked.followed_by(masker.finish()?);
    parse::read_answer(masked.as_bytes())
}

/// The same value, as it is shown and as it is.
type Pair<'a> = (&'a Node, &'a Node);

struct Restorer<'a> {
    root: Pair<'a>,
    values: Vec<Node>,
}

impl<'a> Restorer<'a> {
    /// The body with the values that its masks stand for; `path` is where it stands.
    fn fill(&mut self, body: &Node, old: Option<Pair<'_>>, path: &str) -> Result<Node, Refusal> {
        match body {
            Node::String(text) => self.text(text, old, path),
            Node::Object(entries) => {
                // What a value is called beside it must be what it was called.
                let named = |node: &Node| node.get("name").cloned();
                let same = old.filter(|(seen, _)| named(seen) == named(body));
                let fill = |(key, value): &(Box<str>, Node)| {
                    let old = if &**key == "value" { same } else { old };
                    let below = old.and_then(|(seen, real)| Some((seen.get(key)?, real.get(key)?)));
                    let path = join(path, key);
                    let filled = match (&**key, value) {
                        (LAST_APPLIED, Node::String(text)) => self.manifest(text, below, &path)?,
                        _ => self.fill(value, below, &path)?,
                    };
                    Ok((key.clone(), filled))
                };
                let filled: Result<_, Refusal> = entries.iter().map(fill).collect();
                filled.map(Node::Object)
            }
            Node::Array(items) => self.array(items, body, old, path),
            // A number has no mask that shows: what is written back as it was shown stays.
            other => match old {
                Some((seen, real)) if seen == other && seen != real => {
                    self.values.push(real.clone());
                    Ok(real.clone())
                }
                _ => Ok(other.clone()),
            },
        }
    }

    fn text(&mut self, text: &str, old: Option<Pair<'_>>, path: &str) -> Result<Node, Refusal> {
        if !returned::holds_mask(text.as_bytes()) {
            return Ok(Node::String(text.into()));
        }
        match old {
            Some((seen, real)) if seen.as_str() == Some(text) => {
                self.values.push(real.clone());
                Ok(real.clone())
            }
            _ => Err(refused(path)),
        }
    }

    fn array(
        &mut self,
        items: &[Node],
        body: &Node,
        old: Option<Pair<'_>>,
        path: &str,
    ) -> Result<Node, Refusal> {
        // What stands before an element may be what it is called: the array stays as it is.
        let masks = |item: &Node| {
            item.as_str()
                .is_some_and(|text| returned::holds_mask(text.as_bytes()))
        };
        if items.iter().any(masks) {
            return match old {
                Some((seen, real)) if seen == body => {
                    self.values.extend(real.items().iter().cloned());
                    Ok(real.clone())
                }
                _ => Err(refused(path)),
            };
        }
        let fill = |(at, item): (usize, &Node)| {
            let partner = old.and_then(|old| partner(item, items, old));
            self.fill(item, partner, &format!("{path}[{at}]"))
        };
        let filled: Result<_, Refusal> = items.iter().enumerate().map(fill).collect();
        filled.map(Node::Array)
    }

    /// The manifest that `kubectl apply` keeps in an annotation: the same object once more.
    fn manifest(&mut self, text: &str, old: Option<Pair<'_>>, path: &str) -> Result<Node, Refusal> {
        let is_shown = old.is_some_and(|(seen, _)| seen.as_str() == Some(text));
        if is_shown || !returned::holds_mask(text.as_bytes()) {
            return self.text(text, old, path);
        }
        let manifest = parse::read_answer(text.as_bytes()).map_err(|_| refused(path))?;
        let root = self.root;
        let mut filled = self.fill(&manifest, Some(root), path)?.to_json();
        filled.push(b'\n');
        let filled = String::from_utf8(filled).map_err(|_| refused(path))?;
        let filled = Node::String(filled.into());
        self.values.push(filled.clone());
        Ok(filled)
    }

    fn operations(&mut self, patch: &Node) -> Result<Node, Refusal> {
        let mut moved = false;
        let mut filled = Vec::with_capacity(patch.items().len());
        for (at, operation) in patch.items().iter().enumerate() {
            let field = |key| {
                operation
                    .get(key)
                    .and_then(Node::as_str)
                    .unwrap_or_default()
            };
            let (op, path) = (field("op"), field("path"));
            // After what moves elements, a pointer may mean another one.
            let astray = |pointer: &str| moved && pointer.split('/').any(is_index);
            let hides = |pointer: &str| {
                let meant = match astray(pointer) {
                    true => Some(self.root),
                    false => self.target(pointer),
                };
                meant.is_some_and(|(seen, real)| seen != real)
            };
            if (op == "test" && hides(path))
                || (matches!(op, "copy" | "move") && hides(field("from")))
            {
                return Err(refused(&format!("[{at}]: {op} of a value that is hidden")));
            }
            let (mut entries, place) = (operation.entries().to_vec(), format!("[{at}].value"));
            if let Some((_, value)) = entries.iter_mut().find(|(key, _)| &**key == "value") {
                let target = self.target(path).filter(|_| !astray(path));
                *value = self.fill(value, target, &place)?;
            }
            moved |= matches!(op, "add" | "remove" | "move" | "copy");
            filled.push(Node::Object(entries));
        }
        Ok(Node::Array(filled))
    }

    /// What a JSON Pointer (RFC 6901) points to.
    fn target(&self, pointer: &str) -> Option<Pair<'a>> {
        let steps: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let (seen, real) = self.root;
        Some((seen.at(&steps)?, real.at(&steps)?))
    }
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The element of the list before that this one is: the only one with the same key, or the
/// same but for nothing.
fn partner<'a>(item: &Node, items: &[Node], (seen, real): Pair<'a>) -> Option<Pair<'a>> {
    let key = KEYS.iter().find(|key| item.get(key).is_some());
    let same = |other: &Node| match key {
        Some(key) => other.get(key) == item.get(key),
        None => other == item,
    };
    let only = |list: &[Node]| list.iter().filter(|other| same(other)).count() == 1;
    let at = seen.items().iter().position(same)?;
    (only(items) && only(seen.items())).then_some((seen.items().get(at)?, real.items().get(at)?))
}

/// How often a value stands somewhere in a document.
fn count(document: &Node, value: &Node) -> usize {
    let below: usize = match document {
        Node::Array(items) => items.iter().map(|item| count(item, value)).sum(),
        Node::Object(entries) => entries.iter().map(|(_, item)| count(item, value)).sum(),
        _ => 0,
    };
    below + usize::from(document == value)
}

/// Whether a step of a pointer may be an index: `-` is behind the last one.
fn is_index(step: &str) -> bool {
    step == "-" || step.parse::<usize>().is_ok()
}

fn join(path: &str, key: &str) -> String {
    match (path, key.contains(['.', '[', '/'])) {
        (path, true) => format!("{path}[{key:?}]"),
        ("", false) => key.to_owned(),
        (path, false) => format!("{path}.{key}"),
    }
}

fn refused(field: &str) -> Refusal {
    Refusal::MaskReturned {
        field: field.to_owned(),
    }
}
