//! ⑨ Answers that are packed with gzip: for whom, and that half of one never looks whole.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::{RequestBuilder, Response};
use serde_json::json;

use super::answers::http_1_client;
use super::upstream::{Body, broken, data, gate_before, pieces, upstream};
use super::{aside, entries_soon, said};
use crate::harness::{World, run, world};

/// Words that cannot be packed into a few bytes, and in which nothing is found.
fn words(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| {
        let bytes = n.wrapping_mul(2_654_435_761).to_be_bytes();
        let letters = bytes.iter().flat_map(|byte| [byte / 16, byte % 16]);
        letters.map(|letter| char::from(b'a' + letter)).collect()
    })
}

/// The same as one text of nine bytes a word.
fn filler(count: u32) -> String {
    words(count).map(|word| word + " ").collect()
}

fn unpacked(packed: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text)?;
    Ok(text)
}

fn is_packed(answer: &Response) -> bool {
    let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap());
    let packed = header("content-encoding") == Some("gzip");
    assert_eq!(packed, header("vary") == Some("Accept-Encoding"));
    assert!(!packed || header("content-length").is_none());
    packed
}

/// The record of an answer, without what differs from one to the next.
async fn recorded(world: &World, answer: &Response) -> serde_json::Value {
    let id = answer.headers()["audit-id"].to_str().unwrap();
    let mut entry = entries_soon(&world.dir.join("data"), id, 2).await.remove(1);
    entry["outcome"]
        .as_object_mut()
        .unwrap()
        .remove("durationUs");
    entry["outcome"].take()
}

#[test]
fn a_long_answer_is_packed_for_who_takes_it_and_recorded_unpacked() {
    run(async {
        let world = world();
        let namespace = world.namespace("packed");
        let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
        for (name, words) in [("long", 30_000), ("short", 10_000)] {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                "data": {"text": filler(words), "key": "password: x9Kf2mQ7wLp4"}});
            world.admin_creates(&namespace, &map);
        }
        let ask = |path: &str, coding: &str| {
            let request = world.ask("GET", &format!("{maps}{path}"));
            request.header("accept-encoding", coding)
        };
        let plain = world.ask("GET", &format!("{maps}/long"));
        let plain = plain.send().await.unwrap();
        assert!(!is_packed(&plain));
        let expected = recorded(world, &plain).await;
        let plain = plain.text().await.unwrap();
        assert!(plain.contains("gateward:masked") && !plain.contains("x9Kf2mQ7wLp4"));

        let http_1 = |request: RequestBuilder| {
            let request = request.build().unwrap();
            async { http_1_client().execute(request).await.unwrap() }
        };
        for packed in [
            ask("/long", "gzip").send().await.unwrap(),
            http_1(ask("/long", "deflate, gzip;q=0.5")).await,
        ] {
            assert!(is_packed(&packed), "{:?}", packed.headers());
            assert_eq!(recorded(world, &packed).await, expected);
            let bytes = packed.bytes().await.unwrap();
            assert!(bytes.len() < plain.len() * 9 / 10, "{}", bytes.len());
            assert_eq!(unpacked(&bytes).unwrap(), plain);
        }
        for (path, coding) in [
            ("/long", "gzip;q=0"),
            ("/long", "br"),
            ("/short", "gzip"),
            ("?watch=1&timeoutSeconds=1", "gzip"),
            ("/missing", "gzip"),
        ] {
            let answer = ask(path, coding).send().await.unwrap();
            assert!(!is_packed(&answer), "{path} {coding}");
            let text = answer.text().await.unwrap();
            assert!(text.starts_with('{') && !text.contains("x9Kf2mQ7wLp4"));
        }
    });
}

#[test]
fn kubectl_takes_packed_answers() {
    run(async {
        let world = world();
        let namespace = world.namespace("packed-kubectl");
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "long"},
            "data": {"text": filler(30_000)}});
        world.admin_creates(&namespace, &map);
        for (compression, packed) in [
            ("--disable-compression=false", true),
            ("--disable-compression", false),
        ] {
            let arguments = [
                "-n",
                &namespace,
                "get",
                "configmap",
                "long",
                "-v=8",
                compression,
                "-o",
                "jsonpath={.data.text}",
            ];
            let arguments: Vec<String> = arguments.map(str::to_owned).into();
            let output = aside(move || {
                let arguments: Vec<&str> = arguments.iter().map(|a| &**a).collect();
                world.kubectl(&arguments)
            });
            let (out, err) = said(&output.await);
            assert_eq!(out, filler(30_000), "{err}");
            // Go unpacks it and takes the header away that says so.
            assert_eq!(err.contains("Vary: Accept-Encoding"), packed, "{err}");
        }
    });
}

#[test]
fn threat_18_a_packed_answer_that_is_cut_does_not_look_whole() {
    run(async {
        let world = world();
        let ends: [fn(&str) -> http::Response<Body>; 3] = [
            |long| pieces(200, vec![data(long), broken()]),
            // In the middle of the document.
            |long| pieces(200, vec![data(long)]),
            // With what cannot be masked.
            |long| pieces(200, vec![data(long), data("\n")]),
        ];
        for end in ends {
            let cluster = upstream(move |_| async move {
                let words: Vec<String> = words(80_000).collect();
                let words = words.join("\",\"");
                end(&format!("{{\"kind\":\"PodList\",\"x\":[\"{words}"))
            })
            .await;
            let (gate, kept) = gate_before(world, &cluster, |_| {}).await;
            for client in [http_1_client(), world.client()] {
                let request = world.ask_at(&gate, "GET", "/api/v1/namespaces/n/pods");
                let request = request.header("accept-encoding", "gzip").build().unwrap();
                let mut answer = client.execute(request).await.unwrap();
                assert!(is_packed(&answer), "{:?}", answer.headers());
                let id = answer.headers()["audit-id"].to_str().unwrap().to_owned();
                let mut packed = Vec::new();
                let error = loop {
                    match answer.chunk().await {
                        Ok(Some(piece)) => packed.extend_from_slice(&piece),
                        Ok(None) => panic!("half an answer looked whole"),
                        Err(error) => break error,
                    }
                };
                assert!(packed.len() > 50_000, "{}: {error}", packed.len());
                let error = unpacked(&packed).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
                let outcome = &entries_soon(&kept, &id, 2).await[1]["outcome"];
                assert_ne!(outcome["ended"], "complete", "{outcome}");
            }
            gate.stop().await;
        }
    });
}
