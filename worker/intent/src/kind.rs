use std::fmt;
use std::str::FromStr;

/// The kind of a repository, which decides the rules for its paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RepositoryKind {
    /// Settings of the devices.
    Settings,
    /// Templates that render settings to device configurations.
    Templates,
}

impl RepositoryKind {
    /// The name of the repository in messages and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Templates => "templates",
        }
    }
}

impl fmt::Display for RepositoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RepositoryKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Settings, Self::Templates]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("unknown repository {text:?}; expected settings or templates"))
    }
}
