//! Attacks by the credential: tokens that the issuer never signed.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use gateward::demo::issuer::{DevIssuer, Options, Signer};

use super::tokens::{encoded, parts};
use super::trap::Trap;
use crate::harness::{run, world};

#[test]
fn threat_04_no_key_but_the_issuers_signs_a_token() {
    run(async {
        let issuer = &world().scene.issuer;
        let rsa = Arc::new(Signer::generate("RS256").unwrap());
        issuer.publish(rsa.clone());
        let trap = Trap::set().await;
        let claims = world().agent_claims();
        let good = world().mint(&claims);
        let kid = issuer.kid();
        let evil = DevIssuer::start(Options::default()).await.unwrap();
        let foreign = Signer::generate_as("ES256", &kid).unwrap();
        let foreign_rsa = Signer::generate_as("RS256", rsa.kid()).unwrap();
        // Whoever follows a token to its keys is seen here, TLS or not.
        let lure = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let jku = format!("https://{}/jwks", lure.local_addr().unwrap());

        let mut tokens = Vec::new();
        let sign = |key: &Signer, header: Value| key.sign_with_header(&header, &claims).unwrap();
        for header in [
            json!({"alg": "ES256", "kid": kid}),
            json!({"alg": "ES256"}),
            json!({"alg": "ES256", "kid": kid, "jku": jku}),
            json!({"alg": "ES256", "kid": foreign.kid(), "jwk": foreign.jwk()}),
            json!({"alg": "ES256", "kid": kid, "x5u": jku, "x5c": [STANDARD.encode("x")]}),
            json!({"alg": "ES256", "kid": jku, "iss": evil.url()}),
            json!({"alg": "ES256", "kid": "../../../../dev/null"}),
            json!({"alg": "ES256", "kid": "' OR 1=1 --"}),
            json!({"alg": "ES256", "kid": ""}),
            json!({"alg": "ES256", "kid": null}),
        ] {
            tokens.push((header.to_string(), sign(&foreign, header)));
        }
        tokens.push((
            "a foreign RSA key".to_owned(),
            foreign_rsa.sign(&claims).unwrap(),
        ));
        tokens.push(("another issuer".to_owned(), evil.mint(&claims).unwrap()));
        let mut own = claims.clone();
        own["iss"] = json!(evil.url());
        tokens.push(("another issuer's own".to_owned(), evil.mint(&own).unwrap()));

        trap.believes_none(&tokens).await;
        let led = tokio::time::timeout(Duration::from_millis(200), lure.accept()).await;
        assert!(
            led.is_err(),
            "a token led the gate to a server of its choice"
        );
        trap.believes(&good).await;
        trap.believes(&rsa.sign(&claims).unwrap()).await;
    });
}

#[test]
fn threat_04_the_token_does_not_choose_how_it_is_verified() {
    run(async {
        let issuer = &world().scene.issuer;
        let rsa = Arc::new(Signer::generate("RS256").unwrap());
        issuer.publish(rsa.clone());
        let trap = Trap::set().await;
        let claims = world().agent_claims();
        let good = world().mint(&claims);
        let [header, payload, signature] = parts(&good);
        let kid = issuer.kid();
        let mut tokens = Vec::new();
        for alg in [
            "none", "None", "NONE", "nOnE", "", "null", "HS256", "ES256K", "RS1", "A128KW",
        ] {
            for kid in [json!(kid), Value::Null] {
                let unsigned = format!("{}.{payload}.", encoded(&json!({"alg": alg, "kid": kid})));
                tokens.push((format!("{alg}, unsigned"), unsigned.clone()));
                tokens.push((
                    format!("{alg}, with a signature"),
                    format!("{unsigned}{signature}"),
                ));
            }
        }
        // The public key as the secret of an HMAC, in every form in which it is published.
        for (key, secrets) in [
            (kid.as_str(), ec_secrets(&published(&kid).await)),
            (rsa.kid(), rsa_secrets(rsa.jwk())),
        ] {
            for (alg, hash) in [
                ("HS256", hmac::HMAC_SHA256),
                ("HS384", hmac::HMAC_SHA384),
                ("HS512", hmac::HMAC_SHA512),
            ] {
                for secret in &secrets {
                    let signed = format!("{}.{payload}", encoded(&json!({"alg": alg, "kid": key})));
                    let tag = hmac::sign(&hmac::Key::new(hash, secret), signed.as_bytes());
                    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
                    tokens.push((format!("{alg} with a public key"), token));
                }
            }
        }
        // r = s = 0, which some libraries took for a signature of everything.
        for signature in [
            vec![0; 64],
            vec![0; 70],
            vec![0x30, 6, 2, 1, 0, 2, 1, 0],
            vec![1; 64],
        ] {
            let token = format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(signature));
            tokens.push(("a made-up signature".to_owned(), token));
        }
        for header in [
            json!({"alg": "RS256", "kid": kid}),
            json!({"alg": "ES384", "kid": kid}),
            json!({"alg": "EdDSA", "kid": kid}),
            json!({"alg": "ES256", "kid": rsa.kid()}),
            json!({"alg": ["ES256"], "kid": kid}),
            json!({"kid": kid}),
        ] {
            tokens.push((
                header.to_string(),
                format!("{}.{payload}.{signature}", encoded(&header)),
            ));
        }
        // Of the issuer's own key, but not under what it is for.
        for header in [
            json!({"alg": "RS512", "kid": rsa.kid()}),
            json!({"alg": "PS256", "kid": rsa.kid()}),
            json!({"alg": "RS256", "kid": rsa.kid(), "crit": ["b64"], "b64": false}),
            json!({"alg": "RS256", "kid": rsa.kid(), "crit": ["exp"]}),
            json!({"alg": "RS256", "kid": rsa.kid(), "crit": []}),
            json!({"alg": "RS256", "kid": rsa.kid(), "typ": "logout+jwt"}),
            json!({"alg": "RS256", "kid": rsa.kid(), "typ": "dpop+jwt"}),
        ] {
            let token = rsa.sign_with_header(&header, &claims).unwrap();
            tokens.push((header.to_string(), token));
        }
        let mut forged = claims.clone();
        forged["act"]["sub"] = json!("admin");
        tokens.push((
            "a changed claim".to_owned(),
            format!("{header}.{}.{signature}", encoded(&forged)),
        ));
        trap.believes_none(&tokens).await;
        trap.believes(&good).await;
    });
}

/// An ES256 key: as a point, as SPKI in DER and PEM, as a JWK and a coordinate.
fn ec_secrets(jwk: &Value) -> Vec<Vec<u8>> {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let mut point = vec![4];
    point.extend(part("x"));
    point.extend(part("y"));
    // SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }: RFC 5480 §2.
    let mut der = vec![
        0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 3, 1, 7, 3, 0x42, 0,
    ];
    der.extend(&point);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(&der)
    );
    vec![
        point,
        der,
        pem.into_bytes(),
        jwk.to_string().into_bytes(),
        part("x"),
        Vec::new(),
    ]
}

fn rsa_secrets(jwk: &Value) -> Vec<Vec<u8>> {
    let n = jwk["n"].as_str().unwrap();
    let decoded = URL_SAFE_NO_PAD.decode(n).unwrap();
    vec![decoded, n.as_bytes().to_vec(), jwk.to_string().into_bytes()]
}

/// The issuer's public key of this id, as anybody gets it.
async fn published(kid: &str) -> Value {
    let issuer = &world().scene.issuer;
    let ca = reqwest::Certificate::from_pem(issuer.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .build()
        .unwrap();
    let url = format!("{}/jwks", issuer.url());
    let set: Value = client.get(url).send().await.unwrap().json().await.unwrap();
    let keys = set["keys"].as_array().unwrap();
    keys.iter().find(|key| key["kid"] == kid).unwrap().clone()
}
