//! What objects and patches mean, case by case. Here: how the tests ask, and of what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use http::Method;

use super::*;
use crate::parse::{json, path};

mod asks;
mod embedded;
mod limits;
mod objects;
mod patches;
mod pods;
mod roles;
mod standards;

fn info(method: &str, path: &str) -> RequestInfo {
    path::parse(&method.parse::<Method>().unwrap(), path).unwrap()
}

fn node(text: &str) -> Node {
    json::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"))
}

fn whole(path: &str, object: &str) -> ObjectFacts {
    of_result(
        &info("POST", path),
        &node(object),
        &Old::Absent,
        &Embedders::default(),
    )
    .unwrap()
}

fn body(media: Media, path: &str, text: &str) -> ObjectFacts {
    let method = if media == Media::Json {
        "POST"
    } else {
        "PATCH"
    };
    let embedders = Embedders::default();
    of_body(&info(method, path), &media, &node(text), &embedders).unwrap()
}

fn pairs(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|found| (&*found.field, &*found.value))
        .collect()
}

fn fields(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|found| &*found.field).collect()
}

fn controls<'a>(violations: impl Iterator<Item = &'a Violation>) -> Vec<Control> {
    violations.map(|found| found.control).collect()
}

const PODS: &str = "/api/v1/namespaces/f/pods";
const POD: &str = "/api/v1/namespaces/f/pods/p";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const SERVICES: &str = "/api/v1/namespaces/f/services";
const NAMESPACE: &str = "/api/v1/namespaces/f";
