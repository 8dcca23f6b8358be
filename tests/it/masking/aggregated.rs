//! What another server says through the API server, of kinds that nobody here has heard of:
//! an aggregated API (<https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/>).

use bytes::Bytes;
use gateward::demo::scene::CLUSTER;
use gateward::mask::MASK;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use super::stand::{GET, Stand};
use crate::harness::{RUNTIME, World};
use crate::journey::upstream::{Body, data, json_answer, pieces, upstream, whole};

const GROUP: &str = "readings.example.com";

/// Registered until it is dropped: while it is unavailable, others would notice.
struct Registered<'w>(&'w World);

impl<'w> Registered<'w> {
    fn at(world: &'w World, namespace: &str, port: u16) -> Self {
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "readings", "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost"}});
        let registration = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("v1.{GROUP}")},
            "spec": {"group": GROUP, "version": "v1", "groupPriorityMinimum": 10,
                "versionPriority": 10, "insecureSkipTLSVerify": true,
                "service": {"name": "readings", "namespace": namespace, "port": port}}});
        let control = &world.scene.control;
        control.apply(&service.to_string()).unwrap();
        control.apply(&registration.to_string()).unwrap();
        let registered = Self(world);
        let name = format!("apiservice/v1.{GROUP}");
        let wait = ["wait", "--for=condition=Available", "--timeout=60s", &name];
        control.kubectl(&wait).unwrap();
        registered
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let name = format!("v1.{GROUP}");
        let _ = self
            .0
            .scene
            .control
            .kubectl(&["delete", "apiservice", &name]);
    }
}

/// A reading with secrets in fields, in lists and in objects within.
fn reading(texts: &Map<String, Value>) -> Value {
    // Without its name, nobody knows a word for what it is.
    let named = |name: &str| ["DB_PASSWORD", "apiToken"].contains(&name);
    let nameless = texts.iter().filter(|(name, _)| !named(name));
    let list: Vec<&Value> = nameless.map(|(_, text)| text).collect();
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Reading", "metadata": {"name": "one"},
        "value": "12", "texts": texts, "list": list,
        "from": {"kind": "ConfigMap", "apiVersion": "v1", "data": texts},
    })
}

/// What the other server answers, by the last part of the path.
fn answer(last: &str, texts: &Map<String, Value>) -> Response<Body> {
    let (one, text) = (reading(texts), reading(texts).to_string());
    let of_type = |mut answer: Response<Body>, name, value| {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        answer
    };
    match last {
        "v1" => json_answer(
            200,
            &json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{GROUP}/v1"),
            "resources": [{"name": "readings", "singularName": "reading", "namespaced": true,
                "kind": "Reading", "verbs": ["get", "list"]}]}),
        ),
        "readings" => json_answer(
            200,
            &json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ReadingList", "metadata": {}, "items": [one]}),
        ),
        "one" => json_answer(200, &one),
        "plain" => of_type(whole(200, text), header::CONTENT_TYPE, "text/plain"),
        "yaml" => of_type(whole(200, text), header::CONTENT_TYPE, "application/yaml"),
        "brotli" => of_type(whole(200, text), header::CONTENT_ENCODING, "br"),
        "deep" => {
            let deep = format!("{}{text}{}", "{\"a\":".repeat(200), "}".repeat(200));
            whole(200, deep)
        }
        "half" => {
            let half = text.get(..text.len() / 2).unwrap().to_owned();
            pieces(200, vec![data(&half)])
        }
        "twice" => whole(200, format!("{text}{text}")),
        "utf8" => whole(
            200,
            Bytes::from([&text.as_bytes()[..text.len() - 2], b"\xff\"}"].concat()),
        ),
        _ => json_answer(
            404,
            &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": 404, "reason": "NotFound", "message": format!("no {last}: {text}")}),
        ),
    }
}

/// Whether the gate answers that it cannot mask this or, where the head is on its way already,
/// cuts what follows.
async fn is_refused(stand: &Stand, path: &str) -> Result<(), String> {
    let url = stand.served.agents(&format!("/clusters/{CLUSTER}{path}"));
    let request = stand.world.client().get(url);
    let request = request.bearer_auth(stand.world.agent_token());
    let mut answer = request.send().await.unwrap();
    let status = answer.status();
    let mut all = Vec::new();
    let whole = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            end => break end.is_ok(),
        }
    };
    stand.take(path, &all);
    let says = memchr::memmem::find(&all, b"could not be masked").is_some();
    let refused = !whole || (status == 502 && says);
    refused
        .then_some(())
        .ok_or_else(|| format!("{status} {}", all.escape_ascii()))
}

#[test]
fn threat_18_what_an_aggregated_api_says_is_masked_or_refused() {
    let stand = Stand::new("aggregated");
    let texts = stand.plant("aggregated API", |planted| planted.texts("Reading"));
    let server = RUNTIME.block_on(upstream(move |request: Request<Incoming>| {
        let last = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let texts = texts.clone();
        async move { answer(&last, &texts) }
    }));
    let registered = Registered::at(stand.world, &stand.namespace, server.port);
    let readings = format!("/apis/{GROUP}/v1/namespaces/{}/readings", stand.namespace);
    RUNTIME.block_on(async {
        for path in [readings.clone(), format!("{readings}/one")] {
            let (status, text) = stand.send(&path, GET).await;
            assert!(status == 200 && text.contains(MASK), "{path}: {text}");
            assert!(text.contains("\"value\":\"12\""), "{text}");
        }
        for last in ["plain", "yaml", "brotli", "deep", "half", "twice", "utf8"] {
            let path = format!("{readings}/{last}");
            let refused = is_refused(&stand, &path).await;
            assert!(refused.is_ok(), "{last}: {refused:?}");
        }
        let (status, text) = stand.send(&format!("{readings}/nothing"), GET).await;
        assert!(
            status == 404 && text.contains("NotFound"),
            "{status} {text}"
        );
    });
    let text = stand.kubectl(&["get", "readings", "-o", "yaml"]);
    assert!(text.contains(MASK), "{text}");
    stand.kubectl(&["get", "readings", "one", "-o", "jsonpath={.texts}"]);
    stand.kubectl(&["get", "secrets,configmaps", "-o", "name"]);
    drop(registered);
    stand.end();
}
