//! `facts` in conditions: as they are written as JSON, but only what is asked for. Part of
//! room ④; pure.

use std::cell::OnceCell;

use serde_json::Value as Json;

use crate::cel::{Entries, Value};
use crate::parse::Facts;

/// The facts of one request. What one condition asked for is there for the next.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    facts: &'a Facts,
    json: [OnceCell<Json>; FIELDS.len()],
}

type Field = (&'static str, fn(&Facts) -> serde_json::Result<Json>);

/// A field by the path to it. Its name is the JSON's.
macro_rules! fields {
    ($($name:literal: $($path:ident).+,)+) => {
        &[$(($name, |facts| serde_json::to_value(&facts.$($path).+))),+]
    };
}

/// All fields, in the order of the JSON.
const FIELDS: &[Field] = fields! {
    "secrets": secrets,
    "execLike": exec_like,
    "execCommand": exec_command,
    "mintsToken": mints_token,
    "deletesCollection": deletes_collection,
    "deletedObjects": deleted_objects,
    "deletesNamespace": deletes_namespace,
    "unclear": object.unclear,
    "privileged": object.privileged,
    "hostNamespaces": object.host_namespaces,
    "hostUsers": object.host_users,
    "hostPath": object.host_path,
    "hostPorts": object.host_ports,
    "addedCapabilities": object.added_capabilities,
    "runAsRoot": object.run_as_root,
    "podSecurity": object.pod_security,
    "images": object.images,
    "commands": object.commands,
    "nodeName": object.node_name,
    "serviceAccounts": object.service_accounts,
    "serviceAccountGrants": object.service_account_grants,
    "serviceAccountGrantsKnown": object.service_account_grants_known,
    "projectedTokens": object.projected_tokens,
    "secretsExposed": object.secrets_exposed,
    "configMapsExposed": object.config_maps_exposed,
    "tolerations": object.tolerations,
    "priorityClasses": object.priority_classes,
    "rbac": object.rbac,
    "serviceTypes": object.service_types,
    "externalIPs": object.external_ips,
    "externalNames": object.external_names,
    "podSecurityLabels": object.pod_security_labels,
    "secretTypes": object.secret_types,
    "apiServerCalls": object.api_server_calls,
};

impl<'a> Shown<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        Self {
            facts,
            json: [const { OnceCell::new() }; FIELDS.len()],
        }
    }

    fn field(&self, at: usize) -> Option<(&'static str, &Json)> {
        let ((name, write), json) = (FIELDS.get(at)?, self.json.get(at)?);
        // Facts hold texts, numbers, lists and the like only: their JSON cannot fail.
        let written = || write(self.facts).unwrap_or_default();
        Some((name, json.get_or_init(written)))
    }
}

impl Entries for Shown<'_> {
    fn count(&self) -> usize {
        FIELDS.len()
    }

    fn find<'a>(&'a self, key: &str) -> Option<Value<'a>> {
        let at = FIELDS.iter().position(|(name, _)| *name == key)?;
        let (_, json) = self.field(at)?;
        Some(Value::of_json(json))
    }

    fn all<'a>(&'a self) -> Box<dyn Iterator<Item = (&'a str, Value<'a>)> + 'a> {
        let fields = (0..FIELDS.len()).filter_map(|at| self.field(at));
        Box::new(fields.map(|(name, json)| (name, Value::of_json(json))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::parse::Ask;

    #[test]
    fn facts_are_shown_as_they_are_written() {
        let pod = r#"{"spec":{"containers":[{"name":"c","image":"nginx","securityContext":{"privileged":true}}]}}"#;
        let asks = [
            Ask::for_test("c", "POST", "/api/v1/namespaces/a/pods", pod),
            Ask::for_test(
                "c",
                "POST",
                "/api/v1/namespaces/a/pods/p/exec?command=sh",
                "",
            ),
        ];
        for ask in asks {
            let shown = Shown::of(ask.facts());
            let fields = (0..shown.count()).map(|at| shown.field(at).unwrap());
            let shown: serde_json::Map<_, _> = fields
                .map(|(name, json)| (name.to_owned(), json.clone()))
                .collect();
            let (shown, written) = (
                Json::from(shown),
                serde_json::to_value(ask.facts()).unwrap(),
            );
            assert_eq!(shown.to_string(), written.to_string());
        }
    }
}
