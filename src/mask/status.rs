//! Part of ⑦ mask: what an agent gets in the place of an error that cannot be masked.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

/// The `Status` that stands for an error answer that is not JSON.
pub(super) fn replacement(status: u16) -> Bytes {
    let words = StatusCode::from_u16(status)
        .ok()
        .and_then(|code| code.canonical_reason())
        .unwrap_or("an unknown status");
    let reason = match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    let message = format!(
        "the API server answered {status} ({words}), but not in JSON; the gate does not pass on a text that it cannot mask"
    );
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status,
    });
    Bytes::from(body.to_string())
}
