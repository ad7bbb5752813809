use std::fmt;

use super::path::display_path;
use super::place::Place;

/// A problem in a repository that makes a change invalid, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntentProblem {
    /// The path, with control characters and invalid UTF-8 escaped.
    pub file: String,
    /// The line, from 1; `None` if the file as a whole is the problem.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// What is wrong, and what to do about it.
    pub reason: String,
}

impl IntentProblem {
    /// A problem of a file as a whole.
    pub(super) fn whole(path: &[u8], reason: impl Into<String>) -> Self {
        Self {
            file: display_path(path),
            line: None,
            column: None,
            reason: reason.into(),
        }
    }

    /// A problem at a place in a file.
    pub(super) fn at(path: &[u8], place: Place, reason: impl Into<String>) -> Self {
        Self {
            file: display_path(path),
            line: Some(place.line),
            column: Some(place.column),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for IntentProblem {
    /// `file:line:column: reason`, as compilers print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
