//! What an error of PostgreSQL means for the one who asked.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;
use crate::store::meaning::Meaning;

/// Unique constraints that only another transaction at the same time can have violated: `begin` looked their keys up.
const RACES: [&str; 2] = ["inbox_identity", "device_hostname"];

fn meaning_of_state(state: &SqlState, constraint: Option<&str>) -> Meaning {
    match state.code() {
        "40001" | "40P01" => Meaning::Conflict,
        "23505" if constraint.is_some_and(|name| RACES.contains(&name)) => Meaning::Conflict,
        // Lock not available, query cancelled, idle in transaction; a standby that is no primary yet.
        "55P03" | "57014" | "25P02" | "25P03" | "25006" | "40003" => Meaning::Unavailable,
        code => match &code[..2.min(code.len())] {
            // Connection, authorization, database, resources, intervention, system, internal; and a schema or rights
            // that are not what this program needs (42, 3F). No message is to blame for any of them.
            "08" | "28" | "3D" | "3F" | "42" | "53" | "57" | "58" | "XX" => Meaning::Unavailable,
            _ => Meaning::Refused,
        },
    }
}

/// What this error means.
pub(super) fn meaning(error: &Error) -> Meaning {
    match error.as_db_error() {
        Some(database) => meaning_of_state(database.code(), database.constraint()),
        // Without an answer of the database: closed, timed out or broken in the network. Else a value could not be
        // encoded or decoded.
        None if error
            .source()
            .is_none_or(<dyn std::error::Error>::is::<io::Error>) =>
        {
            Meaning::Unavailable
        }
        None => Meaning::Refused,
    }
}

/// What this error means for this operation.
pub(super) fn classify(operation: &'static str, error: Error) -> StoreError {
    meaning(&error).error(operation, error)
}

/// The database did not answer, or could not be asked.
pub(super) fn unavailable(
    operation: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    Meaning::Unavailable.error(operation, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_heal_in_their_way() {
        let table = [
            ("08006", None, Meaning::Unavailable),
            ("08P01", None, Meaning::Unavailable),
            ("57P01", None, Meaning::Unavailable),
            ("57P02", None, Meaning::Unavailable),
            ("57P03", None, Meaning::Unavailable),
            ("57014", None, Meaning::Unavailable),
            ("55P03", None, Meaning::Unavailable),
            ("53300", None, Meaning::Unavailable),
            ("53100", None, Meaning::Unavailable),
            ("25P02", None, Meaning::Unavailable),
            ("25P03", None, Meaning::Unavailable),
            ("25006", None, Meaning::Unavailable),
            ("28P01", None, Meaning::Unavailable),
            ("42P01", None, Meaning::Unavailable),
            ("42501", None, Meaning::Unavailable),
            ("58030", None, Meaning::Unavailable),
            ("XX001", None, Meaning::Unavailable),
            ("40001", None, Meaning::Conflict),
            ("40P01", None, Meaning::Conflict),
            ("40003", None, Meaning::Unavailable),
            ("23505", Some("inbox_identity"), Meaning::Conflict),
            ("23505", Some("device_hostname"), Meaning::Conflict),
            ("23505", Some("device_mac"), Meaning::Refused),
            ("23505", Some("device_serial"), Meaning::Refused),
            ("23505", None, Meaning::Refused),
            ("23514", Some("device_generations"), Meaning::Refused),
            ("23502", None, Meaning::Refused),
            ("22021", None, Meaning::Refused),
            ("22008", None, Meaning::Refused),
            ("54000", None, Meaning::Refused),
            ("0A000", None, Meaning::Refused),
        ];
        for (code, constraint, expected) in table {
            assert_eq!(
                meaning_of_state(&SqlState::from_code(code), constraint),
                expected,
                "{code} {constraint:?}"
            );
        }
    }
}
