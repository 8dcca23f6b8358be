//! URLs, as Go's `net/url` reads those of requests. Part of the CEL engine.

use std::rc::Rc;

use super::super::run::Trouble;
use super::super::value::Value;
use super::{Function, operators};

/// A URL, in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    authority: String,
    host: String,
    path: String,
    query: String,
    text: String,
}

impl Url {
    /// The whole, written in one way.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `url(text)`: what both of Go's readers accept.
    fn parse(text: &str) -> Option<Self> {
        read(text, true)?;
        let (whole, fragment) = text.split_once('#').unwrap_or((text, ""));
        unescape(fragment, false)?;
        let mut url = read(whole, false)?;
        if !fragment.is_empty() {
            url.text = format!("{}#{fragment}", url.text);
        }
        Some(url)
    }
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("url", &["string:url"], |meter, values, _| {
        let [Value::String(text)] = values else {
            return Err(Trouble::no_overload());
        };
        meter.pay_text(text.len())?;
        Url::parse(text)
            .map(|url| Value::Url(Rc::new(url)))
            .ok_or_else(|| Trouble::new("this is no URL"))
    }),
    Function::global("isURL", &["string:bool"], |meter, values, _| {
        let [Value::String(text)] = values else {
            return Err(Trouble::no_overload());
        };
        meter.pay_text(text.len())?;
        Ok(Value::Bool(is_request_uri(text)))
    }),
    Function::member("getScheme", &["url:string"], |_, values, _| {
        Ok(Value::made(&*the(values)?.scheme))
    }),
    Function::member("getHost", &["url:string"], |_, values, _| {
        Ok(Value::made(&*the(values)?.host))
    }),
    Function::member("getHostname", &["url:string"], |_, values, _| {
        Ok(Value::made(host_and_port(&the(values)?.host).0))
    }),
    Function::member("getPort", &["url:string"], |_, values, _| {
        Ok(Value::made(host_and_port(&the(values)?.host).1))
    }),
    Function::member("getEscapedPath", &["url:string"], |_, values, _| {
        Ok(Value::made(&*the(values)?.path))
    }),
    Function::member(
        "getQuery",
        &["url:map<string,list<string>>"],
        |meter, values, _| {
            let url = the(values)?;
            meter.pay_text(url.query.len().saturating_mul(10))?;
            Ok(operators::map_of_lists(query(&url.query)))
        },
    ),
];

/// `isURL(text)`.
fn is_request_uri(text: &str) -> bool {
    read(text, true).is_some()
}

fn the<'v>(values: &'v [Value<'_>]) -> Result<&'v Url, Trouble> {
    match values {
        [Value::Url(url)] => Ok(url),
        _ => Err(Trouble::no_overload()),
    }
}

/// Go's `ParseRequestURI`: a path, or something with a scheme; or, if it is not `strict`,
/// `Parse`, for which two slashes begin a host.
fn read(text: &str, strict: bool) -> Option<Url> {
    if text.is_empty() || text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return None;
    }
    let mut url = Url {
        scheme: String::new(),
        authority: String::new(),
        host: String::new(),
        path: String::new(),
        query: String::new(),
        text: text.to_owned(),
    };
    if text == "*" {
        url.path = "*".to_owned();
        return Some(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (mut rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.query = query.to_owned();
    if !rest.starts_with('/') {
        // What follows the scheme is opaque, unless there is none.
        return (!scheme.is_empty()).then_some(url);
    }
    if (!scheme.is_empty() || (!strict && !rest.starts_with("///")))
        && let Some(after) = rest.strip_prefix("//")
    {
        let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
        url.authority = authority.to_owned();
        url.host = host_of(authority, &url.scheme)?;
        rest = path;
    }
    let plain = unescape(rest, false)?;
    url.path = if is_encoded(rest) {
        rest.to_owned()
    } else {
        escape(&plain)
    };
    url.text = format!("{}:{}{}?{}", url.scheme, url.authority, url.path, url.query);
    Some(url)
}

/// The scheme, empty if there is none, and what follows it.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    match end {
        Some(0) if text.starts_with(':') => None,
        Some(end)
            if text.get(end..)?.starts_with(':')
                && text.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            Some((text.get(..end)?, text.get(end + 1..)?))
        }
        _ => Some(("", text)),
    }
}

fn host_of(authority: &str, scheme: &str) -> Option<String> {
    let host = match authority.rsplit_once('@') {
        None => authority,
        Some((user, host)) => {
            let fine = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
            unescape(user, false)?;
            if !user.chars().all(fine) {
                return None;
            }
            host
        }
    };
    match host.rfind('[') {
        Some(0) => {
            let (inside, port) = host.get(1..)?.rsplit_once(']')?;
            let address = match inside.split_once("%25") {
                Some((address, zone)) if !zone.is_empty() => {
                    unescape(zone, false)?;
                    address
                }
                Some(_) => return None,
                None => inside,
            };
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (is_port(port)).then(|| host.replacen("%25", "%", 1))
        }
        Some(_) => None,
        None => {
            let colon = match scheme {
                "http" | "https" => host.find(':'),
                _ => host.rfind(':'),
            };
            if colon.is_some_and(|at| !host.get(at..).is_some_and(is_port)) {
                return None;
            }
            unescape(host, true)
        }
    }
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn host_and_port(host: &str) -> (&str, &str) {
    let (name, port) = match host.rfind(':') {
        Some(at) if host.get(at..).is_some_and(is_port) => (
            host.get(..at).unwrap_or_default(),
            host.get(at + 1..).unwrap_or_default(),
        ),
        _ => (host, ""),
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    (bare.unwrap_or(name), port)
}

/// Undoes percent-encoding; none if it is broken, or yields no text.
fn unescape(text: &str, host: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            let kept = byte.is_ascii_alphanumeric()
                || byte >= 0x80
                || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte);
            if host && !kept {
                return None;
            }
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        let value = u8::try_from(value).ok()?;
        // In a host only `%25` and what is not ASCII may be encoded.
        if host && value < 0x80 && value != b'%' {
            return None;
        }
        bytes.push(value);
    }
    // Go's text may be any bytes. What is not UTF-8 is kept as it was written.
    Some(String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned()))
}

/// Whether every byte of a path may stand there as it is.
fn is_encoded(path: &str) -> bool {
    path.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@[]%/".contains(&b))
}

fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The parameters, in the order of their first appearance; broken ones are left out.
fn query(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for pair in text.split('&') {
        if pair.is_empty() || pair.contains(';') {
            continue;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let read = |text: &str| unescape(&text.replace('+', " "), false);
        let (Some(key), Some(value)) = (read(key), read(value)) else {
            continue;
        };
        match found.iter_mut().find(|(name, _)| *name == key) {
            Some((_, values)) => values.push(value),
            None => found.push((key, vec![value])),
        }
    }
    found
}
