//! `build(Config)` → [`Bound`] (addresses known) → `run()`. Owns the start, the shutdown and
//! what runs beside requests: the index, the sweep of old holds, the probes of readiness.
//!
//! A cluster or an identity provider that cannot be reached is no reason not to start: the
//! gate says so at `/readyz`, refuses what it must, and recovers by itself.

mod beside;
mod door;
mod drain;
mod indexer;
mod operators;
mod reload;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::accept;
use crate::approve::{self, DigestKey, Holds};
use crate::config::{Config, Connection, Kubeconfig, ReadDurability};
use crate::console::{self, Console};
use crate::decide::PolicySet;
use crate::forward::{Deadlines, Upstream};
use crate::identify::{AuthenticationConfiguration, ConfigError, Identifier, Options};
use crate::journey::{Gate, InForce, journey};
use crate::mask::Masks;
use crate::metrics::Metrics;
use crate::record::entry::System;
use crate::record::{Blobs, Ledger, LedgerError, Recorder, Settings};
use crate::store::Store;

use door::{Door, listen};

pub use operators::Readiness;
pub use reload::Reload;

/// The ledger's name, which is also its key's name, for ever.
const LEDGER: &str = "gateward.dev/ledger";

/// Why the gate does not start. Each message says what and where.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A door's address cannot be had.
    #[error(
        "the {door} cannot listen on {address}: {error}; is another process there? choose another address in spec.doors"
    )]
    Listen {
        /// Which door.
        door: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// A directory, key or certificate cannot be used.
    #[error("{0}")]
    Files(String),
    /// An identity configuration cannot be used.
    #[error("{0}")]
    Identity(String),
    /// The ledger cannot be opened, or does not verify.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store of holds and index cannot be opened.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// A cluster's kubeconfig cannot be used.
    #[error(transparent)]
    Cluster(#[from] crate::forward::UpstreamError),
}

/// A gate whose sockets are open but not served yet.
pub struct Bound {
    agents: Door,
    humans: Door,
    operators: TcpListener,
    limits: accept::Limits,
    gate: Arc<Gate>,
    console: Arc<Console>,
    reload: Arc<Reload>,
}

/// Opens everything that the configuration names, and binds the three doors.
///
/// # Errors
/// [`StartError`]; nothing keeps running then.
pub async fn build(config: Config) -> Result<Bound, StartError> {
    let data = config.data_directory.clone();
    directory(&data)?;
    let token_key = secret_key(&data.join("token-id.key"))?;
    let digest_key = secret_key(&data.join("hold-digest.key"))?;
    let mask_key = secret_key(&data.join("pseudonym.key"))?;
    let (agents, humans) = (&config.doors.agents, &config.doors.humans);
    let agents = Door::open("agents' door", agents.listen, &agents.tls).await?;
    let humans = Door::open("humans' door", humans.listen, &humans.tls).await?;
    let operators = listen("operators' listener", config.doors.operators.listen).await?;

    let recorder = recorder(&data, config.record.reads).await?;
    let store = Store::open(&data.join("gateward.db"))?;
    let (at_agents, at_humans) = (&config.agents, &config.humans);
    let identifier = identifier_at(
        &at_agents.authentication,
        &at_humans.authentication,
        &at_agents.allowed_system_names,
        token_key,
    )
    .map_err(|error| StartError::Identity(format!("spec.identity.agents: {error}")))?;
    let people = identifier_at(
        &at_humans.authentication,
        &at_agents.authentication,
        &at_humans.allowed_system_names,
        token_key,
    )
    .map_err(|error| StartError::Identity(format!("spec.identity.humans: {error}")))?;
    let waiting = approve::Limits {
        pending_per_agent: config.holds.max_per_agent as usize,
        ..approve::Limits::default()
    };
    let gate = Arc::new(Gate {
        identifier,
        upstreams: upstreams(&config).await?,
        embedders: config.embedders.clone(),
        in_force: ArcSwap::new(in_force(config.policy.clone(), &mask_key)?),
        holds: Holds::new(store.clone(), waiting, DigestKey::new(digest_key)),
        approver_groups: config.humans.approver_groups.clone(),
        recorder,
        metrics: Metrics::default(),
        body_limit: config.limits.max_body_bytes as usize,
        short_wait: config.holds.short_wait.duration(),
        retry_after: u32::try_from(config.holds.retry_after.duration().as_secs()).unwrap_or(15),
    });
    let console = Arc::new(Console {
        people,
        gate: gate.clone(),
        store,
        auditors: config.humans.auditor_groups.iter().cloned().collect(),
    });
    let reload = Arc::new(Reload::new(gate.clone(), config.policy_sources, mask_key));
    Ok(Bound {
        agents,
        humans,
        operators,
        limits: limits(&config.limits),
        gate,
        console,
        reload,
    })
}

impl Bound {
    /// Where agents connect.
    pub fn agents(&self) -> SocketAddr {
        self.agents.address
    }
    /// Where humans connect.
    pub fn humans(&self) -> SocketAddr {
        self.humans.address
    }
    /// Where health and metrics are.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn operators(&self) -> std::io::Result<SocketAddr> {
        self.operators.local_addr()
    }
    /// Whether everything that the gate needs can be reached; probes once, when awaited.
    pub fn readiness(&self) -> impl Future<Output = Readiness> + use<> {
        let state = self.operators_state();
        async move { operators::probe(&state).await }
    }
    /// Reads the policies again when it is told to, as it does by itself when they change.
    pub fn reload(&self) -> Arc<Reload> {
        self.reload.clone()
    }

    fn operators_state(&self) -> operators::State {
        operators::State {
            gate: self.gate.clone(),
            console: self.console.clone(),
            reload: self.reload.clone(),
        }
    }

    /// Serves until `stop` turns true, then drains and closes the ledger.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let operators_state = self.operators_state();
        let Self {
            agents,
            humans,
            operators,
            limits,
            gate,
            console,
            reload,
        } = self;
        let ledger = gate.recorder.ledger().clone();
        note_start(&gate).await;
        let beside = [
            tokio::spawn(reload.follow(stop.clone())),
            tokio::spawn(beside::sweep(gate.clone(), stop.clone())),
            tokio::spawn(beside::keep_warm(
                gate.clone(),
                console.clone(),
                stop.clone(),
            )),
        ];
        let (done, over) = watch::channel(false);
        let index = tokio::spawn(indexer::follow(ledger.clone(), console.store.clone(), over));

        let at_agents = {
            let gate = gate.clone();
            move |arrival| journey(gate.clone(), arrival)
        };
        let at_humans = {
            let (console, routes) = (console.clone(), console::router(console.clone()));
            move |arrival| console::answer(console.clone(), routes.clone(), arrival)
        };
        let at_operators = {
            let routes = operators::router(operators_state);
            move |arrival| operators::answer(routes.clone(), arrival)
        };
        let door = |door: Door| (door.listener, Some(door.tls));
        let (agents, humans) = (door(agents), door(humans));
        let ((), (), (), deadline) = tokio::join!(
            accept::serve(agents.0, agents.1, limits.clone(), stop.clone(), at_agents),
            accept::serve(humans.0, humans.1, limits.clone(), stop.clone(), at_humans),
            accept::serve(operators, None, limits.clone(), stop.clone(), at_operators),
            drain::deadline(stop, limits.drain),
        );
        drain::records(&gate.recorder, deadline).await;
        for task in beside {
            let _ = task.await;
        }
        note(&gate, System::Stopped);
        let closed = tokio::task::spawn_blocking(move || ledger.close()).await;
        if let Ok(Err(error)) = closed {
            tracing::error!(%error, "the ledger was not closed in order");
        }
        let _ = done.send(true);
        let _ = index.await;
    }
}

async fn note_start(gate: &Arc<Gate>) {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    note(gate, System::Started { version });
    let gate = gate.clone();
    let noted = move || reload::note(&gate, &gate.in_force.load().policy);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(noted).await {
        tracing::error!(error, "the policy is not on record");
    }
}

fn note(gate: &Gate, event: System) {
    if let Err(error) = gate.recorder.system(event) {
        tracing::error!(%error, "the ledger cannot be written");
    }
}

/// Opens the ledger and gives every intent that a crash left open its outcome.
async fn recorder(data: &Path, reads: ReadDurability) -> Result<Recorder, StartError> {
    let data = data.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let ledger = Ledger::open(&data.join("ledger"), &data.join("ledger.key"), LEDGER)?;
        let blobs = Blobs::open(&data.join("blobs")).map_err(|error| {
            StartError::Files(format!("{}: {error}", data.join("blobs").display()))
        })?;
        let settings = Settings {
            durable_reads: reads == ReadDurability::DurableBeforeForward,
            ..Settings::default()
        };
        let recorder = Recorder::new(ledger, blobs, settings, Timestamp::now);
        let unknown = recorder.recover()?;
        if unknown > 0 {
            tracing::warn!(
                unknown,
                "requests were under way when the gate ended last time; marked unknown"
            );
        }
        Ok(recorder)
    });
    opened
        .await
        .unwrap_or_else(|error| Err(StartError::Files(error.to_string())))
}

/// Who proves identities at one door. A token that opens the other one too opens neither.
fn identifier_at(
    own: &AuthenticationConfiguration,
    other: &AuthenticationConfiguration,
    allowed_system_names: &[String],
    token_id_key: [u8; 32],
) -> Result<Identifier, ConfigError> {
    let owned = |(url, audience): (&str, &str)| (url.to_owned(), audience.to_owned());
    let options = Options {
        allowed_system_names: allowed_system_names.to_vec(),
        other_door: other.accepted().map(owned).collect(),
        ..Options::new(token_id_key)
    };
    Identifier::new(own, options)
}

fn in_force(policy: Arc<PolicySet>, key: &[u8; 32]) -> Result<Arc<InForce>, StartError> {
    match Masks::new(&policy, key) {
        Ok(masks) => Ok(Arc::new(InForce {
            policy,
            masks: Arc::new(masks),
        })),
        Err(name) => Err(StartError::Files(format!(
            "the policy names a detector \"{name}\" that there is not"
        ))),
    }
}

async fn upstreams(config: &Config) -> Result<BTreeMap<Arc<str>, Upstream>, StartError> {
    let deadlines = Deadlines {
        connect: config.limits.upstream_connect_timeout.duration(),
        response: config.limits.upstream_response_timeout.duration(),
    };
    let mut upstreams = BTreeMap::new();
    for cluster in &config.clusters {
        let upstream = match &cluster.connection {
            Connection::Kubeconfig(Kubeconfig { file, context }) => {
                Upstream::from_kubeconfig(&cluster.name, file, context.as_deref(), deadlines)
                    .await?
            }
            Connection::InCluster => Upstream::in_cluster(&cluster.name, deadlines).await?,
        };
        upstreams.insert(cluster.name.clone(), upstream);
    }
    Ok(upstreams)
}

fn limits(limits: &crate::config::Limits) -> accept::Limits {
    accept::Limits {
        connections: limits.max_connections as usize,
        head_bytes: limits.max_header_bytes as usize,
        headers: 100,
        streams: limits.max_streams_per_connection,
        handshake: limits.handshake_timeout.duration(),
        idle: limits.idle_timeout.duration(),
        body: limits.body_timeout.duration(),
        drain: limits.shutdown_grace.duration(),
    }
}

/// Only the gate's own user may look into its data.
fn directory(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| {
            StartError::Files(format!("spec.dataDirectory {}: {error}", path.display()))
        })
}

/// A key of the gate's own: under which records name tokens, or holds their requests; made on
/// the first start.
fn secret_key(path: &PathBuf) -> Result<[u8; 32], StartError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed =
        |error: &dyn std::fmt::Display| StartError::Files(format!("{}: {error}", path.display()));
    if let Ok(bytes) = std::fs::read(path) {
        return bytes
            .try_into()
            .map_err(|_| failed(&"is not 32 bytes long"));
    }
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|error| failed(&error))?;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
        .map_err(|error| failed(&error))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{LedgerError, StartError};

    #[test]
    fn why_it_does_not_start_is_said_once() {
        let inner = LedgerError::Locked("data".into());
        let told = format!("{:#}", anyhow::Error::from(StartError::from(inner.clone())));
        assert_eq!(told, inner.to_string());
    }
}
