//! What an agent sees does not depend on how the bytes come: any answer, cut anywhere, is
//! masked as when it comes whole, and a JSON answer as the slow, obvious masker does it.
//!
//! Input: a letter for the ask, `=` if what follows the line is the answer itself, else it
//! makes one, the sizes of the pieces, a line break, the rest.

#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use gateward::decide::PolicySet;
use gateward::mask::oracle::{self, About};
use gateward::mask::{Masker, Plan, Summary};
use gateward::parse::{self, Embedders};
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((ask, rest)) = input.split_first().and_then(|(letter, rest)| {
        let ask = ASKS.iter().find(|ask| ask.letter == *letter)?;
        Some((ask, rest))
    }) else {
        return;
    };
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (sizes, rest) = (&rest[..end], &rest[end + 1..]);
    let (answer, sizes) = match sizes.split_first() {
        Some((b'=', sizes)) => (rest.to_vec(), sizes),
        _ => (Writer::written(rest).into_bytes(), sizes),
    };
    let whole = ask.masked([&*answer]);
    assert_eq!(ask.masked(answer.chunks(1)), whole, "byte by byte");
    assert_eq!(ask.masked(cut(&answer, sizes)), whole, "in pieces");
    if let Some(about) = ask.about {
        let expected = oracle::masked(&ask.plan, about, &answer);
        let expected = expected.map(|masked| String::from_utf8_lossy(&masked).into_owned());
        assert_eq!(whole.map(|(masked, _)| masked), expected, "not as expected");
    }
});

struct Ask {
    letter: u8,
    plan: Plan,
    content_type: &'static str,
    /// What the obvious masker must know; none where it is not asked.
    about: Option<About>,
}

static ASKS: LazyLock<Vec<Ask>> = LazyLock::new(|| {
    let ask = |letter, target, about| Ask {
        letter,
        plan: plan(target, &PolicySet::compile(Vec::new()).unwrap()),
        content_type: "application/json",
        about: Some(about),
    };
    let pods = "/api/v1/pods";
    let rules = serde_json::json!({
        "apiVersion": "gateward.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "p"},
        "spec": {"masks": [
            {"name": "a", "fields": ["spec.password", "data.*", "**.value"]},
            {"name": "b", "fields": ["items[*].spec.env", "metadata.labels[\"a.b/c\"]"], "with": "drop"},
            {"name": "c", "fields": ["**.token"], "with": "pseudonym"},
            {"name": "d", "detectors": ["*"], "with": "partial"},
        ]},
    });
    let rules = PolicySet::compile(vec![serde_json::from_value(rules).unwrap()]).unwrap();
    let by_rules = |letter, target| Ask {
        plan: plan(target, &rules),
        about: None,
        ..ask(letter, target, About::Objects)
    };
    let log = "/api/v1/namespaces/n/pods/p/log";
    let text = |ask: Ask| Ask {
        content_type: "text/plain",
        about: None,
        ..ask
    };
    vec![
        ask(b'p', pods, About::Objects),
        ask(b's', "/api/v1/secrets", About::Secrets),
        ask(
            b't',
            "/apis/authentication.k8s.io/v1/tokenreviews",
            About::Tokens,
        ),
        ask(b'w', "/api/v1/pods?watch=true", About::Objects),
        ask(b'v', "/api/v1/secrets?watch=true", About::Secrets),
        by_rules(b'r', pods),
        by_rules(b'q', "/api/v1/pods?watch=true"),
        text(ask(b'l', log, About::Objects)),
        text(by_rules(b'm', log)),
    ]
});

fn plan(target: &str, policy: &PolicySet) -> Plan {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let head = parse::head("c".into(), &Method::GET, path, query, &HeaderMap::new());
    let ask = head.and_then(|head| head.with_body(Bytes::new(), &Embedders::default()));
    oracle::plan(ask.unwrap().info(), policy)
}

impl Ask {
    /// What goes out, and what is recorded of it; none if the answer is refused.
    fn masked<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<(String, Summary)> {
        let mut masker = Masker::new(&self.plan, 200, Some(self.content_type), None).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(masker.feed(Bytes::copy_from_slice(piece)).ok()?.as_bytes());
        }
        out.extend_from_slice(masker.finish().ok()?.as_bytes());
        Some((String::from_utf8_lossy(&out).into_owned(), masker.summary()))
    }
}

fn cut<'a>(mut rest: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().chain(&[64]).cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at(rest.len().min(usize::from(*size).max(1)));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// Makes a JSON document of any bytes; each says what comes next.
struct Writer<'i> {
    input: std::slice::Iter<'i, u8>,
    out: String,
}

const NAMES: [&str; 32] = [
    "kind",
    "Kind",
    "apiVersion",
    "data",
    "DATA",
    "stringData",
    "binaryData",
    "metadata",
    "annotations",
    "kubectl.kubernetes.io/last-applied-configuration",
    "managedFields",
    "labels",
    "items",
    "object",
    "type",
    "rows",
    "cells",
    "reason",
    "Reason",
    "message",
    "details",
    "causes",
    "spec",
    "env",
    "name",
    "value",
    "path",
    "token",
    "password",
    "DB_PASSWORD",
    "secretName",
    "args",
];

const TEXTS: [&str; 24] = [
    "Secret",
    "SecretList",
    "ConfigMap",
    "PodList",
    "Table",
    "Status",
    "NotFound",
    "Invalid",
    "DB_PASSWORD",
    "--password",
    "--password=Zq8vR3tLw9Xc2Nb7",
    "password: Zq8vR3tLw9Xc2Nb7",
    "Zq8vR3tLw9Xc2Nb7",
    "AKIAQ3EGRVTL7WXYZ2AB",
    "key AKIAQ3EGRVTL7WXYZ2AB.",
    "postgres://app:Zq8vR3tLw9Xc@db:5432/app",
    "Bearer Zq8vR3tLw9Xc2Nb7Zq8vR3tLw9Xc2Nb7",
    "/data/DB_PASSWORD",
    "cGFzc3dvcmQ6IFpxOHZSM3RMdzlYYzJOYjcK",
    "gateward:masked",
    "Z2F0ZXdhcmQ6bWFza2Vk",
    "4111 1111 1111 1111",
    "nginx:1.29",
    "a\\\"b\\nü😀",
];

impl Writer<'_> {
    fn written(input: &[u8]) -> String {
        let mut writer = Writer {
            input: input.iter(),
            out: String::new(),
        };
        while !writer.input.as_slice().is_empty() {
            writer.object(0);
            writer.space();
        }
        writer.out
    }

    fn next(&mut self) -> usize {
        self.input.next().copied().unwrap_or_default().into()
    }

    fn value(&mut self, depth: usize) {
        let kinds = if depth < 12 { 12 } else { 6 };
        match self.next() % kinds {
            0 | 1 => {
                let word = TEXTS[self.next() % TEXTS.len()];
                self.text(word);
            }
            2 => self.any_text(),
            3 => {
                let scalars = ["null", "0", "-12.5e3", "true", "1e999", "false"];
                let next = self.next();
                self.out += scalars[next % scalars.len()];
            }
            4 | 5 => {
                // A text of two words: what is found in one must not need the other.
                let (one, other) = (self.next(), self.next());
                let text = format!(
                    "{} {}",
                    TEXTS[one % TEXTS.len()],
                    NAMES[other % NAMES.len()]
                );
                self.text(&text);
            }
            6 => {
                let outer = std::mem::take(&mut self.out);
                self.value(depth + 4);
                let inner = std::mem::replace(&mut self.out, outer);
                self.text(&inner);
            }
            7 => {
                self.out.push('[');
                for at in 0..self.next() % 5 {
                    self.comma(at);
                    self.value(depth + 1);
                }
                self.out.push(']');
            }
            _ => self.object(depth + 1),
        }
    }

    fn object(&mut self, depth: usize) {
        self.out.push('{');
        for at in 0..self.next() % 7 {
            self.comma(at);
            match self.next() {
                byte @ 0..224 => self.text(NAMES[byte % NAMES.len()]),
                _ => self.any_text(),
            }
            self.out.push(':');
            self.space();
            self.value(depth);
        }
        self.space();
        self.out.push('}');
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.out.push(',');
            self.space();
        }
    }

    fn space(&mut self) {
        let next = self.next();
        self.out += ["", "", "", " ", "\n", "\r\n\t"][next % 6];
    }

    fn any_text(&mut self) {
        let length = self.next() % 40;
        let bytes: Vec<u8> = self.input.by_ref().take(length).copied().collect();
        self.text(&String::from_utf8_lossy(&bytes));
    }

    /// `step`: how many characters stand as they are before one is written as an escape.
    fn text(&mut self, text: &str) {
        let step = [usize::MAX, usize::MAX, usize::MAX, 1, 3][self.next() % 5];
        self.out.push('"');
        for (at, character) in text.chars().enumerate() {
            match character {
                '"' | '\\' if at % 2 == 0 => self.out.extend(['\\', character]),
                ' '..='!' | '#'..='[' | ']'.. if at % step != step - 1 => self.out.push(character),
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
