//! Attacks that would lead the gate to a server of the attacker's choice. Where it goes stands in
//! its configuration, and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateward::demo::scene::CLUSTER;
use serde_json::{Value, json};

use super::stage::{Stage, cluster_saw, everything};
use super::targets::everything_allowed;
use super::trap::{authorization, request};
use crate::harness::{Capture, json_of, run, world};

/// A server that nobody should ever come to.
struct Elsewhere {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Elsewhere {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = visits.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, visits }
    }

    fn was_left_alone(&self, what: &str) {
        assert_eq!(self.visits.load(Ordering::Relaxed), 0, "{what}");
    }
}

#[test]
fn threat_26_no_part_of_a_request_names_the_server_that_it_goes_to() {
    run(async {
        let stage = Stage::new(json!([everything("allow")])).await;
        let elsewhere = Elsewhere::new().await;
        let at = elsewhere.address;
        let namespace = format!("threat-26-{}", uuid::Uuid::new_v4());
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        for name in [
            format!("{at}"),
            format!("localhost:{}", at.port()),
            format!("https:{at}"),
            format!("https:%2f%2f{at}"),
            format!("{CLUSTER}@{at}"),
            format!("{CLUSTER}:{}", at.port()),
            format!("{CLUSTER}.example.com"),
            format!("{CLUSTER}?@{at}"),
            "localhost".to_owned(),
            "169.254.169.254".to_owned(),
            "kubernetes.default.svc".to_owned(),
        ] {
            let text = request(
                "GET",
                &format!("/clusters/{name}{pods}"),
                &authorization(),
                "",
            );
            let answer = stage.raw(text.as_bytes()).await;
            assert!(matches!(answer.status, 400 | 404), "{name}: {answer:?}");
        }
        assert!(cluster_saw(&namespace).await.is_empty());

        let good = format!("/clusters/{CLUSTER}{pods}");
        let told = format!(
            "X-Forwarded-Host: {at}\r\nForwarded: host={at}\r\nX-Original-Url: https://{at}/\r\n\
             X-Rewrite-Url: https://{at}/\r\nReferer: https://{at}/\r\nOrigin: https://{at}\r\n\
             Destination: https://{at}/\r\nX-Forwarded-Server: {at}\r\n"
        );
        for (target, host) in [
            (format!("https://{at}{good}"), at.to_string()),
            (format!("http://{at}{good}"), "localhost".to_owned()),
            (format!("https://{CLUSTER}@{at}{good}"), at.to_string()),
            (good.clone(), at.to_string()),
            (good, "localhost".to_owned()),
        ] {
            let text = request("GET", &target, &format!("{}{told}", authorization()), "")
                .replace("Host: localhost\r\n", &format!("Host: {host}\r\n"));
            let answer = stage.raw(text.as_bytes()).await;
            assert_eq!(answer.status, 200, "{target}: {answer:?}");
        }
        assert_eq!(
            cluster_saw(&namespace).await.len(),
            5,
            "at the configured cluster, all of them"
        );
        elsewhere.was_left_alone("by what a request says");
    });
}

#[test]
fn threat_26_no_redirect_is_followed() {
    run(async {
        let trap = everything_allowed().await;
        let elsewhere = Elsewhere::new().await;
        let path = "/clusters/local/api/v1/namespaces/default/configmaps";
        let body = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"}}"#;
        let merge = "Content-Type: application/merge-patch+json\r\n";
        for status in [300, 301, 302, 303, 305, 307, 308, 399] {
            trap.cluster.answer(
                format!(
                    "HTTP/1.1 {status} Go\r\nLocation: http://{at}/api/v1/secrets\r\n\
                     Refresh: 0;url=http://{at}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    at = elsewhere.address
                )
                .into_bytes(),
            );
            for (method, path, lines, body) in [
                ("GET", path.to_owned(), "", ""),
                ("GET", format!("{path}?watch=true"), "", ""),
                ("POST", path.to_owned(), "", body),
                ("PUT", format!("{path}/c"), "", body),
                ("PATCH", format!("{path}/c"), merge, body),
                ("DELETE", format!("{path}/c"), "", ""),
            ] {
                let what = format!("{method} {path} {status}");
                let mut lines = format!("{}{lines}", authorization());
                if !body.is_empty() {
                    lines += &format!("Content-Length: {}\r\n", body.len());
                }
                trap.cluster.requests.lock().unwrap().clear();
                let text = request(method, &path, &lines, body);
                let answer = trap.send(text.as_bytes()).await.unwrap();
                assert_eq!(answer.status, 502, "{what}: {answer:?}");
                let (location, refresh) = (answer.header("location"), answer.header("refresh"));
                assert_eq!((location, refresh), (None, None), "{what}: {answer:?}");
                assert!(
                    !answer.body.contains(&elsewhere.address.to_string()),
                    "{what}: {answer:?}"
                );
                assert_eq!(trap.cluster.requests.lock().unwrap().len(), 1, "{what}");
            }
        }
        elsewhere.was_left_alone("after a redirect");
    });
}

/// Whoever turns the cluster's name to themself has no certificate of its CA.
#[test]
fn threat_26_a_server_without_the_clusters_certificate_hears_nothing() {
    run(async {
        let (cluster, other) = (
            Capture::start(&world().dir).await,
            Capture::start(&world().dir).await,
        );
        let read = |capture: &Capture| -> Value {
            serde_json::from_str(&std::fs::read_to_string(&capture.kubeconfig).unwrap()).unwrap()
        };
        let mut turned = read(&cluster);
        turned["clusters"][0]["cluster"]["server"] =
            read(&other)["clusters"][0]["cluster"]["server"].clone();
        turned["users"][0]["user"] = json!({"token": "the-gates-own"});
        std::fs::write(&cluster.kubeconfig, turned.to_string()).unwrap();
        let stage = Stage::with(json!([everything("allow")]), |document| {
            document["spec"]["clusters"][0]["kubeconfig"]["file"] = json!(cluster.kubeconfig);
        })
        .await;
        let token = world().agent_token();
        let (status, answer) = stage.send(&token, "GET", "/api/v1/pods", None).await;
        assert_eq!(status, 503, "{answer}");
        assert_eq!((other.last(), cluster.last()), (None, None));
    });
}

/// The credential is read again when the cluster does not accept it; its address never is.
#[test]
fn threat_26_a_kubeconfig_that_changes_does_not_move_the_cluster() {
    run(async {
        let cluster = Capture::start(&world().dir).await;
        let elsewhere = Elsewhere::new().await;
        let stage = Stage::with(json!([everything("allow")]), |document| {
            document["spec"]["clusters"][0]["kubeconfig"]["file"] = json!(cluster.kubeconfig);
        })
        .await;
        let get = async || {
            let port = stage.gate().agents.port();
            let url = format!("https://localhost:{port}/clusters/{CLUSTER}/api/v1/pods");
            let request = world().client().get(url).bearer_auth(world().agent_token());
            json_of(request).await
        };
        assert_eq!(get().await.0, 200);

        let text = std::fs::read_to_string(&cluster.kubeconfig).unwrap();
        let mut moved: Value = serde_json::from_str(&text).unwrap();
        moved["clusters"][0]["cluster"]["server"] = json!(format!("https://{}", elsewhere.address));
        std::fs::write(&cluster.kubeconfig, moved.to_string()).unwrap();
        // A credential that is older than this is read again once it was refused.
        tokio::time::sleep(Duration::from_millis(3100)).await;
        cluster.answer(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        );
        assert_eq!(get().await.0, 503);
        cluster.answer(Capture::ok(
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#,
        ));
        let before = cluster.requests.lock().unwrap().len();
        assert_eq!(before, 2, "the second one was refused");
        for _ in 0..3 {
            let (status, answer) = get().await;
            assert_eq!(status, 503, "{answer}");
        }
        assert_eq!(cluster.requests.lock().unwrap().len(), before);
        elsewhere.was_left_alone("after the file changed");
    });
}

/// The API server would go wherever the path says, with whatever rights it has there.
#[test]
fn threat_26_the_api_server_is_not_sent_anywhere_either() {
    run(async {
        let stage = Stage::new(json!([everything("allow")])).await;
        let elsewhere = Elsewhere::new().await;
        let port = elsewhere.address.port();
        let mark = uuid::Uuid::new_v4();
        for target in [
            format!("nodes/node-0:{port}"),
            format!("nodes/http:node-0:{port}"),
            format!("namespaces/default/services/http:kubernetes:{port}"),
            format!("namespaces/default/pods/http:p:{port}"),
        ] {
            for method in ["GET", "POST"] {
                let path = format!("/clusters/{CLUSTER}/api/v1/{target}/proxy/{mark}");
                let text = request(method, &path, &authorization(), "");
                let answer = stage.raw(text.as_bytes()).await;
                assert_eq!(answer.status, 501, "{method} {target}: {answer:?}");
            }
        }
        assert!(cluster_saw(&mark.to_string()).await.is_empty());
        elsewhere.was_left_alone("through the API server");
    });
}
