//! What sync runs keep: what each element is bound to, intents, plans, differences and previous configurations.

mod approval;
mod plan;
mod run;

pub use approval::PlanApproval;
pub use plan::{SyncElement, SyncElementQuery, SyncPlans, SyncedTo};
pub use run::{RunningElement, SyncBinding, SyncDiff, SyncIntent, SyncRuns, SyncedDevice};
