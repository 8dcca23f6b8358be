//! What was found in an object, kept within a budget. Part of `facts`.
//!
//! Nothing is cut: a rule about all images must see all of them. An object with more to
//! say than the budget holds is refused instead.

use std::collections::HashSet;

use serde::Serialize;

use super::control::{Control, PodSecurity, Violation};
use super::image::Image;
use crate::parse::not_understood;
use crate::refusal::Refusal;

/// How many bytes of findings one object may cause: 400 containers without any security
/// settings, 5,000 references to Secrets.
const BUDGET: usize = 512 * 1024;

/// One place in an object, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The field's path, `spec.volumes[0].hostPath`; of a JSON Patch its pointer.
    pub field: String,
    /// What it says, or what it names; empty if it says nothing.
    pub value: String,
}

/// The service account that a pod runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceAccount {
    /// Where it says so.
    pub field: String,
    /// Its name; `default` if the pod names none.
    pub name: String,
    /// Whether its token is mounted; none if that is left to the service account.
    pub automount: Option<bool>,
}

/// Who is bound to a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Where it is named.
    pub field: String,
    /// `User`, `Group` or `ServiceAccount`.
    pub kind: String,
    /// Its namespace, of service accounts only.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What an object of `rbac.authorization.k8s.io` grants, and to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rbac {
    /// Rights out of the ordinary. The values: `escalate`, `bind`, `impersonate`,
    /// `wildcard`, `secrets` (reads Secrets), `exec` (runs something in pods),
    /// `nodesProxy` (reaches kubelets), `tokens` (gets service account tokens),
    /// `certificates` (approves or signs certificates), `aggregated` (is added to another
    /// role, or made of others).
    pub grants: Vec<Finding>,
    /// What makes more of a caller than it is: the grants `escalate`, `bind`,
    /// `impersonate`, `nodesProxy`, `tokens`, `certificates` and `aggregated`, the role
    /// cluster-admin (`role`), and whole groups of strangers as subjects (`everyone`).
    pub escalation: Vec<Finding>,
    /// The role that is bound, `ClusterRole/admin`.
    pub roles: Vec<Finding>,
    /// Who is bound to it.
    pub subjects: Vec<Subject>,
}

/// What an object means. Every list is empty where there is nothing of the kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectFacts {
    /// Where a patch does not tell what comes out of it: it may mean anything that an
    /// object of its kind can mean.
    pub unclear: Vec<Finding>,
    /// Privileged containers, in whatever kind embeds a pod.
    pub privileged: Vec<Finding>,
    /// Namespaces of the node that a pod shares: hostNetwork, hostPID, hostIPC.
    pub host_namespaces: Vec<Finding>,
    /// What pods say of user namespaces: `false` is a namespace of their own.
    pub host_users: Vec<Finding>,
    /// Directories of the node that are mounted; the values are their paths.
    pub host_path: Vec<Finding>,
    /// Ports of the node that are taken.
    pub host_ports: Vec<Finding>,
    /// Every Linux capability that is added.
    pub added_capabilities: Vec<Finding>,
    /// Where it says that a process may be root: runAsUser 0, runAsNonRoot false.
    pub run_as_root: Vec<Finding>,
    /// What the Pod Security Standards say, in their newest version that is known.
    pub pod_security: PodSecurity,
    /// Every image, of containers and of image volumes.
    pub images: Vec<Image>,
    /// Containers with a command or arguments of their own; the value is the program,
    /// arguments are not repeated.
    pub commands: Vec<Finding>,
    /// Pods that choose their node themselves, past the scheduler.
    pub node_name: Vec<Finding>,
    /// The service account of each pod.
    pub service_accounts: Vec<ServiceAccount>,
    /// What those service accounts may do out of the ordinary, by the roles that are bound to
    /// them; the values are those of `rbac.grants`.
    pub service_account_grants: Vec<Finding>,
    /// Whether that is known: a rule asks for it, and the caller may read roles and bindings.
    pub service_account_grants_known: bool,
    /// Tokens and certificates that pods ask to be mounted; the value is the audience, or
    /// the signer.
    pub projected_tokens: Vec<Finding>,
    /// Secrets that reach a pod: env, envFrom, volumes, imagePullSecrets; the values are
    /// their names.
    pub secrets_exposed: Vec<Finding>,
    /// ConfigMaps that reach a pod; the values are their names.
    pub config_maps_exposed: Vec<Finding>,
    /// Tolerated taints; the value is the key, `*` for every taint.
    pub tolerations: Vec<Finding>,
    /// Priority classes of pods.
    pub priority_classes: Vec<Finding>,
    /// What a role or a binding grants.
    pub rbac: Rbac,
    /// The `type` of a Service, if it says one.
    pub service_types: Vec<Finding>,
    /// Addresses that a Service takes over in the whole cluster.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<Finding>,
    /// The name outside of the cluster that a Service stands for.
    pub external_names: Vec<Finding>,
    /// Labels of a Namespace that switch Pod Security, set or changed or removed.
    pub pod_security_labels: Vec<Finding>,
    /// The `type` of a Secret, if it says one.
    pub secret_types: Vec<Finding>,
    /// Whom the API server will call, and send objects to: webhooks, APIServices, CRD
    /// conversion; the value is a URL or `namespace/service`.
    pub api_server_calls: Vec<Finding>,
    /// What an object of this kind can be about.
    #[serde(skip)]
    pub(super) about: About,
}

/// What objects of a kind can be about; `unclear` matters to no other facts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum About {
    /// Pods, or anything that may embed them.
    #[default]
    Pods,
    /// Roles and bindings.
    Rbac,
    /// Services.
    Services,
    /// Namespaces.
    Namespaces,
    /// Secrets.
    Secrets,
    /// What extends the API.
    Extensions,
    /// Kinds of the core group that are none of these.
    Nothing,
}

impl ObjectFacts {
    /// Whether it cannot be told what an object means in this respect.
    pub fn is_unclear(&self, about: About) -> bool {
        self.about == about && !self.unclear.is_empty()
    }
}

/// Where the object that is looked at stands in the request.
#[derive(Debug)]
enum Place {
    /// At a pointer, which stands for all its fields.
    At(String),
    /// Its fields come after this.
    Under(String),
}

/// A list of the facts.
pub(super) type List<T> = fn(&mut ObjectFacts) -> &mut Vec<T>;

/// Collects facts until the budget is spent.
#[derive(Debug)]
pub(super) struct Found {
    pub facts: ObjectFacts,
    /// Whether only a part of the object is known.
    pub part: bool,
    left: usize,
    spent: bool,
    /// For the search through unknown kinds, which comes by the same places again.
    violations: HashSet<(Control, String)>,
    pods: HashSet<String>,
    place: Place,
}

impl Found {
    pub(super) fn new(about: About, part: bool) -> Self {
        Self {
            facts: ObjectFacts {
                about,
                ..ObjectFacts::default()
            },
            part,
            left: BUDGET,
            spent: false,
            violations: HashSet::new(),
            pods: HashSet::new(),
            place: Place::Under(String::new()),
        }
    }

    /// # Errors
    /// `NotUnderstood` if there was more than the budget holds.
    pub(super) fn finish(self) -> Result<ObjectFacts, Refusal> {
        if self.spent {
            return Err(not_understood(
                "the object has more containers, volumes, rules or references than the gate \
                 judges at once: split it",
            ));
        }
        Ok(self.facts)
    }

    /// From now on everything is found at this JSON Pointer.
    pub(super) fn at_pointer(&mut self, pointer: &str) {
        self.place = Place::At(pointer.to_owned());
        self.violations.clear();
        self.pods.clear();
    }

    /// Looks at an item of a list, whose fields are below it.
    pub(super) fn below(&mut self, item: &str, look: impl FnOnce(&mut Self)) {
        let Place::Under(prefix) = &self.place else {
            return look(self);
        };
        let inner = Place::Under(format!("{prefix}{item}."));
        let outer = std::mem::replace(&mut self.place, inner);
        look(self);
        self.place = outer;
    }

    /// False if the pod at this path was judged before.
    pub(super) fn is_new(&mut self, pod: &str) -> bool {
        let pod = self.place(pod.to_owned());
        self.pods.insert(pod)
    }

    /// More than can be judged.
    pub(super) fn give_up(&mut self) {
        self.spent = true;
    }

    pub(super) fn note(&mut self, list: List<Finding>, field: String, value: impl Into<String>) {
        if self.spent {
            return;
        }
        let field = self.place(field);
        let value = value.into();
        if self.afford(field.len() + value.len()) {
            list(&mut self.facts).push(Finding { field, value });
        }
    }

    /// False if this was known already.
    pub(super) fn violation(&mut self, control: Control, field: String, value: &str) -> bool {
        if self.spent {
            return false;
        }
        let field = self.place(field);
        if !self.afford(2 * field.len() + value.len())
            || !self.violations.insert((control, field.clone()))
        {
            return false;
        }
        self.facts.pod_security.0.push(Violation {
            control,
            field,
            value: value.to_owned(),
        });
        true
    }

    /// A violation that is a fact by itself as well.
    pub(super) fn both(
        &mut self,
        control: Control,
        list: List<Finding>,
        field: String,
        value: &str,
    ) {
        if self.violation(control, field.clone(), value) {
            self.note(list, field, value);
        }
    }

    /// Privilege outside of what is known as a pod, unless it was found in one.
    pub(super) fn unexpected_privilege(&mut self, field: &str) {
        let known = (Control::Privileged, self.place(field.to_owned()));
        if !self.violations.contains(&known) {
            self.note(|facts| &mut facts.privileged, field.to_owned(), "true");
        }
    }

    /// Whatever has a place of its own.
    pub(super) fn push<T>(&mut self, list: List<T>, size: usize, item: T) {
        if self.afford(size) {
            list(&mut self.facts).push(item);
        }
    }

    /// Where a field is in the request.
    pub(super) fn place(&self, field: String) -> String {
        match &self.place {
            Place::At(pointer) => pointer.clone(),
            Place::Under(prefix) if prefix.is_empty() => field,
            Place::Under(prefix) => format!("{prefix}{field}"),
        }
    }

    fn afford(&mut self, bytes: usize) -> bool {
        // Every finding costs its structure too.
        match self.left.checked_sub(bytes + 64) {
            Some(left) => self.left = left,
            None => self.spent = true,
        }
        !self.spent
    }
}
