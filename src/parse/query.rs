//! Queries: an allow-list of parameters per shape of request, typed, each at most once.
//!
//! The API server takes the first of repeated parameters, reads any strange word as
//! `true`, and drops pairs that do not decode. Here all of that is refused, and the
//! query that goes upstream is written anew, in the order of the lists below. Which
//! parameters exist: `metav1.{List,Create,Update,Patch,Delete,Table}Options`,
//! `corev1.Pod{Log,Exec,Attach,PortForward}Options`.

use std::borrow::Cow;

use super::selector::{is_segment, name_of};
use super::value::{Kind, check, decode, encode};
use super::{RequestInfo, malformed, shown};
use crate::refusal::Refusal;

/// The longest query that is read, in bytes.
const MAX_QUERY: usize = 32 * 1024;

/// What a query says, beside the text that goes upstream.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// Written anew; empty if there is none.
    pub(super) canonical: String,
    /// `watch=true`.
    pub(super) watch: bool,
    /// `fieldSelector=metadata.name=…`.
    pub(super) name: Option<String>,
    /// `dryRun=All`.
    pub(super) dry_run: bool,
    /// The arguments of an exec.
    pub(super) command: Vec<String>,
    /// Which of `DeleteOptions` the query sets.
    pub(super) delete_options: Vec<(&'static str, String)>,
}

type List = &'static [(&'static str, Kind)];

const ANY: List = &[("pretty", Kind::Bool), ("timeout", Kind::Duration)];
const TABLE: List = &[(
    "includeObject",
    Kind::OneOf(&["None", "Metadata", "Object"]),
)];
const GET: List = &[("resourceVersion", Kind::Text)];
const SELECT: List = &[
    ("labelSelector", Kind::LabelSelector),
    ("fieldSelector", Kind::FieldSelector),
    ("shardSelector", Kind::Text),
    ("limit", Kind::Whole),
    ("continue", Kind::Text),
    ("resourceVersion", Kind::Text),
    (
        "resourceVersionMatch",
        Kind::OneOf(&["Exact", "NotOlderThan"]),
    ),
    ("timeoutSeconds", Kind::Whole),
];
const WATCH: List = &[
    ("watch", Kind::Bool),
    ("allowWatchBookmarks", Kind::Bool),
    ("sendInitialEvents", Kind::Bool),
];
const WRITE: List = &[
    ("dryRun", Kind::OneOf(&["All"])),
    ("fieldManager", Kind::Text),
    (
        "fieldValidation",
        Kind::OneOf(&["Ignore", "Warn", "Strict"]),
    ),
];
const PATCH: List = &[("force", Kind::Bool)];
const DELETE: List = &[
    ("dryRun", Kind::OneOf(&["All"])),
    ("gracePeriodSeconds", Kind::Whole),
    ("orphanDependents", Kind::Bool),
    (
        "propagationPolicy",
        Kind::OneOf(&["Background", "Foreground", "Orphan"]),
    ),
];
const LOG: List = &[
    ("container", Kind::Text),
    ("follow", Kind::Bool),
    ("previous", Kind::Bool),
    ("sinceSeconds", Kind::Whole),
    ("sinceTime", Kind::Time),
    ("timestamps", Kind::Bool),
    ("tailLines", Kind::Whole),
    ("limitBytes", Kind::Whole),
    ("insecureSkipTLSVerifyBackend", Kind::Bool),
    ("stream", Kind::OneOf(&["All", "Stdout", "Stderr"])),
];
const ATTACH: List = &[
    ("container", Kind::Text),
    ("stdin", Kind::Bool),
    ("stdout", Kind::Bool),
    ("stderr", Kind::Bool),
    ("tty", Kind::Bool),
];
const EXEC: List = &[("command", Kind::Argument)];
const PORT_FORWARD: List = &[("ports", Kind::Port)];
const HASH: List = &[("hash", Kind::Text)];
const HEALTH: List = &[("verbose", Kind::Present), ("exclude", Kind::Argument)];

/// Reads the query of a request whose path is read already.
pub(super) fn parse(raw: Option<&str>, info: &RequestInfo) -> Result<Query, Refusal> {
    let raw = match raw {
        None | Some("") => return Ok(Query::default()),
        Some(raw) if raw.len() > MAX_QUERY => {
            return Err(malformed(format!(
                "the query is longer than {MAX_QUERY} bytes"
            )));
        }
        Some(raw) => raw,
    };
    if info.subresource == "proxy" {
        // It belongs to whatever is proxied to, and is never sent.
        return if raw.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Query::default())
        } else {
            Err(malformed(
                "the query holds characters that are not printable ASCII",
            ))
        };
    }
    let lists = lists(info);
    let mut found: Vec<(usize, &'static str, Cow<'_, str>)> = Vec::new();
    for pair in raw.split('&') {
        let (key, value) = split(pair)?;
        let (at, name, kind) = find(lists, &key, info)?;
        let repeats = matches!(kind, Kind::Argument | Kind::Port);
        if !repeats && found.iter().any(|(_, other, _)| *other == name) {
            return Err(malformed(format!(
                "the query parameter `{name}` appears twice: send it once"
            )));
        }
        let value = check(kind, value).map_err(|wanted| {
            malformed(format!(
                "the query parameter `{name}` is not {wanted}: correct it"
            ))
        })?;
        found.push((at, name, value));
    }
    found.sort_by_key(|(at, ..)| *at);
    gather(found, info)
}

/// The lists that apply, in the order in which the query is written anew.
fn lists(info: &RequestInfo) -> &'static [List] {
    if !info.is_resource {
        let first = info.path.split('/').nth(1).unwrap_or_default();
        return match first {
            "openapi" => &[HASH, ANY],
            "healthz" | "livez" | "readyz" => &[HEALTH, ANY],
            _ => &[ANY],
        };
    }
    match (&*info.subresource, info.verb) {
        ("exec", _) => &[ATTACH, EXEC, ANY],
        ("attach", _) => &[ATTACH, ANY],
        ("portforward", _) => &[PORT_FORWARD, ANY],
        ("log", "get") => &[LOG, ANY],
        (_, "get") if info.name.is_empty() => &[SELECT, WATCH, TABLE, ANY],
        (_, "get") => &[GET, TABLE, ANY],
        (_, "patch") => &[WRITE, PATCH, TABLE, ANY],
        (_, "delete") => &[DELETE, TABLE, ANY],
        (_, "deletecollection") => &[SELECT, DELETE, TABLE, ANY],
        _ => &[WRITE, TABLE, ANY],
    }
}

fn find(
    lists: &[List],
    key: &str,
    info: &RequestInfo,
) -> Result<(usize, &'static str, Kind), Refusal> {
    let known = || lists.iter().flat_map(|list| list.iter()).enumerate();
    if let Some((at, (name, kind))) = known().find(|(_, (name, _))| *name == key) {
        return Ok((at, name, *kind));
    }
    let nearest = known()
        .map(|(_, (name, _))| {
            (
                strsim::damerau_levenshtein(name, &key.chars().take(64).collect::<String>()),
                *name,
            )
        })
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map_or_else(
            || "leave it out".to_owned(),
            |(_, name)| format!("did you mean `{name}`?"),
        );
    let place = if !info.is_resource {
        "this path"
    } else if info.verb == "get" && info.name.is_empty() {
        "list or watch"
    } else if matches!(
        &*info.subresource,
        "exec" | "attach" | "portforward" | "log"
    ) {
        &info.subresource
    } else {
        info.verb
    };
    Err(malformed(format!(
        "the query parameter {} is not known for {place}: {nearest}",
        shown(key)
    )))
}

/// `key=value`, both decoded. A key without `=` would be read as true, an empty pair and
/// one with `;` would be dropped.
fn split(pair: &str) -> Result<(Cow<'_, str>, Cow<'_, str>), Refusal> {
    let Some((key, value)) = pair.split_once('=') else {
        return match pair {
            "verbose" => Ok((Cow::Borrowed("verbose"), Cow::Borrowed(""))),
            "" => Err(malformed(
                "the query holds an empty parameter: leave out the extra `&`",
            )),
            _ => Err(malformed(
                "a query parameter has no value: write `name=value`",
            )),
        };
    };
    let key = decode(key, "the name of a query parameter")?;
    let value = decode(
        value,
        &format!("the value of the query parameter {}", shown(&key)),
    )?;
    Ok((key, value))
}

fn gather(
    found: Vec<(usize, &'static str, Cow<'_, str>)>,
    info: &RequestInfo,
) -> Result<Query, Refusal> {
    let mut query = Query::default();
    for (_, name, value) in found {
        if !query.canonical.is_empty() {
            query.canonical.push('&');
        }
        query.canonical.push_str(name);
        query.canonical.push('=');
        encode(&value, &mut query.canonical);
        match name {
            "watch" => query.watch = value == "true",
            "dryRun" => query.dry_run = true,
            // Selectors of a deletecollection never set its name.
            "fieldSelector" if info.verb == "get" => {
                query.name = name_of(&value)
                    .ok()
                    .flatten()
                    .filter(|name| is_segment(name));
            }
            "command" => query.command.push(value.clone().into_owned()),
            _ => {}
        }
        if matches!(info.verb, "delete" | "deletecollection")
            && DELETE.iter().any(|(option, _)| *option == name)
        {
            query.delete_options.push((name, value.into_owned()));
        }
    }
    Ok(query)
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

    const PODS: &str = "/api/v1/namespaces/f/pods";
    const POD: &str = "/api/v1/namespaces/f/pods/p";
    const EXEC: &str = "/api/v1/namespaces/f/pods/p/exec";

    fn read(method: &str, path: &str, query: &str) -> Result<Query, Refusal> {
        let info = super::super::path::parse(&method.parse().unwrap(), path).unwrap();
        parse(Some(query), &info)
    }

    fn canonical(method: &str, path: &str, query: &str) -> String {
        read(method, path, query).unwrap().canonical
    }

    fn sentence(method: &str, path: &str, query: &str) -> String {
        match read(method, path, query) {
            Err(Refusal::Malformed { what }) => what,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn queries_are_written_anew_in_one_order() {
        for (method, path, query, expected) in [
            ("GET", PODS, "", ""),
            (
                "GET",
                PODS,
                "watch=1&limit=500&labelSelector=a%3Db",
                "labelSelector=a%3Db&limit=500&watch=true",
            ),
            (
                "GET",
                PODS,
                "labelSelector=a+in+(b,c)",
                "labelSelector=a%20in%20%28b%2Cc%29",
            ),
            ("GET", PODS, "w%61tch=0", "watch=false"),
            (
                "GET",
                PODS,
                "continue=&resourceVersion=",
                "continue=&resourceVersion=",
            ),
            (
                "GET",
                PODS,
                "allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=300&watch=true",
                "resourceVersionMatch=NotOlderThan&timeoutSeconds=300&watch=true&allowWatchBookmarks=true&sendInitialEvents=true",
            ),
            (
                "GET",
                POD,
                "includeObject=Object&resourceVersion=0",
                "resourceVersion=0&includeObject=Object",
            ),
            (
                "POST",
                PODS,
                "fieldManager=kubectl-create&dryRun=All&fieldValidation=Strict",
                "dryRun=All&fieldManager=kubectl-create&fieldValidation=Strict",
            ),
            ("PUT", POD, "fieldManager=k", "fieldManager=k"),
            (
                "PATCH",
                POD,
                "force=true&fieldManager=a%20b",
                "fieldManager=a%20b&force=true",
            ),
            (
                "DELETE",
                POD,
                "gracePeriodSeconds=0&propagationPolicy=Orphan",
                "gracePeriodSeconds=0&propagationPolicy=Orphan",
            ),
            (
                "DELETE",
                PODS,
                "labelSelector=a&dryRun=All",
                "labelSelector=a&dryRun=All",
            ),
            (
                "GET",
                "/api/v1/namespaces/f/pods/p/log",
                "follow=1&tailLines=5&container=c",
                "container=c&follow=true&tailLines=5",
            ),
            (
                "GET",
                EXEC,
                "stdout=1&command=sh&command=-c&command=ls%0A-l&container=c",
                "container=c&stdout=true&command=sh&command=-c&command=ls%0A-l",
            ),
            (
                "POST",
                "/api/v1/namespaces/f/pods/p/portforward",
                "ports=80&ports=443",
                "ports=80&ports=443",
            ),
            (
                "POST",
                "/api/v1/namespaces/f/pods/p/attach",
                "stdin=1&tty=0&container=c",
                "container=c&stdin=true&tty=false",
            ),
            ("GET", "/api", "timeout=32s", "timeout=32s"),
            ("GET", "/openapi/v3/api/v1", "hash=AB", "hash=AB"),
            (
                "GET",
                "/readyz",
                "verbose&exclude=etcd&exclude=log",
                "verbose=true&exclude=etcd&exclude=log",
            ),
            ("GET", "/api/v1/nodes/n/proxy/x", "a=b;c&&d", ""),
        ] {
            assert_eq!(
                canonical(method, path, query),
                expected,
                "{method} {path}?{query}"
            );
        }
    }

    #[test]
    fn threat_11_queries_that_could_be_read_twice_are_refused() {
        for (method, path, query, expected) in [
            ("GET", PODS, "watch=no", "`watch`"),
            ("GET", PODS, "watch=True", "`watch`"),
            ("GET", PODS, "watch=", "`watch`"),
            ("GET", PODS, "watch", "no value"),
            ("GET", PODS, "watch=false&watch=true", "twice"),
            ("GET", PODS, "watch=false&w%61tch=true", "twice"),
            ("GET", PODS, "limit=5&&watch=true", "empty"),
            ("GET", PODS, "watch=true;limit=1", "`;`"),
            ("GET", PODS, "limit=0x10", "`limit`"),
            ("GET", PODS, "limit=+5", "`limit`"),
            ("GET", PODS, "limit=-1", "`limit`"),
            ("GET", PODS, "limit=05", "`limit`"),
            ("GET", PODS, "limit=99999999999999999999", "`limit`"),
            (
                "GET",
                PODS,
                "timeoutSeconds=abc&fieldSelector=metadata.name%3Dx",
                "`timeoutSeconds`",
            ),
            (
                "GET",
                PODS,
                "fieldSelector=metadata.name",
                "`fieldSelector`",
            ),
            (
                "GET",
                PODS,
                "fieldSelector=metadata.name%3Da%3Db",
                "`fieldSelector`",
            ),
            (
                "GET",
                PODS,
                "fieldSelector=metadata.name%3Da%2Cmetadata.name%3Db",
                "`fieldSelector`",
            ),
            ("GET", PODS, "fieldSelector=a%3Db%5C", "`fieldSelector`"),
            // It would drop the name that a field selector demands.
            (
                "GET",
                PODS,
                "fieldSelector=metadata.name%3Da&labelSelector=%21%21",
                "`labelSelector`",
            ),
            (
                "DELETE",
                PODS,
                "labelSelector=a%3D%3D%3Db",
                "`labelSelector`",
            ),
            ("GET", PODS, "continue=%zz", "hexadecimal"),
            ("GET", PODS, "continue=%4", "hexadecimal"),
            ("GET", PODS, "continue=%", "hexadecimal"),
            ("GET", PODS, "continue=%ff", "UTF-8"),
            ("GET", PODS, "continue=a%00", "NUL"),
            ("GET", PODS, "continue=a%0a", "control"),
            ("GET", PODS, "Watch=true", "did you mean `watch`?"),
            (
                "GET",
                PODS,
                "labelselector=a",
                "did you mean `labelSelector`?",
            ),
            ("GET", PODS, "whatever=1", "leave it out"),
            ("GET", POD, "watch=true", "not known for get"),
            ("GET", POD, "dryRun=All", "not known"),
            ("POST", PODS, "dryRun=all", "All"),
            ("POST", PODS, "dryRun=", "All"),
            ("POST", PODS, "dryRun=All&dryRun=All", "twice"),
            ("POST", PODS, "force=true", "not known for create"),
            ("DELETE", POD, "propagationPolicy=orphan", "Orphan"),
            ("DELETE", POD, "preconditions=x", "not known for delete"),
            ("DELETE", POD, "fieldManager=x", "not known for delete"),
            ("GET", EXEC, "stdin=yes", "`stdin`"),
            ("GET", EXEC, "command=a%00", "NUL"),
            ("GET", EXEC, "container=a&container=b", "twice"),
            (
                "POST",
                "/api/v1/namespaces/f/pods/p/portforward",
                "ports=0",
                "`ports`",
            ),
            ("GET", "/api/v1/nodes/n/proxy/x", "a\u{7f}", "printable"),
            ("GET", "/api", "timeout=32", "`timeout`"),
            ("GET", "/api", "timeout=-1s", "`timeout`"),
            ("GET", "/api", "watch=true", "not known for this path"),
            ("GET", "/readyz", "verbose=false", "`verbose`"),
        ] {
            let got = sentence(method, path, query);
            assert!(got.contains(expected), "{method} {path}?{query}: {got}");
        }
        let long = format!("continue={}", "a".repeat(32 * 1024 - 8));
        assert!(sentence("GET", PODS, &long).contains("longer"));
        assert!(read("GET", PODS, &long[..32 * 1024]).is_ok());
    }

    #[test]
    fn threat_20_no_sentence_repeats_a_value() {
        for query in [
            "access_token=canary",
            "access_token=canary%zz",
            "limit=canary",
            "labelSelector=canary%2C",
            "labelSelector=canary;",
            "fieldSelector=canary",
            "watch=canary",
            "canary",
        ] {
            let got = sentence("GET", PODS, query);
            assert!(!got.contains("canary"), "{query}: {got}");
        }
    }

    #[test]
    fn names_that_are_no_segment_or_of_a_deletecollection_count_for_nothing() {
        assert_eq!(
            read("GET", PODS, "fieldSelector=metadata.name%3Da%2Fb")
                .unwrap()
                .name,
            None
        );
        assert_eq!(
            read("GET", PODS, "fieldSelector=metadata.name%3D..")
                .unwrap()
                .name,
            None
        );
        assert_eq!(
            read("DELETE", PODS, "fieldSelector=metadata.name%3Da")
                .unwrap()
                .name,
            None
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_written_anew_reads_the_same(text in "[^\\x00-\\x1f\\x7f-\\x9f]{0,30}") {
            let mut query = "continue=".to_owned();
            encode(&text, &mut query);
            let once = canonical("GET", PODS, &query);
            prop_assert_eq!(&once, &query);
            prop_assert_eq!(decode(query.split_once('=').unwrap().1, "it").unwrap(), text);
        }

        #[test]
        fn never_panics(query in ".{0,40}") {
            let _ = read("GET", PODS, &query);
            let _ = read("GET", EXEC, &query);
        }
    }
}
