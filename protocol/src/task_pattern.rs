use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bounds::MAX_LABEL;

/// Tasks that a person may run: those with exactly this name (`uptime`), or with a prefix (`backup-*`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct TaskPattern(String);

/// The text is not a pattern of tasks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is neither the name of a task (`uptime`) nor a prefix of names (`backup-*`), of 1 to {MAX_LABEL} characters"
)]
pub struct TaskPatternError(String);

impl TaskPattern {
    /// Whether a task with this name is meant.
    pub fn matches(&self, task: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => task.starts_with(prefix),
            None => task == self.0,
        }
    }

    /// Whether every task that the other pattern means is one of these.
    pub fn includes(&self, other: &Self) -> bool {
        match (self.0.strip_suffix('*'), other.0.strip_suffix('*')) {
            (Some(prefix), Some(other)) => other.starts_with(prefix),
            (None, Some(_)) => false,
            (_, None) => self.matches(&other.0),
        }
    }
}

impl FromStr for TaskPattern {
    type Err = TaskPatternError;

    fn from_str(text: &str) -> Result<Self, TaskPatternError> {
        let literal = text.strip_suffix('*').unwrap_or(text);
        let fits = !text.is_empty()
            && text.chars().count() <= MAX_LABEL
            && !literal.contains('*')
            && !text.contains(char::is_control);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(TaskPatternError(text.chars().take(MAX_LABEL).collect()))
        }
    }
}

impl TryFrom<String> for TaskPattern {
    type Error = TaskPatternError;

    fn try_from(text: String) -> Result<Self, TaskPatternError> {
        text.parse()
    }
}

impl From<TaskPattern> for String {
    fn from(pattern: TaskPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for TaskPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_and_prefixes() {
        for (pattern, task, expected) in [
            ("uptime", "uptime", true),
            ("uptime", "uptime-2", false),
            ("backup-*", "backup-core", true),
            ("backup-*", "backup", false),
            ("*", "anything", true),
        ] {
            let parsed: TaskPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(task), expected, "{pattern} {task}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for text in ["", "a*b", "**", "a\n", &"x".repeat(256)] {
            assert!(text.parse::<TaskPattern>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_includes_what_means_no_more_tasks() {
        for (outer, inner, expected) in [
            ("*", "backup-*", true),
            ("backup-*", "backup-core-*", true),
            ("backup-*", "backup-core", true),
            ("backup-core-*", "backup-*", false),
            ("backup", "backup*", false),
            ("backup", "backup", true),
        ] {
            let (outer, inner): (TaskPattern, TaskPattern) = (outer.parse().unwrap(), inner.parse().unwrap());
            assert_eq!(outer.includes(&inner), expected, "{outer} {inner}");
        }
    }
}
