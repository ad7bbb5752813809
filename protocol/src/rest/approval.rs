use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An approval of a plan. It counts before `expires_at`, for others than `by` and the sender who requested the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalView {
    /// The authenticated sender who approved it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// When it ceases to count.
    pub expires_at: Timestamp,
    /// Why.
    pub note: Option<String>,
}
