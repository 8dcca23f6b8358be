//! Headers: what a client must not send, and the few of its headers that mean something.
//!
//! `Accept`, `Accept-Encoding`, `Content-Type` and `User-Agent` are read; everything else is
//! never copied, so it needs no list of what to strip. Refused are headers whose silent loss would
//! change what the request means, and framing that two hops could read differently.

use http::{HeaderMap, HeaderName, header};

use super::{RequestInfo, malformed, shown};
use crate::refusal::Refusal;

/// The longest `User-Agent` that is kept, in bytes.
const MAX_USER_AGENT: usize = 256;

/// Refuses what must not be sent.
pub(super) fn check(headers: &HeaderMap, info: &RequestInfo) -> Result<(), Refusal> {
    for name in headers.keys() {
        if name.as_str().starts_with("impersonate-") {
            return Err(malformed(
                "impersonation is not available through the gate: leave out --as and \
                 Impersonate-*, and ask with your own identity",
            ));
        }
    }
    framing(headers)?;
    let upgrade = connection(headers)? || headers.contains_key(header::UPGRADE);
    if upgrade && !info.opens_stream() {
        return Err(malformed(
            "an upgrade is only possible for exec, attach and portforward: \
             leave out the Upgrade and Connection headers",
        ));
    }
    Ok(())
}

/// The one value of a header; an error if it comes twice or is not ASCII.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed(format!(
            "the header {name} appears twice: send it once"
        )));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| malformed(format!("the header {name} is not printable ASCII")))
}

/// All values of `Accept`.
pub(super) fn accept(headers: &HeaderMap) -> Result<Vec<&str>, Refusal> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .map(|value| {
            value
                .to_str()
                .map_err(|_| malformed("the header accept is not printable ASCII"))
        })
        .collect()
}

/// The first `User-Agent`, cut, printable ASCII only.
pub(super) fn user_agent(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::USER_AGENT)
        .map_or(&[][..], |value| value.as_bytes());
    value
        .iter()
        .filter(|byte| byte.is_ascii_graphic() || **byte == b' ')
        .take(MAX_USER_AGENT)
        .map(|byte| char::from(*byte))
        .collect()
}

fn framing(headers: &HeaderMap) -> Result<(), Refusal> {
    one(headers, &header::HOST)?;
    one(headers, &header::CONTENT_TYPE)?;
    let length = one(headers, &header::CONTENT_LENGTH)?;
    let coding = one(headers, &header::TRANSFER_ENCODING)?;
    match coding {
        Some(_) if length.is_some() => {
            return Err(malformed(
                "Content-Length and Transfer-Encoding together: send one of them",
            ));
        }
        Some(coding) if !coding.eq_ignore_ascii_case("chunked") => {
            return Err(malformed(format!(
                "the transfer coding {}: use chunked",
                shown(coding)
            )));
        }
        _ => {}
    }
    match one(headers, &header::CONTENT_ENCODING)? {
        Some(coding) if !coding.eq_ignore_ascii_case("identity") => Err(malformed(format!(
            "the body is encoded as {}: send it without Content-Encoding",
            shown(coding)
        ))),
        _ => Ok(()),
    }
}

/// Whether `Connection` asks for an upgrade, as the API server sees it: by containing the
/// word. Naming any other header there would make a hop drop it.
fn connection(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut upgrade = false;
    for value in headers.get_all(header::CONNECTION) {
        let value = value
            .to_str()
            .map_err(|_| malformed("the header connection is not ASCII"))?;
        upgrade |= value.to_ascii_lowercase().contains("upgrade");
        for token in value.split(',').map(str::trim) {
            let known = ["keep-alive", "close", "upgrade", ""];
            if !known.iter().any(|known| token.eq_ignore_ascii_case(known)) {
                return Err(malformed(format!(
                    "the header connection names {}: only keep-alive, close and upgrade are possible",
                    shown(token)
                )));
            }
        }
    }
    Ok(upgrade)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;
    use http::{HeaderValue, Method};

    fn verdict(path: &str, pairs: &[(&str, &str)]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let info = super::super::path::parse(&Method::GET, path).unwrap();
        match check(&headers, &info) {
            Ok(()) => Ok(()),
            Err(Refusal::Malformed { what }) => Err(what),
            Err(other) => panic!("{other:?}"),
        }
    }

    const PODS: &str = "/api/v1/pods";
    const EXEC: &str = "/api/v1/namespaces/f/pods/p/exec";

    #[test]
    fn ordinary_requests_pass_and_identity_headers_are_merely_ignored() {
        for pairs in [
            &[][..],
            &[("Host", "gate"), ("Connection", "keep-alive")],
            &[("Connection", "close, Keep-Alive")],
            &[("Transfer-Encoding", "chunked")],
            &[("Content-Encoding", "identity")],
            &[
                ("X-Remote-User", "admin"),
                ("Audit-ID", "x"),
                ("X-Forwarded-For", "::1"),
            ],
        ] {
            assert_eq!(verdict(PODS, pairs), Ok(()), "{pairs:?}");
        }
    }

    #[test]
    fn threat_03_impersonation_is_refused_loudly() {
        for name in [
            "Impersonate-User",
            "impersonate-group",
            "IMPERSONATE-EXTRA-x",
            "Impersonate-Uid",
        ] {
            let got = verdict(PODS, &[(name, "")]).unwrap_err();
            assert!(got.contains("impersonation is not available"), "{got}");
        }
    }

    #[test]
    fn threat_01_connection_may_name_no_other_header() {
        for value in [
            "Impersonate-User",
            "close, impersonate-group",
            "keep-alive, TE",
            " X-Remote-User",
            "upgrade-x",
        ] {
            for path in [PODS, EXEC] {
                assert!(verdict(path, &[("Connection", value)]).is_err(), "{value}");
            }
        }
    }

    #[test]
    fn threat_08_upgrades_are_refused_outside_of_streams() {
        for pairs in [
            &[("Connection", "Upgrade"), ("Upgrade", "websocket")][..],
            &[("Connection", "keep-alive, uPgRaDe")],
            &[("Upgrade", "SPDY/3.1")],
            &[("Connection", "keep-alive"), ("Connection", "upgrade")],
        ] {
            for path in [
                PODS,
                "/api/v1/namespaces/f/pods/p/log",
                "/api/v1/nodes/n/proxy/x",
                "/version",
            ] {
                let got = verdict(path, pairs).unwrap_err();
                assert!(got.contains("upgrade"), "{got}");
            }
            for stream in ["exec", "attach", "portforward"] {
                let path = format!("/api/v1/namespaces/f/pods/p/{stream}");
                assert_eq!(verdict(&path, pairs), Ok(()), "{pairs:?}");
            }
        }
    }

    #[test]
    fn threat_25_framing_that_two_hops_could_read_differently_is_refused() {
        for pairs in [
            &[("Host", "a"), ("Host", "b")][..],
            &[("Content-Length", "1"), ("Content-Length", "1")],
            &[("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
            &[("Transfer-Encoding", "gzip, chunked")],
            &[
                ("Transfer-Encoding", "chunked"),
                ("Transfer-Encoding", "chunked"),
            ],
            &[("Content-Encoding", "gzip")],
            &[
                ("Content-Type", "application/json"),
                ("Content-Type", "application/yaml"),
            ],
        ] {
            assert!(verdict(PODS, pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn user_agents_are_cut_and_cleaned() {
        let mut headers = HeaderMap::new();
        assert_eq!(user_agent(&headers), "");
        let long = format!("kubectl/v1\t\u{e9}{}", "x".repeat(300));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_bytes(long.as_bytes()).unwrap(),
        );
        let got = user_agent(&headers);
        assert!(got.starts_with("kubectl/v1x") && got.len() == 256, "{got}");
    }
}
