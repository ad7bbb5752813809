//! What CloudVision answers, read tolerantly: any field may be missing, null, or of another type than last year. What could not
//! be read is kept apart from what is not there, because the gate treats them alike and people do not.

mod change_control;
mod compliance;
mod diff;
mod field;
mod inventory;
mod task;

pub use change_control::{ChangeControlError, ChangeControls};
pub use compliance::{Compliance, TaskOnDevice};
pub use diff::{DiffSummary, TaskDiff};
pub use field::{Field, FromWire};
pub use inventory::InventoryDevice;
pub(super) use inventory::inventory;
pub use task::{Task, TaskData, TaskDetails, TaskId, TaskPage};
