use lockstep_protocol::Message;
use lockstep_protocol::commands::{
    CvpSweepRequested, ExecutionApproveRequested, ExecutionCancelRequested, ExecutionPauseRequested,
    ExecutionRelaunchRequested, ExecutionResumeRequested, ExecutionWithdrawApprovalRequested,
    ExecutionsResumeRequested, ExecutionsStopRequested, ScheduleDeleteRequested, ScheduleSaveRequested,
    SyncRequested, TaskDeleteRequested, TaskRequested, TaskSaveRequested,
};
use lockstep_protocol::internal::{CvpElementQueued, CvpLookDue, ElementQueued};

use crate::handlers::{Processable, Processing, Rejection, processing, run_lane};

/// A message of the executions lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExecutionMessage<'a> {
    /// Run a task.
    TaskRequested(&'a TaskRequested),
    /// Save a task.
    TaskSaveRequested(&'a TaskSaveRequested),
    /// Delete a task.
    TaskDeleteRequested(&'a TaskDeleteRequested),
    /// Save a schedule.
    ScheduleSaveRequested(&'a ScheduleSaveRequested),
    /// Delete a schedule.
    ScheduleDeleteRequested(&'a ScheduleDeleteRequested),
    /// Cancel an execution.
    CancelRequested(&'a ExecutionCancelRequested),
    /// Pause an execution.
    PauseRequested(&'a ExecutionPauseRequested),
    /// Resume an execution.
    ResumeRequested(&'a ExecutionResumeRequested),
    /// Run the failed elements of an execution again.
    RelaunchRequested(&'a ExecutionRelaunchRequested),
    /// Approve a plan.
    ApproveRequested(&'a ExecutionApproveRequested),
    /// Withdraw the own approval of a plan.
    WithdrawApprovalRequested(&'a ExecutionWithdrawApprovalRequested),
    /// Stop all executions.
    StopAllRequested(&'a ExecutionsStopRequested),
    /// Let executions go on.
    ResumeAllRequested(&'a ExecutionsResumeRequested),
    /// Synchronize devices, or do another thing with their configurations.
    SyncRequested(&'a SyncRequested),
    /// Sweep a cluster of CloudVision.
    SweepRequested(&'a CvpSweepRequested),
    /// Check devices once more whose CloudVision tasks were cancelled.
    LookDue(&'a CvpLookDue),
}

impl<'a> TryFrom<&'a Message> for ExecutionMessage<'a> {
    type Error = Rejection;

    fn try_from(message: &'a Message) -> Result<Self, Rejection> {
        match processing(message) {
            Some(Processing::Executions(message)) => Ok(message),
            Some(
                Processing::Batch(_)
                | Processing::Repositories(_)
                | Processing::Element(_)
                | Processing::NotSupported,
            )
            | None => Err(Rejection::wrong_lane(message.kind())),
        }
    }
}

run_lane!(Executions(ExecutionMessage):
    TaskRequested => TaskRequested,
    TaskSaveRequested => TaskSaveRequested,
    TaskDeleteRequested => TaskDeleteRequested,
    ScheduleSaveRequested => ScheduleSaveRequested,
    ScheduleDeleteRequested => ScheduleDeleteRequested,
    ExecutionCancelRequested => CancelRequested,
    ExecutionPauseRequested => PauseRequested,
    ExecutionResumeRequested => ResumeRequested,
    ExecutionRelaunchRequested => RelaunchRequested,
    ExecutionApproveRequested => ApproveRequested,
    ExecutionWithdrawApprovalRequested => WithdrawApprovalRequested,
    ExecutionsStopRequested => StopAllRequested,
    ExecutionsResumeRequested => ResumeAllRequested,
    SyncRequested => SyncRequested,
    CvpSweepRequested => SweepRequested,
    CvpLookDue => LookDue,
);

impl Processable for ElementQueued {
    fn processing(&self) -> Processing<'_> {
        Processing::Element(self.element)
    }
}

impl Processable for CvpElementQueued {
    fn processing(&self) -> Processing<'_> {
        Processing::Element(self.element)
    }
}
