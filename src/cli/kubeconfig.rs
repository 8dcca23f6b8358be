//! `gateward kubeconfig`: a kubeconfig whose server is the gate and whose user is the
//! credential plugin. It holds no token.

use std::path::PathBuf;

use anyhow::Context;
use base64::Engine;
use clap::Args;
use serde_json::json;

use super::credential::Source;
use crate::output::line;

/// Arguments of `kubeconfig`.
#[derive(Debug, Args)]
pub struct Kubeconfig {
    /// The agents' door, for example `https://gate.example.com:8443`
    #[arg(long, value_name = "URL")]
    gate: reqwest::Url,
    /// The certificate authority of the agents' door (PEM)
    #[arg(long, value_name = "FILE")]
    gate_ca: Option<PathBuf>,
    /// The cluster's name at the gate
    #[arg(long)]
    cluster: String,
    /// The default namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
    #[command(flatten)]
    source: Source,
}

impl Kubeconfig {
    /// Prints the kubeconfig as YAML.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn run(self) -> anyhow::Result<()> {
        let command = std::env::current_exe().context("cannot find this program's own path")?;
        let mut cluster = json!({
            "server": format!("{}/clusters/{}", self.gate.as_str().trim_end_matches('/'), self.cluster),
        });
        if let (Some(file), Some(fields)) = (&self.gate_ca, cluster.as_object_mut()) {
            let pem = std::fs::read(file).with_context(|| {
                format!("cannot read the certificate authority {}", file.display())
            })?;
            let encoded = base64::engine::general_purpose::STANDARD.encode(pem);
            fields.insert("certificate-authority-data".to_owned(), json!(encoded));
        }
        let mut arguments = vec!["credential".to_owned()];
        arguments.extend(self.source.arguments()?);
        let document = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.cluster, "cluster": cluster}],
            "users": [{"name": "agent", "user": {"exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "interactiveMode": "Never",
                "command": command,
                "args": arguments,
            }}}],
            "contexts": [{"name": self.cluster, "context": {
                "cluster": self.cluster, "user": "agent", "namespace": self.namespace,
            }}],
            "current-context": self.cluster,
        });
        line(serde_saphyr::to_string(&document)?.trim_end());
        Ok(())
    }
}
