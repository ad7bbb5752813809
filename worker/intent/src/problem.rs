use std::fmt;

use super::bounds::{MOST_PROBLEM_CHARACTERS, MOST_PROBLEMS_OF_FILE};
use super::path::display_path;
use super::place::Place;

/// A problem in a repository that makes a change invalid, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntentProblem {
    /// The path, with control characters and invalid UTF-8 escaped. A long path is cut.
    pub file: String,
    /// The line, from 1; `None` if the file as a whole is the problem.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// What is wrong, and what to do about it. A long text is cut.
    pub reason: String,
}

impl IntentProblem {
    /// A problem of the tree as a whole.
    pub fn of_tree(reason: impl Into<String>) -> Self {
        Self::whole(b".", reason)
    }

    /// A problem of a file as a whole.
    pub fn whole(path: &[u8], reason: impl Into<String>) -> Self {
        Self {
            // An escaped byte is four characters, so the rest would be cut anyway.
            file: cut(display_path(&path[..path.len().min(4 * MOST_PROBLEM_CHARACTERS)])),
            line: None,
            column: None,
            reason: cut(reason.into()),
        }
    }

    /// A problem at a place in a file.
    pub fn at(path: &[u8], place: Place, reason: impl Into<String>) -> Self {
        Self {
            line: Some(place.line),
            column: Some(place.column),
            ..Self::whole(path, reason)
        }
    }

    /// Notes that other files have the same content.
    pub(super) fn also_in(&mut self, others: usize) {
        let note = match others {
            1 => "; another file has the same content".to_owned(),
            _ => format!("; {others} other files have the same content"),
        };
        self.reason.push_str(&note);
    }
}

/// The text up to the limit, so that a problem never holds more, whatever the repository holds.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_PROBLEM_CHARACTERS) {
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
    text
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

/// The problems of one file, up to their limit.
#[derive(Debug)]
pub(crate) struct FileProblems<'a> {
    path: &'a [u8],
    problems: Vec<IntentProblem>,
}

impl<'a> FileProblems<'a> {
    pub(crate) fn of(path: &'a [u8]) -> Self {
        Self {
            path,
            problems: Vec::new(),
        }
    }

    /// Adds a problem, unless there are as many as may be.
    pub(crate) fn add(&mut self, place: Place, reason: impl Into<String>) {
        if !self.are_full() {
            self.problems.push(IntentProblem::at(self.path, place, reason));
        }
    }

    /// Whether no further problem is added, so that it need not be looked for.
    pub(crate) fn are_full(&self) -> bool {
        self.problems.len() >= MOST_PROBLEMS_OF_FILE
    }

    pub(crate) fn are_none(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<IntentProblem> {
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_bounded_whatever_the_repository_holds() {
        let place = Place { line: 1, column: 1 };
        let long = IntentProblem::at(&vec![0xff; 100_000], place, "ä".repeat(9_000_000));
        assert_eq!(long.file.chars().count(), MOST_PROBLEM_CHARACTERS + 1);
        assert_eq!(long.reason.chars().count(), MOST_PROBLEM_CHARACTERS + 1);
        assert!(long.to_string().ends_with('…') && long.reason.capacity() < 4096);
        let exact = IntentProblem::whole(b"a", "x".repeat(MOST_PROBLEM_CHARACTERS));
        assert_eq!(exact.reason.len(), MOST_PROBLEM_CHARACTERS);
        let mut problems = FileProblems::of(b"a");
        (0..1000).for_each(|_| problems.add(place, "x"));
        assert_eq!(problems.into_vec().len(), MOST_PROBLEMS_OF_FILE);
    }
}
