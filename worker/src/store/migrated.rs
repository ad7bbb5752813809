//! What both stores say about a migration.

use std::error::Error as _;

use refinery::error::Kind;
use refinery::{Error, Migration, Report, Runner};

use super::meaning::Meaning;
use super::{Migrated, StoreError};

/// The version this program needs.
pub(super) fn newest(runner: &Runner) -> u32 {
    let versions = runner.get_migrations().iter().map(Migration::version);
    versions.max().map_or(0, number)
}

/// A version as it is written in the store.
pub(super) fn number(version: i32) -> u32 {
    u32::try_from(version).unwrap_or(0)
}

pub(super) fn migrated(report: &Report, version: u32) -> Migrated {
    let applied = report
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect();
    Migrated { version, applied }
}

/// What an error of a migration is. The error of the driver `E` decides, where there is one.
pub(super) fn failed<E: std::error::Error + 'static>(
    error: Error,
    needed: u32,
    meaning: impl FnOnce(&E) -> Meaning,
) -> StoreError {
    if let Kind::MissingVersion(applied) = error.kind() {
        return StoreError::SchemaVersion {
            found: number(applied.version()),
            needed,
        };
    }
    let mut causes = std::iter::successors(error.source(), |error| (*error).source());
    let meaning = causes
        .find_map(|error| error.downcast_ref::<E>())
        .map_or(Meaning::Refused, meaning);
    meaning.error("migrate", error)
}
