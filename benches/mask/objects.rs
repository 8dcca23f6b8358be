//! What is masked: objects as the API server writes them, and lines of a log.

use bytes::Bytes;
use serde_json::{Value, json};

pub fn list(kind: &str, size: usize, item: fn(usize) -> Value) -> Bytes {
    let mut text = format!(
        r#"{{"kind":"{kind}","apiVersion":"v1","metadata":{{"resourceVersion":"1"}},"items":["#
    );
    for n in 0.. {
        text += &item(n).to_string();
        if text.len() > size {
            break;
        }
        text.push(',');
    }
    Bytes::from(text + "]}")
}

pub fn table(size: usize) -> Bytes {
    let row = |n: usize| json!({"cells": [format!("web-{n}"), "1/1", "Running", 0, "3d"], "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": pod(n)["metadata"]}});
    let mut text = String::from(
        r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":[{"name":"Name","type":"string"}],"rows":["#,
    );
    for n in 0.. {
        text += &row(n).to_string();
        if text.len() > size {
            break;
        }
        text.push(',');
    }
    Bytes::from(text + "]}")
}

pub fn log(size: usize) -> Bytes {
    let mut text = String::new();
    for n in 0.. {
        text += &format!(
            "2026-11-25T09:{:02}:{:02}.123456Z level=info msg=\"request served\" method=GET path=/api/items/{n} status=200 duration=12.{}ms client=10.0.{}.{}\n",
            n / 60 % 60,
            n % 60,
            n % 1000,
            n % 250,
            n % 240
        );
        if n % 1000 == 0 {
            text += "2026-11-25T09:00:00Z level=warn msg=\"dialing postgres://app:s3cr3t-w0rd@db:5432/app\"\n";
        }
        if text.len() > size {
            return Bytes::from(text);
        }
    }
    unreachable!()
}

pub fn pod(n: usize) -> Value {
    json!({
        "metadata": {"name": format!("web-{n}"), "namespace": "default", "uid": format!("0f8fad5b-d9cb-469f-a165-{n:012}"),
            "resourceVersion": "1234", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "web", "pod-template-hash": "6d4b75cb6d"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4b75cb6d", "uid": "7f8fad5b-d9cb-469f-a165-708677289501", "controller": true}]},
        "spec": {"volumes": [{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}, {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}],
            "containers": [{"name": "web", "image": "registry.example.com/web@sha256:4c1e997385b8fb4ad4d1d3c7e5af7ff3f882e94d07cf5b78de9e889bc60830e6", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}], "ports": [{"containerPort": 8080, "protocol": "TCP"}]}],
            "restartPolicy": "Always", "serviceAccountName": "default", "nodeName": "node-0", "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}],
            "containerStatuses": [{"name": "web", "containerID": "containerd://8f1cb0c6b6b9c9d2a54f4fdc2c6e2ee2f3a9a6ed6ac5e9b5e1f2a1a7d1d8c5b3", "ready": true}]}
    })
}

pub fn secret(n: usize) -> Value {
    use base64::Engine;
    let value: Vec<u8> = (0..600).map(|at| ((at * 31 + n * 7) % 251) as u8).collect();
    let value = base64::engine::general_purpose::STANDARD.encode(value);
    json!({
        "metadata": {"name": format!("secret-{n}"), "namespace": "default", "uid": format!("0f8fad5b-d9cb-469f-a165-{n:012}"), "resourceVersion": "1234", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "data": {"password": "aHVudGVyMg==", "tls.key": value},
        "type": "Opaque"
    })
}

/// As Helm writes them: half of it is shown.
pub fn labelled(n: usize) -> Value {
    let mut secret = secret(n);
    let app = format!(
        "{}-{}",
        ["billing", "ledger", "web", "mail", "search"][n % 5],
        n * 7919 % 1000
    );
    let metadata = &mut secret["metadata"];
    metadata["labels"] = json!({"app.kubernetes.io/name": app, "app.kubernetes.io/instance": format!("{app}-prod"),
        "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": format!("chart-1.{}.0", n % 40)});
    metadata["annotations"] =
        json!({"meta.helm.sh/release-name": app, "meta.helm.sh/release-namespace": "default"});
    metadata["managedFields"] = json!([{"manager": "helm", "operation": "Update", "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {
            "f:data": {".": {}, "f:password": {}, "f:tls.key": {}},
            "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}}, "f:type": {}}}]);
    secret
}
