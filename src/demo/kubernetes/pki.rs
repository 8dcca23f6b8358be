//! Keys, certificates and kubeconfigs of the local cluster: one CA signs them all.
//!
//! For demo and tests only: the CA's key lives as long as the cluster, and nothing is ever
//! revoked. Private keys reach the disk in files that only their owner can read.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority with its key.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key, both PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// Makes a CA with this common name: P-256, valid from yesterday for a year.
    ///
    /// # Errors
    /// The random generator fails.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut params = params(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// The CA's certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<Identity, Error> {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// A certificate that a TLS server can show for these DNS names and IP addresses.
///
/// # Errors
/// A name is not a valid DNS name.
pub fn server_certificate(ca: &Authority, names: &[&str]) -> Result<Identity, Error> {
    let name = names.first().copied().unwrap_or("server");
    ca.sign(params(name, names)?, ExtendedKeyUsagePurpose::ServerAuth)
}

/// A certificate that proves a Kubernetes user (common name) and groups (organizations).
///
/// # Errors
/// The random generator fails.
pub fn client_certificate(ca: &Authority, user: &str, groups: &[&str]) -> Result<Identity, Error> {
    let mut params = params(user, &[])?;
    for group in groups {
        params
            .distinguished_name
            .push(DnType::OrganizationName, *group);
    }
    ca.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
}

/// A key to sign service-account tokens with (ES256): private and public, PEM.
///
/// # Errors
/// The random generator fails.
pub fn token_key() -> Result<(String, String), Error> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// A kubeconfig with everything embedded: one cluster, one user, and a context with the
/// cluster's and the user's names.
#[must_use]
pub fn kubeconfig(server: &str, ca_pem: &str, user: &str, identity: &Identity) -> String {
    let ca = STANDARD.encode(ca_pem);
    let certificate = STANDARD.encode(&identity.certificate);
    let key = STANDARD.encode(&identity.key);
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {user}@local
  context:
    cluster: local
    user: {user}
current-context: {user}@local
"
    )
}

/// Writes a file that only its owner can read (mode 0600 from its first byte).
///
/// # Errors
/// The file cannot be written.
pub fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(content.as_bytes())
}

fn params(name: &str, names: &[&str]) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A day's grace for clocks that differ (a container's, a virtual machine's).
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 365 * DAY).into();
    Ok(params)
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
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::server::WebPkiClientVerifier;

    fn roots(ca: &Authority) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap())
            .unwrap();
        Arc::new(roots)
    }

    fn der(identity: &Identity) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()
    }

    #[test]
    fn a_server_is_believed_for_its_names_and_its_authority_only() {
        let (ca, other) = (
            Authority::new("one").unwrap(),
            Authority::new("two").unwrap(),
        );
        let server = der(&server_certificate(&ca, &["gate.test", "127.0.0.1"]).unwrap());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let believed = |ca: &Authority, name: &'static str| {
            WebPkiServerVerifier::builder_with_provider(roots(ca), provider.clone())
                .build()
                .unwrap()
                .verify_server_cert(
                    &server,
                    &[],
                    &ServerName::try_from(name).unwrap(),
                    &[],
                    UnixTime::now(),
                )
                .is_ok()
        };
        assert!(believed(&ca, "gate.test"));
        assert!(believed(&ca, "127.0.0.1"));
        assert!(!believed(&ca, "other.test"));
        assert!(!believed(&other, "gate.test"));
    }

    #[test]
    fn a_servers_certificate_is_no_clients() {
        let ca = Authority::new("one").unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots(&ca), provider)
            .build()
            .unwrap();
        let believed = |identity: &Identity| {
            verifier
                .verify_client_cert(&der(identity), &[], UnixTime::now())
                .is_ok()
        };
        assert!(believed(&client_certificate(&ca, "gateward", &[]).unwrap()));
        assert!(!believed(&server_certificate(&ca, &["gate.test"]).unwrap()));
    }

    #[test]
    fn private_files_are_private_even_when_they_were_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, "longer content").unwrap();
        write_private(&path, "short").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
