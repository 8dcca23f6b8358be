//! ⑤ Holds: a human's yes lets exactly one request through, once and in time.

use std::path::Path;
use std::time::{Duration, Instant};

use gateward::demo::scene::{AGENT, APPROVER, RunningGate};
use serde_json::{Value, json};

use super::{ALLOW_ALL, Answered, aside, entries, entries_of, gate_with_rules, said, send};
use crate::harness::{World, json_of, pod, run, world};

fn wait(short: &'static str) -> impl FnOnce(&mut Value) {
    move |document| {
        document["spec"]["holds"] = json!({"shortWait": short, "retryAfter": "1s"});
    }
}

async fn create_pod(world: &World, gate: &RunningGate, namespace: &str, pod: &Value) -> Answered {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    send(world.ask_at(gate, "POST", &path).json(pod)).await
}

async fn vote(world: &World, gate: &RunningGate, id: &str, answer: &str) -> (u16, Value) {
    let body = json!({"answer": answer, "comment": "I looked at it"});
    let path = format!("/api/v1/holds/{id}/votes");
    json_of(
        world
            .human_at(gate, "POST", &path, &world.approver_token())
            .json(&body),
    )
    .await
}

/// What happened to a hold, in order, as the ledger has it.
fn steps(data: &Path, id: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries(data)
        .iter()
        .map(|entry| &entry["hold"])
        .filter(|hold| hold["hold"] == id)
        .map(|hold| (text(&hold["event"]), text(&hold["who"])))
        .collect()
}

fn step(event: &str, who: &str) -> (String, String) {
    (event.to_owned(), who.to_owned())
}

#[test]
fn a_short_hold_keeps_the_connection_and_goes_through_on_approval() {
    run(async {
        let world = world();
        let namespace = world.namespace("short");
        let (gate, data) = world.another_gate(wait("20s")).await;
        let debug = pod("debug", true);
        let asked = create_pod(world, &gate, &namespace, &debug);
        let approved = async {
            let id = world.hold_for(&gate, &namespace).await;
            let (status, hold) = vote(world, &gate, &id, "approve").await;
            assert_eq!(
                (status, &hold["state"]),
                (200, &json!("approved")),
                "{hold}"
            );
            id
        };
        let (answer, id) = tokio::join!(asked, approved);
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.json()["metadata"]["name"], "debug");
        assert_eq!(
            steps(&data, &id),
            [step("created", AGENT), step("approved", APPROVER)]
        );
        let intent = &entries_of(&data, answer.id())[0]["intent"];
        assert_eq!(intent["grounds"]["verdict"], "hold");
        assert_eq!(
            intent["grounds"]["approval"],
            json!({"hold": id, "approver": APPROVER})
        );
        gate.stop().await;
    });
}

#[test]
fn a_long_hold_says_come_again_and_one_approval_is_for_one_request() {
    run(async {
        let world = world();
        let namespace = world.namespace("long");
        let (gate, _) = world.another_gate(wait("1s")).await;
        let debug = pod("debug", true);
        let held = create_pod(world, &gate, &namespace, &debug).await;
        assert_eq!(held.status, 429, "{}", held.text);
        assert_eq!(held.header("retry-after"), Some("1"));
        let status = held.json();
        assert_eq!(status["reason"], "TooManyRequests");
        assert_eq!(status["details"]["retryAfterSeconds"], 1);
        let id = world.hold_for(&gate, &namespace).await;
        assert!(
            held.message()
                .contains(&format!("held for approval as {id}")),
            "{}",
            held.text
        );
        let again = create_pod(world, &gate, &namespace, &debug).await;
        assert!(
            again.message().contains(&id),
            "the same request waits once: {}",
            again.text
        );

        assert_eq!(vote(world, &gate, &id, "approve").await.0, 200);
        let other = create_pod(world, &gate, &namespace, &pod("other", true)).await;
        assert_eq!(
            other.status, 429,
            "another body needs its own approval: {}",
            other.text
        );
        let through = create_pod(world, &gate, &namespace, &debug).await;
        assert_eq!(through.status, 201, "{}", through.text);
        let twice = create_pod(world, &gate, &namespace, &debug).await;
        assert_eq!(
            twice.status, 429,
            "an approval is spent once: {}",
            twice.text
        );
        assert!(!twice.message().contains(&id), "{}", twice.text);
        let (_, hold) = json_of(world.human_at(
            &gate,
            "GET",
            &format!("/api/v1/holds/{id}"),
            &world.approver_token(),
        ))
        .await;
        assert_eq!(hold["state"], "used");
        gate.stop().await;
    });
}

#[test]
fn of_two_equal_requests_that_wait_one_goes_through() {
    run(async {
        let world = world();
        let namespace = world.namespace("twice");
        let (gate, _) = world.another_gate(wait("10s")).await;
        let debug = pod("debug", true);
        let approve = async {
            let id = world.hold_for(&gate, &namespace).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            vote(world, &gate, &id, "approve").await
        };
        let (one, two, _) = tokio::join!(
            create_pod(world, &gate, &namespace, &debug),
            create_pod(world, &gate, &namespace, &debug),
            approve
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        // The other one finds the approval spent, or, if it came after that, waits anew.
        assert_eq!(statuses[0], 201, "{} {}", one.text, two.text);
        assert!(
            [403, 429].contains(&statuses[1]),
            "{} {}",
            one.text,
            two.text
        );
        gate.stop().await;
    });
}

/// The rules of the moment have the last word, and the hold that they file is on record.
#[test]
fn an_approval_under_rules_that_changed_meanwhile_opens_nothing() {
    run(async {
        let world = world();
        let namespace = world.namespace("changed");
        let policies = world.dir.join(format!("{namespace}-rules"));
        std::fs::create_dir(&policies).unwrap();
        let rules = |rule: &str, quorum: u8| {
            let text = format!(
                "apiVersion: gateward.dev/v1alpha1\nkind: Policy\nmetadata: {{name: ours}}\nspec:\n  rules:\n  \
                 - {{name: {rule}, effect: hold, reason: It is a pod., verbs: [create], apiGroups: [''], \
                 resources: [pods], hold: {{quorum: {quorum}, expiresAfter: 1h}}}}\n"
            );
            std::fs::write(policies.join("ours.yaml"), text).unwrap();
        };
        rules("one", 1);
        let (gate, data) = world
            .another_gate(|document| {
                wait("15s")(document);
                document["spec"]["policies"] = json!({"files": [policies], "defaultPack": false});
            })
            .await;
        let body = pod("debug", false);
        let change = async {
            let id = world.hold_for(&gate, &namespace).await;
            rules("two", 2);
            let loaded = || {
                entries(&data)
                    .into_iter()
                    .filter(|entry| !entry["system"]["policy-loaded"].is_null())
            };
            let begun = std::time::Instant::now();
            while loaded().count() < 2 {
                assert!(begun.elapsed() < Duration::from_secs(20), "never loaded");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (vote(world, &gate, &id, "approve").await.0, id)
        };
        let (pod, (voted, id)) = tokio::join!(create_pod(world, &gate, &namespace, &body), change);
        assert_eq!(voted, 200);
        assert_eq!(pod.status, 429, "{}", pod.text);
        assert!(pod.message().contains("by rule \"two\""), "{}", pod.text);
        let next = world.hold_for(&gate, &namespace).await;
        assert_ne!(next, id);
        assert!(pod.message().contains(&next), "{}", pod.text);
        assert_eq!(steps(&data, &next), [step("created", "triage-bot")]);
        gate.stop().await;
    });
}

/// client-go reads Retry-After and sends the same request again: the agent notices nothing.
#[test]
fn kubectl_comes_again_by_itself_and_goes_through() {
    run(async {
        let world = world();
        let namespace = world.namespace("retries");
        let (gate, data) = world.another_gate(wait("1s")).await;
        let manifest = world.dir.join("retries.yaml");
        std::fs::write(&manifest, pod("debug", true).to_string()).unwrap();
        let kubeconfig = world.agent_kubeconfig(&gate);
        let in_namespace = namespace.clone();
        let kubectl = aside(move || {
            let mut command = world.scene.control.kubectl_command(&kubeconfig);
            command
                .args(["-n", &in_namespace, "apply", "-f"])
                .arg(&manifest);
            command.output().unwrap()
        });
        let approve = async {
            let id = world.hold_for(&gate, &namespace).await;
            tokio::time::sleep(Duration::from_secs(4)).await; // longer than the short wait
            assert_eq!(vote(world, &gate, &id, "approve").await.0, 200);
            id
        };
        let (output, id) = tokio::join!(kubectl, approve);
        let (stdout, stderr) = said(&output);
        assert!(output.status.success(), "{stdout}{stderr}");
        assert_eq!(stdout, "pod/debug created\n", "{stderr}");
        let all = entries(&data);
        let told: Vec<&Value> = all
            .iter()
            .map(|entry| &entry["refused"])
            .filter(|refused| refused["hold"] == id)
            .collect();
        assert!(told.len() >= 2, "it came again more than once: {told:?}");
        assert!(
            told.iter().all(|refused| refused["status"] == 429),
            "{told:?}"
        );
        gate.stop().await;
    });
}

#[test]
fn a_no_is_a_no_with_the_approvers_words() {
    run(async {
        let world = world();
        let namespace = world.namespace("denied");
        let (gate, data) = world.another_gate(wait("10s")).await;
        let debug = pod("debug", true);
        let deny = async {
            let id = world.hold_for(&gate, &namespace).await;
            assert_eq!(vote(world, &gate, &id, "deny").await.0, 200);
            id
        };
        let (answer, id) = tokio::join!(create_pod(world, &gate, &namespace, &debug), deny);
        assert_eq!(answer.status, 403, "{}", answer.text);
        let message = answer.message();
        for part in [&*id, APPROVER, "said no: I looked at it"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let again = create_pod(world, &gate, &namespace, &debug).await;
        assert_eq!(again.status, 403, "it stays denied: {}", again.text);
        assert_eq!(
            steps(&data, &id),
            [step("created", AGENT), step("denied", APPROVER)]
        );
        gate.stop().await;
    });
}

#[test]
fn silence_is_a_no() {
    run(async {
        let world = world();
        let rules = format!(
            "- {{name: wait, effect: hold, reason: ask., verbs: [create], apiGroups: [''], resources: [pods], hold: {{expiresAfter: 10s}}}}{ALLOW_ALL}"
        );
        let (gate, data) = gate_with_rules(world, &rules, wait("1s")).await;
        let namespace = world.namespace("silence");
        let held = create_pod(world, &gate, &namespace, &pod("x", false)).await;
        assert_eq!(held.status, 429, "{}", held.text);
        let id = world.hold_for(&gate, &namespace).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (status, answer) = vote(world, &gate, &id, "approve").await;
        assert_eq!(status, 409, "{answer}");
        let again = create_pod(world, &gate, &namespace, &pod("x", false)).await;
        assert_eq!(again.status, 429, "{}", again.text);
        assert!(!again.message().contains(&id), "a new hold: {}", again.text);
        // The sweep notes it within its ten seconds.
        let begun = Instant::now();
        while steps(&data, &id) != [step("created", AGENT), step("expired", "gateward")] {
            assert!(
                begun.elapsed() < Duration::from_secs(15),
                "{:?}",
                steps(&data, &id)
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        gate.stop().await;
    });
}

#[test]
fn a_restart_loses_no_hold_and_no_approval() {
    run(async {
        let world = world();
        let namespace = world.namespace("restart");
        let (configuration, data) = world.configured(wait("1s"));
        let debug = pod("debug", true);

        let gate = RunningGate::start(&configuration).await.unwrap();
        assert_eq!(
            create_pod(world, &gate, &namespace, &debug).await.status,
            429
        );
        let id = world.hold_for(&gate, &namespace).await;
        gate.stop().await;

        let gate = RunningGate::start(&configuration).await.unwrap();
        assert_eq!(
            world.hold_for(&gate, &namespace).await,
            id,
            "it still waits"
        );
        assert_eq!(vote(world, &gate, &id, "approve").await.0, 200);
        gate.stop().await;

        let gate = RunningGate::start(&configuration).await.unwrap();
        let answer = create_pod(world, &gate, &namespace, &debug).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        gate.stop().await;

        let gate = RunningGate::start(&configuration).await.unwrap();
        let answer = create_pod(world, &gate, &namespace, &debug).await;
        assert_eq!(answer.status, 429, "it was spent before: {}", answer.text);
        gate.stop().await;
        let systems: Vec<Value> = entries(&data)
            .iter()
            .filter(|entry| entry["system"] == json!("stopped"))
            .cloned()
            .collect();
        assert_eq!(systems.len(), 4, "each run ended in order");
    });
}
