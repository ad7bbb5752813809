use async_graphql::Object;
use lockstep_store::PlanApproval;

use super::date_time::DateTime;

/// An approval of a plan. It counts before `expiresAt`, for others than `by` and the sender who requested the plan.
#[derive(Clone, Debug)]
pub(crate) struct Approval(pub(super) PlanApproval);

#[Object]
impl Approval {
    /// The authenticated sender who approved it.
    async fn by(&self) -> &str {
        &self.0.by
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// When it ceases to count.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// Why.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }
}
