//! Requests by chance: most of them nearly right, for nothing is learned from noise, which
//! both sides refuse. The same seed makes the same requests.

use super::Line;

/// A source of chance (SplitMix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const METHODS: &[&str] = &[
    "GET", "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE",
    "DELETE",
];
const STRANGE_METHODS: &[&str] = &["OPTIONS", "TRACE", "CONNECT", "get", "WATCH", "LIST", "P"];
const NON_RESOURCES: &[&str] = &[
    "/",
    "/api",
    "/api/v1",
    "/apis",
    "/apis/apps",
    "/apis/apps/v1",
    "/version",
    "/healthz",
    "/livez/etcd",
    "/readyz",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3/apis/apps/v1",
    "/.well-known/openid-configuration",
    "/API/v1/pods",
    "/apiz/v1/pods/a",
    "/logs/api/v1/pods",
];
const PREFIXES: &[&str] = &[
    "/api/v1",
    "/api/v1",
    "/api/v1",
    "/apis/apps/v1",
    "/apis/rbac.authorization.k8s.io/v1",
    "/apis/example.com/v1alpha1",
    "/api/watch",
    "/apis/proxy/namespaces",
];
const RESOURCES: &[&str] = &[
    "pods",
    "pods",
    "secrets",
    "services",
    "nodes",
    "deployments",
    "namespaces",
    "clusterroles",
    "watch",
    "proxy",
    "status",
    "finalize",
    "exec",
];
const NAMES: &[&str] = &[
    "a",
    "web-0",
    "system:node",
    "https:web:443",
    "default",
    "status",
    "finalize",
    "namespaces",
    "watch",
    "proxy",
    "exec",
    "a.b",
    "A",
    "...",
    "a+b",
    "a,b=c",
    "~!$&'()*@",
];
const SUBRESOURCES: &[&str] = &[
    "status",
    "finalize",
    "log",
    "exec",
    "attach",
    "portforward",
    "proxy",
    "scale",
    "eviction",
    "binding",
    "token",
    "ephemeralcontainers",
    "resize",
    "approval",
    "pods",
    "namespaces",
];
const TAILS: &[&str] = &[
    "",
    "/",
    "/x",
    "/a/b",
    "//",
    "/..",
    "/%2e%2e/%41",
    "/%zz",
    "/a;b",
];
/// What edits put in.
const PIECES: &[&str] = &[
    "/",
    "//",
    "/.",
    "/..",
    "%2f",
    "%2F",
    "%",
    "%zz",
    "%4",
    "%00",
    "%ff",
    "%61",
    "%25",
    ";",
    ";x=1",
    "?",
    "#",
    "&",
    "=",
    "+",
    " ",
    "\t",
    "\u{0}",
    "\u{7f}",
    "\u{e9}",
    "\\",
    "\"",
    ":",
    ",",
    "!",
    "(",
    ")",
    "<",
    "~",
    "watch",
    "watch/",
    "proxy/",
    "namespaces/",
    "&watch=true",
    "&watch=0",
    "in",
    "A",
];

/// One request line.
pub fn request(chance: &mut Chance) -> Line {
    let method = if chance.once_in(40) {
        chance.of(STRANGE_METHODS)
    } else {
        chance.of(METHODS)
    };
    let (mut target, shape) = path(chance, method);
    if chance.once_in(8) {
        edit(chance, &mut target);
    }
    if !chance.once_in(4) {
        target.push('?');
        target += &query(chance, method, shape);
    }
    if chance.once_in(12) {
        edit(chance, &mut target);
    }
    Line::new(method, &target)
}

/// What the path is about, as far as its query is concerned.
#[derive(Clone, Copy)]
enum Shape {
    Nothing,
    Collection,
    Object,
    Subresource(&'static str),
}

fn path(chance: &mut Chance, method: &str) -> (String, Shape) {
    let reads = matches!(method, "GET" | "HEAD");
    if chance.once_in(if reads { 12 } else { 60 }) {
        return (chance.of(NON_RESOURCES).to_owned(), Shape::Nothing);
    }
    let mut path = chance.of(PREFIXES).to_owned();
    if chance.once_in(30) {
        path += chance.of(&["/watch", "/proxy"]);
    }
    let mut push = |part: &str| {
        path.push('/');
        path += part;
    };
    if !chance.once_in(3) {
        push("namespaces");
        push(chance.of(NAMES));
    }
    // Collections often, for there the query decides the verb and the name.
    let parts = chance.of(&["1", "1", "1", "1", "2", "2", "3", "3", "0"]);
    if parts == "0" {
        return (path, Shape::Object);
    }
    push(chance.of(RESOURCES));
    if parts == "1" {
        return (path, Shape::Collection);
    }
    push(chance.of(NAMES));
    if parts == "2" {
        return (path, Shape::Object);
    }
    let subresource = chance.of(SUBRESOURCES);
    push(subresource);
    if subresource == "proxy" || chance.once_in(20) {
        path += chance.of(TAILS);
    }
    (path, Shape::Subresource(subresource))
}

/// Something is put in, taken out, encoded, doubled, or changes its case.
fn edit(chance: &mut Chance, target: &mut String) {
    let places: Vec<usize> = target.char_indices().map(|(at, _)| at).collect();
    let Some(&at) = places.get(chance.below(places.len().max(1))) else {
        return;
    };
    let here = target[at..].chars().next().unwrap();
    match chance.below(6) {
        0 | 1 => target.insert_str(at, chance.of(PIECES)),
        2 => drop(target.remove(at)),
        3 if here.is_ascii() => {
            let encoded = format!("%{:02x}", u32::from(here));
            target.replace_range(at..=at, &encoded);
        }
        4 if here.is_ascii_alphabetic() => {
            let other = if here.is_ascii_lowercase() {
                here.to_ascii_uppercase()
            } else {
                here.to_ascii_lowercase()
            };
            target.replace_range(at..=at, &other.to_string());
        }
        _ => target.insert(at, here),
    }
}

const ANY: &[&str] = &["pretty", "timeout"];
// What decides the verb and the name comes up most.
const LIST: &[&str] = &[
    "fieldSelector",
    "fieldSelector",
    "fieldSelector",
    "fieldSelector",
    "labelSelector",
    "watch",
    "watch",
    "watch",
    "watch",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "shardSelector",
    "includeObject",
    "timeout",
    "pretty",
];
const GET: &[&str] = &["resourceVersion", "includeObject", "timeout", "pretty"];
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "pretty"];
const DELETE: &[&str] = &[
    "dryRun",
    "gracePeriodSeconds",
    "propagationPolicy",
    "orphanDependents",
];
const DELETE_COLLECTION: &[&str] = &[
    "fieldSelector",
    "labelSelector",
    "dryRun",
    "gracePeriodSeconds",
    "limit",
    "resourceVersion",
];
const EXEC: &[&str] = &["command", "command", "container", "stdin", "stdout", "tty"];
const LOG: &[&str] = &["container", "follow", "tailLines", "sinceTime"];

fn query(chance: &mut Chance, method: &str, shape: Shape) -> String {
    let fitting = match (shape, method) {
        (Shape::Nothing, _) => ANY,
        (Shape::Subresource("exec"), _) => EXEC,
        (Shape::Subresource("portforward"), _) => &["ports"],
        (Shape::Subresource("log"), "GET") => LOG,
        (Shape::Collection, "GET" | "HEAD") => LIST,
        (Shape::Collection, "DELETE") => DELETE_COLLECTION,
        (_, "GET" | "HEAD") => GET,
        (_, "DELETE") => DELETE,
        _ => WRITE,
    };
    let mut pairs: Vec<String> = Vec::new();
    for _ in 0..=chance.below(3) {
        let from = if chance.once_in(40) { LIST } else { fitting };
        let name = chance.of(from);
        let there = |pair: &String| pair.split('=').next() == Some(name);
        if pairs.iter().any(there) && !chance.once_in(20) {
            continue;
        }
        let value = value(chance, name);
        let mut pair = format!("{name}={}", encoded(chance, &value));
        if chance.once_in(15) {
            edit(chance, &mut pair);
        }
        pairs.push(pair);
    }
    pairs.join("&")
}

const STRANGE_VALUES: &[&str] = &[
    "",
    "yes",
    "no",
    "True",
    "FALSE",
    "-1",
    "+5",
    "0x10",
    "99999999999999999999",
    "a b",
    "é",
    "\n",
    "\u{0}",
    ";",
    "%",
    "all",
    "..",
];

fn value(chance: &mut Chance, name: &str) -> String {
    if chance.once_in(15) {
        return chance.of(STRANGE_VALUES).to_owned();
    }
    match name {
        "fieldSelector" => return field_selector(chance),
        "labelSelector" => return label_selector(chance),
        _ => {}
    }
    let usual: &[&str] = match name {
        "watch"
        | "allowWatchBookmarks"
        | "sendInitialEvents"
        | "pretty"
        | "force"
        | "follow"
        | "orphanDependents"
        | "stdin"
        | "stdout"
        | "tty" => &["true", "false", "1", "0"],
        "limit" | "timeoutSeconds" | "gracePeriodSeconds" | "tailLines" => &["0", "1", "500"],
        "continue" => &["", "eyJ2Ijoi==", "a+b/c"],
        "resourceVersion" => &["", "0", "12345"],
        "resourceVersionMatch" => &["Exact", "NotOlderThan"],
        "shardSelector" => &["shardRange(object.metadata.uid, '0x0', '0x8')", "!"],
        "includeObject" => &["None", "Metadata", "Object"],
        "timeout" => &["32s", "1m30s", "0"],
        "dryRun" => &["All"],
        "fieldManager" => &["kubectl", "a b"],
        "fieldValidation" => &["Ignore", "Warn", "Strict"],
        "propagationPolicy" => &["Background", "Foreground", "Orphan"],
        "command" => &["sh", "-c", "ls -l | grep x; id", "a\nb", "", "é"],
        "ports" => &["80", "8443"],
        "sinceTime" => &["2026-11-25T00:00:00Z"],
        _ => &["c"],
    };
    chance.of(usual).to_owned()
}

fn field_selector(chance: &mut Chance) -> String {
    let term = |chance: &mut Chance| {
        let field = chance.of(&[
            "metadata.name",
            "metadata.name",
            "metadata.namespace",
            "status.phase",
            " metadata.name",
            "metadata\\.name",
            "a!b",
            "",
        ]);
        let operator = chance.of(&["=", "=", "=", "==", "!=", "===", "=!", "!", ""]);
        let value = chance.of(&[
            "a", "a", "web-0", "", ".", "..", "...", "a/b", "a%b", "a\\,b", "a\\=b", "a\\\\",
            "a\\", "a\\b", "a=b", " a", "é",
        ]);
        // Mostly the plain form, so that many are accepted.
        match chance.below(4) {
            0 => format!("{field}{operator}{value}"),
            1 => format!("metadata.name={value}"),
            _ => "metadata.name=web-0".to_owned(),
        }
    };
    list(chance, term)
}

fn label_selector(chance: &mut Chance) -> String {
    let term = |chance: &mut Chance| {
        let key = chance.of(&[
            "app", "app", "a.b/c", "A_b", "in", "notin", "-a", "a/b/c", "/a", "a/", "", "é", "A/b",
        ]);
        let value = chance.of(&["web", "v1.2_3", "", "in", "-x", "x-", "7", "a b", "é"]);
        match chance.below(9) {
            0 => key.to_owned(),
            1 => format!("!{key}"),
            2 => format!("{key} in ({value},b)"),
            3 => format!("{key} notin ({value})"),
            4 => format!("{key} {} {value}", chance.of(&["=", "!=", ">", "in"])),
            5 => {
                let operator = chance.of(&["==", "===", "=!", ">", "<", "!", " in(", " notin (, "]);
                format!("{key}{operator}{value}{}", chance.of(&["", "", ")"]))
            }
            6 => format!("{key}!={value}"),
            _ => format!("app={value}"),
        }
    };
    list(chance, term)
}

/// One label selector, often broken.
pub fn edited_label_selector(chance: &mut Chance) -> String {
    let mut selector = label_selector(chance);
    while chance.once_in(2) {
        edit(chance, &mut selector);
    }
    selector
}

fn list(chance: &mut Chance, term: impl Fn(&mut Chance) -> String) -> String {
    let mut text = term(chance);
    while chance.once_in(4) {
        text += chance.of(&[",", ",", ", ", ",,"]);
        text += &term(chance);
    }
    text
}

/// As clients encode, sparingly, or more than needed.
fn encoded(chance: &mut Chance, value: &str) -> String {
    match chance.below(4) {
        0 => value
            .replace('%', "%25")
            .replace('&', "%26")
            .replace('+', "%2b")
            .replace('#', "%23")
            .replace(';', "%3B")
            .replace(' ', "+")
            .replace('\n', "%0a")
            .replace('\u{0}', "%00")
            .replace('é', "%c3%a9"),
        1 => value.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        _ => url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
    }
}
