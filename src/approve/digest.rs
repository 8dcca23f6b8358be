//! What an approval is bound to: exactly who asks for exactly what, where. Part of `approve`.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;

use crate::identify::Caller;
use crate::parse::{Ask, Node, Old, RequestInfo};

/// Separates this use of the key from every other, and this list of fields from later ones.
const DOMAIN: &[u8] = b"gateward hold v3";

/// Names the credential, not the person: new with every token. (`user.CredentialIDKey` in
/// k8s.io/apiserver.)
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// The gate's own key to its digests. A digest is shown to people and stands in the ledger,
/// beside a body whose secret values are masked: without a key, whoever reads it could try
/// values until one fits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// Keep the bytes, so that holds find their requests after a restart.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey([REDACTED])")
    }
}

/// HMAC-SHA-256 over the caller and the ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The digest of `ask` made by `caller`.
///
/// In it: agent, principal, issuer, groups, uid and extra; cluster, method, path, query, content
/// type and body. Not in it: the token and what names only the token (a retry comes with a fresh
/// one), and `Accept` (a reader's taste). What comes of a write is in it as far as a human judges
/// it: the object before and the result of the dry run, without what changes by itself (status,
/// resourceVersion, managedFields …), so that a hold on a busy object can be answered, and one
/// whose object was changed or swapped meanwhile must be answered anew. Opening a stream into a pod has one
/// digest for WebSocket (GET) and SPDY (POST): kubectl tries one after the other, and both do the same.
pub fn digest(key: &DigestKey, caller: &Caller, ask: &Ask) -> Digest {
    Fields::of(caller, ask).digest(key)
}

/// All that goes into a digest.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub agent: &'a str,
    pub principal: Option<&'a str>,
    pub issuer: &'a str,
    pub groups: &'a [String],
    pub uid: Option<&'a str>,
    pub extra: &'a BTreeMap<String, Vec<String>>,
    pub cluster: &'a str,
    pub action: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
    pub result: Option<&'a Node>,
    pub old: Option<&'a Node>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(caller: &'a Caller, ask: &'a Ask) -> Self {
        Self {
            agent: caller.agent(),
            principal: caller.principal(),
            issuer: caller.issuer(),
            groups: caller.groups(),
            uid: caller.uid(),
            extra: caller.extra(),
            cluster: ask.cluster(),
            action: action(ask.method().as_str(), ask.info()),
            path: &ask.info().path,
            query: ask.query(),
            content_type: ask.content_type(),
            body: ask.body(),
            result: ask.object(),
            old: match ask.old() {
                Old::Known(old) => Some(old),
                Old::Absent | Old::Unknown => None,
            },
        }
    }

    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        let mut hash = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key.0));
        let mut field = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(DOMAIN);
        field(self.agent.as_bytes());
        optional(&mut field, self.principal);
        field(self.issuer.as_bytes());
        list(&mut field, self.groups);
        optional(&mut field, self.uid);
        let lasting = || self.extra.iter().filter(|(key, _)| *key != CREDENTIAL_ID);
        field(&(lasting().count() as u64).to_be_bytes());
        for (key, values) in lasting() {
            field(key.as_bytes());
            list(&mut field, values);
        }
        field(self.cluster.as_bytes());
        field(self.action.as_bytes());
        field(self.path.as_bytes());
        field(self.query.as_bytes());
        optional(&mut field, self.content_type);
        field(self.body);
        let settled = settled(self.path, self.old.is_some());
        for object in [self.old, self.result] {
            field(&u64::from(object.is_some()).to_be_bytes());
            if let Some(object) = object {
                field(&canonical(object, &settled));
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.sign().as_ref());
        Digest(digest)
    }
}

/// What the cluster changes by itself, or makes up anew in every dry run.
fn settled(path: &str, exists: bool) -> Vec<[&'static str; 2]> {
    let mut left_out = vec![
        ["metadata", "resourceVersion"],
        ["metadata", "generation"],
        ["metadata", "managedFields"],
    ];
    if !path.ends_with("/status") {
        left_out.push(["status", ""]);
    }
    if !exists {
        left_out.extend([
            ["metadata", "uid"],
            ["metadata", "creationTimestamp"],
            ["metadata", "name"],
        ]);
    }
    left_out
}

/// The object as JSON with its keys in order, without what is left out.
fn canonical(object: &Node, left_out: &[[&str; 2]]) -> Vec<u8> {
    fn sorted(node: &Node, at: &[&str], left_out: &[[&str; 2]]) -> Node {
        match node {
            Node::Array(items) => Node::Array(
                items
                    .iter()
                    .map(|item| sorted(item, &["", "", ""], left_out))
                    .collect(),
            ),
            Node::Object(entries) => {
                let mut kept: Vec<_> = entries
                    .iter()
                    .filter(|(key, _)| !is_left_out(at, key, left_out))
                    .map(|(key, value)| {
                        let below: Vec<&str> = at.iter().copied().chain([&**key]).collect();
                        (key.clone(), sorted(value, &below, left_out))
                    })
                    .collect();
                kept.sort_by(|(a, _), (b, _)| a.cmp(b));
                Node::Object(kept)
            }
            other => other.clone(),
        }
    }
    sorted(object, &[], left_out).to_json()
}

fn is_left_out(at: &[&str], key: &str, left_out: &[[&str; 2]]) -> bool {
    left_out.iter().any(|[first, second]| match at {
        [] => second.is_empty() && *first == key,
        [parent] => parent == first && !second.is_empty() && *second == key,
        _ => false,
    })
}

/// The method, or one word for both ways to open a stream into a pod.
fn action<'a>(method: &'a str, info: &RequestInfo) -> &'a str {
    let stream = info.is_resource
        && info.api_group.is_empty()
        && info.resource == "pods"
        && matches!(info.subresource.as_str(), "exec" | "attach" | "portforward")
        && matches!(method, "GET" | "POST");
    if stream { "stream" } else { method }
}

/// Absent and empty must differ: a count of 0 or 1 goes first.
fn optional(field: &mut impl FnMut(&[u8]), value: Option<&str>) {
    field(&u64::from(value.is_some()).to_be_bytes());
    if let Some(value) = value {
        field(value.as_bytes());
    }
}

fn list(field: &mut impl FnMut(&[u8]), values: &[String]) {
    field(&(values.len() as u64).to_be_bytes());
    for value in values {
        field(value.as_bytes());
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
pub(super) mod tests {
    use super::*;

    static NONE: BTreeMap<String, Vec<String>> = BTreeMap::new();

    pub(in crate::approve) const KEY: DigestKey = DigestKey([7; 32]);

    pub(in crate::approve) fn fields() -> Fields<'static> {
        Fields {
            agent: "oidc:bot",
            principal: Some("oidc:ann@example.com"),
            issuer: "https://issuer.test",
            groups: &[],
            uid: None,
            extra: &NONE,
            cluster: "prod",
            action: "POST",
            path: "/api/v1/namespaces/shop/pods",
            query: "fieldManager=kubectl",
            content_type: Some("application/json"),
            body: b"{\"kind\":\"Pod\"}",
            result: None,
            old: None,
        }
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn threat_15_and_23_every_field_and_every_border_between_fields_counts() {
        let (ab, a_b, none_b) = (strings(&["ab"]), strings(&["a", "b"]), strings(&["", "ab"]));
        let extra = |pairs: &[(&str, &[&str])]| -> BTreeMap<String, Vec<String>> {
            let pair = |(k, v): &(&str, &[&str])| ((*k).to_owned(), strings(v));
            pairs.iter().map(pair).collect()
        };
        let x1 = extra(&[("k", &["a", "b"])]);
        let x2 = extra(&[("k", &["a"]), ("b", &[])]);
        let f = fields();
        let all = [
            f,
            Fields {
                agent: "oidc:bot2",
                ..f
            },
            Fields {
                agent: "OIDC:bot",
                ..f
            },
            Fields {
                principal: None,
                ..f
            },
            Fields {
                principal: Some(""),
                ..f
            },
            Fields {
                issuer: "https://issuer.tes",
                ..f
            },
            Fields { groups: &ab, ..f },
            Fields { groups: &a_b, ..f },
            Fields {
                groups: &none_b,
                ..f
            },
            Fields {
                uid: Some("7"),
                ..f
            },
            Fields { uid: Some(""), ..f },
            Fields { extra: &x1, ..f },
            Fields { extra: &x2, ..f },
            Fields {
                cluster: "staging",
                ..f
            },
            Fields { action: "PUT", ..f },
            Fields {
                path: "/api/v1/namespaces/shop/pod",
                query: "sfieldManager=kubectl",
                ..f
            },
            Fields {
                path: "/api/v1/namespaces/bank/pods",
                ..f
            },
            Fields { query: "", ..f },
            Fields {
                content_type: None,
                ..f
            },
            Fields {
                content_type: Some(""),
                ..f
            },
            Fields {
                content_type: Some("application/yaml"),
                ..f
            },
            Fields {
                body: b"{\"kind\":\"Pod\" }",
                ..f
            },
            Fields { body: b"", ..f },
        ];
        let different: std::collections::HashSet<Digest> =
            all.iter().map(|f| f.digest(&KEY)).collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn the_digest_is_as_it_was_yesterday() {
        // Holds in the database outlive a version: a change here needs a new domain.
        let expected = "f87f712eb3d04304e10fceeaa3dd940051d35db1f0a19ee117a41940f05f3232";
        assert_eq!(fields().digest(&KEY).to_string(), expected);
    }

    #[test]
    fn threat_20_a_digest_cannot_be_told_without_the_key() {
        let other = DigestKey::new([8; 32]);
        assert_ne!(fields().digest(&KEY), fields().digest(&other));
        assert!(!format!("{KEY:?}").contains('7'));
    }

    #[test]
    fn threat_15_the_object_and_the_result_count_and_what_changes_by_itself_does_not() {
        let tree = |text: &str| crate::parse::read_answer(text.as_bytes()).unwrap();
        let digest = |old: Option<&str>, result: Option<&str>| {
            let (old, result) = (old.map(tree), result.map(tree));
            let fields = Fields {
                old: old.as_ref(),
                result: result.as_ref(),
                ..fields()
            };
            fields.digest(&KEY).to_string()
        };
        let old = r#"{"metadata":{"name":"a","uid":"1","resourceVersion":"5","managedFields":[{"time":"x"}]},"spec":{"a":1,"b":2},"status":{"x":1}}"#;
        let same = r#"{"status":{"x":2},"spec":{"b":2,"a":1},"metadata":{"uid":"1","resourceVersion":"6","generation":3,"name":"a"}}"#;
        assert_eq!(digest(Some(old), Some(old)), digest(Some(same), Some(same)));
        let anew = r#"{"metadata":{"name":"g-x","uid":"7"},"spec":{}}"#;
        let other_name = r#"{"metadata":{"name":"g-y","uid":"8"},"spec":{}}"#;
        assert_eq!(digest(None, Some(anew)), digest(None, Some(other_name)));
        let base = digest(Some(old), Some(old));
        for changed in [
            r#"{"metadata":{"name":"a","uid":"2"},"spec":{"a":1,"b":2}}"#,
            r#"{"metadata":{"name":"a","uid":"1","labels":{}},"spec":{"a":1,"b":2}}"#,
            r#"{"metadata":{"name":"a","uid":"1"},"spec":{"a":1,"b":3}}"#,
            r#"{"metadata":{"name":"a","uid":"1"},"spec":{"a":1,"b":2,"status":1}}"#,
        ] {
            assert_ne!(base, digest(Some(changed), Some(old)), "{changed}");
            assert_ne!(base, digest(Some(old), Some(changed)), "{changed}");
        }
        assert_ne!(digest(Some(old), None), digest(None, Some(old)));
    }

    #[test]
    fn a_fresh_token_of_the_same_identity_has_the_same_digest() {
        let with = |jti: &str| {
            let pairs = [
                (CREDENTIAL_ID.to_owned(), vec![jti.to_owned()]),
                ("team".to_owned(), vec!["shop".to_owned()]),
            ];
            let extra = BTreeMap::from(pairs);
            Fields {
                extra: &extra,
                ..fields()
            }
            .digest(&KEY)
        };
        assert_eq!(with("JTI=1"), with("JTI=2"));
        assert_ne!(with("JTI=1"), fields().digest(&KEY));
    }

    #[test]
    fn threat_16_websocket_and_spdy_to_a_pod_are_one_action_and_nothing_else_is() {
        let info = |resource: &str, subresource: &str| RequestInfo {
            is_resource: true,
            verb: "get",
            api_group: String::new(),
            api_version: "v1".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            path: "/x".to_owned(),
        };
        for subresource in ["exec", "attach", "portforward"] {
            let info = info("pods", subresource);
            assert_eq!(action("GET", &info), action("POST", &info));
            assert_eq!(action("DELETE", &info), "DELETE");
        }
        for (resource, subresource) in [
            ("pods", ""),
            ("pods", "log"),
            ("pods", "proxy"),
            ("services", "exec"),
        ] {
            let info = info(resource, subresource);
            assert_eq!(action("GET", &info), "GET");
            assert_eq!(action("POST", &info), "POST");
        }
        let foreign = RequestInfo {
            api_group: "example.com".to_owned(),
            ..info("pods", "exec")
        };
        assert_eq!(action("GET", &foreign), "GET");
    }
}
