//! What a command prints: a table for people, JSON or YAML for programs. The terminal and the
//! demo print by it; it knows no other room.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

pub mod text;

pub use text::plain;

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table or text for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// The command failed, and its output said so already.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
pub struct AlreadySaid;

/// What was given cannot be used, and the output said so already.
#[derive(Debug, thiserror::Error)]
#[error("what was given cannot be used")]
pub struct Unusable;

/// Writes a line to standard output; a closed pipe is no error.
pub fn line(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Prints a document in a form for programs; for people, calls `table`.
///
/// # Errors
/// When the document cannot be written as YAML.
pub fn print(output: Output, document: &Value, table: impl FnOnce(&Value)) -> anyhow::Result<()> {
    match output {
        Output::Table => table(document),
        Output::Json => line(text::json(document, true)),
        Output::Yaml => {
            let yaml = serde_saphyr::to_string(document)?;
            if yaml.contains(|c| text::steers(c) && c != '\n') {
                // JSON is YAML too, and can say all characters in escapes.
                line(text::json(document, true));
            } else {
                line(yaml.trim_end());
            }
        }
    }
    Ok(())
}

/// Prints rows below upper-case headings, as kubectl does; says so when there are none.
pub fn table(headings: &[&str], rows: Vec<Vec<String>>, none: &str) {
    if rows.is_empty() {
        anstream::eprintln!("{none}");
        return;
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for text in table.lines() {
        line(text.trim());
    }
}

/// The rows of a list document.
pub fn items(document: &Value) -> &[Value] {
    document
        .get("items")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A field as text without control characters: what a stranger named may not steer the
/// terminal.
pub fn field(document: &Value, name: &str) -> String {
    match document.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), plain))
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    }
}

/// `fields`, each on a line of its own with its label, leaving empty ones out.
pub fn labelled(document: &Value, fields: &[(&str, &str)]) {
    let width = fields
        .iter()
        .map(|(label, _)| label.len())
        .max()
        .unwrap_or(0)
        + 1;
    for (label, name) in fields {
        let text = field(document, name);
        if !text.is_empty() {
            line(format!("{:<width$} {text}", format!("{label}:")));
        }
    }
}
