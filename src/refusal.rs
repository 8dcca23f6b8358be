//! Every "no" the gate can say, and the Kubernetes `Status` that carries it.
//!
//! One variant is one row of the table: an HTTP code, a `metav1.Status` reason, one
//! sentence for the outside that says what to do next, and an inside cause that goes to
//! the log and the ledger, never to the client. This room decides nothing; every other
//! room may import it.

mod table;

use http::StatusCode;
use serde_json::json;

/// A request that goes no further, and why.
///
/// The fields of a variant are either safe to show to the client or named `inside`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No credential was presented.
    TokenMissing,
    /// A credential was presented and not accepted. `outside` is a fixed sentence that
    /// names the kind of fault (expired, audience, issuer …) and no detail of the token.
    TokenRefused {
        /// What the client may know.
        outside: &'static str,
        /// What the operator needs to know; never holds the token.
        inside: String,
    },
    /// The issuer's keys cannot be had at the moment, so nobody can be identified.
    IssuerUnavailable {
        /// What went wrong, for the operator.
        inside: String,
    },
    /// The path is outside of what this door serves.
    NotServed {
        /// The path as it came.
        path: String,
    },
    /// `/clusters/<name>` names no configured cluster.
    UnknownCluster {
        /// The name as it came.
        name: String,
    },
    /// The request cannot be read in exactly one way: path, query, header or body.
    Malformed {
        /// What is wrong, where, and what to do.
        what: String,
    },
    /// The body is longer than the limit.
    BodyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body's content type is not one that the gate can judge.
    UnsupportedMediaType {
        /// The content type as it came.
        media_type: String,
    },
    /// None of the response types that the client accepts can be masked.
    NotAcceptable {
        /// The Accept header as it came.
        accept: String,
    },
    /// The gate does not understand this kind of request well enough to let it pass.
    NotUnderstood {
        /// What it is, and what to do instead.
        what: String,
    },
    /// Nobody can tell what a write would come to, so nobody can judge it.
    NotForeseen {
        /// What the client may know.
        what: &'static str,
        /// What the operator needs to know.
        inside: String,
    },
    /// A value that is a mask came back in a write.
    MaskReturned {
        /// Where in the body.
        field: String,
    },
    /// A deny rule matched.
    Denied {
        /// The policy's name.
        policy: String,
        /// The rule's name.
        rule: String,
        /// The rule's own sentence.
        reason: String,
    },
    /// A condition of a rule that matches could not be evaluated, so nobody knows what the
    /// rule says.
    ConditionFailed {
        /// The policy's name.
        policy: String,
        /// The rule's name.
        rule: String,
        /// Which condition and how, for the operator; it may hold parts of the request.
        inside: String,
    },
    /// No rule allows it: the default.
    NotAllowed {
        /// The request in words: `delete pods in "default"`.
        operation: String,
        /// The agent's name.
        agent: String,
    },
    /// It waits for a human.
    Held {
        /// The hold's id.
        id: String,
        /// The rule's name.
        rule: String,
        /// The rule's own sentence.
        reason: String,
        /// Seconds after which to ask again.
        retry_after: u32,
    },
    /// A human said no.
    HoldRejected {
        /// The hold's id.
        id: String,
        /// The rule's name.
        rule: String,
        /// What the approver wrote.
        comment: String,
    },
    /// Too many holds wait already.
    TooManyHolds {
        /// The limit per agent.
        limit: usize,
    },
    /// The ledger cannot be written: no record, no access.
    LedgerUnavailable {
        /// What went wrong, for the operator.
        inside: String,
    },
    /// The store of holds cannot be used.
    StoreUnavailable {
        /// What went wrong, for the operator.
        inside: String,
    },
    /// The cluster cannot be reached.
    UpstreamUnreachable {
        /// The cluster's name.
        cluster: String,
        /// What went wrong, for the operator.
        inside: String,
    },
    /// The cluster did not answer in time.
    UpstreamTimeout {
        /// The cluster's name.
        cluster: String,
    },
    /// The cluster does not accept the gate's own credential.
    UpstreamCredential {
        /// The cluster's name.
        cluster: String,
        /// What went wrong, for the operator.
        inside: String,
    },
    /// The answer could not be masked, so it is not passed on.
    Unmaskable {
        /// What the client may know: the kind of fault, never a value.
        what: &'static str,
        /// What the operator needs to know; never a value.
        inside: String,
    },
    /// A person may not do this at the humans' door.
    NotPermitted {
        /// Who may, and what to do.
        sentence: String,
    },
    /// The humans' door knows no such thing.
    NotFound {
        /// What was looked for, and where to look.
        sentence: String,
    },
    /// It is too late for this answer.
    Conflict {
        /// How it stands.
        sentence: String,
    },
    /// The gate serves as many requests as it can.
    Overloaded,
    /// A fault of the gate itself.
    Internal {
        /// What went wrong, for the operator.
        inside: String,
    },
}

impl Refusal {
    /// The HTTP status code.
    pub fn code(&self) -> StatusCode {
        self.row().code
    }

    /// The machine-readable `metav1.StatusReason`.
    pub fn reason(&self) -> &'static str {
        self.row().reason
    }

    /// What happened and what to do next, for the client.
    pub fn sentence(&self) -> String {
        self.row().sentence
    }

    /// Seconds after which the same request may be sent again; client-go obeys it.
    pub fn retry_after(&self) -> Option<u32> {
        self.row().retry_after
    }

    /// The cause that stays inside: for the log and the ledger.
    pub fn inside(&self) -> Option<&str> {
        match self {
            Self::TokenRefused { inside, .. }
            | Self::IssuerUnavailable { inside }
            | Self::LedgerUnavailable { inside }
            | Self::StoreUnavailable { inside }
            | Self::UpstreamUnreachable { inside, .. }
            | Self::UpstreamCredential { inside, .. }
            | Self::ConditionFailed { inside, .. }
            | Self::Unmaskable { inside, .. }
            | Self::NotForeseen { inside, .. }
            | Self::Internal { inside } => Some(inside),
            _ => None,
        }
    }

    /// The `metav1.Status` document, as bytes of JSON. `record` is the id under which
    /// the ledger keeps this request; a person can ask an auditor about it.
    pub fn status_document(&self, record: &str) -> Vec<u8> {
        let row = self.row();
        let mut details = json!({
            "causes": [{"reason": "GatewardRecord", "message": record}],
        });
        if let (Some(seconds), Some(fields)) = (row.retry_after, details.as_object_mut()) {
            fields.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": format!("gateward: {}", row.sentence),
            "reason": row.reason,
            "details": details,
            "code": row.code.as_u16(),
        })
        .to_string()
        .into_bytes()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl std::error::Error for Refusal {}

/// An error with all its causes, for `inside`: the outermost alone often says little.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn a_held_request_tells_client_go_when_to_come_back() {
        let held = Refusal::Held {
            id: "h-1".into(),
            rule: "privileged-pods".into(),
            reason: "privileged containers own the node.".into(),
            retry_after: 7,
        };
        let status: serde_json::Value =
            serde_json::from_slice(&held.status_document("0190")).unwrap();
        assert_eq!(status["code"], 429);
        assert_eq!(status["details"]["retryAfterSeconds"], 7);
        assert_eq!(status["details"]["causes"][0]["message"], "0190");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.contains("h-1") && message.contains("node; send"),
            "{message}"
        );
    }

    #[test]
    fn threat_20_the_inside_cause_never_reaches_the_client() {
        let inside = "connect 10.0.0.7:6443 refused";
        for refusal in [
            Refusal::UpstreamUnreachable {
                cluster: "c".into(),
                inside: inside.into(),
            },
            Refusal::LedgerUnavailable {
                inside: inside.into(),
            },
            Refusal::Unmaskable {
                what: "unknown encoding",
                inside: inside.into(),
            },
            Refusal::Internal {
                inside: inside.into(),
            },
        ] {
            assert_eq!(refusal.inside(), Some(inside));
            let document = String::from_utf8(refusal.status_document("0")).unwrap();
            assert!(!document.contains("10.0.0.7"), "{document}");
        }
    }
}
