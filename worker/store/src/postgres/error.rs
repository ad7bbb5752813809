//! Classifies errors of PostgreSQL.

use std::error::Error as _;
use std::io;

use deadpool_postgres::PoolError;
use tokio::time::error::Elapsed;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::StoreError;
use crate::error_class::ErrorClass;

/// Unique constraints that only another transaction can have violated: `begin` reads their keys, or was told that there are none.
const RACES: [&str; 7] = [
    "inbox_identity",
    "device_hostname",
    "device_hostname_folded",
    "device_mac",
    "device_serial",
    "execution_id",
    "management_domain_pkey",
];

fn class_of_state(state: &SqlState, constraint: Option<&str>) -> ErrorClass {
    match state.code() {
        "40001" | "40P01" => ErrorClass::Conflict,
        "23505" if constraint.is_some_and(|name| RACES.contains(&name)) => ErrorClass::Conflict,
        // Lock not available, query cancelled, idle in transaction; a standby that is no primary yet.
        "55P03" | "57014" | "25P02" | "25P03" | "25006" | "40003" => ErrorClass::Unavailable,
        code => match &code[..2.min(code.len())] {
            // Connection, authorization, database, resources, intervention, system, internal; and a missing schema or
            // missing rights (42, 3F). No message causes any of them.
            "08" | "28" | "3D" | "3F" | "42" | "53" | "57" | "58" | "XX" => ErrorClass::Unavailable,
            _ => ErrorClass::Refused,
        },
    }
}

/// The class of this error.
pub(super) fn error_class(error: &Error) -> ErrorClass {
    match error.as_db_error() {
        Some(database) => class_of_state(database.code(), database.constraint()),
        // No answer of the database: the connection is closed or broken. With another source, a value could not be encoded
        // or decoded.
        None if error
            .source()
            .is_none_or(<dyn std::error::Error>::is::<io::Error>) =>
        {
            ErrorClass::Unavailable
        }
        None => ErrorClass::Refused,
    }
}

/// The store error for this error of an operation.
pub(super) fn classify(operation: &'static str, error: Error) -> StoreError {
    error_class(&error).error(operation, error)
}

/// The store error for a database that does not answer or cannot be reached.
pub(super) fn unavailable(
    operation: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    ErrorClass::Unavailable.error(operation, source)
}

/// Whether the error, of the driver or of the pool, is no answer of the server: no connection, or a time-out.
pub(crate) fn is_unanswered(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let database = |error: &Error| error.as_db_error().is_some();
    if let Some(error) = error.downcast_ref::<Error>() {
        return !database(error);
    }
    match error.downcast_ref::<PoolError>() {
        Some(PoolError::Backend(error)) => !database(error),
        Some(_) => true,
        None => error.is::<Elapsed>(),
    }
}

/// Whether a lock was not granted in time.
pub(crate) fn is_lock_timeout(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<Error>();
    error.and_then(Error::code) == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_its_class() {
        let table = [
            ("08006", None, ErrorClass::Unavailable),
            ("08P01", None, ErrorClass::Unavailable),
            ("57P01", None, ErrorClass::Unavailable),
            ("57P02", None, ErrorClass::Unavailable),
            ("57P03", None, ErrorClass::Unavailable),
            ("57014", None, ErrorClass::Unavailable),
            ("55P03", None, ErrorClass::Unavailable),
            ("53300", None, ErrorClass::Unavailable),
            ("53100", None, ErrorClass::Unavailable),
            ("25P02", None, ErrorClass::Unavailable),
            ("25P03", None, ErrorClass::Unavailable),
            ("25006", None, ErrorClass::Unavailable),
            ("28P01", None, ErrorClass::Unavailable),
            ("42P01", None, ErrorClass::Unavailable),
            ("42501", None, ErrorClass::Unavailable),
            ("58030", None, ErrorClass::Unavailable),
            ("XX001", None, ErrorClass::Unavailable),
            ("40001", None, ErrorClass::Conflict),
            ("40P01", None, ErrorClass::Conflict),
            ("40003", None, ErrorClass::Unavailable),
            ("23505", Some("inbox_identity"), ErrorClass::Conflict),
            ("23505", Some("device_hostname"), ErrorClass::Conflict),
            ("23505", Some("device_hostname_folded"), ErrorClass::Conflict),
            ("23505", Some("device_mac"), ErrorClass::Conflict),
            ("23505", Some("device_serial"), ErrorClass::Conflict),
            ("23505", Some("execution_id"), ErrorClass::Conflict),
            ("23505", Some("client_mac"), ErrorClass::Refused),
            ("23505", None, ErrorClass::Refused),
            ("23514", Some("device_generations"), ErrorClass::Refused),
            ("23502", None, ErrorClass::Refused),
            ("22021", None, ErrorClass::Refused),
            ("22008", None, ErrorClass::Refused),
            ("54000", None, ErrorClass::Refused),
            ("0A000", None, ErrorClass::Refused),
        ];
        for (code, constraint, expected) in table {
            assert_eq!(
                class_of_state(&SqlState::from_code(code), constraint),
                expected,
                "{code} {constraint:?}"
            );
        }
    }
}
