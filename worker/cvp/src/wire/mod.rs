//! Parses CloudVision's answers tolerantly: any field may be missing, null, or of another type in another release. A field that cannot
//! be read is distinguished from a missing one, so that reports can tell them apart.

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
pub use inventory::{InventoryDevice, ListedDevice};
pub(super) use inventory::{ListError, inventory, listed};
pub(super) use task::PageError;
pub use task::{Task, TaskData, TaskDetails, TaskId, TaskPage};
