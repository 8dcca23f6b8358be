//! One cluster's pooled client: kubeconfig or in-cluster credential, TLS, HTTP/1.1.
//!
//! HTTP/1.1 because one HTTP/2 connection would share a hundred streams among all agents,
//! and a few watches would starve the rest; pooled HTTP/1.1 connections are also cheaper.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::Authority;
use super::credential::{Sender, Source};

/// For how long a fault of the credential stands before it is tried again, and a
/// credential that the cluster refused before it is read again.
const PAUSE: Duration = Duration::from_secs(3);

/// How long a request waits for the gate's credential.
const PATIENCE: Duration = Duration::from_secs(10);

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
    deadlines: Deadlines,
    source: Source,
    /// Made when it is first needed, since a credential plugin may take long or fail; made
    /// anew once the cluster has refused it.
    sender: ArcSwapOption<Sender>,
    making: Mutex<Making>,
}

/// The one attempt at a time to make a sender.
#[derive(Default)]
struct Making {
    running: Option<JoinHandle<Result<Sender, String>>>,
    failed: Option<(Instant, String)>,
}

impl Upstream {
    /// From a kubeconfig file; the current context unless one is named. No network, and no
    /// credential plugin runs yet.
    ///
    /// # Errors
    /// [`UpstreamError`] with a sentence that names the file and what to do.
    pub async fn from_kubeconfig(
        name: &str,
        file: &Path,
        context: Option<&str>,
        deadlines: Deadlines,
    ) -> Result<Self, UpstreamError> {
        let source = Source::Kubeconfig {
            file: file.to_owned(),
            context: context.map(str::to_owned),
        };
        Self::open(name, source, deadlines).await
    }

    /// From the service account that Kubernetes mounts into the gate's own pod.
    ///
    /// # Errors
    /// [`UpstreamError`] when the gate does not run in a pod.
    pub async fn in_cluster(name: &str, deadlines: Deadlines) -> Result<Self, UpstreamError> {
        Self::open(name, Source::InCluster, deadlines).await
    }

    async fn open(name: &str, source: Source, deadlines: Deadlines) -> Result<Self, UpstreamError> {
        let config = source.read(name).await?;
        Ok(Self {
            name: name.to_owned(),
            authority: authority(name, &config.cluster_url)?,
            deadlines,
            source,
            sender: ArcSwapOption::empty(),
            making: Mutex::default(),
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
            401 => Err(
                "the cluster does not accept the gate's credential (401): renew it where the \
                 configuration's kubeconfig has it"
                    .to_owned(),
            ),
            status => Err(format!("GET /version answered {status}")),
        }
    }

    /// Sends a request with the gate's credential; one that the cluster does not accept is
    /// read again before a later request.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        let sender = self.sender().await?;
        let response = sender.send(request).await?;
        if response.status() == http::StatusCode::UNAUTHORIZED && sender.age() > PAUSE {
            self.sender.store(None);
        }
        Ok(response)
    }

    async fn sender(&self) -> Result<Arc<Sender>, String> {
        if let Some(sender) = self.sender.load_full() {
            return Ok(sender);
        }
        let mut making = self.making.lock().await;
        if let Some(sender) = self.sender.load_full() {
            return Ok(sender); // somebody else was faster
        }
        match &making.failed {
            Some((at, fault)) if at.elapsed() < PAUSE => return Err(fault.clone()),
            _ => {}
        }
        match self.make(&mut making).await {
            Ok(sender) => {
                let sender = Arc::new(sender);
                self.sender.store(Some(sender.clone()));
                making.failed = None;
                Ok(sender)
            }
            Err(fault) => {
                making.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    /// A plugin that hangs holds one thread, however many requests wait for it.
    async fn make(&self, making: &mut Making) -> Result<Sender, String> {
        let task = match &mut making.running {
            Some(task) => task,
            none => {
                let config = self.source.read(&self.name).await;
                let config = config.map_err(|error| error.to_string())?;
                let read = authority(&self.name, &config.cluster_url);
                if read.map_err(|error| error.to_string())?.authority != self.authority.authority {
                    return Err("the kubeconfig names another server now: restart the gate".into());
                }
                let connect = self.deadlines.connect;
                let new = move || Sender::new(&config, connect);
                none.insert(tokio::task::spawn_blocking(new))
            }
        };
        let Ok(ended) = tokio::time::timeout(PATIENCE, task).await else {
            let seconds = PATIENCE.as_secs();
            return Err(format!(
                "the gate's credential is not there after {seconds} s: its plugin hangs"
            ));
        };
        making.running = None;
        ended.map_err(|error| format!("the gate's credential cannot be made: {error}"))?
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
