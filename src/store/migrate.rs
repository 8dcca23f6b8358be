//! The schema's history. Part of `store`; runs once, before any thread starts. A migration
//! that has been released is never edited, only followed by another.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{StoreError, signed};

/// In order; the file's `user_version` counts how many of them it has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_holds.sql"),
    include_str!("../../migrations/0002_index.sql"),
    include_str!("../../migrations/0003_facts.sql"),
];

/// Applies what is missing, all of it or nothing.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let known = signed(MIGRATIONS.len() as u64);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read inside the transaction: another process may be migrating at this moment.
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(done..) else {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    };
    for migration in missing {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", known)?;
    tx.commit()?;
    Ok(())
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
    fn every_table_is_strict_and_a_second_run_changes_nothing() {
        let mut c = Connection::open_in_memory().unwrap();
        migrate(&mut c, Path::new("x")).unwrap();
        migrate(&mut c, Path::new("x")).unwrap();
        let lax: Vec<String> = c
            .prepare(
                "SELECT name FROM pragma_table_list
                 WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND strict = 0",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(lax, Vec::<String>::new());
    }

    #[test]
    fn a_file_of_an_older_version_gets_the_rest_and_keeps_its_rows() {
        let mut c = Connection::open_in_memory().unwrap();
        c.execute_batch(MIGRATIONS[0]).unwrap();
        c.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA user_version = 1;")
            .unwrap();
        c.execute(
            "INSERT INTO approvals VALUES ('h-1', 'ann', '[]', 'i', 'deny', '', 1)",
            [],
        )
        .unwrap();
        migrate(&mut c, Path::new("x")).unwrap();
        let votes: i64 = c
            .query_row("SELECT count(*) FROM approvals", [], |row| row.get(0))
            .unwrap();
        let records: i64 = c
            .query_row("SELECT count(*) FROM records", [], |row| row.get(0))
            .unwrap();
        assert_eq!((votes, records), (1, 0));
    }

    #[test]
    fn a_newer_or_absurd_version_is_refused_with_both_numbers() {
        for version in [MIGRATIONS.len() as i64 + 1, -1] {
            let mut c = Connection::open_in_memory().unwrap();
            c.pragma_update(None, "user_version", version).unwrap();
            let error = migrate(&mut c, Path::new("/data/gate.db")).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("/data/gate.db"), "{said}");
            assert!(said.contains(&format!("version {version}")), "{said}");
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let mut c = Connection::open_in_memory().unwrap();
        c.execute_batch("CREATE TABLE records (x)").unwrap();
        assert!(migrate(&mut c, Path::new("x")).is_err());
        let holds: i64 = c
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'holds'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(holds, 0);
    }
}
