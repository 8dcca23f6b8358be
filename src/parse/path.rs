//! Paths: which cluster, and the API server's own `RequestInfo` of the rest.
//!
//! The algorithm is that of `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`.
//! Only canonical paths are read: those that are the same bytes when they are written
//! anew from their segments, so that no hop can normalise them into something else.

use http::Method;

use super::{RequestInfo, malformed, not_understood, shown};
use crate::refusal::Refusal;

/// The longest path that is read, in bytes.
const MAX_PATH: usize = 4096;

/// Splits `/clusters/<name>/<rest>`; the rest starts with `/`.
///
/// # Errors
/// `NotServed` for anything else; the name is a DNS label (RFC 1123).
pub fn cluster_of(path: &str) -> Result<(&str, &str), Refusal> {
    let refused = || Refusal::NotServed {
        path: path.chars().take(200).collect(),
    };
    let behind = path.strip_prefix("/clusters/").ok_or_else(refused)?;
    let slash = behind.find('/').ok_or_else(refused)?;
    let (name, rest) = behind.split_at_checked(slash).ok_or_else(refused)?;
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = (1..=63).contains(&name.len())
        && name.bytes().all(legal)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if label {
        Ok((name, rest))
    } else {
        Err(refused())
    }
}

/// The API server's reading of method and path. `list` and `watch` are told apart by the
/// query, later: here both are a `get` without a name.
pub(super) fn parse(method: &Method, path: &str) -> Result<RequestInfo, Refusal> {
    let verb = verb_of(method)?;
    if path.len() > MAX_PATH {
        return Err(malformed(format!(
            "the path is longer than {MAX_PATH} bytes"
        )));
    }
    let inner = path
        .strip_prefix('/')
        .ok_or_else(|| malformed("the path does not start with `/`"))?;
    let segments: Vec<&str> = inner.split('/').collect();
    let Some((start, group, version)) = prefix(&segments) else {
        segments
            .iter()
            .try_for_each(|segment| canonical(segment, path))?;
        return non_resource(method, path);
    };
    let rest = segments.get(start..).unwrap_or_default();
    if let Some(word @ &("watch" | "proxy")) = rest.first() {
        return Err(malformed(format!(
            "the path prefix `{word}/` is deprecated and read differently by different servers: {}",
            if *word == "watch" {
                "use `?watch=true`"
            } else {
                "use the `proxy` subresource"
            }
        )));
    }
    let (namespace, parts) = match rest {
        // Read as a namespaced resource called "namespaces", which nobody serves, and
        // which is written like the namespace itself when names are equal.
        ["namespaces", _, "namespaces", ..] => {
            return Err(malformed("namespaces hold no namespaces: correct the path"));
        }
        ["namespaces", namespace, next, ..] if !matches!(*next, "status" | "finalize") => {
            (*namespace, rest.get(2..).unwrap_or_default())
        }
        ["namespaces", namespace, ..] => (*namespace, rest),
        _ => ("", rest),
    };
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let tail = parts.get(3..).unwrap_or_default();
    check_segments(&segments, tail, part(2), path)?;
    let info = RequestInfo {
        is_resource: true,
        verb,
        api_group: group.to_owned(),
        api_version: version.to_owned(),
        resource: part(0).to_owned(),
        subresource: part(2).to_owned(),
        namespace: namespace.to_owned(),
        name: part(1).to_owned(),
        path: path.to_owned(),
    };
    settle_verb(info, method)
}

/// `api/<version>/…` or `apis/<group>/<version>/…`: where the resource starts, group and
/// version; none for what the API server takes for a non-resource path.
fn prefix<'a>(segments: &[&'a str]) -> Option<(usize, &'a str, &'a str)> {
    match segments {
        ["api", version, _, ..] => Some((2, "", version)),
        ["apis", group, version, _, ..] => Some((3, group, version)),
        _ => None,
    }
}

fn verb_of(method: &Method) -> Result<&'static str, Refusal> {
    match *method {
        Method::GET | Method::HEAD => Ok("get"),
        Method::POST => Ok("create"),
        Method::PUT => Ok("update"),
        Method::PATCH => Ok("patch"),
        Method::DELETE => Ok("delete"),
        _ => Err(malformed(format!(
            "the method {} is not served: use GET, HEAD, POST, PUT, PATCH or DELETE",
            shown(method.as_str())
        ))),
    }
}

/// The API server offers nothing to write outside of resources.
fn non_resource(method: &Method, path: &str) -> Result<RequestInfo, Refusal> {
    let verb = match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        _ => {
            return Err(not_understood(format!(
                "{method} on {}, which is no resource: only GET and HEAD are",
                shown(path)
            )));
        }
    };
    Ok(RequestInfo {
        is_resource: false,
        verb,
        api_group: String::new(),
        api_version: String::new(),
        resource: String::new(),
        subresource: String::new(),
        namespace: String::new(),
        name: String::new(),
        path: path.to_owned(),
    })
}

/// Every segment must be canonical, save those behind `proxy/`: these belong to whatever
/// is proxied to, name nothing at the API server, and are never sent anywhere.
fn check_segments(
    segments: &[&str],
    tail: &[&str],
    subresource: &str,
    path: &str,
) -> Result<(), Refusal> {
    let head = segments.len().saturating_sub(tail.len());
    segments
        .iter()
        .take(head)
        .try_for_each(|segment| canonical(segment, path))?;
    if tail.is_empty() {
        return Ok(());
    }
    if subresource != "proxy" {
        return Err(match tail {
            [""] => canonical("", path)
                .err()
                .unwrap_or_else(|| malformed("a trailing `/`")),
            _ => malformed(format!(
                "{} goes on behind its subresource, which no rule could see: leave the rest out",
                shown(path)
            )),
        });
    }
    if !path
        .bytes()
        .all(|byte| is_plain(byte) || b"/;%".contains(&byte))
    {
        return Err(malformed(
            "the path holds a character that no URL may hold: percent-encode it",
        ));
    }
    let escaped = |behind: &str| {
        let mut digits = behind.bytes().map(|byte| byte.is_ascii_hexdigit());
        digits.next() == Some(true) && digits.next() == Some(true)
    };
    if path.split('%').skip(1).all(escaped) {
        Ok(())
    } else {
        Err(malformed(
            "the path holds a `%` without two hexadecimal digits: encode it as %25",
        ))
    }
}

/// RFC 3986's `pchar`, without percent-encoding and the `;` of parameters.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

/// A segment of plain characters, and not one that names a place by its relation to others.
fn canonical(segment: &str, path: &str) -> Result<(), Refusal> {
    let fault = match segment {
        // The root is the one path that ends with `/`.
        "" if path == "/" => return Ok(()),
        "" => "an empty segment (`//` or a trailing `/`)",
        "." | ".." => "a dot segment",
        _ if segment.contains('%') => "percent-encoding",
        _ if !segment.bytes().all(is_plain) => "a character that no Kubernetes path needs",
        _ => return Ok(()),
    };
    Err(malformed(format!(
        "the path {} holds {fault}: write it in its plain form",
        shown(path)
    )))
}

/// Opening a stream into a pod is one action, whatever the method: a WebSocket GET runs a
/// command just as a POST does, so both are `create`, as the API server itself asks since
/// 1.35. A `delete` without a name is a `deletecollection`.
fn settle_verb(mut info: RequestInfo, method: &Method) -> Result<RequestInfo, Refusal> {
    if info.opens_stream() {
        if !matches!(*method, Method::GET | Method::POST) {
            return Err(malformed(format!(
                "{} is opened with GET or POST, not {method}",
                info.subresource
            )));
        }
        info.verb = "create";
    }
    if info.verb == "delete" && info.name.is_empty() {
        info.verb = "deletecollection";
    }
    Ok(info)
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
    use proptest::prelude::*;

    /// verb group version resource subresource namespace name, `-` for empty.
    fn row(method: &str, path: &str) -> String {
        let dash = |text: String| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text
            }
        };
        match parse(&method.parse().unwrap(), path) {
            Ok(info) if info.is_resource => [
                info.verb.to_owned(),
                info.api_group,
                info.api_version,
                info.resource,
                info.subresource,
                info.namespace,
                info.name,
            ]
            .map(dash)
            .join(" "),
            Ok(info) => format!("nonresource {}", info.verb),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn clusters() {
        assert_eq!(cluster_of("/clusters/a/").unwrap(), ("a", "/"));
        assert_eq!(
            cluster_of("/clusters/a-1/api/v1").unwrap(),
            ("a-1", "/api/v1")
        );
        assert_eq!(cluster_of("/clusters/a//api").unwrap(), ("a", "//api"));
        let long = format!("/clusters/{}/", "a".repeat(64));
        for path in [
            "/",
            "/clusters",
            "/clusters/",
            "/clusters/a",
            "/clusters//api",
            "/clusters/A/api",
            "/clusters/-a/",
            "/clusters/a-/",
            "/clusters/a.b/",
            "/clusters/%61/",
            "/clusters/../api",
            "/Clusters/a/",
            "/api/v1/pods",
            "clusters/a/",
            "/clusters/é/",
            &long,
        ] {
            assert!(
                matches!(cluster_of(path), Err(Refusal::NotServed { .. })),
                "{path}"
            );
        }
    }

    #[test]
    fn request_info_follows_the_api_server() {
        for (method, path, expected) in [
            ("GET", "/", "nonresource get"),
            ("GET", "/api", "nonresource get"),
            ("GET", "/api/v1", "nonresource get"),
            ("GET", "/apis", "nonresource get"),
            ("GET", "/apis/apps", "nonresource get"),
            ("HEAD", "/apis/apps/v1", "nonresource head"),
            ("GET", "/healthz/ping", "nonresource get"),
            ("GET", "/API/v1/pods", "nonresource get"),
            ("GET", "/APIS/apps/v1/deployments", "nonresource get"),
            ("GET", "/openapi/v3/apis/apps/v1", "nonresource get"),
            (
                "GET",
                "/.well-known/openid-configuration",
                "nonresource get",
            ),
            ("POST", "/api/v1", "refused"),
            ("DELETE", "/version", "refused"),
            ("GET", "/api/v1/pods", "get - v1 pods - - -"),
            ("GET", "/api/v1/namespaces", "get - v1 namespaces - - -"),
            (
                "GET",
                "/api/v1/namespaces/foo",
                "get - v1 namespaces - foo foo",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/foo",
                "delete - v1 namespaces - foo foo",
            ),
            (
                "PUT",
                "/api/v1/namespaces/foo/status",
                "update - v1 namespaces status foo foo",
            ),
            (
                "PUT",
                "/api/v1/namespaces/foo/finalize",
                "update - v1 namespaces finalize foo foo",
            ),
            ("GET", "/api/v1/namespaces/foo/finalize/x", "refused"),
            (
                "GET",
                "/api/v1/namespaces/foo/pods",
                "get - v1 pods - foo -",
            ),
            (
                "HEAD",
                "/api/v1/namespaces/foo/pods/p",
                "get - v1 pods - foo p",
            ),
            (
                "POST",
                "/api/v1/namespaces/foo/pods",
                "create - v1 pods - foo -",
            ),
            (
                "PUT",
                "/api/v1/namespaces/foo/pods/p",
                "update - v1 pods - foo p",
            ),
            (
                "PATCH",
                "/api/v1/namespaces/foo/pods/p/status",
                "patch - v1 pods status foo p",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/foo/pods/p",
                "delete - v1 pods - foo p",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/foo/pods",
                "deletecollection - v1 pods - foo -",
            ),
            (
                "GET",
                "/apis/apps/v1/deployments",
                "get apps v1 deployments - - -",
            ),
            (
                "GET",
                "/apis/apps/v1/namespaces/f/deployments/d/scale",
                "get apps v1 deployments scale f d",
            ),
            (
                "GET",
                "/apis/apps/v1/namespaces/f",
                "get apps v1 namespaces - f f",
            ),
            (
                "GET",
                "/apis/x.io/v1/namespaces/status/pods",
                "get x.io v1 pods - status -",
            ),
            (
                "GET",
                "/api/v1/namespaces/proxy/pods/watch",
                "get - v1 pods - proxy watch",
            ),
            (
                "GET",
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:controller:foo",
                "get rbac.authorization.k8s.io v1 clusterroles - - system:controller:foo",
            ),
            ("GET", "/api/v1/watch/pods", "refused"),
            ("GET", "/api/v1/watch", "refused"),
            (
                "GET",
                "/apis/apps/v1/watch/namespaces/f/deployments",
                "refused",
            ),
            ("GET", "/api/v1/proxy/nodes/n", "refused"),
            ("GET", "/api/v1/namespaces/a/namespaces", "refused"),
            ("GET", "/api/v1/namespaces/a/namespaces/a", "refused"),
            ("OPTIONS", "/api/v1/pods", "refused"),
            ("CONNECT", "/api/v1/pods", "refused"),
            ("TRACE", "/", "refused"),
            ("get", "/api/v1/pods", "refused"),
            ("WATCH", "/api/v1/pods", "refused"),
            ("GET", "/api/v1/pods/p/log/tail", "refused"),
            (
                "GET",
                "/apis/x.io/v1/namespaces/f/vms/v/portforward/22",
                "refused",
            ),
        ] {
            assert_eq!(row(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn threat_07_a_websocket_get_is_the_same_action_as_a_post() {
        for what in ["exec", "attach", "portforward"] {
            let path = format!("/api/v1/namespaces/f/pods/p/{what}");
            let expected = format!("create - v1 pods {what} f p");
            assert_eq!(row("GET", &path), expected);
            assert_eq!(row("POST", &path), expected);
            assert_eq!(row("PUT", &path), "refused");
            assert_eq!(row("HEAD", &path), "refused");
        }
    }

    #[test]
    fn threat_09_proxy_tails_are_named_for_what_they_reach() {
        for (method, path, expected) in [
            ("GET", "/api/v1/nodes/n/proxy", "get - v1 nodes proxy - n"),
            ("GET", "/api/v1/nodes/n/proxy/", "get - v1 nodes proxy - n"),
            (
                "POST",
                "/api/v1/nodes/n:10250/proxy/run/ns/p/c",
                "create - v1 nodes proxy - n:10250",
            ),
            (
                "GET",
                "/api/v1/namespaces/f/services/https:svc:443/proxy/a//b/%2e%2e/..",
                "get - v1 services proxy f https:svc:443",
            ),
            ("GET", "/api/v1/nodes//proxy/x", "refused"),
            ("GET", "/api/v1/nodes/%6e/proxy/x", "refused"),
            ("GET", "/api/v1/nodes/../proxy/x", "refused"),
            ("GET", "/api/v1/nodes/n/proxy/\u{e9}", "refused"),
            (
                "GET",
                "/api/v1/nodes/n/proxy/%4A",
                "get - v1 nodes proxy - n",
            ),
            (
                "GET",
                "/api/v1/nodes/n/proxy/a;b",
                "get - v1 nodes proxy - n",
            ),
            ("GET", "/api/v1/nodes/n/proxy/#x", "refused"),
            ("GET", "/api/v1/nodes/n/proxy/<x>", "refused"),
            ("GET", "/api/v1/nodes/n/proxy/%zz", "refused"),
            ("GET", "/api/v1/nodes/n/proxy/a%/4/", "refused"),
            ("GET", "/api/v1/nodes/n/proxy/%", "refused"),
        ] {
            assert_eq!(row(method, path), expected, "{path}");
        }
    }

    #[test]
    fn threat_10_paths_that_do_not_render_to_the_same_bytes_are_refused() {
        for path in [
            "",
            "api/v1/pods",
            "/api/v1/namespaces/default/pods/",
            "/api/v1/namespaces/default/pods//",
            "/api/v1/namespaces//pods",
            "/api/v1/namespaces/default%2Fpods",
            "/api/v1/%6eamespaces/default/secrets",
            "/api/v1/namespaces/default/pods%2Ffoo%2Flog",
            "//api/v1/pods",
            "/api//v1/pods",
            "/api/v1//pods",
            "/api/v1/",
            "/apis/apps/",
            "/apis//v1/secrets",
            "/api/v1/namespaces/default/pods/foo/../bar",
            "/api/v1/namespaces/default/pods/..",
            "/api/v1/namespaces/default/pods/%2e%2e",
            "/api/v1/./pods",
            "/api/v1/pods;x=1",
            "/api/v1/pods%3Fwatch=1",
            "/api/v1/pods%00",
            "/api/v1/pods\0",
            "/api/v1/pods?watch",
            "/api/v1/pods#x",
            "/api/v1\\pods",
            "/api/v1/pods/a b",
            "/api/v1/pods/\u{e9}",
            "/api/v1/pods/{a}",
            "/api/v1/pods/\"a\"",
            "/api/v1/pods/p/log/",
            "/healthz/../api/v1/secrets",
            "/healthz/",
            "/version/",
        ] {
            assert_eq!(row("GET", path), "refused", "{path:?}");
        }
    }

    #[test]
    fn a_refused_path_is_told_what_is_wrong_with_it() {
        let of_length = |length: usize| {
            let head = "/api/v1/pods/";
            format!("{head}{}", "a".repeat(length - head.len()))
        };
        assert!(parse(&Method::GET, &of_length(MAX_PATH)).is_ok());
        for (path, expected) in [
            (&*of_length(MAX_PATH + 1), "longer than"),
            ("/api/v1/pods/%41", "percent-encoding"),
            ("/api/v1/pods/..", "a dot segment"),
            ("/api/v1/pods/a b", "a character that no"),
            ("/api/v1/pods/p/log/", "an empty segment"),
            ("/api/v1/pods/p/log/x", "behind its subresource"),
            ("/api/v1/watch/pods", "?watch=true"),
            ("/api/v1/proxy/nodes/n", "the `proxy` subresource"),
        ] {
            match parse(&Method::GET, path) {
                Err(Refusal::Malformed { what }) => {
                    assert!(what.contains(expected), "{path}: {what}");
                }
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn an_accepted_path_is_what_its_parts_render_to(
            path in r"/(api/v1|apis/[a-z.]{1,6}/v[12])(/(namespaces|pods|status|watch|proxy|[a-z:%.;A-Z]{0,4})){0,6}/?",
        ) {
            let Ok(info) = parse(&Method::GET, &path) else { return Ok(()) };
            prop_assert_eq!(&info.path, &path);
            if !info.is_resource || info.subresource == "proxy" {
                return Ok(());
            }
            let mut rendered = match &*info.api_group {
                "" => format!("/api/{}", info.api_version),
                group => format!("/apis/{group}/{}", info.api_version),
            };
            if !info.namespace.is_empty() && info.resource != "namespaces" {
                rendered += &format!("/namespaces/{}", info.namespace);
            }
            for part in [&info.resource, &info.name, &info.subresource] {
                if !part.is_empty() {
                    rendered += &format!("/{part}");
                }
            }
            prop_assert_eq!(rendered, path);
        }

        #[test]
        fn never_panics(path in ".{0,60}") {
            let _ = parse(&Method::GET, &path);
            let _ = cluster_of(&path);
        }
    }
}
