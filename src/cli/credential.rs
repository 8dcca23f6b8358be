//! `gateward credential`: a client-go exec credential plugin that gets a short-lived token
//! from an OIDC provider by the client credentials grant (RFC 6749 §4.4).
//!
//! The token goes to standard output for kubectl, which keeps it in memory until it
//! expires; this program writes it nowhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::client::client;
use crate::output::line;

/// Arguments of `credential`.
#[derive(Debug, Args)]
pub struct Credential {
    #[command(flatten)]
    source: Source,
    /// What to print
    #[arg(long, default_value = "exec-credential", value_parser = ["exec-credential", "token"])]
    format: String,
}

/// Where a token comes from.
#[derive(Debug, Args)]
pub struct Source {
    /// The OIDC issuer's URL
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The certificate authority of the issuer (PEM); the system's own if left out
    #[arg(long, value_name = "FILE")]
    issuer_ca: Option<PathBuf>,
    /// The client's id at the issuer
    #[arg(long)]
    client_id: String,
    /// A file that holds the client's secret
    #[arg(long, value_name = "FILE")]
    client_secret_file: PathBuf,
    /// The audience to ask for, where the issuer takes one
    #[arg(long)]
    audience: Option<String>,
    /// Scopes to ask for, separated by spaces
    #[arg(long)]
    scope: Option<String>,
}

impl Credential {
    /// Prints an `ExecCredential` (or the bare token).
    ///
    /// # Errors
    /// What the issuer answered, or why it could not be reached.
    pub async fn run(self) -> anyhow::Result<()> {
        let (token, expires_in) = self.source.token().await?;
        if self.format == "token" {
            line(token);
            return Ok(());
        }
        let expires = jiff::Timestamp::now()
            .checked_add(jiff::SignedDuration::from_secs(expires_in))
            .context("the issuer's expires_in is out of range")?;
        line(json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": token, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()},
        }));
        Ok(())
    }
}

impl Source {
    /// These arguments again, with absolute paths, for a kubeconfig.
    ///
    /// # Errors
    /// When a path cannot be made absolute.
    pub fn arguments(&self) -> anyhow::Result<Vec<String>> {
        let path = |path: &Path| -> anyhow::Result<String> {
            Ok(std::path::absolute(path)?.to_string_lossy().into_owned())
        };
        let mut arguments = vec![format!("--issuer={}", self.issuer)];
        if let Some(file) = &self.issuer_ca {
            arguments.push(format!("--issuer-ca={}", path(file)?));
        }
        arguments.push(format!("--client-id={}", self.client_id));
        arguments.push(format!(
            "--client-secret-file={}",
            path(&self.client_secret_file)?
        ));
        if let Some(audience) = &self.audience {
            arguments.push(format!("--audience={audience}"));
        }
        if let Some(scope) = &self.scope {
            arguments.push(format!("--scope={scope}"));
        }
        Ok(arguments)
    }

    async fn token(&self) -> anyhow::Result<(String, i64)> {
        let client = client(self.issuer_ca.as_deref())?;
        let secret = std::fs::read_to_string(&self.client_secret_file).with_context(|| {
            format!(
                "cannot read the client secret {}",
                self.client_secret_file.display()
            )
        })?;
        let discovery = format!(
            "{}/.well-known/openid-configuration",
            self.issuer.trim_end_matches('/')
        );
        let document: Value = client
            .get(&discovery)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .with_context(|| format!("the issuer's discovery document at {discovery}"))?
            .json()
            .await
            .context("the issuer's discovery document is not JSON")?;
        let endpoint = document
            .get("token_endpoint")
            .and_then(Value::as_str)
            .context("the issuer's discovery document names no token_endpoint")?;
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(
            self.audience
                .as_deref()
                .map(|audience| ("audience", audience)),
        );
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let response = client
            .post(endpoint)
            .basic_auth(&self.client_id, Some(secret.trim()))
            .form(&form)
            .send()
            .await
            .with_context(|| format!("the issuer's token endpoint {endpoint}"))?;
        let status = response.status();
        let answer: Value = response
            .json()
            .await
            .context("the issuer's answer is not JSON")?;
        if !status.is_success() {
            let text = |name| answer.get(name).and_then(Value::as_str).unwrap_or_default();
            bail!(
                "the issuer refused client {:?}: {} {}",
                self.client_id,
                text("error"),
                text("error_description")
            );
        }
        let token = answer
            .get("access_token")
            .and_then(Value::as_str)
            .context("the issuer's answer holds no access_token")?;
        let expires_in = answer
            .get("expires_in")
            .and_then(Value::as_i64)
            .unwrap_or(60);
        Ok((token.to_owned(), expires_in))
    }
}
