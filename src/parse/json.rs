//! JSON (RFC 8259) read strictly into a [`Node`], with line, column and field in errors.
//!
//! Refused beyond the RFC: a key twice in one object (the API server merges both values,
//! most other parsers keep the last), lone surrogates, nesting deeper than
//! [`MAX_DEPTH`], more than [`MAX_NODES`] values. It never interprets what it reads.

use std::borrow::Cow;

use super::malformed;
use super::node::{MAX_DEPTH, MAX_NODES, Node, duplicate_key};
use crate::refusal::Refusal;

/// Reads exactly one JSON value with nothing behind it.
pub(super) fn parse(body: &[u8]) -> Result<Node, Refusal> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let fault = Fault::new("bytes that are not UTF-8", error.valid_up_to());
            return Err(fault.into_refusal(body));
        }
    };
    let mut reader = Reader {
        text,
        at: 0,
        nodes: 0,
    };
    reader
        .document()
        .map_err(|fault| fault.into_refusal(text.as_bytes()))
}

/// What is wrong, where in the bytes, and (innermost first) where in the tree.
struct Fault {
    what: Cow<'static, str>,
    at: usize,
    path: Vec<String>,
}

impl Fault {
    fn new(what: impl Into<Cow<'static, str>>, at: usize) -> Self {
        Self {
            what: what.into(),
            at,
            path: Vec::new(),
        }
    }

    fn inside(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }

    fn into_refusal(self, body: &[u8]) -> Refusal {
        let before = body.get(..self.at).unwrap_or(body);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        // Columns count characters: continuation bytes of UTF-8 are none.
        let column = 1 + before
            .iter()
            .skip(start)
            .filter(|byte| (**byte & 0xc0) != 0x80)
            .count();
        let mut field: String = self.path.into_iter().rev().collect();
        if let Some(rest) = field.strip_prefix('.') {
            field = rest.to_owned();
        }
        let place = if field.is_empty() {
            String::new()
        } else {
            format!(", field {}", super::shown(&field))
        };
        malformed(format!(
            "the JSON body cannot be read in exactly one way: {} at line {line}, column {column}{place}",
            self.what
        ))
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node, Fault> {
        let node = self.value(0)?;
        self.space();
        match self.peek() {
            None => Ok(node),
            Some(_) => Err(self.fault("something behind the end of the value")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.space();
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.fault(format!("more than {MAX_NODES} values")));
        }
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => {
                Err(self.fault(format!("nesting deeper than {MAX_DEPTH} levels")))
            }
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Node::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            Some(_) => Err(self.fault("a character that begins no value")),
            None => Err(self.fault("the end of the body where a value should be")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, Fault> {
        self.at += 1;
        let mut entries = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Node::Object(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.fault("no string where a key should be"));
            }
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.fault("no `:` behind a key"));
            }
            match self.value(depth + 1) {
                Ok(value) => entries.push((key, value)),
                Err(fault) => return Err(fault.inside(format!(".{key}"))),
            }
            self.space();
            if self.eat(b',') {
                continue;
            }
            let end = self.at;
            if !self.eat(b'}') {
                return Err(self.fault("neither `,` nor `}` behind a value"));
            }
            if let Some(key) = duplicate_key(&entries) {
                let what = "a key that appears twice in the object that ends";
                return Err(Fault::new(what, end).inside(format!(".{key}")));
            }
            return Ok(Node::Object(entries));
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Node::Array(items));
        }
        loop {
            match self.value(depth + 1) {
                Ok(item) => items.push(item),
                Err(fault) => return Err(fault.inside(format!("[{}]", items.len()))),
            }
            self.space();
            if self.eat(b']') {
                return Ok(Node::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.fault("neither `,` nor `]` behind an item"));
            }
        }
    }

    fn string(&mut self) -> Result<Box<str>, Fault> {
        self.at += 1;
        let mut run = self.at;
        let mut unescaped = String::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    let tail = self.text.get(run..self.at).unwrap_or_default();
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(tail.into());
                    }
                    unescaped.push_str(tail);
                    return Ok(unescaped.into_boxed_str());
                }
                Some(b'\\') => {
                    unescaped.push_str(self.text.get(run..self.at).unwrap_or_default());
                    unescaped.push(self.escape()?);
                    run = self.at;
                }
                Some(0..=0x1f) => return Err(self.fault("a raw control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("the end of the body inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 1;
        let letter = self.peek();
        self.at += 1;
        match letter {
            Some(b'"') => Ok('"'),
            Some(b'\\') => Ok('\\'),
            Some(b'/') => Ok('/'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => {
                let first = self.hex(start)?;
                let code = if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
                    self.at += 2;
                    match self.hex(start)? {
                        low @ 0xdc00..=0xdfff => {
                            0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00)
                        }
                        _ => first,
                    }
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| Fault::new("half of a surrogate pair", start))
            }
            _ => Err(Fault::new("an unknown escape in a string", start)),
        }
    }

    fn hex(&mut self, start: usize) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Fault::new(
                "a \\u escape without four hexadecimal digits",
                start,
            ));
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Fault::new("a bad \\u escape", start))
    }

    fn number(&mut self) -> Result<Node, Fault> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') && self.digits() == 0 {
            return Err(self.fault("no digit where a number should go on"));
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(self.fault("no digit behind a decimal point"));
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.fault("no digit in an exponent"));
            }
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault("a number with leading zeros"));
        }
        Ok(Node::Number(
            self.text.get(start..self.at).unwrap_or_default().into(),
        ))
    }

    fn word(&mut self, word: &'static str, node: Node) -> Result<Node, Fault> {
        if !self.rest().starts_with(word) {
            return Err(self.fault("a word that is neither true, false nor null"));
        }
        self.at += word.len();
        Ok(node)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, what: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(what, self.at)
    }
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
    use proptest::prelude::*;

    fn sentence(body: &[u8]) -> String {
        match parse(body).unwrap_err() {
            Refusal::Malformed { what } => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn broken_documents_are_refused_with_their_place() {
        let deep = "[".repeat(101);
        let deep_objects = "{\"a\":".repeat(101);
        let table: &[(&[u8], &str)] = &[
            (b"", "line 1, column 1"),
            (b"{\"a\":1} x", "behind the end"),
            (b"{\"a\":1}{}", "behind the end"),
            (b"{\n  \"a\": tru\n}", "line 2, column 8, field \"a\""),
            // Columns count characters, not bytes.
            ("{\"é\": tru}".as_bytes(), "line 1, column 7"),
            (b"{\"s\":{\"c\":[{},{\"p\":01}]}}", "field \"s.c[1].p\""),
            (b"[1,]", "begins no value"),
            (b"{\"a\":1,}", "key should be"),
            (b"{'a':1}", "key should be"),
            (b"{\"a\" 1}", "no `:`"),
            (b"[1 2]", "neither"),
            (b"\"a\nb\"", "control character"),
            (b"\"\\ud800\"", "surrogate"),
            (b"\"\\ud800\\u0041\"", "surrogate"),
            (b"\"\\udc00\"", "surrogate"),
            (b"\"\\x41\"", "unknown escape"),
            (b"\"\\u00g0\"", "hexadecimal"),
            (b"\"\\u+041\"", "hexadecimal"),
            (b"\"abc", "inside a string"),
            (b"\xff", "UTF-8"),
            (b"\"\xc0\x80\"", "UTF-8"),
            (b"\xef\xbb\xbf{}", "begins no value"),
            (b"1.", "decimal point"),
            (b"-", "no digit"),
            (b"1e", "exponent"),
            (b"+1", "begins no value"),
            (b"NaN", "begins no value"),
            (b"// c\n{}", "begins no value"),
            (deep.as_bytes(), "deeper than 100"),
            (deep_objects.as_bytes(), "deeper than 100"),
        ];
        for (body, expected) in table {
            let got = sentence(body);
            assert!(
                got.contains(expected),
                "{:?}: {got}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn a_hundred_levels_are_fine() {
        let body = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(body.as_bytes()).is_ok());
    }

    #[test]
    fn too_many_values_are_refused() {
        let body = format!("[{}0]", "0,".repeat(MAX_NODES - 1));
        assert!(sentence(body.as_bytes()).contains("values"));
        let body = format!("[{}0]", "0,".repeat(MAX_NODES - 2));
        assert!(parse(body.as_bytes()).is_ok());
    }

    #[test]
    fn escapes_stand_for_one_character_each() {
        for (body, expected) in [
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""a\u0041\u00e9\u20aCz""#, "aAé€z"),
            (
                r#""\ud800\udc00 \ud83d\ude00 \udbff\udfff""#,
                "\u{10000} 😀 \u{10ffff}",
            ),
        ] {
            let read = parse(body.as_bytes()).unwrap();
            assert_eq!(read, Node::String(expected.into()), "{body}");
        }
    }

    #[test]
    fn threat_12_duplicate_keys_are_refused_wherever_they_hide() {
        let many: String = (0..40).map(|n| format!("\"k{n}\":1,")).collect();
        for (body, field) in [
            (
                r#"{"spec":{"hostNetwork":true},"spec":{}}"#.to_owned(),
                "\"spec\"",
            ),
            (r#"{"a":[{"b":{"c":1,"c":1}}]}"#.to_owned(), "\"a[0].b.c\""),
            (r#"{"da\u0074a":1,"data":2}"#.to_owned(), "\"data\""),
            (format!("{{{many}\"k0\":2}}"), "\"k0\""),
        ] {
            let got = sentence(body.as_bytes());
            assert!(got.contains("twice") && got.contains(field), "{got}");
        }
    }

    #[test]
    fn numbers_keep_their_text_and_keys_are_unescaped() {
        let tree =
            parse(br#" {"a\u0062":[1.50,-0,1e400,2E+5,2e-5,12345678901234567890123]} "#).unwrap();
        assert_eq!(
            String::from_utf8(tree.to_json()).unwrap(),
            r#"{"ab":[1.50,-0,1e400,2E+5,2e-5,12345678901234567890123]}"#
        );
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-1e9..1e9_f64).prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn agrees_with_serde_json_on_valid_documents(value in any_json(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                serde_json::to_string(&value).unwrap()
            };
            let ours = parse(text.as_bytes()).unwrap().to_json();
            // Both through serde_json: its floats are not exact to the last digit.
            let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&ours).unwrap(), theirs);
        }

        #[test]
        fn never_accepts_what_serde_json_refuses(body in r#"[\[\]{}:," \\a-f0-9.eE+\-truefalsn]{0,24}"#) {
            if parse(body.as_bytes()).is_ok() {
                // serde_json alone refuses numbers beyond f64; those are still JSON.
                let theirs = serde_json::from_str::<serde_json::Value>(&body);
                if let Err(error) = theirs {
                    prop_assert!(error.to_string().contains("out of range"), "{} {}", body, error);
                }
            }
        }

        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&body);
        }
    }
}
