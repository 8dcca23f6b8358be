//! Attacks that hide one request in another: in a body that nobody reads, in another
//! protocol, or for another server.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::desync::{BODY, CONFIG_MAPS, HIDDEN, chunk, hidden, post};
use super::targets::everything_allowed;
use super::trap::{Field, PODS, Trap, authorization, h2_fields, request};
use crate::harness::{run, world};

/// A request that is refused before its body was read: the body is nobody's request.
#[test]
fn threat_25_a_body_that_nobody_reads_is_no_request() {
    run(async {
        let trap = everything_allowed().await;
        let inner = hidden();
        let length = format!("Content-Length: {}\r\n", inner.len());
        let good = authorization();
        for (what, text, code) in [
            (
                "without a token",
                request("POST", CONFIG_MAPS, &length, &inner),
                401,
            ),
            (
                "with a bad token",
                request(
                    "POST",
                    CONFIG_MAPS,
                    &format!("Authorization: Bearer x\r\n{length}"),
                    &inner,
                ),
                401,
            ),
            (
                "to no cluster",
                request("POST", "/nowhere", &format!("{good}{length}"), &inner),
                404,
            ),
            (
                "with a bad path",
                request(
                    "POST",
                    "/clusters/local//x",
                    &format!("{good}{length}"),
                    &inner,
                ),
                400,
            ),
            (
                "in a GET",
                request("GET", PODS, &format!("{good}{length}"), &inner),
                413,
            ),
            (
                "of another type",
                request(
                    "POST",
                    CONFIG_MAPS,
                    &format!("{good}Content-Type: text/plain\r\n{length}"),
                    &inner,
                ),
                415,
            ),
            ("that is no JSON", post(&length, &inner), 400),
            (
                "that is awaited",
                request(
                    "POST",
                    CONFIG_MAPS,
                    &format!("Expect: 100-continue\r\n{length}"),
                    &inner,
                ),
                401,
            ),
            (
                "too long",
                post("Content-Length: 99999999\r\n", &inner),
                413,
            ),
            (
                "with two hosts",
                request(
                    "GET",
                    PODS,
                    &format!("{good}Host: evil.example\r\n{length}"),
                    &inner,
                ),
                400,
            ),
            (
                "that is zipped",
                post(&format!("Content-Encoding: gzip\r\n{length}"), &inner),
                400,
            ),
        ] {
            let answer = trap.send_and_wait(text.as_bytes()).await.expect(what);
            assert!(!answer.body.contains("HTTP/1.1"), "{what}: {answer:?}");
            trap.refused(what, &answer, code).await;
        }
        trap.still_serves().await;
    });
}

#[test]
fn threat_25_where_a_request_goes_the_configuration_says() {
    run(async {
        let trap = everything_allowed().await;
        let good = authorization();
        for target in [
            format!("https://evil.example{PODS}"),
            format!("http://localhost@evil.example:1{PODS}"),
        ] {
            let text =
                request("GET", &target, &good, "").replace("Host: localhost", "Host: evil.example");
            let answer = trap.send(text.as_bytes()).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            let seen = trap.cluster.last().unwrap();
            assert!(
                seen.starts_with("GET /api/v1/namespaces/default/pods HTTP/1.1\r\n"),
                "{seen}"
            );
            assert!(!seen.contains("evil"), "{seen}");
        }
        trap.cluster.requests.lock().unwrap().clear();
        for target in [
            "evil.example:443",
            "*",
            "//evil.example/clusters/local/api/v1/pods",
        ] {
            for method in ["GET", "CONNECT", "OPTIONS"] {
                let text = request(method, target, &good, "");
                let answer = trap.send(text.as_bytes()).await.unwrap();
                assert!(
                    matches!(answer.status, 400 | 404),
                    "{method} {target}: {answer:?}"
                );
                trap.nothing_passed(target);
            }
        }
    });
}

/// What is plain text in HTTP/2 would be a line's end, a length or a request in HTTP/1.1.
#[test]
fn threat_25_nothing_is_smuggled_through_http2() {
    run(async {
        let trap = everything_allowed().await;
        let token = format!("Bearer {}", world().agent_token());
        let inner = hidden();
        let chunks = chunk(BODY) + &inner;
        let line = format!("b\r\nHost: a\r\n\r\n{inner}");
        let method = format!("GET {PODS} HTTP/1.1\r\nHost: a\r\n\r\n");
        let path = format!("{PODS} HTTP/1.1\r\nHost: a\r\n\r\n{inner}");
        let cases: [(&str, &str, &str, &[Field]); 14] = [
            (
                "chunks",
                "POST",
                CONFIG_MAPS,
                &[(b"transfer-encoding", b"chunked")],
            ),
            (
                "a short length",
                "POST",
                CONFIG_MAPS,
                &[(b"content-length", b"5")],
            ),
            (
                "a long length",
                "POST",
                CONFIG_MAPS,
                &[(b"content-length", b"50000")],
            ),
            (
                "two lengths",
                "POST",
                CONFIG_MAPS,
                &[(b"content-length", b"5"), (b"content-length", b"6")],
            ),
            (
                "a length of no number",
                "POST",
                CONFIG_MAPS,
                &[(b"content-length", b"+5")],
            ),
            (
                "lines in a value",
                "POST",
                CONFIG_MAPS,
                &[(b"a", line.as_bytes())],
            ),
            ("LF in a value", "POST", CONFIG_MAPS, &[(b"a", b"b\nc: d")]),
            (
                "lines in a name",
                "POST",
                CONFIG_MAPS,
                &[(b"a: b\r\nc", b"d")],
            ),
            (
                "a name in capitals",
                "POST",
                CONFIG_MAPS,
                &[(b"Transfer-Encoding", b"chunked")],
            ),
            ("a request in the method", &method, CONFIG_MAPS, &[]),
            ("a request in the path", "POST", &path, &[]),
            (
                "two paths",
                "POST",
                CONFIG_MAPS,
                &[(b":path", HIDDEN.as_bytes())],
            ),
            (
                "an unknown pseudo-header",
                "POST",
                CONFIG_MAPS,
                &[(b":impersonate-user", b"admin")],
            ),
            (
                "a connection",
                "POST",
                CONFIG_MAPS,
                &[(b"proxy-connection", b"keep-alive")],
            ),
        ];
        for (what, method, path, more) in cases {
            let fields = h2_fields(method.as_bytes(), path, &token, more);
            let ended = trap.frames(&fields, Some(chunks.as_bytes())).await;
            assert_ne!(ended, "answer", "{what}");
            trap.nothing_passed(what);
        }
        let fields = h2_fields(
            b"POST",
            CONFIG_MAPS,
            &token,
            &[(b"content-type", b"application/json")],
        );
        trap.cluster.answer(Trap::created());
        let ended = trap.frames(&fields, Some(BODY.as_bytes())).await;
        assert_eq!(ended, "answer", "the same without an attack");
        let headers = [
            ("authorization", &*token),
            ("content-type", "application/json"),
        ];
        trap.cluster.answer(Trap::created());
        let answer = trap.send_h2("POST", CONFIG_MAPS, &headers, BODY).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    });
}

#[test]
fn threat_25_the_humans_door_is_as_strict() {
    run(async {
        let world = world();
        let good = format!("Authorization: Bearer {}\r\n", world.approver_token());
        for (lines, code) in [
            (String::new(), "200"),
            ("A: b\nTransfer-Encoding: chunked\r\n".to_owned(), "400"),
            (
                "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
                "400",
            ),
        ] {
            let mut stream = world.tls(world.gate.humans).await;
            let lines = format!("{good}Connection: close\r\n{lines}");
            let text = request("GET", "/api/v1/holds", &lines, "0\r\n\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {code}")),
                "{lines}: {answer}"
            );
        }
    });
}
