//! What a stranger may cost: heads, bodies and connections have limits and deadlines.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gateward::record::entry::Ended;
use http_body_util::{Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::hang_up::until;
use super::served::{Served, refused};
use crate::harness::{World, json_of, run, world};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A gate with little patience.
fn strict(world: &World, more: &[(&str, serde_json::Value)]) -> Served {
    let (configuration, _) = world.configured(|document| {
        let limits = &mut document["spec"]["limits"];
        *limits = json!({
            "handshakeTimeout": "1s", "bodyTimeout": "1s", "idleTimeout": "1s",
            "maxBodyBytes": 2048, "maxHeaderBytes": 8192,
        });
        for (name, value) in more {
            limits[*name] = value.clone();
        }
    });
    Served::start(&configuration)
}

/// All that comes until the other side closes, and after what time it did; at most 10 s.
async fn until_closed(mut stream: impl AsyncRead + Unpin) -> (String, Duration) {
    let begun = Instant::now();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(
        read.is_ok(),
        "never closed; {:?}",
        String::from_utf8_lossy(&answer)
    );
    (
        String::from_utf8_lossy(&answer).into_owned(),
        begun.elapsed(),
    )
}

fn head(world: &World, method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} /clusters/local{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{more}\r\n",
        world.agent_token()
    )
}

#[test]
fn threat_24_a_body_over_the_limit_is_refused_with_the_limit() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        let long = "x".repeat(200_000);
        let by_length = gate.ask(world, "POST", MAPS).body(long.clone());
        let chunks = Frame::data(Bytes::from(long.clone()));
        let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(chunks)]);
        let chunks = reqwest::Body::wrap(StreamBody::new(chunks));
        let by_chunks = gate.ask(world, "POST", MAPS).body(chunks);
        for request in [by_length, by_chunks] {
            let request = request.header("content-type", "application/json");
            let (status, document) = json_of(request).await;
            assert_eq!(
                (status, &document["reason"]),
                (413, &json!("RequestEntityTooLarge"))
            );
            let message = document["message"].as_str().unwrap();
            assert!(message.contains("longer than 2048 bytes"), "{message}");
        }
        // The same over HTTP/1.1: with a length, which is refused before a byte of the body
        // has come, and in chunks.
        for rest in ["Content-Length: 4096\r\n", "Transfer-Encoding: chunked\r\n"] {
            let mut stream = world.tls(gate.agents).await;
            let mut request = head(world, "POST", MAPS, rest);
            if rest.starts_with('T') {
                request.push_str(&format!("c00\r\n{}\r\n", &long[..0xc00]));
            }
            stream.write_all(request.as_bytes()).await.unwrap();
            let (answer, _) = until_closed(stream).await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
            assert!(answer.contains("longer than 2048 bytes"), "{answer}");
        }
        let record = refused(&gate.stop(), MAPS).unwrap();
        assert_eq!((record.status, record.ended), (Some(413), Ended::Refused));
        assert_eq!(record.who.agent.as_deref(), Some("triage-bot"));
    });
}

/// A client that sends all before it reads must hear the reason, not a broken connection.
#[test]
fn a_refused_body_does_not_cost_its_client_the_answer() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        for _ in 0..20 {
            let mut stream = world.tls(gate.agents).await;
            let request = head(world, "POST", MAPS, "Content-Length: 1000000\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let _ = stream.write_all(&[b' '; 1_000_000]).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", answer.len());
        }
    });
}

#[test]
fn threat_24_a_body_that_trickles_is_refused_in_time() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        let mut stream = world.tls(gate.agents).await;
        let head = head(world, "POST", MAPS, "Content-Length: 1000\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (answers, mut body) = tokio::io::split(stream);
        let trickle = async {
            while body.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let (answer, after) = tokio::select! {
            closed = until_closed(answers) => closed,
            () = trickle => panic!("no answer"),
        };
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("did not arrive in time"), "{answer}");
        assert!(after < Duration::from_secs(5), "{after:?}");
        assert_eq!(refused(&gate.stop(), MAPS).unwrap().status, Some(408));
    });
}

#[test]
fn threat_24_a_body_that_never_comes_is_refused_in_time_over_http2() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        let never = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        let never = reqwest::Body::wrap(StreamBody::new(never));
        let request = gate.ask(world, "POST", MAPS);
        let request = request
            .header("content-type", "application/json")
            .body(never);
        let (status, document) = json_of(request).await;
        assert_eq!((status, &document["kind"]), (408, &json!("Status")));
    });
}

#[test]
fn threat_24_slow_heads_idle_connections_and_half_open_handshakes_end() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        let slow_head = async {
            let mut stream = world.tls(gate.agents).await;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
            let (reading, mut writing) = tokio::io::split(stream);
            let trickle = async {
                while writing.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                std::future::pending().await
            };
            tokio::select! {
                closed = until_closed(reading) => closed,
                never = trickle => never,
            }
        };
        let silent = async { until_closed(world.tls(gate.agents).await).await };
        let after_an_answer = async {
            let mut stream = world.tls(gate.agents).await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            until_closed(stream).await
        };
        let half_open = async {
            let mut stream = TcpStream::connect(gate.agents).await.unwrap();
            stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
            until_closed(stream).await
        };
        let plain = async { until_closed(TcpStream::connect(gate.humans).await.unwrap()).await };
        let no_tls = async {
            let mut stream = TcpStream::connect(gate.operators).await.unwrap();
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nHost")
                .await
                .unwrap();
            until_closed(stream).await
        };
        let all = tokio::join!(slow_head, silent, after_an_answer, half_open, plain, no_tls);
        for (name, (answer, after)) in [
            ("slow head", all.0),
            ("silent", all.1),
            ("after an answer", all.2),
            ("half open", all.3),
            ("plain", all.4),
            ("no tls", all.5),
        ] {
            assert!(after < Duration::from_secs(4), "{name}: {after:?}");
            let expected = if name == "after an answer" {
                "HTTP/1.1 401"
            } else {
                ""
            };
            assert!(answer.starts_with(expected), "{name}: {answer}");
        }
    });
}

#[test]
fn threat_24_an_idle_http2_connection_ends_though_its_client_answers_pings() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        let stream = TokioIo::new(world.tls_h2(gate.agents).await);
        let (mut requests, connection) =
            hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(
                TokioExecutor::new(),
                stream,
            )
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::get("https://localhost/").body(Empty::new());
        let answer = requests.send_request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401);
        let ended = tokio::time::timeout(Duration::from_secs(6), connection).await;
        assert!(ended.is_ok(), "an idle connection was kept");
    });
}

#[test]
fn a_quiet_watch_is_not_idle() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        let namespace = world.namespace("quiet");
        let path = format!("/api/v1/namespaces/{namespace}/pods?watch=true");
        let mut watch = gate.ask(world, "GET", &path).send().await.unwrap();
        assert_eq!(watch.status(), 200);
        let event = tokio::time::timeout(Duration::from_secs(4), watch.chunk()).await;
        assert!(event.is_err(), "it ended, or spoke: {event:?}");
        let pod = crate::harness::pod("late", false).to_string();
        let file = world.dir.join("late.json");
        std::fs::write(&file, pod).unwrap();
        let file = file.to_str().unwrap();
        world
            .scene
            .control
            .kubectl(&["-n", &namespace, "create", "-f", file])
            .unwrap();
        let event = watch.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&event).contains("ADDED"));
    });
}

#[test]
fn threat_24_a_head_over_the_limit_is_refused() {
    run(async {
        let world = world();
        let gate = strict(world, &[]);
        let long = "x".repeat(20_000);
        let over_h2 = gate
            .ask(world, "GET", MAPS)
            .header("x-long", &long)
            .send()
            .await;
        assert_eq!(over_h2.unwrap().status(), 431);
        let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
        for fields in [format!("x-long: {long}\r\n"), many] {
            let mut stream = world.tls(gate.agents).await;
            let request = head(world, "GET", MAPS, &fields);
            stream.write_all(request.as_bytes()).await.unwrap();
            let (answer, _) = until_closed(stream).await;
            assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
        assert_eq!(json_of(gate.ask(world, "GET", MAPS)).await.0, 200);
    });
}

#[test]
fn threat_24_connections_over_the_limit_wait_and_strangers_cannot_hold_the_door() {
    run(async {
        let world = world();
        let gate = strict(
            world,
            &[("maxConnections", json!(2)), ("idleTimeout", json!("2s"))],
        );
        let first = world.tls(gate.agents).await;
        let _second = world.tls(gate.agents).await;
        let third = async { world.tls(gate.agents).await };
        tokio::pin!(third);
        let early = tokio::time::timeout(Duration::from_millis(500), &mut third).await;
        assert!(early.is_err(), "a third connection was served");
        drop(first);
        let soon = tokio::time::timeout(Duration::from_millis(500), &mut third).await;
        assert!(soon.is_ok(), "the place of a closed connection stays empty");
        // Two idle strangers hold both places now; they lose them.
        let answer = gate.ask(world, "GET", MAPS).timeout(Duration::from_secs(8));
        assert_eq!(json_of(answer).await.0, 200);
        // The humans' door has places of its own.
        assert_eq!(
            json_of(gate.human(world, "GET", "/api/v1/holds")).await.0,
            200
        );
    });
}

/// `/proc/net/tcp` shows timer 2 (keep-alive) for the gate's end of the connection, once all
/// that it sent has arrived.
#[test]
fn a_client_that_vanishes_without_a_word_is_found_out() {
    run(async {
        let world = world();
        let gate = strict(world, &[("idleTimeout", json!("30s"))]);
        let stream = world.tls(gate.agents).await;
        let ours = stream.get_ref().0.local_addr().unwrap().port();
        let ends = format!("0100007F:{:04X} 0100007F:{ours:04X} 01", gate.agents.port());
        until("no keep-alive", || async {
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let row = table.lines().find(|row| row.contains(&ends)).unwrap();
            row.split_whitespace().nth(5).unwrap().starts_with("02:")
        })
        .await;
    });
}
