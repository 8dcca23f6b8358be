//! `gateward serve`, `gateward check`, `gateward schema`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::app::{self, Readiness, Reload};
use crate::config::{self, Diagnostic};
use crate::output::{AlreadySaid, Output, line, plain, print};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration: a YAML file of kind GatewardConfiguration
    #[arg(long, value_name = "FILE", env = "GATEWARD_CONFIG")]
    config: PathBuf,
    /// Log lines as JSON
    #[arg(long)]
    log_json: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration: a YAML file of kind GatewardConfiguration
    #[arg(long, value_name = "FILE", env = "GATEWARD_CONFIG")]
    config: PathBuf,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Only this one: GatewardConfiguration, Policy or PolicyTest
    kind: Option<String>,
}

impl Serve {
    /// Runs the gate until it is told to stop.
    ///
    /// # Errors
    /// What is wrong with the configuration, or why the gate cannot start.
    pub async fn run(self) -> anyhow::Result<()> {
        log(self.log_json);
        let config = config::load(&self.config).map_err(|problems| said(&problems))?;
        let stop = stop().context("cannot listen for signals")?;
        let bound = app::build(config).await?;
        line(format!("agents' door: https://{}", bound.agents()));
        line(format!("humans' door: https://{}", bound.humans()));
        line(format!(
            "operators:    http://{} (/livez, /readyz, /metrics)",
            bound.operators()?
        ));
        on_hangup(bound.reload()).context("cannot listen for signals")?;
        // The doors are open meanwhile: what hangs must not keep anybody waiting.
        let first = report(bound.readiness());
        let mut serving = std::pin::pin!(bound.run(stop));
        tokio::select! {
            () = &mut serving => return Ok(()),
            () = first => {}
        }
        serving.await;
        Ok(())
    }
}

/// Says once what the gate can reach.
async fn report(readiness: impl Future<Output = Readiness>) {
    let readiness = readiness.await;
    for part in readiness.parts.iter().filter(|part| part.problem.is_some()) {
        let problem = part.problem.as_deref().unwrap_or_default();
        tracing::warn!(
            part = part.name,
            problem,
            "not reachable yet; it will be tried again"
        );
    }
    line(if readiness.ready {
        "ready"
    } else {
        "ready when what is missing above comes back"
    });
}

impl Check {
    /// Prints every problem, and of a valid configuration what is suspicious about its rules.
    ///
    /// # Errors
    /// When there is a problem, or a warning and `--strict`.
    pub fn run(self) -> anyhow::Result<()> {
        let (problems, warnings) = match config::load(&self.config) {
            Ok(config) => (Vec::new(), config::lint(&config)),
            Err(problems) => (problems, Vec::new()),
        };
        let valid = problems.is_empty();
        let document = json!({"valid": valid, "problems": problems, "warnings": warnings});
        print(self.output, &document, |_| {
            if valid && warnings.is_empty() {
                line(format!("{}: no problem found", self.config.display()));
            }
            let said = problems.iter().map(ToString::to_string);
            let suspected = warnings.iter().map(|it| format!("warning: {}", it.at));
            said.chain(suspected).for_each(|text| line(plain(&text)));
            if valid && !warnings.is_empty() {
                line(format!(
                    "{}: valid, with {} warning(s)",
                    self.config.display(),
                    warnings.len()
                ));
            }
        })?;
        if valid && (warnings.is_empty() || !self.strict) {
            Ok(())
        } else {
            Err(AlreadySaid.into())
        }
    }
}

impl Schema {
    /// Prints the schemas.
    ///
    /// # Errors
    /// For an unknown kind.
    pub fn run(self) -> anyhow::Result<()> {
        let schemas = config::schemas();
        let wanted: Vec<_> = schemas
            .iter()
            .filter(|(name, _)| {
                self.kind
                    .as_deref()
                    .is_none_or(|kind| kind_of(name).eq_ignore_ascii_case(kind_of(kind)))
            })
            .collect();
        anyhow::ensure!(
            !wanted.is_empty(),
            "no such kind: give one of {}",
            schemas
                .iter()
                .map(|(name, _)| name.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        );
        for (_, schema) in wanted {
            line(schema.trim_end());
        }
        Ok(())
    }
}

fn said(problems: &[Diagnostic]) -> anyhow::Error {
    for problem in problems {
        anstream::eprintln!("{problem}");
    }
    anyhow::anyhow!(
        "the configuration has {} problem(s); nothing was started",
        problems.len()
    )
}

/// Turns true at SIGTERM or SIGINT.
fn stop() -> std::io::Result<watch::Receiver<bool>> {
    let (told, stop) = watch::channel(false);
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: running requests may end");
        let _ = told.send(true);
        told.closed().await;
    });
    Ok(stop)
}

/// SIGHUP reads the policies again at once.
fn on_hangup(reload: Arc<Reload>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload.load().await;
        }
    });
    Ok(())
}

fn log(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json {
        builder.json().init();
    } else {
        builder.init();
    }
}

/// `policy` of `policy.json`.
fn kind_of(name: &str) -> &str {
    name.strip_suffix(".json").unwrap_or(name)
}
