//! Attacks on the way from a hold to its approval and from there to the cluster.

use std::time::Duration;

use gateward::demo::issuer::{DevIssuer, Options};
use gateward::demo::scene::{AGENT, APPROVER, CLUSTER, PRINCIPAL};
use gateward::store::{Store, StoreError};
use serde_json::{Value, json};

use super::stage::{Stage, agent_with, everything, held, person, person_with};
use crate::harness::{json_of, pod, run, world};

/// All is held, on the terms in `hold`.
fn hold_on(hold: Value) -> Value {
    let mut rule = everything("hold");
    rule["hold"] = hold;
    json!([rule])
}

fn hold() -> Value {
    hold_on(json!({}))
}

fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// What runs in the namespace, as the cluster itself says.
fn running(namespace: &str) -> Vec<String> {
    let output = world()
        .scene
        .control
        .kubectl(&["get", "pods", "-n", namespace, "-o", "name"]);
    output.unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn threat_15_an_approval_is_worth_nothing_to_anybody_else_or_for_anything_else() {
    run(async {
        let (namespace, other) = (
            world().namespace("threat-15"),
            world().namespace("threat-15"),
        );
        let second = DevIssuer::start(Options::default()).await.unwrap();
        let stage = Stage::with(hold(), |document| {
            let issuers = &mut document["spec"]["identity"]["agents"]["authentication"]["jwt"];
            let mut issuer = issuers[0].clone();
            issuer["issuer"]["url"] = json!(second.url());
            issuer["issuer"]["certificateAuthority"] = json!(second.ca_pem());
            issuers.as_array_mut().unwrap().push(issuer);
        })
        .await;
        let (path, body) = (pods(&namespace), pod("held", true));
        let token = world().agent_token();
        let id = stage.file(&token, "POST", &path, &body).await;
        stage.approve(&id).await;

        let mut foreign = world().agent_claims();
        foreign["iss"] = json!(second.url());
        let elsewhere = pods(&other);
        for (who, impostor) in [
            (
                "another agent",
                agent_with(|claims| claims["act"]["sub"] = json!("other-bot")),
            ),
            (
                "for another principal",
                agent_with(|claims| claims["sub"] = json!("eve@example.com")),
            ),
            (
                "for nobody",
                agent_with(|claims| {
                    claims["sub"] = json!(AGENT);
                    claims.as_object_mut().unwrap().remove("act");
                }),
            ),
            (
                "the principal itself",
                agent_with(|claims| {
                    claims.as_object_mut().unwrap().remove("act");
                }),
            ),
            (
                "with one more group",
                agent_with(|claims| claims["groups"] = json!(["agents", "ops"])),
            ),
            (
                "without groups",
                agent_with(|claims| claims["groups"] = json!([])),
            ),
            ("of another issuer", second.mint(&foreign).unwrap()),
        ] {
            let own = held(stage.send(&impostor, "POST", &path, Some(&body)).await);
            assert_ne!(own, id, "{who}");
        }
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut body = body.clone();
            change(&mut body);
            body
        };
        for (what, path, body) in [
            ("another namespace", elsewhere, body.clone()),
            ("a query", format!("{path}?fieldManager=x"), body.clone()),
            (
                "an image",
                path.clone(),
                changed(&|pod| {
                    pod["spec"]["containers"][0]["image"] = json!("registry.example.com/app:2");
                }),
            ),
            (
                "a name",
                path.clone(),
                changed(&|pod| pod["metadata"]["name"] = json!("held2")),
            ),
            (
                "one more field",
                path.clone(),
                changed(&|pod| pod["spec"]["hostPID"] = json!(true)),
            ),
            (
                "one more container",
                path.clone(),
                changed(&|pod| {
                    let containers = pod["spec"]["containers"].as_array_mut().unwrap();
                    containers.push(json!({"name": "b", "image": "b"}));
                }),
            ),
        ] {
            let own = held(stage.send(&token, "POST", &path, Some(&body)).await);
            assert_ne!(own, id, "{what}");
        }
        assert_eq!((running(&namespace), running(&other)), (vec![], vec![]));

        // The approval was good all the time: for the same agent, with a token of its own.
        let (status, answer) = stage
            .send(&world().agent_token(), "POST", &path, Some(&body))
            .await;
        assert_eq!(status, 201, "{answer}");
        assert_eq!(running(&namespace), ["pod/held"]);
    });
}

#[test]
fn threat_15_an_approval_is_used_once_across_restarts_too() {
    run(async {
        let namespace = world().namespace("threat-15");
        let mut stage = Stage::new(hold()).await;
        let (path, body) = (pods(&namespace), pod("once", true));
        let token = world().agent_token();
        let id = stage.file(&token, "POST", &path, &body).await;
        stage.approve(&id).await;
        stage.restart_under(hold()).await;
        let (status, answer) = stage.send(&token, "POST", &path, Some(&body)).await;
        assert_eq!(status, 201, "an approval outlives a restart: {answer}");
        let delete = ["delete", "pod", "once", "-n", &namespace, "--force"];
        world().scene.control.kubectl(&delete).unwrap();

        let again = held(stage.send(&token, "POST", &path, Some(&body)).await);
        assert_ne!(again, id);
        stage.restart_under(hold()).await;
        let still = held(stage.send(&token, "POST", &path, Some(&body)).await);
        assert_eq!(still, again, "the new hold waits on");
        assert_eq!(
            stage
                .vote(&world().approver_token(), &id, "approve")
                .await
                .0,
            409
        );
        assert_eq!(running(&namespace), Vec::<String>::new());
    });
}

#[test]
fn threat_15_of_many_retries_at_once_exactly_one_runs() {
    run(async {
        let namespace = world().namespace("threat-15");
        let stage = Stage::new(hold()).await;
        let mut body = pod("", true);
        body["metadata"] = json!({"generateName": "many-"});
        let (path, token) = (pods(&namespace), world().agent_token());
        let id = stage.file(&token, "POST", &path, &body).await;
        stage.approve(&id).await;
        let retries = (0..8).map(|_| stage.send(&token, "POST", &path, Some(&body)));
        let answers = futures_util::future::join_all(retries).await;
        let ran = answers.iter().filter(|(status, _)| *status == 201).count();
        assert_eq!(ran, 1, "{answers:?}");
        assert!(
            answers
                .iter()
                .all(|(status, _)| [201, 403, 429].contains(status)),
            "{answers:?}"
        );
        assert_eq!(running(&namespace).len(), 1);
    });
}

#[test]
fn threat_15_nobody_answers_for_themself_under_any_name() {
    run(async {
        let namespace = world().namespace("threat-15");
        let stage = Stage::new(hold()).await;
        let (path, body) = (pods(&namespace), pod("own", true));
        let token = agent_with(|claims| claims["email"] = json!("alice@corp.example"));
        let id = stage.file(&token, "POST", &path, &body).await;
        let approvers = ["approvers"];
        for (who, voter, status) in [
            ("the agent's own token", token.clone(), 401),
            ("the agent as a person", person(AGENT, &approvers), 403),
            ("the principal", person(PRINCIPAL, &approvers), 403),
            (
                "the principal in capitals",
                person("ALICE@Example.com", &approvers),
                403,
            ),
            (
                "the principal with a prefix",
                person("oidc:alice@example.com", &approvers),
                403,
            ),
            (
                "the principal by its mail alone",
                person_with(
                    "4711",
                    json!({"groups": approvers, "email": "alice@corp.example"}),
                ),
                403,
            ),
            (
                "the principal by the agent's hand",
                person_with(
                    PRINCIPAL,
                    json!({"groups": approvers, "act": {"sub": AGENT}}),
                ),
                401,
            ),
            (
                "a person by the agent's hand",
                person_with(
                    APPROVER,
                    json!({"groups": approvers, "act": {"sub": AGENT}}),
                ),
                401,
            ),
        ] {
            for answer in ["approve", "deny"] {
                let (got, said) = stage.vote(&voter, &id, answer).await;
                assert_eq!(got, status, "{who}: {said}");
            }
        }
        let seen = stage.hold(&id).await;
        assert_eq!(
            (&seen["state"], &seen["votes"]),
            (&json!("pending"), &json!([]))
        );
        held(stage.send(&token, "POST", &path, Some(&body)).await);
        assert_eq!(running(&namespace), Vec::<String>::new());
        stage.approve(&id).await;
    });
}

#[test]
fn threat_15_a_quorum_counts_people_not_groups_names_or_tries() {
    run(async {
        let namespace = world().namespace("threat-15");
        let groups = ["approvers", "security"];
        let stage = Stage::new(hold_on(json!({"quorum": 2, "approverGroups": groups}))).await;
        let (path, body) = (pods(&namespace), pod("two", true));
        let token = world().agent_token();
        let id = stage.file(&token, "POST", &path, &body).await;

        let bob = person(APPROVER, &groups);
        let votes = (0..6).map(|_| stage.vote(&bob, &id, "approve"));
        let votes = futures_util::future::join_all(votes).await;
        let counted = votes.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(counted, 1, "{votes:?}");
        for again in [
            person(APPROVER, &["security"]),
            person("BOB@example.com", &groups),
            person("https://id.example.com#bob@example.com", &groups),
            person_with("4712", json!({"groups": groups, "email": APPROVER})),
        ] {
            let (status, said) = stage.vote(&again, &id, "approve").await;
            assert_eq!(status, 409, "{said}");
        }
        assert_eq!(stage.hold(&id).await["state"], "pending");
        held(stage.send(&token, "POST", &path, Some(&body)).await);
        assert_eq!(running(&namespace), Vec::<String>::new());

        let carol = person("carol@example.com", &["security"]);
        let (status, said) = stage.vote(&carol, &id, "approve").await;
        assert_eq!(
            (status, &said["state"]),
            (200, &json!("approved")),
            "{said}"
        );
        assert_eq!(stage.send(&token, "POST", &path, Some(&body)).await.0, 201);
    });
}

#[test]
fn threat_15_only_people_of_the_rules_groups_answer_or_even_look() {
    run(async {
        let namespace = world().namespace("threat-15");
        let stage = Stage::new(hold_on(json!({"approverGroups": ["security"]}))).await;
        let token = world().agent_token();
        let id = stage
            .file(&token, "POST", &pods(&namespace), &pod("outside", true))
            .await;
        for groups in [
            &[][..],
            &["approvers"],
            &["Security"],
            &["securit"],
            &["security,x", "sec*", "*"],
        ] {
            let mallory = person("mallory@example.com", groups);
            for answer in ["approve", "deny"] {
                let (status, said) = stage.vote(&mallory, &id, answer).await;
                assert_eq!(status, 403, "{groups:?}: {said}");
            }
            let one = format!("/api/v1/holds/{id}");
            let look = |path| json_of(world().human_at(stage.gate(), "GET", path, &mallory));
            assert_eq!(look(&one).await.0, 403);
            assert_eq!(look("/api/v1/holds").await.1["items"], json!([]));
        }
        let seen = stage.hold(&id).await;
        assert_eq!(
            (&seen["state"], &seen["votes"]),
            (&json!("pending"), &json!([]))
        );
    });
}

#[test]
fn threat_15_what_comes_too_late_is_neither_approved_nor_run() {
    run(async {
        let namespace = world().namespace("threat-15");
        let mut stage = Stage::new(hold_on(json!({"expiresAfter": "10s"}))).await;
        let (path, token) = (pods(&namespace), world().agent_token());
        let (slow, late) = (pod("slow", true), pod("late", true));
        let unanswered = stage.file(&token, "POST", &path, &slow).await;
        let unused = stage.file(&token, "POST", &path, &late).await;
        stage.approve(&unused).await;

        // Five minutes, the time in which an approval must be used, pass while the gate is down.
        stage.stop().await;
        let store = Store::open(&stage.data.join("gateward.db")).unwrap();
        let aged = store.change_hold(unused.clone(), |hold| {
            hold.expires_at -= 300_000_000;
            Ok::<_, StoreError>(())
        });
        aged.await.unwrap().unwrap();
        drop(store);
        stage.start().await;
        let next = held(stage.send(&token, "POST", &path, Some(&late)).await);
        assert_ne!(next, unused);

        tokio::time::sleep(Duration::from_millis(10_500)).await;
        let (status, said) = stage
            .vote(&world().approver_token(), &unanswered, "approve")
            .await;
        assert_eq!(status, 409, "{said}");
        let next = held(stage.send(&token, "POST", &path, Some(&slow)).await);
        assert_ne!(next, unanswered);
        assert_eq!(running(&namespace), Vec::<String>::new());
    });
}

#[test]
fn threat_15_the_policy_of_the_retry_has_the_last_word() {
    run(async {
        let namespace = world().namespace("threat-15");
        let mut stage = Stage::new(hold()).await;
        let (path, body) = (pods(&namespace), pod("changed", true));
        let token = world().agent_token();
        let id = stage.file(&token, "POST", &path, &body).await;
        stage.approve(&id).await;

        stage
            .restart_under(json!([everything("hold"), everything("deny")]))
            .await;
        let (status, answer) = stage.send(&token, "POST", &path, Some(&body)).await;
        assert_eq!(
            (status, &answer["reason"]),
            (403, &json!("Forbidden")),
            "{answer}"
        );
        let mut elsewhere = everything("allow");
        elsewhere["namespaces"] = json!(["elsewhere"]);
        stage.restart_under(json!([elsewhere])).await;
        assert_eq!(stage.send(&token, "POST", &path, Some(&body)).await.0, 403);

        // One person approved; now two must, or other people.
        stage.restart_under(hold_on(json!({"quorum": 2}))).await;
        let two = held(stage.send(&token, "POST", &path, Some(&body)).await);
        assert_ne!(two, id);
        stage
            .restart_under(hold_on(json!({"approverGroups": ["security"]})))
            .await;
        let others = held(stage.send(&token, "POST", &path, Some(&body)).await);
        assert!(others != id && others != two);
        // What was voided stays void when the old policy comes back.
        stage.restart_under(hold()).await;
        assert_ne!(
            held(stage.send(&token, "POST", &path, Some(&body)).await),
            id
        );
        assert_eq!(running(&namespace), Vec::<String>::new());
    });
}

#[test]
fn threat_15_an_approval_stays_at_its_gate_and_its_cluster() {
    run(async {
        let namespace = world().namespace("threat-15");
        let twin = |document: &mut Value| {
            let clusters = &mut document["spec"]["clusters"];
            let mut twin = clusters[0].clone();
            twin["name"] = json!("twin");
            clusters.as_array_mut().unwrap().push(twin);
        };
        let stage = Stage::with(hold(), twin).await;
        let other_gate = Stage::new(hold()).await;
        let (path, body) = (pods(&namespace), pod("here", true));
        let token = world().agent_token();
        let id = stage.file(&token, "POST", &path, &body).await;
        stage.approve(&id).await;

        let there = held(
            stage
                .send_to("twin", &token, "POST", &path, Some(&body))
                .await,
        );
        assert_ne!(there, id);
        held(other_gate.send(&token, "POST", &path, Some(&body)).await);
        let bob = world().approver_token();
        assert_eq!(other_gate.vote(&bob, &id, "approve").await.0, 404);
        assert_eq!(running(&namespace), Vec::<String>::new());
        let here = stage
            .send_to(CLUSTER, &token, "POST", &path, Some(&body))
            .await;
        assert_eq!(here.0, 201, "{}", here.1);
    });
}

#[test]
fn threat_15_a_no_stays_a_no() {
    run(async {
        let namespace = world().namespace("threat-15");
        let stage = Stage::new(hold_on(json!({"quorum": 2}))).await;
        let (path, body) = (pods(&namespace), pod("denied", true));
        let token = world().agent_token();
        let id = stage.file(&token, "POST", &path, &body).await;
        let (bob, carol) = (
            world().approver_token(),
            person("carol@example.com", &["approvers"]),
        );
        assert_eq!(stage.vote(&bob, &id, "approve").await.0, 200);
        assert_eq!(stage.vote(&carol, &id, "deny").await.1["state"], "denied");
        for late in [&bob, &carol, &person("dave@example.com", &["approvers"])] {
            let (status, said) = stage.vote(late, &id, "approve").await;
            assert_eq!(status, 409, "{said}");
        }
        for _ in 0..2 {
            let (status, answer) = stage.send(&token, "POST", &path, Some(&body)).await;
            assert_eq!(status, 403, "{answer}");
        }
        assert_eq!(running(&namespace), Vec::<String>::new());
    });
}
