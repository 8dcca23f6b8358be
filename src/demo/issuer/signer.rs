//! Signing keys of the development issuer: JWS in compact serialisation (RFC 7515) for
//! every algorithm that the gate accepts.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::IssuerError;

/// A private key, its id, and the algorithm that it is for.
pub struct Signer {
    alg: String,
    kid: String,
    jwk: Value,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A new key for one of RS/PS/ES 256–512 or `EdDSA`, under an id of its own.
    ///
    /// # Errors
    /// If there is no such algorithm.
    pub fn generate(alg: &str) -> Result<Self, IssuerError> {
        Self::generate_as(alg, &uuid::Uuid::new_v4().to_string())
    }

    /// A new key under a given id.
    ///
    /// # Errors
    /// If there is no such algorithm.
    pub fn generate_as(alg: &str, kid: &str) -> Result<Self, IssuerError> {
        let (key, mut jwk) = match alg {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            "EdDSA" => ed25519(),
            _ => None,
        }
        .ok_or_else(|| IssuerError::Key(alg.to_owned()))?;
        if let Some(jwk) = jwk.as_object_mut() {
            jwk.extend([
                ("alg".to_owned(), json!(alg)),
                ("kid".to_owned(), json!(kid)),
                ("use".to_owned(), json!("sig")),
            ]);
        }
        Ok(Self {
            alg: alg.to_owned(),
            kid: kid.to_owned(),
            jwk,
            key,
        })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half (RFC 7517).
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Signs these claims.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn sign(&self, claims: &Value) -> Result<String, IssuerError> {
        self.sign_with_header(
            &json!({ "alg": self.alg, "kid": self.kid, "typ": "JWT" }),
            claims,
        )
    }

    /// Signs these claims under this header, whatever it says.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn sign_with_header(&self, header: &Value, claims: &Value) -> Result<String, IssuerError> {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Signs these texts, whatever they are.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn sign_text(&self, header: &str, claims: &str) -> Result<String, IssuerError> {
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self
            .signature(signed.as_bytes())
            .ok_or_else(|| IssuerError::Key(self.alg.clone()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Key::Ec(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Key::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
        }
    }
}

fn rsa(encoding: &'static dyn RsaEncoding) -> Option<(Key, Value)> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
    let jwk = json!({
        "kty": "RSA",
        "n": URL_SAFE_NO_PAD.encode(public.n),
        "e": URL_SAFE_NO_PAD.encode(public.e),
    });
    Some((Key::Rsa(key, encoding), jwk))
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> Option<(Key, Value)> {
    let key = EcdsaKeyPair::generate(algorithm).ok()?;
    // An uncompressed point: 4, x, y.
    let point = key.public_key().as_ref().get(1..)?;
    let (x, y) = point.split_at_checked(point.len() / 2)?;
    let jwk = json!({
        "kty": "EC",
        "crv": curve,
        "x": URL_SAFE_NO_PAD.encode(x),
        "y": URL_SAFE_NO_PAD.encode(y),
    });
    Some((Key::Ec(key), jwk))
}

fn ed25519() -> Option<(Key, Value)> {
    let key = Ed25519KeyPair::generate().ok()?;
    let jwk = json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": URL_SAFE_NO_PAD.encode(key.public_key().as_ref()),
    });
    Some((Key::Ed25519(key), jwk))
}
