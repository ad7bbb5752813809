//! Classifies errors of SQLite.

use rusqlite::{Error, ErrorCode};

use crate::StoreError;
use crate::error_class::ErrorClass;

/// An error inside a transaction.
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
            Self::Sqlite(error) => error_class(&error).error(operation, error),
            Self::Store(error) => error,
        }
    }
}

/// The class of this error.
pub(super) fn error_class(error: &Error) -> ErrorClass {
    match error {
        Error::SqliteFailure(failure, message) => {
            class_of_code(failure.code, message.as_deref().unwrap_or_default())
        }
        Error::SqlInputError { error, msg, .. } => class_of_code(error.code, msg),
        _ => ErrorClass::Refused,
    }
}

fn class_of_code(code: ErrorCode, message: &str) -> ErrorClass {
    match code {
        // Two rows of one batch have the same identity, or `begin` did not read an existing row: see `Keys::assume_new`.
        ErrorCode::ConstraintViolation if message.contains("inbox.source, inbox.id, inbox.actor") => {
            ErrorClass::Conflict
        }
        ErrorCode::ConstraintViolation
        | ErrorCode::TooBig
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange => ErrorClass::Refused,
        // Busy, locked, full, corrupt, cannot be opened: no message causes any of them.
        _ => ErrorClass::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn each_code_has_its_class() {
        let inbox = "UNIQUE constraint failed: inbox.source, inbox.id, inbox.actor";
        let table = [
            (ffi::SQLITE_BUSY, "", ErrorClass::Unavailable),
            (ffi::SQLITE_BUSY_SNAPSHOT, "", ErrorClass::Unavailable),
            (ffi::SQLITE_LOCKED, "", ErrorClass::Unavailable),
            (ffi::SQLITE_FULL, "", ErrorClass::Unavailable),
            (ffi::SQLITE_IOERR, "", ErrorClass::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, "", ErrorClass::Unavailable),
            (ffi::SQLITE_CANTOPEN, "", ErrorClass::Unavailable),
            (ffi::SQLITE_READONLY, "", ErrorClass::Unavailable),
            (ffi::SQLITE_CORRUPT, "", ErrorClass::Unavailable),
            (ffi::SQLITE_NOMEM, "", ErrorClass::Unavailable),
            (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, inbox, ErrorClass::Conflict),
            (
                ffi::SQLITE_CONSTRAINT_UNIQUE,
                "UNIQUE constraint failed: device.mac",
                ErrorClass::Refused,
            ),
            (ffi::SQLITE_CONSTRAINT_CHECK, "", ErrorClass::Refused),
            (ffi::SQLITE_CONSTRAINT_NOTNULL, "", ErrorClass::Refused),
            (ffi::SQLITE_TOOBIG, "", ErrorClass::Refused),
        ];
        for (code, message, expected) in table {
            let error = Error::SqliteFailure(ffi::Error::new(code), Some(message.to_owned()));
            assert_eq!(error_class(&error), expected, "{code} {message}");
        }
    }
}
