use lockstep_protocol::GroupName;

use super::pattern::PatternError;
use crate::bounds::{MOST_COMPILED_BYTES, MOST_PATTERN_BYTES};

/// Why the definitions of groups are invalid. Each error has the index of the definition.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The regex is invalid.
    #[error("the regex of group {name} is invalid: {source}")]
    Regex {
        /// The index of the definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
        /// The error of the regex engine.
        source: Box<fancy_regex::Error>,
    },
    /// The regex is too long.
    #[error(
        "the regex of group {name} has {length} bytes, more than the limit of {MOST_PATTERN_BYTES}; shorten it, or list the hostnames in devices"
    )]
    RegexTooLong {
        /// The index of the definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
        /// The bytes of the regex.
        length: usize,
    },
    /// The regex takes too much memory.
    #[error(
        "the regex of group {name} has more than the limit of {MOST_COMPILED_BYTES} bytes when it is compiled; use smaller repetition counts, or list the hostnames in devices"
    )]
    RegexTooLarge {
        /// The index of the definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
    },
    /// Two groups have the same name.
    #[error("group {name} is defined twice; remove one of them")]
    Duplicate {
        /// The index of the second definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
    },
    /// Only the group DEFAULT may have priority 1.
    #[error("group {name} has priority 1, which is reserved for the group DEFAULT; choose 0 or 2 to 100")]
    ReservedPriority {
        /// The index of the definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
    },
}

impl GroupError {
    /// The index of the invalid definition.
    pub fn index(&self) -> usize {
        match self {
            Self::Regex { index, .. }
            | Self::RegexTooLong { index, .. }
            | Self::RegexTooLarge { index, .. }
            | Self::Duplicate { index, .. }
            | Self::ReservedPriority { index, .. } => *index,
        }
    }

    pub(super) fn of_regex(index: usize, name: GroupName, error: PatternError) -> Self {
        match error {
            PatternError::TooLong(length) => Self::RegexTooLong { index, name, length },
            PatternError::TooLarge => Self::RegexTooLarge { index, name },
            PatternError::Invalid(source) => Self::Regex { index, name, source },
        }
    }
}
