//! `gateward demo`: the story of one agent, told with the real kubectl against a real API
//! server, each step checked.

mod acts;
mod stage;

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use super::kubernetes::Options;
use super::kubernetes::Progress;
use super::kubernetes::programs::{Places, find};
use super::scene::{RunningGate, Scene};
use crate::output::{AlreadySaid, line};
use stage::Stage;

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "The first run builds etcd, kube-apiserver, kubectl and kwok with Go (five to ten \
    minutes, kept in the cache directory); later runs start in seconds. Everything listens on 127.0.0.1."
)]
pub struct Demo {
    /// Leave everything running after the story, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

impl Demo {
    /// Plays the story.
    ///
    /// # Errors
    /// When something could not be started, or a step did not go as promised.
    pub async fn run(self) -> anyhow::Result<()> {
        let stopped = Arc::new(AtomicBool::new(false));
        let listener = {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let _ = tokio::signal::ctrl_c().await;
                stopped.store(true, Ordering::Relaxed);
            })
        };
        let dir = tempfile::Builder::new()
            .prefix("gateward-demo-")
            .tempdir()
            .context("cannot make a directory")?;
        let (scene, gate) = set(dir.path(), &stopped).await?;
        let mut stage = Stage::new(scene, &gate, dir.path())?;
        let told = tokio::select! {
            told = acts::play(&mut stage) => told,
            _ = listener => Err(anyhow::anyhow!("interrupted")),
        };
        let done = told.is_ok() && stage.summary();
        if self.keep && told.is_ok() {
            stage.directions();
            let _ = tokio::signal::ctrl_c().await;
        }
        gate.stop().await;
        stage.end()?;
        drop(dir);
        told?;
        if done {
            Ok(())
        } else {
            Err(AlreadySaid.into())
        }
    }
}

async fn set(dir: &std::path::Path, stopped: &AtomicBool) -> anyhow::Result<(Scene, RunningGate)> {
    let mut progress = Printed::new(stopped);
    let programs = {
        let places = Places::from_environment()?;
        find(&places, &mut |step| progress.step(&step))?
    };
    let options = Options { sweep: true };
    let scene = Scene::start(&programs, dir, options, &mut |step| progress.step(&step)).await?;
    let configuration = dir.join("gate.yaml");
    let mut document = scene.configuration(&dir.join("data"));
    if let Some(policies) = document.pointer_mut("/spec") {
        policies["policies"] = serde_json::json!({"defaultPack": true});
    }
    std::fs::write(&configuration, serde_saphyr::to_string(&document)?)?;
    let gate = RunningGate::start(&configuration).await?;
    progress.end();
    Ok((scene, gate))
}

/// Progress for people: a line that changes on a terminal, a line now and then elsewhere.
struct Printed<'a> {
    stopped: &'a AtomicBool,
    terminal: bool,
    last: Option<Instant>,
}

impl<'a> Printed<'a> {
    fn new(stopped: &'a AtomicBool) -> Self {
        Self {
            stopped,
            terminal: std::io::stderr().is_terminal(),
            last: None,
        }
    }

    fn step(&mut self, step: &Progress) -> ControlFlow<()> {
        let passing = matches!(
            step,
            Progress::Building { .. } | Progress::Starting { .. } | Progress::Waiting { .. }
        );
        let due = self
            .last
            .is_none_or(|last| last.elapsed() >= Duration::from_secs(15));
        if self.terminal {
            let text: String = step.to_string().chars().take(110).collect();
            anstream::eprint!("\r\x1b[2K{text}{}", if passing { "" } else { "\n" });
        } else if !passing || due {
            anstream::eprintln!("{step}");
        }
        if due {
            self.last = Some(Instant::now());
        }
        if self.stopped.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn end(&self) {
        line("");
    }
}
