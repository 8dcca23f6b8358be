//! What is accepted is what is sent: any request that the gate's parse lets through is
//! written anew as bytes that parse to the very same request. It never asks what the API
//! server would make of it; `tests/it/request_info.rs` does.
//!
//! Input: `METHOD target`, a line break, a content type, a line break, the body.

#![no_main]

use bytes::Bytes;
use gateward::parse::{self, Ask, Embedders};
use gateward::refusal::Refusal;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((method, target, content_type, body)) = split(input) else {
        return;
    };
    let Ok(ask) = read(&method, target, content_type.as_ref(), body) else {
        return;
    };
    let sent = target_of(&ask);
    assert_eq!(rendered(&ask), ask.info().path, "the path is not its parts");
    let uri: Uri = sent.parse().expect("what is sent is a URI");
    assert_eq!(uri.path(), ask.info().path);
    assert_eq!(uri.query().unwrap_or_default(), ask.query());

    let content_type = ask.sent_content_type().map(HeaderValue::from_static);
    let again = read(&method, &sent, content_type.as_ref(), ask.sent_body());
    let again = again.expect("what is sent is accepted");
    assert_eq!(again.info(), ask.info());
    assert_eq!(again.query(), ask.query());
    assert_eq!(again.body(), ask.body());
    assert_eq!(again.tree(), ask.tree());
    assert_eq!(again.content_type(), ask.content_type());
    assert_eq!(again.dry_run(), ask.dry_run());
    assert_eq!(again.is_read(), ask.is_read());
    if ask.info().subresource != "proxy" {
        assert_eq!(format!("{:?}", again.facts()), format!("{:?}", ask.facts()));
    }
});

fn split(input: &[u8]) -> Option<(Method, &str, Option<HeaderValue>, &[u8])> {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = line.split_once(' ')?;
    let content_type = match lines.next() {
        None | Some(b"") => None,
        Some(line) => Some(HeaderValue::from_bytes(line).ok()?),
    };
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    Some((
        method,
        target,
        content_type,
        lines.next().unwrap_or_default(),
    ))
}

fn read(
    method: &Method,
    target: &str,
    content_type: Option<&HeaderValue>,
    body: &[u8],
) -> Result<Ask, Refusal> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type.clone());
    }
    let head = parse::head("c".into(), method, path, query, &headers)?;
    head.with_body(Bytes::copy_from_slice(body), &Embedders::default())
}

fn target_of(ask: &Ask) -> String {
    match ask.query() {
        "" => ask.info().path.clone(),
        query => format!("{}?{query}", ask.info().path),
    }
}

/// The path of a resource from its parts; where no parts say it all, the path itself.
fn rendered(ask: &Ask) -> String {
    let info = ask.info();
    if !info.is_resource || info.subresource == "proxy" {
        return info.path.clone();
    }
    let mut path = match &*info.api_group {
        "" => format!("/api/{}", info.api_version),
        group => format!("/apis/{group}/{}", info.api_version),
    };
    if !info.namespace.is_empty() && info.resource != "namespaces" {
        path += &format!("/namespaces/{}", info.namespace);
    }
    // The name that a selector demands stands in the query.
    let listed = matches!(info.verb, "list" | "watch");
    let name = if listed { "" } else { &info.name };
    for part in [&info.resource, name, &info.subresource] {
        if !part.is_empty() {
            path += &format!("/{part}");
        }
    }
    path
}
