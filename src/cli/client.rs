//! The client of the humans' door that the commands share.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Where the gate is, and who asks.
#[derive(Debug, Args)]
pub struct Humans {
    /// The humans' door, for example `https://gate.example.com:8444`
    #[arg(long, env = "GATEWARD_URL", value_name = "URL")]
    url: reqwest::Url,
    /// The certificate authority of the humans' door (PEM); the system's own if left out
    #[arg(long, env = "GATEWARD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A file that holds your OIDC token (for the humans' door's audience)
    #[arg(long, env = "GATEWARD_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
}

/// Where the gate is, and who asks, for commands that can do without.
#[derive(Debug, Args)]
pub struct HumansIfGiven {
    /// The humans' door, for example `https://gate.example.com:8444`
    #[arg(long, env = "GATEWARD_URL", value_name = "URL")]
    url: Option<reqwest::Url>,
    /// The certificate authority of the humans' door (PEM); the system's own if left out
    #[arg(long, env = "GATEWARD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A file that holds your OIDC token (for the humans' door's audience)
    #[arg(long, env = "GATEWARD_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl HumansIfGiven {
    /// The door, if all that it takes was given.
    pub fn door(&self) -> Option<Humans> {
        Some(Humans {
            url: self.url.clone()?,
            ca: self.ca.clone(),
            token_file: self.token_file.clone()?,
        })
    }
}

impl Humans {
    /// Asks for a document.
    ///
    /// # Errors
    /// What the gate answered, or why it could not be reached.
    pub async fn get(&self, path: &str, query: &[(&str, Option<String>)]) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, query, None).await
    }

    /// Sends a document and returns the answer.
    ///
    /// # Errors
    /// What the gate answered, or why it could not be reached.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, &[], Some(body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, Option<String>)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut url = self
            .url
            .join(path)
            .with_context(|| format!("{path:?} under {}", self.url))?;
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let token = std::fs::read_to_string(&self.token_file)
            .with_context(|| format!("cannot read the token file {}", self.token_file.display()))?;
        let mut request = client(self.ca.as_deref())?
            .request(method, url)
            .bearer_auth(token.trim());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("the humans' door at {} cannot be reached", self.url))?;
        let status = response.status();
        let text = response.text().await.context("the answer broke off")?;
        if status.is_success() {
            return serde_json::from_str(&text).context("the answer is not JSON: is this a gate?");
        }
        bail!("{}", refusal(status, &text))
    }
}

/// An HTTPS client that trusts `ca` alone, or the system's authorities without one.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub fn client(ca: Option<&std::path::Path>) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(30));
    if let Some(file) = ca {
        let pem = std::fs::read(file)
            .with_context(|| format!("cannot read the certificate authority {}", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("{} holds no PEM certificate", file.display()))?;
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().context("cannot set up TLS")
}

fn refusal(status: StatusCode, text: &str) -> String {
    serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|document| {
            document
                .get("message")
                .and_then(Value::as_str)
                .map(crate::output::plain)
        })
        .unwrap_or_else(|| format!("the gate answered {status}"))
}
