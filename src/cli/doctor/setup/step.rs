//! The steps that a set-up reports.

use lockstep_store::postgres::Change;
use serde::Serialize;

use super::credentials::Password;

/// One object of the set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    what: String,
    done: Done,
}

/// The change of an object; with `--dry-run`, the change that would be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    /// It did not exist.
    Made,
    /// It was different.
    Changed,
    /// It already matches.
    Kept,
    /// It exists now; the broker does not report whether it existed before.
    Declared,
}

impl Step {
    pub(super) fn new(what: impl Into<String>, done: impl Into<Done>) -> Self {
        Self {
            what: what.into(),
            done: done.into(),
        }
    }

    /// The login of a user, which may get a new password.
    pub(super) fn login(what: &str, done: impl Into<Done>, password: &Password) -> Self {
        let done = done.into();
        match (done, password) {
            (Done::Kept, Password::Set { new: true, .. }) => {
                Self::new(format!("{what}, with a new password"), Done::Changed)
            }
            (Done::Kept, Password::Keep) => {
                Self::new(format!("{what}, with the password it has"), Done::Kept)
            }
            _ => Self::new(what, done),
        }
    }
    pub(super) fn line(&self, dry_run: bool) -> String {
        let word = match (self.done, dry_run) {
            (Done::Made, false) => "created",
            (Done::Made, true) => "would create",
            (Done::Changed, false) => "changed",
            (Done::Changed, true) => "would change",
            (Done::Kept, _) => "unchanged",
            (Done::Declared, false) => "declared",
            (Done::Declared, true) => "would declare",
        };
        format!("{word:<13} {}", self.what)
    }
}

impl From<Change> for Done {
    fn from(change: Change) -> Self {
        match change {
            Change::Made => Self::Made,
            Change::Changed => Self::Changed,
            Change::Kept => Self::Kept,
        }
    }
}
