//! Arguments that name rules, files and callers, shared by the tools that judge away from a
//! gate. Every file is read to a limit; what is wrong with one is said with its place.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::config::{self, Diagnostic, Rules};
use crate::output::{Output, Unusable, plain, print};

/// The longest file that these tools read into memory, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Which rules judge.
#[derive(Debug, Args)]
pub struct RuleFiles {
    /// A file of policies, or a directory of these; may be given again
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// A configuration, for the policies that it names; its doors and keys need not be there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The guardrails that come with Gateward, too
    #[arg(long)]
    default_pack: bool,
}

impl RuleFiles {
    /// Reads the rules.
    ///
    /// # Errors
    /// [`Unusable`], after saying what is wrong.
    pub fn load(&self, output: Output) -> anyhow::Result<Rules> {
        let mut files = self.policy.clone();
        files.extend(self.config.clone());
        if files.is_empty() && !self.default_pack {
            return Err(unusable(
                "no rules to judge by: give --policy FILE, --config FILE or --default-pack",
            ));
        }
        config::load_rules(&files, self.default_pack).map_err(|found| said(output, &found))
    }
}

/// Prints problems: in a document for programs, else one line each.
pub fn said(output: Output, problems: &[Diagnostic]) -> anyhow::Error {
    let document = json!({"valid": false, "problems": problems});
    let printed = print(output, &document, |_| {
        for problem in problems {
            anstream::eprintln!("{}", plain(&problem.to_string()));
        }
    });
    printed.map_or_else(|error| error, |()| Unusable.into())
}

/// Says that what was given cannot be used.
pub fn unusable(sentence: &str) -> anyhow::Error {
    anstream::eprintln!("error: {}", plain(sentence));
    Unusable.into()
}

/// Reads a text file, or standard input for `-`.
///
/// # Errors
/// If it cannot be read, is too long, or is no text.
pub fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .take(MAX_FILE + 1)
            .read_to_string(&mut text)
    } else {
        let open = std::fs::File::open(file);
        open.and_then(|open| open.take(MAX_FILE + 1).read_to_string(&mut text))
    };
    let length = read.with_context(|| format!("cannot read {}", file.display()))?;
    anyhow::ensure!(
        length as u64 <= MAX_FILE,
        "{} has more than {MAX_FILE} bytes",
        file.display()
    );
    Ok(text)
}
