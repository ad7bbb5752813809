use serde::{Deserialize, Serialize};

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
}
