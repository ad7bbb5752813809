//! What an error of SQLite means for the one who asked.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;
use crate::store::meaning::Meaning;

/// What went wrong inside a transaction.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(Error),
    Store(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    pub(super) fn in_operation(self, operation: &'static str) -> StoreError {
        match self {
            Self::Sqlite(error) => meaning(&error).error(operation, error),
            Self::Store(error) => error,
        }
    }
}

/// What this error means.
pub(super) fn meaning(error: &Error) -> Meaning {
    match error {
        Error::SqliteFailure(failure, message) => {
            meaning_of_code(failure.code, message.as_deref().unwrap_or_default())
        }
        Error::SqlInputError { error, msg, .. } => meaning_of_code(error.code, msg),
        _ => Meaning::Refused,
    }
}

fn meaning_of_code(code: ErrorCode, message: &str) -> Meaning {
    match code {
        // Not by way of `begin`, which would have seen the row; by way of two rows in one batch.
        ErrorCode::ConstraintViolation if message.contains("inbox.source, inbox.id") => Meaning::Conflict,
        ErrorCode::ConstraintViolation
        | ErrorCode::TooBig
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange => Meaning::Refused,
        // Busy, locked, full, broken, not to be opened: no message is to blame for any of them.
        _ => Meaning::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn codes_heal_in_their_way() {
        let inbox = "UNIQUE constraint failed: inbox.source, inbox.id";
        let table = [
            (ffi::SQLITE_BUSY, "", Meaning::Unavailable),
            (ffi::SQLITE_BUSY_SNAPSHOT, "", Meaning::Unavailable),
            (ffi::SQLITE_LOCKED, "", Meaning::Unavailable),
            (ffi::SQLITE_FULL, "", Meaning::Unavailable),
            (ffi::SQLITE_IOERR, "", Meaning::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, "", Meaning::Unavailable),
            (ffi::SQLITE_CANTOPEN, "", Meaning::Unavailable),
            (ffi::SQLITE_READONLY, "", Meaning::Unavailable),
            (ffi::SQLITE_CORRUPT, "", Meaning::Unavailable),
            (ffi::SQLITE_NOMEM, "", Meaning::Unavailable),
            (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, inbox, Meaning::Conflict),
            (
                ffi::SQLITE_CONSTRAINT_UNIQUE,
                "UNIQUE constraint failed: device.mac",
                Meaning::Refused,
            ),
            (ffi::SQLITE_CONSTRAINT_CHECK, "", Meaning::Refused),
            (ffi::SQLITE_CONSTRAINT_NOTNULL, "", Meaning::Refused),
            (ffi::SQLITE_TOOBIG, "", Meaning::Refused),
        ];
        for (code, message, expected) in table {
            let error = Error::SqliteFailure(ffi::Error::new(code), Some(message.to_owned()));
            assert_eq!(meaning(&error), expected, "{code} {message}");
        }
    }
}
