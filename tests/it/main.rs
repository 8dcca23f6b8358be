//! The integration tests: one binary, so that one control plane serves them all.
//!
//! `harness` brings up what is real (etcd, kube-apiserver, kubectl, a kwok node, an OIDC
//! issuer over TLS, the gate); each other file is about one room or one promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a test stops loudly"
)]

mod bad_input;
mod canaries;
mod cel;
mod demo;
mod docs;
mod foresee;
mod harness;
mod journey;
mod masking;
mod oracle;
mod pod_security;
mod protobuf;
mod reload;
mod request_info;
mod suppose;
mod survey;
mod threats;
mod tidy;
