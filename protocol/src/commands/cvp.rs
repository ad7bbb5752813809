use serde::{Deserialize, Serialize};

/// Cancel the pending tasks of a CloudVision cluster whose device is compliant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpSweepRequested {
    /// The cluster, by its configured name.
    pub cluster: String,
    /// Only say what would be cancelled.
    #[serde(default = "crate::commands::sync::yes")]
    pub dry_run: bool,
}
