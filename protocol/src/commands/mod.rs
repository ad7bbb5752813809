//! The `data` of commands: requests to do something.

mod cvp;
mod dead_letter;
mod device;
mod execution;
mod repository;
mod schedule;
mod sync;
mod task;

pub use cvp::CvpSweepRequested;
pub use dead_letter::{
    DeadLetterDropRequested, DeadLetterRequeueRequested, DeadLetterSelection, MAX_DEAD_LETTERS,
};
pub use device::{DeviceMarkRequested, DeviceRemoveRequested, DeviceRenameRequested, DeviceStateRequested};
pub use execution::{
    ExecutionApproveRequested, ExecutionCancelRequested, ExecutionPauseRequested, ExecutionRelaunchRequested,
    ExecutionResumeRequested, ExecutionWithdrawApprovalRequested, ExecutionsResumeRequested,
    ExecutionsStopRequested,
};
pub use repository::{RepositoryAcceptRequested, RepositoryRefreshRequested};
pub use schedule::{ScheduleDeleteRequested, ScheduleSaveRequested};
pub use sync::{SyncAction, SyncRequested, SyncTargets};
pub use task::{ExecuteOn, RunLimits, TaskDeleteRequested, TaskReference, TaskRequested, TaskSaveRequested};
