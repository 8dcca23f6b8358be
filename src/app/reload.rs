//! Policies come into force without a restart: when their files change, all of them are read
//! again and checked while requests go on. Part of `app`, beside the requests.
//!
//! A policy that cannot be used, or not be recorded, changes nothing: the one before stays
//! in force, and log, metrics and `/readyz` say why.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use crate::accept::told;
use crate::config::{Diagnostic, PolicySources, fingerprint, load_policies};
use crate::decide::PolicySet;
use crate::journey::Gate;
use crate::record::entry::System;

/// How often the files are looked at. They are read by content, not watched: that is true of
/// every file system and of a mounted ConfigMap, whose files change by a link above them.
const EVERY: Duration = Duration::from_secs(1);

/// Reads policies again, by itself and when told to.
pub struct Reload {
    gate: Arc<Gate>,
    sources: PolicySources,
    /// What pseudonyms are made with.
    mask_key: [u8; 32],
    /// Why the files are not what is in force.
    problem: ArcSwapOption<String>,
    /// One load at a time, so that the last one is of the newest files.
    turn: Mutex<()>,
}

impl Reload {
    pub(super) fn new(gate: Arc<Gate>, sources: PolicySources, mask_key: [u8; 32]) -> Self {
        Self {
            gate,
            sources,
            mask_key,
            problem: ArcSwapOption::empty(),
            turn: Mutex::new(()),
        }
    }

    /// Why the policy in force is not that of the files; `None` if it is.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.load().as_deref().cloned()
    }

    /// Reads the files and puts their policy into force, or says why not.
    pub async fn load(&self) {
        let _turn = self.turn.lock().await;
        let sources = self.sources.clone();
        let outcome = match spawn_blocking(move || load_policies(&sources)).await {
            Ok(Ok(set)) => self.install(set).await,
            Ok(Err(problems)) => Err(refused(&problems)),
            Err(error) => Err(error.to_string()),
        };
        self.gate.metrics.policy_read(outcome.is_ok());
        let problem = outcome.err().map(|why| {
            let digest = self.gate.in_force.load().policy.digest().to_owned();
            let stays = format!("{why}; the policy before stays in force ({digest})");
            tracing::error!(problem = stays, "the policy files are not in force");
            Arc::new(stays)
        });
        self.problem.store(problem);
    }

    /// On the record first: no verdict is ever by rules that nobody can look up.
    async fn install(&self, set: PolicySet) -> Result<(), String> {
        if set.digest() == self.gate.in_force.load().policy.digest() {
            return Ok(());
        }
        let next = super::in_force(Arc::new(set), &self.mask_key);
        let next = next.map_err(|error| error.to_string())?;
        let (gate, policy) = (self.gate.clone(), next.policy.clone());
        let noted = spawn_blocking(move || note(&gate, &policy)).await;
        noted.map_err(|error| error.to_string())??;
        tracing::info!(
            digest = next.policy.digest(),
            rules = next.policy.rules().count(),
            "the policy files changed; they are in force now"
        );
        self.gate.in_force.store(next);
        Ok(())
    }

    /// Loads whenever the files have changed and hold still, so that a file that is just
    /// being written is not taken for a shorter one.
    pub(super) async fn follow(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut before, mut loaded) = (None, None);
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = told(&mut stop) => return,
            }
            let sources = self.sources.clone();
            let Ok(now) = spawn_blocking(move || fingerprint(&sources)).await else {
                continue;
            };
            if before == Some(now) && loaded != Some(now) {
                self.load().await;
                loaded = Some(now);
            }
            before = Some(now);
        }
    }
}

/// Records that a policy comes into force, and keeps its text under its digest. Blocks on
/// the disk.
///
/// # Errors
/// Why it cannot be recorded.
pub(super) fn note(gate: &Gate, set: &PolicySet) -> Result<(), String> {
    let unwritten = |error: &dyn std::fmt::Display| format!("it cannot be recorded: {error}");
    let kept = gate.recorder.blobs().keep(set.document());
    let digest = kept.map_err(|error| unwritten(&error))?;
    let event = System::PolicyLoaded { digest };
    gate.recorder
        .system(event)
        .map_err(|error| unwritten(&error))
}

fn refused(problems: &[Diagnostic]) -> String {
    for problem in problems {
        tracing::error!(%problem, "a policy cannot be used");
    }
    match problems {
        [] => "it cannot be used".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more, on the log)", rest.len()),
    }
}
