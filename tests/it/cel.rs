//! The table of expressions says what the API server's own code says. That the gate says the
//! same is a unit test of the room `cel`, over the same table.

use serde_json::{Value, json};

use crate::oracle;

#[test]
fn the_table_of_expressions_is_the_api_servers() {
    let cases: Value = serde_saphyr::from_str(include_str!("../cases/cel.yaml")).unwrap();
    let rows = cases["rows"].as_array().unwrap();
    let questions: String = rows
        .iter()
        .map(|row| json!({"expression": row["expression"], "vars": cases["vars"]}).to_string())
        .flat_map(|line| [line, "\n".to_owned()])
        .collect();
    let answers = oracle::run("cel", &[], questions.as_bytes());
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .zip(&answers)
        .filter(|(row, answer)| match answer.get("error") {
            Some(_) => row["is"] != "error",
            None => row["is"] != answer["value"],
        })
        .map(|(row, answer)| format!("{} is {} and not {}", row["expression"], answer, row["is"]))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
