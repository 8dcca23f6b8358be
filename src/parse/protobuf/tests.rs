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
            "a field without a number",
            body("v1", "ConfigMap", &[0x00, 1]),
            "out of range",
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
    // Nor in a field that is no list.
    let mut inner = body("v1", "ConfigMap", b"");
    for _ in 0..MAX_DEPTH + 2 {
        let raw = field_long(1, &inner);
        inner = body_long("apps/v1", "ControllerRevision", &field_long(2, &raw));
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

/// What one value is read as.
fn value(shape: &Shape, value: Value<'_>) -> Result<String, String> {
    let read = Decoder { nodes: 0 }.value(shape, value, 0);
    let json = |node: Node| String::from_utf8(node.to_json()).unwrap();
    read.map(json).map_err(|Fault(what)| what)
}

#[test]
fn every_shape_is_read_as_json_says_it() {
    let shape = |shape: Shape| Box::new(shape);
    let both = |number: u8| [field(number, b"a"), field(number, b"b")].concat();
    let minus_one = Value::Varint(u64::MAX);
    let data = body("v1", "ConfigMap", &entry("a", "1"));
    for (shape, read, expected) in [
        (Shape::Text, Value::Bytes(b"a"), r#""a""#),
        (Shape::Bool, Value::Varint(0), "false"),
        (Shape::Bool, Value::Varint(1), "true"),
        (Shape::Int32, minus_one, "-1"),
        (Shape::Int64, minus_one, "-1"),
        (Shape::Double, Value::Fixed64(1.5_f64.to_bits()), "1.5"),
        (Shape::Bytes, Value::Bytes(b"ab"), r#""YWI=""#),
        (Shape::Time, Value::Bytes(b""), "null"),
        (
            Shape::Time,
            Value::Bytes(&[0x08, 5, 0x10, 7]),
            r#""1970-01-01T00:00:05Z""#,
        ),
        (
            Shape::MicroTime,
            Value::Bytes(&[0x08, 5, 0x10, 0xd8, 0x36]),
            r#""1970-01-01T00:00:05.000007Z""#,
        ),
        (Shape::Duration, Value::Bytes(b""), r#""0ns""#),
        (Shape::Duration, Value::Bytes(&[0x08, 9]), r#""9ns""#),
        (Shape::Quantity, Value::Bytes(b""), r#""0""#),
        (Shape::Quantity, Value::Bytes(&field(1, b"1Gi")), r#""1Gi""#),
        (Shape::IntOrString, Value::Bytes(&[0x08, 0, 0x10, 5]), "5"),
        (
            Shape::IntOrString,
            Value::Bytes(&[&[0x08, 1], &*field(3, b"5%")].concat()),
            r#""5%""#,
        ),
        (Shape::Raw, Value::Bytes(b""), "null"),
        (
            Shape::Fields,
            Value::Bytes(&field(1, br#"{"a":1.0}"#)),
            r#"{"a":1.0}"#,
        ),
        (
            Shape::Raw,
            Value::Bytes(&field(1, &data)),
            r#"{"kind":"ConfigMap","apiVersion":"v1","data":{"a":"1"}}"#,
        ),
        (
            Shape::Wrapped(shape(Shape::Text)),
            Value::Bytes(&both(1)),
            r#"["a","b"]"#,
        ),
    ] {
        assert_eq!(value(&shape, read).as_deref(), Ok(expected), "{shape:?}");
    }
    for (shape, read, expected) in [
        (Shape::Text, Value::Varint(1), "bytes belong"),
        (Shape::Bool, Value::Varint(2), "neither 0 nor 1"),
        (Shape::Bool, Value::Bytes(b""), "a number belongs"),
        (Shape::Int32, Value::Varint(1 << 31), "32 bits"),
        (Shape::Double, Value::Varint(1), "a fraction belongs"),
        (Shape::Double, Value::Fixed64(f64::NAN.to_bits()), "JSON"),
        (Shape::Time, Value::Bytes(&[0x18, 1]), "seconds and nano"),
        (Shape::Time, Value::Bytes(&[0x08, 1, 0x08, 1]), "twice"),
        (
            Shape::Time,
            Value::Bytes(&[0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03]),
            "no calendar",
        ),
        (Shape::Duration, Value::Bytes(&[0x10, 1]), "one number"),
        (
            Shape::Duration,
            Value::Bytes(&[0x08, 1, 0x08, 1]),
            "one number",
        ),
        (Shape::Quantity, Value::Bytes(&field(2, b"a")), "one text"),
        (Shape::Quantity, Value::Bytes(&both(1)), "one text"),
        (Shape::IntOrString, Value::Bytes(&[0x08, 2]), "neither"),
        (Shape::IntOrString, Value::Bytes(&[0x20, 1]), "twice"),
        (
            Shape::IntOrString,
            Value::Bytes(&[0x08, 1, 0x08, 1]),
            "twice",
        ),
        (
            Shape::IntOrString,
            Value::Bytes(&[0x10, 1, 0x10, 1]),
            "twice",
        ),
        (Shape::IntOrString, Value::Bytes(&both(3)), "twice"),
        (Shape::Raw, Value::Bytes(&field(2, b"")), "embedded object"),
        (Shape::Raw, Value::Bytes(&both(1)), "embedded object"),
        (
            Shape::Wrapped(shape(Shape::Text)),
            Value::Bytes(&field(2, b"")),
            "more than its items",
        ),
        (
            Shape::List(shape(Shape::Text)),
            Value::Bytes(b""),
            "a list within a list",
        ),
    ] {
        let sentence = value(&shape, read).unwrap_err();
        assert!(sentence.contains(expected), "{shape:?}: {sentence}");
    }
}

#[test]
fn numbers_of_a_list_come_packed_or_one_by_one() {
    let items = |item: &Shape, value: Value<'_>| {
        let mut items = Vec::new();
        let read = Decoder { nodes: 0 }.items(item, value, &mut items, 0);
        let json = || String::from_utf8(Node::Array(items).to_json()).unwrap();
        read.map(|()| json()).map_err(|Fault(what)| what)
    };
    let longest = |last: u8| [&[0xff; 9][..], &[last]].concat();
    for (item, value, expected) in [
        (Shape::Int64, Value::Varint(3), Ok("[3]")),
        (Shape::Int32, Value::Bytes(&[1, 0xac, 0x02]), Ok("[1,300]")),
        (Shape::Bool, Value::Bytes(&[1, 0]), Ok("[true,false]")),
        (Shape::Int64, Value::Bytes(&longest(1)), Ok("[-1]")),
        (Shape::Int64, Value::Bytes(&longest(2)), Err("64 bits")),
        (
            Shape::Int64,
            Value::Bytes(&[0x80]),
            Err("middle of a value"),
        ),
        (Shape::Text, Value::Bytes(b"ab"), Ok(r#"["ab"]"#)),
    ] {
        match (items(&item, value), expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected),
            (Err(what), Err(expected)) => assert!(what.contains(expected), "{what}"),
            (read, expected) => panic!("{item:?}: {read:?} and not {expected:?}"),
        }
    }
}

#[test]
fn an_entry_of_a_map_has_one_key_and_one_value_or_none() {
    let pair = |item: Shape, bytes: &[u8]| {
        let read = Decoder { nodes: 0 }.pair(&item, Value::Bytes(bytes), 0);
        read.map(|(key, value)| (key, String::from_utf8(value.to_json()).unwrap()))
            .map_err(|Fault(what)| what)
    };
    let key = field(1, b"k");
    for (item, unsaid) in [
        (Shape::Bool, "false"),
        (Shape::Int32, "0"),
        (Shape::Int64, "0"),
        (Shape::Double, "0.0"),
        (Shape::Text, r#""""#),
    ] {
        assert_eq!(pair(item, &key).unwrap(), ("k".into(), unsaid.to_owned()));
    }
    for (bytes, expected) in [
        ([key.clone(), key.clone()].concat(), "two keys"),
        ([field(2, b"a"), field(2, b"b")].concat(), "two values"),
        (field(3, b""), "more than key and value"),
    ] {
        let sentence = pair(Shape::Text, &bytes).unwrap_err();
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn what_is_inline_stands_in_the_object_around_it() {
    // A volume, its source, a directory of the node.
    let source = field(1, &field(1, b"/etc"));
    let volume = [field(1, b"v"), field(2, &source)].concat();
    assert_eq!(
        read(&body("v1", "Pod", &field(2, &field(1, &volume)))).unwrap(),
        r#"{"kind":"Pod","apiVersion":"v1","spec":{"volumes":[{"name":"v","hostPath":{"path":"/etc"}}]}}"#
    );
}

#[test]
fn as_many_values_are_read_as_of_json() {
    let counts = |nodes: usize| Decoder { nodes }.count().is_ok();
    assert!(counts(MAX_NODES - 1));
    assert!(!counts(MAX_NODES) && !counts(MAX_NODES + 1));
}
