//! Part of ⑦ mask: finds a mask that comes back in a write.
//!
//! Whoever reads a masked object and writes it whole would destroy the value behind the
//! mask. The gate does not know the value any more, so the write is refused.

use memchr::memmem;
use serde_json::Value;

use super::fields::{MASK, MASK_BASE64};
use crate::refusal::Refusal;

/// Looks through all strings of a JSON body; an empty one holds none.
///
/// # Errors
/// [`Refusal::MaskReturned`] with the first field that holds a mask, alone or within a
/// longer text; [`Refusal::Malformed`] if the body is not JSON.
pub(super) fn refuse_in(body: &[u8]) -> Result<(), Refusal> {
    if !holds_mask(body) && memmem::find(body, b"\\u").is_none() {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| Refusal::Malformed {
        what: format!("the body is not valid JSON (line {})", error.line()),
    })?;
    match find(&value) {
        Some(path) => Err(Refusal::MaskReturned {
            field: path.strip_prefix('.').unwrap_or(&path).to_owned(),
        }),
        None => Ok(()),
    }
}

pub(super) fn holds_mask(text: &[u8]) -> bool {
    [MASK, MASK_BASE64]
        .iter()
        .any(|mask| memmem::find(text, mask.as_bytes()).is_some())
}

/// The path of the first string that holds a mask, with a dot before each plain name.
/// `serde_json` bounds the depth.
fn find(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => holds_mask(text.as_bytes()).then(String::new),
        Value::Array(elements) => elements.iter().enumerate().find_map(|(index, element)| {
            let tail = find(element)?;
            Some(format!("[{index}]{tail}"))
        }),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            let tail = find(member)?;
            Some(if name.contains(['.', '[', '/']) {
                format!("[{name:?}]{tail}")
            } else {
                format!(".{name}{tail}")
            })
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
