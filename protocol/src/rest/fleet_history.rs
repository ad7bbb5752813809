use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The time until now that a history of the fleet is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HistoryPeriod {
    /// Six hours, with a sample of each minute.
    #[default]
    #[serde(rename = "6h")]
    SixHours,
    /// Two days, with a sample of each minute.
    #[serde(rename = "2d")]
    TwoDays,
    /// Thirty days, with a sample of each hour.
    #[serde(rename = "30d")]
    ThirtyDays,
    /// A year, with a sample of each hour.
    #[serde(rename = "365d")]
    Year,
}

impl HistoryPeriod {
    /// Every period, the shortest first.
    pub const ALL: [Self; 4] = [Self::SixHours, Self::TwoDays, Self::ThirtyDays, Self::Year];

    /// Its name in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SixHours => "6h",
            Self::TwoDays => "2d",
            Self::ThirtyDays => "30d",
            Self::Year => "365d",
        }
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::SixHours => 6 * 3600,
            Self::TwoDays => 2 * 86_400,
            Self::ThirtyDays => 30 * 86_400,
            Self::Year => 365 * 86_400,
        }
    }
}

impl fmt::Display for HistoryPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no period.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not one of 6h, 2d, 30d, 365d")]
pub struct HistoryPeriodError(String);

impl FromStr for HistoryPeriod {
    type Err = HistoryPeriodError;

    fn from_str(text: &str) -> Result<Self, HistoryPeriodError> {
        let mut all = Self::ALL.into_iter();
        let named = all.find(|period| period.as_str() == text);
        named.ok_or_else(|| HistoryPeriodError(text.to_owned()))
    }
}

/// The answer of `GET /v1/fleet/history`: how many `MANAGED` devices were synchronized and not synchronized, by the store's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FleetHistory {
    /// The time that it is about.
    pub period: HistoryPeriod,
    /// Where that begins.
    pub from: Timestamp,
    /// When it was read.
    pub to: Timestamp,
    /// The seconds from a sample to the next one: 60 or 3600.
    pub every_seconds: u32,
    /// The samples, the oldest first. Where no worker took one, none is there.
    pub samples: Vec<FleetSampleView>,
}

/// How many `MANAGED` devices there were at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FleetSampleView {
    /// The beginning of the minute or of the hour.
    pub at: Timestamp,
    /// Devices that were synchronized.
    pub synchronized: u64,
    /// Devices that were not.
    pub unsynchronized: u64,
}
