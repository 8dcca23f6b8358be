//! Tests of ⑦ mask: on any document, in any spelling and cut anywhere, the room must agree
//! with a slow, obvious masker, and leave every byte that is not masked as it was.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::oracle::About;
use super::*;

/// Writes documents in many spellings: white space and escapes as `choices` say.
struct Writer<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    out: String,
}

impl Writer<'_> {
    fn write(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                self.out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    self.comma(index);
                    self.text(key);
                    self.space();
                    self.out.push(':');
                    self.space();
                    self.write(value);
                    self.space();
                }
                self.out.push('}');
            }
            Value::Array(elements) => {
                self.out.push('[');
                for (index, value) in elements.iter().enumerate() {
                    self.comma(index);
                    self.write(value);
                    self.space();
                }
                self.out.push(']');
            }
            Value::String(text) => self.text(text),
            _ => self.out += &value.to_string(),
        }
    }

    fn choose(&mut self) -> u8 {
        *self.choices.next().unwrap()
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
        }
        self.space();
    }

    fn space(&mut self) {
        let space = match self.choose() {
            0..4 => " ",
            4..6 => "\n\t",
            6 => "\r\n  ",
            _ => "",
        };
        self.out += space;
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match (character, self.choose()) {
                ('\u{20}'..='\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'.., 8..) => {
                    self.out.push(character);
                }
                ('"', 4..) => self.out += "\\\"",
                ('\\', 4..) => self.out += "\\\\",
                ('/', 4..) => self.out += "\\/",
                ('\n', 4..) => self.out += "\\n",
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.out += &format!("\\u{unit:04x}");
                    }
                }
            }
        }
        self.out.push('"');
    }
}

fn spell(document: &Value, choices: &[u8]) -> String {
    let mut writer = Writer {
        choices: choices.iter().cycle(),
        out: String::new(),
    };
    writer.write(document);
    writer.out
}

fn documents() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        2 => prop::sample::select(vec!["Secret", "SecretList", "ConfigMap", "NotFound", "Invalid"])
            .prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "DB_PASSWORD", "--password", "AKIAQ3EGRVTL7WXYZ2AB", "key AKIAQ3EGRVTL7WXYZ2AB.", "Zq8vR3tLw9Xc2Nb7",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-z\"\\\\/ü😀]{0,90}",
    ];
    let scalar = prop_oneof![
        6 => text.clone().prop_map(Value::String),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let key = prop_oneof![
        12 => prop::sample::select(vec![
            "kind", "kind", "kind", "data", "data", "stringData", "metadata", "annotations",
            LAST, "items", "items", "object", "reason", "message", "details", "causes",
            "managedFields", "spec", "name", "value", "DB_PASSWORD", "password", "env",
        ])
        .prop_map(str::to_owned),
        1 => prop::sample::select(vec!["Kind", "DATA", "binaryData", "apiVersion", "path", "token"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let member = (key, text);
    let objects = move |inner: BoxedStrategy<Value>| {
        prop::collection::vec((member.clone(), inner), 0..7).prop_map(|members| {
            let object: Map<String, Value> = members
                .into_iter()
                .map(|((key, text), value)| match key.as_str() {
                    // Mostly a string, or nothing would be told.
                    "kind" | "reason" if text.len() != 3 => (key, Value::String(text)),
                    _ => (key, value),
                })
                .collect();
            Value::Object(object)
        })
    };
    let objects_at_root = objects.clone();
    let value = scalar.prop_recursive(6, 80, 6, move |inner| {
        prop_oneof![
            3 => objects(inner.clone().boxed()),
            1 => prop::collection::vec(inner, 0..5).prop_map(Value::Array),
        ]
    });
    objects_at_root(value.boxed())
}

fn chunked<'a>(document: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = document;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at(rest.len().min(*size));
        chunks.push(head);
        rest = tail;
    }
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_room_agrees_with_the_obvious_masker_however_the_bytes_are_cut(
        said in documents(),
        choices in prop::collection::vec(0u8..=60, 40..200),
        sizes in prop::collection::vec(1usize..40, 1..12),
    ) {
        let document = spell(&said, &choices);
        let bytes = document.as_bytes();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for (info, about) in [
            (pods("list"), About::Objects),
            (secrets("list"), About::Secrets),
            (info("create", "", "serviceaccounts", "token"), About::Tokens),
        ] {
            let expected = oracle::masked(&plan(&info), about, bytes);
            let expected = expected.map(|masked| String::from_utf8(masked).unwrap());
            for chunks in [vec![bytes], chunked(bytes, &sizes), single.clone()] {
                let masked = run(masker(&info, 200), &chunks).ok();
                let masked = masked.map(|masked| String::from_utf8(masked).unwrap());
                prop_assert_eq!(&masked, &expected, "{}", document);
            }
        }
    }

    #[test]
    fn the_reader_accepts_exactly_what_serde_json_accepts(
        said in documents(),
        choices in prop::collection::vec(0u8..=60, 40..100),
        position in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\":,\\u0 1e.-tfn".to_vec())],
    ) {
        let mut document = spell(&said, &choices).into_bytes();
        let position = position.index(document.len());
        document[position] = byte;
        let parsed = serde_json::from_slice::<Map<String, Value>>(&document);
        if matches!(&parsed, Err(error) if error.to_string().starts_with("number out of range")) {
            // The rest was not looked at; RFC 8259 sets no limit to numbers.
            return Ok(());
        }
        let mut walk = Walk::new(&INERT, Root::Object, None);
        let read = walk.feed(&Bytes::from(document.clone())).and_then(|_| walk.finish());
        prop_assert_eq!(read == Ok(true), parsed.is_ok(), "{}", String::from_utf8_lossy(&document));
    }
}

/// A shape with which nothing is hidden and nothing told.
static INERT: fields::Shape = fields::Shape {
    members: &[],
    rest: fields::Treat::Enter(&INERT),
    elements: fields::Treat::Enter(&INERT),
    tells: None,
    untold: fields::Untold::Keep,
    plain: &[],
};
