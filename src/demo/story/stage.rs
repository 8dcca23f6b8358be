//! The stage of the story: it runs commands, shows them and what came back, and keeps count
//! of what was promised.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::Context;
use tokio::process::{Child, Command};

use crate::demo::scene::{CLUSTER, RunningGate, Scene};
use crate::output::{line, plain};

/// Where the story plays.
pub struct Stage {
    scene: Scene,
    dir: PathBuf,
    gate: String,
    humans: String,
    operators: SocketAddr,
    promises: Vec<(String, bool)>,
}

/// What a command said, both streams, and whether it succeeded.
pub struct Said {
    pub text: String,
    pub success: bool,
}

impl Stage {
    pub fn new(scene: Scene, gate: &RunningGate, dir: &Path) -> anyhow::Result<Self> {
        let local = |port| format!("https://localhost:{port}");
        Ok(Self {
            scene,
            dir: dir.to_owned(),
            gate: local(gate.agents.port()),
            humans: local(gate.humans.port()),
            operators: gate.operators,
            promises: Vec::new(),
        })
    }

    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn gate(&self) -> &str {
        &self.gate
    }

    /// A heading and what it is about.
    pub fn tell(&self, heading: &str, what: &str) {
        let bold = anstyle::Style::new().bold();
        line(format!("\n{bold}{heading}{bold:#}\n{what}"));
    }

    /// Notes whether a promise was kept, and says so.
    pub fn promise(&mut self, what: &str, kept: bool) {
        let (mark, color) = if kept {
            ("✓", anstyle::AnsiColor::Green)
        } else {
            ("✗", anstyle::AnsiColor::Red)
        };
        let style = color.on_default().bold();
        line(format!("{style}{mark}{style:#} {what}"));
        self.promises.push((what.to_owned(), kept));
    }

    /// Prints the summary; true if every promise was kept.
    pub fn summary(&self) -> bool {
        let kept = self.promises.iter().filter(|(_, kept)| *kept).count();
        line(format!(
            "\n{kept} of {} promises kept.",
            self.promises.len()
        ));
        for (what, _) in self.promises.iter().filter(|(_, kept)| !kept) {
            line(format!("  not kept: {what}"));
        }
        kept == self.promises.len()
    }

    /// What a person needs to go on by hand.
    pub fn directions(&self) {
        let agent = self.file("agent.kubeconfig");
        let kubectl = self.scene.control.kubectl_command(&agent);
        let renew = self.scene.credential_arguments("bob");
        let token = self.file("bob.token");
        line(format!(
            "\nEverything keeps running until Ctrl-C.\n\
             \x20 kubectl:    {}\n\
             \x20 agent:      export KUBECONFIG={}\n\
             \x20 approver:   export GATEWARD_URL={} GATEWARD_CA={} GATEWARD_TOKEN_FILE={}\n\
             \x20 new token:  gateward credential --format=token {} > {} (each lives five minutes)\n\
             \x20 operators:  http://{} (/livez, /readyz, /metrics)\n\
             \x20 ledger:     {}\n\
             \x20 admin:      {}",
            kubectl.get_program().to_string_lossy(),
            agent.display(),
            self.humans,
            self.scene.file("gate-ca.pem").display(),
            token.display(),
            renew.join(" "),
            token.display(),
            self.operators,
            self.file("data/ledger").display(),
            self.scene.control.admin_kubeconfig().display(),
        ));
    }

    pub fn end(self) -> anyhow::Result<()> {
        self.scene.issuer.stop();
        self.scene.control.stop()?;
        Ok(())
    }

    /// kubectl as the agent: through the gate, with the credential plugin.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        let child = self.kubectl_begin(arguments)?;
        finish(child).await
    }

    /// The same, still running when it returns; `finish` it.
    pub fn kubectl_begin(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        shown("agent", "kubectl", arguments);
        let command = self
            .scene
            .control
            .kubectl_command(&self.file("agent.kubeconfig"));
        spawn(command.into(), arguments)
    }

    /// This program, as a person (`alice`, `bob`) or as the agent at the humans' door.
    pub async fn gateward(&self, who: &str, arguments: &[&str]) -> anyhow::Result<Said> {
        shown(who, "gateward", arguments);
        finish(spawn(self.program(who)?, arguments)?).await
    }

    /// The same without being shown: what it wrote to standard output.
    pub async fn gateward_quietly(&self, who: &str, arguments: &[&str]) -> anyhow::Result<String> {
        standard_output(self.program(who)?.args(arguments)).await
    }

    fn program(&self, who: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env("GATEWARD_URL", &self.humans)
            .env("GATEWARD_CA", self.scene.file("gate-ca.pem"))
            .env("GATEWARD_TOKEN_FILE", self.file(&format!("{who}.token")));
        Ok(command)
    }

    /// Writes a kubeconfig for the agent and tokens for the people.
    pub async fn cast(&self) -> anyhow::Result<()> {
        let mut arguments = vec![
            "kubeconfig".to_owned(),
            format!("--gate={}", self.gate()),
            format!("--gate-ca={}", self.scene.file("gate-ca.pem").display()),
            format!("--cluster={CLUSTER}"),
        ];
        arguments.extend(self.scene.credential_arguments("triage-bot"));
        std::fs::write(
            self.file("agent.kubeconfig"),
            standard_output(Command::new(std::env::current_exe()?).args(&arguments)).await?,
        )?;
        for who in ["triage-bot", "alice", "bob"] {
            let mut arguments = vec!["credential".to_owned(), "--format=token".to_owned()];
            arguments.extend(self.scene.credential_arguments(who));
            let file = self.file(&format!("{who}.token"));
            crate::demo::kubernetes::pki::write_private(
                &file,
                &standard_output(Command::new(std::env::current_exe()?).args(&arguments)).await?,
            )?;
        }
        Ok(())
    }
}

/// Waits for a command and shows what it said.
pub async fn finish(child: Child) -> anyhow::Result<Said> {
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output())
        .await
        .context("the command took longer than a minute")??;
    let said = Said {
        text: both(&output),
        success: output.status.success(),
    };
    for row in said.text.lines() {
        line(plain(row));
    }
    Ok(said)
}

fn both(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

fn shown(who: &str, program: &str, arguments: &[&str]) {
    let dim = anstyle::Style::new().dimmed();
    let bold = anstyle::Style::new().bold();
    line(format!(
        "{dim}{who}{dim:#} $ {bold}{program} {}{bold:#}",
        words(arguments)
    ));
}

/// Arguments as they can be typed into a shell again.
fn words(arguments: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@".contains(c);
    let quoted = arguments.iter().map(|argument| {
        if !argument.is_empty() && argument.chars().all(plain) {
            (*argument).to_owned()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn spawn(mut command: Command, arguments: &[&str]) -> anyhow::Result<Child> {
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run the command")
}

async fn standard_output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot run the command")?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_command_is_shown_as_it_can_be_typed_again() {
        let shown = super::words(&["deny", "h-1", "-m", "it's late", ""]);
        assert_eq!(shown, r"deny h-1 -m 'it'\''s late' ''");
    }
}
