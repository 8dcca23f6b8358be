//! The table of refusals: of each "no" the code, the reason and the sentence for the outside.
//!
//! A sentence says what happened and what to do next. No row shows what is named `inside`.

use http::StatusCode;

use super::Refusal;

/// One row of the table: what the outside sees of a [`Refusal`].
pub(super) struct Row {
    pub code: StatusCode,
    pub reason: &'static str,
    pub retry_after: Option<u32>,
    pub sentence: String,
}

impl Refusal {
    /// Its row of the table.
    pub(super) fn row(&self) -> Row {
        match self {
            Self::TokenMissing
            | Self::TokenRefused { .. }
            | Self::IssuerUnavailable { .. }
            | Self::NotServed { .. }
            | Self::UnknownCluster { .. } => self.row_of_arrival(),
            Self::Malformed { .. }
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::UnsupportedMediaType { .. }
            | Self::NotAcceptable { .. }
            | Self::NotUnderstood { .. }
            | Self::NotForeseen { .. }
            | Self::MaskReturned { .. } => self.row_of_parse(),
            Self::Denied { .. }
            | Self::ConditionFailed { .. }
            | Self::NotAllowed { .. }
            | Self::Held { .. }
            | Self::HoldRejected { .. }
            | Self::TooManyHolds { .. }
            | Self::NotPermitted { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. } => self.row_of_decision(),
            _ => self.row_of_gate(),
        }
    }

    fn row_of_arrival(&self) -> Row {
        match self {
            Self::TokenMissing => row(
                401,
                "Unauthorized",
                "no credential was presented; send an OIDC token as `Authorization: Bearer …` \
                 (kubectl: an exec plugin such as `gateward credential` in the kubeconfig)",
            ),
            Self::TokenRefused { outside, .. } => row(401, "Unauthorized", *outside),
            Self::IssuerUnavailable { .. } => row(
                503,
                "ServiceUnavailable",
                "the identity provider's keys cannot be fetched, so nobody can be identified; \
                 try again in a few seconds",
            )
            .after(5),
            Self::NotServed { path } => row(
                404,
                "NotFound",
                format!(
                    "{path:?} is not served here; use https://<gate>/clusters/<cluster> as the \
                     server in your kubeconfig"
                ),
            ),
            Self::UnknownCluster { name } => row(
                404,
                "NotFound",
                format!(
                    "no cluster {name:?} is registered; check the server URL in your kubeconfig"
                ),
            ),
            _ => self.row_of_gate(),
        }
    }

    fn row_of_parse(&self) -> Row {
        match self {
            Self::Malformed { what } => row(400, "BadRequest", what.as_str()),
            Self::BodyTooLarge { limit } => row(
                413,
                "RequestEntityTooLarge",
                format!("the body is longer than {limit} bytes; send less at a time"),
            ),
            Self::BodyTimeout => row(
                408,
                "Timeout",
                "the body did not arrive in time; send the request again",
            ),
            Self::UnsupportedMediaType { media_type } => row(
                415,
                "UnsupportedMediaType",
                format!("a body of type {media_type:?} cannot be judged; send application/json"),
            ),
            Self::NotAcceptable { accept } => row(
                406,
                "NotAcceptable",
                format!(
                    "none of {accept:?} can be masked on the way back; accept application/json"
                ),
            ),
            Self::NotUnderstood { what } => row(501, "NotImplemented", what.as_str()),
            Self::NotForeseen { what, .. } => row(
                403,
                "Forbidden",
                format!(
                    "what this write would come to cannot be foreseen: {what}; the gate lets \
                     through only what it could judge"
                ),
            ),
            Self::MaskReturned { field } => row(
                422,
                "Invalid",
                format!(
                    "{field} holds a mask, not the value that it stands for; leave the field out \
                     of the request (a merge patch keeps what it does not name) or set a new value"
                ),
            ),
            _ => self.row_of_gate(),
        }
    }

    fn row_of_decision(&self) -> Row {
        match self {
            Self::Denied {
                policy,
                rule,
                reason,
            } => row(
                403,
                "Forbidden",
                format!("denied by rule {rule:?} of policy {policy:?}: {reason}"),
            ),
            // Asking again does not help, and nothing of the gate is broken: no 500.
            Self::ConditionFailed { policy, rule, .. } => row(
                403,
                "Forbidden",
                format!(
                    "refused, because rule {rule:?} of policy {policy:?} could not be evaluated \
                     for this request; give the platform team the record id of this answer"
                ),
            ),
            Self::NotAllowed { operation, agent } => row(
                403,
                "Forbidden",
                format!(
                    "no rule allows {agent:?} to {operation}; ask the platform team for a rule if \
                     your task needs it"
                ),
            ),
            Self::Held {
                id,
                rule,
                reason,
                retry_after,
            } => row(
                429,
                "TooManyRequests",
                format!(
                    "held for approval as {id} by rule {rule:?}: {}; send exactly the same \
                     request again once it is approved (`gateward approvals show {id}`)",
                    reason.trim_end_matches('.')
                ),
            )
            .after(*retry_after),
            Self::HoldRejected { id, rule, comment } => row(
                403,
                "Forbidden",
                format!("{id} (rule {rule:?}) does not pass: {comment}"),
            ),
            Self::TooManyHolds { limit } => row(
                403,
                "Forbidden",
                format!(
                    "{limit} requests of this agent wait for approval already; wait until they \
                     are answered"
                ),
            ),
            Self::NotPermitted { sentence } => row(403, "Forbidden", sentence.as_str()),
            Self::NotFound { sentence } => row(404, "NotFound", sentence.as_str()),
            Self::Conflict { sentence } => row(409, "Conflict", sentence.as_str()),
            _ => self.row_of_gate(),
        }
    }

    fn row_of_gate(&self) -> Row {
        match self {
            Self::LedgerUnavailable { .. } => row(
                503,
                "ServiceUnavailable",
                "the ledger cannot be written, and without a record there is no access; \
                 tell the gate's operators",
            ),
            Self::StoreUnavailable { .. } => row(
                503,
                "ServiceUnavailable",
                "approvals cannot be stored at the moment; try again in a few seconds",
            )
            .after(5),
            Self::UpstreamUnreachable { cluster, .. } => row(
                503,
                "ServiceUnavailable",
                format!("cluster {cluster:?} cannot be reached from the gate; try again later"),
            ),
            Self::UpstreamTimeout { cluster } => row(
                504,
                "Timeout",
                format!(
                    "cluster {cluster:?} did not answer in time; whether a change took effect is \
                     not known, look before you repeat it"
                ),
            ),
            Self::UpstreamCredential { cluster, .. } => row(
                503,
                "ServiceUnavailable",
                format!(
                    "cluster {cluster:?} does not accept the gate's own credential; tell the \
                     gate's operators"
                ),
            ),
            Self::Unmaskable { what, .. } => row(
                502,
                "InternalError",
                format!("the answer could not be masked, so it is not passed on: {what}"),
            ),
            Self::Overloaded => row(
                503,
                "ServiceUnavailable",
                "the gate serves as many requests as it can; try again in a few seconds",
            )
            .after(2),
            _ => row(
                500,
                "InternalError",
                "a fault of the gate; tell its operators the record id of this answer",
            ),
        }
    }
}

fn row(code: u16, reason: &'static str, sentence: impl Into<String>) -> Row {
    Row {
        code: StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        reason,
        retry_after: None,
        sentence: sentence.into(),
    }
}

impl Row {
    fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}
