use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bounds::{self, MAX_CVP_NAMES};

/// Cancel the pending tasks of a CloudVision cluster whose device is compliant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpSweepRequested {
    /// The cluster's name in the configuration.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub cluster: String,
    /// Report what would be cancelled without cancelling it.
    #[serde(default = "crate::commands::sync::yes")]
    pub dry_run: bool,
    /// Only tasks of devices with one of these hostnames, serial numbers or MAC addresses; at most 1,000. Empty: of all devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::schema::Label>", length(max = MAX_CVP_NAMES)))]
    pub devices: Vec<String>,
    /// Only the tasks with these ids; at most 1,000. Empty: all tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::schema::Label>", length(max = MAX_CVP_NAMES)))]
    pub tasks: Vec<String>,
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names: Vec<String> = bounds::list(deserializer, 0..=MAX_CVP_NAMES)?;
    for name in &names {
        bounds::check_label(name).map_err(D::Error::custom)?;
    }
    Ok(names)
}
