//! Tests of ⑦ mask: what a process writes, however it is cut and wherever it pauses.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use regex::bytes::Regex;

use super::*;

const AWS: &str = "AKIAQ3EGRVTL7WXYZ2AB";
const GITHUB: &str = "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";

fn exec() -> Plan {
    plan(&info("create", "", "pods", "exec"))
}

fn output() -> Output {
    Output::new(&exec()).unwrap()
}

fn feed(output: &mut Output, bytes: &[u8]) -> Vec<u8> {
    let masked = output.feed(Bytes::copy_from_slice(bytes)).unwrap();
    masked.as_bytes().to_vec()
}

/// What comes out of some pieces; `pauses`: whether there is one behind each, again and again.
fn written(pieces: &[&[u8]], pauses: &[bool]) -> (Vec<u8>, Summary) {
    let mut output = output();
    let mut out = Vec::new();
    for (piece, pause) in pieces.iter().zip(pauses.iter().cycle()) {
        out.extend(feed(&mut output, piece));
        if *pause {
            out.extend_from_slice(output.idle().as_bytes());
        }
    }
    out.extend_from_slice(output.finish().unwrap().as_bytes());
    (out, output.summary())
}

/// The same without a pause, in one piece and in single bytes.
fn masked(text: &[u8]) -> Vec<u8> {
    let whole = written(&[text], &[false]);
    let single: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(written(&single, &[false]), whole, "{}", text.escape_ascii());
    whole.0
}

/// `§` in `seen` is a mask.
fn table(rows: &[(&str, &str)]) {
    for (said, seen) in rows {
        let said = said.replace("AWS", AWS).replace("GITHUB", GITHUB);
        let out = String::from_utf8(masked(said.as_bytes())).unwrap();
        assert_eq!(out, seen.replace('§', MASK), "{said:?}");
    }
}

#[test]
fn only_exec_and_attach_have_output_and_they_are_still_refused() {
    for subresource in ["exec", "attach"] {
        let plan = plan(&info("create", "", "pods", subresource));
        assert!(Output::new(&plan).is_ok());
        // Until they are carried.
        assert!(matches!(plan.check(), Err(Refusal::Unmaskable { .. })));
        assert!(Masker::new(&plan, 200, Some("text/plain"), None).is_err());
    }
    for subresource in ["", "log", "portforward", "proxy"] {
        let plan = plan(&info("create", "", "pods", subresource));
        assert!(matches!(
            Output::new(&plan),
            Err(Refusal::Unmaskable { .. })
        ));
    }
}

#[test]
fn lines_end_as_on_a_terminal() {
    table(&[
        ("", ""),
        ("plain\nlines", "plain\nlines"),
        ("AWS\r\nnext\r\n", "§\r\nnext\r\n"),
        ("1%\r2%\rAWS\r\r\n\rend", "1%\r2%\r§\r\r\n\rend"),
        // The break in two is one: the value still follows its name.
        (
            "- name: DB_PASSWORD\r\n  value: hunter2\r\n",
            "- name: DB_PASSWORD\r\n  value: §\r\n",
        ),
        (
            "- name: DB_PASSWORD\r\r\n  value: hunter2\r\n",
            "- name: DB_PASSWORD\r\r\n  value: §\r\n",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\r\nMIIE\r\n-----END EC PRIVATE KEY-----\r\nx",
            "§\nx",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\rMIIE\r-----END EC PRIVATE KEY-----\rx",
            "§\rx",
        ),
    ]);
    // A bar that moves is seen to move.
    let mut output = output();
    assert_eq!(feed(&mut output, b"10%\r20%\r3"), b"10%\r20%\r");
    let said = format!("0%\r{AWS}\r4");
    let seen = format!("30%\r{MASK}\r");
    assert_eq!(feed(&mut output, said.as_bytes()), seen.as_bytes());
    assert_eq!(output.finish().unwrap().as_bytes(), b"4");
}

#[test]
fn threat_18_no_sequence_in_a_value_lets_it_slip_past() {
    table(&[
        // grep --color, within a token, a name and the first line of a key.
        (
            "\x1b[01;31m\x1b[Kghp_\x1b[m\x1b[KzQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17\n",
            "\x1b[01;31m\x1b[K§\n",
        ),
        (
            "DB_\x1b[01;31m\x1b[KPASS\x1b[m\x1b[KWORD=hunter2 x\n",
            "DB_\x1b[01;31m\x1b[KPASS\x1b[m\x1b[KWORD=§ x\n",
        ),
        (
            "-----BEGIN \x1b[1mPRIVATE\x1b[m KEY-----\nMIIE\n-----\x1b[1mEND\x1b[m PRIVATE KEY-----\nx",
            "§\nx",
        ),
        (
            "- name: \x1b[1mDB_PASS\x1b[mWORD\n  \x1b[1mval\x1b[mue: hunter2\n",
            "- name: \x1b[1mDB_PASS\x1b[mWORD\n  \x1b[1mval\x1b[mue: §\n",
        ),
        // A colour around it, with letters at both ends.
        ("\x1b[32mAWS\x1b[0m\n", "\x1b[32m§\x1b[0m\n"),
        (
            "\x1b[34;1m\"password\"\x1b[0m: \x1b[32m\"hunter2\"\x1b[0m\n",
            "\x1b[34;1m\"password\"\x1b[0m: \x1b[32m\"§\"\x1b[0m\n",
        ),
        // A move in place of a blank.
        ("a\x1b[5CAWS\x1b[5Cb\n", "a\x1b[5C§\x1b[5Cb\n"),
        (
            "a\x1b[2;10HAWS\x1b(B\x1b7\x1b=b",
            "a\x1b[2;10H§\x1b(B\x1b7\x1b=b",
        ),
        // A title, a link and a bell within; an address in a link, and a link that is cut.
        (
            "ghp_zQWBuTSOoRi4A\x1b]0;vim\x079spHcVY5\x1b]8;;x\x1b\\ncnsDk\x07xkJ0mLq17",
            "§",
        ),
        (
            "\x1b]8;;https://bob:hunter2@h/\x07text\x1b]8;;\x07\n",
            "\x1b]8;;https://bob:§@h/\x07text\x1b]8;;\x07\n",
        ),
        (
            "\x1b]8;;https://bob:hunter2@h/\n",
            "\x1b]8;;https://bob:§@h/\n",
        ),
        ("\x1bPAWS\x1b\\", "\x1bP§\x1b\\"),
        // What is none, or cut by the end of the line.
        ("\x1b[31;AWS\n", "\x1b[31;§\n"),
        ("\x1b[4111111111111111 m", "\x1b[§ m"),
        ("\x1b\nAWS\x1b[", "\x1b\n§\x1b["),
        // Variables of a process.
        (
            "A=b\0DB_PASSWORD=hunter2\0C=d\0--token\0q7Zr9vK2xW4mT8nB\0",
            "A=b\0DB_PASSWORD=§\0C=d\0--token\0§\0",
        ),
        // Nothing to hide.
        (
            "\x1b[?2004h\x1b[1;32mroot@web\x1b[0m:\x1b[34m/\x1b[0m# ls\r\n",
            "\x1b[?2004h\x1b[1;32mroot@web\x1b[0m:\x1b[34m/\x1b[0m# ls\r\n",
        ),
    ]);
}

#[test]
fn what_is_no_text_passes_as_it_is() {
    let mut bytes: Vec<u8> = (0..=255).cycle().take(4 * 1024).collect();
    assert_eq!(masked(&bytes), bytes);
    bytes.extend(format!("\n\u{fe}{AWS}\n").as_bytes());
    bytes.extend([0xff, 0xc3, b'\n', 0xc3]);
    let seen = String::from_utf8_lossy(&masked(&bytes)).into_owned();
    assert!(seen.contains(MASK) && !seen.contains(AWS));
    assert!(masked(&bytes).ends_with(&[b'\n', 0xff, 0xc3, b'\n', 0xc3]));
}

/// What is written, and how much of it a pause shows.
#[rustfmt::skip]
const PAUSES: &[(&str, &str)] = &[
    ("", ""),
    // Prompts.
    ("$ ", "$ "),
    ("Password: ", "Password: "),
    ("Password:", "Password:"),
    (">>> ", ">>> "),
    (">>>", ">>>"),
    ("mysql> ", "mysql> "),
    ("127.0.0.1:6379> ", "127.0.0.1:6379> "),
    ("/app # ", "/app # "),
    ("Continue? [y/N]", "Continue? [y/N]"),
    ("Are you sure (yes/no)?", "Are you sure (yes/no)?"),
    ("Choose 1-5: ", "Choose 1-5: "),
    ("TOKEN=", "TOKEN="),
    ("working ....", "working ...."),
    ("50%\r", "50%\r"),
    ("\x1b[1;32m$\x1b[0m ", "\x1b[1;32m$\x1b[0m "),
    ("\x1b[1m$ \x1b[0m", "\x1b[1m$ \x1b[0m"),
    // The last word may go on.
    ("hello wor", "hello "),
    ("clone ghp_", "clone "),
    ("export TO", "export "),
    ("é", ""),
    ("é ", "é "),
    ("a=", ""),
    ("mail https://bob:pa$", "mail "),
    ("xoxb-ab#", ""),
    ("bob:hunter:", ""),
    ("dG9rZW46IG==", ""),
    // So may a number in groups, and a phone's.
    ("pay 4111 1111 ", "pay "),
    ("pay 4111 1111 11", "pay "),
    ("4111 ", ""),
    ("to GB29 NWBK 6016 ", "to "),
    ("HTTP 200 OK ", "HTTP 200 OK "),
    ("call +49 (30) 12 ", "call "),
    // Nothing behind a telling name, until its value is over.
    ("password: correct horse ", "password: "),
    ("password: abc, user ", "password: "),
    ("password: $", "password: "),
    ("password: /", "password: "),
    ("password: *", "password: "),
    ("DB_PASSWORD=a:", ""),
    ("\"password\": \"two words ", "\"password\": \""),
    ("\"password\": \"two words\" ", "\"password\": \"§\" "),
    ("<password>two words ", "<password>"),
    ("--password ", "--password "),
    ("--password hunter", "--password "),
    ("DB_PASSWORD=hunter2 x", "DB_PASSWORD=§ "),
    ("- name: DB_PASSWORD\n  value: two words ", "- name: DB_PASSWORD\n  value: "),
    // What is whole is hidden.
    ("key AWS and ", "key § and "),
    ("\x1b[32mAWS\x1b[0m $ ", "\x1b[32m§\x1b[0m $ "),
    // Keys.
    ("-----", "-----"),
    ("-----BEGIN EC PRIVATE KEY----- MIIE ", ""),
    ("x -----BEGIN EC PRIVATE KEY MIIE ", "x "),
    ("-----BEGIN EC PRIVATE KEY-----\nMIIE $ ", "§\n"),
    ("-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n$ ", "§\n$ "),
    // A sequence that is cut waits; one that never ends is none.
    ("$ \x1b", "$ "),
    ("$ \x1b[0", "$ "),
    ("\x1b]0;a title ", ""),
    ("\x1b]0;a title \x07", "\x1b]0;a title \x07"),
    ("\x1b]0;a title \x1b", ""),
];

#[test]
fn threat_18_a_pause_shows_a_prompt_and_no_part_of_a_value() {
    for (said, seen) in PAUSES {
        let said = said.replace("AWS", AWS);
        let mut output = output();
        let mut out = feed(&mut output, said.as_bytes());
        out.extend_from_slice(output.idle().as_bytes());
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, seen.replace('§', MASK), "{said:?}");
        assert_eq!(output.idle().as_bytes(), b"", "{said:?}");
        output.finish().unwrap();
    }
}

#[test]
fn threat_18_what_a_pause_has_shown_is_what_the_rest_is_read_with() {
    for (first, shown, rest, seen) in [
        ("TOKEN=", "TOKEN=", "q7Zr9vK2xW4mT8nB\n", "§\n"),
        (
            "Password: ",
            "Password: ",
            "hunter2\r\nok\r\n",
            "§\r\nok\r\n",
        ),
        ("Password ", "Password ", ": hunter2", ": §"),
        ("Bearer ", "Bearer ", "abcdefgh12345678", "§"),
        ("$ curl -u bob: ", "$ curl -u bob: ", "x\n", "x\n"),
        ("$ curl -u bob:", "$ curl -u bob:", "hunter2 h\n", "§ h\n"),
        ("--password ", "--password ", "hunter2 -h db\n", "§ -h db\n"),
        (
            "- name: DB_PASSWORD\n  value: ",
            "- name: DB_PASSWORD\n  value: ",
            "hunter2\n",
            "§\n",
        ),
        (
            "- name: DB_PASSWORD",
            "- name: ",
            "\n  value: hunter2\n",
            "DB_PASSWORD\n  value: §\n",
        ),
        (
            "-----BEGIN EC ",
            "-----BEGIN EC ",
            "PRIVATE KEY-----\nMIIE\n-----END EC PRIVATE KEY-----\nx",
            "§\nx",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\n",
            "§\n",
            "MIIE\n-----END EC PRIVATE KEY-----\nx",
            "x",
        ),
        ("50%\r", "50%\r", "\nAWS\n", "\n§\n"),
        (
            "- name: DB_PASSWORD\r",
            "- name: DB_PASSWORD\r",
            "\n  value: hunter2\r\n",
            "\n  value: §\r\n",
        ),
        (
            "\x1b[1mTOKEN=",
            "\x1b[1mTOKEN=",
            "\x1b[mq7Zr9vK2\x1b[mxW4mT8nB\n",
            "\x1b[m§\n",
        ),
        ("key AWS and ", "key § and ", "AWS\n", "§\n"),
    ] {
        let [first, rest] = [first, rest].map(|text| text.replace("AWS", AWS));
        let mut output = output();
        let mut out = feed(&mut output, first.as_bytes());
        out.extend_from_slice(output.idle().as_bytes());
        let shown = shown.replace('§', MASK);
        assert_eq!(String::from_utf8(out).unwrap(), shown, "{first:?}");
        let mut out = feed(&mut output, rest.as_bytes());
        out.extend_from_slice(output.finish().unwrap().as_bytes());
        let seen = seen.replace('§', MASK);
        assert_eq!(String::from_utf8(out).unwrap(), seen, "{first:?} {rest:?}");
    }
}

#[test]
fn a_pause_does_not_count_twice() {
    let line = format!("key {AWS} and ");
    let (_, summary) = written(&[line.as_bytes(), b"more ", AWS.as_bytes(), b"\n"], &[true]);
    let counts = summary.counts().iter();
    let counts: Vec<_> = counts.map(|it| (&*it.rule, &*it.path, it.values)).collect();
    assert_eq!(counts, [("aws-access-key", "output", 2)]);
}

#[test]
fn a_policy_says_what_is_hidden_and_how() {
    let rules = "{name: a, namespaces: [test], detectors: [aws-access-key], with: keep}, \
                 {name: b, detectors: [email], with: pseudonym}, {name: c, detectors: [github-token], with: partial}";
    let said = format!("{AWS} ann@example.com {GITHUB} 4111111111111111\n");
    let seen = |namespace: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/pods/web/exec?command=sh&stdout=true");
        let ask = Ask::for_test("prod", "POST", &path, "");
        let plan = Plan::new(&masks(rules), &caller(), &ask).unwrap();
        let mut output = Output::new(&plan).unwrap();
        let out = feed(&mut output, said.as_bytes());
        (String::from_utf8(out).unwrap(), output.summary())
    };
    let (kept, summary) = seen("test");
    let words: Vec<&str> = kept.split_ascii_whitespace().collect();
    assert_eq!(
        (words[0], words[2], words[3]),
        (AWS, "gateward:masked:…Lq17", MASK)
    );
    assert!(words[1].starts_with("gateward:masked:") && words[1].len() == MASK.len() + 13);
    let rules: Vec<&str> = summary.counts().iter().map(|it| &*it.rule).collect();
    assert_eq!(rules, ["p/b", "p/c", "card-number"]);
    assert!(seen("web").0.starts_with(&format!("{MASK} ")));
}

#[test]
fn threat_18_a_long_line_is_masked_across_every_border() {
    let window = 64 * 1024;
    let parted = AWS.replace("RV", "R\x1b[01;31m\x1b[KV");
    for back in [60, 40, 33, 30, 27, 24, 20, 12, 0] {
        let at = window - 4096 - back;
        let text = format!(
            "{}{parted} {}\n",
            "x ".repeat(at / 2),
            "y ".repeat(8 * 1024)
        );
        let expected = text.replace(&parted, MASK);
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(20_000).collect();
        let seen = written(&chunks, &[back % 20 == 0]).0;
        assert!(seen == expected.as_bytes(), "{back} bytes before");
    }
    // What is behind a border within a sequence would be read as letters.
    for back in 0..12 {
        let before = "x".repeat(window - 4096 - back);
        let text = format!("{before}\x1b[01;31m{AWS}{}", " y".repeat(8 * 1024));
        let seen = written(&[text.as_bytes()], &[false]).0;
        assert!(
            seen == text.replace(AWS, MASK).as_bytes(),
            "{back} bytes before"
        );
    }
}

#[test]
fn little_is_held_back_whatever_is_written() {
    let kinds: [&[u8]; 8] = [
        b"word ", b"x", b"\r", b"\x1b", b"\x1b[0", b"\x1b]0;", b"\x1b[m", b"\0",
    ];
    for kind in kinds {
        for pause in [false, true] {
            let (mut output, mut held) = (output(), 0);
            for turn in 0..10 {
                let piece = kind.repeat(8 * 1024 / kind.len());
                held += piece.len();
                held -= feed(&mut output, &piece).len();
                if pause && turn == 5 {
                    held -= output.idle().as_bytes().len();
                }
                assert!(held <= 64 * 1024, "{}: {held}", kind.escape_ascii());
            }
            held -= output.finish().unwrap().as_bytes().len();
            assert_eq!(held, 0);
        }
    }
    // A title without an end is a text after a while.
    let mut output = output();
    let endless = [b"\x1b]0;".as_slice(), &b"a title ".repeat(256)].concat();
    feed(&mut output, &endless);
    assert_eq!(output.idle().as_bytes(), endless);
}

#[test]
fn what_is_too_long_to_be_hidden_cuts_the_stream_for_good() {
    let mut output = output();
    feed(&mut output, format!("{AWS}\n").as_bytes());
    let long = "a b ".repeat(1 << 17);
    feed(&mut output, format!("password=\"{long}").as_bytes());
    assert_eq!(output.idle().as_bytes(), b"");
    let refused = (0..8).find_map(|_| output.feed(long.clone().into()).err());
    assert!(matches!(refused, Some(Refusal::Unmaskable { .. })));
    assert!(output.feed(Bytes::from_static(b"x\n")).is_err());
    assert_eq!(output.idle().as_bytes(), b"");
    assert!(output.finish().is_err());
    assert_eq!(output.summary().counts().len(), 1);
}

#[test]
fn threat_18_no_pause_shows_a_part_of_what_any_detector_finds() {
    #[derive(serde::Deserialize)]
    struct Rule {
        #[serde(default)]
        found: Vec<String>,
    }
    let pack: Vec<Rule> = serde_saphyr::from_str(include_str!("../detect/pack.yaml")).unwrap();
    let ask = Ask::for_test("prod", "GET", "/api/v1/namespaces/n/pods/p/exec", "");
    let rules = "{name: all, detectors: ['*']}";
    let plan = Plan::new(&masks(rules), &caller(), &ask).unwrap();
    let (mut values, mut shown) = (0, Vec::new());
    for case in pack.iter().flat_map(|rule| &rule.found) {
        let case = case.replace('¦', "").replace(" == ", ": ");
        let said = case.replace(['«', '»'], "");
        let seen = |step: usize, pause: bool| {
            let (mut output, mut out) = (Output::new(&plan).unwrap(), Vec::new());
            for piece in said.as_bytes().chunks(step) {
                out.extend(feed(&mut output, piece));
                if pause {
                    out.extend_from_slice(output.idle().as_bytes());
                }
            }
            out.extend_from_slice(output.finish().unwrap().as_bytes());
            String::from_utf8(out).unwrap()
        };
        let (whole, paused) = (seen(said.len(), false), [1, 4].map(|step| seen(step, true)));
        for value in case.split('«').skip(1) {
            let value = value.split('»').next().unwrap();
            // That a key follows is no secret.
            let key = value.strip_prefix("-----BEGIN");
            let value = key.map_or(value, |key| key.split("-----").nth(1).unwrap());
            let mut parts = value.as_bytes().windows(4);
            let hidden = |text: &str, part| memchr::memmem::find(text.as_bytes(), part).is_none();
            // Some are found only beside a name that is not in the text.
            if parts.clone().all(|part| hidden(&whole, part)) {
                values += 1;
                if !parts.all(|part| paused.iter().all(|paused| hidden(paused, part))) {
                    shown.push((said.clone(), paused.clone()));
                }
            }
        }
    }
    assert!(shown.is_empty(), "{shown:#?}");
    assert!(values > 120, "{values}");
}

/// Planted secrets, and what of each must never be seen: no five bytes in a row.
#[rustfmt::skip]
const PLANTED: [(&str, &[&str]); 13] = [
    (" AKIAQ3EGRVTL7WXYZ2AB ", &["Q3EGRVTL7WXYZ2AB"]),
    (" 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\n", &["zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"]),
    (" eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U ",
        &["eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"]),
    (" DB_PASSWORD=Kite5quartz ", &["Kite5quartz"]),
    ("\npassword: violet hammer ocean\r\n", &["violet", "hammer", "ocean"]),
    (" {\"password\": \"brisk lantern\"} ", &["brisk", "lantern"]),
    (" <password>maple thunder</password> ", &["maple", "thunder"]),
    (" https://bob:Gr4nite$Wolf@db/x ", &["Gr4nite$Wolf"]),
    (" 4539 1488 0343 6467 ", &["4539 1488 0343 6467"]),
    (" GB29 NWBK 6016 1331 9268 19 ", &["NWBK 6016 1331 9268 19"]),
    ("\n- name: DB_PASSWORD\n  value: pebble\n", &["pebble"]),
    (" --token q7Zr9vK2xW4mT8nB ", &["q7Zr9vK2xW4mT8nB"]),
    ("\n-----BEGIN RSA PRIVATE KEY-----\r\nMIIEowIBAAKCAQEAx4k2\r\nAoIBAQDfrostjuniper\r\n-----END RSA PRIVATE KEY-----\n",
        &["MIIEowIBAAKCAQEAx4k2", "AoIBAQDfrostjuniper"]),
];

const FILLERS: [&str; 12] = [
    "a", " ", "\n", "\r\n", " $ ", " ok: ", "ü", "\u{fffd}", " [y/N]", " done. ", " > ", "(x)",
];

const SEQUENCES: [&str; 8] = [
    "\x1b[m",
    "\x1b[01;31m",
    "\x1b[K",
    "\x1b[?25l",
    "\x1b]0;title\x07",
    "\x1b]8;;\x1b\\",
    "\x1b(B",
    "\x07",
];

/// What a terminal would not show, told in another way than the room does.
static UNSEEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\(B|\x07")
        .unwrap()
});

fn texts() -> impl Strategy<Value = String> {
    let planted = select(PLANTED.to_vec()).prop_map(|(text, _)| text);
    let word = prop_oneof![2 => select(FILLERS.to_vec()), 1 => planted];
    prop::collection::vec(word, 1..16).prop_map(|words| words.concat())
}

fn pieces<'t>(text: &'t [u8], sizes: &[usize]) -> Vec<&'t [u8]> {
    let (mut rest, mut pieces) = (text, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at(rest.len().min(*size));
        pieces.push(head);
        rest = tail;
    }
    pieces
}

/// What no half of which may be seen.
fn leaks(out: &[u8]) -> Option<&'static str> {
    let seen = UNSEEN.replace_all(out, b"");
    let values = PLANTED
        .iter()
        .flat_map(|(_, values)| values.iter().copied());
    values.into_iter().find(|value| {
        let mut parts = value.as_bytes().windows(5);
        parts.any(|part| memchr::memmem::find(&seen, part).is_some())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn threat_18_no_half_of_a_value_is_seen_wherever_it_is_cut_and_pauses(
        text in texts(),
        sizes in prop::collection::vec(1usize..24, 1..8),
        pauses in prop::collection::vec(any::<bool>(), 1..6),
    ) {
        let pieces = pieces(text.as_bytes(), &sizes);
        let (out, _) = written(&pieces, &pauses);
        prop_assert_eq!(leaks(&out), None, "{}", out.escape_ascii());
        // Without a pause it is a log.
        let mut log = Masker::new(&plan(&info("get", "", "pods", "log")), 200, Some("text/plain"), None).unwrap();
        let mut expected = log.feed(Bytes::from(text.clone())).unwrap().as_bytes().to_vec();
        expected.extend_from_slice(log.finish().unwrap().as_bytes());
        let (out, _) = written(&pieces, &[false]);
        prop_assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[test]
    fn threat_18_nor_with_sequences_anywhere(
        text in texts(),
        sequences in prop::collection::vec((any::<Index>(), select(SEQUENCES.to_vec())), 0..12),
        sizes in prop::collection::vec(1usize..24, 1..8),
        pauses in prop::collection::vec(any::<bool>(), 1..6),
    ) {
        let mut at: Vec<_> = sequences.iter().map(|(at, it)| (at.index(text.len()), *it)).collect();
        at.sort();
        let (mut bytes, mut from) = (Vec::new(), 0);
        for (at, sequence) in at {
            bytes.extend_from_slice(&text.as_bytes()[from..at]);
            bytes.extend_from_slice(sequence.as_bytes());
            from = at;
        }
        bytes.extend_from_slice(&text.as_bytes()[from..]);
        let (out, _) = written(&pieces(&bytes, &sizes), &pauses);
        prop_assert_eq!(leaks(&out), None, "{}", out.escape_ascii());
        prop_assert_eq!(written(&pieces(&bytes, &sizes), &[false]), written(&[&bytes], &[false]));
    }
}
