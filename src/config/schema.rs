//! The published JSON Schemas, written by the types themselves. Part of `config`.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::cases::PolicyTest;
use super::document::GatewardConfiguration;
use crate::decide::policy::Policy;

/// (file name, JSON text) of every published schema.
pub fn schemas() -> [(&'static str, String); 3] {
    [
        (
            "gatewardconfiguration.json",
            text(
                "gatewardconfiguration.json",
                schema_of::<GatewardConfiguration>(),
            ),
        ),
        ("policy.json", text("policy.json", schema_of::<Policy>())),
        (
            "policytest.json",
            text("policytest.json", schema_of::<PolicyTest>()),
        ),
    ]
}

/// The schema of a document type. A field that may be left out may not be left empty:
/// `namespaces:` without a value would read as every namespace.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    without_null(&mut schema);
    schema
}

fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    fields.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
                choices.retain(|choice| *choice != json!({"type": "null"}));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    fields.shift_remove("anyOf");
                    fields.extend(only);
                }
            }
            fields.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

fn text(name: &str, mut schema: Value) -> String {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert(
            "$id".to_owned(),
            json!(format!("https://gateward.dev/schemas/v1alpha1/{name}")),
        );
    }
    format!("{schema:#}\n")
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
        for (name, text) in schemas() {
            let file = format!("{directory}/{name}");
            if std::env::var_os("GATEWARD_UPDATE_SCHEMAS").is_some() {
                std::fs::write(&file, &text).unwrap();
            }
            let committed = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                committed == text,
                "{file} is out of date: run the tests with GATEWARD_UPDATE_SCHEMAS=1"
            );
        }
    }
}
