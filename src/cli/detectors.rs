//! `gateward detectors`: what is looked for in answers.

use clap::Args;
use serde_json::{Value, json};

use crate::mask;
use crate::output::{Output, print, table};

/// Arguments of `detectors`.
#[derive(Debug, Args)]
pub struct Detectors {
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Detectors {
    /// Runs the command.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn run(&self) -> anyhow::Result<()> {
        let items: Vec<Value> = mask::detectors()
            .map(|(name, finds, on)| json!({"name": name, "finds": finds, "on": on}))
            .collect();
        print(self.output, &json!({"items": items}), |_| {
            let rows = mask::detectors().map(|(name, finds, on)| {
                let on = if on { "on" } else { "off" };
                vec![name.to_owned(), on.to_owned(), finds.to_owned()]
            });
            table(
                &["NAME", "DEFAULT", "FINDS"],
                rows.collect(),
                "There are none.",
            );
        })
    }
}
