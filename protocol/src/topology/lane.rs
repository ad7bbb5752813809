use std::fmt;

use serde::{Deserialize, Serialize};

use super::DEAD;

/// One work queue and the way its messages are worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Events that flip flags, in micro-batches.
    Events,
    /// Git: a run at a time for each repository.
    Repositories,
    /// Commands about state, in micro-batches.
    Commands,
    /// Runs on devices.
    Devices,
    /// Runs on CloudVision.
    Cvp,
    /// Dead letters on their way into the table.
    Dead,
}

impl Lane {
    /// Every lane.
    pub const ALL: &[Self] = &[
        Self::Events,
        Self::Repositories,
        Self::Commands,
        Self::Devices,
        Self::Cvp,
        Self::Dead,
    ];

    /// The lane's name, which is its routing key at [`WORK`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Repositories => "repositories",
            Self::Commands => "commands",
            Self::Devices => "devices",
            Self::Cvp => "cvp",
            Self::Dead => "dead",
        }
    }

    /// The lane's queue.
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Events => "lockstep.lane.events",
            Self::Repositories => "lockstep.lane.repositories",
            Self::Commands => "lockstep.lane.commands",
            Self::Devices => "lockstep.lane.devices",
            Self::Cvp => "lockstep.lane.cvp",
            Self::Dead => DEAD,
        }
    }
}

impl std::str::FromStr for Lane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|lane| lane.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.iter().map(|lane| lane.as_str()).collect();
                format!("{text:?} is no lane; there are {}", known.join(", "))
            })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
