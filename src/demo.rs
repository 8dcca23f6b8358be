//! The demo's world: what a newcomer needs beside the gate, and what the tests share.
//!
//! A real, local control plane stands here, so that the story and the tests run against
//! the API server itself and not against an idea of it. This room serves no request: no
//! step of the walk imports it, and nothing in it may guard a production cluster.

pub mod issuer;
pub mod kubernetes;
pub mod scene;
pub mod story;
