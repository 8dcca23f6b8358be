//! Attacks by the credential: a token in the wrong place, or one that is no token at all.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use gateward::demo::issuer::Signer;

use super::trap::{Answer, PODS, Trap, request};
use crate::harness::{run, world};

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A good token's parts: header, payload, signature.
pub fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}

impl Trap {
    pub async fn ask(&self, lines: &str) -> Answer {
        let text = request("GET", PODS, lines, "");
        self.send(text.as_bytes()).await.expect("an answer")
    }

    /// A request with these header lines identifies nobody.
    pub async fn believes_nobody(&self, what: &str, lines: &str) {
        let answer = self.ask(lines).await;
        let entry = self.refused(what, &answer, 401).await;
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer resource_metadata="), "{what}");
        assert_eq!(answer.document()["reason"], "Unauthorized", "{what}");
        assert_eq!(entry["refused"]["who"].get("agent"), None, "{what}");
    }

    /// Nor does any of these tokens, over HTTP/1.1 and HTTP/2, and none is kept.
    pub async fn believes_none<W: AsRef<str>>(&self, tokens: &[(W, String)]) {
        for (what, token) in tokens {
            let what = what.as_ref();
            self.believes_nobody(what, &bearer(token)).await;
            let value = format!("Bearer {token}");
            let headers = [("authorization", value.as_str())];
            let answer = self.send_h2("GET", PODS, &headers, "").await;
            self.refused(what, &answer, 401).await;
        }
        let kept = self.kept();
        for (what, token) in tokens.iter().filter(|(_, token)| token.len() > 40) {
            assert!(!kept.contains(token), "{} is kept", what.as_ref());
        }
    }

    /// The one token that everybody believes: without it the rest would prove nothing.
    pub async fn believes(&self, token: &str) {
        let answer = self.ask(&bearer(token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = self.cluster.last().unwrap();
        assert!(seen.contains("impersonate-user: triage-bot\r\n"), "{seen}");
    }
}

#[test]
fn threat_04_a_token_stands_in_one_place_once() {
    run(async {
        let trap = Trap::set().await;
        let good = world().agent_token();
        let other = world().agent_token();
        let basic = STANDARD.encode(format!("triage-bot:{good}"));
        let protocol = format!(
            "base64url.bearer.authorization.k8s.io.{}",
            URL_SAFE_NO_PAD.encode(&good)
        );
        let protocols = |value: &str| format!("Sec-WebSocket-Protocol: {value}\r\n");
        for lines in [
            String::new(),
            "Authorization:\r\n".to_owned(),
            "Authorization: Bearer\r\n".to_owned(),
            "Authorization: Bearer \r\n".to_owned(),
            "Authorization: Bearer    \r\n".to_owned(),
            format!("Authorization: {good}\r\n"),
            format!("Authorization: Bearer{good}\r\n"),
            format!("Authorization: Bearer\t{good}\r\n"),
            format!("Authorization: Token {good}\r\n"),
            format!("Authorization: Basic {basic}\r\n"),
            format!("Authorization: Bearer \"{good}\"\r\n"),
            format!("Authorization: Bearer {good}, Bearer {other}\r\n"),
            format!("Authorization: Bearer {good} {other}\r\n"),
            format!("Authorization: Bearer {good}\u{e9}\r\n"),
            format!("{}{}", bearer(&good), bearer(&good)),
            format!("{}{}", bearer(&good), bearer(&other)),
            format!("{}authorization: Basic {basic}\r\n", bearer(&good)),
            format!("AUTHORIZATION: x\r\n{}", bearer(&good)),
            format!("Authorization:\r\n{}", bearer(&good)),
            format!("Cookie: token={good}; access_token={good}\r\n"),
            format!("Proxy-Authorization: Bearer {good}\r\n"),
            format!("X-Auth-Token: {good}\r\nX-Forwarded-Access-Token: {good}\r\n"),
            format!("X-Forwarded-Authorization: Bearer {good}\r\n"),
            protocols(&protocol),
            protocols(&format!("{protocol}, {protocol}, v5.channel.k8s.io")),
            protocols(&format!("v5.channel.k8s.io, {protocol}=")),
            protocols("v5.channel.k8s.io, base64url.bearer.authorization.k8s.io."),
            format!(
                "{}{}",
                bearer(&good),
                protocols(&format!("v5.channel.k8s.io, {protocol}"))
            ),
        ] {
            trap.believes_nobody(&lines, &lines).await;
        }
        for query in [
            "access_token",
            "token",
            "bearer",
            "authorization",
            "id_token",
        ] {
            let path = format!("{PODS}?{query}={good}");
            let answer = trap
                .send(request("GET", &path, "", "").as_bytes())
                .await
                .unwrap();
            trap.refused(query, &answer, 401).await;
        }
        let form = format!("access_token={good}");
        let lines = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        let text = request("POST", PODS, &lines, &form);
        let answer = trap.send(text.as_bytes()).await.unwrap();
        trap.refused("a token in a form", &answer, 401).await;
        let twice = format!("Bearer {good}");
        let headers = [("authorization", &*twice), ("authorization", "Bearer x")];
        let answer = trap.send_h2("GET", PODS, &headers, "").await;
        trap.refused("two tokens over HTTP/2", &answer, 401).await;
        for secret in [&good, &other, &basic, &protocol] {
            assert!(!trap.kept().contains(secret), "a token is kept");
        }
        trap.believes(&good).await;
    });
}

#[test]
fn threat_04_what_is_no_signed_jwt_identifies_nobody() {
    run(async {
        let key = Arc::new(Signer::generate("ES256").unwrap());
        world().scene.issuer.publish(key.clone());
        let trap = Trap::set().await;
        let claims = world().agent_claims();
        let good = key.sign(&claims).unwrap();
        let [header, payload, signature] = parts(&good);
        // What is signed as it should be, and is not what should be signed.
        let said = json!({"alg": "ES256", "kid": key.kid()}).to_string();
        let signed = |claims: &str| key.sign_text(&said, claims).unwrap();
        let doubled = claims.to_string().replacen('{', r#"{"sub":"admin","#, 1);
        let mut long = claims.clone();
        long["padding"] = json!("a".repeat(13_000));
        // The last character of 64 bytes has four bits that mean nothing.
        let (body, last) = signature.split_at(signature.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let next = alphabet.find(last).unwrap() + 1;
        let tokens = [
            ("a word", "x".to_owned()),
            ("dots", "..".to_owned()),
            ("two parts", format!("{header}.{payload}")),
            ("no signature", format!("{header}.{payload}.")),
            ("four parts", format!("{good}.x")),
            (
                "a JWE's five parts",
                format!("{header}.{payload}.{signature}.{payload}.{signature}"),
            ),
            ("a dot before", format!(".{good}")),
            ("padding", format!("{good}==")),
            (
                "another writing of the same signature",
                format!("{header}.{payload}.{body}{}", &alphabet[next..=next]),
            ),
            ("no header", format!(".{payload}.{signature}")),
            ("no payload", format!("{header}..{signature}")),
            ("swapped parts", format!("{payload}.{header}.{signature}")),
            ("a claim twice", signed(&doubled)),
            ("a list", signed(&json!([claims]).to_string())),
            ("a word and no claims", signed("null")),
            ("claims and more", signed(&format!("{claims}{claims}"))),
            ("a NUL byte", signed("\0")),
            ("a deep payload", signed(&"[".repeat(9000))),
            (
                "a header twice",
                key.sign_text(
                    &said.replacen('{', r#"{"alg":"none","#, 1),
                    &claims.to_string(),
                )
                .unwrap(),
            ),
            ("more than 16 KiB", signed(&long.to_string())),
            (
                "JSON serialisation",
                json!({"payload": payload, "protected": header, "signature": signature})
                    .to_string(),
            ),
            (
                "30 KiB",
                format!("{header}.{}.{signature}", "A".repeat(30 * 1024)),
            ),
            ("an opaque token", "ya29.a0AfH6SMBx".to_owned()),
            (
                "a service account's token of a cluster",
                service_account_token(),
            ),
        ];
        trap.believes_none(&tokens).await;
        // Larger than any head: nobody reads it.
        let huge = bearer(&"A".repeat(2 << 20));
        if let Some(answer) = trap.send(request("GET", PODS, &huge, "").as_bytes()).await {
            assert_eq!(answer.status, 431);
        }
        trap.nothing_passed("2 MiB");
        trap.believes(&good).await;
        trap.believes(&signed(&claims.to_string())).await;
    });
}

/// Real, and for the cluster itself: an agent that has one must not get in with it.
fn service_account_token() -> String {
    let control = &world().scene.control;
    let namespace = world().namespace("tokens");
    control
        .kubectl(&["-n", &namespace, "create", "serviceaccount", "s"])
        .unwrap();
    let token = control
        .kubectl(&["-n", &namespace, "create", "token", "s"])
        .unwrap();
    token.trim().to_owned()
}
