//! ⑨ Answers that are no plain 200: without a body, cut, endless, huge, late.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gateward::demo::scene::CLUSTER;
use gateward::mask::MASK_BASE64;
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::{Value, json};

use super::upstream::{broken, data, gate_before, json_answer, pieces, stalled, upstream, whole};
use super::{entries_soon, send};
use crate::harness::{run, world};

const PODS: &str = "/api/v1/namespaces/n/pods";

#[test]
fn answers_without_a_body_have_none_and_promise_none() {
    run(async {
        let world = world();
        let namespace = world.namespace("bodiless");
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        // The API server itself knows no HEAD on resources.
        let head = send(world.ask("HEAD", &path)).await;
        assert_eq!((head.status, &*head.text), (405, ""));
        assert_eq!(head.header("content-length"), None, "{:?}", head.headers);
        let refused = send(world.ask("HEAD", "/api/v1//pods")).await;
        assert_eq!((refused.status, &*refused.text), (400, ""));

        let cluster = upstream(|request| async move {
            let status = request
                .uri()
                .path()
                .rsplit('/')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            whole(status, "")
        })
        .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        // On one connection: a byte too many would be taken for the next answer.
        let request = |method: &str, name: &str, connection: &str| {
            format!(
                "{method} /clusters/{CLUSTER}{PODS}/{name} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
                 Authorization: Bearer {}\r\nConnection: {connection}\r\n\r\n",
                world.agent_token()
            )
        };
        let all = [
            request("GET", "204", "keep-alive"),
            request("GET", "304", "keep-alive"),
            request("HEAD", "200", "keep-alive"),
            request("GET", "404", "close"),
        ];
        let answer = world.raw(&gate, all.concat().as_bytes()).await;
        let heads: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).collect();
        assert_eq!(heads.len(), 4, "{answer}");
        for (head, status) in heads.iter().zip(["204", "304", "200"]) {
            assert!(head.starts_with(status), "{answer}");
            let (fields, body) = head.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, "", "{answer}");
            let fields = fields.to_ascii_lowercase();
            assert!(
                !fields.contains("content-length") && !fields.contains("transfer-encoding"),
                "{head}"
            );
        }
        gate.stop().await;
    });
}

#[test]
fn lengths_are_those_of_the_masked_body() {
    run(async {
        let world = world();
        let secret = json!({"kind": "Secret", "apiVersion": "v1", "data": {"a": STANDARD.encode("x".repeat(5000))}});
        let answer = secret.to_string();
        let cluster = upstream(move |_| {
            let answer = answer.clone();
            async { whole(200, answer) }
        })
        .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        let answer = send(world.ask_at(&gate, "GET", "/api/v1/namespaces/n/secrets/s")).await;
        assert_eq!(answer.json()["data"]["a"], MASK_BASE64);
        assert_eq!(
            answer.header("content-length"),
            Some(&*answer.text.len().to_string())
        );
        gate.stop().await;
    });
}

#[test]
fn a_list_of_many_secrets_is_masked_whole_while_it_flows() {
    run(async {
        let world = world();
        const ITEMS: usize = 5000;
        let value = STANDARD.encode("s3cr3t".repeat(200));
        let item = json!({"metadata": {"name": "s", "annotations": {"note": "x".repeat(100)}}, "data": {"k": value}}).to_string();
        let cluster = upstream(move |_| {
            let mut frames = vec![data(
                "{\"kind\":\"SecretList\",\"apiVersion\":\"v1\",\"items\":[",
            )];
            for number in 0..ITEMS {
                // Cut in the middle of the value.
                let (one, two) = item.split_at(item.len() / 2);
                frames.extend([
                    data(if number == 0 { "" } else { "," }),
                    data(one),
                    data(two),
                ]);
            }
            frames.push(data("]}"));
            async { pieces(200, frames) }
        })
        .await;
        let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
        let answer = send(world.ask_at(&gate, "GET", "/api/v1/secrets")).await;
        assert!(
            !answer.text.contains(&STANDARD.encode("s3cr3t")),
            "a value passed"
        );
        let list = answer.json();
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.len(), ITEMS);
        assert!(items.iter().all(|item| item["data"]["k"] == MASK_BASE64));
        let outcome = &entries_soon(&kept, answer.id(), 2).await[1]["outcome"];
        assert_eq!(outcome["masked"][0][1], json!(ITEMS));
        assert_eq!(outcome["bytes"], json!(answer.text.len()));
        gate.stop().await;
    });
}

#[test]
fn a_long_answer_that_breaks_off_does_not_look_whole() {
    run(async {
        let world = world();
        let cluster = upstream(|_| async {
            let filler = format!(
                "{{\"kind\":\"PodList\",\"items\":[],\"x\":\"{}",
                "y".repeat(200_000)
            );
            pieces(200, vec![data(&filler), broken()])
        })
        .await;
        let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
        for http_1 in [true, false] {
            let request = world.ask_at(&gate, "GET", PODS).build().unwrap();
            let client = if http_1 {
                http_1_client()
            } else {
                world.client()
            };
            let response = client.execute(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let id = response.headers()["audit-id"].to_str().unwrap().to_owned();
            assert!(
                response.bytes().await.is_err(),
                "half an answer looked whole"
            );
            let outcome = &entries_soon(&kept, &id, 2).await[1]["outcome"];
            assert_eq!(outcome["ended"], "upstream-failed", "{outcome}");
        }
        gate.stop().await;
    });
}

pub fn http_1_client() -> reqwest::Client {
    let pem = std::fs::read(world().scene.file("gate-ca.pem")).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .http1_only()
        .build()
        .unwrap()
}

#[test]
fn a_watch_passes_events_as_they_come_and_ends_as_the_cluster_ends_it() {
    run(async {
        let world = world();
        let event =
            |kind: &str, object: Value| json!({"type": kind, "object": object}).to_string() + "\n";
        let added = event("ADDED", json!({"kind": "Pod", "metadata": {"name": "p"}}));
        let error = event(
            "ERROR",
            json!({"kind": "Status", "status": "Failure", "message": "too old", "reason": "Expired", "code": 410}),
        );
        let (first, last) = (added.clone(), error.clone());
        let cluster = upstream(move |_| {
            let frames = vec![data(&first), data(&last)];
            async { pieces(200, frames) }
        })
        .await;
        let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
        let answer = send(world.ask_at(&gate, "GET", &format!("{PODS}?watch=1"))).await;
        assert_eq!((answer.status, &*answer.text), (200, &*(added + &error)));
        let outcome = &entries_soon(&kept, answer.id(), 2).await[1]["outcome"];
        assert_eq!(outcome["ended"], "complete");
        gate.stop().await;

        // An event that has come is not held back by the one that has not.
        let cluster = upstream(|_| async {
            stalled(
                200,
                "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\"}}\n{\"ty",
            )
        })
        .await;
        let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
        let mut watch = world
            .ask_at(&gate, "GET", &format!("{PODS}?watch=1"))
            .send()
            .await
            .unwrap();
        let id = watch.headers()["audit-id"].to_str().unwrap().to_owned();
        let chunk = tokio::time::timeout(Duration::from_secs(5), watch.chunk())
            .await
            .unwrap();
        assert!(chunk.unwrap().unwrap().starts_with(b"{\"type\":\"ADDED\""));
        drop(watch);
        let outcome = &entries_soon(&kept, &id, 2).await[1]["outcome"];
        assert_eq!(outcome["ended"], "client-gone");
        gate.stop().await;

        // A watch that is refused is answered at once and whole.
        let gone = json!({"kind": "Status", "status": "Failure", "message": "too old", "reason": "Expired", "code": 410});
        let cluster = upstream(move |_| {
            let gone = gone.clone();
            async move { json_answer(410, &gone) }
        })
        .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        let answer = send(world.ask_at(&gate, "GET", &format!("{PODS}?watch=1"))).await;
        assert_eq!(
            (answer.status, &answer.json()["reason"]),
            (410, &json!("Expired"))
        );
        assert_eq!(
            answer.header("content-length"),
            Some(&*answer.text.len().to_string())
        );
        gate.stop().await;
    });
}

#[test]
fn a_cluster_that_stops_in_its_answer_is_not_waited_for_forever() {
    run(async {
        let world = world();
        let cluster = upstream(|_| async { stalled(200, "{\"kind\":\"Pod\",") }).await;
        let change = |document: &mut Value| {
            document["spec"]["limits"] = json!({"upstreamResponseTimeout": "1s"})
        };
        let (gate, kept) = gate_before(world, &cluster, change).await;
        for method in ["GET", "POST"] {
            let begun = Instant::now();
            let request = world.ask_at(&gate, method, PODS);
            let answer = send(match method {
                "POST" => request.json(&json!({"kind": "Pod"})),
                _ => request,
            })
            .await;
            assert_eq!(answer.status, 504, "{method}: {}", answer.text);
            assert!(
                answer.message().contains("look before you repeat"),
                "{}",
                answer.text
            );
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{:?}",
                begun.elapsed()
            );
            let outcome = &entries_soon(&kept, answer.id(), 2).await[1]["outcome"];
            assert_eq!(outcome["ended"], "upstream-failed", "{outcome}");
        }
        gate.stop().await;
    });
}

#[test]
fn what_is_no_json_answer_is_refused_or_replaced() {
    run(async {
        let world = world();
        let cluster = upstream(|request| async move {
            let mut response = match request.uri().path().rsplit('/').next().unwrap() {
                "redirect" => whole(302, ""),
                "zipped" => whole(200, "\u{1f}"),
                "text" => whole(200, "password=hunter2"),
                "truncated" => whole(200, "{\"kind\":\"Pod\""),
                "two" => whole(200, "{\"kind\":\"Pod\"}{\"kind\":\"Pod\"}"),
                "empty" => whole(200, ""),
                "error" => whole(500, "password=hunter2"),
                _ => {
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert("x-secret", "hunter2".parse().unwrap());
                    let end = Ok(Frame::<Bytes>::trailers(trailers));
                    pieces(200, vec![data("{\"kind\":\"Pod\"}"), end])
                }
            };
            let kind = match request.uri().path().rsplit('/').next().unwrap() {
                "text" | "error" => "text/plain",
                _ => "application/json",
            };
            response
                .headers_mut()
                .insert("content-type", kind.parse().unwrap());
            if request.uri().path().ends_with("zipped") {
                response
                    .headers_mut()
                    .insert("content-encoding", "gzip".parse().unwrap());
            }
            response.headers_mut().insert(
                "location",
                "https://elsewhere.test/hunter2".parse().unwrap(),
            );
            response
                .headers_mut()
                .insert("set-cookie", "hunter2=1".parse().unwrap());
            response.map(BodyExt::boxed)
        })
        .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        for (name, status) in [
            ("redirect", 502),
            ("zipped", 502),
            ("text", 502),
            ("truncated", 502),
            ("two", 502),
            ("empty", 502),
            ("error", 500),
            ("trailers", 200),
        ] {
            let answer = send(world.ask_at(&gate, "GET", &format!("{PODS}/{name}"))).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.text);
            if status != 200 {
                answer.message();
            }
            let all = format!("{:?}{}", answer.headers, answer.text);
            assert!(!all.contains("hunter2"), "{name}: {all}");
        }
        gate.stop().await;
    });
}
