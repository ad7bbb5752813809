use std::fmt;

use serde::{Deserialize, Serialize};

use super::DEAD;

/// A work queue whose messages are all processed the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Events that change sync flags, processed in micro-batches.
    Events,
    /// Refreshes of git repositories, one run at a time per repository.
    Repositories,
    /// Commands that change state, processed in micro-batches.
    Commands,
    /// Commands about tasks, schedules and executions, which begin runs on many devices.
    Executions,
    /// Runs on devices.
    Devices,
    /// Runs on CloudVision.
    Cvp,
    /// Messages that the broker dead-lettered, to be stored as dead letters.
    Dead,
}

impl Lane {
    /// Every lane.
    pub const ALL: &[Self] = &[
        Self::Events,
        Self::Repositories,
        Self::Commands,
        Self::Executions,
        Self::Devices,
        Self::Cvp,
        Self::Dead,
    ];

    /// The lane's name, which is also its routing key at `lockstep.work`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Repositories => "repositories",
            Self::Commands => "commands",
            Self::Executions => "executions",
            Self::Devices => "devices",
            Self::Cvp => "cvp",
            Self::Dead => "dead",
        }
    }

    /// The name of the lane's queue.
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Events => "lockstep.lane.events",
            Self::Repositories => "lockstep.lane.repositories",
            Self::Commands => "lockstep.lane.commands",
            Self::Executions => "lockstep.lane.executions",
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
                format!("{text:?} is not a lane; expected one of {}", known.join(", "))
            })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
