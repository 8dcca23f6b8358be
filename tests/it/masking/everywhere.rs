//! Secrets where they do not belong, in whatever an agent can read of them: every form of
//! answer that the API server has, asked for over HTTP.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateward::mask::MASK;
use serde_json::{Value, json};

use super::planted::GROUP;
use super::stand::{GET, Sent, Stand};
use crate::harness::RUNTIME;

pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// The collections in which something is planted, with one object each.
fn collections(stand: &Stand) -> Vec<(String, &'static str)> {
    let namespace = &stand.namespace;
    [
        ("/api/v1", "secrets", "db"),
        ("/api/v1", "configmaps", "app"),
        ("/api/v1", "pods", "web"),
        ("/api/v1", "events", "one"),
        ("/apis/events.k8s.io/v1", "events", "one"),
        ("/apis/apps/v1", "deployments", "web"),
        ("/apis/batch/v1", "jobs", "web"),
        ("/apis/canaries.example.com/v1", "vaults", "v"),
        ("/apis/canaries.example.com/v1", "applications", "argo"),
    ]
    .map(|(group, plural, name)| (format!("{group}/namespaces/{namespace}/{plural}"), name))
    .into()
}

#[test]
fn threat_18_no_form_of_an_answer_shows_a_canary() {
    let stand = Stand::new("forms");
    RUNTIME.block_on(async {
        for (path, name) in collections(&stand) {
            let one = format!("{path}/{name}");
            for (path, partial) in [
                (&path, "PartialObjectMetadataList"),
                (&one, "PartialObjectMetadata"),
            ] {
                for accept in [
                    "application/json",
                    "*/*",
                    "application/vnd.kubernetes.protobuf, application/json",
                ] {
                    let (status, text) = stand.send(path, Sent { accept, ..GET }).await;
                    assert_eq!(status, 200, "{text}");
                    assert!(text.contains(name) && text.contains(MASK), "{path}: {text}");
                }
                let accept = &*format!("application/json;as={partial};v=v1;g=meta.k8s.io");
                let (status, text) = stand.send(path, Sent { accept, ..GET }).await;
                assert!(status == 200 && text.contains(partial), "{path}: {text}");
                for include in [
                    "",
                    "?includeObject=None",
                    "?includeObject=Metadata",
                    "?includeObject=Object",
                ] {
                    let path = format!("{path}{include}");
                    let (status, text) = stand
                        .send(
                            &path,
                            Sent {
                                accept: TABLE,
                                ..GET
                            },
                        )
                        .await;
                    assert!(
                        status == 200 && text.contains("\"Table\""),
                        "{path}: {text}"
                    );
                }
                for accept in [
                    "application/yaml",
                    "application/vnd.kubernetes.protobuf",
                    "application/cbor",
                ] {
                    let (status, text) = stand.send(path, Sent { accept, ..GET }).await;
                    assert_eq!(status, 406, "{text}");
                }
            }
            for query in [
                "?limit=1",
                "?fieldSelector=metadata.name%3Ddb",
                "?labelSelector=tier%3Dgold",
                "?pretty=true",
            ] {
                assert_eq!(stand.send(&format!("{path}{query}"), GET).await.0, 200);
            }
        }
    });
    stand.end();
}

/// Everything changes while it is watched: what was there is told first, then each change,
/// and at last what it was when it was deleted.
#[test]
fn threat_18_no_event_of_a_watch_shows_a_canary() {
    let stand = Stand::new("watches");
    let from_the_start = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=6";
    RUNTIME.block_on(async {
        let asked: Vec<_> = collections(&stand)
            .into_iter()
            .flat_map(|(path, _)| {
                let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
                let listed = format!("{path}?{from_the_start}");
                let object = format!("{path}?watch=1&timeoutSeconds=6&includeObject=Object");
                [
                    (listed.clone(), GET.accept),
                    (listed, TABLE),
                    (object.clone(), TABLE),
                    (object, partial),
                ]
            })
            .collect();
        let watches = asked
            .iter()
            .map(|(path, accept)| stand.send(path, Sent { accept, ..GET }));
        let changes = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            tokio::task::block_in_place(|| {
                let kinds = "secrets,configmaps,pods,deployments,jobs,vaults,applications,events";
                stand.admin(&["label", kinds, "--all", "tier=lead", "--overwrite"]);
                stand.admin(&[
                    "delete",
                    "configmap/spare",
                    "secret/tls",
                    "vault/v",
                    "application/argo",
                    "--wait=false",
                ]);
            });
        };
        let (answers, ()) = tokio::join!(futures_util::future::join_all(watches), changes);
        for ((path, accept), (status, text)) in asked.iter().zip(answers) {
            assert!(
                status == 200 && text.contains("MODIFIED"),
                "{path} {accept}: {text}"
            );
            if path.contains("sendInitialEvents") {
                assert!(
                    text.contains("k8s.io/initial-events-end"),
                    "{path} {accept}: {text}"
                );
            }
            if path.contains("vaults") || path.contains("configmaps") {
                assert!(text.contains("DELETED"), "{path} {accept}: {text}");
            }
        }
    });
    stand.end();
}

#[test]
fn threat_18_no_answer_to_a_write_shows_a_canary_and_threat_20_nothing_of_it_is_kept() {
    let stand = Stand::new("written");
    RUNTIME.block_on(async {
        creations(&stand).await;
        changes(&stand).await;
        errors(&stand).await;
        deletions(&stand).await;
    });
    stand.end();
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "finalizers": ["example.com/wait"]}, "data": data})
}

async fn send(
    stand: &Stand,
    method: &str,
    path: &str,
    content_type: &str,
    body: &Value,
) -> (u16, String) {
    let body = &*body.to_string();
    stand
        .send(
            path,
            Sent {
                method,
                content_type,
                body,
                ..GET
            },
        )
        .await
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

async fn creations(stand: &Stand) {
    let core = format!("/api/v1/namespaces/{}", stand.namespace);
    let texts = stand.plant("a ConfigMap that is created", |it| {
        it.texts("a ConfigMap that is created")
    });
    let data = json!(texts);
    for (path, accept) in [
        (format!("{core}/configmaps"), JSON),
        (format!("{core}/configmaps?dryRun=All"), TABLE),
        (format!("{core}/configmaps?fieldValidation=Strict"), "*/*"),
    ] {
        let body = &*config_map(&format!("made-{}", accept.len()), &data).to_string();
        let (status, text) = stand
            .send(
                &path,
                Sent {
                    method: "POST",
                    accept,
                    body,
                    ..GET
                },
            )
            .await;
        assert_eq!(status, 201, "{text}");
    }
    let word = stand.plant("a ConfigMap in YAML", |it| it.word());
    let yaml = format!(
        "kind: ConfigMap\nmetadata: {{name: yaml}}\ndata:\n  DB_PASSWORD: {word}\n  f: |\n    password: {word}\n"
    );
    let sent = Sent {
        method: "POST",
        content_type: "application/yaml",
        body: &yaml,
        ..GET
    };
    let (status, text) = stand.send(&format!("{core}/configmaps"), sent).await;
    assert_eq!(status, 201, "{text}");
    let word = stand.plant("a Secret that is created", |it| it.word());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made"},
        "stringData": {"a": word}, "data": {"b": STANDARD.encode(&word)}});
    let (status, text) = send(stand, "POST", &format!("{core}/secrets"), JSON, &secret).await;
    assert_eq!(status, 201, "{text}");
    let vault = stand.plant("a Vault that is created", |it| {
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Vault", "metadata": {"name": "made"},
            "spec": {"shelf": it.word(), "url": it.connection(), "users": [{"pin": it.word()}]}})
    });
    let vaults = format!("/apis/{GROUP}/v1/namespaces/{}/vaults", stand.namespace);
    let (status, text) = send(stand, "POST", &vaults, JSON, &vault).await;
    assert_eq!(status, 201, "{text}");
}

async fn changes(stand: &Stand) {
    let namespace = &stand.namespace;
    let map = format!("/api/v1/namespaces/{namespace}/configmaps/app");
    for content_type in [MERGE, STRATEGIC] {
        let texts = stand.plant(content_type, |it| it.texts(content_type));
        let (status, text) =
            send(stand, "PATCH", &map, content_type, &json!({"data": texts})).await;
        assert_eq!(status, 200, "{text}");
    }
    let (one, two) = stand.plant("a JSON Patch", |it| (it.word(), it.connection()));
    let patch = json!([
        {"op": "add", "path": "/data/DB_PASSWORD", "value": one}, {"op": "add", "path": "/data/url", "value": two},
        {"op": "replace", "path": "/metadata/annotations", "value": {"example.com/api-token": one, "other": two}}]);
    let (status, text) = send(stand, "PATCH", &map, JSON_PATCH, &patch).await;
    assert_eq!(status, 200, "{text}");
    let texts = stand.plant("server-side apply", |it| it.texts("server-side apply"));
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": texts});
    let path = format!("{map}?fieldManager=me");
    // Whose fields these were is said in the conflict.
    assert_eq!(send(stand, "PATCH", &path, APPLY, &applied).await.0, 409);
    let (status, text) = send(
        stand,
        "PATCH",
        &format!("{path}&force=true"),
        APPLY,
        &applied,
    )
    .await;
    assert_eq!(status, 200, "{text}");
    let env = stand.plant("a Deployment that is patched", |it| {
        json!([{"name": "NEW_PASSWORD", "value": it.word()}, {"name": "OTHER", "value": it.connection()}])
    });
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "env": env}]}}}});
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web");
    let (status, text) = send(stand, "PATCH", &path, STRATEGIC, &patch).await;
    assert_eq!(status, 200, "{text}");
    let (status, text) = send(
        stand,
        "PATCH",
        &format!("{path}/scale"),
        MERGE,
        &json!({"spec": {"replicas": 2}}),
    )
    .await;
    assert_eq!(status, 200, "{text}");
}

/// What is wrong is said with the values that are there, and with those that were sent.
async fn errors(stand: &Stand) {
    let namespace = &stand.namespace;
    let (core, custom) = (
        format!("/api/v1/namespaces/{namespace}"),
        format!("/apis/{GROUP}/v1/namespaces/{namespace}"),
    );
    let env = |value: String| json!([{"name": "DB_PASSWORD", "value": value}]);
    let container = |value: String| json!({"containers": [{"name": "a", "env": env(value)}]});
    let pod =
        json!({"spec": container(stand.plant("a Pod that cannot be changed", |it| it.word()))});
    let job = stand.plant("a Job that cannot be changed", |it| it.connection());
    let job = json!({"spec": {"template": {"spec": container(job)}}});
    let word = stand.plant("a label that is none", |it| it.word());
    let label = json!({"metadata": {"labels": {"x": format!("password={word}")}}});
    let size = json!({"spec": {"size": 13}});
    let large = stand.plant(
        "a size that is none",
        |it| json!({"spec": {"size": format!("password={}", it.word())}}),
    );
    let wrong = stand.plant(
        "data that are none",
        |it| json!({"data": {"DB_PASSWORD": {"password": it.word()}}}),
    );
    for (path, content_type, body) in [
        (format!("{core}/pods/web"), STRATEGIC, &pod),
        (
            format!("/apis/batch/v1/namespaces/{namespace}/jobs/web"),
            STRATEGIC,
            &job,
        ),
        (format!("{core}/configmaps/app"), MERGE, &label),
        (format!("{core}/secrets/db"), MERGE, &label),
        (format!("{core}/configmaps/app"), MERGE, &wrong),
        (format!("{core}/secrets/db"), MERGE, &wrong),
        (format!("{custom}/vaults/v"), MERGE, &size),
        (format!("{custom}/applications/argo"), MERGE, &size),
        (format!("{custom}/vaults/v"), MERGE, &large),
        (format!("{custom}/applications/argo"), MERGE, &large),
        (
            format!("{core}/configmaps/app"),
            STRATEGIC,
            &json!({"data": {"$patch": 1}}),
        ),
    ] {
        let (status, text) = send(stand, "PATCH", &path, content_type, body).await;
        assert!(
            (400..=500).contains(&status) && text.contains("\"Status\""),
            "{path}: {status}: {text}"
        );
    }
}

async fn deletions(stand: &Stand) {
    let namespace = &stand.namespace;
    let foreground =
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"});
    for path in [
        format!("/api/v1/namespaces/{namespace}/secrets/db"),
        format!("/api/v1/namespaces/{namespace}/configmaps/app"),
        format!("/api/v1/namespaces/{namespace}/pods/web"),
        format!("/apis/{GROUP}/v1/namespaces/{namespace}/vaults/v"),
        format!("/apis/{GROUP}/v1/namespaces/{namespace}/applications/argo"),
        // Whole collections are answered with all that was in them.
        format!("/api/v1/namespaces/{namespace}/secrets"),
        format!("/api/v1/namespaces/{namespace}/configmaps"),
        format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
        format!("/apis/batch/v1/namespaces/{namespace}/jobs"),
        format!("/apis/{GROUP}/v1/namespaces/{namespace}/vaults"),
    ] {
        let (status, text) = send(stand, "DELETE", &path, JSON, &foreground).await;
        assert!(
            [200, 202].contains(&status) && !text.contains("\"Status\""),
            "{path}: {status}: {text}"
        );
    }
}
