//! The terminal: arguments in, verbs of the library called, exit code out.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 usage. Results go to standard output, all
//! else to standard error, so that `-o json` can be piped.

mod approvals;
mod audit;
mod client;
mod credential;
mod detectors;
mod diff;
mod explain;
mod junit;
mod kubeconfig;
mod past;
mod policy;
mod rules;
mod serve;
mod sessions;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The gate between autonomous agents and the Kubernetes API.
///
/// Agents reach a cluster only through `gateward serve`, with their own short-lived OIDC
/// token. Every request is identified, parsed, decided by policy, held for a human where it
/// is risky, recorded, forwarded as the agent, and masked on the way back.
#[derive(Debug, Parser)]
#[command(
    name = "gateward",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Start here:  gateward demo     walks through everything on a local cluster\n             \
                        gateward check    reads a configuration and says what is wrong with it\n\n\
                        Exit codes:  0 done, 1 refused or failed, 2 usage"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gate until SIGTERM or Ctrl-C, then drains.
    Serve(serve::Serve),
    /// Reads the configuration and policies, binds nothing, prints every problem found.
    Check(serve::Check),
    /// Says why a request is allowed, held or denied, and what would change that.
    Explain(Box<explain::Explain>),
    /// Tests policies, and compares them on what was recorded.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Prints a short-lived token for kubectl (a client-go exec credential plugin).
    Credential(credential::Credential),
    /// Prints a kubeconfig that reaches a cluster through the gate.
    Kubeconfig(kubeconfig::Kubeconfig),
    /// Lists, shows, approves and denies what waits for a human.
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Searches and verifies the record of what was done.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Lists and shows agents' runs of work.
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// Compares what agents may do with what they did.
    #[command(subcommand)]
    Review(usage::Review),
    /// Lists what is looked for in answers, to be hidden.
    Detectors(detectors::Detectors),
    /// Brings up a local cluster, an identity provider and the gate, and walks through the story.
    Demo(crate::demo::story::Demo),
    /// Prints the JSON Schemas of the configuration and of policies.
    Schema(serve::Schema),
}

/// Runs the program; the only place that turns an error into an exit code.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::anyhow!("cannot start the runtime: {error}")),
    };
    let outcome = runtime.block_on(arguments.command.run());
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

impl Command {
    async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Serve(serve) => serve.run().await,
            Self::Check(check) => check.run(),
            Self::Explain(explain) => explain.run().await,
            Self::Policy(policy) => policy.run().await,
            Self::Credential(credential) => credential.run().await,
            Self::Kubeconfig(kubeconfig) => kubeconfig.run(),
            Self::Approvals(approvals) => approvals.run().await,
            Self::Audit(audit) => audit.run().await,
            Self::Sessions(sessions) => sessions.run().await,
            Self::Review(review) => review.run().await,
            Self::Detectors(detectors) => detectors.run(),
            Self::Demo(demo) => demo.run().await,
            Self::Schema(schema) => schema.run(),
        }
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    if error.is::<crate::output::Unusable>() {
        return ExitCode::from(2);
    }
    if !error.is::<crate::output::AlreadySaid>() {
        let style = anstyle::AnsiColor::Red
            .on_default()
            .effects(anstyle::Effects::BOLD);
        anstream::eprintln!("{style}error:{style:#} {error:#}");
    }
    ExitCode::FAILURE
}
