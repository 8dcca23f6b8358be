//! Attacks on what the gate itself keeps and tells: a value that is planted as a secret, or as
//! a token, must not be found in anything but the cluster.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gateward::demo::scene::CLUSTER;
use serde_json::{Value, json};

use super::stage::{Stage, everything, ruled};
use crate::canaries::{Served, around, files, forms, found};
use crate::harness::{run, world};

/// A value that stands nowhere else in the world.
fn canary(kind: &str) -> String {
    format!("canary{kind}{}", uuid::Uuid::new_v4().simple())
}

/// Everything that was planted, and everything that was answered.
struct Hunt {
    served: Served,
    client: reqwest::Client,
    agent: String,
    person: String,
    planted: Vec<String>,
    answers: Vec<(String, Vec<u8>)>,
}

impl Hunt {
    fn plant(&mut self, kind: &str) -> String {
        let canary = canary(kind);
        self.planted.push(canary.clone());
        canary
    }

    /// Sends as the agent; the status.
    async fn send(&mut self, method: &str, path: &str, content_type: &str, body: &str) -> u16 {
        let url = self.served.agents(&format!("/clusters/{CLUSTER}{path}"));
        let request = self.client.request(method.parse().unwrap(), url);
        let request = request
            .bearer_auth(&self.agent)
            .header("content-type", content_type);
        self.take(request.body(body.to_owned())).await
    }

    async fn take(&mut self, request: reqwest::RequestBuilder) -> u16 {
        let answer = request.send().await.unwrap();
        let (status, what) = (answer.status().as_u16(), answer.url().path().to_owned());
        let mut bytes = format!("{:?}\n", answer.headers()).into_bytes();
        bytes.extend(answer.bytes().await.unwrap());
        self.answers.push((format!("{status} {what}"), bytes));
        status
    }

    /// As the approver and auditor; the last answer's body.
    async fn look(&mut self, path: &str) -> Value {
        let request = self.client.get(self.served.humans(path));
        let request = request.bearer_auth(&self.person);
        let status = self.take(request).await;
        let (_, bytes) = self.answers.last().unwrap();
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(text.split_once('\n').unwrap().1).unwrap()
    }
}

const JSON: &str = "application/json";

#[test]
fn threat_20_no_secret_and_no_token_is_found_in_what_the_gate_keeps_or_says() {
    run(async {
        let (open, held) = (
            world().namespace("threat-20"),
            world().namespace("threat-20-held"),
        );
        let mut hold = everything("hold");
        hold["namespaces"] = json!([held]);
        let (configuration, data) =
            world().configured(|document| ruled(document, json!([everything("allow"), hold])));
        let log = data.with_extension("log");
        let (agent, person) = (world().agent_token(), world().approver_token());
        let mut hunt = Hunt {
            served: Served::start(&configuration, &log),
            client: world().client(),
            planted: vec![agent.clone(), person.clone()],
            agent,
            person,
            answers: Vec::new(),
        };
        reads(&mut hunt, &open).await;
        writes(&mut hunt, &open).await;
        failing_writes(&mut hunt, &open).await;
        held_writes(&mut hunt, &held).await;
        tokens(&mut hunt).await;
        told_to_people(&mut hunt).await;

        let Hunt {
            served,
            planted,
            answers,
            ..
        } = hunt;
        served.stop();
        let mut places = answers;
        places.push(("the log".to_owned(), std::fs::read(&log).unwrap()));
        places.extend(files(&data).unwrap());
        assert!(planted.len() > 20 && places.len() > 60);
        let mut leaks = Vec::new();
        for canary in &planted {
            let forms = forms(canary);
            for (place, bytes) in &places {
                if let Some(form) = found(&forms, bytes) {
                    leaks.push(format!("{place}: {}", around(bytes, &form)));
                }
            }
        }
        assert!(
            leaks.is_empty(),
            "{} leaks:\n{}",
            leaks.len(),
            leaks.join("\n")
        );
        // The places are the right ones, and what was planted is where it belongs.
        let said = |place: &str, text: &str| {
            let mut places = places.iter().filter(|(name, _)| name.contains(place));
            assert!(
                places.any(|(_, bytes)| memchr::memmem::find(bytes, text.as_bytes()).is_some()),
                "{place} does not say {text}"
            );
        };
        said("the log", "refused");
        said("the log", "TRACE");
        said("gateward.db", "secrets");
        said("/ledger/", "tokenreviews");
        said("/blobs/", "gateward:masked");
        let get = ["get", "secrets", "-n", &open, "-o", "json"];
        let kept = world().scene.control.kubectl(&get).unwrap();
        assert!(found(&forms(&planted[2]), kept.as_bytes()).is_some());
    });
}

async fn reads(hunt: &mut Hunt, namespace: &str) {
    let value = hunt.plant("Read");
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": namespace},
        "stringData": {"password": value},
    });
    world().scene.control.apply(&manifest.to_string()).unwrap();
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    for path in [
        format!("{secrets}/db"),
        secrets.clone(),
        format!("{secrets}?watch=1&timeoutSeconds=1"),
        format!("{secrets}?fieldSelector=metadata.name%3Ddb"),
    ] {
        assert_eq!(hunt.send("GET", &path, JSON, "").await, 200, "{path}");
    }
    for accept in [
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    ] {
        let path = format!("/clusters/{CLUSTER}{secrets}?includeObject=Object");
        let request = hunt.client.get(hunt.served.agents(&path));
        let request = request.bearer_auth(&hunt.agent).header("accept", accept);
        assert!([200, 400, 406].contains(&hunt.take(request).await));
    }
}

async fn writes(hunt: &mut Hunt, namespace: &str) {
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let one = format!("{secrets}/made");
    let value = hunt.plant("Create");
    let last = json!({"stringData": {"a": value}}).to_string();
    let body = json!({
        "kind": "Secret", "apiVersion": "v1", "stringData": {"a": value},
        "data": {"b": STANDARD.encode(&value)},
        "metadata": {"name": "made", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last}},
    });
    assert_eq!(
        hunt.send("POST", &secrets, JSON, &body.to_string()).await,
        201
    );
    let value = hunt.plant("Yaml");
    let body =
        format!("kind: Secret\nmetadata: {{name: yaml}}\nstringData:\n  a: |\n    {value}\n");
    assert_eq!(
        hunt.send("POST", &secrets, "application/yaml", &body).await,
        201
    );
    let value = hunt.plant("Update");
    let body = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "made"}, "stringData": {"a": value}});
    assert_eq!(hunt.send("PUT", &one, JSON, &body.to_string()).await, 200);
    for content_type in [
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ] {
        let body = json!({"stringData": {"a": hunt.plant("Merge")}});
        assert_eq!(
            hunt.send("PATCH", &one, content_type, &body.to_string())
                .await,
            200
        );
    }
    let value = STANDARD.encode(hunt.plant("Patch"));
    let body = json!([
        {"op": "add", "path": "/data/c", "value": value}, {"op": "replace", "path": "/data", "value": {"d": value}},
    ]);
    assert_eq!(
        hunt.send(
            "PATCH",
            &one,
            "application/json-patch+json",
            &body.to_string()
        )
        .await,
        200
    );
    let value = STANDARD.encode(hunt.plant("Apply"));
    let body = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "made"}, "data": {"e": value}});
    let apply = format!("{one}?fieldManager=x&force=true");
    assert_eq!(
        hunt.send(
            "PATCH",
            &apply,
            "application/apply-patch+yaml",
            &body.to_string()
        )
        .await,
        200
    );
    // Long enough to be kept as a blob.
    let value = hunt.plant("Long");
    let body = json!({"kind": "Secret", "metadata": {"name": "long", "annotations": {"a": "x".repeat(40_000)}}, "stringData": {"a": value}});
    assert_eq!(
        hunt.send("POST", &secrets, JSON, &body.to_string()).await,
        201
    );
    // A name that Secrets do not have is dropped by the cluster, with or without a warning.
    for validation in ["Warn", "Ignore"] {
        let value = hunt.plant("Misspelled");
        let body = json!({"kind": "Secret", "metadata": {"generateName": "x-"}, "strngData": {"a": value}, "spec": [value]});
        let path = format!("{secrets}?fieldValidation={validation}");
        assert_eq!(hunt.send("POST", &path, JSON, &body.to_string()).await, 201);
    }
}

async fn failing_writes(hunt: &mut Hunt, namespace: &str) {
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let one = format!("{secrets}/made");
    let plain = hunt.plant("Failing");
    let strict = format!("{secrets}?fieldValidation=Strict");
    let apply = format!("{one}?fieldManager=x");
    let (merge, strategic) = (
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    );
    let (patch, applied) = (
        "application/json-patch+json",
        "application/apply-patch+yaml",
    );
    for (method, path, content_type, body) in [
        (
            "POST",
            &secrets,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "Bad Name!"}, "stringData": {"a": plain}}),
        ),
        (
            "POST",
            &secrets,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "b"}, "data": {"a": plain.clone() + "!"}}),
        ),
        (
            "POST",
            &secrets,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "b"}, "data": plain}),
        ),
        (
            "POST",
            &secrets,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "b"}, "stringData": {"a": [plain]}}),
        ),
        (
            "POST",
            &secrets,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "b"}, "type": "kubernetes.io/tls", "stringData": {"a": plain}}),
        ),
        (
            "POST",
            &secrets,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "b"}, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": plain}}),
        ),
        (
            "POST",
            &secrets,
            JSON,
            json!({"kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"a": plain}}),
        ),
        (
            "POST",
            &strict,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "b"}, "strngData": {"a": plain}}),
        ),
        (
            "PUT",
            &one,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "other"}, "stringData": {"a": plain}}),
        ),
        (
            "PUT",
            &one,
            JSON,
            json!({"kind": "Secret", "metadata": {"name": "made"}, "type": "x", "stringData": {"a": plain}}),
        ),
        ("PATCH", &one, merge, json!({"data": plain})),
        ("PATCH", &one, strategic, json!({"data": [plain]})),
        (
            "PATCH",
            &one,
            strategic,
            json!({"data": {"$patch": plain, "a": plain}}),
        ),
        (
            "PATCH",
            &one,
            patch,
            json!([{"op": "replace", "path": "/data", "value": plain}]),
        ),
        (
            "PATCH",
            &one,
            patch,
            json!([{"op": "replace", "path": "", "value": {"data": plain}}]),
        ),
        (
            "PATCH",
            &one,
            patch,
            json!([{"op": "replace", "path": "/none/b", "value": plain}]),
        ),
        (
            "PATCH",
            &one,
            patch,
            json!([{"op": "test", "path": "/data/a", "value": plain}]),
        ),
        (
            "PATCH",
            &apply,
            applied,
            json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "made"}, "data": plain}),
        ),
        (
            "PATCH",
            &apply,
            applied,
            json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "made"}, "data": {"d": [plain]}}),
        ),
        (
            "DELETE",
            &one,
            JSON,
            json!({"kind": "DeleteOptions", "preconditions": {"uid": "x"}, "stringData": {"a": plain}}),
        ),
    ] {
        let status = hunt
            .send(method, path, content_type, &body.to_string())
            .await;
        assert!(
            (400..600).contains(&status),
            "{status}: {method} {path} {body}"
        );
    }
    // What the gate itself cannot read.
    let digits = format!("0{}", uuid::Uuid::new_v4().as_u128());
    hunt.planted.push(digits.clone());
    for (content_type, body) in [
        (
            JSON,
            format!(r#"{{"stringData":{{"a":"{plain}","a":"{plain}"}}}}"#),
        ),
        (JSON, format!(r#"{{"stringData":{{"a":{plain}}}}}"#)),
        (JSON, format!(r#"{{"stringData":{{"a":"{plain}"#)),
        (JSON, format!(r#"{{"stringData":{{"a":{digits}}}}}"#)),
        ("application/yaml", format!("stringData: {{a: {digits}}}")),
        ("application/yaml", format!("stringData:\n  a: {digits}\n")),
        ("application/yaml", format!("stringData: {{a: *{plain}}}")),
        ("application/yaml", format!("stringData: {{a: &{plain} b}}")),
        ("application/yaml", format!("stringData: {{a: !{plain} b}}")),
        ("application/yaml", format!("stringData: {{a: '{plain}}}")),
        (
            "application/vnd.kubernetes.protobuf",
            format!("k8s\0{plain}"),
        ),
        ("text/plain", plain.clone()),
    ] {
        let status = hunt.send("POST", &secrets, content_type, &body).await;
        assert!([400, 415].contains(&status), "{status}: {body}");
    }
    let mask = json!({"stringData": {"a": "gateward:masked", "b": plain}}).to_string();
    assert_eq!(hunt.send("PATCH", &one, merge, &mask).await, 422);
}

async fn held_writes(hunt: &mut Hunt, namespace: &str) {
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let value = hunt.plant("Held");
    let body = json!({
        "kind": "Secret", "metadata": {"name": "held"}, "stringData": {"a": value},
        "data": {"b": STANDARD.encode(&value)}, "strngData": {"a": value},
    })
    .to_string();
    let patch =
        json!([{"op": "add", "path": "/data/a", "value": STANDARD.encode(&value)}]).to_string();
    let one = format!("{secrets}/held");
    let json_patch = "application/json-patch+json";
    // The patch comes second: what is patched must be there, for it is judged on its result.
    for (method, path, content_type, body, answer, then) in [
        ("POST", &secrets, JSON, &body, "approve", 201),
        ("PATCH", &one, json_patch, &patch, "deny", 403),
    ] {
        assert_eq!(hunt.send(method, path, content_type, body).await, 429);
        let holds = hunt.look("/api/v1/holds?state=pending").await;
        let id = holds["items"].as_array().unwrap().last().unwrap()["id"].clone();
        let id = id.as_str().unwrap();
        hunt.look(&format!("/api/v1/holds/{id}")).await;
        let url = hunt.served.humans(&format!("/api/v1/holds/{id}/votes"));
        let request = hunt.client.post(url).bearer_auth(&hunt.person);
        let vote = json!({"answer": answer, "comment": "so be it"});
        assert_eq!(hunt.take(request.json(&vote)).await, 200);
        assert_eq!(hunt.send(method, path, content_type, body).await, then);
    }
}

/// Credentials where they belong and where they do not, none of them good.
async fn tokens(hunt: &mut Hunt) {
    let pods = format!("/clusters/{CLUSTER}/api/v1/pods");
    let value = hunt.plant("Token");
    let mut expired = world().agent_claims();
    expired["exp"] = json!(1);
    let expired = world().mint(&expired);
    let (agent, person) = (hunt.agent.clone(), hunt.person.clone());
    hunt.planted.push(expired.clone());
    for token in [&expired, &person, &agent] {
        // Its parts are as good as the whole, to whoever finds all three.
        hunt.planted
            .push(token.rsplit('.').next().unwrap().to_owned());
    }
    for authorization in [
        format!("Bearer {value}"),
        format!("Bearer {value}.{value}.{value}"),
        format!("Bearer {expired}"),
        format!("Bearer {person}"),
        format!("Bearer {person} {value}"),
        format!("Basic {}", STANDARD.encode(format!("x:{value}"))),
        format!("Negotiate {value}"),
        value.clone(),
    ] {
        for url in [
            hunt.served.agents(&pods),
            hunt.served.humans("/api/v1/records"),
        ] {
            if authorization == format!("Bearer {person}") && url.contains("records") {
                continue;
            }
            let request = hunt.client.get(url).header("authorization", &authorization);
            assert_eq!(hunt.take(request).await, 401, "{authorization}");
        }
    }
    let request = hunt.client.get(hunt.served.agents(&pods));
    let protocol = format!(
        "base64url.bearer.authorization.k8s.io.{}, x",
        URL_SAFE_NO_PAD.encode(&value)
    );
    let request = request
        .header("sec-websocket-protocol", protocol)
        .header("cookie", &value);
    assert_eq!(hunt.take(request).await, 401);
    for (query, status) in [
        (format!("access_token={value}"), 400),
        (format!("access_token={value}%zz"), 400),
        (format!("token={value};x=1"), 400),
        (format!("token={value}%ff"), 400),
        (format!("limit={value}"), 400),
        (value.clone(), 400),
    ] {
        let got = hunt
            .send("GET", &format!("/api/v1/pods?{query}"), JSON, "")
            .await;
        assert_eq!(got, status, "{query}");
        let url = hunt.served.agents(&format!("/?{query}"));
        assert_eq!(hunt.take(hunt.client.get(url)).await, 401);
        if query == value {
            continue; // the name of a parameter, which is said back to who sent it
        }
        let url = hunt.served.humans(&format!("/api/v1/holds?{query}"));
        let request = hunt.client.get(url).bearer_auth(&hunt.person);
        assert_eq!(hunt.take(request).await, 400, "{query}");
    }
    // A review of a token: asked and answered with the token in it.
    let last = json!({"spec": {"token": value}}).to_string();
    let body = json!({
        "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": value},
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": last}},
    });
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    assert_eq!(
        hunt.send("POST", reviews, JSON, &body.to_string()).await,
        201
    );
}

async fn told_to_people(hunt: &mut Hunt) {
    for path in [
        "/api/v1/holds",
        "/api/v1/records?limit=1000",
        "/api/v1/review/usage?since=2026-01-01T00:00:00Z",
    ] {
        hunt.look(path).await;
    }
    let sessions = hunt.look("/api/v1/sessions").await;
    for session in sessions["items"].as_array().unwrap() {
        let id = session["id"].as_str().unwrap();
        hunt.look(&format!("/api/v1/sessions/{id}")).await;
    }
    let operators = hunt.served.ports[2];
    for path in ["metrics", "readyz", "livez"] {
        let request = hunt
            .client
            .get(format!("http://127.0.0.1:{operators}/{path}"));
        assert_eq!(hunt.take(request).await, 200, "{path}");
    }
}

#[test]
fn threat_20_the_hunt_finds_what_is_there() {
    for canary in [canary("A"), canary("Ab"), canary("Abc")] {
        let forms = forms(&canary);
        for before in ["", "x", "xy", "xyz"] {
            let text = format!("{before}{canary}{before}");
            for place in [
                text.clone(),
                STANDARD.encode(&text),
                URL_SAFE_NO_PAD.encode(&text),
                text.bytes().map(|byte| format!("{byte:02x}")).collect(),
                text.bytes().map(|byte| format!("{byte:02X}")).collect(),
            ] {
                assert!(found(&forms, place.as_bytes()).is_some(), "{place}");
            }
        }
        assert_eq!(
            found(&forms, super::disclosure::canary("A").as_bytes()),
            None
        );
    }
}

/// The digest of a held write stands in the ledger and before approvers, beside a body whose
/// values are masked. Could anybody compute it, they could try values until one fits.
#[test]
fn threat_20_no_value_can_be_tried_on_the_digest_of_a_hold() {
    run(async {
        let token = world().agent_token();
        let body =
            json!({"kind": "Secret", "metadata": {"name": "pin"}, "stringData": {"pin": "1234"}});
        let mut digests = Vec::new();
        for _ in 0..2 {
            let stage = Stage::new(json!([everything("hold")])).await;
            let secrets = "/api/v1/namespaces/default/secrets";
            let id = stage.file(&token, "POST", secrets, &body).await;
            digests.push(stage.hold(&id).await["digest"].clone());
        }
        assert!(digests[0].is_string());
        assert_ne!(
            digests[0], digests[1],
            "the same at a gate with another key"
        );
    });
}
