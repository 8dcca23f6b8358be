//! ④ Conditions in CEL, over what the real API server makes of a write and what it finds.

use std::time::Duration;

use gateward::demo::scene::{AGENT, AGENTS_AUDIENCE, PRINCIPAL};
use serde_json::{Value, json};

use super::{Answered, gate_with_rules, send};
use crate::harness::{run, world};

/// Nobody says the strategy, the revision or the image in the patches below: the API server
/// fills them in, or has them.
const RULES: &str = "
- {name: all, effect: allow, verbs: ['*'], apiGroups: ['*'], resources: ['*']}
- name: no-leaps
  effect: deny
  reason: Grow step by step.
  verbs: [update, patch]
  apiGroups: [apps]
  resources: [deployments]
  subresources: ['']
  matchConditions:
  - {name: more-than-twice, expression: 'object.spec.replicas > 2 * oldObject.spec.replicas'}
  - {name: rolling, expression: \"object.spec.strategy.type == 'RollingUpdate'\"}
  - {name: of-this-cluster, expression: \"cluster == 'local' && ask.verb in ['update', 'patch'] && now > timestamp('2020-01-01T00:00:00Z')\"}
  - {name: not-the-oncall, expression: \"!('oncall' in caller.groups && caller.principal.endsWith('@example.com'))\"}
- name: no-latest
  effect: deny
  reason: Name a version.
  verbs: [create, update, patch]
  apiGroups: [apps]
  resources: [deployments]
  matchConditions:
  - {name: latest, expression: \"facts.images.exists(image, image.tag == 'latest' && image.digest == '')\"}
- name: labelled
  effect: deny
  reason: Say which team.
  verbs: [patch]
  apiGroups: [apps]
  resources: [deployments]
  namespaces: ['*-teams-*']
  matchConditions:
  - {name: no-team, expression: \"object.metadata.annotations['team'] == ''\"}
";

fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": image}]}}},
    })
}

#[test]
fn conditions_see_the_result_the_object_before_the_facts_and_the_caller() {
    run(async {
        let world = world();
        let (gate, _) = gate_with_rules(world, RULES, |_| {}).await;
        let namespace = world.namespace("conditions");
        let all = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        let web = format!("{all}/web");
        let agent = world.agent_token();
        let oncall = world.mint(&world.claims(
            AGENTS_AUDIENCE,
            PRINCIPAL,
            json!({"groups": ["oncall"], "act": {"sub": AGENT}}),
        ));
        let ask = async |token: &str, method: &str, path: &str, media_type: &str, body: Value| {
            let url = format!(
                "https://localhost:{}/clusters/local{path}",
                gate.agents.port()
            );
            let request = world.client().request(method.parse().unwrap(), url);
            let request = request
                .bearer_auth(token)
                .header("content-type", media_type);
            send(request.body(body.to_string())).await
        };
        let (json, merge, apply) = (
            "application/json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        );
        let replicas = |count: u32| json!({"spec": {"replicas": count}});
        let image = |image: &str| {
            json!([{"op": "replace", "value": image,
            "path": "/spec/template/spec/containers/0/image"}])
        };
        let denied = |answer: &Answered, rule: &str| {
            assert_eq!(answer.status, 403, "{}", answer.text);
            let words = format!("denied by rule \"{rule}\"");
            assert!(answer.message().contains(&words), "{}", answer.text);
        };
        let done =
            |answer: Answered| assert!((200..300).contains(&answer.status), "{}", answer.text);

        let bad = deployment("web", "registry.example.com/web");
        denied(&ask(&agent, "POST", &all, json, bad).await, "no-latest");
        done(
            ask(
                &agent,
                "POST",
                &all,
                json,
                deployment("web", "registry.example.com/web:1"),
            )
            .await,
        );

        denied(
            &ask(&agent, "PATCH", &web, merge, replicas(5)).await,
            "no-leaps",
        );
        let mut whole = deployment("web", "registry.example.com/web:1");
        whole["spec"]["replicas"] = json!(5);
        denied(
            &ask(&agent, "PUT", &web, json, whole.clone()).await,
            "no-leaps",
        );
        let forced = format!("{web}?fieldManager=t&force=true");
        denied(
            &ask(&agent, "PATCH", &forced, apply, whole).await,
            "no-leaps",
        );
        // Twice is no leap; after that eight is none either, but nine is.
        done(ask(&agent, "PATCH", &web, merge, replicas(4)).await);
        denied(
            &ask(&agent, "PATCH", &web, merge, replicas(9)).await,
            "no-leaps",
        );
        done(ask(&oncall, "PATCH", &web, merge, replicas(9)).await);
        let patch = "application/json-patch+json";
        denied(
            &ask(&agent, "PATCH", &web, patch, image("web")).await,
            "no-latest",
        );
        done(
            ask(
                &agent,
                "PATCH",
                &web,
                patch,
                image("registry.example.com/web:2"),
            )
            .await,
        );

        let control = &world.scene.control;
        let path = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}";
        let left = control.kubectl(&["-n", &namespace, "get", "deployment", "web", "-o", path]);
        assert_eq!(left.unwrap(), "9 registry.example.com/web:2");
        gate.stop().await;
    });
}

#[test]
fn a_condition_that_the_result_does_not_answer_refuses() {
    run(async {
        let world = world();
        let (gate, _) = gate_with_rules(world, RULES, |_| {}).await;
        let namespace = world.namespace("conditions-teams");
        world.admin_creates(&namespace, &deployment("web", "registry.example.com/web:1"));
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web");
        let annotate = async |team: &str| {
            let body = json!({"metadata": {"annotations": {"team": team, "other": "x"}}});
            let request = world
                .ask_at(&gate, "PATCH", &path)
                .timeout(Duration::from_secs(30));
            let request = request.header("content-type", "application/merge-patch+json");
            send(request.body(body.to_string())).await
        };
        let body = r#"{"metadata":{"labels":{"a":"b"}}}"#;
        let request = world.ask_at(&gate, "PATCH", &path);
        let request = request.header("content-type", "application/merge-patch+json");
        let answer = send(request.body(body)).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        let message = answer.message();
        assert!(
            message.contains("\"labelled\"") && message.contains("could not be evaluated"),
            "{message}"
        );
        let empty = annotate("").await;
        assert!(
            empty.status == 403 && empty.message().contains("Say which team."),
            "{}",
            empty.text
        );
        let named = annotate("web").await;
        assert_eq!(named.status, 200, "{}", named.text);
        gate.stop().await;
    });
}
