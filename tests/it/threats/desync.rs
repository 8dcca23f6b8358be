//! Attacks that hide one request in another: heads and chunks that two parsers could cut
//! differently.

use super::targets::everything_allowed;
use super::trap::{PODS, Trap, authorization, request};
use crate::harness::run;

/// What the attacker wants a hop to take for a request of its own.
pub const HIDDEN: &str = "/clusters/local/api/v1/namespaces/default/secrets/smuggled";
pub const CONFIG_MAPS: &str = "/clusters/local/api/v1/namespaces/default/configmaps";
pub const BODY: &str = r#"{"kind":"ConfigMap"}"#;

pub fn hidden() -> String {
    request("DELETE", HIDDEN, &authorization(), "")
}

/// A POST with these framing lines and this body, as they are.
pub fn post(lines: &str, body: &str) -> String {
    let lines = format!(
        "{}Content-Type: application/json\r\n{lines}",
        authorization()
    );
    request("POST", CONFIG_MAPS, &lines, body)
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// A body in one chunk, its end, and what an attacker puts behind it.
pub fn chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

impl Trap {
    /// One answer, a refusal of the gate; nothing passed, and nothing more is read.
    async fn refuses_to_guess(&self, what: &str, text: &str) {
        let answer = self.send_and_wait(text.as_bytes()).await.expect(what);
        assert!(answer.closed, "{what}: the connection is still open");
        let entry = self.refused(what, &answer, 400).await;
        assert_eq!(entry["refused"]["who"]["agent"], "triage-bot", "{what}");
    }

    /// What is no HTTP ends at the parser: one answer without a document, or none.
    async fn ends_at_the_parser(&self, what: &str, text: &[u8]) {
        if let Some(answer) = self.send_and_wait(text).await {
            assert_eq!((answer.status, &*answer.body), (400, ""), "{what}");
            assert!(answer.closed, "{what}: the connection is still open");
        }
        self.nothing_passed(what);
    }
}

#[test]
fn threat_25_a_body_has_one_length() {
    run(async {
        let trap = everything_allowed().await;
        let length = BODY.len();
        let after = hidden();
        for lines in [
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
            format!("transfer-encoding:chunked\r\nA: b\r\ncontent-length:{length}\r\n"),
            format!("TRANSFER-ENCODING:\tCHUNKED\r\nCONTENT-LENGTH: \t{length}\t\r\n"),
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            "Transfer-Encoding: chunked\r\nContent-Length: 999999\r\n".to_owned(),
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
            "Transfer-Encoding: ,chunked\r\n".to_owned(),
            "Transfer-Encoding: identity, chunked\r\n".to_owned(),
        ] {
            for body in [chunk(BODY) + &after, format!("0\r\n\r\n{after}")] {
                trap.refuses_to_guess(&lines, &post(&lines, &body)).await;
            }
        }
        for lines in [
            format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
            format!("Content-Length: {length}\r\nA: b\r\ncontent-length: {length}\r\n"),
        ] {
            let text = post(&lines, &format!("{BODY}{after}"));
            trap.refuses_to_guess(&lines, &text).await;
        }
        for lines in [
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: chunked;a=b\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: chun ked\r\n",
            "Transfer-Encoding:\u{b}chunked\r\n",
            "Transfer-Encoding\u{b}: chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding\t: chunked\r\n",
            "A: b\r\n Transfer-Encoding: chunked\r\n",
            "A: b\r\nTransfer-Encoding:\r\n chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 500\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5.0\r\n",
            "Content-Length: five\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length : 5\r\n",
            "Content Length: 5\r\n",
            "Content-Length\0: 5\r\n",
            "Content-Length: 5\0\r\n",
            ": 5\r\n",
        ] {
            let text = post(lines, &(chunk(BODY) + &after));
            trap.ends_at_the_parser(lines, text.as_bytes()).await;
        }
        trap.still_serves().await;
    });
}

impl Trap {
    pub async fn still_serves(&self) {
        self.cluster.answer(Self::created());
        let text = post(&format!("Content-Length: {}\r\n", BODY.len()), BODY);
        assert_eq!(self.send(text.as_bytes()).await.unwrap().status, 201);
        let seen = self.cluster.last().unwrap();
        assert!(seen.ends_with(BODY) && !seen.contains("smuggled"), "{seen}");
    }
}

#[test]
fn threat_25_a_line_ends_with_cr_lf() {
    run(async {
        let trap = everything_allowed().await;
        let good = authorization();
        for (what, text) in [
            (
                "LF alone",
                request("GET", PODS, &good, "").replace('\r', ""),
            ),
            (
                "LF after the request line",
                request("GET", PODS, &good, "").replacen('\r', "", 1),
            ),
            (
                "LF before the request",
                format!("\n{}", request("GET", PODS, &good, "")),
            ),
            (
                "LF at the end of the head",
                format!("GET {PODS} HTTP/1.1\r\nHost: a\r\n{good}\n"),
            ),
            (
                "a field behind LF",
                request(
                    "GET",
                    PODS,
                    &format!("{good}A: b\nTransfer-Encoding: chunked\r\n"),
                    "",
                ),
            ),
            (
                "a hidden request behind LF LF",
                request("GET", PODS, &format!("{good}A: b\n\n{}", hidden()), ""),
            ),
            (
                "a fragment",
                request("GET", &format!("{PODS}#/../secrets"), &good, ""),
            ),
            (
                "a fragment behind the query",
                request("GET", &format!("{PODS}?watch=0#&watch=1"), &good, ""),
            ),
        ] {
            trap.refuses_to_guess(what, &text).await;
        }
        for (what, text) in [
            (
                "CR alone",
                request("GET", PODS, &good, "").replace('\n', ""),
            ),
            (
                "CR in a value",
                request(
                    "GET",
                    PODS,
                    &format!("{good}A: b\rTransfer-Encoding: chunked\r\n"),
                    "",
                ),
            ),
            (
                "CR CR LF",
                request("GET", PODS, &format!("{good}A: b\r\r\n"), ""),
            ),
            (
                "NUL in a value",
                request("GET", PODS, &format!("{good}A: b\0c\r\n"), ""),
            ),
            (
                "a folded value",
                request("GET", PODS, &format!("{good}A: b\r\n c\r\n"), ""),
            ),
            (
                "a folded value by tab",
                request("GET", PODS, &format!("{good}A: b\r\n\tc\r\n"), ""),
            ),
            (
                "a fold before all",
                request("GET", PODS, &format!("{good} \r\n"), "").replace("Host", " Host"),
            ),
            (
                "a space before a colon",
                request("GET", PODS, &format!("{good}A : b\r\n"), ""),
            ),
            (
                "a line without a colon",
                request("GET", PODS, &format!("{good}A\r\n"), ""),
            ),
            (
                "a name of no token",
                request("GET", PODS, &format!("{good}A(b): c\r\n"), ""),
            ),
            ("two spaces", request("GET", &format!(" {PODS}"), &good, "")),
            (
                "a tab",
                request("GET", PODS, &good, "").replacen(' ', "\t", 1),
            ),
            (
                "a word more",
                request("GET", PODS, &good, "").replacen(" HTTP", " x HTTP", 1),
            ),
            (
                "HTTP/1.2",
                request("GET", PODS, &good, "").replacen("1.1", "1.2", 1),
            ),
            ("HTTP/0.9", format!("GET {PODS}\r\n\r\n")),
            (
                "http/1.1",
                request("GET", PODS, &good, "").replacen("HTTP", "http", 1),
            ),
            (
                "HTTP/2 in words",
                format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}", hidden()),
            ),
            (
                "chunks in HTTP/1.0",
                chunked(&chunk(BODY)).replacen("1.1", "1.0", 1),
            ),
        ] {
            trap.ends_at_the_parser(what, text.as_bytes()).await;
        }
        trap.still_serves().await;
    });
}

#[test]
fn threat_25_chunks_are_read_strictly_and_never_passed_on() {
    run(async {
        let trap = everything_allowed().await;
        for (what, body) in [
            (
                "LF after the size",
                format!("{:x}\n{BODY}\r\n0\r\n\r\n", BODY.len()),
            ),
            (
                "LF after the chunk",
                format!("{:x}\r\n{BODY}\n0\r\n\r\n", BODY.len()),
            ),
            (
                "nothing after the chunk",
                format!("{:x}\r\n{BODY}0\r\n\r\n", BODY.len()),
            ),
            ("more than the chunk", format!("5\r\n{BODY}\r\n0\r\n\r\n")),
            ("CR in the size", format!("1\r4\r\n{BODY}\r\n0\r\n\r\n")),
            (
                "LF in an extension",
                format!("{:x};a\nb\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
            ),
            (
                "a size in words",
                format!("0x{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
            ),
            (
                "a signed size",
                format!("+{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
            ),
            ("a negative size", format!("-1\r\n{BODY}\r\n0\r\n\r\n")),
            ("no size", format!("\r\n{BODY}\r\n0\r\n\r\n")),
            (
                "a space before the size",
                format!(" {:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
            ),
            (
                "a size beyond 64 bits",
                format!("10000000000000014\r\n{BODY}\r\n0\r\n\r\n"),
            ),
            (
                "extensions without end",
                format!(
                    "{:x};{}\r\n{BODY}\r\n0\r\n\r\n",
                    BODY.len(),
                    "a".repeat(20_000)
                ),
            ),
        ] {
            let text = chunked(&(body + &hidden()));
            trap.refuses_to_guess(what, &text).await;
        }
        // What is legal is read once, and framed anew; nothing behind it is read at all.
        trap.cluster.answer(Trap::created());
        let legal = format!(
            "5;a=b\r\n{}\r\n{:x} ;c=\"d\"\r\n{}\r\n0;e\r\nF: g\r\n\r\n",
            &BODY[..5],
            BODY.len() - 5,
            &BODY[5..]
        );
        for body in [chunk(BODY), legal] {
            let answer = trap
                .send_and_wait(chunked(&(body + &hidden())).as_bytes())
                .await
                .unwrap();
            assert_eq!(answer.status, 201, "{answer:?}");
            assert!(
                answer.closed && !answer.body.contains("HTTP/1.1"),
                "{answer:?}"
            );
            assert_eq!(answer.header("connection"), Some("close"));
            let seen = trap.cluster.last().unwrap().to_lowercase();
            let (head, body) = seen.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, BODY.to_lowercase());
            assert!(
                head.contains(&format!("content-length: {}", BODY.len())),
                "{head}"
            );
            assert!(!head.contains("transfer-encoding"), "{head}");
        }
        let seen = trap.cluster.requests.lock().unwrap().clone();
        assert!(
            seen.len() == 2 && !seen.concat().contains("smuggled"),
            "{seen:?}"
        );
    });
}
