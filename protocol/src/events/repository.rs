use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bounds::{self, MAX_PATH, MAX_PATHS};
use crate::{CommitId, RepositoryName};

/// A branch of a repository points at another commit. The message only triggers a refresh: workers read the changes from git.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositoryChanged {
    /// The repository's name in the configuration.
    pub repository: RepositoryName,
    /// The branch name without `refs/heads/`.
    #[serde(deserialize_with = "branch")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Branch"))]
    pub branch: String,
    /// The commit before the change; all zeros if the branch is new.
    pub before: CommitId,
    /// The commit after the change; all zeros if the branch was deleted.
    pub after: CommitId,
    /// Whether history was rewritten.
    #[serde(default)]
    pub forced: bool,
    /// The changed paths as the sender knows them, at most 10,000. Informational; workers do not use them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "paths")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Vec<crate::schema::Path>>", length(max = MAX_PATHS))
    )]
    pub paths: Option<Vec<String>>,
}

fn branch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let branch = bounds::label(deserializer)?;
    if branch.starts_with("refs/") {
        // A ref matches no configured branch, so the message would be ignored without an error.
        return Err(D::Error::custom(format!(
            "{branch:?} is a ref; expected the name of a branch: main, not refs/heads/main"
        )));
    }
    Ok(branch)
}

fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let paths: Option<Vec<String>> = bounds::optional_list(deserializer, 0..=MAX_PATHS)?;
    for path in paths.iter().flatten() {
        let length = path.chars().count();
        if length > MAX_PATH {
            return Err(D::Error::custom(format!(
                "one path has {length} characters; the maximum is {MAX_PATH}"
            )));
        }
    }
    Ok(paths)
}
