//! What people, and programs in their name, send to the humans' door.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use super::served::Served;
use crate::harness::{World, json_of, run, world};

const VOTES: &str = "/api/v1/holds/no-such-hold/votes";

fn served(world: &World) -> Served {
    let (configuration, _) = world.configured(|document| {
        document["spec"]["limits"] = json!({"bodyTimeout": "1s"});
    });
    Served::start(&configuration)
}

#[test]
fn votes_and_queries_that_cannot_be_read_are_refused_with_a_sentence() {
    run(async {
        let world = world();
        let gate = served(world);
        let bodies = [
            ("", "JSON"),
            ("{", "JSON"),
            ("[]", "Vote"),
            (r#"{"answer": 1}"#, "answer"),
            (r#"{"answer": "perhaps"}"#, "perhaps"),
            (r#"{"answer": "approve", "comment": []}"#, "comment"),
            (r#"{"answer": "approve", "commment": "x"}"#, "commment"),
            (r#"{"answer": "approve", "answer": "deny"}"#, "answer"),
        ];
        for (body, part) in bodies {
            let vote = gate.human(world, "POST", VOTES);
            let vote = vote.header("content-type", "application/json").body(body);
            let (status, answer) = json_of(vote).await;
            assert_eq!(
                (status, &answer["kind"]),
                (400, &json!("Status")),
                "{body}: {answer}"
            );
            assert!(
                answer["message"].as_str().unwrap().contains(part),
                "{body}: {answer}"
            );
        }
        for query in [
            "/api/v1/holds?state=maybe",
            "/api/v1/holds?stat=pending",
            "/api/v1/records?limit=-1",
            "/api/v1/records?since=yesterday",
            "/api/v1/records?agnet=x",
            "/api/v1/sessions?since=1",
            "/api/v1/review/usage",
        ] {
            let (status, answer) = json_of(gate.human(world, "GET", query)).await;
            assert_eq!(
                (status, &answer["kind"]),
                (400, &json!("Status")),
                "{query}: {answer}"
            );
        }
        let no_such = gate
            .human(world, "POST", VOTES)
            .json(&json!({"answer": "approve"}));
        assert_eq!(json_of(no_such).await.0, 404);
    });
}

#[test]
fn threat_24_bodies_of_people_have_a_limit_and_a_deadline() {
    run(async {
        let world = world();
        let gate = served(world);
        let long = gate.human(world, "POST", VOTES).body("x".repeat(200_000));
        let (status, answer) = json_of(long).await;
        assert_eq!(
            (status, &answer["kind"]),
            (413, &json!("Status")),
            "{answer}"
        );
        assert!(
            answer["message"].as_str().unwrap().contains("65536 bytes"),
            "{answer}"
        );
        let never = || {
            let never = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
            reqwest::Body::wrap(StreamBody::new(never))
        };
        let (status, answer) = json_of(gate.human(world, "POST", VOTES).body(never())).await;
        assert_eq!(
            (status, &answer["kind"]),
            (408, &json!("Status")),
            "{answer}"
        );
        // A stranger's body is not even read.
        let url = format!("https://localhost:{}{VOTES}", gate.humans.port());
        let stranger = world
            .client()
            .post(url)
            .timeout(Duration::from_millis(800))
            .body(never());
        assert_eq!(json_of(stranger).await.0, 401);
    });
}
