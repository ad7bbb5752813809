//! What sync runs keep: what each element is bound to, intents, plans, differences and previous configurations.

mod plan;
mod run;

pub use plan::{SyncElement, SyncElementQuery, SyncPlans};
pub use run::{RunningElement, SyncBinding, SyncDiff, SyncIntent, SyncRuns, SyncedDevice};
