//! Attacks with what belongs to the other door, or to a browser.

use std::process::Command;

use gateward::demo::scene::{
    AGENT, AGENTS_AUDIENCE, APPROVER, CLUSTER, HUMANS_AUDIENCE, PRINCIPAL,
};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::stage::{Stage, agent_with, everything, person, person_with};
use crate::harness::{gateward, json_of, run, world};

const ROUTES: [(&str, &str); 8] = [
    ("GET", "/api/v1/holds"),
    ("GET", "/api/v1/holds/h-0"),
    ("POST", "/api/v1/holds/h-0/votes"),
    ("GET", "/api/v1/records"),
    ("GET", "/api/v1/sessions"),
    ("GET", "/api/v1/sessions/x"),
    ("GET", "/api/v1/review/usage?since=2026-01-01T00:00:00Z"),
    ("GET", "/elsewhere"),
];

/// A hold of a write whose body and caller are as hostile as the gate lets them be.
async fn file(stage: &Stage, agent: &str, text: &str) -> String {
    let token = agent_with(|claims| claims["act"]["sub"] = json!(agent));
    let body = json!({"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"text": text}});
    stage
        .file(
            &token,
            "POST",
            "/api/v1/namespaces/default/configmaps",
            &body,
        )
        .await
}

/// A request to the humans' door without any credential.
fn stranger(stage: &Stage, method: &str, path: &str) -> RequestBuilder {
    let url = format!("https://localhost:{}{path}", stage.gate().humans.port());
    world().client().request(method.parse().unwrap(), url)
}

#[test]
fn threat_22_each_door_takes_its_own_tokens_alone() {
    run(async {
        let stage = Stage::new(json!([everything("allow")])).await;
        let both =
            json!({"groups": ["approvers", "auditors"], "aud": [HUMANS_AUDIENCE, AGENTS_AUDIENCE]});
        let by_hand = json!({"groups": ["approvers", "auditors"], "act": {"sub": AGENT}});
        for (who, token) in [
            ("an agent", world().agent_token()),
            (
                "a person with a token for agents",
                world().mint(&world().claims(
                    AGENTS_AUDIENCE,
                    APPROVER,
                    json!({"groups": ["approvers", "auditors"]}),
                )),
            ),
            (
                "an agent in a person's name",
                person_with(APPROVER, by_hand),
            ),
            (
                "who holds a token for both",
                person_with(APPROVER, both.clone()),
            ),
        ] {
            for (method, path) in ROUTES {
                let request = world().human_at(stage.gate(), method, path, &token);
                let (status, answer) = json_of(request).await;
                assert_eq!(
                    (status, &answer["kind"]),
                    (401, &json!("Status")),
                    "{who} {path}: {answer}"
                );
            }
        }
        let mut agent = both;
        agent["act"] = json!({"sub": AGENT});
        for (who, token) in [
            ("a person", world().approver_token()),
            ("who holds a token for both", person_with(PRINCIPAL, agent)),
        ] {
            for path in ["/api/v1/pods", "/version", "/api/v1/holds"] {
                let (status, answer) = stage.send(&token, "GET", path, None).await;
                assert_eq!(
                    (status, &answer["kind"]),
                    (401, &json!("Status")),
                    "{who} {path}: {answer}"
                );
            }
        }
        // What one door serves, the other does not know.
        let agents = format!("https://localhost:{}", stage.gate().agents.port());
        for (_, path) in ROUTES {
            let request = world().client().get(format!("{agents}{path}"));
            let (status, _) = json_of(request.bearer_auth(world().agent_token())).await;
            assert_eq!(status, 404, "{path}");
        }
        let path = format!("/clusters/{CLUSTER}/api/v1/pods");
        let (status, _) =
            json_of(world().human_at(stage.gate(), "GET", &path, &world().approver_token())).await;
        assert_eq!(status, 404);
    });
}

#[test]
fn threat_22_what_a_browser_sends_by_itself_opens_nothing() {
    run(async {
        let stage = Stage::new(json!([everything("hold")])).await;
        let id = file(&stage, AGENT, "x").await;
        let (bob, path) = (
            world().approver_token(),
            format!("/api/v1/holds/{id}/votes"),
        );
        let vote = r#"{"answer":"approve"}"#;
        let form = "application/x-www-form-urlencoded";
        for request in [
            stranger(&stage, "POST", &path)
                .header("cookie", format!("token={bob}; Authorization=Bearer {bob}")),
            stranger(&stage, "POST", &format!("{path}?access_token={bob}")),
            stranger(&stage, "POST", &path).basic_auth(APPROVER, Some(&bob)),
            stranger(&stage, "POST", &path).header("x-forwarded-access-token", &bob),
            stranger(&stage, "POST", &path).header("x-remote-user", APPROVER),
        ] {
            let request = request
                .header("content-type", "application/json")
                .body(vote);
            assert_eq!(json_of(request).await.0, 401);
        }
        let request = stranger(&stage, "POST", &path).header("content-type", form);
        let body = format!("access_token={bob}&answer=approve");
        assert_eq!(json_of(request.body(body)).await.0, 401);

        // A page can have a browser send these without asking first; a credential is not enough.
        for content_type in [
            None,
            Some("text/plain"),
            Some(form),
            Some("multipart/form-data; boundary=x"),
            Some("text/json"),
        ] {
            let mut request = stranger(&stage, "POST", &path).bearer_auth(&bob).body(vote);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let (status, answer) = json_of(request).await;
            assert_eq!(status, 400, "{content_type:?}: {answer}");
        }
        let get = stranger(&stage, "GET", &format!("{path}?answer=approve"));
        assert_eq!(get.bearer_auth(&bob).send().await.unwrap().status(), 405);
        let disguised = stranger(&stage, "GET", &path).header("x-http-method-override", "POST");
        assert_eq!(
            disguised.bearer_auth(&bob).send().await.unwrap().status(),
            405
        );
        for body in [
            r#"{"answer":"deny","answer":"approve"}"#,
            r#"{"answer":"approve","voter":"carol"}"#,
            r#"{"answer":"APPROVE"}"#,
        ] {
            let request = stranger(&stage, "POST", &path).bearer_auth(&bob);
            let request = request
                .header("content-type", "application/json")
                .body(body);
            assert_eq!(json_of(request).await.0, 400, "{body}");
        }
        let seen = stage.hold(&id).await;
        assert_eq!(
            (&seen["state"], &seen["votes"]),
            (&json!("pending"), &json!([]))
        );

        // No other origin may read an answer, or is told that it could ask.
        for (method, token) in [
            ("OPTIONS", None),
            ("GET", Some(&bob)),
            ("OPTIONS", Some(&bob)),
        ] {
            let mut request = stranger(&stage, method, "/api/v1/holds")
                .header("origin", "https://evil.example")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization");
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.unwrap();
            let allowed = answer
                .headers()
                .keys()
                .any(|name| name.as_str().starts_with("access-control-"));
            assert!(!allowed, "{:?}", answer.headers());
        }
    });
}

#[test]
fn threat_22_hostile_names_come_back_escaped() {
    run(async {
        let stage = Stage::new(json!([everything("hold")])).await;
        let agent = r#""><script>alert(1)</script><i x='"#;
        let text = "\u{1b}[2J\u{7}</script>\u{9b}31m\u{202e}evil\u{2066}\u{85}\u{2028}\0\r\nX: y";
        let id = file(&stage, agent, text).await;
        let carol = person("carol<script>alert(2)", &["approvers"]);
        let (status, said) = stage.vote(&carol, &id, "approve").await;
        assert_eq!(status, 200, "{said}");
        let bob = world().approver_token();
        let long = format!("/api/v1/holds/{}", "%3Cscript%3E%0d%0aX:y%1b".repeat(20));
        for path in [
            "/api/v1/holds",
            &format!("/api/v1/holds/{id}"),
            "/api/v1/records",
            "/api/v1/sessions",
            "/%3Cscript%3E",
            "/api/v1/holds?state=%3Cscript%3E%1b",
            "/api/v1/holds?%3Cscript%3E=1",
            "/api/v1/records?since=%1b%3Cscript%3E",
            "/api/v1/sessions/%3Cscript%3E%0d%0a",
            "/api/v1/holds/%ff%3Cscript%3E",
            &long,
        ] {
            let answer = world()
                .human_at(stage.gate(), "GET", path, &bob)
                .send()
                .await
                .unwrap();
            assert_eq!(
                answer.headers()["content-type"],
                "application/json",
                "{path}"
            );
            assert!(!answer.headers().contains_key("x"), "{path}");
            let body = answer.text().await.unwrap();
            assert!(!body.chars().any(char::is_control), "{path}: {body:?}");
            serde_json::from_str::<Value>(&body).unwrap_or_else(|_| panic!("{path}: {body:?}"));
        }
        // What was escaped is what was said.
        let seen = stage.hold(&id).await;
        assert_eq!(
            (&seen["agent"], &seen["body"]["data"]["text"]),
            (&json!(agent), &json!(text))
        );
        on_a_terminal(&stage, &id);
    });
}

/// Nothing that a stranger wrote may steer the approver's terminal, or turn its text around.
fn on_a_terminal(stage: &Stage, id: &str) {
    let token = world().dir.join(format!("token-{}", uuid::Uuid::new_v4()));
    std::fs::write(&token, world().approver_token()).unwrap();
    for arguments in [
        &["approvals", "show", id][..],
        &["approvals", "show", id, "-o", "json"],
        &["approvals", "show", id, "-o", "yaml"],
        &["approvals", "list", "--state", "all"],
    ] {
        let output = Command::new(gateward())
            .args(arguments)
            .arg(format!(
                "--url=https://localhost:{}",
                stage.gate().humans.port()
            ))
            .arg(format!(
                "--ca={}",
                world().scene.file("gate-ca.pem").display()
            ))
            .arg(format!("--token-file={}", token.display()))
            .output()
            .unwrap();
        let (text, error) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{arguments:?}: {error}");
        assert!(text.contains("alert(1)"), "{arguments:?}: {text}");
        let steers = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(steers), "{arguments:?}: {text:?}");
    }
}

#[test]
fn threat_22_every_answer_of_the_humans_door_carries_its_headers() {
    run(async {
        let stage = Stage::new(json!([everything("hold")])).await;
        let id = file(&stage, AGENT, "x").await;
        let bob = world().approver_token();
        let mallory = person("mallory@example.com", &[]);
        let one = format!("/api/v1/holds/{id}");
        let ask = |method: &str, path: &str, token: &str| {
            world().human_at(stage.gate(), method, path, token)
        };
        for (request, status) in [
            (stranger(&stage, "GET", "/api/v1/holds"), 401),
            (stranger(&stage, "GET", "/elsewhere"), 401),
            (ask("GET", "/api/v1/holds", &bob), 200),
            (ask("GET", &one, &mallory), 403),
            (ask("GET", "/api/v1/records", &mallory), 403),
            (ask("GET", "/elsewhere", &bob), 404),
            (ask("GET", "/api/v1/holds/h-0", &bob), 404),
            (ask("DELETE", "/api/v1/holds", &bob), 405),
            (ask("GET", "/api/v1/holds?x=1", &bob), 400),
            (ask("GET", "/api/v1/holds/%ff", &bob), 400),
            (
                ask("POST", &format!("{one}/votes"), &bob).body("x".repeat(100_000)),
                413,
            ),
        ] {
            protected(request.send().await.unwrap(), status);
        }
    });
}

fn protected(answer: Response, status: u16) {
    assert_eq!(answer.status(), status, "{answer:?}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        let got = answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap());
        assert_eq!(got, Some(value), "{name}: {answer:?}");
    }
}
