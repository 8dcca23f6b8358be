//! An issuer's public keys (RFC 7517), and the one place where a signature is verified.
//!
//! The algorithm comes from the token's header, so it is believed only where the key
//! agrees: key type, curve, and the key's own `alg` and `use` must all fit. `none` and
//! the HMAC family do not exist here; neither do symmetric keys.
//!
//! Signatures are verified with aws-lc-rs itself: `jsonwebtoken` has no ES512, and its
//! `decode` reads the system's clock, while the gate judges every token at a given `now`.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::token::{Jws, quoted, refused};
use crate::refusal::Refusal;

/// More keys than any issuer needs; the rest of a longer set is ignored.
const MOST_KEYS: usize = 64;

/// The usable keys of one issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeySet(Vec<PublicKey>);

/// A public key for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PublicKey {
    kid: Option<String>,
    alg: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

/// How a signature algorithm is verified, and with what kind of key.
enum Algorithm {
    Rsa(&'static RsaParameters),
    Ec(Curve, &'static dyn VerificationAlgorithm),
    Ed25519,
}

impl KeySet {
    /// Reads a JWK set, leaving out keys that are not for verifying signatures or that
    /// cannot be read, as RFC 7517 §5 asks.
    ///
    /// # Errors
    /// If it is not a JWK set, or no key remains.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document =
            serde_json::from_slice(json).map_err(|e| format!("the JWKS cannot be read: {e}"))?;
        let keys: Vec<PublicKey> = document
            .keys
            .into_iter()
            .filter_map(|key| {
                serde_json::from_value::<Jwk>(key)
                    .ok()
                    .and_then(Jwk::into_public_key)
            })
            .take(MOST_KEYS)
            .collect();
        if keys.is_empty() {
            return Err("the JWKS holds no key that can verify signatures".to_owned());
        }
        Ok(Self(keys))
    }

    /// Verifies a token's signature with the key that it names, or, if it names none, with
    /// any that fits.
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<(), Refusal> {
        let alg = jws.header.alg.as_str();
        let algorithm = Algorithm::named(alg)?;
        let named = |key: &&PublicKey| jws.header.kid.is_none() || key.kid == jws.header.kid;
        let mut any_named = false;
        let mut any_fits = false;
        for key in self.0.iter().filter(named) {
            any_named = true;
            if !key.allows(alg) || !algorithm.fits(&key.material) {
                continue;
            }
            any_fits = true;
            if algorithm.verify(&key.material, jws.signed, &jws.signature) {
                return Ok(());
            }
        }
        let kid = quoted(jws.header.kid.as_deref().unwrap_or_default());
        Err(match (any_named, any_fits) {
            (false, _) => refused(
                "the token is signed with a key that its issuer does not publish; get a new one",
                format!("the issuer has no key {kid}"),
            ),
            (true, false) => refused(
                "the token's signature algorithm does not fit the issuer's key",
                format!("the key {kid} is not for {}", quoted(alg)),
            ),
            (true, true) => refused(
                "the token's signature is not valid",
                format!("no signature of the key {kid}"),
            ),
        })
    }
}

impl PublicKey {
    /// RFC 8037 calls it `EdDSA`, RFC 9864 `Ed25519`.
    fn allows(&self, alg: &str) -> bool {
        let plain = |alg: &str| {
            if alg == "Ed25519" {
                "EdDSA".to_owned()
            } else {
                alg.to_owned()
            }
        };
        self.alg
            .as_deref()
            .is_none_or(|own| plain(own) == plain(alg))
    }
}

impl Algorithm {
    /// The algorithm of that name (RFC 7518 §3.1, RFC 8037, RFC 9864), if it is accepted.
    fn named(alg: &str) -> Result<Self, Refusal> {
        Ok(match alg {
            "RS256" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Self::Rsa(&RSA_PSS_2048_8192_SHA256),
            "PS384" => Self::Rsa(&RSA_PSS_2048_8192_SHA384),
            "PS512" => Self::Rsa(&RSA_PSS_2048_8192_SHA512),
            "ES256" => Self::Ec(Curve::P256, &ECDSA_P256_SHA256_FIXED),
            "ES384" => Self::Ec(Curve::P384, &ECDSA_P384_SHA384_FIXED),
            "ES512" => Self::Ec(Curve::P521, &ECDSA_P521_SHA512_FIXED),
            "EdDSA" | "Ed25519" => Self::Ed25519,
            other => {
                return Err(refused(
                    "the token's signature algorithm is not accepted; use RS, PS, ES or EdDSA",
                    format!("the token's alg is {}", quoted(other)),
                ));
            }
        })
    }

    fn fits(&self, material: &Material) -> bool {
        match (self, material) {
            (Self::Rsa(_), Material::Rsa { .. }) | (Self::Ed25519, Material::Ed25519(_)) => true,
            (Self::Ec(wanted, _), Material::Ec { curve, .. }) => wanted == curve,
            _ => false,
        }
    }

    fn verify(&self, material: &Material, signed: &[u8], signature: &[u8]) -> bool {
        match (self, material) {
            (Self::Rsa(parameters), Material::Rsa { n, e }) => RsaPublicKeyComponents { n, e }
                .verify(parameters, signed, signature)
                .is_ok(),
            (Self::Ec(_, algorithm), Material::Ec { point, .. }) => {
                UnparsedPublicKey::new(*algorithm, point)
                    .verify(signed, signature)
                    .is_ok()
            }
            (Self::Ed25519, Material::Ed25519(x)) => UnparsedPublicKey::new(&ED25519, x)
                .verify(signed, signature)
                .is_ok(),
            _ => false,
        }
    }
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn into_public_key(self) -> Option<PublicKey> {
        let may_verify = self.usage.as_deref().is_none_or(|u| u == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !may_verify {
            return None;
        }
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                n: number(self.n?)?,
                e: number(self.e?)?,
            },
            ("EC", Some("P-256")) => point(Curve::P256, 32, self.x?, self.y?)?,
            ("EC", Some("P-384")) => point(Curve::P384, 48, self.x?, self.y?)?,
            ("EC", Some("P-521")) => point(Curve::P521, 66, self.x?, self.y?)?,
            ("OKP", Some("Ed25519")) => Material::Ed25519(octets(self.x?, 32)?),
            _ => return None,
        };
        Some(PublicKey {
            kid: self.kid,
            alg: self.alg,
            material,
        })
    }
}

/// An unsigned integer; some issuers send leading zeros, which aws-lc-rs refuses.
fn number(text: String) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let start = bytes.iter().position(|b| *b != 0)?;
    bytes.get(start..).map(<[u8]>::to_vec)
}

fn octets(text: String, length: usize) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .filter(|bytes| bytes.len() == length)
}

fn point(curve: Curve, length: usize, x: String, y: String) -> Option<Material> {
    let point = [vec![4], octets(x, length)?, octets(y, length)?].concat();
    Some(Material::Ec { curve, point })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::demo::issuer::Signer;

    fn usable(key: &Value) -> bool {
        KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).is_ok()
    }

    #[test]
    fn only_public_keys_for_signatures_are_taken() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let good =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "key_ops": ["verify"] });
        assert!(usable(&good));
        let cases = [
            ("use", json!("enc")),
            ("key_ops", json!(["sign"])),
            ("crv", json!("X25519")),
            ("kty", json!("oct")),
            ("x", json!("AAAA")),
            ("x", json!("not base64!")),
            ("x", json!(null)),
        ];
        for (field, value) in cases {
            let mut key = good.clone();
            key[field] = value;
            assert!(!usable(&key), "{key}");
        }
    }

    #[test]
    fn a_set_survives_keys_that_it_does_not_know() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let set = json!({ "keys": [
            { "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA" },
            { "kty": 7 },
            "nonsense",
            { "kty": "OKP", "crv": "Ed25519", "x": x }
        ] });
        assert_eq!(
            KeySet::parse(set.to_string().as_bytes()).unwrap().0.len(),
            1
        );
        for bad in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":{}}"#] {
            assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// RFC 8725 §3.1: each key is for one algorithm, even where its type would fit two.
    #[test]
    fn threat_04_a_keys_own_alg_binds() {
        let signer = Signer::generate("PS256").unwrap();
        let token = signer.sign(&json!({})).unwrap();
        let verify = |alg: Value| {
            let mut jwk = signer.jwk().clone();
            jwk["alg"] = alg;
            let set = json!({ "keys": [jwk] }).to_string();
            KeySet::parse(set.as_bytes())
                .unwrap()
                .verify(&Jws::parse(&token).unwrap())
        };
        assert_eq!(verify(json!("PS256")), Ok(()));
        assert_eq!(verify(json!(null)), Ok(()));
        for other in ["RS256", "PS384", "RSA-OAEP", ""] {
            let refusal = verify(json!(other));
            assert!(
                matches!(refusal, Err(Refusal::TokenRefused { outside, .. }) if outside.contains("does not fit")),
                "{other}"
            );
        }
    }

    #[test]
    fn leading_zeros_of_a_modulus_are_dropped() {
        assert_eq!(
            number(URL_SAFE_NO_PAD.encode([0, 0, 5, 0])),
            Some(vec![5, 0])
        );
        assert_eq!(number(URL_SAFE_NO_PAD.encode([0])), None);
    }
}
