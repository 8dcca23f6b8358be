//! Tests of protobuf bodies: what is read, and what is refused. That it is read as Kubernetes
//! reads it is the business of `tests/it/protobuf.rs`.

use super::*;

/// A length-delimited field.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    let tail = [field(3, b""), field(4, b"")].concat();
    [MAGIC, &field(1, &type_meta), &field(2, raw), &tail].concat()
}

fn read(body: &[u8]) -> Result<String, String> {
    match parse(body) {
        Ok(tree) => Ok(String::from_utf8(tree.to_json()).unwrap()),
        Err(Refusal::Malformed { what }) => Err(what),
        Err(other) => panic!("{other:?}"),
    }
}

/// A ConfigMap's field 2, `data`: one entry.
fn entry(key: &str, value: &str) -> Vec<u8> {
    field(
        2,
        &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat(),
    )
}

#[test]
fn an_object_is_read() {
    let metadata = field(1, &field(1, b"c"));
    let raw = [metadata, entry("a", "1"), entry("b", "2")].concat();
    assert_eq!(
        read(&body("v1", "ConfigMap", &raw)).unwrap(),
        r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"},"data":{"a":"1","b":"2"}}"#
    );
}

#[test]
fn threat_12_what_decoders_differ_on_is_refused() {
    let metadata = field(1, &field(1, b"c"));
    let good = body("v1", "ConfigMap", &metadata);
    let twice = [metadata.clone(), metadata.clone()].concat();
    for (name, bytes, expected) in [
        ("no magic", good[4..].to_vec(), "begin with k8s"),
        ("cut", good[..good.len() - 5].to_vec(), "middle of a value"),
        (
            "a message twice",
            body("v1", "ConfigMap", &twice),
            "comes twice",
        ),
        (
            "a key twice",
            body(
                "v1",
                "ConfigMap",
                &[entry("a", "1"), entry("a", "2")].concat(),
            ),
            "comes twice",
        ),
        (
            "an unknown field",
            body("v1", "ConfigMap", &field(15, b"x")),
            "does not know",
        ),
        (
            "a group",
            body("v1", "ConfigMap", &[0x0b, 0x0c]),
            "wire type 3",
        ),
        (
            "no UTF-8",
            body("v1", "ConfigMap", &entry_bytes(b"\xff")),
            "UTF-8",
        ),
        (
            "a number",
            body("v1", "ConfigMap", &[0x08, 1]),
            "bytes belong",
        ),
        (
            "no built-in kind",
            body("x.io/v1", "Thing", b""),
            "built-in kind",
        ),
        (
            "an encoding",
            [good.clone(), field(3, b"gzip")].concat(),
            "envelope",
        ),
        (
            "raw twice",
            [good.clone(), field(2, b"")].concat(),
            "comes twice",
        ),
        (
            "a varint without end",
            body(
                "v1",
                "ConfigMap",
                &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            ),
            "64 bits",
        ),
    ] {
        let sentence = read(&bytes).unwrap_err();
        assert!(sentence.contains(expected), "{name}: {sentence}");
    }
}

fn entry_bytes(value: &[u8]) -> Vec<u8> {
    field(2, &[field(1, b"k"), field(2, value)].concat())
}

#[test]
fn threat_24_nesting_and_sizes_are_bounded() {
    // A JSONSchemaProps would do; an object within an object within … is one as well.
    let mut inner = body("v1", "ConfigMap", b"");
    for _ in 0..MAX_DEPTH + 2 {
        let raw = field_long(1, &inner);
        inner = body_long("v1", "List", &field_long(2, &raw));
    }
    assert!(read(&inner).unwrap_err().contains("deeper"));
    let many = entry("", "").repeat(MAX_NODES + 1);
    assert!(
        read(&body_long("v1", "ConfigMap", &many))
            .unwrap_err()
            .contains("more than")
    );
}

fn field_long(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        out.push((length & 0x7f | 0x80) as u8);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

fn body_long(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [MAGIC, &field(1, &type_meta), &field_long(2, raw)].concat()
}

#[test]
fn the_table_is_read_whole() {
    assert!(table::message_of("apps/v1", "Deployment").is_some());
    assert!(table::message_of("policy/v1", "DeleteOptions").is_some());
}
