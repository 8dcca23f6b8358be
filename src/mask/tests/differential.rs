//! Tests of ⑦ mask: on any document, in any spelling and cut anywhere, the room must agree
//! with a slow, obvious masker, and leave every byte that is not masked as it was.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// The slow, obvious masker: on the whole document, in the words of the rules.
mod oracle {
    use serde_json::{Map, Value};

    use super::{Detectors, LAST, LAST_MASK, MASK, MASK_BASE64};

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

    /// `listed`: an item of a list of Secrets.
    pub fn any(value: &mut Value, listed: bool) {
        let object = match value {
            Value::Array(elements) => {
                options(elements);
                return elements.iter_mut().for_each(|e| any(e, listed));
            }
            Value::Object(object) => object,
            _ => return,
        };
        strings(object, &["kind", "apiVersion"]);
        let secret = match text(object, "kind") {
            Some(kind) => kind == "Secret" || kind == "SecretList",
            None => listed,
        };
        for (key, value) in object {
            match key.as_str() {
                "data" if secret => members(value, MASK_BASE64),
                "stringData" if secret => members(value, MASK),
                "metadata" => metadata(value, secret),
                "items" => any(value, secret),
                _ => any(value, false),
            }
        }
    }

    /// The answer to an ask on secrets.
    pub fn secret(value: &mut Value) {
        let object = match value {
            Value::Array(elements) => {
                options(elements);
                return elements.iter_mut().for_each(secret);
            }
            Value::Object(object) => object,
            _ => return,
        };
        strings(object, &["kind", "apiVersion", "reason"]);
        let safe = text(object, "reason").is_some_and(|reason| SAFE.contains(&reason.as_str()));
        for (key, value) in object {
            match key.as_str() {
                "data" => members(value, MASK_BASE64),
                "stringData" => members(value, MASK),
                "metadata" => secret_metadata(value),
                "message" if safe => {}
                "message" => hide(
                    value,
                    "gateward:masked: the API server's message may hold secret values, so the gate does not pass it on; see reason and code",
                ),
                "details" => details(value),
                _ => secret(value),
            }
        }
    }

    fn metadata(value: &mut Value, is_secret: bool) {
        let Value::Object(object) = value else {
            return any(value, false);
        };
        strings(object, &PLAIN);
        for (key, value) in object {
            match (key.as_str(), value) {
                ("managedFields", _) => {}
                ("annotations", Value::Object(annotations)) => {
                    strings(annotations, &[]);
                    for (key, value) in annotations {
                        if key == LAST && is_secret {
                            hide(value, LAST_MASK);
                        } else {
                            any(value, false);
                        }
                    }
                }
                (_, value) => any(value, false),
            }
        }
    }

    fn secret_metadata(value: &mut Value) {
        match value {
            Value::Array(elements) => {
                options(elements);
                elements.iter_mut().for_each(secret_metadata);
            }
            Value::Object(object) => {
                strings(object, &PLAIN);
                for (key, value) in object {
                    match key.as_str() {
                        "managedFields" => {}
                        "annotations" => secret_annotations(value),
                        _ => labels(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn labels(value: &mut Value) {
        match value {
            Value::Array(elements) => {
                options(elements);
                elements.iter_mut().for_each(labels);
            }
            Value::Object(object) => {
                strings(object, &[]);
                object.values_mut().for_each(labels);
            }
            _ => {}
        }
    }

    fn secret_annotations(value: &mut Value) {
        match value {
            Value::Array(elements) => {
                options(elements);
                elements.iter_mut().for_each(secret_annotations);
            }
            Value::Object(object) => {
                strings(object, &[]);
                object
                    .get_mut(LAST)
                    .into_iter()
                    .for_each(|v| hide(v, LAST_MASK));
            }
            _ => {}
        }
    }

    fn details(value: &mut Value) {
        match value {
            Value::Array(elements) => {
                options(elements);
                elements.iter_mut().for_each(details);
            }
            Value::Object(object) => {
                strings(object, &[]);
                object
                    .iter_mut()
                    .for_each(|(key, value)| match key.as_str() {
                        "message" => hide(value, MASK),
                        _ => details(value),
                    })
            }
            _ => {}
        }
    }

    const PLAIN: [&str; 7] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generateName",
        "creationTimestamp",
        "continue",
    ];

    /// What detectors find in the strings that are members of this object.
    fn strings(object: &mut Map<String, Value>, plain: &[&str]) {
        let mut beside: Option<String> = None;
        for (key, value) in object {
            let Value::String(text) = value else { continue };
            if plain.contains(&key.as_str()) {
                continue;
            }
            let said = text.clone();
            match (&beside, key.as_str()) {
                (Some(name), "value") => found(text, Some(name)),
                _ => found(
                    text,
                    (key.len() <= 320).then_some(key).or(Some(&String::new())),
                ),
            }
            beside = match key.as_str() {
                "name" => telling(&said),
                "value" => None,
                _ => beside,
            };
        }
    }

    /// The same for the elements of an array.
    fn options(elements: &mut [Value]) {
        let mut beside: Option<String> = None;
        for value in elements {
            let Value::String(text) = value else { continue };
            let said = text.clone();
            found(text, beside.as_ref());
            beside = said.strip_prefix("--").and_then(telling);
        }
    }

    fn telling(name: &str) -> Option<String> {
        let name = name.as_bytes().get(..64).unwrap_or(name.as_bytes());
        Detectors::is_telling(name).then(|| String::from_utf8_lossy(name).into_owned())
    }

    fn found(text: &mut String, name: Option<&String>) {
        let name = name.map(|name| name.as_bytes());
        let mut rest = text.as_bytes();
        let mut at = 0;
        let mut masked = Vec::new();
        for found in Detectors::standard().scan(text.as_bytes(), name) {
            let (before, behind) = rest.split_at(found.start - at);
            let (what, behind) = behind.split_at(found.end - found.start);
            masked.extend_from_slice(before);
            masked.extend_from_slice(if what == MASK.as_bytes() {
                what
            } else {
                MASK.as_bytes()
            });
            (rest, at) = (behind, found.end);
        }
        masked.extend_from_slice(rest);
        *text = String::from_utf8(masked).unwrap();
    }

    fn members(value: &mut Value, mask: &str) {
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(|e| hide(e, mask)),
            Value::Object(object) => object.iter_mut().for_each(|(_, e)| hide(e, mask)),
            scalar => hide(scalar, mask),
        }
    }

    fn hide(value: &mut Value, mask: &str) {
        if !value.is_null() {
            *value = Value::String(mask.to_owned());
        }
    }

    fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
        object.get(key)?.as_str().map(str::to_owned)
    }
}

type Oracle = fn(&mut Value);

/// Writes documents in many spellings: white space and escapes as `choices` say.
struct Writer<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    out: String,
}

impl Writer<'_> {
    /// Writes `said`, but the masks of `seen` where the two differ.
    fn write(&mut self, said: &Value, seen: &Value) {
        match (said, seen) {
            (Value::Object(said), Value::Object(seen)) => {
                self.out.push('{');
                for (index, (key, value)) in said.iter().enumerate() {
                    self.comma(index);
                    self.text(key);
                    self.space();
                    self.out.push(':');
                    self.space();
                    self.write(value, &seen[key]);
                    self.space();
                }
                self.out.push('}');
            }
            (Value::Array(said), Value::Array(seen)) => {
                self.out.push('[');
                for (index, value) in said.iter().enumerate() {
                    self.comma(index);
                    self.write(value, &seen[index]);
                    self.space();
                }
                self.out.push(']');
            }
            _ if said != seen => {
                let start = self.out.len();
                self.write(said, said);
                self.out.truncate(start);
                self.out += &seen.to_string();
            }
            (Value::String(text), _) => self.text(text),
            _ => self.out += &said.to_string(),
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

fn spell(said: &Value, seen: &Value, choices: &[u8]) -> String {
    let mut writer = Writer {
        choices: choices.iter().cycle(),
        out: String::new(),
    };
    writer.write(said, seen);
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
        1 => any::<String>().prop_filter("only the exact names", |key| {
            !["kind", "data", "reason"].iter().any(|k| k.eq_ignore_ascii_case(key))
        }),
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
        let checks: [(RequestInfo, Oracle); 2] = [
            (pods("list"), |v| oracle::any(v, false)),
            (secrets("list"), oracle::secret),
        ];
        for (info, mask) in checks {
            let mut seen = said.clone();
            mask(&mut seen);
            let document = spell(&said, &said, &choices);
            let expected = spell(&said, &seen, &choices);
            let bytes = document.as_bytes();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            for chunks in [vec![bytes], chunked(bytes, &sizes), single] {
                let masked = run(masker(&info, 200), &chunks).unwrap();
                prop_assert_eq!(std::str::from_utf8(&masked).unwrap(), &expected);
            }
            let again: Value = serde_json::from_str(&expected).unwrap();
            prop_assert_eq!(again, seen);
        }
    }

    #[test]
    fn the_reader_accepts_exactly_what_serde_json_accepts(
        said in documents(),
        choices in prop::collection::vec(0u8..=60, 40..100),
        position in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\":,\\u0 1e.-tfn".to_vec())],
    ) {
        let mut document = spell(&said, &said, &choices).into_bytes();
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
