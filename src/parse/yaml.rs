//! YAML read into a [`Node`]: one document, and only what every reader reads alike.
//!
//! The API server reads YAML 1.1 with its own exceptions (`go.yaml.in/yaml/v2`), our
//! parser 1.2. Where these differ on an unquoted scalar the sentence asks for quotes.
//! Anchors, aliases, tags, merge keys, directives and further documents are refused.
//! It never reads files and never fills in defaults.

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::node::{MAX_DEPTH, MAX_NODES, Node, duplicate_key};
use super::{malformed, shown};
use crate::refusal::Refusal;

/// Reads exactly one YAML document.
pub(super) fn parse(body: &[u8]) -> Result<Node, Refusal> {
    let text = std::str::from_utf8(body)
        .map_err(|_| malformed("the YAML body is not UTF-8: send UTF-8, or JSON"))?;
    let options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_comments: false,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| fault(error.marker(), &error.info()))?;
        builder.take(event, &span.start)?;
    }
    builder
        .done
        .ok_or_else(|| malformed("the YAML body holds no document: send one object"))
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    done: Option<Node>,
    documents: usize,
    nodes: usize,
}

/// A collection whose end has not come yet.
enum Open {
    List(Vec<Node>),
    Map(Vec<(Box<str>, Node)>, Option<Box<str>>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: &Marker) -> Result<(), Refusal> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(fault(at, "a second document: send one object per request"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                plain_node(anchor, tag.is_some(), at)?;
                self.scalar(&text, style, at)
            }
            Event::SequenceStart(_, anchor, tag) => {
                plain_node(anchor, tag.is_some(), at)?;
                self.open(Open::List(Vec::new()), at)
            }
            Event::MappingStart(_, anchor, tag) => {
                plain_node(anchor, tag.is_some(), at)?;
                self.open(Open::Map(Vec::new(), None), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Comment(..) => {
                Ok(())
            }
            Event::Alias(..) => Err(fault(at, "an alias: write the value out")),
            // What a later parser may come to emit is not understood here.
            _ => Err(fault(at, "something that the gate does not know")),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: &Marker) -> Result<(), Refusal> {
        let node = if style == ScalarStyle::Plain {
            plain(text).ok_or_else(|| ambiguous(text == "<<", at))?
        } else {
            Node::String(text.into())
        };
        if let Some(Open::Map(_, key @ None)) = self.stack.last_mut() {
            let Node::String(name) = node else {
                return Err(fault(
                    at,
                    &format!("the key {} is not a string: quote it", shown(text)),
                ));
            };
            *key = Some(name);
            return Ok(());
        }
        self.put(node, at)
    }

    fn open(&mut self, collection: Open, at: &Marker) -> Result<(), Refusal> {
        if let Some(Open::Map(_, None)) = self.stack.last() {
            return Err(fault(at, "a key that is not a string"));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(fault(
                at,
                &format!("nesting deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.stack.push(collection);
        Ok(())
    }

    fn close(&mut self, at: &Marker) -> Result<(), Refusal> {
        match self.stack.pop() {
            Some(Open::List(items)) => self.put(Node::Array(items), at),
            Some(Open::Map(entries, _)) => {
                if let Some(key) = duplicate_key(&entries) {
                    let what = format!("the key {} twice in the object that ends here", shown(key));
                    return Err(fault(at, &what));
                }
                self.put(Node::Object(entries), at)
            }
            None => Err(fault(at, "an end without a beginning")),
        }
    }

    fn put(&mut self, node: Node, at: &Marker) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(fault(at, &format!("more than {MAX_NODES} values")));
        }
        match self.stack.last_mut() {
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(entries, key)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => return Err(fault(at, "a key that is not a string")),
            },
            None => self.done = Some(node),
        }
        Ok(())
    }
}

/// An unquoted scalar; none if readers disagree about it.
fn plain(text: &str) -> Option<Node> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Node::Null),
        "true" | "True" | "TRUE" => return Some(Node::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Node::Bool(false)),
        "<<" => return None,
        _ => {}
    }
    let lower = text.to_ascii_lowercase();
    if matches!(&*lower, "y" | "n" | "yes" | "no" | "on" | "off") {
        return None;
    }
    if is_json_number(text) {
        return Some(Node::Number(text.into()));
    }
    // The API server drops underscores before it tries to read a number.
    let bare = lower.replace('_', "");
    let digits = bare.strip_prefix(['+', '-']).unwrap_or(&bare);
    if looks_numeric(digits) || is_sexagesimal(digits) {
        return None;
    }
    Some(Node::String(text.into()))
}

/// Decimal integers within 64 bits, and decimals with digits on both sides of the point:
/// the numbers that JSON, YAML 1.1 and YAML 1.2 write alike.
fn is_json_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let canonical = all_digits(whole) && (whole == "0" || !whole.starts_with('0'));
    canonical
        && match fraction {
            Some(fraction) => all_digits(fraction),
            None => text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok(),
        }
}

/// Whatever any reader might take for a number: decimals with exponents or bare points,
/// octal, hexadecimal, binary, infinity, not-a-number. Lower case, no sign, no `_`.
fn looks_numeric(digits: &str) -> bool {
    let radix = |prefix: &str, legal: fn(&u8) -> bool| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.as_bytes().iter().all(legal))
    };
    if matches!(digits, ".inf" | ".nan" | "inf" | "infinity" | "nan")
        || radix("0x", u8::is_ascii_hexdigit)
        || radix("0o", u8::is_ascii_digit)
        || radix("0b", u8::is_ascii_digit)
    {
        return !matches!(digits, "inf" | "infinity" | "nan");
    }
    let (mantissa, exponent) = match digits.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let exponent_fits = exponent
        .is_none_or(|exponent| all_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits = !(whole.is_empty() && fraction.is_empty())
        && whole
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit());
    exponent_fits && mantissa_fits
}

/// `190:20:30`, a number in base 60 to YAML 1.1.
fn is_sexagesimal(digits: &str) -> bool {
    let mut parts = digits.split(':');
    let first = parts.next().is_some_and(all_digits);
    let mut more = 0;
    let rest = parts.all(|part| {
        more += 1;
        let whole = part.split_once('.').map_or(part, |(whole, _)| whole);
        all_digits(whole) && whole.parse::<u8>().is_ok_and(|value| value < 60)
    });
    first && rest && more > 0
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn plain_node(anchor: usize, tagged: bool, at: &Marker) -> Result<(), Refusal> {
    match (anchor, tagged) {
        (0, false) => Ok(()),
        (0, true) => Err(fault(at, "a tag: leave it out, and quote strings")),
        _ => Err(fault(at, "an anchor: write the value out")),
    }
}

/// The text itself is not repeated: it may be the value of a Secret, and this goes on record.
fn ambiguous(merge_key: bool, at: &Marker) -> Refusal {
    if merge_key {
        return fault(at, "a merge key: write the values out");
    }
    fault(at, "what YAML 1.1 and 1.2 read differently: quote it")
}

fn fault(at: &Marker, what: &str) -> Refusal {
    malformed(format!(
        "the YAML body cannot be read in exactly one way: {what} (line {}, column {})",
        at.line(),
        at.col() + 1
    ))
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

    fn json(yaml: &str) -> String {
        String::from_utf8(parse(yaml.as_bytes()).unwrap().to_json()).unwrap()
    }

    fn sentence(yaml: &str) -> String {
        match parse(yaml.as_bytes()) {
            Err(Refusal::Malformed { what }) => what,
            other => panic!("{yaml:?}: {other:?}"),
        }
    }

    #[test]
    fn scalars_that_all_readers_read_alike() {
        for (yaml, expected) in [
            ("a: 1", "1"),
            ("a: -7", "-7"),
            ("a: 0", "0"),
            ("a: 18446744073709551615", "18446744073709551615"),
            ("a: 1.50", "1.50"),
            ("a: true", "true"),
            ("a: FALSE", "false"),
            ("a: ~", "null"),
            ("a:", "null"),
            ("a: null", "null"),
            ("a: 10.0.0.1", "\"10.0.0.1\""),
            ("a: 8080:80", "\"8080:80\""),
            ("a: 1:60", "\"1:60\""),
            ("a: 0x", "\"0x\""),
            ("a: 0xyz", "\"0xyz\""),
            ("a: 2026-01-02", "\"2026-01-02\""),
            ("a: 2026-01-02T10:00:00Z", "\"2026-01-02T10:00:00Z\""),
            ("a: 12abc", "\"12abc\""),
            ("a: inf", "\"inf\""),
            ("a: e3", "\"e3\""),
            ("a: nginx:1.25", "\"nginx:1.25\""),
            ("a: 100m", "\"100m\""),
            ("a: 64Mi", "\"64Mi\""),
            ("a: 'no'", "\"no\""),
            ("a: \"0777\"", "\"0777\""),
            ("a: |\n  x\n  y\n", "\"x\\ny\\n\""),
            ("a: [1, b]", "[1,\"b\"]"),
            ("a: {b: c}", "{\"b\":\"c\"}"),
            ("# c\na: b # d", "\"b\""),
            ("---\na: b\n...\n", "\"b\""),
            ("{\"a\":\"b\"}", "\"b\""),
        ] {
            assert_eq!(json(yaml), format!("{{\"a\":{expected}}}"), "{yaml}");
        }
    }

    #[test]
    fn scalars_that_readers_disagree_about_want_quotes() {
        for text in [
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "N",
            "0777",
            "00",
            "0o7",
            "0x1F",
            "0b11",
            "1_000",
            "1:30",
            "-190:20:30",
            "1:30.5",
            "1:59",
            ".inf",
            "-.INF",
            ".NaN",
            "+1",
            "1e3",
            "1.5e3",
            "1.",
            ".5",
            "-.5",
            "01.5",
            "99999999999999999999",
            "1_0.5",
            "0x_1",
        ] {
            let got = sentence(&format!("x: 1\na: {text}"));
            assert!(got.contains("quote it (line 2, column 4)"), "{text}: {got}");
        }
    }

    #[test]
    fn threat_12_yaml_that_has_two_meanings_is_refused() {
        for (yaml, expected) in [
            ("a: &x {b: 1}\nc: *x", "anchor"),
            ("a: *x", "nchor"),
            ("a: {<<: {b: 1}}", "merge key"),
            ("a: !!str 1", "tag"),
            ("a: !x {b: 1}", "tag"),
            ("a: 1\na: 2", "twice"),
            ("a: 1\n\"\\x61\": 2", "twice"),
            ("a: 1\n---\nb: 2", "second document"),
            ("%YAML 1.1\n---\na: 1", "irective"),
            ("1: a", "not a string"),
            ("true: a", "not a string"),
            ("? [a]\n: b", "not a string"),
            ("yes: a", "quote it"),
            ("", "no document"),
            ("a: [1", "line"),
        ] {
            let got = sentence(yaml);
            assert!(got.contains(expected), "{yaml:?}: {got}");
        }
    }

    #[test]
    fn too_many_values_are_refused() {
        let behind = |nodes: usize| {
            let mut builder = Builder {
                nodes,
                ..Builder::default()
            };
            let events = Parser::new_from_str("[a, b]").map(Result::unwrap);
            let mut events = events.map(|(event, span)| builder.take(event, &span.start));
            events.find_map(Result::err)
        };
        assert_eq!(behind(MAX_NODES - 3), None);
        for nodes in [MAX_NODES - 2, MAX_NODES + 1] {
            assert!(matches!(behind(nodes), Some(Refusal::Malformed { .. })));
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let yaml = format!("{}{}", "[".repeat(101), "]".repeat(101));
        assert!(sentence(&yaml).contains("deeper") || sentence(&yaml).contains("line"));
        let yaml = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(yaml.as_bytes()).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics(yaml in r##"[ \n\ta-c0-9:\-\[\]{}&*!|>'"#,?%~.<]{0,40}"##) {
            let _ = parse(yaml.as_bytes());
        }

        #[test]
        fn our_json_read_as_yaml_is_the_same_tree(text in any::<String>(), key in "[a-z]{1,8}") {
            let tree = Node::Object(vec![(key.into(), Node::String(text.into()))]);
            prop_assert_eq!(parse(&tree.to_json()).unwrap(), tree);
        }
    }
}
