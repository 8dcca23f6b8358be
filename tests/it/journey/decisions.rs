//! ④ What the policy says, as the agent hears it: a `Status`, and what kubectl prints of it.

use std::time::{Duration, Instant};

use gateward::demo::scene::{AGENT, AGENTS_AUDIENCE, PRINCIPAL};
use serde_json::{Value, json};

use super::upstream::{gate_before, json_answer, upstream};
use super::{Answered, entries_of, gate_with_rules, said, send, set_rules};
use crate::harness::{pod, run, world};

#[test]
fn what_no_rule_allows_is_refused_with_a_sentence() {
    run(async {
        let world = world();
        let rules =
            "- {name: look, effect: allow, verbs: [get], apiGroups: [''], resources: [pods]}";
        let (gate, data) = gate_with_rules(world, rules, |_| {}).await;
        let answer =
            send(world.ask_at(&gate, "DELETE", "/api/v1/namespaces/default/pods/web")).await;
        assert_eq!(
            (answer.status, &answer.json()["reason"]),
            (403, &json!("Forbidden"))
        );
        let message = answer.message();
        for part in [
            "no rule allows",
            AGENT,
            "delete pods",
            "default",
            "ask the platform team",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let entries = entries_of(&data, answer.id());
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!(entries[0]["refused"]["grounds"]["verdict"], "deny");
        gate.stop().await;
    });
}

#[test]
fn deny_beats_hold_beats_allow_whatever_the_order() {
    run(async {
        let world = world();
        let mut rules = [
            "- {name: yes, effect: allow, verbs: [delete], apiGroups: [''], resources: [configmaps]}",
            "- {name: wait, effect: hold, reason: ask., verbs: [delete], apiGroups: [''], resources: [configmaps], resourceNames: [h, d]}",
            "- {name: never, effect: deny, reason: keep it., verbs: [delete], apiGroups: [''], resources: [configmaps], resourceNames: [d]}",
        ];
        for _ in 0..2 {
            let no_wait =
                |document: &mut Value| document["spec"]["holds"] = json!({"shortWait": "1s"});
            let (gate, data) = gate_with_rules(world, &rules.join("\n"), no_wait).await;
            let delete = async |name: &str| {
                let path = format!("/api/v1/namespaces/default/configmaps/{name}");
                send(world.ask_at(&gate, "DELETE", &path)).await
            };
            let cluster = delete("free").await;
            assert_eq!(cluster.message(), "configmaps \"free\" not found");
            let held = delete("h").await;
            assert_eq!(held.status, 429, "{}", held.text);
            assert!(
                held.message().contains("by rule \"wait\": ask;"),
                "{}",
                held.text
            );
            let denied = delete("d").await;
            assert_eq!(denied.status, 403, "{}", denied.text);
            assert_eq!(
                denied.message(),
                "gateward: denied by rule \"never\" of policy \"test\": keep it."
            );
            for (answer, verdict, rule) in [(&held, "hold", "wait"), (&denied, "deny", "never")] {
                let grounds = &entries_of(&data, answer.id())[0]["refused"]["grounds"];
                assert_eq!(
                    (&grounds["verdict"], &grounds["rule"]),
                    (&json!(verdict), &json!(rule))
                );
            }
            let grounds = &entries_of(&data, cluster.id())[0]["intent"]["grounds"];
            assert_eq!(
                (&grounds["verdict"], &grounds["rule"]),
                (&json!("allow"), &json!("yes"))
            );
            gate.stop().await;
            rules.reverse();
        }
    });
}

#[test]
fn rules_choose_by_agent_principal_and_group() {
    run(async {
        let world = world();
        let cluster =
            upstream(|_| async { json_answer(200, &json!({"kind": "List", "items": []})) }).await;
        let rules = "
- {name: agent, effect: allow, verbs: [list], apiGroups: [''], resources: [pods], subjects: {agents: [triage-*]}}
- {name: principal, effect: allow, verbs: [list], apiGroups: [''], resources: [services], subjects: {principals: [alice@example.com]}}
- {name: group, effect: allow, verbs: [list], apiGroups: [''], resources: [configmaps], subjects: {groups: [agents]}}
- {name: two, effect: allow, verbs: [list], apiGroups: [''], resources: [endpoints], subjects: {agents: [triage-*], groups: [night]}}";
        let (gate, _) = gate_before(world, &cluster, |document| {
            set_rules(world, document, rules)
        })
        .await;
        let callers = [
            (
                PRINCIPAL,
                json!({"act": {"sub": AGENT}}),
                [200, 200, 403, 403],
            ),
            (
                PRINCIPAL,
                json!({"act": {"sub": "other"}}),
                [403, 200, 403, 403],
            ),
            (
                "carol",
                json!({"act": {"sub": "other"}, "groups": ["agents"]}),
                [403, 403, 200, 403],
            ),
            (
                "carol",
                json!({"act": {"sub": AGENT}, "groups": ["night"]}),
                [200, 403, 403, 200],
            ),
            // Who acts for nobody matches no principal, not even by that name.
            (PRINCIPAL, json!({}), [403, 403, 403, 403]),
        ];
        for (subject, more, expected) in callers {
            let token = world.mint(&world.claims(AGENTS_AUDIENCE, subject, more.clone()));
            for (resource, status) in ["pods", "services", "configmaps", "endpoints"]
                .iter()
                .zip(expected)
            {
                let path = format!("/api/v1/{resource}");
                let request = world.ask_at(&gate, "GET", &path).build().unwrap();
                let answer = send(
                    world
                        .client()
                        .get(request.url().clone())
                        .bearer_auth(&token),
                )
                .await;
                assert_eq!(
                    answer.status, status,
                    "{subject} {more} {resource}: {}",
                    answer.text
                );
            }
        }
        gate.stop().await;
    });
}

#[test]
fn the_guardrails_hold_and_deny_what_they_promise() {
    run(async {
        let world = world();
        let change = |document: &mut Value| document["spec"]["holds"] = json!({"shortWait": "1s"});
        let gate = world.another_gate(change).await.0;
        let ask = async |method: &str, path: &str, body: Value| -> Answered {
            let request = world.ask_at(&gate, method, path);
            send(if body.is_null() {
                request
            } else {
                request.json(&body)
            })
            .await
        };
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {}});
        let template = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"selector": {}, "template": {"spec": pod("x", true)["spec"]}}});
        let namespaced = |rest: &str| format!("/api/v1/namespaces/default/{rest}");
        for (rule, method, path, body) in [
            (
                "privileged-pods",
                "POST",
                namespaced("pods"),
                pod("x", true),
            ),
            (
                "privileged-pods",
                "POST",
                "/apis/apps/v1/namespaces/default/deployments".to_owned(),
                template,
            ),
            ("secret-writes", "POST", namespaced("secrets"), secret),
            (
                "rbac-writes",
                "DELETE",
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/x".to_owned(),
                Value::Null,
            ),
        ] {
            let answer = ask(method, &path, body).await;
            assert_eq!(answer.status, 429, "{path}: {}", answer.text);
            assert!(
                answer.message().contains(&format!("by rule {rule:?}")),
                "{}",
                answer.text
            );
        }
        for (rule, method, path) in [
            ("proxy", "GET", "/api/v1/nodes/node-0/proxy/run".to_owned()),
            ("proxy", "GET", namespaced("pods/web/proxy")),
            (
                "delete-namespaces",
                "DELETE",
                "/api/v1/namespaces/payments".to_owned(),
            ),
            (
                "mint-service-account-tokens",
                "POST",
                namespaced("serviceaccounts/default/token"),
            ),
        ] {
            let answer = ask(method, &path, Value::Null).await;
            assert_eq!(answer.status, 403, "{path}: {}", answer.text);
            assert!(
                answer
                    .message()
                    .contains(&format!("denied by rule {rule:?}")),
                "{}",
                answer.text
            );
        }
        gate.stop().await;
    });
}

/// What an agent that only knows kubectl gets to read.
#[test]
fn kubectl_prints_each_no_as_one_sentence() {
    let world = world();
    let namespace = world.namespace("sentences");
    let kubectl = |arguments: &[&str]| {
        let output = world.kubectl(arguments);
        assert!(!output.status.success());
        said(&output).1
    };
    let denied = kubectl(&["delete", "namespace", &namespace]);
    assert!(
        denied.starts_with(
            "Error from server (Forbidden): gateward: denied by rule \"delete-namespaces\""
        ),
        "{denied}"
    );
    let logs = kubectl(&["-n", &namespace, "logs", "web"]);
    assert!(!logs.contains("<html") && logs.contains("rror"), "{logs}");
    let asked = kubectl(&["--as=admin", "get", "pods"]);
    assert!(
        asked.contains("impersonation is not available through the gate"),
        "{asked}"
    );
}

#[test]
fn break_glass_waits_for_nobody_opens_nothing_that_is_denied_and_is_on_record() {
    run(async {
        let world = world();
        let no_wait =
            |document: &mut Value| document["spec"]["holds"] = json!({"shortWait": "1ms"});
        let (gate, data) = world.another_gate(no_wait).await;
        let namespace = world.namespace("break-glass");
        let in_namespace = format!("/api/v1/namespaces/{namespace}");
        let token = |groups: Value| {
            let more = json!({"groups": groups, "act": {"sub": AGENT}});
            world.mint(&world.claims(AGENTS_AUDIENCE, PRINCIPAL, more))
        };
        let ask = async |token: &str, path: &str, body: &Value| {
            let url = format!(
                "https://localhost:{}/clusters/local{path}",
                gate.agents.port()
            );
            send(world.client().post(url).bearer_auth(token).json(body)).await
        };
        let (pods, secrets) = (
            format!("{in_namespace}/pods"),
            format!("{in_namespace}/secrets"),
        );
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"password": "correct-horse"}});
        let member = token(json!(["agents", "gateward:break-glass"]));
        let others = token(json!(["agents", "break-glass", "x:gateward:break-glass"]));
        for (path, body) in [(&pods, pod("p", true)), (&secrets, secret)] {
            let held = ask(&others, path, &body).await;
            assert_eq!(held.status, 429, "{}", held.text);
            let done = ask(&member, path, &body).await;
            assert_eq!(done.status, 201, "{}", done.text);
            assert!(
                !done.text.contains("Y29ycmVjdC1ob3JzZQ"),
                "masked all the same"
            );
            let intent = &entries_of(&data, done.id())[0]["intent"];
            assert_eq!(
                (&intent["grounds"]["verdict"], &intent["grounds"]["rule"]),
                (&json!("allow"), &json!("break-glass"))
            );
            assert_eq!(intent["who"]["principal"], PRINCIPAL);
        }
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let denied = ask(
            &member,
            &format!("{in_namespace}/serviceaccounts/default/token"),
            &request,
        )
        .await;
        assert_eq!(denied.status, 403);
        assert!(
            denied.message().contains("mint-service-account-tokens"),
            "{}",
            denied.text
        );
        let query = format!("/api/v1/records?verdict=allow&namespace={namespace}");
        let begun = Instant::now();
        loop {
            let search = world.human_at(&gate, "GET", &query, &world.approver_token());
            let found = send(search).await.json();
            let items = found["items"].as_array().unwrap();
            let by_rule = |item: &&Value| item["rule"] == "break-glass";
            if items.len() == 2 && items.iter().filter(by_rule).count() == 2 {
                break; // an auditor finds them
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        gate.stop().await;
    });
}
