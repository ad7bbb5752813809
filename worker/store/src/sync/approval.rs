use jiff::Timestamp;

/// An approval of a plan. A sender has at most one of each plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanApproval {
    /// The number of the execution that is the plan.
    pub plan: u64,
    /// Who approved it, as authenticated.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// When it ceases to count.
    pub expires_at: Timestamp,
    /// Why.
    pub note: Option<String>,
}
