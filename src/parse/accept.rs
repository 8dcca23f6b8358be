//! Negotiation: the `Accept` header that goes upstream names only what can be masked.
//!
//! Objects come back as JSON; protobuf, CBOR and YAML are taken out of the client's list,
//! Tables and partial metadata stay. Public documents (discovery, OpenAPI) keep what their
//! clients cannot do without. Order and q-values stay as they came (RFC 9110, 12.5.1).

use std::fmt::Write as _;

use super::coding::thousandths;
use super::{RequestInfo, malformed};
use crate::refusal::Refusal;

const JSON: &str = "application/json";
/// The longest header that is read, all lines together, in bytes.
const MAX_ACCEPT: usize = 4096;

/// What kind of answer a request gets.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// An API object, list, Table, watch or Status.
    Object,
    /// `/api`, `/apis` and below.
    Discovery,
    /// `/openapi/…`.
    OpenApi,
    /// Everything else: version, health, logs, streams.
    Other,
}

/// The header that goes upstream.
pub(super) fn negotiate(lines: &[&str], info: &RequestInfo) -> Result<String, Refusal> {
    let length: usize = lines.iter().map(|line| line.len()).sum();
    if length > MAX_ACCEPT {
        return Err(malformed(format!(
            "the Accept header is longer than {MAX_ACCEPT} bytes"
        )));
    }
    let answer = answer_of(info);
    if lines.iter().all(|line| line.trim().is_empty()) {
        return Ok(if answer == Answer::Other { "*/*" } else { JSON }.to_owned());
    }
    let clauses: Vec<Clause<'_>> = lines
        .iter()
        .flat_map(|line| line.split(','))
        .filter_map(Clause::read)
        .collect();
    let json_excluded = clauses
        .iter()
        .any(|clause| clause.excluded && clause.params.is_empty() && clause.is(JSON));
    let mut accept = String::with_capacity(length);
    let mut written: Vec<String> = Vec::new();
    for clause in clauses.iter().filter(|clause| !clause.excluded) {
        let Some(text) = clause.kept(answer) else {
            continue;
        };
        if (json_excluded && text.split(';').next() == Some(JSON) && !clause.is(JSON))
            || written.contains(&text)
        {
            continue;
        }
        if !accept.is_empty() {
            accept.push(',');
        }
        accept.push_str(&text);
        if let Some(quality) = clause.quality {
            let _ = write!(accept, ";q={quality}");
        }
        written.push(text);
    }
    if accept.is_empty() {
        return Err(Refusal::NotAcceptable {
            accept: lines.join(", ").chars().take(256).collect(),
        });
    }
    Ok(accept)
}

fn answer_of(info: &RequestInfo) -> Answer {
    if info.is_resource {
        return match &*info.subresource {
            "proxy" | "log" => Answer::Other,
            _ if info.opens_stream() => Answer::Other,
            _ => Answer::Object,
        };
    }
    match info.path.split('/').nth(1) {
        Some("api" | "apis") => Answer::Discovery,
        Some("openapi") => Answer::OpenApi,
        _ => Answer::Other,
    }
}

/// One media range of the header.
struct Clause<'a> {
    media_type: String,
    params: Vec<(String, &'a str)>,
    quality: Option<&'a str>,
    excluded: bool,
}

impl<'a> Clause<'a> {
    /// None for what is empty or not well-formed: it can match nothing.
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next()?.to_ascii_lowercase();
        let (main, sub) = media_type.split_once('/')?;
        if !is_token(main) || !is_token(sub) {
            return None;
        }
        let mut clause = Self {
            media_type,
            params: Vec::new(),
            quality: None,
            excluded: false,
        };
        for part in parts {
            let (name, value) = part.split_once('=')?;
            let name = name.to_ascii_lowercase();
            if !is_token(&name) || !is_token(value) {
                return None;
            }
            if name == "q" {
                clause.excluded = thousandths(value)? == 0;
                clause.quality = Some(value);
            } else if clause.params.iter().any(|(other, _)| *other == name) {
                return None;
            } else {
                clause.params.push((name, value));
            }
        }
        Some(clause)
    }

    fn is(&self, media_type: &str) -> bool {
        self.media_type == media_type
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value)
    }

    /// The clause as it goes upstream, without q; none if it must not.
    fn kept(&self, answer: Answer) -> Option<String> {
        let any = matches!(&*self.media_type, "*/*" | "application/*");
        match answer {
            Answer::Object | Answer::Discovery => {
                (any || self.is(JSON)).then_some(())?;
                self.json(answer)
            }
            Answer::OpenApi => {
                let proto = self
                    .media_type
                    .starts_with("application/com.github.proto-openapi.spec.v");
                if any || self.is(JSON) {
                    Some(JSON.to_owned())
                } else {
                    proto.then(|| self.media_type.clone())
                }
            }
            Answer::Other => {
                let plain = matches!(&*self.media_type, "text/plain" | "text/*");
                (any || plain || self.is(JSON)).then(|| self.media_type.clone())
            }
        }
    }

    /// JSON with the parameters that the API server acts on. A transformation that it
    /// would not make is left out with its clause; `charset` and `pretty` mean nothing.
    fn json(&self, answer: Answer) -> Option<String> {
        let mut text = JSON.to_owned();
        match self.param("stream") {
            None => {}
            Some("watch") if answer == Answer::Object => text.push_str(";stream=watch"),
            Some(_) => return None,
        }
        if self.param("sv").is_some() {
            return None;
        }
        let (kind, group, version) = (self.param("as"), self.param("g"), self.param("v"));
        let Some(kind) = kind else {
            return (group.is_none() && version.is_none()).then_some(text);
        };
        let (group, version) = (group?, version?);
        let known = match answer {
            Answer::Object => {
                matches!(
                    kind,
                    "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList"
                ) && group == "meta.k8s.io"
                    && matches!(version, "v1" | "v1beta1")
            }
            _ => {
                kind == "APIGroupDiscoveryList"
                    && group == "apidiscovery.k8s.io"
                    && matches!(version, "v2" | "v2beta1")
            }
        };
        if !known {
            return None;
        }
        let _ = write!(text, ";as={kind};g={group};v={version}");
        if let (Answer::Discovery, Some(profile)) = (answer, self.param("profile")) {
            let _ = write!(text, ";profile={profile}");
        }
        Some(text)
    }
}

/// RFC 9110, 5.6.2, and `@`, which the media type of OpenAPI v2 holds.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~@".contains(&byte))
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
    use http::Method;

    fn accept(path: &str, header: &str) -> String {
        let info = super::super::path::parse(&Method::GET, path).unwrap();
        match negotiate(&[header], &info) {
            Ok(accept) => accept,
            Err(Refusal::NotAcceptable { .. }) => "406".to_owned(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn objects_come_back_as_json_only() {
        let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
        let both = format!("{table},application/json");
        for (header, expected) in [
            ("", "application/json"),
            ("application/json", "application/json"),
            ("*/*", "application/json"),
            ("application/*", "application/json"),
            ("APPLICATION/JSON", "application/json"),
            ("application/json, */*", "application/json"),
            ("application/json;charset=utf-8", "application/json"),
            ("application/json;pretty=1", "application/json"),
            (
                "application/json;stream=watch",
                "application/json;stream=watch",
            ),
            ("application/json;stream=ws", "406"),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                &both,
            ),
            (
                "application/json;as=Table;v=v1;g=other,application/json",
                "application/json",
            ),
            ("application/json;as=Table;v=v9;g=meta.k8s.io", "406"),
            ("application/json;as=Table", "406"),
            ("application/json;as=Secret;g=;v=v1", "406"),
            ("application/json;as=Secret;g=meta.k8s.io;v=v1", "406"),
            ("application/json;charset=", "406"),
            ("application/json;a b=c", "406"),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io;profile=x",
                table,
            ),
            ("application/json;v=v1", "406"),
            ("application/json;sv=v1", "406"),
            ("application/json;as=Table;as=x;g=meta.k8s.io;v=v1", "406"),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                "application/json",
            ),
            ("application/vnd.kubernetes.protobuf", "406"),
            ("application/cbor", "406"),
            ("application/yaml", "406"),
            ("application/yaml, */*", "application/json"),
            ("text/html", "406"),
            ("application/json;q=0", "406"),
            ("application/json;q=0.000, application/yaml", "406"),
            ("application/json;q=0, */*", "406"),
            (
                "application/yaml, application/json;q=0.5",
                "application/json;q=0.5",
            ),
            // What is excluded in one form is not excluded in all.
            ("application/json;pretty=1;q=0, */*", "application/json"),
            ("text/html;q=0, */*", "application/json"),
            (
                "application/json;q=0, application/json;stream=watch, */*",
                "application/json;stream=watch",
            ),
            ("application/json;q=1.000", "application/json;q=1.000"),
            ("application/json;q=1.5", "406"),
            ("application/json;q=0.x", "406"),
            ("application/json;q=0.1234", "406"),
            ("application/json;q=2", "406"),
            ("application/json;q=-1", "406"),
            ("application/json;as=\"Table\"", "406"),
            ("garbage", "406"),
        ] {
            assert_eq!(accept("/api/v1/secrets", header), expected, "{header}");
        }
    }

    #[test]
    fn public_documents_keep_what_their_clients_need() {
        let v2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let discovery =
            "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2,application/json";
        for (path, header, expected) in [
            ("/openapi/v2", v2, v2),
            ("/openapi/v2", "application/json", "application/json"),
            ("/openapi/v3", "*/*", "application/json"),
            (
                "/openapi/v3/api/v1",
                "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
                "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
            ),
            ("/openapi/v2", "application/cbor", "406"),
            (
                "/openapi/v2",
                "application/com.github.proto-openapi.spec.v2 x",
                "406",
            ),
            ("/api", "application/json;stream=watch", "406"),
            (
                "/api",
                "application/json;as=APIGroupDiscoveryList;g=x.io;v=v2",
                "406",
            ),
            (
                "/api",
                "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v9",
                "406",
            ),
            (
                "/api",
                "application/json;as=Table;g=apidiscovery.k8s.io;v=v2",
                "406",
            ),
            (
                "/api",
                "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2;profile=p",
                "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2;profile=p",
            ),
            ("/version", "application/json;q=0, */*", "*/*"),
            ("/api/v1/namespaces/f/pods/p/exec", "*/*", "*/*"),
            (
                "/api",
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
                discovery,
            ),
            (
                "/apis",
                "application/cbor,application/json",
                "application/json",
            ),
            ("/api/v1", "application/vnd.kubernetes.protobuf", "406"),
            (
                "/apis/apps/v1",
                "application/json;as=Table;g=meta.k8s.io;v=v1",
                "406",
            ),
            ("/version", "application/json, */*", "application/json,*/*"),
            ("/version", "", "*/*"),
            ("/healthz", "text/plain", "text/plain"),
            ("/healthz", "application/cbor", "406"),
            (
                "/api/v1/namespaces/f/pods/p/log",
                "application/json, */*",
                "application/json,*/*",
            ),
        ] {
            assert_eq!(accept(path, header), expected, "{path} {header}");
        }
    }

    #[test]
    fn lines_are_joined_and_bounded() {
        let info = super::super::path::parse(&Method::GET, "/api/v1/pods").unwrap();
        let lines = ["application/yaml", "application/json;stream=watch"];
        assert_eq!(
            negotiate(&lines, &info).unwrap(),
            "application/json;stream=watch"
        );
        let of_length = |length: usize| {
            let header = format!("application/json{}", " ".repeat(length));
            negotiate(&[&header[..length]], &info)
        };
        assert_eq!(of_length(MAX_ACCEPT).unwrap(), "application/json");
        for length in [MAX_ACCEPT + 1, MAX_ACCEPT + 2] {
            assert!(matches!(of_length(length), Err(Refusal::Malformed { .. })));
        }
    }
}
