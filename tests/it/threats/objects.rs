//! Attacks by queries and bodies that the gate and the API server could read differently.

use gateward::demo::scene::CLUSTER;
use serde_json::{Value, json};

use super::stage::{Stage, everything};
use crate::harness::{json_of, pod, run, world};

/// A request as bytes, so that nobody between here and the gate tidies it up.
fn request(method: &str, target: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} /clusters/{CLUSTER}{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\n",
        world().agent_token()
    );
    if !body.is_empty() {
        bytes += &format!(
            "Content-Type: {content_type}\r\nContent-Length: {}\r\n",
            body.len()
        );
    }
    let mut bytes = (bytes + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

async fn raw(stage: &Stage, method: &str, target: &str, content_type: &str, body: &[u8]) -> String {
    let bytes = request(method, target, content_type, body);
    world().raw(stage.gate(), &bytes).await
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1);
    status
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// Method, target behind the cluster's prefix, content type and body.
fn sent(request: &str) -> (&str, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap(), body)
}

#[test]
fn threat_11_a_query_that_can_be_read_twice_reaches_no_cluster() {
    run(async {
        let (stage, capture) = Stage::captured().await;
        let pods = "/api/v1/namespaces/f/pods";
        for (method, query) in [
            ("GET", "watch=no"),
            ("GET", "watch=TRUE"),
            ("GET", "watch="),
            ("GET", "watch"),
            ("GET", "watch=false&watch=true"),
            ("GET", "watch=0&w%61tch=1"),
            ("GET", "watch=0;watch=1"),
            ("GET", "watch=0&&limit=1"),
            ("GET", "?watch=1"),
            ("GET", "Watch=1"),
            ("GET", "watch%00=1"),
            ("GET", "limit=5&limit=5"),
            ("GET", "limit=%zz&watch=1"),
            ("GET", "fieldSelector=metadata.name%3Da&fieldSelector="),
            ("GET", "fieldSelector=metadata.name%3Da,metadata.name%3Db"),
            ("GET", "labelSelector=%ff&watch=1"),
            ("GET", "watch=0#&watch=1"),
            ("GET", "as=admin"),
            ("GET", "access_token=x"),
            ("POST", "dryRun=All&dryRun=None"),
            ("POST", "dryRun=None"),
            ("DELETE", "dryRun=all"),
            (
                "DELETE",
                "propagationPolicy=Orphan&propagationPolicy=Background",
            ),
        ] {
            let target = format!("{pods}?{query}");
            let answer = raw(&stage, method, &target, "", b"").await;
            assert_eq!(status(&answer), 400, "{method} {query}: {answer}");
            assert_eq!(capture.last(), None, "{method} {query}");
        }
        // What is understood goes upstream in the one form in which it was judged.
        let target = format!("{pods}?watch=1&l%69mit=007&labelSelector=a+in+(b,c)&timeout=1s");
        assert_eq!(status(&raw(&stage, "GET", &target, "", b"").await), 400);
        let target = format!("{pods}?watch=0&l%69mit=7&labelSelector=a+in+(b,c)&timeout=1s");
        assert_eq!(status(&raw(&stage, "GET", &target, "", b"").await), 200);
        let last = capture.last().unwrap();
        assert_eq!(
            sent(&last).0,
            format!(
                "GET {pods}?labelSelector=a%20in%20%28b%2Cc%29&limit=7&watch=false&timeout=1s HTTP/1.1"
            )
        );
    });
}

#[test]
fn threat_11_no_query_makes_a_watch_of_a_list_or_another_object_of_a_name() {
    run(async {
        let namespace = world().namespace("threat-11");
        let canary = uuid::Uuid::new_v4().to_string();
        for (name, value) in [("mine", "mine"), ("theirs", &canary)] {
            world()
                .scene
                .control
                .kubectl(&[
                    "create",
                    "configmap",
                    name,
                    "-n",
                    &namespace,
                    &format!("--from-literal=value={value}"),
                ])
                .unwrap();
        }
        let stage = Stage::new(json!([
            {"name": "list-pods", "effect": "allow", "verbs": ["list"], "apiGroups": [""], "resources": ["pods"]},
            {"name": "mine", "effect": "allow", "verbs": ["get", "list"], "apiGroups": [""],
             "resources": ["configmaps"], "resourceNames": ["mine"]},
        ]))
        .await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods?timeoutSeconds=1");
        for query in [
            "watch=true",
            "watch=1",
            "watch=no",
            "watch=x",
            "watch",
            "watch=",
            "watch=true&watch=false",
            "watch=0&watch=1",
            "w%61tch=1",
            "watch=%31",
            "allowWatchBookmarks=1&watch=1",
        ] {
            let answer = raw(&stage, "GET", &format!("{pods}&{query}"), "", b"").await;
            assert!([400, 403].contains(&status(&answer)), "{query}: {answer}");
        }
        let answer = raw(&stage, "GET", &format!("{pods}&watch=0"), "", b"").await;
        assert_eq!(status(&answer), 200, "{answer}");

        let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
        let mine = "fieldSelector=metadata.name%3Dmine";
        for query in [
            String::new(),
            format!("fieldSelector=&{mine}"),
            format!("{mine}&fieldSelector="),
            "fieldSelector=metadata.name%3Dtheirs,metadata.name%3Dmine".to_owned(),
            "fieldSelector=metadata.name%3Dmine,metadata.name%3Dtheirs".to_owned(),
            "fieldSelector=metadata.name!%3Dmine".to_owned(),
            format!("{mine}&timeoutSeconds=x"),
            format!("FieldSelector=metadata.name%3Dmine&x=1&{mine}"),
            "fieldSelector=metadata.namespace%3Dx%5C,metadata.name%3Dmine".to_owned(),
        ] {
            let answer = raw(&stage, "GET", &format!("{maps}?{query}"), "", b"").await;
            assert!([400, 403].contains(&status(&answer)), "{query}: {answer}");
            assert!(!answer.contains(&canary), "{query}: {answer}");
        }
        let answer = raw(&stage, "GET", &format!("{maps}?{mine}"), "", b"").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(
            answer.contains("\"mine\"") && !answer.contains(&canary),
            "{answer}"
        );
    });
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const APPLY: &str = "application/apply-patch+yaml";

#[test]
fn threat_12_a_body_that_can_be_read_twice_reaches_no_cluster() {
    run(async {
        let (stage, capture) = Stage::captured().await;
        let (pods, web) = ("/api/v1/namespaces/f/pods", "/api/v1/namespaces/f/pods/web");
        let strategic = "application/strategic-merge-patch+json";
        for (method, target, content_type, body) in [
            ("POST", pods, JSON, r#"{"spec":{"a":1},"spec":{"b":2}}"#),
            ("POST", pods, JSON, r#"{"spec":1,"sp\u0065c":2}"#),
            (
                "POST",
                pods,
                JSON,
                r#"{"spec":{"containers":[{"x":1,"x":1}]}}"#,
            ),
            ("POST", pods, JSON, r#"{"kind":"Pod","Kind":"Secret"}"#),
            ("POST", pods, JSON, r#"{"KIND":"Pod"}"#),
            ("POST", pods, JSON, "{\"\u{212a}ind\":\"Pod\"}"),
            ("POST", pods, JSON, r#"{"kind":"Pod"}{"kind":"Secret"}"#),
            ("POST", pods, JSON, r#"{"kind":"Pod"} x"#),
            ("POST", pods, JSON, "\u{feff}{\"kind\":\"Pod\"}"),
            ("POST", pods, JSON, r#"{"kind":"Pod",}"#),
            ("POST", pods, JSON, r#"{"kind":'Pod'}"#),
            ("POST", pods, JSON, r#"{"a":"\ud800"}"#),
            ("POST", pods, JSON, r#"{"a":NaN}"#),
            ("POST", pods, JSON, r#"{"a":01}"#),
            ("POST", pods, JSON, "{\"a\":\"\0\"}"),
            ("POST", pods, JSON, "kind: Pod"),
            ("POST", pods, JSON, r#"[{"kind":"Pod"}]"#),
            (
                "POST",
                pods,
                JSON,
                r#"{"kind":"List","apiVersion":"v1","items":[]}"#,
            ),
            ("POST", pods, YAML, "spec: {a: 1}\nspec: {b: 2}"),
            ("POST", pods, YAML, r#"{"spec":{"a":1},"spec":{"b":2}}"#),
            ("POST", pods, YAML, "a: &a {b: 1}\nc: *a"),
            ("POST", pods, YAML, "a: {<<: {b: 1}}"),
            ("POST", pods, YAML, "a: !!bool 'true'"),
            ("POST", pods, YAML, "a: yes"),
            ("POST", pods, YAML, "a: 0o17"),
            ("POST", pods, YAML, "a: 1:30"),
            ("POST", pods, YAML, "a: 1\n---\nkind: Secret"),
            ("POST", pods, YAML, "%YAML 1.1\n---\na: 1"),
            ("PATCH", web, APPLY, "a: 1\na: 2"),
            ("PATCH", web, APPLY, r#"{"a":1,"a":2}"#),
            ("PATCH", web, strategic, r#"{"a":1,"a":2}"#),
            (
                "PATCH",
                web,
                "application/json-patch+json",
                r#"[{"op":"add","path":"/a","value":1,"op":"test"}]"#,
            ),
            (
                "PATCH",
                web,
                "application/json-patch+json",
                r#"[{"op":"add","path":"/a","value":1,"from":"/b"}]"#,
            ),
            ("DELETE", web, JSON, r#"{"dryRun":["All"],"dryRun":[]}"#),
        ] {
            let answer = raw(&stage, method, target, content_type, body.as_bytes()).await;
            assert_eq!(status(&answer), 400, "{content_type} {body}: {answer}");
            assert_eq!(capture.last(), None, "{content_type} {body}");
        }
        for (method, target, content_type, body) in [
            ("POST", pods, "application/cbor", &b"\xd9\xd9\xf7\xa0"[..]),
            ("POST", pods, "text/plain", b"{}"),
            ("PATCH", web, JSON, b"{}"),
        ] {
            let answer = raw(&stage, method, target, content_type, body).await;
            assert_eq!(status(&answer), 415, "{content_type}: {answer}");
        }
        let protobuf = "application/vnd.kubernetes.protobuf";
        for (content_type, body) in [
            (JSON, &b"{\"a\":\"\xff\"}"[..]),
            (protobuf, b"k8s\0\n"),
            // A ConfigMap with the key "k" twice in its data.
            (
                protobuf,
                b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x0a\x12\x03\x0a\x01k\x12\x03\x0a\x01k",
            ),
        ] {
            let answer = raw(&stage, "POST", pods, content_type, body).await;
            assert_eq!(status(&answer), 400, "{answer}");
        }
        assert_eq!(capture.last(), None);
    });
}

#[test]
fn threat_12_what_was_judged_is_what_is_sent() {
    run(async {
        let (stage, capture) = Stage::captured().await;
        let (pods, web) = ("/api/v1/namespaces/f/pods", "/api/v1/namespaces/f/pods/web");
        for (method, target, content_type, body, expected) in [
            (
                "POST",
                pods,
                "Application/JSON; charset=latin1",
                "{ \"k\\u0069nd\" : \"\\u0050od\",\n\t\"a\" : [ 1.50, -0, 1e3, null ], \"\u{85}\": \"\\/\" }",
                (
                    "application/json",
                    "{\"kind\":\"Pod\",\"a\":[1.50,-0,1e3,null],\"\\u0085\":\"/\"}",
                ),
            ),
            (
                "POST",
                pods,
                YAML,
                "kind: Pod # a comment\na: |\n  x: y\nb: 'yes'\n",
                (
                    "application/json",
                    r#"{"kind":"Pod","a":"x: y\n","b":"yes"}"#,
                ),
            ),
            (
                "PATCH",
                web,
                APPLY,
                "kind: Pod\nspec: {hostPID: true}",
                (APPLY, r#"{"kind":"Pod","spec":{"hostPID":true}}"#),
            ),
        ] {
            let answer = raw(&stage, method, target, content_type, body.as_bytes()).await;
            assert_eq!(status(&answer), 200, "{body}: {answer}");
            let last = capture.last().unwrap();
            assert_eq!(sent(&last).1, expected.1);
            let head = last.to_ascii_lowercase();
            assert!(
                head.contains(&format!("content-type: {}\r\n", expected.0)),
                "{last}"
            );
        }
    });
}

#[test]
fn threat_12_no_spelling_slips_a_privileged_pod_past_the_policy() {
    run(async {
        let namespace = world().namespace("threat-12");
        let mut hold = everything("hold");
        hold["facts"] = json!(["privileged"]);
        let stage = Stage::new(json!([everything("allow"), hold])).await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let json = |security: &str| {
            format!(
                r#"{{"metadata":{{"name":"bad"}},"spec":{{"nodeName":"node-0","containers":[
                   {{"name":"main","image":"registry.example.com/app:1","securityContext":{security}}}]}}}}"#
            )
        };
        let yaml = |security: &str| {
            format!(
                "metadata: {{name: bad}}\nspec:\n  nodeName: node-0\n  containers:\n  - name: main\n    \
                 image: registry.example.com/app:1\n    securityContext: {security}\n"
            )
        };
        for (content_type, body) in [
            (JSON, json(r#"{"privileged":true}"#)),
            (JSON, json(r#"{"privileged":true,"privileged":false}"#)),
            (JSON, json(r#"{"privileged":false,"privileged":true}"#)),
            (JSON, json(r#"{"privile\u0067ed":true}"#)),
            (
                JSON,
                json(r#"{"privileged":false},"securityContext":{"privileged":true}"#),
            ),
            (
                JSON,
                json(r#"{"privileged":true},"securityContext":{"x":null}"#),
            ),
            (JSON, json(r#"{"Privileged":true}"#)),
            (
                JSON,
                format!("{}{}", json("{}"), json(r#"{"privileged":true}"#)),
            ),
            (YAML, yaml("{privileged: true}")),
            (YAML, yaml("{privileged: yes}")),
            (YAML, yaml("{privileged: On}")),
            (YAML, yaml("{privileged: y}")),
            (YAML, yaml("{privileged: TRUE}")),
            (YAML, yaml("{privileged: !!bool 'true'}")),
            (YAML, yaml("{privileged: false, privileged: true}")),
            (YAML, yaml("{<<: {privileged: true}}")),
            (YAML, yaml("{? privileged : true}")),
            (YAML, yaml("{\"privil\\x65ged\": true}")),
            (YAML, format!("x: &x {{privileged: true}}\n{}", yaml("*x"))),
            (YAML, json(r#"{"privileged":false,"privileged":true}"#)),
            (
                YAML,
                format!("{}---\n{}", yaml("{}"), yaml("{privileged: true}")),
            ),
        ] {
            let answer = raw(&stage, "POST", &pods, content_type, body.as_bytes()).await;
            assert!([400, 429].contains(&status(&answer)), "{body}: {answer}");
        }
        let names = |pods: &Value| -> Vec<String> {
            let items = pods["items"].as_array().unwrap();
            let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
            items.iter().map(name).collect()
        };
        let good = world()
            .ask_at(stage.gate(), "POST", &pods)
            .json(&pod("good", false));
        assert_eq!(json_of(good).await.0, 201);
        let (_, list) = json_of(world().ask_at(stage.gate(), "GET", &pods)).await;
        assert_eq!(names(&list), ["good"]);
    });
}
