//! Mask rules of a policy on the real API server, also when they change meanwhile.

use std::time::Duration;

use serde_json::json;

use crate::harness::{json_of, run, world};

const ALLOW: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: ours}
spec:
  rules:
  - {name: all, effect: allow, verbs: ['*'], apiGroups: ['*'], resources: ['*']}
  - {name: look, effect: hold, reason: Look first., verbs: [create], apiGroups: [''], resources: [configmaps]}
";

const MASKS: &str = "  \
masks:
  - {name: shelves, resources: [configmaps], fields: [data.shelf, metadata.labels.tier]}
";

#[test]
fn fields_that_a_rule_names_are_hidden_and_nobody_selects_by_them() {
    let world = world();
    run(async {
        let namespace = world.namespace("mask-rules");
        let control = &world.scene.control;
        let create = [
            "-n",
            &namespace,
            "create",
            "configmap",
            "c",
            "--from-literal=shelf=up-there",
            "--from-literal=door=open",
        ];
        control.kubectl(&create).unwrap();
        control
            .kubectl(&[
                "-n",
                &namespace,
                "label",
                "configmap",
                "c",
                "tier=first-of-9",
            ])
            .unwrap();
        let file = world.dir.join(format!("{namespace}.yaml"));
        std::fs::write(&file, format!("{ALLOW}{MASKS}")).unwrap();
        let (gate, data) = world
            .another_gate(|document| {
                document["spec"]["policies"] = json!({"files": [file], "defaultPack": false});
            })
            .await;
        let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
        for path in [
            format!("{maps}/c"),
            maps.clone(),
            "/api/v1/configmaps".to_owned(),
        ] {
            let (status, answer) = json_of(world.ask_at(&gate, "GET", &path)).await;
            assert_eq!(status, 200, "{answer}");
            let text = answer.to_string();
            assert!(
                !text.contains("up-there") && !text.contains("first-of-9"),
                "{text}"
            );
            assert!(text.contains("\"door\":\"open\""), "{text}");
        }
        for (query, status) in [
            ("tier%3Dfirst-of-9", 403),
            ("tier%3Diron", 403),
            ("other%3Dx", 200),
        ] {
            let path = format!("{maps}?labelSelector={query}");
            let (found, answer) = json_of(world.ask_at(&gate, "GET", &path)).await;
            assert_eq!(found, status, "{query}: {answer}");
        }
        gate.stop().await;
        let kept = String::from_utf8_lossy(&world.kept(&data)).into_owned();
        assert!(kept.contains(r#""verdict":"deny","policy":"ours","rule":"shelves""#));
        assert!(!kept.contains("up-there"));
    });
}

/// What is approved under new rules is answered under their masks.
#[test]
fn threat_18_a_mask_that_comes_into_force_while_a_hold_waits_masks_its_answer() {
    let world = world();
    run(async {
        let namespace = world.namespace("mask-reload");
        let policies = world.dir.join(format!("{namespace}-rules"));
        std::fs::create_dir(&policies).unwrap();
        let write = |text: &str| std::fs::write(policies.join("ours.yaml"), text).unwrap();
        write(ALLOW);
        let (gate, data) = world
            .another_gate(|document| {
                document["spec"]["policies"] = json!({"files": [policies], "defaultPack": false});
                document["spec"]["holds"] = json!({"shortWait": "20s", "retryAfter": "1s"});
            })
            .await;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"shelf": "up-there"}});
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let change = async {
            let id = world.hold_for(&gate, &namespace).await;
            write(&format!("{ALLOW}{MASKS}"));
            let begun = std::time::Instant::now();
            let loads = || {
                String::from_utf8_lossy(&world.kept(&data))
                    .matches("policy-loaded")
                    .count()
            };
            while loads() < 2 {
                assert!(begun.elapsed() < Duration::from_secs(15), "never loaded");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // It is recorded just before it is in force.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let vote = format!("/api/v1/holds/{id}/votes");
            let yes = json!({"answer": "approve", "comment": ""});
            json_of(
                world
                    .human_at(&gate, "POST", &vote, &world.approver_token())
                    .json(&yes),
            )
            .await
            .0
        };
        let create = json_of(world.ask_at(&gate, "POST", &path).json(&map));
        let ((status, answer), voted) = tokio::join!(create, change);
        assert_eq!((status, voted), (201, 200), "{answer}");
        assert_eq!(answer["data"]["shelf"], "gateward:masked");
        gate.stop().await;
    });
}
