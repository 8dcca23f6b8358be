//! Attacks by what a token says: one for somebody else, for another time, or with names that
//! nobody may have. The issuer signed every one of them.

use serde_json::{Value, json};

use gateward::demo::scene::{AGENTS_AUDIENCE, CLUSTER, HUMANS_AUDIENCE};

use super::trap::Trap;
use crate::harness::{run, world};

/// A good agent's token with one claim changed, or taken away by `null`.
fn with(name: &str, value: Value) -> (String, String) {
    let mut claims = world().agent_claims();
    let object = claims.as_object_mut().unwrap();
    let what = format!("{name}: {value}");
    match value {
        Value::Null => object.remove(name),
        value => object.insert(name.to_owned(), value),
    };
    (what, world().mint(&claims))
}

/// The same of a token without a delegation.
fn alone(name: &str, value: Value) -> (String, String) {
    let mut claims = world().agent_claims();
    claims.as_object_mut().unwrap().remove("act");
    let what = format!("{name}: {value}, alone");
    claims[name] = value;
    (what, world().mint(&claims))
}

#[test]
fn threat_04_a_token_for_another_time_audience_or_issuer_identifies_nobody() {
    run(async {
        let trap = Trap::set().await;
        let now = jiff::Timestamp::now().as_second();
        let issuer = world().scene.issuer.url();
        let tokens: Vec<(String, String)> = [
            ("exp", json!(now - 11)),
            ("exp", json!(now - 86400)),
            ("exp", json!(0)),
            ("exp", json!(-1)),
            ("exp", Value::Null),
            ("exp", json!((now + 300).to_string())),
            ("exp", json!([now + 300])),
            ("exp", json!(true)),
            ("nbf", json!(now + 60)),
            ("nbf", json!(now + 1_000_000)),
            ("nbf", json!(now.to_string())),
            ("iat", json!(now + 60)),
            ("iat", json!("now")),
            ("aud", json!(HUMANS_AUDIENCE)),
            ("aud", json!([HUMANS_AUDIENCE])),
            ("aud", json!([HUMANS_AUDIENCE, AGENTS_AUDIENCE])),
            ("aud", json!(AGENTS_AUDIENCE.to_uppercase())),
            ("aud", json!(format!("{AGENTS_AUDIENCE} "))),
            ("aud", json!(format!("{AGENTS_AUDIENCE}2"))),
            ("aud", json!(format!("{AGENTS_AUDIENCE},{HUMANS_AUDIENCE}"))),
            ("aud", json!([[AGENTS_AUDIENCE]])),
            ("aud", json!({AGENTS_AUDIENCE: true})),
            ("aud", json!("*")),
            ("aud", json!([])),
            ("aud", json!("")),
            ("aud", Value::Null),
            ("iss", Value::Null),
            ("iss", json!("")),
            ("iss", json!([issuer])),
            ("iss", json!(format!("{issuer}/"))),
            ("iss", json!(format!("{issuer}/other"))),
            ("iss", json!(issuer.to_uppercase())),
            ("iss", json!(issuer.replace("https", "http"))),
            ("iss", json!(issuer.replace("127.0.0.1", "localhost"))),
            ("iss", json!("https://kubernetes.default.svc")),
        ]
        .into_iter()
        .map(|(name, value)| with(name, value))
        .collect();
        trap.believes_none(&tokens).await;
        trap.believes(&world().agent_token()).await;
        let (_, several) = with("aud", json!(["another", AGENTS_AUDIENCE]));
        trap.believes(&several).await;
    });
}

#[test]
fn threat_04_nobody_is_of_the_system_by_a_claim() {
    run(async {
        let trap = Trap::set().await;
        let mut tokens = Vec::new();
        for group in [
            "system:masters",
            "system:authenticated",
            "system:serviceaccounts:kube-system",
            "system:",
            " system:masters",
            "system:masters ",
            "\tsystem:masters",
            "\u{200b}system:masters",
            "\u{feff}system:masters",
            "\u{a0}system:masters",
            "agents\r\nImpersonate-Group: system:masters",
            "agents\nsystem:masters",
            "agents\0system:masters",
        ] {
            tokens.push(with("groups", json!(group)));
            tokens.push(with("groups", json!([group])));
            tokens.push(with("groups", json!(["agents", group])));
        }
        for groups in [
            json!([["system:masters"]]),
            json!({"system:masters": true}),
            json!(["agents", 1]),
            json!([null]),
            json!(1),
            json!(vec!["agents"; 257]),
        ] {
            tokens.push(with("groups", groups));
        }
        for name in [
            "system:admin",
            "system:kube-controller-manager",
            "system:node:node-0",
            "system:serviceaccount:kube-system:default",
            "system:anonymous",
            "system:",
            " system:admin",
            "system:admin ",
            "\u{200b}system:admin",
            "triage-bot\r\nImpersonate-Group: system:masters",
            "triage-bot\0",
            "triage-bot\u{7f}",
        ] {
            tokens.push(with("sub", json!(name)));
            tokens.push(alone("sub", json!(name)));
            tokens.push(with("act", json!({"sub": name})));
            let earlier = json!({"sub": "triage-bot", "act": {"sub": name}});
            tokens.push(with("act", earlier));
        }
        trap.believes_none(&tokens).await;
        trap.believes(&world().agent_token()).await;
    });
}

#[test]
fn threat_05_nobody_is_without_a_name() {
    run(async {
        let trap = Trap::set().await;
        let mut tokens = Vec::new();
        for name in [
            json!(""),
            json!(" "),
            json!("   "),
            json!("\t"),
            json!("\r\n"),
            json!("\0"),
            json!("\u{a0}"),
            json!("\u{200b}"),
            json!("\u{2060}"),
            json!("\u{feff}"),
            json!("a".repeat(2000)),
            json!(0),
            json!(false),
            json!([]),
            json!(["triage-bot"]),
            json!({}),
        ] {
            tokens.push(alone("sub", name.clone()));
            tokens.push(with("sub", name.clone()));
            tokens.push(with("act", json!({"sub": name})));
            let earlier = json!({"sub": "triage-bot", "act": {"sub": name}});
            tokens.push(with("act", earlier));
            if name.is_string() {
                tokens.push(with("groups", json!([name])));
                tokens.push(with("groups", json!(["agents", name])));
            }
        }
        tokens.push(with("groups", json!("")));
        tokens.push(with("sub", Value::Null));
        for act in [
            json!({}),
            json!([]),
            json!(""),
            json!("triage-bot"),
            json!(true),
            json!([{"sub": "triage-bot"}]),
            json!({"name": "triage-bot"}),
            json!({"sub": null}),
            json!({"sub": "triage-bot", "act": null}),
            json!({"sub": "triage-bot", "act": {}}),
            json!({"sub": "triage-bot", "iss": "https://elsewhere.example"}),
        ] {
            tokens.push(with("act", act));
        }
        tokens.push(("act: null".to_owned(), {
            let mut claims = world().agent_claims();
            claims["act"] = Value::Null;
            world().mint(&claims)
        }));
        trap.believes_none(&tokens).await;
        trap.believes(&world().agent_token()).await;
    });
}

/// On a real API server: whatever a nameless token tries, the cluster sees no request of the
/// gate without somebody in whose name it is.
#[test]
fn threat_05_the_gate_never_asks_in_its_own_name() {
    run(async {
        let world = world();
        let path = "/api/v1/namespaces/kube-system/secrets";
        let nobody = world.claims(AGENTS_AUDIENCE, "", json!({}));
        let url = format!(
            "https://localhost:{}/clusters/{CLUSTER}{path}",
            world.gate.agents.port()
        );
        let status = async |token: &str| {
            let ask = world.client().get(&url).bearer_auth(token);
            ask.send().await.unwrap().status().as_u16()
        };
        for (what, token) in [
            ("nobody".to_owned(), world.mint(&nobody)),
            alone("sub", json!("")),
            with("act", json!({"sub": ""})),
            with("groups", json!([""])),
        ] {
            assert_eq!(status(&token).await, 401, "{what}");
        }
        assert_eq!(status(&world.agent_token()).await, 200);
        let log = std::fs::read_to_string(world.scene.control.audit_log()).unwrap();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["user"]["username"] == "gateward")
            .filter(|event| event["requestURI"] != "/version")
            // Another test looks, with kubectl and past the gate, at what its credential may.
            .filter(|event| {
                let agent = event["userAgent"].as_str().unwrap_or_default();
                !agent.starts_with("kubectl/")
            });
        let mut seen = 0;
        for event in events {
            let name = event["impersonatedUser"]["username"].as_str();
            assert!(name.is_some_and(|name| !name.is_empty()), "{event}");
            seen += 1;
        }
        assert!(seen > 0, "the good request is in the log");
    });
}
