use serde::{Deserialize, Serialize};

/// An element of an execution may begin. The row of the element says whether it does: the message may come late, twice or never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ElementQueued {
    /// The number of the element's row.
    pub element: u64,
}
