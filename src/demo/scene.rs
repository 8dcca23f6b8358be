//! Everything around a gate, real and local: control plane, identity provider, certificates,
//! configuration. The demo plays on it, and the tests do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::issuer::{Client, DevIssuer, Options as IssuerOptions};
use super::kubernetes::Report;
use super::kubernetes::pki::{Authority, server_certificate, write_private};
use super::kubernetes::programs::Programs;
use super::kubernetes::{ControlPlane, Options as ControlOptions};
use crate::app;
use crate::config;

/// The cluster's name at the gate.
pub const CLUSTER: &str = "local";
/// The agent of the story.
pub const AGENT: &str = "triage-bot";
/// The person for whom the agent acts.
pub const PRINCIPAL: &str = "alice@example.com";
/// The person who approves and audits.
pub const APPROVER: &str = "bob@example.com";
/// What agents' tokens are for.
pub const AGENTS_AUDIENCE: &str = "gateward-agents";
/// What people's tokens are for.
pub const HUMANS_AUDIENCE: &str = "gateward-humans";

/// How long the agent's token lives.
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// A local cluster and identity provider, and files for whoever wants to reach them.
pub struct Scene {
    /// The control plane.
    pub control: ControlPlane,
    /// The identity provider.
    pub issuer: DevIssuer,
    dir: PathBuf,
}

impl Scene {
    /// Starts the control plane and the identity provider in `dir`, lets the gate's identity
    /// impersonate, and gives the agent all rights in the cluster, as unattended agents
    /// have them: what keeps it in bounds is the gate.
    ///
    /// # Errors
    /// What could not be started, with the end of its log.
    pub async fn start(
        programs: &Programs,
        dir: &Path,
        options: ControlOptions,
        report: Report<'_>,
    ) -> anyhow::Result<Self> {
        let cluster = dir.join("cluster");
        std::fs::create_dir(&cluster).context("cannot make the cluster's directory")?;
        let mut control =
            ControlPlane::start(programs, &cluster, ControlOptions::default(), report)?;
        if options.sweep {
            // The whole scene: secrets and ledgers lie beside the cluster.
            control.sweep(dir)?;
        }
        control.apply_gate_rbac()?;
        control.apply(AGENT_RBAC)?;
        let issuer = DevIssuer::start(IssuerOptions {
            clients: clients(),
            ..IssuerOptions::default()
        })
        .await?;
        let scene = Self {
            control,
            issuer,
            dir: dir.to_owned(),
        };
        scene.write_files()?;
        Ok(scene)
    }

    fn write_files(&self) -> anyhow::Result<()> {
        let ca = Authority::new("gate")?;
        let identity = server_certificate(&ca, &["localhost", "127.0.0.1"])?;
        write_private(&self.dir.join("gate-ca.pem"), &ca.pem())?;
        write_private(&self.dir.join("gate.pem"), &identity.certificate)?;
        write_private(&self.dir.join("gate.key"), &identity.key)?;
        write_private(&self.dir.join("issuer-ca.pem"), self.issuer.ca_pem())?;
        for client in clients() {
            write_private(
                &self.dir.join(format!("{}.secret", client.id)),
                &client.secret,
            )?;
        }
        Ok(())
    }

    /// A file of the scene.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A configuration for a gate in front of the cluster, its data in `data`, at ports that the
    /// kernel chooses. JSON is YAML; a caller may change what it likes before writing it.
    #[must_use]
    pub fn configuration(&self, data: &Path) -> Value {
        let tls =
            json!({"certificateFile": self.file("gate.pem"), "keyFile": self.file("gate.key")});
        json!({
            "apiVersion": "gateward.dev/v1alpha1",
            "kind": "GatewardConfiguration",
            "spec": {
                "clusters": [{"name": CLUSTER, "kubeconfig": {"file": self.control.gate_kubeconfig()}}],
                "doors": {
                    "agents": {"listen": "127.0.0.1:0", "tls": tls},
                    "humans": {"listen": "127.0.0.1:0", "tls": tls},
                    "operators": {"listen": "127.0.0.1:0"},
                },
                "identity": {
                    "agents": {"authentication": self.authentication(AGENTS_AUDIENCE)},
                    "humans": {
                        "authentication": self.authentication(HUMANS_AUDIENCE),
                        "approverGroups": ["approvers"],
                        "auditorGroups": ["auditors"],
                    },
                },
                "holds": {"shortWait": "2s", "retryAfter": "1s"},
                "dataDirectory": data,
            },
        })
    }

    /// Kubernetes' own structured authentication configuration for the scene's issuer.
    #[must_use]
    pub fn authentication(&self, audience: &str) -> Value {
        json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [{
                "issuer": {
                    "url": self.issuer.url(),
                    "audiences": [audience],
                    "certificateAuthority": self.issuer.ca_pem(),
                },
                "claimMappings": {
                    "username": {"claim": "sub", "prefix": ""},
                    "groups": {"claim": "groups", "prefix": ""},
                },
            }],
        })
    }

    /// Arguments that make `gateward credential` and `gateward kubeconfig` get tokens as
    /// `client`.
    #[must_use]
    pub fn credential_arguments(&self, client: &str) -> Vec<String> {
        vec![
            format!("--issuer={}", self.issuer.url()),
            format!("--issuer-ca={}", self.file("issuer-ca.pem").display()),
            format!("--client-id={client}"),
            format!(
                "--client-secret-file={}",
                self.file(&format!("{client}.secret")).display()
            ),
        ]
    }
}

/// A gate that runs in this process.
pub struct RunningGate {
    /// The agents' door.
    pub agents: SocketAddr,
    /// The humans' door.
    pub humans: SocketAddr,
    /// Health and metrics.
    pub operators: SocketAddr,
    told: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningGate {
    /// Reads the configuration file, as `gateward serve` does, and serves it.
    ///
    /// # Errors
    /// Every problem of the configuration, or why the gate does not start.
    pub async fn start(configuration: &Path) -> anyhow::Result<Self> {
        let config = config::load(configuration).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", lines.join("\n"))
        })?;
        let bound = app::build(config).await?;
        let (agents, humans, operators) = (bound.agents(), bound.humans(), bound.operators()?);
        bound.readiness().await;
        let (told, stop) = watch::channel(false);
        let task = tokio::spawn(bound.run(stop));
        Ok(Self {
            agents,
            humans,
            operators,
            told,
            task,
        })
    }

    /// Lets running requests end, seals the ledger, and returns when all is closed.
    pub async fn stop(self) {
        let _ = self.told.send(true);
        let _ = self.task.await;
    }
}

fn clients() -> Vec<Client> {
    let client =
        |id: &str, subject: &str, audience: &str, groups: &[&str], act: Option<&str>| Client {
            id: id.to_owned(),
            secret: uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, id.as_bytes()).to_string(),
            subject: subject.to_owned(),
            audience: audience.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            act: act.map(str::to_owned),
            email: None,
            ttl: FIVE_MINUTES,
        };
    vec![
        client(
            "triage-bot",
            PRINCIPAL,
            AGENTS_AUDIENCE,
            &["agents"],
            Some(AGENT),
        ),
        client("alice", PRINCIPAL, HUMANS_AUDIENCE, &["approvers"], None),
        client(
            "bob",
            APPROVER,
            HUMANS_AUDIENCE,
            &["approvers", "auditors"],
            None,
        ),
    ]
}

const AGENT_RBAC: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: triage-bot}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: triage-bot}]
";
