//! Tests of ⑦ mask: which answers are packed, and what is in them then.

use std::io::Read;

use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, header};

use super::*;
use crate::parse::{self, Embedders};

#[test]
fn only_an_answer_with_a_body_and_an_end_is_packed() {
    let log = "/api/v1/namespaces/n/pods/p/log";
    for (method, path, query, coding, packed) in [
        ("GET", "/api/v1/pods", None, "gzip", true),
        ("GET", "/api/v1/pods", None, "identity", false),
        ("GET", "/api/v1/pods", Some("watch=true"), "gzip", false),
        ("GET", "/api/v1/pods", Some("limit=500"), "gzip", true),
        ("GET", log, None, "gzip", true),
        ("GET", log, Some("follow=true"), "gzip", false),
        ("GET", "/openapi/v2", None, "gzip", true),
        ("HEAD", "/openapi/v2", None, "gzip", false),
        ("DELETE", "/api/v1/namespaces/n/pods", None, "gzip", true),
    ] {
        let mut headers = HeaderMap::new();
        let coding = HeaderValue::from_static(coding);
        headers.insert(header::ACCEPT_ENCODING, coding);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let head = parse::head("prod".into(), &method, path, query, &headers).unwrap();
        let ask = head.with_body(Bytes::new(), &Embedders::default()).unwrap();
        assert_eq!(plan_of(&ask).packs(), packed, "{method} {path} {query:?}");
    }
}

#[test]
fn what_is_packed_is_the_same_unpacked_and_whole_only_after_its_end() {
    let lines = (0..40_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761)));
    let text = lines.collect::<Vec<_>>().join("\n");
    for piece in [1, 4096, text.len()] {
        let mut packer = Packer::new();
        let mut packed = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            let piece = Masked::of_gate(Bytes::copy_from_slice(piece));
            packed.extend_from_slice(packer.feed(&piece).unwrap().as_bytes());
        }
        assert!(packed.len() > 50_000, "it waits for the end");
        let cut = unpacked(&packed).map_err(|error| error.kind());
        assert_eq!(cut, Err(std::io::ErrorKind::UnexpectedEof));
        packed.extend_from_slice(packer.finish().unwrap().as_bytes());
        assert!(packed.len() < text.len(), "{}", packed.len());
        assert_eq!(unpacked(&packed).unwrap(), text);
    }
}

fn unpacked(packed: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text)?;
    Ok(text)
}
