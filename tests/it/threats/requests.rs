//! Attacks by what stands around a request: its header fields, its upgrade.

use serde_json::{Value, json};

use super::trap::{Answer, PODS, Trap, authorization, h2_fields, recorded, request};
use crate::harness::{run, world};

/// Everything that some proxy, API server or framework takes for an identity, or for another
/// request than the one that it stands in. Each value holds the word "evil".
const HOSTILE: &[(&str, &str)] = &[
    ("X-Remote-User", "evil"),
    ("x-remote-user", "system:admin-evil"),
    ("X-Remote-Group", "system:masters-evil"),
    ("X-Remote-Uid", "evil"),
    ("X-Remote-Extra-Scopes", "evil"),
    ("Impersonate_User", "evil"),
    ("Impersonate", "evil"),
    ("X-Impersonate-User", "evil"),
    ("Audit-ID", "00000000-evil-0000-0000-000000000000"),
    ("audit-id", "evil"),
    ("X-Forwarded-For", "6.6.6.6, evil"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "evil"),
    ("X-Forwarded-User", "evil"),
    ("X-Forwarded-Groups", "evil"),
    ("X-Forwarded-Email", "evil@example.com"),
    ("X-Forwarded-Access-Token", "evil"),
    ("X-Forwarded-Client-Cert", "Subject=\"CN=evil\""),
    ("X-Forwarded-Uri", "/evil"),
    ("Forwarded", "for=evil"),
    ("X-Real-Ip", "evil"),
    ("True-Client-Ip", "evil"),
    ("Via", "1.1 evil"),
    ("X-Ssl-Client-Cert", "evil"),
    ("X-Client-Dn", "CN=evil,O=system:masters"),
    ("X-Auth-Request-User", "evil"),
    ("Cookie", "session=evil"),
    ("Proxy-Authorization", "Bearer evil"),
    ("Proxy-Connection", "evil"),
    ("X-Original-Url", "/api/v1/secrets?evil"),
    ("X-Rewrite-Url", "/api/v1/secrets?evil"),
    ("X-Http-Method-Override", "DELETE-evil"),
    ("X-Method-Override", "DELETE-evil"),
    ("Kubectl-Command", "evil"),
    ("Kubectl-Session", "evil"),
    ("Traceparent", "evil"),
    ("Accept-Encoding", "gzip, evil"),
    ("Range", "bytes=evil"),
    ("If-None-Match", "\"evil\""),
    ("Origin", "https://evil.example"),
    ("Sec-WebSocket-Protocol", "evil"),
    ("X-Kubernetes-Pf-Flowschema-Uid", "evil"),
];

/// What may stand in a request to the cluster, and nothing else.
const OURS: &[&str] = &[
    "accept",
    "audit-id",
    "host",
    "impersonate-extra-gateward.dev%2fprincipal",
    "impersonate-group",
    "impersonate-user",
    "user-agent",
];

fn lines(headers: &[(&str, &str)]) -> String {
    let line = |(name, value): &(&str, &str)| format!("{name}: {value}\r\n");
    headers.iter().map(line).collect()
}

#[test]
fn threat_01_a_connection_header_that_names_others_is_refused() {
    run(async {
        let trap = Trap::set().await;
        for name in [
            "Impersonate-User",
            "impersonate-user",
            "IMPERSONATE-GROUP",
            "Impersonate-Uid",
            "Impersonate-Extra-gateward.dev%2fprincipal",
            "Authorization",
            "Audit-ID",
            "X-Remote-User",
            "Host",
            "Accept",
            "Content-Type",
            "Content-Length",
            "Transfer-Encoding",
        ] {
            for value in [
                format!("Connection: {name}"),
                format!("connection:  {name}"),
                format!("CONNECTION:\t{name}\t"),
                format!("Connection: close, {name}"),
                format!("Connection: {name},close"),
                format!("Connection: keep-alive ,\t{name} , close"),
                format!("Connection: ,,{name},"),
                format!("Connection: close\r\nConnection: {name}"),
                format!("Connection: {name}\r\nConnection: close"),
            ] {
                let answer = trap.get(PODS, &format!("{value}\r\n")).await;
                trap.refused(&value, &answer, 400).await;
            }
        }
        for value in [
            "Impersonate-User;close",
            "\"close\"",
            "close Impersonate-User",
            "é",
        ] {
            let answer = trap.get(PODS, &format!("Connection: {value}\r\n")).await;
            trap.refused(value, &answer, 400).await;
        }
        // A space before the name makes it a continuation of the line before it.
        let folded = trap.get(PODS, " Connection: Impersonate-User\r\n").await;
        assert_eq!(folded.status, 400);
        trap.nothing_passed("a folded Connection");
        // HTTP/2 has no such header field (RFC 9113 §8.2.2).
        let token = format!("Bearer {}", world().agent_token());
        for value in ["Impersonate-User", "close", "keep-alive, impersonate-group"] {
            let fields = h2_fields(b"GET", PODS, &token, &[(b"connection", value.as_bytes())]);
            assert_ne!(trap.frames(&fields, None).await, "answer", "{value}");
            trap.nothing_passed(value);
        }
        let fields = h2_fields(b"GET", PODS, &token, &[]);
        assert_eq!(trap.frames(&fields, None).await, "answer");
        assert_eq!(
            trap.get(PODS, "Connection: keep-alive, close\r\n")
                .await
                .status,
            200
        );
    });
}

#[test]
fn threat_03_impersonation_by_the_client_is_refused() {
    run(async {
        let trap = Trap::set().await;
        for (name, value) in [
            ("Impersonate-User", "system:admin"),
            ("impersonate-user", "triage-bot"),
            ("IMPERSONATE-USER", ""),
            ("Impersonate-Group", "system:masters"),
            ("Impersonate-group", ""),
            ("Impersonate-Uid", "0"),
            ("Impersonate-Extra-Scopes", "all"),
            (
                "Impersonate-Extra-Gateward.dev%2fprincipal",
                "bob@example.com",
            ),
            ("Impersonate-Anything", "evil"),
        ] {
            let line = format!("{name}: {value}\r\n");
            for more in [
                line.clone(),
                format!("{line}{line}"),
                format!("A: b\r\n{line}C: d\r\n"),
            ] {
                let answer = trap.get(PODS, &more).await;
                let entry = trap.refused(name, &answer, 400).await;
                assert_eq!(entry["refused"]["who"]["agent"], "triage-bot");
            }
            let token = format!("Bearer {}", world().agent_token());
            let lower = name.to_lowercase();
            let headers = [("authorization", token.as_str()), (&lower, value)];
            let answer = trap.send_h2("GET", PODS, &headers, "").await;
            trap.refused(name, &answer, 400).await;
            for line in [
                format!(" {name}: {value}\r\n"),
                format!("{name} : {value}\r\n"),
            ] {
                assert_eq!(trap.get(PODS, &line).await.status, 400, "{line}");
                trap.nothing_passed(&line);
            }
        }
    });
}

#[test]
fn threat_03_no_header_of_the_client_reaches_the_cluster() {
    run(async {
        let trap = Trap::set().await;
        let token = format!("Bearer {}", world().agent_token());
        let agent = ("User-Agent", "kubectl/v1");
        let mut headers = vec![("Authorization", token.as_str()), agent];
        headers.extend(HOSTILE);
        let text = request("GET", PODS, &lines(&headers), "");
        let http1 = trap.send(text.as_bytes()).await.unwrap();
        trap.cluster_saw(&http1, OURS);
        let lower: Vec<(String, &str)> = headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), *value))
            .collect();
        let lower: Vec<(&str, &str)> = lower
            .iter()
            .map(|(name, value)| (&**name, *value))
            .collect();
        let http2 = trap.send_h2("GET", PODS, &lower, "").await;
        trap.cluster_saw(&http2, OURS);

        // Nor one that comes behind the body.
        trap.cluster.answer(Trap::created());
        let body = r#"{"kind":"ConfigMap"}"#;
        let chunked = format!(
            "{:x}\r\n{body}\r\n0\r\nImpersonate-User: evil\r\nX-Remote-User: evil\r\n\r\n",
            body.len()
        );
        let more = format!("{}Trailer: Impersonate-User\r\n", lines(&headers));
        let more = format!("{more}Transfer-Encoding: chunked\r\nTE: trailers\r\n");
        let path = "/clusters/local/api/v1/namespaces/default/configmaps";
        let text = request("POST", path, &more, &chunked);
        let answer = trap.send(text.as_bytes()).await.unwrap();
        let mut ours = OURS.to_vec();
        ours.extend(["content-length", "content-type"]);
        trap.cluster_saw(&answer, &ours);
        assert!(trap.cluster.last().unwrap().ends_with(body));
    });
}

impl Trap {
    pub fn created() -> Vec<u8> {
        let body = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"}}"#;
        Self::answer_of("201 Created", body)
    }

    fn answer_of(status: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// The last request at the cluster is the gate's own, in the caller's name.
    fn cluster_saw(&self, answer: &Answer, ours: &[&str]) {
        assert!((200..300).contains(&answer.status), "{answer:?}");
        let seen = self.cluster.last().unwrap();
        assert!(!seen.contains("evil"), "{seen}");
        let (head, _) = seen.split_once("\r\n\r\n").unwrap();
        let mut fields: Vec<(String, &str)> = head
            .lines()
            .skip(1)
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        fields.sort();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let mut ours = ours.to_vec();
        ours.sort_unstable();
        assert_eq!(names, ours, "{seen}");
        let value = |name: &str| fields.iter().find(|(key, _)| key == name).unwrap().1;
        assert_eq!(value("impersonate-user"), "triage-bot");
        assert_eq!(value("impersonate-group"), "agents");
        assert_eq!(
            value("impersonate-extra-gateward.dev%2fprincipal"),
            "alice@example.com"
        );
        assert_eq!(Some(value("audit-id")), answer.header("audit-id"));
        assert!(value("host").starts_with("localhost:"));
    }
}

#[test]
fn threat_03_the_cluster_and_the_ledger_see_the_proven_caller() {
    run(async {
        let world = world();
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let mut ask = world.ask("POST", path).json(&json!({
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}));
        for (name, value) in HOSTILE {
            ask = ask.header(*name, *value);
        }
        let answer = ask.send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let id = answer.headers()["audit-id"].to_str().unwrap().to_owned();
        let review: Value = answer.json().await.unwrap();
        let user = &review["status"]["userInfo"];
        assert_eq!(user["username"], "triage-bot");
        assert_eq!(user["groups"], json!(["agents", "system:authenticated"]));
        assert_eq!(
            user["extra"],
            json!({"gateward.dev/principal": ["alice@example.com"]})
        );

        let log = std::fs::read_to_string(world.scene.control.audit_log()).unwrap();
        let event: Value = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|event| event["auditID"] == id)
            .expect("the cluster's own event has our id");
        assert_eq!(event["user"]["username"], "gateward");
        assert_eq!(event["impersonatedUser"]["username"], "triage-bot");
        assert_eq!(event["sourceIPs"], json!(["127.0.0.1"]));
        assert!(!event.to_string().contains("evil"), "{event}");

        let entry = recorded(world, &world.dir.join("data"), &id).await;
        let peer = entry["intent"]["who"]["peer"].as_str().unwrap();
        assert!(peer.starts_with("127.0.0.1:"), "{entry}");
        assert!(!entry.to_string().contains("evil"), "{entry}");
    });
}

#[test]
fn threat_08_nothing_but_a_stream_is_upgraded() {
    run(async {
        let trap = Trap::set().await;
        let socket = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                      Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n";
        let upgrades = [
            format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{socket}"),
            format!("connection: keep-alive, uPgRaDe\r\nupgrade: WebSocket\r\n{socket}"),
            "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n".to_owned(),
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n".to_owned(),
            "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n".to_owned(),
            "Connection: upgrade\r\n".to_owned(),
            "Connection: close\r\nConnection: xupgradex\r\n".to_owned(),
            "Upgrade: websocket\r\n".to_owned(),
            "Upgrade:\r\n".to_owned(),
            "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: a\r\nUpgrade: websocket\r\n".to_owned(),
        ];
        let pod = "/clusters/local/api/v1/namespaces/default/pods/p";
        for (method, path) in [
            ("GET", format!("{PODS}?watch=true")),
            ("GET", format!("{PODS}?watch")),
            (
                "GET",
                format!("{PODS}?watch=1&fieldSelector=metadata.name%3Dp"),
            ),
            (
                "GET",
                "/clusters/local/api/v1/secrets?watch=1&allowWatchBookmarks=true".to_owned(),
            ),
            ("GET", format!("{pod}/log?follow=true")),
            ("GET", format!("{pod}/log")),
            ("GET", PODS.to_owned()),
            ("GET", pod.to_owned()),
            ("HEAD", pod.to_owned()),
            ("POST", PODS.to_owned()),
            ("DELETE", pod.to_owned()),
            ("GET", format!("{pod}/proxy/x")),
            (
                "POST",
                "/clusters/local/api/v1/nodes/n/proxy/exec/a/b/c?command=id".to_owned(),
            ),
            ("GET", format!("{pod}/Exec")),
            ("GET", format!("{pod}/status")),
            ("GET", "/clusters/local/version".to_owned()),
            ("GET", "/clusters/local/logs/kube-apiserver.log".to_owned()),
        ] {
            for upgrade in &upgrades {
                let what = format!("{method} {path} {upgrade}");
                let text = request(method, &path, &format!("{}{upgrade}", authorization()), "");
                let answer = trap.send(text.as_bytes()).await.unwrap();
                trap.refused(&what, &answer, 400).await;
            }
        }
    });
}

#[test]
fn threat_08_neither_a_subprotocol_nor_http2_opens_a_watch_as_a_pipe() {
    run(async {
        let trap = Trap::set().await;
        let watch = format!("{PODS}?watch=true");
        // The token as a subprotocol is a credential, and no reason for an upgrade.
        use base64::Engine as _;
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(world().agent_token());
        let protocols = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: \
             v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{token}\r\n"
        );
        let text = request("GET", &watch, &protocols, "");
        let answer = trap.send(text.as_bytes()).await.unwrap();
        trap.refused("a watch with a token as a subprotocol", &answer, 400)
            .await;
        assert!(!trap.kept().contains(&token));

        // HTTP/2 upgrades with CONNECT (RFC 8441), or not at all.
        let token = format!("Bearer {}", world().agent_token());
        let connect = h2_fields(b"CONNECT", &watch, &token, &[(b":protocol", b"websocket")]);
        let upgrade = h2_fields(b"GET", &watch, &token, &[(b"upgrade", b"websocket")]);
        for fields in [&connect, &upgrade] {
            assert_ne!(trap.frames(fields, None).await, "answer");
            trap.nothing_passed("an upgrade over HTTP/2");
        }
        let fields = h2_fields(b"GET", &watch, &token, &[]);
        assert_eq!(trap.frames(&fields, None).await, "answer");
        assert_eq!(trap.get(PODS, "").await.status, 200);
    });
}
