//! Tests of ⑦ mask: logs, however they are cut.

use proptest::prelude::*;

use super::*;

const AWS: &str = "AKIAQ3EGRVTL7WXYZ2AB";
const BODY: &str = "MIIEowIBAAKCAQEAx4k2";

fn log(chunks: &[&[u8]]) -> (String, Summary) {
    let info = info("get", "", "pods", "log");
    let mut masker = Masker::new(&plan(&info), 200, Some("text/plain"), None).unwrap();
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(
            masker
                .feed(Bytes::copy_from_slice(chunk))
                .unwrap()
                .as_bytes(),
        );
    }
    out.extend_from_slice(masker.finish().unwrap().as_bytes());
    (String::from_utf8_lossy(&out).into_owned(), masker.summary())
}

fn masked(text: &str) -> String {
    let whole = log(&[text.as_bytes()]);
    let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(log(&single), whole);
    whole.0
}

#[test]
fn what_is_found_in_a_line_is_hidden_and_the_rest_stays() {
    for (said, seen) in [
        ("plain\nlines\n", "plain\nlines\n".to_owned()),
        ("", String::new()),
        ("no line break", "no line break".to_owned()),
        (
            &*format!("key={AWS} set\nnext"),
            format!("key={MASK} set\nnext"),
        ),
        (&*format!("a\r\n\n\n{AWS}"), format!("a\r\n\n\n{MASK}")),
    ] {
        assert_eq!(masked(said), seen);
    }
    let (_, summary) = log(&[format!("{AWS}\n{AWS}\n").as_bytes()]);
    let counts: Vec<_> = summary
        .counts()
        .iter()
        .map(|it| (&*it.rule, &*it.path, it.values))
        .collect();
    assert_eq!(counts, [("aws-access-key", "log", 2)]);
}

#[test]
fn threat_18_a_value_in_the_line_behind_its_name_is_hidden() {
    for (before, after) in [
        ("- name: DB_PASSWORD\n  value: ", "\nname: x\n"),
        ("\"name\": \"DB_PASSWORD\",\n\"value\": \"", "\"\n"),
        (
            "2026-11-25T10:54:10.078Z - name: DB_PASSWORD\n2026-11-25T10:54:10.079Z   value: ",
            "\n",
        ),
    ] {
        let said = format!("{before}hunter2{after}");
        assert_eq!(masked(&said), format!("{before}{MASK}{after}"));
    }
    let plain = "- name: SIZE\n  value: hunter2\n";
    assert_eq!(masked(plain), plain);
}

#[test]
fn threat_18_a_value_without_quotes_beside_a_quoted_name_is_hidden() {
    for (before, after) in [
        ("\"password\": ", "\n"),
        ("\"password\":", "\nnext\n"),
        ("x {\"a\":b,\"password\":", ",\"c\":d}\n"),
        ("- \"db_password\" : ", "\r\nnext\n"),
    ] {
        let said = format!("{before}hunter2{after}");
        assert_eq!(masked(&said), format!("{before}{MASK}{after}"));
    }
}

#[test]
fn threat_18_a_private_key_over_many_lines_is_dropped_to_its_end() {
    let key =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END RSA PRIVATE KEY-----\n");
    assert_eq!(
        masked(&format!("before\nkey: {key}after\n")),
        format!("before\nkey: {MASK}\nafter\n")
    );
    // With a time before every line, and one that never ends.
    let stamped: String = key
        .lines()
        .map(|line| format!("2026-11-25T09:00:00Z {line}\n"))
        .collect();
    assert_eq!(
        masked(&format!("{stamped}after\n")),
        format!("2026-11-25T09:00:00Z {MASK}\nafter\n")
    );
    let endless = format!(
        "-----BEGIN PRIVATE KEY-----\n{}after\n",
        format!("{BODY}\n").repeat(1600)
    );
    let seen = masked(&endless);
    assert!(
        seen.starts_with(MASK) && seen.ends_with("after\n"),
        "{}",
        seen.len()
    );
    // A public one is no secret.
    let public = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert_eq!(masked(public), public);
}

#[test]
fn threat_18_a_long_line_is_masked_across_every_border() {
    let window = 64 * 1024;
    for at in [
        window - 4096 - 30,
        window - 4096 - 10,
        window - 4096,
        window - 10,
        window,
        window + 1,
    ] {
        let text = format!("{} {AWS} {}\n", "x ".repeat(at / 2), "y ".repeat(window));
        let expected = text.replace(AWS, MASK);
        let sizes = [1000, 4096, 65_536, text.len()];
        for size in sizes {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert!(log(&chunks).0 == expected, "at {at}, pieces of {size}");
        }
    }
}

#[test]
fn threat_18_no_border_in_a_long_line_parts_a_value_from_its_name() {
    let border = 64 * 1024 - 4096;
    let (before, after) = (b"x ".repeat(border / 2), b" y".repeat(4 * 1024));
    let said = "DB_PASSWORD: \"two words\"";
    for back in (0..said.len() + 8).step_by(2) {
        let line = |said: &str| [&before[back..], said.as_bytes(), &after].concat();
        let text = line(said);
        let chunks: Vec<&[u8]> = text.chunks(10_000 * (1 + back)).collect();
        let (seen, summary) = log(&chunks);
        let expected = line(&said.replace("two words", MASK));
        assert!(seen.as_bytes() == expected, "{back} bytes before");
        assert_eq!(summary.counts()[0].values, 1);
    }
    // The end of one key is not that of the next.
    let keys = "-----END a----- -----BEGIN b PRIVATE KEY c";
    let behind = format!("{}\nMIIE\n-----END b-----\nnext\n", " y".repeat(4 * 1024));
    let (seen, _) = log(&[&before[100..], keys.as_bytes(), behind.as_bytes()]);
    let expected = format!("-----END a----- {MASK}next\n");
    assert!(seen.ends_with(&expected), "{}", &seen[before.len() - 100..]);
    // What is longer than a window is hidden whole.
    let long = format!("DB_PASSWORD=\"{}\" z\n", "a b ".repeat(17 * 1024));
    let hidden = format!("DB_PASSWORD=\"{MASK}\" z\n");
    assert_eq!(log(&[long.as_bytes()]).0, hidden);
}

#[test]
fn other_types_are_refused_and_errors_are_json() {
    let info = info("get", "", "pods", "log");
    for content_type in [None, Some("application/octet-stream"), Some("text/html")] {
        assert!(Masker::new(&plan(&info), 200, content_type, None).is_err());
    }
    assert!(Masker::new(&plan(&info), 200, Some("text/plain"), Some("gzip")).is_err());
    let mut masker = Masker::new(&plan(&info), 400, Some("application/json"), None).unwrap();
    let status = r#"{"kind":"Status","message":"container x is waiting"}"#;
    let passed = masker.feed(Bytes::from(status)).unwrap();
    assert_eq!(passed.as_bytes(), status.as_bytes());
}

proptest! {
    #[test]
    fn a_log_is_masked_the_same_however_it_is_cut(
        words in prop::collection::vec(prop::sample::select(vec![
            "a", " ", "\n", "\n", "\r\n", " AKIAQ3EGRVTL7WXYZ2AB ", "password=", "hunter2", "-----BEGIN EC PRIVATE KEY-----",
            "-----END EC PRIVATE KEY-----", BODY, "ü", "-----BEGIN", "xyzzy",
            "\"password\"", ":", ": ", "- name: DB_PASSWORD", "value", "4111111111111111", "postgres://a:b@c",
        ]), 0..60),
        sizes in prop::collection::vec(1usize..30, 1..8),
    ) {
        let text = words.concat();
        let mut rest = text.as_bytes();
        let mut chunks = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let (head, tail) = rest.split_at(rest.len().min(*size));
            chunks.push(head);
            rest = tail;
        }
        prop_assert_eq!(log(&chunks), log(&[text.as_bytes()]));
        prop_assert!(!log(&chunks).0.contains(AWS));
    }
}
