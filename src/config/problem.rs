use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Where a setting comes from. Later ones win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A line of the configuration file.
    File { path: PathBuf, line: usize },
    /// An environment variable.
    Environment(String),
    /// A command line flag.
    Flag(&'static str),
}

impl Origin {
    /// Which of two origins wins.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::File { .. } => 0,
            Self::Environment(_) => 1,
            Self::Flag(_) => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with the configuration. Never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ConfigProblem {
    /// The key, such as `worker.batch_size`; empty where it is about the file as a whole.
    pub(crate) key: String,
    /// Where it stands: `FILE:LINE`, a variable or a flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
    /// What is wrong, and what is allowed.
    pub(crate) reason: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// Everything that is wrong with the configuration; ends the process with exit code 78.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigProblems(pub(crate) Vec<ConfigProblem>);

impl ConfigProblems {
    /// A single problem found while the process was put together.
    pub(crate) fn one(key: &str, reason: impl Into<String>) -> Self {
        Self(vec![ConfigProblem {
            key: key.to_owned(),
            origin: None,
            reason: reason.into(),
        }])
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => write!(f, "bad configuration: {problem}"),
            problems => {
                write!(f, "bad configuration, {} problems:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigProblems {}
