//! Attacks by pods that stand inside of something else, and by whatever changes them.

use serde_json::{Value, json};

use super::stage::{Stage, everything};
use crate::harness::{World, json_of, run, world};

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Everything is allowed but what has this fact.
fn all_but(fact: &str) -> Value {
    let mut deny = everything("deny");
    deny["facts"] = json!([fact]);
    json!([everything("allow"), deny])
}

/// What the gate said to a request, and about it.
struct Said {
    what: String,
    status: u16,
    answer: Value,
}

impl Said {
    fn is(&self, expected: u16) {
        assert_eq!(self.status, expected, "{}: {}", self.what, self.answer);
    }

    /// By the rule about the fact, and not because of anything else.
    fn is_denied(&self) {
        self.is(403);
        let message = self.answer["message"].as_str().unwrap();
        assert!(
            message.contains("denied by rule \"deny\""),
            "{}: {message}",
            self.what
        );
    }
}

impl Stage {
    async fn asked(&self, method: &str, path: &str, media_type: &str, body: &str) -> Said {
        let request = world()
            .ask_at(self.gate(), method, path)
            .header("content-type", media_type)
            .body(body.to_owned());
        let (status, answer) = json_of(request).await;
        Said {
            what: format!("{method} {path} {media_type} {body}"),
            status,
            answer,
        }
    }
}

fn container(privileged: bool) -> Value {
    json!({"name": "main", "image": "registry.example.com/app:1",
        "resources": {"requests": {"cpu": "10m"}},
        "securityContext": {"privileged": privileged}})
}

/// A built-in kind that makes pods.
struct Kind {
    base: &'static str,
    api_version: &'static str,
    kind: &'static str,
    resource: &'static str,
    /// The path of the pod's template.
    template: &'static [&'static str],
    /// Whether the API server lets anybody change that.
    changes: bool,
    spec: Value,
}

/// All of them.
fn kinds() -> Vec<Kind> {
    let labels = json!({"matchLabels": {"app": "x"}});
    let core = |kind, resource, template, changes, spec| Kind {
        base: "/api/v1",
        api_version: "v1",
        kind,
        resource,
        template,
        changes,
        spec,
    };
    let apps = |kind, resource, spec| Kind {
        base: "/apis/apps/v1",
        api_version: "apps/v1",
        kind,
        resource,
        template: &["spec", "template"],
        changes: true,
        spec,
    };
    let batch = |kind, resource, template, changes, spec| Kind {
        base: "/apis/batch/v1",
        api_version: "batch/v1",
        kind,
        resource,
        template,
        changes,
        spec,
    };
    vec![
        core("Pod", "pods", &[], false, json!({})),
        core(
            "PodTemplate",
            "podtemplates",
            &["template"],
            true,
            json!({}),
        ),
        core(
            "ReplicationController",
            "replicationcontrollers",
            &["spec", "template"],
            true,
            json!({"selector": {"app": "x"}}),
        ),
        apps("Deployment", "deployments", json!({"selector": labels})),
        apps("ReplicaSet", "replicasets", json!({"selector": labels})),
        apps("DaemonSet", "daemonsets", json!({"selector": labels})),
        apps(
            "StatefulSet",
            "statefulsets",
            json!({"selector": labels, "serviceName": "x"}),
        ),
        batch("Job", "jobs", &["spec", "template"], false, json!({})),
        batch(
            "CronJob",
            "cronjobs",
            &["spec", "jobTemplate", "spec", "template"],
            true,
            json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {}}}),
        ),
    ]
}

impl Kind {
    fn named(&self, metadata: Value, privileged: bool) -> Value {
        let mut object =
            json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata});
        if self.spec != json!({}) {
            object["spec"] = self.spec.clone();
        }
        let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {
            "restartPolicy": if self.base.contains("batch") { "Never" } else { "Always" },
            "containers": [container(privileged)]}});
        match self.template {
            [] => object["spec"] = template["spec"].clone(),
            path => {
                let at = path.iter().fold(&mut object, |node, key| &mut node[*key]);
                *at = template;
            }
        }
        object
    }

    fn collection(&self, namespace: &str) -> String {
        format!("{}/namespaces/{namespace}/{}", self.base, self.resource)
    }

    /// A patch that makes its pod a privileged one.
    fn patch(&self) -> Value {
        let spec = json!({"containers": [container(true)]});
        let keys = self.template.iter().chain(&["spec"]).rev();
        keys.fold(spec, |inner, key| json!({*key: inner}))
    }

    fn json_patch(&self) -> Value {
        let path: Vec<&str> = self.template.iter().chain(&["spec"]).copied().collect();
        let path = format!("/{}/containers/0/securityContext", path.join("/"));
        json!([{"op": "add", "path": path, "value": {"privileged": true}}])
    }
}

/// What of these is privileged in the cluster.
fn privileged_in(world: &World, namespace: &str, resource: &str) -> bool {
    let control = &world.scene.control;
    let list = control.kubectl(&["-n", namespace, "get", resource, "-o", "json"]);
    list.unwrap().contains("\"privileged\": true")
}

#[test]
fn threat_14_no_kind_that_makes_pods_brings_a_privileged_one_in() {
    run(async {
        let namespace = world().namespace("threat-14");
        let stage = Stage::new(all_but("privileged")).await;
        for kind in kinds() {
            let all = kind.collection(&namespace);
            let calm = kind.named(json!({"name": "calm"}), false).to_string();
            let json = "application/json";
            stage.asked("POST", &all, json, &calm).await.is(201);

            let bad = kind.named(json!({"name": "bad"}), true).to_string();
            let some = kind
                .named(json!({"generateName": "bad-"}), true)
                .to_string();
            let apply = format!("{all}/bad?fieldManager=t");
            for (method, path, media_type, body) in [
                ("POST", &all, json, &bad),
                ("POST", &all, "application/yaml", &bad),
                ("POST", &all, json, &some),
                ("PATCH", &apply, APPLY, &bad),
            ] {
                let said = stage.asked(method, path, media_type, body).await;
                said.is_denied();
            }

            let one = format!("{all}/calm");
            let patch = kind.patch().to_string();
            let put = kind.named(json!({"name": "calm"}), true).to_string();
            for (method, path, media_type, body) in [
                ("PUT", one.clone(), json, put.clone()),
                ("PATCH", one.clone(), MERGE, patch.clone()),
                ("PATCH", one.clone(), STRATEGIC, patch),
                (
                    "PATCH",
                    one.clone(),
                    JSON_PATCH,
                    kind.json_patch().to_string(),
                ),
                (
                    "PATCH",
                    format!("{one}?fieldManager=t&force=true"),
                    APPLY,
                    put,
                ),
            ] {
                let said = stage.asked(method, &path, media_type, &body).await;
                match kind.changes {
                    true => said.is_denied(),
                    false => said.is(422),
                }
            }
            assert!(
                !privileged_in(world(), &namespace, kind.resource),
                "{}",
                kind.kind
            );
        }
    });
}

/// Versions that are served no more, or not yet, are judged like those that are.
#[test]
fn threat_14_no_version_of_the_api_is_older_than_the_rules() {
    run(async {
        let stage = Stage::new(all_but("privileged")).await;
        let template = json!({"spec": {"containers": [container(true)]}});
        for (path, spec) in [
            (
                "/apis/extensions/v1beta1/namespaces/default/deployments",
                json!({"template": template}),
            ),
            (
                "/apis/extensions/v1beta1/namespaces/default/daemonsets",
                json!({"template": template}),
            ),
            (
                "/apis/apps/v1beta1/namespaces/default/statefulsets",
                json!({"template": template}),
            ),
            (
                "/apis/apps/v1beta2/namespaces/default/replicasets",
                json!({"template": template}),
            ),
            (
                "/apis/batch/v2alpha1/namespaces/default/cronjobs",
                json!({"jobTemplate": {"spec": {"template": template}}}),
            ),
            (
                "/apis/apps/v9/namespaces/default/deployments",
                json!({"template": template}),
            ),
            (
                "/apis/apps/v1/namespaces/default/controllerrevisions",
                json!({"template": template}),
            ),
        ] {
            let body = json!({"metadata": {"name": "old"}, "spec": spec}).to_string();
            let said = stage.asked("POST", path, "application/json", &body).await;
            said.is_denied();
        }
    });
}

#[test]
fn threat_14_no_privilege_enters_a_pod_that_is_there() {
    run(async {
        let namespace = world().namespace("threat-14");
        for (name, privileged) in [("calm", false), ("hot", true)] {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {"containers": [container(privileged)]}});
            world().admin_creates(&namespace, &pod);
        }
        let stage = Stage::new(all_but("privileged")).await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let debug = |privileged: bool| {
            json!({"name": "d", "image": "registry.example.com/debug:1",
                "securityContext": {"privileged": privileged}})
        };
        let with = |key: &str, value: Value| json!({"spec": {key: [value]}}).to_string();
        let add =
            json!([{"op": "add", "path": "/spec/ephemeralContainers", "value": [debug(true)]}]);
        let cpu = |cpu: &str| json!({"name": "main", "resources": {"requests": {"cpu": cpu}}});

        let calm = format!("{pods}/calm/ephemeralcontainers");
        let whole = stage
            .asked("GET", &format!("{pods}/calm"), STRATEGIC, "")
            .await;
        let mut whole = whole.answer;
        whole["spec"]["ephemeralContainers"] = json!([debug(true)]);
        for (method, media_type, body) in [
            ("PATCH", STRATEGIC, with("ephemeralContainers", debug(true))),
            ("PATCH", MERGE, with("ephemeralContainers", debug(true))),
            ("PATCH", JSON_PATCH, add.to_string()),
            ("PUT", "application/json", whole.to_string()),
        ] {
            let said = stage.asked(method, &calm, media_type, &body).await;
            said.is_denied();
        }
        // Into a pod that is privileged leads every container, and every change of it.
        let hot = format!("{pods}/hot");
        for (path, body) in [
            (
                format!("{hot}/ephemeralcontainers"),
                with("ephemeralContainers", debug(false)),
            ),
            (format!("{hot}/resize"), with("containers", cpu("20m"))),
            (
                hot.clone(),
                r#"{"metadata":{"labels":{"a":"b"}}}"#.to_owned(),
            ),
        ] {
            let said = stage.asked("PATCH", &path, STRATEGIC, &body).await;
            said.is_denied();
        }
        // The same goes through where there is no privilege.
        let resize = format!("{pods}/calm/resize");
        for (path, body) in [
            (&calm, with("ephemeralContainers", debug(false))),
            (&resize, with("containers", cpu("20m"))),
        ] {
            stage.asked("PATCH", path, STRATEGIC, &body).await.is(200);
        }
        // The API server leaves out of a resize what is none, and answers that it is done.
        let body = with("containers", container(true));
        stage
            .asked("PATCH", &resize, STRATEGIC, &body)
            .await
            .is(200);
        let control = &world().scene.control;
        let left = control
            .kubectl(&["-n", &namespace, "get", "pod", "calm", "-o", "json"])
            .unwrap();
        assert!(!left.contains("\"privileged\": true"), "{left}");
    });
}

const PIPELINES: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pipelines.threat14.example.com}
spec:
  group: threat14.example.com
  names: {kind: Pipeline, plural: pipelines, singular: pipeline}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

/// The steps are containers, which nobody can tell by their looks.
#[test]
fn threat_14_custom_resources_hold_pods_where_the_configuration_says() {
    run(async {
        let control = &world().scene.control;
        control.apply(PIPELINES).unwrap();
        let crd = "crd/pipelines.threat14.example.com";
        control
            .kubectl(&["wait", "--for=condition=Established", crd])
            .unwrap();
        let namespace = world().namespace("threat-14");
        let stage = Stage::with(all_but("podSecurityBaseline"), |document| {
            document["spec"]["embeddedPods"] = json!([{"apiGroup": "threat14.example.com",
                "resource": "pipelines", "path": "spec.steps[*]"}]);
        })
        .await;
        let step = |proc: &str| {
            json!({"name": "s", "image": "registry.example.com/step:1",
                "securityContext": {"procMount": proc}})
        };
        let pipeline = |name: &str, proc: &str| {
            json!({"apiVersion": "threat14.example.com/v1", "kind": "Pipeline",
                "metadata": {"name": name}, "spec": {"steps": [step(proc)]}})
        };
        world().admin_creates(&namespace, &pipeline("theirs", "Unmasked"));

        let all = format!("/apis/threat14.example.com/v1/namespaces/{namespace}/pipelines");
        let (one, theirs) = (format!("{all}/calm"), format!("{all}/theirs"));
        let json = "application/json";
        let calm = pipeline("calm", "Default").to_string();
        stage.asked("POST", &all, json, &calm).await.is(201);

        let bad = pipeline("bad", "Unmasked").to_string();
        let steps = json!({"spec": {"steps": [step("Unmasked")]}}).to_string();
        let replace = json!([{"op": "replace", "path": "/spec/steps/0/securityContext/procMount",
            "value": "Unmasked"}]);
        let label = r#"{"metadata":{"labels":{"a":"b"}}}"#;
        let found = stage.asked("GET", &one, json, "").await;
        let mut put = found.answer;
        put["spec"]["steps"] = json!([step("Unmasked")]);
        for (method, path, media_type, body) in [
            ("POST", &all, json, bad.clone()),
            ("PATCH", &format!("{all}/bad?fieldManager=t"), APPLY, bad),
            ("PUT", &one, json, put.to_string()),
            ("PATCH", &one, MERGE, steps),
            ("PATCH", &one, JSON_PATCH, replace.to_string()),
            ("PATCH", &theirs, MERGE, label.to_owned()),
        ] {
            let said = stage.asked(method, path, media_type, &body).await;
            said.is_denied();
        }
        stage.asked("PATCH", &one, MERGE, label).await.is(200);
        let left = control
            .kubectl(&[
                "-n",
                &namespace,
                "get",
                "pipelines",
                "-o",
                "jsonpath={.items[*].spec}",
            ])
            .unwrap();
        assert_eq!(left.matches("Unmasked").count(), 1, "{left}");
    });
}
