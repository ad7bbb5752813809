//! The `data` of commands: requests to do something.

mod cvp;
mod dead_letter;
mod device;
mod execution;
mod repository;
mod sync;
mod task;

pub use cvp::CvpSweepRequested;
pub use dead_letter::{
    DeadLetterDropRequested, DeadLetterRequeueRequested, DeadLetterSelection, MAX_DEAD_LETTERS,
};
pub use device::{DeviceMarkRequested, DeviceRemoveRequested, DeviceRenameRequested, DeviceStateRequested};
pub use execution::{ExecutionCancelRequested, ScheduleSaveRequested};
pub use repository::{RepositoryAcceptRequested, RepositoryRefreshRequested};
pub use sync::{SyncRequested, SyncTargets};
pub use task::{ExecuteOn, TaskDeleteRequested, TaskRequested, TaskSaveRequested};
