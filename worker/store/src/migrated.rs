//! Checks schema versions and reports migrations, for both stores.

use std::error::Error as _;

use refinery::{Error, Migration, Report, Runner};

use super::error_class::ErrorClass;
use super::{Migrated, StoreError};

/// The version information in a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its version; 0 before the first migration.
    pub(super) version: u32,
    /// Programs made for at least this version may use it. Read only if the schema is newer than this program.
    pub(super) oldest: Option<u32>,
}

/// Fails unless a program made for the version `known` may use this schema.
pub(super) fn check(found: Found, known: u32) -> Result<(), StoreError> {
    let Found { version, oldest } = found;
    if version < known {
        return Err(StoreError::SchemaVersion {
            found: version,
            needed: known,
        });
    }
    if version == known || oldest.is_some_and(|oldest| oldest <= known) {
        return Ok(());
    }
    Err(StoreError::SchemaTooNew {
        found: version,
        oldest,
        known,
    })
}

/// The result of a migration if the schema is newer than `known`: nothing is applied, if the program may use it. `None` if the
/// schema may need a migration.
pub(super) fn newer(found: Found, known: u32) -> Result<Option<Migrated>, StoreError> {
    if found.version <= known {
        return Ok(None);
    }
    check(found, known)?;
    Ok(Some(Migrated {
        version: found.version,
        known,
        applied: Vec::new(),
        granted: Vec::new(),
    }))
}

/// The schema version for which this program is made.
pub(super) fn newest(runner: &Runner) -> u32 {
    let versions = runner.get_migrations().iter().map(Migration::version);
    versions.max().map_or(0, number)
}

/// Converts a version of refinery.
pub(super) fn number(version: i32) -> u32 {
    u32::try_from(version).unwrap_or(0)
}

pub(super) fn migrated(report: &Report, known: u32) -> Migrated {
    Migrated {
        version: known,
        known,
        applied: applied(report).collect(),
        granted: Vec::new(),
    }
}

/// The names of the migrations that were applied.
pub(super) fn applied(report: &Report) -> impl Iterator<Item = String> {
    report.applied_migrations().iter().map(ToString::to_string)
}

/// The store error for an error of a migration. Its class is that of the driver error `E`, if there is one.
pub(super) fn failed<E: std::error::Error + 'static>(
    error: Error,
    error_class: impl FnOnce(&E) -> ErrorClass,
) -> StoreError {
    let error_class = driver_error(&error).map_or(ErrorClass::Refused, error_class);
    error_class.error("migrate", error)
}

/// The error of the driver that a migration failed with, if it was one.
pub(super) fn driver_error<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    let mut causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.find_map(|error| error.downcast_ref::<E>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_uses_its_own_version_and_newer_ones_that_allow_it() {
        let table = [
            (0, None, "older"),
            (2, None, "older"),
            (2, Some(1), "older"),
            (3, None, "fits"),
            // `oldest` does not count for the program's own version.
            (3, Some(4), "fits"),
            (4, Some(2), "fits"),
            (4, Some(3), "fits"),
            (9, Some(3), "fits"),
            (4, Some(4), "newer"),
            (4, None, "newer"),
        ];
        for (version, oldest, expected) in table {
            let result = match check(Found { version, oldest }, 3) {
                Ok(()) => "fits",
                Err(StoreError::SchemaVersion { .. }) => "older",
                Err(StoreError::SchemaTooNew { .. }) => "newer",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(result, expected, "{version} {oldest:?}");
        }
    }

    #[test]
    fn the_error_about_a_schema_that_is_too_new_says_what_to_do() {
        for (oldest, expected) in [(Some(5), "made for 5 or newer"), (None, "made for 6 or newer")] {
            let error = check(Found { version: 6, oldest }, 3).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.ends_with("upgrade it"),
                "{error}"
            );
        }
    }
}
