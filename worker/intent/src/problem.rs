use std::fmt;

use super::path::shown;

/// One thing that is wrong in a repository, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntentProblem {
    /// The path, escaped for people.
    pub file: String,
    /// The line, from 1, if the place is inside the file.
    pub line: Option<usize>,
    /// The column, from 1.
    pub column: Option<usize>,
    /// What is wrong and what to do.
    pub reason: String,
}

impl IntentProblem {
    /// Something is wrong with a file as a whole.
    pub(super) fn whole(path: &[u8], reason: impl Into<String>) -> Self {
        Self {
            file: shown(path),
            line: None,
            column: None,
            reason: reason.into(),
        }
    }

    /// Something is wrong at a place in a file.
    pub(super) fn at(path: &[u8], place: super::yaml::Place, reason: impl Into<String>) -> Self {
        Self {
            file: shown(path),
            line: Some(place.line),
            column: Some(place.column),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for IntentProblem {
    /// `file:line:column: reason`, as compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
