//! One cluster's pooled client: kubeconfig or in-cluster credential, TLS, HTTP/1.1.
//!
//! HTTP/1.1 because one HTTP/2 connection would share a hundred streams among all agents,
//! and a few watches would starve the rest; pooled HTTP/1.1 connections are also cheaper.

use std::path::Path;
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};

use super::Authority;
use crate::refusal::with_causes;

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why a cluster cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The kubeconfig cannot be read or lacks what is named.
    #[error("{0}")]
    Kubeconfig(String),
    /// The credential or the certificate authority in it cannot be used.
    #[error("{0}")]
    Credential(String),
}

/// How long a cluster may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// To be reached.
    pub connect: Duration,
    /// To begin an answer; the API server gives up on plain requests itself after 60 s.
    pub response: Duration,
}

/// A registered cluster and the gate's own credential for it.
pub struct Upstream {
    name: String,
    authority: Authority,
    sender: Sender,
    deadlines: Deadlines,
}

/// A client certificate is part of the TLS connection; any other credential is a header
/// that is added last, after everything that this room has built.
enum Sender {
    Certificate(Box<Pool>),
    Header(BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>),
}

impl Upstream {
    /// From a kubeconfig file; the current context unless one is named. No network.
    ///
    /// # Errors
    /// [`UpstreamError`] with a sentence that names the file and what to do.
    pub async fn from_kubeconfig(
        name: &str,
        file: &Path,
        context: Option<&str>,
        deadlines: Deadlines,
    ) -> Result<Self, UpstreamError> {
        let explain = |error: &dyn std::fmt::Display| {
            UpstreamError::Kubeconfig(format!("{}: {error}", file.display()))
        };
        let kubeconfig = Kubeconfig::read_from(file).map_err(|error| explain(&error))?;
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| explain(&error))?;
        Self::new(name, config, deadlines)
    }

    /// From the service account that Kubernetes mounts into the gate's own pod.
    ///
    /// # Errors
    /// [`UpstreamError`] when the gate does not run in a pod.
    pub fn in_cluster(name: &str, deadlines: Deadlines) -> Result<Self, UpstreamError> {
        let config = kube::Config::incluster()
            .map_err(|error| UpstreamError::Kubeconfig(format!("in-cluster: {error}")))?;
        Self::new(name, config, deadlines)
    }

    fn new(name: &str, config: kube::Config, deadlines: Deadlines) -> Result<Self, UpstreamError> {
        let credential =
            |what: String| UpstreamError::Credential(format!("cluster {name:?}: {what}"));
        if config.auth_info.impersonate.is_some() {
            return Err(credential(
                "the gate's kubeconfig user must not impersonate (`as`); the gate does that per \
                 request"
                    .to_owned(),
            ));
        }
        if config.accept_invalid_certs {
            return Err(credential(
                "insecure-skip-tls-verify is not accepted; give certificate-authority".to_owned(),
            ));
        }
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(deadlines.connect));
        http.set_keepalive(Some(Duration::from_secs(30)));
        http.enforce_http(false);
        let connector = config
            .rustls_https_connector_with_connector(http)
            .map_err(|error| credential(error.to_string()))?;
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .set_host(false)
            .build(connector);
        let auth = config
            .auth_layer()
            .map_err(|error| credential(error.to_string()))?;
        let sender = match auth {
            None => Sender::Certificate(Box::new(pool)),
            Some(layer) => {
                let pool = pool.map_err(|error| -> BoxError { Box::new(error) });
                Sender::Header(BoxCloneSyncService::new(layer.layer(pool)))
            }
        };
        Ok(Self {
            name: name.to_owned(),
            authority: authority(name, &config.cluster_url)?,
            sender,
            deadlines,
        })
    }

    /// The cluster's configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Asks `/version` with the gate's own credential: is the cluster there, and does it
    /// know us?
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        let uri = http::Uri::builder()
            .scheme(self.authority.scheme.clone())
            .authority(self.authority.authority.clone())
            .path_and_query("/version")
            .build()
            .map_err(|error| error.to_string())?;
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        request
            .headers_mut()
            .insert(http::header::HOST, self.authority.host.clone());
        let response = tokio::time::timeout(Duration::from_secs(5), self.send(request))
            .await
            .map_err(|_| "no answer within 5 s".to_owned())??;
        match response.status().as_u16() {
            200 | 403 => Ok(()),
            401 => {
                Err("the cluster does not accept the gate's credential (401): renew it".to_owned())
            }
            status => Err(format!("GET /version answered {status}")),
        }
    }

    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        match &self.sender {
            Sender::Certificate(pool) => pool
                .request(request)
                .await
                .map_err(|error| with_causes(&error)),
            Sender::Header(service) => {
                let sent = service.clone().oneshot(request).await;
                sent.map_err(|error| with_causes(error.as_ref()))
            }
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn authority(name: &str, url: &http::Uri) -> Result<Authority, UpstreamError> {
    let wrong =
        |what: &str| UpstreamError::Kubeconfig(format!("cluster {name:?}: server {url}: {what}"));
    if url.scheme_str() != Some("https") {
        return Err(wrong("must be https"));
    }
    if !matches!(url.path(), "" | "/") {
        return Err(wrong("must not have a path"));
    }
    let authority = url.authority().ok_or_else(|| wrong("has no host"))?;
    Ok(Authority {
        scheme: http::uri::Scheme::HTTPS,
        authority: authority.clone(),
        host: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("has no valid host"))?,
    })
}
