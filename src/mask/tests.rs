//! Tests of ⑦ mask: tables of real documents, attacks, and a slow, obvious masker on a DOM
//! with which the room must agree on any document, however it is cut. Here: how they ask.

use http::Method;

use super::*;
use crate::decide::PolicySet;
use crate::identify::Caller;
use crate::parse::RequestInfo;

mod answers;
mod attacks;
mod differential;
mod documents;
mod lines;
mod masks;
mod output;
mod packed;
mod pieces;
mod quoted;
mod restored;

const CANARY: &str = "canary-7f3a";
const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
const LAST_MASK: &str =
    "{\"metadata\":{\"annotations\":{\"gateward/masked\":\"gateward:masked\"}}}\n";

fn info(verb: &'static str, group: &str, resource: &str, subresource: &str) -> RequestInfo {
    RequestInfo {
        is_resource: true,
        verb,
        api_group: group.to_owned(),
        api_version: "v1".to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: "default".to_owned(),
        name: String::new(),
        path: String::new(),
    }
}

fn at_path(verb: &'static str, path: &str) -> RequestInfo {
    RequestInfo {
        is_resource: false,
        path: path.to_owned(),
        ..info(verb, "", "", "")
    }
}

fn caller() -> Caller {
    Caller::for_test("triage-bot", Some("alice@example.com"), &["agents"])
}

/// The mask rules of a policy, in YAML from their list on.
fn masks(rules: &str) -> Arc<Masks> {
    let text = format!(
        "{{apiVersion: gateward.dev/v1alpha1, kind: Policy, metadata: {{name: p}}, spec: {{masks: [{rules}]}}}}"
    );
    let policy = serde_saphyr::from_str(&text).unwrap();
    let set = PolicySet::compile(vec![policy]).unwrap_or_else(|e| panic!("{e:?}"));
    Arc::new(Masks::new(&set, &[7; 32]).unwrap())
}

fn no_masks() -> Arc<Masks> {
    Arc::new(Masks::new(&PolicySet::compile(Vec::new()).unwrap(), &[7; 32]).unwrap())
}

fn plan_of(ask: &Ask) -> Plan {
    Plan::new(&no_masks(), &caller(), ask).unwrap()
}

fn masking() -> Arc<Masking> {
    let ask = Ask::for_test("prod", "GET", "/api/v1/pods", "");
    Arc::new(Masking::of(&no_masks(), &caller(), &ask))
}

fn plan(info: &RequestInfo) -> Plan {
    Plan::of(info, &Method::GET, masking())
}

fn masker(info: &RequestInfo, status: u16) -> Masker {
    Masker::new(&plan(info), status, Some("application/json"), None).unwrap()
}

fn run(mut masker: Masker, chunks: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(masker.feed(Bytes::copy_from_slice(chunk))?.as_bytes());
    }
    out.extend_from_slice(masker.finish()?.as_bytes());
    Ok(out)
}

/// Masks in one piece, and proves that single bytes and every split in two give the same.
fn mask_at(info: &RequestInfo, status: u16, document: &str) -> Result<String, Refusal> {
    let bytes = document.as_bytes();
    let whole = run(masker(info, status), &[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let reference = whole.clone().map_err(|_| ());
    assert_eq!(
        run(masker(info, status), &single).map_err(|_| ()),
        reference
    );
    for cut in 0..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        let halves = run(masker(info, status), &[head, tail]).map_err(|_| ());
        assert_eq!(halves, reference, "cut at {cut}");
    }
    whole.map(|masked| String::from_utf8(masked).unwrap())
}

fn mask_ok(info: &RequestInfo, document: &str) -> String {
    mask_at(info, 200, document).unwrap()
}

fn secrets(verb: &'static str) -> RequestInfo {
    info(verb, "", "secrets", "")
}

fn pods(verb: &'static str) -> RequestInfo {
    info(verb, "", "pods", "")
}

/// One row: an ask, what the API server says, what the agent sees.
fn table(rows: &[(RequestInfo, String, String)]) {
    for (info, said, seen) in rows {
        assert_eq!(&mask_ok(info, said), seen, "{said}");
    }
}

/// `said` with its canaries in place of `@`, `seen` with masks in place of `#` (base64),
/// `%` (plain) and `&` (last applied).
fn row(info: RequestInfo, said: &str, seen: &str) -> (RequestInfo, String, String) {
    let last = serde_json::to_string(LAST_MASK).unwrap();
    (
        info,
        said.replace('@', &format!("\"{CANARY}\"")),
        seen.replace('#', &format!("\"{MASK_BASE64}\""))
            .replace('%', &format!("\"{MASK}\""))
            .replace('&', &last),
    )
}
