//! A manifest as kubectl takes it → the request that kubectl would make of it. Part of
//! `suppose`. Kubernetes' own kinds are known; of others the resource has to be said.

use http::Method;
use serde_json::Value;

use super::{Problem, Request};
use crate::config::cases::ManifestVerb;
use crate::parse::builtin::{self, Builtin};

/// What is to be done with a manifest.
#[derive(Debug, Clone, Copy)]
pub struct Manifest<'a> {
    /// The object.
    pub object: &'a Value,
    /// What is done with it.
    pub verb: ManifestVerb,
    /// Its resource, if its kind is not Kubernetes' own.
    pub resource: Option<&'a str>,
    /// The subresource that it goes to.
    pub subresource: Option<&'a str>,
    /// The namespace of an object that names none.
    pub namespace: &'a str,
}

/// The request that a client would make.
///
/// # Errors
/// What is missing in the manifest.
pub fn of_manifest(manifest: Manifest<'_>) -> Result<Request, Problem> {
    let object = manifest.object;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let needed = |pointer: &'static str, suggestion: &str| {
        text(pointer)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Problem {
                field: "manifest",
                message: format!(
                    "has no {}",
                    pointer.trim_start_matches('/').replace('/', ".")
                ),
                suggestion: Some(suggestion.to_owned()),
            })
    };
    let api_version = needed("/apiVersion", "write apiVersion: v1, or apps/v1")?;
    let kind = needed("/kind", "write kind: Pod")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let known = builtin::kind(group, kind);
    let resource = resource(&manifest, known, group, kind)?;
    let namespace = text("/metadata/namespace");
    let namespace = match known.or_else(|| builtin::resource(group, resource)) {
        Some(known) if !known.namespaced => None,
        Some(_) => Some(namespace.unwrap_or(manifest.namespace)),
        // Of a custom resource only its manifest tells.
        None => namespace,
    };
    let mut path = match group {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    };
    if let Some(namespace) = namespace {
        path += &format!("/namespaces/{namespace}");
    }
    path += &format!("/{resource}");
    let subresource = manifest.subresource.filter(|it| !it.is_empty());
    if manifest.verb != ManifestVerb::Create || subresource.is_some() {
        path += &format!("/{}", needed("/metadata/name", "name the object")?);
    }
    if let Some(subresource) = subresource {
        path += &format!("/{subresource}");
    }
    Ok(with_verb(manifest.verb, path, object))
}

fn resource<'a>(
    manifest: &Manifest<'a>,
    known: Option<Builtin>,
    group: &str,
    kind: &str,
) -> Result<&'a str, Problem> {
    if let Some(resource) = manifest.resource {
        return Ok(resource);
    }
    let of_no_group = builtin::all().find(|known| known.kind == kind);
    known.map(|known| known.resource).ok_or_else(|| Problem {
        field: "manifest",
        message: format!("the resource of {kind:?} in the group {group:?} is not known"),
        suggestion: Some(match of_no_group {
            Some(known) if builtin::is_group(group) => {
                format!("did you mean the group {:?}?", known.group)
            }
            _ => "say it, in the plural, with \"resource\"".to_owned(),
        }),
    })
}

fn with_verb(verb: ManifestVerb, path: String, object: &Value) -> Request {
    let json = Some("application/json");
    let (method, content_type) = match verb {
        ManifestVerb::Create => (Method::POST, json),
        ManifestVerb::Update => (Method::PUT, json),
        ManifestVerb::Patch => (Method::PATCH, Some("application/merge-patch+json")),
        ManifestVerb::Apply => (Method::PATCH, Some("application/apply-patch+yaml")),
        ManifestVerb::Delete => (Method::DELETE, None),
        ManifestVerb::Get => (Method::GET, None),
    };
    let target = match verb {
        ManifestVerb::Apply => format!("{path}?fieldManager=kubectl"),
        _ => path,
    };
    Request {
        method,
        target,
        content_type: content_type.map(str::to_owned),
        body: match content_type {
            Some(_) => object.to_string().into(),
            None => bytes::Bytes::new(),
        },
    }
}
