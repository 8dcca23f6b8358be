//! Selectors, by the API server's grammar: which name a field selector demands, and whether
//! a label selector is one. It never tells what they match.
//!
//! The API server drops the name that a field selector demands if anything else in the query
//! does not decode, a label selector included.

/// What a field selector requires `metadata.name` to be, by the grammar of
/// `k8s.io/apimachinery/pkg/fields`; an error for what that does not parse, or for two
/// names, of which the API server picks the first in alphabetical order.
pub(super) fn name_of(selector: &str) -> Result<Option<String>, ()> {
    let mut name = None;
    for term in terms(selector) {
        let at = term.find(['=', '!']).ok_or(())?;
        let (field, behind) = match term.split_at_checked(at) {
            Some((field, behind)) => (field, behind),
            None => return Err(()),
        };
        let (equal, value) = if let Some(value) = behind.strip_prefix("!=") {
            (false, value)
        } else if let Some(value) = behind.strip_prefix("==") {
            (true, value)
        } else {
            (true, behind.strip_prefix('=').ok_or(())?)
        };
        let value = unescape(value)?;
        if equal && field == "metadata.name" && name.replace(value).is_some() {
            return Err(());
        }
    }
    Ok(name)
}

/// Splits at commas that no backslash escapes; empty terms count for nothing.
fn terms(selector: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    selector
        .split(move |character| {
            let comma = character == ',' && !escaped;
            escaped = character == '\\' && !escaped;
            comma
        })
        .filter(|term| !term.is_empty())
}

fn unescape(value: &str) -> Result<String, ()> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                _ => return Err(()),
            },
            ',' | '=' => return Err(()),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

/// `IsPathSegmentName` of the API server.
pub(super) fn is_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '%'])
}

/// Whether a label selector is one by the grammar of `k8s.io/apimachinery/pkg/labels`:
/// `key`, `!key`, `key=value` (or `==`, `!=`), `key in (a,b)`, `key notin (a,b)`, `key>1`,
/// `key<1`, joined by commas; empty selects everything.
pub(super) fn is_label_selector(selector: &str) -> bool {
    let mut inside = false;
    let requirements = selector.split(|character| {
        inside = match character {
            '(' => true,
            ')' => false,
            _ => inside,
        };
        character == ',' && !inside
    });
    spaceless(selector).is_empty()
        || requirements
            .map(spaceless)
            .all(|requirement| is_requirement(requirement).unwrap_or(false))
}

/// None or false for what is no requirement.
fn is_requirement(text: &str) -> Option<bool> {
    if let Some(key) = text.strip_prefix('!') {
        return Some(is_label_key(spaceless(key)));
    }
    let end = text
        .find([' ', '=', '!', '<', '>', '(', ')'])
        .unwrap_or(text.len());
    let (key, behind) = text.split_at_checked(end)?;
    let behind = spaceless(behind);
    if !is_label_key(key) || behind.is_empty() {
        return Some(is_label_key(key));
    }
    for operator in ["==", "!=", "="] {
        if let Some(value) = behind.strip_prefix(operator) {
            return Some(is_label_value(spaceless(value)));
        }
    }
    if let Some(bound) = behind.strip_prefix(['<', '>']) {
        let bound = spaceless(bound);
        return Some(is_label_value(bound) && bound.parse::<i64>().is_ok());
    }
    let set = behind
        .strip_prefix("in")
        .or_else(|| behind.strip_prefix("notin"))?;
    let values = spaceless(set).strip_prefix('(')?.strip_suffix(')')?;
    Some(values.split(',').map(spaceless).all(is_label_value))
}

/// Other white space is a control character, which no query may hold.
fn spaceless(text: &str) -> &str {
    text.trim_matches(' ')
}

/// A name, or a DNS subdomain (RFC 1123), a slash and a name.
fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_dns = |part: &str| is_framed(part, lower, b"-");
    !name.is_empty()
        && is_label_value(name)
        && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_dns))
}

fn is_label_value(value: &str) -> bool {
    value.is_empty()
        || value.len() <= 63 && is_framed(value, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

/// Of `outer` bytes at both ends, and of `outer` or `inner` between them.
fn is_framed(text: &str, outer: impl Fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| outer(*first) && outer(*last))
        && bytes
            .iter()
            .all(|byte| outer(*byte) || inner.contains(byte))
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
    use super::*;

    #[test]
    fn field_selectors_name_the_object_as_the_api_server_reads_them() {
        for (selector, expected) in [
            ("metadata.name=x", Ok(Some("x"))),
            ("metadata.name==x", Ok(Some("x"))),
            ("metadata.name!=x", Ok(None)),
            ("status.phase=Running,metadata.name=x", Ok(Some("x"))),
            ("status.phase=Running,,", Ok(None)),
            ("", Ok(None)),
            ("metadata.name=a\\,b", Ok(Some("a,b"))),
            ("metadata.name=a\\=b", Ok(Some("a=b"))),
            ("metadata.name=a\\\\", Ok(Some("a\\"))),
            ("a=metadata.name\\,metadata.name=x", Err(())),
            ("metadata.name=a\\b", Err(())),
            ("metadata.name", Err(())),
            ("metadata.name!x", Err(())),
        ] {
            assert_eq!(
                name_of(selector),
                expected.map(|name| name.map(str::to_owned)),
                "{selector}"
            );
        }
    }

    #[test]
    fn label_selectors_are_those_that_the_api_server_reads() {
        let long = format!("a{}=b", "b".repeat(63));
        for good in [
            "",
            "  ",
            "app",
            "!app",
            "! app",
            "app=web",
            "app==web",
            "app!=web",
            "app = web",
            "app=",
            "app=,x",
            "app in (a,b)",
            "app in(a)",
            "app notin ( a , b )",
            "app in ()",
            "app in (,a,)",
            "in=in",
            "in in (notin)",
            "notin",
            "a>1,b<07",
            "app.kubernetes.io/name=x,tier in (a,b),!canary",
            "A_b.c-d=E_f.g-h",
            "owner=helm,name=x,status in (deployed,uninstalled)",
        ] {
            assert!(is_label_selector(good), "{good}");
        }
        for bad in [
            "!!",
            "!",
            "!a=b",
            "a===b",
            "a=!b",
            "a!b",
            "a b",
            "a=b c",
            "a,",
            ",a",
            "a,,b",
            "a in b",
            "a in (b",
            "a in (b))",
            "a in ((b))",
            "a in (b) c",
            "a inn (b)",
            "a (b)",
            "a in (b c)",
            "a in (b)(c)",
            "-a",
            "a-",
            "a/",
            "/a",
            "a/b/c",
            "A/b",
            "a..b/c",
            "a=-b",
            "a=b/c",
            "a>",
            "a>b",
            "a>-1",
            "a>99999999999999999999",
            "é=a",
            "a=é",
            &long,
        ] {
            assert!(!is_label_selector(bad), "{bad}");
        }
    }
}
