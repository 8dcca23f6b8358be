//! Kubeconfig or service account → a [`Sender`]: the pooled client that carries the gate's
//! own credential. Part of ⑥ forward.
//!
//! Reads the kubeconfig, and runs the credential plugin that it may name; never lets what
//! a plugin printed reach a log, since that is where the credential stands.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{AuthError, ConfigExt};
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};

use super::upstream::UpstreamError;
use crate::refusal::with_causes;

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Where a cluster's address and the gate's credential stand.
#[derive(Debug)]
pub(super) enum Source {
    /// In this file; the current context unless one is named.
    Kubeconfig {
        file: PathBuf,
        context: Option<String>,
    },
    /// In the gate's own pod.
    InCluster,
}

impl Source {
    /// Reads it, and refuses what the gate must not be told to do. No network, no plugin.
    pub(super) async fn read(&self, cluster: &str) -> Result<kube::Config, UpstreamError> {
        let mut config = match self {
            Self::Kubeconfig { file, context } => {
                let explain = |error: &dyn std::fmt::Display| {
                    UpstreamError::Kubeconfig(format!("{}: {error}", file.display()))
                };
                let kubeconfig = Kubeconfig::read_from(file).map_err(|error| explain(&error))?;
                let options = KubeConfigOptions {
                    context: context.clone(),
                    ..KubeConfigOptions::default()
                };
                kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .map_err(|error| explain(&error))?
            }
            Self::InCluster => kube::Config::incluster()
                .map_err(|error| UpstreamError::Kubeconfig(format!("in-cluster: {error}")))?,
        };
        let refused =
            |what: &str| UpstreamError::Credential(format!("cluster {cluster:?}: {what}"));
        if config.auth_info.impersonate.is_some() {
            return Err(refused(
                "the gate's kubeconfig user must not impersonate (`as`); the gate does that per \
                 request",
            ));
        }
        if config.accept_invalid_certs {
            return Err(refused(
                "insecure-skip-tls-verify is not accepted; give certificate-authority",
            ));
        }
        if let Some(exec) = &mut config.auth_info.exec {
            // A gate has no terminal at which somebody could answer a plugin.
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
        Ok(config)
    }
}

/// A pooled client with the gate's credential. A client certificate is part of the TLS
/// connection; any other credential is a header that is added last, after everything that
/// this room has built.
pub(super) struct Sender {
    transport: Transport,
    made: Instant,
}

enum Transport {
    Certificate(Box<Pool>),
    Header(BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>),
}

impl Sender {
    /// Loads certificates and tokens, and runs the plugin: blocks for as long as that takes.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) fn new(config: &kube::Config, connect: Duration) -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        http.set_keepalive(Some(Duration::from_secs(30)));
        http.enforce_http(false);
        // First, because only this one reports what is wrong with a plugin.
        let auth = config.auth_layer().map_err(|error| explained(&error))?;
        let connector = config
            .rustls_https_connector_with_connector(http)
            .map_err(|error| explained(&error))?;
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .set_host(false)
            .build(connector);
        let transport = match auth {
            None => Transport::Certificate(Box::new(pool)),
            Some(layer) => {
                let pool = pool.map_err(|error| -> BoxError { Box::new(error) });
                Transport::Header(BoxCloneSyncService::new(layer.layer(pool)))
            }
        };
        Ok(Self {
            transport,
            made: Instant::now(),
        })
    }

    /// For how long this credential has been in use.
    pub(super) fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// # Errors
    /// A sentence for the operator.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        match &self.transport {
            Transport::Certificate(pool) => pool
                .request(request)
                .await
                .map_err(|error| with_causes(&error)),
            Transport::Header(service) => {
                let sent = service.clone().oneshot(request).await;
                sent.map_err(|error| match error.downcast_ref::<AuthError>() {
                    Some(fault) => plugin(fault),
                    None => with_causes(error.as_ref()),
                })
            }
        }
    }
}

fn explained(error: &kube::Error) -> String {
    match error {
        kube::Error::Auth(fault) => plugin(fault),
        other => with_causes(other),
    }
}

/// kube's own sentences would repeat all that a plugin printed, a credential included.
fn plugin(fault: &AuthError) -> String {
    match fault {
        AuthError::AuthExecRun { cmd, out } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said: String = said.trim().chars().take(300).collect();
            format!(
                "the credential plugin {cmd} failed ({}): {said}",
                out.status
            )
        }
        AuthError::AuthExecParse(_) => {
            "what the credential plugin printed is not an ExecCredential".to_owned()
        }
        other => with_causes(other),
    }
}
