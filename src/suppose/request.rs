//! A request as people write it down → the request as a client would send it. Part of
//! `suppose`.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

use super::Problem;
use crate::parse::{self, Ask, Embedders};
use crate::refusal::Refusal;

/// A request that was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query at the API server.
    pub target: String,
    /// The body's content type, if there is a body.
    pub content_type: Option<String>,
    /// The body; empty if there is none.
    pub body: Bytes,
}

impl Request {
    /// From a line (`GET /api/v1/pods?watch=1`) and a body. A text is sent as it is; without
    /// a body POST, PUT and PATCH send an empty object, where one can be sent.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn of_line(
        line: &str,
        body: Option<&Value>,
        content_type: Option<&str>,
    ) -> Result<Self, Problem> {
        let problem = |message: String| Problem {
            field: "ask",
            message,
            suggestion: Some("write a method and a path: GET /api/v1/namespaces/web/pods".into()),
        };
        let (method, target) = line
            .trim()
            .split_once(' ')
            .ok_or_else(|| problem("is not a request's line".to_owned()))?;
        let target = target.trim();
        if !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(problem("does not begin with a method".to_owned()));
        }
        if !target.starts_with('/') || target.contains(char::is_whitespace) {
            return Err(problem(
                "does not have one path that begins with \"/\"".to_owned(),
            ));
        }
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| problem("does not begin with a method".to_owned()))?;
        let body = match body {
            None if sends_an_object(&method, target) => "{}".to_owned(),
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(body) => body.to_string(),
        };
        let content_type = (!body.is_empty()).then(|| {
            let guess = || usual_type(&method, &body).to_owned();
            content_type.map_or_else(guess, str::to_owned)
        });
        Ok(Self {
            method,
            target: target.to_owned(),
            content_type,
            body: body.into(),
        })
    }

    /// The line again.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The request as the gate reads it.
    ///
    /// # Errors
    /// As the gate would refuse it.
    pub fn ask(&self, cluster: &str, embedders: &Embedders) -> Result<Ask, Refusal> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*self.target, None),
        };
        let mut headers = HeaderMap::new();
        if let Some(content_type) = &self.content_type {
            let value = HeaderValue::from_str(content_type).map_err(|_| Refusal::Malformed {
                what: "the content type holds characters that no header has".to_owned(),
            })?;
            headers.insert(header::CONTENT_TYPE, value);
        }
        parse::head(cluster.into(), &self.method, path, query, &headers)?
            .with_body(self.body.clone(), embedders)
    }
}

/// Streams take no body, and nobody reads that of a proxied request.
fn sends_an_object(method: &Method, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let streams = ["/exec", "/attach", "/portforward"];
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
        && !streams.iter().any(|end| path.ends_with(end))
}

fn usual_type(method: &Method, body: &str) -> &'static str {
    match (*method == Method::PATCH, body.trim_start().starts_with('[')) {
        (true, true) => "application/json-patch+json",
        (true, false) => "application/merge-patch+json",
        (false, _) => "application/json",
    }
}
