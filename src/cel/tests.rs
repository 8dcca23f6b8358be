//! The engine against upstream's answers, its budget, and what it says when it refuses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod budget;
mod faults;

use serde_json::{Value as Json, json};

use super::*;

/// What the table's expressions are over.
#[derive(Debug)]
struct Table {
    object: Json,
    claims: Json,
}

impl Record for Table {
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        match name {
            "object" => Some(Value::of_json(&self.object)),
            "claims" => Some(Value::of_json(&self.claims)),
            _ => None,
        }
    }
}

fn environment() -> Environment {
    Environment::new(vec![
        ("object", Kind::Dyn),
        ("claims", Kind::map(Kind::String, Kind::Dyn)),
    ])
}

/// A value as the table writes it.
fn plain(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value.to_string()),
        Value::Uint(value) => json!(format!("{value}u")),
        Value::Double(value) => json!(format!("{:016x}", value.to_bits())),
        Value::String(text) => json!({"string": &**text}),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"bytes": hex})
        }
        Value::Duration(span) => json!({"duration": span.to_string()}),
        Value::Timestamp(at) => json!({"timestamp": at.to_string()}),
        Value::List(list) => list.iter().map(|item| plain(&item)).collect(),
        Value::Map(map) => {
            let mut entries: Vec<Json> = map
                .entries()
                .map(|(key, value)| json!([plain(&key), plain(&value)]))
                .collect();
            entries.sort_by_key(|entry| entry[0].to_string());
            json!({"map": entries})
        }
        Value::Type(name) => json!({"type": name}),
        Value::Optional(inner) => {
            let inner: Vec<Json> = inner.iter().map(|inner| plain(inner)).collect();
            json!({"optional": inner})
        }
        opaque => json!({"opaque": opaque.type_name()}),
    }
}

fn outcome(text: &str, table: &Table) -> Result<Json, String> {
    let expression =
        Expression::compile(text, &environment()).map_err(|fault| fault.to_string())?;
    let mut meter = Meter::for_request();
    let value = expression
        .evaluate(table, &mut meter)
        .map_err(|trouble| expression.describe(&trouble))?;
    let value = plain(&value);
    // A NaN has many faces.
    Ok(if value == json!("7ff8000000000000") {
        json!("7ff8000000000001")
    } else {
        value
    })
}

#[test]
fn every_expression_yields_what_the_api_server_yields_or_fails() {
    let cases: Json = serde_saphyr::from_str(include_str!("../../tests/cases/cel.yaml")).unwrap();
    let table = Table {
        object: cases["vars"]["object"].clone(),
        claims: cases["vars"]["claims"].clone(),
    };
    let rows = cases["rows"].as_array().unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let text = row["expression"].as_str().unwrap();
        let got = outcome(text, &table);
        let fine = match (&got, row["is"] == "error" || row.get("refused").is_some()) {
            (Err(_), should_fail) => should_fail,
            (Ok(value), false) => *value == row["is"],
            (Ok(_), true) => false,
        };
        if !fine {
            wrong.push(format!("{text}\n    is {} and not {got:?}", row["is"]));
        }
    }
    assert!(
        rows.len() > 700 && wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}
