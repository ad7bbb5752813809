use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An element of an execution on CloudVision may begin. The row of the element says whether it does: the message may come late, twice or
/// never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpElementQueued {
    /// The number of the element's row.
    pub element: u64,
}

/// Some time ago, a sweep ended that cancelled tasks: their devices are to be checked once more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvpLookDue {
    /// The id of the sweep's execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
}
