//! The `Policy` document as its author writes it. Part of room ④; checks no more than its
//! shape: [`super::PolicySet::compile`] judges the contents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::masks::MaskSpec;
use super::period::Period;

/// Rules that allow, hold or deny what agents ask of the Kubernetes API.
///
/// What no rule allows is refused. Over all rules of all policies, deny beats hold beats
/// allow; neither the order of rules nor that of files means anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// The version of this document's format.
    pub api_version: ApiVersion,
    /// The kind of this document.
    pub kind: PolicyKind,
    /// The policy's name.
    pub metadata: Metadata,
    /// The rules.
    pub spec: PolicySpec,
}

/// The version of Gateward's document formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first version; it may still change.
    #[serde(rename = "gateward.dev/v1alpha1")]
    V1alpha1,
}

/// The kind of a policy document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyKind {
    /// A policy.
    Policy,
}

/// What identifies a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Unique among all policies: lower-case letters, digits, `-` and `.`, at most 63.
    pub name: String,
}

/// The contents of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// The rules, in any order.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
    /// What of the answers is hidden, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<MaskSpec>,
}

/// One rule. It names either API resources (`apiGroups` and `resources`) or other paths
/// (`nonResourceURLs`). A field that is left out does not narrow the rule, a list means any
/// of its entries, and every field given must match.
///
/// Where a request does not say exactly what it reaches (all namespaces, a whole
/// collection, a name that stands in the body), an allow rule must cover all that it may
/// reach, while a hold or deny rule matches as soon as it may reach anything that the rule
/// names. Patterns: `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleSpec {
    /// Unique within the policy: lower-case letters, digits, `-` and `.`, at most 63.
    pub name: String,
    /// What happens to a request that matches.
    pub effect: Effect,
    /// One sentence for the agent: why, and what to do instead. Required for hold and deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whom the rule is about. Default: everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
    /// Patterns of cluster names. Default: every cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Vec<String>>,
    /// RBAC's verbs; for `nonResourceURLs` the HTTP methods in lower case. Two requests ask
    /// for more than their verb says. A server-side apply may create: it needs `patch` and
    /// `create` to be allowed, and either stops it. What runs something in a pod (exec,
    /// attach, port-forward, proxy) is `create`, whichever method opened it.
    pub verbs: Vec<Verb>,
    /// Patterns of API groups; `""` is the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_groups: Option<Vec<String>>,
    /// Patterns of resources, in the plural and without a subresource: `pods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// Patterns of subresources; `""` is the object itself, `*` the object and everything
    /// under it. Default: in an allow rule the object itself, in a hold or deny rule the
    /// object and everything under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresources: Option<Vec<String>>,
    /// Patterns of namespaces. A request over all namespaces is never covered by an allow
    /// rule that names namespaces, and always by a hold or deny rule; what lies in no
    /// namespace (nodes, cluster roles) by neither. A Namespace object counts as lying in
    /// itself. Default: every namespace, and what lies in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// Patterns of object names. A request without a name in its path (lists, collections,
    /// creation) is never covered by an allow rule that names objects, and always by a hold
    /// or deny rule. Default: every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_names: Option<Vec<String>>,
    /// Paths outside of the API's resources, as in RBAC: exact, or with one `*` at the end.
    #[serde(
        rename = "nonResourceURLs",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub non_resource_urls: Option<Vec<String>>,
    /// What the request must mean: any of these. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Vec<Fact>>,
    /// What else must be true of the request: all of these, in CEL. Only a rule that
    /// matches in every other way asks them. A condition that cannot be evaluated, because
    /// a field is not there or it costs too much, refuses the request, whatever the effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_conditions: Vec<MatchCondition>,
    /// How a hold is answered. Only with `effect: hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldSpec>,
}

/// A condition, as in a ValidatingAdmissionPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchCondition {
    /// Unique within the rule: lower-case letters, digits, `-` and `.`, at most 63.
    pub name: String,
    /// CEL that is true or false, over `caller`, `ask`, `object`, `oldObject`, `facts`,
    /// `cluster` and `now`; at most 8 KiB.
    pub expression: String,
}

/// What happens to a request that a rule matches.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It is refused, whatever else matches.
    Deny,
    /// It waits for a human, unless it is denied.
    Hold,
    /// It goes through, unless it is held or denied.
    Allow,
}

/// Whom a rule is about. Within a list any entry may match; each list given must match, but
/// for `exceptGroups`, which must not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subjects {
    /// Patterns of agents' user names, as the cluster sees them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
    /// Patterns of the user names of those on whose behalf an agent acts. An agent that
    /// acts for nobody matches none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principals: Option<Vec<String>>,
    /// Patterns of groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Patterns of groups whose members the rule is not about, whatever else matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except_groups: Option<Vec<String>>,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Every verb.
    #[serde(rename = "*")]
    Any,
    /// Read one object; the HTTP method GET.
    Get,
    /// Read a collection.
    List,
    /// Follow an object or a collection.
    Watch,
    /// Create an object, or open a channel into one.
    Create,
    /// Replace an object.
    Update,
    /// Change an object.
    Patch,
    /// Delete an object; the HTTP method DELETE.
    Delete,
    /// Delete every object of a collection.
    DeleteCollection,
    /// The HTTP method HEAD.
    Head,
    /// The HTTP method POST.
    Post,
    /// The HTTP method PUT.
    Put,
    /// The HTTP method OPTIONS.
    Options,
}

/// What a request means, beyond its path. Where a patch does not tell what comes out of it,
/// a hold or deny rule takes the fact as given, an allow rule does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// It reads or writes Secrets.
    Secrets,
    /// It runs something in, or opens a channel into, a running pod or node.
    ExecLike,
    /// It asks for a credential that the API server accepts: a service account's token, a
    /// Secret that is filled with one, a bootstrap token.
    MintsToken,
    /// It deletes every object that a selector matches.
    DeletesCollection,
    /// It deletes a Namespace and everything in it.
    DeletesNamespace,
    /// A privileged container, in whatever kind that embeds a pod.
    Privileged,
    /// A pod shares the node's network, process or IPC namespace.
    HostNamespaces,
    /// A pod, or a persistent volume, reaches a directory of the node.
    HostPath,
    /// A pod takes a port of the node.
    HostPorts,
    /// A container adds Linux capabilities.
    AddedCapabilities,
    /// A pod or container says that it runs as root.
    RunAsRoot,
    /// A container may gain privileges (allowPrivilegeEscalation is not false).
    AllowPrivilegeEscalation,
    /// A container sees an unmasked `/proc`.
    ProcMount,
    /// A pod or container switches seccomp off.
    Seccomp,
    /// A pod or container switches AppArmor off.
    AppArmor,
    /// A pod or container chooses an SELinux user, role, or type not made for containers.
    SeLinux,
    /// A pod sets kernel parameters that are not safe.
    Sysctls,
    /// A container is a process of its Windows node.
    HostProcess,
    /// A probe or a lifecycle hook calls another host.
    ProbeHosts,
    /// A pod violates the baseline Pod Security Standard.
    PodSecurityBaseline,
    /// A pod violates the restricted Pod Security Standard.
    PodSecurityRestricted,
    /// Secrets reach a pod: env, envFrom, volumes, imagePullSecrets.
    SecretsExposed,
    /// ConfigMaps reach a pod.
    ConfigMapsExposed,
    /// A pod asks for tokens or certificates to be mounted.
    ProjectedTokens,
    /// A pod runs as a service account that may do what is out of the ordinary, by the roles
    /// bound to it: read Secrets, run commands in pods, escalate, … Looked up as the caller;
    /// what the caller may not read is not known, and does not count.
    PowerfulServiceAccount,
    /// A pod chooses its node itself.
    NodeName,
    /// A pod tolerates every taint.
    ToleratesEverything,
    /// A pod has the priority of the cluster's own (`system-…`).
    SystemPriority,
    /// An image is named without a digest, so that nobody knows what will run.
    ImageWithoutDigest,
    /// A role or binding makes more of someone than they are: escalate, bind, impersonate,
    /// nodes/proxy, tokens, certificates, aggregation, cluster-admin, or everyone as a
    /// subject.
    RbacEscalation,
    /// A role grants `*`.
    WildcardGrant,
    /// A role grants reading Secrets.
    SecretsGrant,
    /// A role grants running commands in pods.
    ExecGrant,
    /// A Service takes over addresses in the whole cluster.
    #[serde(rename = "externalIPs")]
    ExternalIps,
    /// A Service asks for a load balancer.
    LoadBalancer,
    /// A Service takes a port of every node.
    NodePort,
    /// A Service stands for a name outside of the cluster.
    ExternalName,
    /// Labels of a Namespace that switch Pod Security are set, changed or removed.
    PodSecurityLabels,
    /// The API server will call, and send objects to, an address.
    ApiServerCalls,
}

/// How a hold is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HoldSpec {
    /// After this time without an answer the answer is no; from 10s to 24h. Default: 15m.
    pub expires_after: Period,
    /// The groups whose members may answer. Default: the approver groups of the
    /// configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approver_groups: Vec<String>,
    /// How many different people must agree; from 1 to 10. Default: 1.
    pub quorum: u32,
}

impl Default for HoldSpec {
    fn default() -> Self {
        Self {
            expires_after: Period::from_secs(15 * 60),
            approver_groups: Vec::new(),
            quorum: 1,
        }
    }
}
