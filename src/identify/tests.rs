//! The room against a real issuer over TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use http::HeaderValue;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::demo::issuer::{self as dev, DevIssuer, Fault, Signer};

struct World {
    issuer: DevIssuer,
    gate: Identifier,
}

impl World {
    async fn new() -> Self {
        let issuer = DevIssuer::start(dev::Options::default()).await.unwrap();
        let gate = Identifier::new(&configuration(&issuer), options()).unwrap();
        Self { issuer, gate }
    }

    /// With a change to the one `jwt` entry.
    async fn with(change: impl FnOnce(&mut JwtAuthenticator)) -> Self {
        let issuer = DevIssuer::start(dev::Options::default()).await.unwrap();
        let mut config = configuration(&issuer);
        change(&mut config.jwt[0]);
        let gate = Identifier::new(&config, options()).unwrap();
        Self { issuer, gate }
    }

    /// Good claims, changed.
    fn claims(&self, changes: Value) -> Value {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.issuer.url(), "sub": "bot", "aud": "gate",
            "iat": now, "nbf": now, "exp": now + 300,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn mint(&self, changes: Value) -> String {
        self.issuer.mint(&self.claims(changes)).unwrap()
    }

    async fn ask(&self, token: &str) -> Result<Arc<Caller>, Refusal> {
        self.ask_at(token, Timestamp::now()).await
    }

    async fn ask_at(&self, token: &str, now: Timestamp) -> Result<Arc<Caller>, Refusal> {
        self.gate.identify(&authorization(token), now).await
    }

    async fn ask_claims(&self, changes: Value) -> Result<Arc<Caller>, Refusal> {
        self.ask(&self.mint(changes)).await
    }
}

fn configuration(issuer: &DevIssuer) -> AuthenticationConfiguration {
    serde_json::from_value(json!({
        "jwt": [{
            "issuer": {
                "url": issuer.url(),
                "certificateAuthority": issuer.ca_pem(),
                "audiences": ["gate"],
            },
            "claimMappings": {
                "username": { "claim": "sub", "prefix": "" },
                "groups": { "claim": "groups", "prefix": "" },
            },
        }],
    }))
    .unwrap()
}

fn options() -> Options {
    Options::new([7; 32])
}

fn authorization(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    headers
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

/// The outside sentence of a refused token.
fn outside<T: std::fmt::Debug>(result: Result<T, Refusal>) -> &'static str {
    match result {
        Err(Refusal::TokenRefused { outside, .. }) => outside,
        other => panic!("not a refused token: {other:?}"),
    }
}

fn unsigned(header: Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        B64.encode(header.to_string()),
        B64.encode(claims.to_string())
    )
}

/// An issuer whose claims are mapped by expressions.
async fn world_of_expressions() -> World {
    World::with(|jwt| {
        jwt.claim_mappings = part_of(json!({
            "username": { "expression": "'ci:' + claims.sub" },
            "groups": { "expression": "claims.roles.split(',')" },
            "uid": { "expression": "claims.?uid.orValue('')" },
            "extra": [
                { "key": "example.com/tenant", "valueExpression": "claims.?tenant.orValue(null)" },
                { "key": "example.com/none", "valueExpression": "''" }
            ]
        }));
        jwt.claim_validation_rules = vec![
            part_of(json!({ "expression": "!has(claims.stage) || claims.stage == 'test'", "message": "only in test" })),
        ];
        jwt.user_validation_rules = part_of(json!([
            { "expression": "user.groups.all(g, g != 'root') && user.username.startsWith('ci:')", "message": "no root" },
            { "expression": "user.extra.all(key, user.extra[key] != ['evil'])" }
        ]));
    })
    .await
}

fn part_of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn expressions_map_claims() {
    let world = world_of_expressions().await;
    let claims = json!({"roles": "b,a,,b", "tenant": ["x", "y"], "stage": "test", "uid": "42"});
    let token = world.issuer.mint(&world.claims(claims)).unwrap();
    let caller = world.ask(&token).await.unwrap();
    assert_eq!(caller.agent(), "ci:bot");
    assert_eq!(caller.groups(), ["a", "b"]);
    assert_eq!(caller.uid(), Some("42"));
    let extra: Vec<_> = caller.extra().iter().collect();
    let tenant = (
        "example.com/tenant".to_owned(),
        vec!["x".to_owned(), "y".to_owned()],
    );
    assert_eq!(extra, [(&tenant.0, &tenant.1)]);

    let token = world
        .issuer
        .mint(&world.claims(json!({"roles": ""})))
        .unwrap();
    let caller = world.ask(&token).await.unwrap();
    assert_eq!((caller.groups().len(), caller.uid()), (0, None));
    assert!(caller.extra().is_empty());
}

#[tokio::test]
async fn threat_04_a_token_that_expressions_make_nothing_of_is_refused() {
    let world = world_of_expressions().await;
    let no_use = "an expression of the gate's configuration has no use for this token";
    let rule = "the token does not meet a rule of the gate's configuration";
    for (claims, said) in [
        // What is not there, or of another type.
        (json!({}), no_use),
        (json!({"roles": ["a"]}), no_use),
        (json!({"roles": "a", "tenant": 5}), no_use),
        (json!({"roles": "a", "tenant": ["x", 5]}), no_use),
        (json!({"roles": "a", "uid": 5}), no_use),
        // What a rule forbids.
        (json!({"roles": "a", "stage": "production"}), rule),
        (json!({"roles": "a,root"}), rule),
        (json!({"roles": "a", "tenant": "evil"}), rule),
        // What the gate forbids, whoever makes it.
        (
            json!({"roles": "system:masters"}),
            "reserved for Kubernetes",
        ),
        (json!({"roles": "a\nb"}), "characters that are not allowed"),
        (
            json!({"roles": "a", "tenant": "x\r\nImpersonate-Group: b"}),
            "characters that are not allowed",
        ),
        (
            json!({"roles": "a", "tenant": "x".repeat(2000)}),
            "too long",
        ),
        (
            json!({"roles": "a", "_claim_names": {"roles": "src1"}}),
            "by reference",
        ),
    ] {
        let token = world.issuer.mint(&world.claims(claims.clone())).unwrap();
        let outside = outside(world.ask(&token).await);
        assert!(outside.contains(said), "{claims}: {outside}");
    }
}

#[tokio::test]
async fn a_token_names_the_caller() {
    let world = World::with(|jwt| {
        jwt.claim_mappings.username.prefix = Some("oidc:".to_owned());
        jwt.claim_mappings.groups.prefix = Some("g:".to_owned());
        jwt.claim_mappings.uid.claim = "uid".to_owned();
    })
    .await;
    let claims = json!({"groups": ["b", "a", "b"], "uid": "42", "email": "bot@example.com"});
    let claims = world.claims(claims);
    let token = world.issuer.mint(&claims).unwrap();
    let caller = world.ask(&token).await.unwrap();
    assert_eq!(caller.agent(), "oidc:bot");
    assert_eq!(caller.principal(), None);
    assert_eq!(caller.delegation(), [""; 0]);
    assert_eq!(caller.aliases(), ["bot", "bot@example.com", "oidc:bot"]);
    assert_eq!(caller.groups(), ["g:a", "g:b"]);
    assert_eq!(caller.uid(), Some("42"));
    assert!(caller.extra().is_empty());
    assert_eq!(caller.issuer(), world.issuer.url());
    assert_eq!(caller.expires(), claims["exp"].as_i64().unwrap());
    // HMAC-SHA256 keyed by the options, the same across restarts, and not a plain hash.
    let again = Identifier::new(&configuration(&world.issuer), options()).unwrap();
    assert_eq!(caller.token_id(), again.token_id(&token));
    assert_eq!(caller.token_id().len(), 32);
    let other = Identifier::new(&configuration(&world.issuer), Options::new([8; 32])).unwrap();
    assert_ne!(caller.token_id(), other.token_id(&token));
}

#[tokio::test]
async fn every_accepted_algorithm_verifies_and_agrees_with_jsonwebtoken() {
    let world = World::new().await;
    let algorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ];
    let mut tokens = Vec::new();
    for alg in algorithms {
        let key = Arc::new(Signer::generate(alg).unwrap());
        let token = key.sign(&world.claims(json!({ "sub": alg }))).unwrap();
        if alg != "ES512" {
            let jwk = serde_json::from_value(key.jwk().clone()).unwrap();
            let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
            let mut validation = jsonwebtoken::Validation::new(alg.parse().unwrap());
            validation.set_audience(&["gate"]);
            jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        }
        world.issuer.publish(key);
        tokens.push(token);
    }
    for (alg, token) in algorithms.iter().zip(&tokens) {
        assert_eq!(world.ask(token).await.unwrap().agent(), *alg);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = B64.decode(signature).unwrap();
        bytes[10] ^= 1;
        let forged = format!("{signed}.{}", B64.encode(bytes));
        assert_eq!(
            outside(world.ask(&forged).await),
            "the token's signature is not valid",
            "{alg}"
        );
    }
}

#[tokio::test]
async fn several_issuers_each_answer_for_their_own() {
    let one = World::new().await;
    let two = World::new().await;
    let mut config = configuration(&one.issuer);
    config.jwt.extend(configuration(&two.issuer).jwt);
    config.jwt[1].claim_mappings.username.prefix = Some("two:".to_owned());
    let gate = Identifier::new(&config, options()).unwrap();
    let now = Timestamp::now();
    let name = async |token: &str| {
        gate.identify(&authorization(token), now)
            .await
            .map(|c| c.agent().to_owned())
    };
    assert_eq!(name(&one.mint(json!({}))).await.unwrap(), "bot");
    assert_eq!(name(&two.mint(json!({}))).await.unwrap(), "two:bot");
    // Signed by one, in the name of the other.
    let crossed = one.mint(json!({ "iss": two.issuer.url() }));
    assert!(outside(name(&crossed).await).contains("does not publish"));
}

#[test]
fn threat_04_a_request_carries_exactly_one_readable_token() {
    let encoded = |token: &str| {
        format!(
            "base64url.bearer.authorization.k8s.io.{}",
            B64.encode(token)
        )
    };
    let ws = encoded("x.y.z");
    let huge = "a".repeat(LONGEST_TOKEN + 1);
    type Case<'a> = (&'a str, Vec<String>, Vec<String>, Option<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        ("bearer", vec!["Bearer x.y.z".into()], vec![], Some("x.y.z")),
        (
            "scheme in any case",
            vec!["bEARER x.y.z".into()],
            vec![],
            Some("x.y.z"),
        ),
        (
            "subprotocol",
            vec![],
            vec![format!("v5.channel.k8s.io, {ws}")],
            Some("x.y.z"),
        ),
        (
            "subprotocol, two headers",
            vec![],
            vec![ws.clone(), "v5.channel.k8s.io".into()],
            Some("x.y.z"),
        ),
        (
            "longest",
            vec![format!("Bearer {}", &huge[1..])],
            vec![],
            Some(&huge[1..]),
        ),
        (
            "two headers",
            vec!["Bearer x.y.z".into(), "Bearer x.y.z".into()],
            vec![],
            None,
        ),
        ("empty", vec!["Bearer ".into()], vec![], None),
        ("no token", vec!["Bearer".into()], vec![], None),
        ("basic", vec!["Basic dTpw".into()], vec![], None),
        ("huge", vec![format!("Bearer {huge}")], vec![], None),
        (
            "both",
            vec!["Bearer x.y.z".into()],
            vec![format!("v5.channel.k8s.io, {ws}")],
            None,
        ),
        (
            "two subprotocols",
            vec![],
            vec![format!("v5.channel.k8s.io, {ws}, {ws}")],
            None,
        ),
        ("alone", vec![], vec![ws.clone()], None),
        (
            "empty subprotocol",
            vec![],
            vec![format!("v5.channel.k8s.io, {}", encoded(""))],
            None,
        ),
        (
            "padded",
            vec![],
            vec![format!("v5.channel.k8s.io, {ws}=")],
            None,
        ),
        (
            "huge subprotocol",
            vec![],
            vec![format!("v5.channel.k8s.io, {}", encoded(&huge))],
            None,
        ),
    ];
    for (name, authorization, protocols, expected) in cases {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        for value in protocols {
            headers.append(SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap());
        }
        match (bearer(&headers), expected) {
            (Ok(token), Some(text)) => assert_eq!(token.expose(), text, "{name}"),
            (Err(Refusal::TokenRefused { .. }), None) => {}
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    let mut other = HeaderMap::new();
    other.insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static("v5.channel.k8s.io"),
    );
    for headers in [HeaderMap::new(), other] {
        assert_eq!(bearer(&headers).err(), Some(Refusal::TokenMissing));
    }
    let mut opaque = HeaderMap::new();
    opaque.insert(
        AUTHORIZATION,
        HeaderValue::from_bytes(b"Bearer \xff").unwrap(),
    );
    assert!(matches!(bearer(&opaque), Err(Refusal::TokenRefused { .. })));
}

#[tokio::test]
async fn threat_04_each_fault_of_a_token_has_its_own_sentence() {
    let world = World::new().await;
    let now = Timestamp::now().as_second();
    let cases = [
        (
            json!({"exp": now - 11}),
            "the token has expired; get a new one",
        ),
        (json!({"exp": -1}), "the token has expired; get a new one"),
        (
            json!({"exp": null}),
            "the token's dates cannot be read; get a new one",
        ),
        (
            json!({"exp": (now + 300).to_string()}),
            "the token's dates cannot be read; get a new one",
        ),
        (
            json!({"nbf": now + 60}),
            "the token is not valid yet; check the clocks",
        ),
        (
            json!({"iat": now + 60}),
            "the token was issued in the future; check the clocks",
        ),
        (json!({"aud": "other"}), "another audience"),
        (json!({"aud": ["other", "another"]}), "another audience"),
        (json!({"aud": []}), "another audience"),
        (json!({"aud": "gate "}), "another audience"),
        (json!({"aud": {"gate": 1}}), "another audience"),
        (
            json!({"iss": "https://127.0.0.1"}),
            "issuer is not accepted",
        ),
        (
            json!({"iss": format!("{}/", world.issuer.url())}),
            "issuer is not accepted",
        ),
        (
            json!({"iss": [world.issuer.url()]}),
            "issuer is not accepted",
        ),
        (json!({"sub": 7}), "unexpected type"),
        (json!({"groups": [7]}), "groups cannot be read"),
        (json!({"groups": {"a": 1}}), "groups cannot be read"),
        (json!({"_claim_names": {"groups": "src1"}}), "by reference"),
        (json!({"groups": vec!["g"; 257]}), "more than 256 groups"),
    ];
    for (changes, sentence) in cases {
        let said = outside(world.ask_claims(changes.clone()).await);
        assert!(said.contains(sentence), "{changes}: {said}");
    }
    for absent in ["exp", "aud", "iss", "sub"] {
        let mut claims = world.claims(json!({}));
        claims.as_object_mut().unwrap().remove(absent);
        let token = world.issuer.mint(&claims).unwrap();
        outside(world.ask(&token).await);
    }
    // Within the leeway, and the shapes that RFC 7519 allows beside.
    for changes in [
        json!({"exp": now - 5}),
        json!({"nbf": now + 5, "iat": now + 5}),
        json!({"exp": (now + 300) as f64 + 0.5}),
        json!({"aud": ["other", "gate"]}),
        json!({"groups": "one"}),
        json!({"groups": null}),
        json!({"groups": vec!["g"; 256]}),
    ] {
        world
            .ask_claims(changes.clone())
            .await
            .unwrap_or_else(|e| panic!("{changes}: {e:?}"));
    }
}

#[tokio::test]
async fn threat_04_no_forged_signature_is_accepted() {
    let world = World::new().await;
    let rsa = Arc::new(Signer::generate("RS256").unwrap());
    world.issuer.publish(Arc::clone(&rsa));
    let claims = world.claims(json!({}));
    let good = world.mint(json!({}));
    world.ask(&good).await.unwrap();

    let (header, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let forged = B64.encode(world.claims(json!({"sub": "admin"})).to_string());
    let kid = world.issuer.kid();
    let foreign = Signer::generate_as("ES256", &kid).unwrap();
    let own_key = json!({"alg": "ES256", "jwk": foreign.jwk(), "jku": "https://evil.test/jwks"});
    let es_on_rsa = json!({"alg": "RS256", "kid": kid});
    let ps_on_rs = json!({"alg": "PS256", "kid": rsa.kid()});
    let n = B64.decode(rsa.jwk()["n"].as_str().unwrap()).unwrap();
    let hs = |secret: &[u8]| {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some(rsa.kid().to_owned());
        jsonwebtoken::encode(
            &header,
            &claims,
            &jsonwebtoken::EncodingKey::from_secret(secret),
        )
        .unwrap()
    };
    let cases = [
        ("tampered payload", format!("{header}.{forged}.{signature}")),
        ("signature cut off", format!("{header}.{forged}.")),
        (
            "alg none",
            format!("{}.", unsigned(json!({"alg": "none"}), &claims)),
        ),
        (
            "alg none with kid",
            format!("{}.", unsigned(json!({"alg": "none", "kid": kid}), &claims)),
        ),
        (
            "alg None with signature",
            format!("{}.{signature}", unsigned(json!({"alg": "None"}), &claims)),
        ),
        (
            "no alg",
            format!("{}.{signature}", unsigned(json!({}), &claims)),
        ),
        ("HS256 with the modulus", hs(&n)),
        ("HS256 with the JWK", hs(rsa.jwk().to_string().as_bytes())),
        ("HS256 with nothing", hs(b"")),
        ("foreign key, same kid", foreign.sign(&claims).unwrap()),
        (
            "foreign key, no kid",
            foreign
                .sign_with_header(&json!({"alg": "ES256"}), &claims)
                .unwrap(),
        ),
        (
            "key in the header",
            foreign.sign_with_header(&own_key, &claims).unwrap(),
        ),
        (
            "RS256 with an EC key",
            rsa.sign_with_header(&es_on_rsa, &claims).unwrap(),
        ),
        (
            "PS256 with an RS256 key",
            rsa.sign_with_header(&ps_on_rs, &claims).unwrap(),
        ),
    ];
    for (name, token) in cases {
        let result = world.ask(&token).await;
        assert!(
            matches!(result, Err(Refusal::TokenRefused { .. })),
            "{name}: {result:?}"
        );
    }
    world.ask(&good).await.unwrap();
}

#[tokio::test]
async fn threat_04_a_header_or_payload_that_reads_two_ways_is_refused() {
    let world = World::new().await;
    let key = Arc::new(Signer::generate("ES256").unwrap());
    world.issuer.publish(Arc::clone(&key));
    let sign = |header: Value| {
        key.sign_with_header(&header, &world.claims(json!({})))
            .unwrap()
    };
    let with = |name: &str, value: Value| {
        let mut header = json!({"alg": "ES256", "kid": key.kid()});
        header[name] = value;
        header
    };
    for typ in ["JWT", "jwt", "at+jwt", "application/at+JWT", "JOSE"] {
        world.ask(&sign(with("typ", json!(typ)))).await.unwrap();
    }
    assert!(
        world.ask(&sign(json!({"alg": "ES256"}))).await.is_ok(),
        "no kid: any key that fits"
    );
    for typ in ["logout+jwt", "dpop+jwt", ""] {
        assert!(outside(world.ask(&sign(with("typ", json!(typ)))).await).contains("not of a type"));
    }
    for crit in [json!(["exp"]), json!([])] {
        assert!(outside(world.ask(&sign(with("crit", crit))).await).contains("extension"));
    }
    let good = world.mint(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let claims = world.claims(json!({})).to_string();
    let twice = B64.encode(format!(
        "{},\"sub\":\"admin\"}}",
        claims.strip_suffix('}').unwrap()
    ));
    for token in [
        "x".to_owned(),
        "..".to_owned(),
        "a.b".to_owned(),
        format!("{good}.x"),
        format!("{good}="),
        format!("{}.{twice}.{}", parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], B64.encode("[]"), parts[2]),
        format!("{}.{}.{}", parts[0], B64.encode("[".repeat(4000)), parts[2]),
    ] {
        assert!(
            outside(world.ask(&token).await).contains("not a signed JWT"),
            "{token}"
        );
    }
}

#[tokio::test]
async fn threat_05_no_caller_has_an_empty_or_unprintable_name() {
    let world = World::with(|jwt| jwt.claim_mappings.username.prefix = Some("p".to_owned())).await;
    let long = "a".repeat(1025);
    for name in [
        "",
        " ",
        "a ",
        "a\nb",
        "a\r\nImpersonate-Group: system:masters",
        "a\0",
        "a\tb",
        "a\u{7f}",
        "a\u{200b}",
        "a\u{202e}b",
        &long,
    ] {
        for changes in [
            json!({"sub": name}),
            json!({"act": {"sub": name}}),
            json!({"groups": ["ok", name]}),
        ] {
            // A prefix must not turn " " into a name that only looks like one.
            let result = world.ask_claims(changes.clone()).await;
            assert!(
                matches!(result, Err(Refusal::TokenRefused { .. })),
                "{changes}: {result:?}"
            );
        }
    }
    for name in ["a", "Ann Example", "ann@example.com", "jürgen", "a/b:c"] {
        assert_eq!(
            world
                .ask_claims(json!({"sub": name}))
                .await
                .unwrap()
                .agent(),
            format!("p{name}")
        );
    }
}

#[tokio::test]
async fn threat_05_system_names_are_refused_unless_allowed() {
    let world = World::new().await;
    for changes in [
        json!({"sub": "system:admin"}),
        json!({"groups": ["a", "system:masters"]}),
        json!({"act": {"sub": "system:admin"}}),
        json!({"sub": "system:admin", "act": {"sub": "bot"}}),
        json!({"sub": "system:serviceaccount:agents:a"}),
    ] {
        assert!(outside(world.ask_claims(changes).await).contains("reserved for Kubernetes"));
    }
    let mut allowing = options();
    allowing.allowed_system_names = vec![
        "system:serviceaccount:agents:*".to_owned(),
        "system:authenticated".to_owned(),
    ];
    let gate = Identifier::new(&configuration(&world.issuer), allowing).unwrap();
    let ask = async |changes: Value| {
        gate.identify(&authorization(&world.mint(changes)), Timestamp::now())
            .await
    };
    ask(json!({"sub": "system:serviceaccount:agents:a", "groups": ["system:authenticated"]}))
        .await
        .unwrap();
    for name in [
        "system:serviceaccount:agentsX:a",
        "system:authenticated2",
        "system:masters",
    ] {
        assert!(
            outside(ask(json!({"sub": name})).await).contains("reserved for Kubernetes"),
            "{name}"
        );
    }
    for bad in ["admin", "*", "system:*:a", "system:**"] {
        let mut options = options();
        options.allowed_system_names = vec![bad.to_owned()];
        let error = Identifier::new(&configuration(&world.issuer), options)
            .err()
            .unwrap();
        assert_eq!(error.problems[0].field, "allowedSystemNames", "{bad}");
    }
}

#[tokio::test]
async fn a_required_claim_must_have_its_value() {
    let world = World::with(|jwt| {
        jwt.claim_validation_rules = vec![ClaimValidationRule {
            claim: "hd".to_owned(),
            required_value: "example.com".to_owned(),
            ..Default::default()
        }];
    })
    .await;
    world
        .ask_claims(json!({"hd": "example.com"}))
        .await
        .unwrap();
    for changes in [
        json!({}),
        json!({"hd": "evil.test"}),
        json!({"hd": ["example.com"]}),
    ] {
        assert!(outside(world.ask_claims(changes).await).contains("requires"));
    }
}

#[tokio::test]
async fn delegation_splits_agent_and_principal() {
    let world = World::new().await;
    let claims =
        json!({"sub": "ann", "groups": ["ops"], "act": {"sub": "bot", "act": {"sub": "planner"}}});
    let caller = world.ask_claims(claims).await.unwrap();
    assert_eq!((caller.agent(), caller.principal()), ("bot", Some("ann")));
    assert_eq!(caller.delegation(), ["planner"]);
    assert_eq!(caller.aliases(), ["ann", "bot"]);
    assert_eq!(caller.groups(), ["ops"]);
    let foreign = json!({"sub": "ann", "act": {"sub": "bot", "iss": "https://elsewhere.test"}});
    assert!(outside(world.ask_claims(foreign).await).contains("another issuer"));
}

#[tokio::test]
async fn threat_22_a_token_for_both_doors_opens_neither() {
    let world = World::new().await;
    let url = world.issuer.url().to_owned();
    let at = |other_door| {
        let options = Options {
            other_door,
            ..options()
        };
        Identifier::new(&configuration(&world.issuer), options).unwrap()
    };
    let headers = authorization(&world.mint(json!({"aud": ["gate", "console"]})));
    let gate = at(vec![(url.clone(), "console".to_owned())]);
    let both = gate.identify(&headers, Timestamp::now()).await;
    assert!(outside(both).contains("both doors"));
    // The same word of another issuer, and another word of this one, open no other door.
    let other = "https://other.test".to_owned();
    let gate = at(vec![(other, "console".to_owned()), (url, "x".to_owned())]);
    assert!(gate.identify(&headers, Timestamp::now()).await.is_ok());
}

#[tokio::test]
async fn threat_22_an_agents_token_is_worth_nothing_at_the_humans_door() {
    let agents = World::new().await;
    let mut config = configuration(&agents.issuer);
    config.jwt[0].issuer.audiences = vec!["console".to_owned()];
    let people = Identifier::new(&config, options()).unwrap();
    let person = async |changes: Value| {
        people
            .identify_person(&authorization(&agents.mint(changes)), Timestamp::now())
            .await
    };
    let ann = person(json!({"sub": "ann", "aud": "console", "groups": ["ops"]}))
        .await
        .unwrap();
    assert_eq!(
        (ann.name(), ann.groups(), ann.aliases()),
        ("ann", &["ops".to_owned()][..], &["ann".to_owned()][..])
    );
    assert!(outside(person(json!({"sub": "bot"})).await).contains("another audience"));
    let delegated = json!({"sub": "ann", "aud": "console", "act": {"sub": "bot"}});
    assert!(outside(person(delegated).await).contains("delegated"));
    assert!(
        outside(
            agents
                .ask_claims(json!({"sub": "ann", "aud": "console"}))
                .await
        )
        .contains("another audience")
    );
}

#[tokio::test]
async fn a_verified_token_is_remembered_until_it_expires() {
    let world = World::new().await;
    let token = world.mint(json!({}));
    let first = world.ask(&token).await.unwrap();
    let second = world.ask(&token).await.unwrap();
    assert!(
        Arc::ptr_eq(&first, &second),
        "the second answer comes from memory"
    );
    assert!(
        world.ask_at(&token, in_seconds(305)).await.is_ok(),
        "within the leeway"
    );
    assert_eq!(
        outside(world.ask_at(&token, in_seconds(311)).await),
        "the token has expired; get a new one"
    );
    assert_eq!(
        outside(world.ask_at(&token, in_seconds(-60)).await),
        "the token is not valid yet; check the clocks"
    );
}

#[tokio::test]
async fn threat_27_a_rotated_key_ends_the_tokens_that_it_signed() {
    let world = World::new().await;
    let old = world.mint(json!({"exp": in_seconds(7200).as_second()}));
    let held = world.ask(&old).await.unwrap();
    world.issuer.rotate_keys().unwrap();
    // A new key is found at once, and with it the cached token falls.
    let new = world.mint(json!({"exp": in_seconds(7200).as_second()}));
    let later = in_seconds(11);
    world.ask_at(&new, later).await.unwrap();
    assert!(outside(world.ask_at(&old, later).await).contains("does not publish"));

    // With nobody presenting the new key, the hour finds it.
    let world = World::new().await;
    let old = world.mint(json!({"exp": in_seconds(7200).as_second()}));
    world.ask(&old).await.unwrap();
    world.issuer.rotate_keys().unwrap();
    assert!(world.ask_at(&old, in_seconds(3590)).await.is_ok());
    assert!(
        world.ask_at(&old, in_seconds(3610)).await.is_ok(),
        "served while keys are fetched behind"
    );
    let refused = async {
        while world.ask_at(&old, in_seconds(3610)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .expect("the fetch behind ends the token");
    assert_eq!(held.agent(), "bot");
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_is_reported_and_recovers() {
    let world = World::new().await;
    world.issuer.set_fault(Some(Fault::Unavailable));
    assert!(
        world.gate.ready()[0]
            .1
            .as_deref()
            .unwrap()
            .contains("not been fetched yet")
    );
    let (url, result) = world.gate.warm().await.remove(0);
    assert_eq!(url, world.issuer.url());
    assert!(result.unwrap_err().contains("503"));
    assert!(world.gate.ready()[0].1.as_deref().unwrap().contains("503"));
    let token = world.mint(json!({}));
    let refusal = world.ask(&token).await.unwrap_err();
    assert!(matches!(refusal, Refusal::IssuerUnavailable { inside } if inside.contains("503")));

    world.issuer.set_fault(None);
    world.ask_at(&token, in_seconds(2)).await.unwrap();
    assert_eq!(world.gate.ready()[0].1, None);
    assert_eq!(world.gate.warm().await[0].1, Ok(()));
}

#[tokio::test]
async fn nothing_is_believed_of_an_issuer_that_misbehaves() {
    for (fault, sentence) in [
        (Fault::Redirect, "307"),
        (Fault::TooLong, "longer than"),
        (Fault::WrongIssuer, "names the issuer"),
        (Fault::PlainKeys, "scheme is not allowed"),
        (Fault::Hang, "GET"),
    ] {
        let world = World::new().await;
        world.issuer.set_fault(Some(fault));
        let asked = tokio::time::timeout(Duration::from_secs(8), world.ask_claims(json!({}))).await;
        let refusal = asked.expect("an answer in time").unwrap_err();
        assert!(
            matches!(&refusal, Refusal::IssuerUnavailable { inside } if inside.contains(sentence)),
            "{refusal:?}"
        );
    }
    // A certificate of another authority.
    let other = DevIssuer::start(dev::Options::default()).await.unwrap();
    let world = World::with(|jwt| {
        jwt.issuer.certificate_authority = Some(other.ca_pem().to_owned());
    })
    .await;
    let refusal = world.ask_claims(json!({})).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::IssuerUnavailable { inside } if inside.contains("certificate")),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn old_keys_serve_for_a_day_while_the_issuer_is_gone() {
    let world = World::new().await;
    let token = world.mint(json!({"exp": in_seconds(200_000).as_second()}));
    world.ask(&token).await.unwrap();
    let fresh = world.mint(json!({"sub": "other", "exp": in_seconds(200_000).as_second()}));
    world.issuer.stop();
    for hours in [1, 12, 23] {
        world
            .ask_at(&token, in_seconds(hours * 3600 + 60))
            .await
            .unwrap();
        world
            .ask_at(&fresh, in_seconds(hours * 3600 + 60))
            .await
            .unwrap();
    }
    for token in [&token, &fresh] {
        let refusal = world
            .ask_at(token, in_seconds(24 * 3600 + 60))
            .await
            .unwrap_err();
        assert!(
            matches!(refusal, Refusal::IssuerUnavailable { .. }),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn threat_24_random_key_ids_do_not_flood_the_issuer() {
    let world = World::new().await;
    world.ask_claims(json!({})).await.unwrap();
    let before = world.issuer.requests();
    let now = in_seconds(11);
    let flood = |now: Timestamp| {
        let world = &world;
        futures_util::future::join_all((0..50).map(move |_| async move {
            let stranger = Signer::generate("ES256").unwrap();
            world
                .ask_at(&stranger.sign(&world.claims(json!({}))).unwrap(), now)
                .await
        }))
    };
    for result in flood(now).await {
        assert!(outside(result).contains("does not publish"));
    }
    assert_eq!(
        world.issuer.requests() - before,
        2,
        "one fetch: discovery and keys"
    );
    flood(now + SignedDuration::from_secs(9)).await;
    assert_eq!(
        world.issuer.requests() - before,
        2,
        "none within ten seconds"
    );
    flood(now + SignedDuration::from_secs(10)).await;
    assert_eq!(world.issuer.requests() - before, 4);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_end_the_fetch_for_others() {
    let world = World::new().await;
    let token = world.mint(json!({}));
    let now = Timestamp::now();
    let headers = authorization(&token);
    let first = world.gate.identify(&headers, now);
    assert!(tokio::time::timeout(Duration::ZERO, first).await.is_err());
    world.ask_at(&token, now).await.unwrap();
    assert_eq!(
        world.issuer.requests(),
        2,
        "the second waited for the first one's fetch"
    );
}

#[tokio::test]
async fn threat_20_no_refusal_and_no_debug_text_holds_the_token() {
    let world = World::new().await;
    let good = world.mint(json!({}));
    let token = bearer(&authorization(&good))
        .map(|t| format!("{t:?}"))
        .unwrap();
    assert_eq!(token, "Token([REDACTED])");
    let bad = [
        world.mint(json!({"aud": "x"})),
        world.mint(json!({"exp": 1})),
        Signer::generate("ES256")
            .unwrap()
            .sign(&world.claims(json!({})))
            .unwrap(),
        "opaque-and-secret-token".to_owned(),
        "opaque.s3cr3t.t0k3n-t0k3n".to_owned(),
    ];
    for token in bad {
        let refusal = format!("{:?}", world.ask(&token).await.unwrap_err());
        for part in token.split('.').filter(|p| p.len() > 4) {
            assert!(!refusal.contains(part), "{refusal}");
        }
    }
    let caller = format!("{:?}", world.ask(&good).await.unwrap());
    assert!(!caller.contains(good.rsplit_once('.').unwrap().1));
}

#[test]
fn configuration_errors_stop_the_identifier() {
    let error = Identifier::new(&AuthenticationConfiguration::default(), options())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .starts_with("jwt: name at least one issuer")
    );
}
