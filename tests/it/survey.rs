//! What a request is judged on beside its object: how much a deletion deletes, and what a
//! pod's service account may do, on the real API server.

use serde_json::{Value, json};

use crate::harness::{World, json_of, pod, run, world};

impl World {
    fn admin(&self, arguments: &[&str]) {
        self.scene.control.kubectl(arguments).unwrap();
    }
}

fn config_maps(namespace: &str, app: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps?labelSelector=app%3D{app}")
}

fn make(world: &World, namespace: &str, app: &str, names: &[&str]) {
    for name in names {
        world.admin(&["-n", namespace, "create", "configmap", name]);
        let label = format!("app={app}");
        world.admin(&["-n", namespace, "label", "configmap", name, &label]);
    }
}

const COUNTED: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: counted}
spec:
  rules:
  - name: too-many
    effect: deny
    reason: That is too much at once.
    verbs: [deletecollection]
    apiGroups: ['*']
    resources: ['*']
    matchConditions:
    - {name: many, expression: facts.deletedObjects > 2}
  - name: some
    effect: hold
    reason: Look at what goes.
    verbs: [deletecollection]
    apiGroups: ['*']
    resources: ['*']
    matchConditions:
    - {name: several, expression: 'oldObject.items.size() > 1'}
  - {name: rest, effect: allow, verbs: ['*'], apiGroups: ['*'], resources: ['*']}
";

#[test]
fn a_deletion_of_a_collection_is_judged_on_how_much_it_deletes() {
    let world = world();
    run(async {
        let namespace = world.namespace("survey-count");
        make(world, &namespace, "three", &["a", "b", "c"]);
        make(world, &namespace, "two", &["d", "e"]);
        make(world, &namespace, "one", &["f"]);
        let file = world.dir.join(format!("{namespace}.yaml"));
        std::fs::write(&file, COUNTED).unwrap();
        let (gate, _) = world
            .another_gate(|document| {
                document["spec"]["policies"] = json!({"files": [file], "defaultPack": false});
                document["spec"]["holds"] = json!({"shortWait": "1s", "retryAfter": "1s"});
            })
            .await;
        let delete = async |app: &str| {
            json_of(world.ask_at(&gate, "DELETE", &config_maps(&namespace, app))).await
        };
        let (status, answer) = delete("three").await;
        assert_eq!(status, 403, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains("too-many"),
            "{answer}"
        );
        let (status, answer) = delete("one").await;
        assert_eq!(status, 200, "{answer}");

        // An approver sees how many, and approves these objects and no others.
        let (status, answer) = delete("two").await;
        assert_eq!(status, 429, "{answer}");
        let hold = async || world.hold_for(&gate, &namespace).await;
        let first = hold().await;
        let human = async |method: &str, path: &str, body: Value| {
            json_of(
                world
                    .human_at(&gate, method, path, &world.approver_token())
                    .json(&body),
            )
            .await
        };
        let shown = human("GET", &format!("/api/v1/holds/{first}"), json!({}))
            .await
            .1;
        assert_eq!(shown["facts"]["deletedObjects"], 2, "{shown}");
        let yes = json!({"answer": "approve", "comment": ""});
        let vote = format!("/api/v1/holds/{first}/votes");
        assert_eq!(human("POST", &vote, yes.clone()).await.0, 200);
        world.admin(&["-n", &namespace, "delete", "configmap", "e"]);
        make(world, &namespace, "two", &["g"]);
        let (status, answer) = delete("two").await;
        assert_eq!(
            status, 429,
            "two others are not the two that were approved: {answer}"
        );
        let second = hold().await;
        assert_ne!(first, second);
        let vote = format!("/api/v1/holds/{second}/votes");
        assert_eq!(human("POST", &vote, yes).await.0, 200);
        let (status, answer) = delete("two").await;
        assert_eq!(status, 200, "{answer}");
        gate.stop().await;
        let left =
            world
                .scene
                .control
                .kubectl(&["-n", &namespace, "get", "configmaps", "-o", "name"]);
        let left = left.unwrap();
        assert!(
            ["/a", "/b", "/c"].iter().all(|name| left.contains(name)),
            "{left}"
        );
        assert!(
            !left.contains("/d") && !left.contains("/f") && !left.contains("/g"),
            "{left}"
        );
    });
}

#[test]
fn a_pod_is_judged_on_what_its_service_account_may_do() {
    let world = world();
    run(async {
        let namespace = world.namespace("survey-rights");
        for name in ["reader", "harmless"] {
            world.admin(&["-n", &namespace, "create", "serviceaccount", name]);
        }
        for (role, resource, account) in [
            ("secrets", "secrets", "reader"),
            ("maps", "configmaps", "harmless"),
        ] {
            let resource = format!("--resource={resource}");
            let named = format!("--role={role}");
            let account = format!("--serviceaccount={namespace}:{account}");
            world.admin(&[
                "-n",
                &namespace,
                "create",
                "role",
                role,
                "--verb=get",
                &resource,
            ]);
            world.admin(&[
                "-n",
                &namespace,
                "create",
                "rolebinding",
                role,
                &named,
                &account,
            ]);
        }
        let create = async |name: &str, account: &str| {
            let mut pod = pod(name, false);
            pod["spec"]["serviceAccountName"] = json!(account);
            let path = format!("/api/v1/namespaces/{namespace}/pods");
            json_of(world.ask("POST", &path).json(&pod)).await
        };
        let (status, answer) = create("good", "harmless").await;
        assert_eq!(status, 201, "{answer}");
        let (status, answer) = create("bad", "reader").await;
        assert_eq!(status, 429, "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains("powerful-service-accounts"), "{message}");
        let id = world.hold_for(&world.gate, &namespace).await;
        let path = format!("/api/v1/holds/{id}");
        let shown = json_of(world.human("GET", &path)).await.1;
        assert_eq!(
            shown["facts"]["serviceAccountGrants"],
            json!([{"field": "spec.serviceAccountName", "value": "secrets"}]),
            "{shown}"
        );
    });
}
