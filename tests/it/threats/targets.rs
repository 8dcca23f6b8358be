//! Attacks by the request's target: tunnels behind the API server, and paths that two readers
//! read differently.

use serde_json::json;

use super::trap::{PODS, Trap, authorization, request};
use crate::harness::{run, world};

const PROXIES: &[&str] = &[
    "/api/v1/nodes/n/proxy",
    "/api/v1/nodes/n/proxy/",
    "/api/v1/nodes/n/proxy/run/default/p/c?cmd=id",
    "/api/v1/nodes/n/proxy/exec/default/p/c?command=id&output=1",
    "/api/v1/nodes/n/proxy/containerLogs/kube-system/p/c",
    "/api/v1/nodes/n/proxy/configz",
    "/api/v1/nodes/n:10250/proxy/pods",
    "/api/v1/nodes/https:n:10250/proxy/pods",
    "/api/v1/nodes/n/proxy?path=/run/default/p/c",
    "/api/v1/nodes/n/proxy/..%2f..%2fapi/v1/secrets",
    "/api/v1/nodes/n/proxy/../../../secrets",
    "/api/v1/nodes/n/proxy//run//x/",
    "/api/v1/namespaces/default/pods/p/proxy/",
    "/api/v1/namespaces/default/pods/https:p:443/proxy/admin",
    "/api/v1/namespaces/default/services/s/proxy/",
    "/api/v1/namespaces/default/services/https:s:443/proxy/api/v1/secrets",
    "/api/v1/namespaces/kube-system/services/http:s:/proxy/%2e%2e/x?watch=true",
    "/apis/example.com/v1/namespaces/default/things/t/proxy/x",
];

/// Tunnels of other spellings, which the API server does not serve or serves no more.
const STRANGE: &[&str] = &[
    "/api/v1/proxy/nodes/n/pods",
    "/api/v1/proxy/namespaces/default/pods/p/",
    "/api/v1/watch/nodes/n/proxy",
    "/api/v1/nodes/n/%70roxy/pods",
    "/api/v1/nodes/n/proxy%2fpods",
    "/api/v1/nodes//proxy/pods",
    "/api/v1//nodes/n/proxy/pods",
    "/api/v1/nodes/../nodes/n/proxy/pods",
    "/api/v1/nodes/n/proxy;x=y/pods",
    "/api/v1/nodes/n/status/proxy",
];

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// What an operator might write who wants no gate at all.
const EVERYTHING: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: everything}
spec:
  rules:
    - {name: resources, effect: allow, verbs: ['*'], apiGroups: ['*'], resources: ['*'], subresources: ['*']}
    - {name: others, effect: allow, verbs: ['*'], nonResourceURLs: ['*']}
";

pub async fn everything_allowed() -> Trap {
    let file = world().dir.join(format!("{}.yaml", uuid::Uuid::new_v4()));
    std::fs::write(&file, EVERYTHING).unwrap();
    Trap::with(|document| {
        document["spec"]["policies"] = json!({"files": [file], "defaultPack": false});
    })
    .await
}

/// A request with a body where the method has one.
fn target(method: &str, path: &str) -> String {
    let body = match method {
        "POST" | "PUT" | "PATCH" => r#"{"kind":"Status","apiVersion":"v1"}"#,
        _ => "",
    };
    let lines = format!(
        "{}Content-Type: application/{}json\r\nContent-Length: {}\r\n",
        authorization(),
        if method == "PATCH" {
            "merge-patch+"
        } else {
            ""
        },
        body.len()
    );
    request(method, &format!("/clusters/local{path}"), &lines, body)
}

#[test]
fn threat_09_tunnels_through_the_api_server_are_denied_by_default() {
    run(async {
        let trap = Trap::set().await;
        for path in PROXIES {
            for method in METHODS {
                let what = format!("{method} {path}");
                let answer = trap.send(target(method, path).as_bytes()).await.unwrap();
                let entry = trap.refused(&what, &answer, 403).await;
                let grounds = &entry["refused"]["grounds"];
                assert_eq!(
                    (&grounds["verdict"], &grounds["rule"]),
                    (&json!("deny"), &json!("proxy")),
                    "{what}"
                );
                assert_eq!(entry["refused"]["what"]["execLike"], true, "{what}");
            }
            for method in ["OPTIONS", "TRACE", "get", "CONNECTX", "PROPFIND"] {
                let what = format!("{method} {path}");
                let answer = trap.send(target(method, path).as_bytes()).await.unwrap();
                trap.refused(&what, &answer, 400).await;
            }
        }
        for path in STRANGE {
            for method in METHODS {
                let what = format!("{method} {path}");
                let answer = trap.send(target(method, path).as_bytes()).await.unwrap();
                trap.refused(&what, &answer, 400).await;
            }
        }
    });
}

#[test]
fn threat_09_no_policy_can_open_a_tunnel() {
    run(async {
        let trap = everything_allowed().await;
        for path in PROXIES {
            for method in METHODS {
                let what = format!("{method} {path}");
                let answer = trap.send(target(method, path).as_bytes()).await.unwrap();
                trap.refused(&what, &answer, 501).await;
            }
        }
        assert_eq!(trap.get(PODS, "").await.status, 200, "all else is allowed");
    });
}

#[test]
fn threat_09_the_real_kubelet_is_not_reached() {
    run(async {
        let world = world();
        let node = world.scene.control.node_name();
        for path in ["/pods", "/configz", "/run/default/p/c?cmd=id"] {
            let path = format!("/api/v1/nodes/{node}/proxy{path}");
            let answer = world.ask("GET", &path).send().await.unwrap();
            assert_eq!(answer.status(), 403);
        }
        let log = std::fs::read_to_string(world.scene.control.audit_log()).unwrap();
        assert!(!log.contains("/proxy/"), "a tunnel was asked for");
    });
}

/// Paths of `kubernetes-protocol` fame: an API server, a router or a hop before it reads at
/// least one part of each in another way than it is written.
const TRICKS: &[&str] = &[
    "/api/v1/namespaces/default/pods/",
    "/api/v1/namespaces/default/pods//",
    "/api/v1/namespaces/default//pods",
    "/api/v1/namespaces//pods",
    "/api/v1/namespaces//secrets/",
    "/api/v1//pods",
    "/api//v1/pods",
    "//api/v1/pods",
    "///",
    "/api/v1/",
    "/apis/apps/",
    "/apis//v1/secrets",
    "/version/",
    "/api/v1/namespaces/default%2Fpods",
    "/api/v1/namespaces/default%2fpods",
    "/api/v1/namespaces/default%252fpods",
    "/api/v1/namespaces/default/pods%2Ffoo%2Flog",
    "/api/v1/namespaces/default/pods/foo%2fexec",
    "/api/v1/%6eamespaces/default/secrets",
    "/%61pi/v1/secrets",
    "/api/v1/secret%73",
    "/api/v1/namespaces/default/pods/p%20",
    "/api/v1/namespaces/default/pods/p%0d%0aImpersonate-User:%20admin",
    "/api/v1/namespaces/default/pods/%c0%ae%c0%ae/secrets",
    "/api/v1/namespaces/default/pods/p%00",
    "/api/v1/namespaces/default/pods/%",
    "/api/v1/namespaces/default/pods/%zz",
    "/api/v1/namespaces/default/pods/foo/../bar",
    "/api/v1/namespaces/default/pods/..",
    "/api/v1/namespaces/default/pods/.",
    "/api/v1/namespaces/default/pods/%2e%2e",
    "/api/v1/namespaces/default/pods/.%2e/secrets/s",
    "/api/v1/namespaces/default/pods/../../kube-system/secrets",
    "/api/v1/namespaces/default/../kube-system/secrets",
    "/api/v1/./secrets",
    "/healthz/../api/v1/secrets",
    "/healthz/..%2fapi/v1/secrets",
    "/version/%2e%2e/api/v1/secrets",
    "/..",
    "/../../clusters/other/api/v1/pods",
    "/api/v1/pods;x=1",
    "/api/v1/namespaces/default;/pods",
    "/api/v1/namespaces;a=b/default/secrets",
    "/;/api/v1/secrets",
    "/..;/api/v1/secrets",
    "/api/v1/pods%3Fwatch=1",
    "/api/v1/pods%23",
    "/api/v1/pods%00",
    "/api/v1\\pods",
    "/api/v1/namespaces\\default\\secrets",
    "/api/v1/namespaces/default/pods/{p}",
    "/api/v1/namespaces/default/pods/\"p\"",
    "/api/v1/namespaces/default/pods/p|q",
    "/api/v1/namespaces/default/pods/p^",
    "/api/v1/namespaces/default/pods/\u{ff0e}\u{ff0e}/secrets",
    "/api/v1/namespaces/default/pods/\u{e9}",
    "/api/v1/namespaces/default/pods/p/log/tail",
    "/api/v1/namespaces/default/pods/p/log/",
    "/api/v1/namespaces/default/pods/p/status/../exec",
    "/api/v1/namespaces/default/namespaces/default",
    "/api/v1/watch/secrets",
    "/api/v1/watch/namespaces/default/pods?watch=false",
    "/api/v1/watch",
    "/apis/apps/v1/watch/deployments",
];

/// Where no cluster is found, and so nothing to misread.
const NOWHERE: &[&str] = &[
    "/api/v1/pods",
    "//clusters/local/api/v1/pods",
    "/clusters//local/api/v1/pods",
    "/clusters/./local/api/v1/pods",
    "/clusters/../clusters/local/api/v1/pods",
    "/clusters/local%2fapi/v1/pods",
    "/clusters/%6cocal/api/v1/pods",
    "/clusters/LOCAL/api/v1/pods",
    "/Clusters/local/api/v1/pods",
    "/clusters/local;x/api/v1/pods",
    "/clusters/local\\..\\other/api/v1/pods",
    "/clusters/local",
    "/clusters/",
    "/%63lusters/local/api/v1/pods",
    "/clusters/other/api/v1/pods",
    "/",
];

#[test]
fn threat_10_a_path_that_is_not_what_its_parts_render_to_is_refused() {
    run(async {
        let trap = everything_allowed().await;
        let token = format!("Bearer {}", world().agent_token());
        let headers = [("authorization", token.as_str())];
        let prefixed = TRICKS
            .iter()
            .map(|path| (format!("/clusters/local{path}"), 400));
        let nowhere = NOWHERE.iter().map(|path| ((*path).to_owned(), 404));
        for (path, code) in prefixed.chain(nowhere) {
            for method in ["GET", "DELETE"] {
                let what = format!("{method} {path}");
                let text = request(method, &path, &authorization(), "");
                let answer = trap.send(text.as_bytes()).await.unwrap();
                trap.refused(&what, &answer, code).await;
            }
            if path.parse::<http::Uri>().is_ok() {
                let answer = trap.send_h2("GET", &path, &headers, "").await;
                trap.refused(&format!("GET {path} over HTTP/2"), &answer, code)
                    .await;
            }
        }
        assert_eq!(trap.get(PODS, "").await.status, 200);
    });
}

#[test]
fn threat_10_what_no_uri_may_hold_ends_at_the_parser() {
    run(async {
        let trap = everything_allowed().await;
        for path in [
            "/api/v1/pods\0",
            "/api/v1/pods\u{1}",
            "/api/v1/pods\u{7f}",
            "/api/v1/po ds",
            "/api/v1/\tpods",
            "/api/v1/pods<",
            "/api/v1/`pods`",
        ] {
            let text = request(
                "GET",
                &format!("/clusters/local{path}"),
                &authorization(),
                "",
            );
            assert_eq!(
                trap.send(text.as_bytes()).await.unwrap().status,
                400,
                "{path:?}"
            );
            trap.nothing_passed(path);
        }
        let mut latin1 = b"GET /clusters/local/api/v1/pods/\xe9 HTTP/1.1\r\nHost: a\r\n".to_vec();
        latin1.extend(format!("{}\r\n", authorization()).bytes());
        assert_eq!(trap.send(&latin1).await.unwrap().status, 400);
        trap.nothing_passed("Latin-1");
        // Longer than any path of Kubernetes.
        let long = format!(
            "/clusters/local/api/v1/namespaces/{}/pods",
            "a".repeat(5000)
        );
        let answer = trap.get(&long, "").await;
        trap.refused("a long path", &answer, 400).await;
    });
}

/// The API server's paths are case-sensitive, and so are ours: what is written in another
/// case is no Secret to either, and names nothing that exists.
#[test]
fn threat_10_another_case_is_another_path() {
    run(async {
        let world = world();
        for path in [
            "/API/v1/namespaces/default/secrets",
            "/Api/v1/secrets",
            "/api/V1/secrets",
            "/api/v1/Secrets",
            "/api/v1/namespaces/default/SECRETS",
            "/api/v1/Namespaces/default/secrets",
            "/apis/Apps/v1/deployments",
        ] {
            let answer = world.ask("GET", path).send().await.unwrap();
            let status = answer.status().as_u16();
            assert!(matches!(status, 403 | 404), "{path}: {status}");
        }
    });
}
