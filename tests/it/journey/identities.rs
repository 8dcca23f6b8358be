//! ② Who asks: delegation, several issuers, keys that change, every signature algorithm.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateward::demo::issuer::{DevIssuer, Options, Signer};
use gateward::demo::scene::{AGENT, AGENTS_AUDIENCE, CLUSTER, PRINCIPAL, RunningGate};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::upstream::{gate_before, json_answer, upstream};
use super::{entries_of, send};
use crate::harness::{World, run, world};

const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// What the cluster thinks who sends a request.
fn who_am_i(world: &World, gate: &RunningGate, token: &str) -> RequestBuilder {
    let url = format!(
        "https://localhost:{}/clusters/{CLUSTER}{WHO_AM_I}",
        gate.agents.port()
    );
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    world.client().post(url).bearer_auth(token).json(&question)
}

async fn issuer() -> DevIssuer {
    DevIssuer::start(Options::default()).await.unwrap()
}

fn trusting(issuer: &DevIssuer, prefix: &str) -> Value {
    json!({
        "issuer": {"url": issuer.url(), "audiences": [AGENTS_AUDIENCE], "certificateAuthority": issuer.ca_pem()},
        "claimMappings": {
            "username": {"claim": "sub", "prefix": prefix},
            "groups": {"claim": "groups", "prefix": prefix},
        },
    })
}

/// A gate that trusts this issuer too, and its tokens for alice's triage-bot.
async fn gate_trusting(world: &World, issuer: &DevIssuer, prefix: &str) -> RunningGate {
    let also = trusting(issuer, prefix);
    let change = |document: &mut Value| {
        let all = &mut document["spec"]["identity"]["agents"]["authentication"]["jwt"];
        all.as_array_mut().unwrap().push(also);
    };
    world.another_gate(change).await.0
}

fn claims_of(world: &World, issuer: &DevIssuer, more: Value) -> Value {
    let mut claims = world.claims(AGENTS_AUDIENCE, PRINCIPAL, more);
    claims["iss"] = json!(issuer.url());
    claims
}

#[test]
fn the_agent_and_the_principal_are_on_the_record_and_known_to_the_cluster() {
    run(async {
        let world = world();
        let token = world.agent_token();
        let answer = send(who_am_i(world, &world.gate, &token)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let user = &answer.json()["status"]["userInfo"];
        assert_eq!(user["username"], AGENT);
        assert_eq!(user["extra"]["gateward.dev/principal"], json!([PRINCIPAL]));
        assert_eq!(user["groups"], json!(["agents", "system:authenticated"]));

        let data = world.dir.join("data");
        let intent = &entries_of(&data, answer.id())[0]["intent"];
        assert_eq!(intent["who"]["agent"], AGENT);
        assert_eq!(intent["who"]["principal"], PRINCIPAL);
        assert_eq!(intent["who"]["issuer"], world.scene.issuer.url());
        assert_eq!(intent["who"]["groups"], json!(["agents"]));
        let kept = String::from_utf8_lossy(&world.kept(&data)).into_owned();
        assert!(!kept.contains(&token), "the token was kept");
    });
}

#[test]
fn an_agent_whose_token_names_no_actor_acts_for_itself() {
    run(async {
        let world = world();
        let claims = world.claims(AGENTS_AUDIENCE, "nightly-job", json!({}));
        let answer = send(who_am_i(world, &world.gate, &world.mint(&claims))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let user = &answer.json()["status"]["userInfo"];
        assert_eq!(user["username"], "nightly-job");
        assert_eq!(user.get("extra"), None);
        let who = &entries_of(&world.dir.join("data"), answer.id())[0]["intent"]["who"];
        assert_eq!(
            (&who["agent"], who.get("principal")),
            (&json!("nightly-job"), None)
        );
    });
}

#[test]
fn each_of_several_issuers_names_its_own_agents() {
    run(async {
        let world = world();
        let corp = issuer().await;
        let gate = gate_trusting(world, &corp, "corp:").await;
        let claims = claims_of(
            world,
            &corp,
            json!({"act": {"sub": "build-bot"}, "groups": ["ci"]}),
        );
        let answer = send(who_am_i(world, &gate, &corp.mint(&claims).unwrap())).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let user = &answer.json()["status"]["userInfo"];
        assert_eq!(user["username"], "corp:build-bot");
        assert_eq!(user["groups"], json!(["corp:ci", "system:authenticated"]));
        let principal = format!("corp:{PRINCIPAL}");
        assert_eq!(user["extra"]["gateward.dev/principal"], json!([principal]));

        let answer = send(who_am_i(world, &gate, &world.agent_token())).await;
        assert_eq!(answer.json()["status"]["userInfo"]["username"], AGENT);
        gate.stop().await;
    });
}

#[test]
fn an_authentication_file_of_kubernetes_works_as_it_stands() {
    run(async {
        let world = world();
        let file = world.dir.join("authentication.yaml");
        let document = world.scene.authentication(AGENTS_AUDIENCE);
        std::fs::write(&file, document.to_string()).unwrap();
        let change = |document: &mut Value| {
            document["spec"]["identity"]["agents"] = json!({"authenticationFile": file});
        };
        let gate = world.another_gate(change).await.0;
        let answer = send(who_am_i(world, &gate, &world.agent_token())).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        gate.stop().await;
    });
}

#[test]
fn new_keys_are_found_and_old_ones_forgotten() {
    run(async {
        let world = world();
        let issuer = issuer().await;
        let gate = gate_trusting(world, &issuer, "").await;
        let act = json!({"act": {"sub": "rotor"}});
        let old = issuer
            .mint(&claims_of(world, &issuer, act.clone()))
            .unwrap();
        assert_eq!(send(who_am_i(world, &gate, &old)).await.status, 201);

        issuer.rotate_keys().unwrap();
        let begun = Instant::now();
        loop {
            let new = issuer
                .mint(&claims_of(world, &issuer, act.clone()))
                .unwrap();
            let answer = send(who_am_i(world, &gate, &new)).await;
            if answer.status == 201 {
                break;
            }
            // Keys are fetched at most every ten seconds.
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", answer.text);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let answer = send(who_am_i(world, &gate, &old)).await;
        assert_eq!(answer.status, 401, "{}", answer.text);
        assert!(
            answer.message().contains("does not publish"),
            "{}",
            answer.text
        );
        gate.stop().await;
    });
}

#[test]
fn every_signature_algorithm_is_accepted() {
    run(async {
        let world = world();
        let issuer = issuer().await;
        let algorithms = [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
            "EdDSA",
        ];
        let signers: Vec<Arc<Signer>> = algorithms
            .iter()
            .map(|algorithm| Arc::new(Signer::generate(algorithm).unwrap()))
            .collect();
        signers
            .iter()
            .cloned()
            .for_each(|signer| issuer.publish(signer));
        let gate = gate_trusting(world, &issuer, "").await;
        for (signer, algorithm) in signers.iter().zip(algorithms) {
            let claims = claims_of(world, &issuer, json!({"act": {"sub": algorithm}}));
            let answer = send(who_am_i(world, &gate, &signer.sign(&claims).unwrap())).await;
            assert_eq!(answer.status, 201, "{algorithm}: {}", answer.text);
            let name = &answer.json()["status"]["userInfo"]["username"];
            assert_eq!(name, algorithm);
        }
        gate.stop().await;
    });
}

#[test]
fn a_websocket_clients_token_identifies_and_never_reaches_the_cluster() {
    run(async {
        let world = world();
        let seen = Arc::new(Mutex::new(String::new()));
        let kept = seen.clone();
        let cluster = upstream(move |request| {
            *kept.lock().unwrap() = format!("{:?}", request.headers());
            async {
                json_answer(
                    200,
                    &json!({"kind": "PodList", "apiVersion": "v1", "items": []}),
                )
            }
        })
        .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        let token = world.agent_token();
        let encoded = URL_SAFE_NO_PAD.encode(&token);
        let url = format!(
            "https://localhost:{}/clusters/{CLUSTER}/api/v1/pods",
            gate.agents.port()
        );
        let protocols =
            format!("v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}");
        let answer = send(
            world
                .client()
                .get(url)
                .header("sec-websocket-protocol", protocols),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let seen = seen.lock().unwrap().clone();
        assert!(seen.contains(AGENT), "{seen}");
        for secret in [&*token, &*encoded, "websocket", "authorization"] {
            assert!(
                !seen.contains(secret),
                "{secret} reached the cluster: {seen}"
            );
        }
        gate.stop().await;
    });
}
