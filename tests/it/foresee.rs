//! Writes are judged on what they come to: the object that the API server makes of them, by a
//! dry run as the caller, and bound to that object when they are executed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Capture, World, json_of, run, world};

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

fn deployment(name: &str, privileged: bool) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "main", "image": "registry.example.com/app:1",
                    "securityContext": {"privileged": privileged}}]}}},
    })
}

impl World {
    async fn patch(&self, path: &str, kind: &str, body: &Value) -> (u16, Value) {
        json_of(
            self.ask("PATCH", path)
                .header("content-type", kind)
                .body(body.to_string()),
        )
        .await
    }

    /// The rehearsals on record in a namespace, once there are `count`.
    async fn rehearsals(&self, namespace: &str, count: usize) -> Vec<Value> {
        for _ in 0..100 {
            let path = format!("/api/v1/records?verdict=rehearsal&namespace={namespace}");
            let found = json_of(self.human("GET", &path)).await.1;
            let items = found["items"]
                .as_array()
                .unwrap_or_else(|| panic!("{found}"));
            if items.len() >= count {
                return items.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {count} rehearsals in {namespace}");
    }
}

fn deployments(namespace: &str, name: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
}

#[test]
fn threat_14_a_patch_is_judged_on_its_result_whatever_kind_of_patch_it_is() {
    let world = world();
    run(async {
        let namespace = world.namespace("foresee-result");
        world.admin_creates(&namespace, &deployment("web", true));
        let path = deployments(&namespace, "web");
        // None of these says a word about privilege; the object that comes of them is.
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        let apply = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"a": "b"}}});
        for (kind, path, body) in [
            (MERGE, path.clone(), label.clone()),
            (STRATEGIC, path.clone(), label),
            (
                JSON_PATCH,
                path.clone(),
                json!([{"op": "add", "path": "/metadata/labels", "value": {}}]),
            ),
            (APPLY, format!("{path}?fieldManager=t"), apply),
        ] {
            let request = world
                .ask("PATCH", &path)
                .header("content-type", kind)
                .body(body.to_string());
            let (status, answer) = json_of(request).await;
            assert_eq!(status, 429, "{kind}: {answer}");
            assert!(
                answer["message"].as_str().unwrap().contains("privileged"),
                "{answer}"
            );
        }
        let mut mounts = deployment("mounts", false);
        let spec = &mut mounts["spec"]["template"]["spec"];
        spec["volumes"] = json!([{"name": "v", "hostPath": {"path": "/etc"}}]);
        world.admin_creates(&namespace, &mounts);
        let body = json!([
            {"op": "copy", "from": "/spec/selector/matchLabels", "path": "/metadata/labels"}]);
        let path = deployments(&namespace, "mounts");
        let (status, answer) = world.patch(&path, JSON_PATCH, &body).await;
        let message = answer["message"].as_str().unwrap();
        assert!(status == 429 && message.contains("hostPath"), "{answer}");
        // What a move or copy carries is known once its result is.
        world.admin_creates(&namespace, &deployment("plain", false));
        let path = deployments(&namespace, "plain");
        let (status, answer) = world.patch(&path, JSON_PATCH, &body).await;
        assert_eq!(status, 200, "{answer}");
        let rehearsals = world.rehearsals(&namespace, 8).await;
        for one in &rehearsals {
            assert_eq!(one["agent"], "triage-bot", "{one}");
            assert_eq!(one["status"], 200, "{one}");
        }
    });
}

#[test]
fn every_kind_of_write_goes_through_bound_to_the_object_that_was_judged() {
    let world = world();
    run(async {
        let namespace = world.namespace("foresee-writes");
        world.admin_creates(&namespace, &deployment("web", false));
        let path = deployments(&namespace, "web");
        for (kind, label) in [(MERGE, "merge"), (STRATEGIC, "strategic")] {
            let body = json!({"metadata": {"labels": {"by": label}}});
            let (status, answer) = world.patch(&path, kind, &body).await;
            assert_eq!(
                (status, answer["metadata"]["labels"]["by"].as_str()),
                (200, Some(label)),
                "{answer}"
            );
        }
        let body = json!([
            {"op": "test", "path": "/metadata/labels/by", "value": "strategic"},
            {"op": "remove", "path": "/metadata/resourceVersion"},
            {"op": "replace", "path": "/metadata/labels/by", "value": "json"}]);
        let (status, answer) = world.patch(&path, JSON_PATCH, &body).await;
        assert_eq!(status, 200, "{answer}");
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"by": "apply"}}});
        let (status, answer) = world
            .patch(&format!("{path}?fieldManager=t"), APPLY, &body)
            .await;
        assert_eq!(
            (status, answer["metadata"]["annotations"]["by"].as_str()),
            (200, Some("apply")),
            "{answer}"
        );
        let (status, answer) = world
            .patch(
                &format!("{path}/scale"),
                MERGE,
                &json!({"spec": {"replicas": 2}}),
            )
            .await;
        assert_eq!(
            (status, answer["spec"]["replicas"].as_i64()),
            (200, Some(2)),
            "{answer}"
        );

        let (_, mut object) = json_of(world.ask("GET", &path)).await;
        object["metadata"]["labels"]["by"] = json!("put");
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
        let (status, answer) = json_of(world.ask("PUT", &path).json(&object)).await;
        assert_eq!(
            (status, answer["metadata"]["labels"]["by"].as_str()),
            (200, Some("put")),
            "{answer}"
        );
        // The client's own precondition stays one.
        object["metadata"]["resourceVersion"] = json!("1");
        let (status, answer) = json_of(world.ask("PUT", &path).json(&object)).await;
        assert_eq!(
            (status, answer["reason"].as_str()),
            (409, Some("Conflict")),
            "{answer}"
        );

        let created = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "new"}, "spec": deployment("new", false)["spec"]});
        let new = deployments(&namespace, "new");
        let (status, answer) = world
            .patch(&format!("{new}?fieldManager=t"), APPLY, &created)
            .await;
        assert_eq!(status, 201, "{answer}");
        let (status, answer) = json_of(world.ask("DELETE", &new)).await;
        assert_eq!(status, 200, "{answer}");
        let (status, answer) = json_of(world.ask("DELETE", &new)).await;
        assert_eq!(
            (status, answer["reason"].as_str()),
            (404, Some("NotFound")),
            "{answer}"
        );
    });
}

#[test]
fn an_object_that_the_cluster_names_gets_the_name_that_was_judged() {
    let world = world();
    run(async {
        let namespace = world.namespace("foresee-generate");
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let body =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "gen-"}});
        let (status, answer) = json_of(world.ask("POST", &path).json(&body)).await;
        assert_eq!(status, 201, "{answer}");
        let name = answer["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("gen-") && name.len() > 4, "{answer}");
        let (_, list) = json_of(world.ask("GET", &path)).await;
        let generated = list["items"].as_array().unwrap().iter();
        assert_eq!(
            generated.filter(|c| c["metadata"]["name"] == name).count(),
            1
        );
    });
}

#[test]
fn what_the_cluster_refuses_in_a_dry_run_is_its_own_answer_and_nothing_happened() {
    let world = world();
    run(async {
        let namespace = world.namespace("foresee-refused");
        let (status, answer) = world
            .patch(
                &deployments(&namespace, "absent"),
                MERGE,
                &json!({"spec": {"replicas": 1}}),
            )
            .await;
        assert_eq!(
            (status, answer["reason"].as_str()),
            (404, Some("NotFound")),
            "{answer}"
        );
        world.admin_creates(&namespace, &deployment("web", false));
        let (status, answer) = world
            .patch(
                &deployments(&namespace, "web"),
                MERGE,
                &json!({"spec": {"replicas": -1}}),
            )
            .await;
        assert_eq!(
            (status, answer["reason"].as_str()),
            (422, Some("Invalid")),
            "{answer}"
        );
    });
}

#[test]
fn threat_15_an_approval_does_not_hold_for_an_object_that_was_changed_meanwhile() {
    let world = world();
    run(async {
        let namespace = world.namespace("foresee-swap");
        world.admin_creates(&namespace, &deployment("web", true));
        let path = deployments(&namespace, "web");
        let body = json!({"metadata": {"labels": {"a": "b"}}});
        let (status, _) = world.patch(&path, MERGE, &body).await;
        assert_eq!(status, 429);
        let id = world.hold_for(&world.gate, &path).await;
        let votes = format!("/api/v1/holds/{id}/votes");
        let vote = json!({"answer": "approve"});
        let (status, answer) = json_of(world.human("POST", &votes).json(&vote)).await;
        assert_eq!(status, 200, "{answer}");
        let admin = |patch: &str| {
            let arguments = [
                "-n",
                &namespace,
                "patch",
                "deployment",
                "web",
                "--type=merge",
                "-p",
                patch,
            ];
            world.scene.control.kubectl(&arguments).unwrap();
        };
        admin(r#"{"spec":{"template":{"spec":{"hostNetwork":true}}}}"#);
        let (status, answer) = world.patch(&path, MERGE, &body).await;
        assert_eq!(status, 429, "{answer}");
        assert!(
            !answer["message"].as_str().unwrap().contains(&id),
            "a hold of its own: {answer}"
        );
        // Back as it was when a human looked: the approval is about this.
        admin(r#"{"spec":{"template":{"spec":{"hostNetwork":null}}}}"#);
        let (status, answer) = world.patch(&path, MERGE, &body).await;
        assert_eq!(status, 200, "{answer}");
    });
}

#[test]
fn a_webhook_that_forbids_dry_runs_means_no() {
    let world = world();
    run(async {
        let capture = Capture::start(&world.dir).await;
        let (gate, _) = world
            .another_gate(|config| {
                config["spec"]["clusters"][0]["kubeconfig"]["file"] = json!(capture.kubeconfig);
            })
            .await;
        // Only servers before 1.22 still have such webhooks.
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
            "message": "admission webhook \"w\" does not support dry run",
            "reason": "BadRequest", "code": 400});
        let answer = String::from_utf8(Capture::ok(&status.to_string())).unwrap();
        capture.answer(answer.replace("200 OK", "400 Bad Request").into_bytes());
        let request = world
            .ask_at(&gate, "PATCH", "/api/v1/namespaces/default/configmaps/c")
            .header("content-type", MERGE)
            .body(r#"{"data":{"a":"b"}}"#);
        let (status, answer) = json_of(request).await;
        assert_eq!(status, 403, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains("dry run"),
            "{answer}"
        );
        let last = capture.last().unwrap();
        assert!(
            last.starts_with("PATCH ") && last.contains("dryRun=All"),
            "{last}"
        );
    });
}
