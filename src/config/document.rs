//! The `GatewardConfiguration` document as its author writes it. Part of `config`; what a
//! field means, its unit and its default stand here, and from here go into the JSON Schema.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::SOCKET_ADDRESS;
use crate::decide::Period;
use crate::decide::policy::ApiVersion;
use crate::identify::AuthenticationConfiguration;

/// The configuration of `gateward serve`. Relative paths start at the directory of the
/// file in which they stand.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewardConfiguration {
    /// The version of this document's format.
    pub api_version: ApiVersion,
    /// The kind of this document.
    pub kind: ConfigurationKind,
    /// The settings.
    pub spec: Spec,
}

/// The kind of a configuration document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConfigurationKind {
    /// The configuration.
    GatewardConfiguration,
}

/// All settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The clusters behind the gate; at least one.
    pub clusters: Vec<ClusterSpec>,
    /// Where the gate listens.
    pub doors: Doors,
    /// Whose tokens open the doors.
    pub identity: IdentitySpec,
    /// Which rules decide.
    #[serde(default)]
    pub policies: PolicySources,
    /// Where custom resources hold pods, for the facts that rules see. Pods that look like
    /// pods (an object with a list of `containers`) are found by themselves. Default: none.
    #[serde(default)]
    pub embedded_pods: Vec<EmbeddedPod>,
    /// How requests wait for a human.
    #[serde(default)]
    pub holds: HoldSettings,
    /// How much is certain before a request goes on.
    #[serde(default)]
    pub record: RecordSettings,
    /// What a stranger can make the gate spend.
    #[serde(default)]
    pub limits: Limits,
    /// Where the ledger, the holds and the gate's own keys are kept; created if absent.
    pub data_directory: PathBuf,
}

/// One cluster: exactly one of `kubeconfig` and `inCluster`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// The name in the path, `/clusters/<name>`, in policies and in records: lower-case
    /// letters, digits and `-`, at most 63.
    pub name: String,
    /// Reach it as this kubeconfig says.
    #[serde(default)]
    pub kubeconfig: Option<Kubeconfig>,
    /// Reach it as the pod in which the gate runs: `inCluster: {}`.
    #[serde(default)]
    pub in_cluster: Option<InCluster>,
}

/// Where a cluster's address and the gate's credential stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubeconfig {
    /// The kubeconfig file.
    pub file: PathBuf,
    /// The context in it. Default: its current context.
    #[serde(default)]
    pub context: Option<String>,
}

/// The service account of the gate's own pod.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InCluster {}

/// Where the gate listens.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Doors {
    /// For agents: `/clusters/<name>/…` and nothing else.
    pub agents: AgentsDoor,
    /// For people: approvals, sessions, search.
    pub humans: HumansDoor,
    /// For operators: health and metrics, without TLS.
    #[serde(default)]
    pub operators: OperatorsDoor,
}

/// The agents' door.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentsDoor {
    /// Address and port. Default: `0.0.0.0:8443`.
    #[serde(default = "agents_listen")]
    #[schemars(with = "String", extend("format" = SOCKET_ADDRESS))]
    pub listen: SocketAddr,
    /// The door's certificate.
    pub tls: Tls,
}

/// The humans' door.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HumansDoor {
    /// Address and port. Default: `0.0.0.0:8444`.
    #[serde(default = "humans_listen")]
    #[schemars(with = "String", extend("format" = SOCKET_ADDRESS))]
    pub listen: SocketAddr,
    /// The door's certificate.
    pub tls: Tls,
}

/// The operators' door.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OperatorsDoor {
    /// Address and port. Default: `127.0.0.1:8445`.
    #[schemars(with = "String", extend("format" = SOCKET_ADDRESS))]
    pub listen: SocketAddr,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the door's own certificate first.
    pub certificate_file: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key_file: PathBuf,
}

/// Whose tokens open the doors. A token for one door must be worth nothing at the other.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentitySpec {
    /// Identity providers of agents.
    pub agents: AgentIdentitySpec,
    /// Identity providers of people.
    pub humans: HumanIdentitySpec,
}

/// Identity providers of agents: exactly one of `authentication` and `authenticationFile`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentIdentitySpec {
    /// Kubernetes' `AuthenticationConfiguration`, as it stands.
    #[serde(default)]
    pub authentication: Option<AuthenticationConfiguration>,
    /// A file with Kubernetes' `AuthenticationConfiguration`.
    #[serde(default)]
    pub authentication_file: Option<PathBuf>,
    /// User and group names beginning with `system:` that a token may carry: exact, or
    /// with one `*` at the end (`system:serviceaccount:agents:*`); never `system:masters`.
    /// Default: none.
    #[serde(default)]
    pub allowed_system_names: Vec<String>,
}

/// Identity providers of people: exactly one of `authentication` and `authenticationFile`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HumanIdentitySpec {
    /// Kubernetes' `AuthenticationConfiguration`, as it stands.
    #[serde(default)]
    pub authentication: Option<AuthenticationConfiguration>,
    /// A file with Kubernetes' `AuthenticationConfiguration`.
    #[serde(default)]
    pub authentication_file: Option<PathBuf>,
    /// User and group names beginning with `system:` that a token may carry: exact, or
    /// with one `*` at the end (`system:serviceaccount:agents:*`); never `system:masters`.
    /// Default: none.
    #[serde(default)]
    pub allowed_system_names: Vec<String>,
    /// Groups whose members may answer holds, where a rule does not name its own.
    pub approver_groups: Vec<String>,
    /// Groups whose members may see sessions and search the ledger. Default: none.
    #[serde(default)]
    pub auditor_groups: Vec<String>,
}

/// Which rules decide.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicySources {
    /// Files of `Policy` documents, and directories of which every `*.yaml` and `*.yml` is
    /// read. Default: none.
    pub files: Vec<PathBuf>,
    /// Whether the guardrails that come with Gateward apply too. Default: true.
    pub default_pack: bool,
}

/// Where a kind of custom resource holds pods or containers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbeddedPod {
    /// The API group: `tekton.dev`.
    pub api_group: String,
    /// The resource, in the plural: `tasks`.
    pub resource: String,
    /// The path of a pod template, of a pod's spec, or of a container: `spec.steps[*]`.
    /// `[*]` stands for every item of a list, or every value of an object.
    pub path: String,
}

/// How requests wait for a human.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HoldSettings {
    /// How long a held request keeps its connection open before it is told to come again;
    /// below the time that clients wait, at most 5m. Default: 20s.
    pub short_wait: Period,
    /// After what time it is told to come again, from 1s to 5m. Default: 15s.
    pub retry_after: Period,
    /// How many holds of one agent may wait at the same time. Default: 20.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_per_agent: u32,
}

/// How much is certain before a request goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordSettings {
    /// What is required of a pure read. Whatever can change or run something is always
    /// durable before it goes to the cluster. Default: `durable-before-answer`.
    pub reads: ReadDurability,
}

/// When the intent of a pure read is durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadDurability {
    /// Before the first byte of the answer is released: nothing is disclosed unrecorded.
    #[default]
    DurableBeforeAnswer,
    /// Before the request goes to the cluster.
    DurableBeforeForward,
}

/// What a stranger can make the gate spend.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at the same time, at each door. Default: 4096.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u32,
    /// Requests at the same time on one HTTP/2 connection. Default: 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_streams_per_connection: u32,
    /// Bytes of one request's line and headers. Default: 65536 (64 KiB).
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub max_header_bytes: u32,
    /// Bytes of one request's body, at most what the API server itself takes. Default: 3145728
    /// (3 MiB).
    #[schemars(range(min = 1024, max = 3_145_728))]
    pub max_body_bytes: u32,
    /// Time for a TLS handshake. Default: 10s.
    pub handshake_timeout: Period,
    /// Time for a request's body. Default: 60s.
    pub body_timeout: Period,
    /// Time in which a request's line and headers must arrive whole on a connection that
    /// carries no request: ends slow heads, and idle connections at the latest after twice
    /// this time. Default: 60s.
    pub idle_timeout: Period,
    /// Time to reach a cluster. Default: 10s.
    pub upstream_connect_timeout: Period,
    /// Time until a cluster begins to answer; it gives up on its own after 60s. Default:
    /// 75s.
    pub upstream_response_timeout: Period,
    /// Time that running requests get to end when the gate stops; a few seconds below the
    /// time after which it would be killed, which is 30s in Kubernetes. Default: 25s.
    pub shutdown_grace: Period,
}

fn agents_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 8443).into()
}

fn humans_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 8444).into()
}

impl Default for OperatorsDoor {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8445).into(),
        }
    }
}

impl Default for PolicySources {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            default_pack: true,
        }
    }
}

impl Default for HoldSettings {
    fn default() -> Self {
        Self {
            short_wait: Period::from_secs(20),
            retry_after: Period::from_secs(15),
            max_per_agent: 20,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_streams_per_connection: 100,
            max_header_bytes: 64 << 10,
            max_body_bytes: 3 << 20,
            handshake_timeout: Period::from_secs(10),
            body_timeout: Period::from_secs(60),
            idle_timeout: Period::from_secs(60),
            upstream_connect_timeout: Period::from_secs(10),
            upstream_response_timeout: Period::from_secs(75),
            shutdown_grace: Period::from_secs(25),
        }
    }
}
