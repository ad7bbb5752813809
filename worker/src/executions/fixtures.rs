//! What unit tests of executions share.

use jiff::Timestamp;
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ExecutionState, Identity, Kind, Source};
use lockstep_store::{ElementCounts, ExecutionRow, NewExecution, ReplyAddress, StageRow};
use serde_json::Value;
use uuid::Uuid;

/// A running execution of a provider, a dry run, with these arguments of its task.
pub(super) fn execution(provider: &str, task_arguments: Value, limits: RunLimits) -> ExecutionRow {
    ExecutionRow {
        number: 7,
        id: Uuid::nil(),
        request: NewExecution {
            task_number: 0,
            task: provider.to_owned(),
            provider: provider.to_owned(),
            task_arguments,
            run_input_json_schema: None,
            requested: TaskRequested {
                task: provider.into(),
                execute_on: Vec::new(),
                execute_on_names: Vec::new(),
                execute_on_type: ExecuteOn::Global,
                dry_run: true,
                arguments: Value::Null,
                limits,
            },
            run_on: ExecuteOn::Global,
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            plan: Vec::new(),
            lane: Lane::Cvp,
            relaunch_of: None,
            parent: None,
            identity: Identity {
                source: Source::worker(),
                id: Uuid::nil().into(),
            },
            kind: Kind::CvpSweepRequested,
            actor: None,
            reply: ReplyAddress::default(),
            at: Timestamp::UNIX_EPOCH,
            deadline_at: None,
        },
        state: ExecutionState::Running,
        reason: None,
        started_at: Some(Timestamp::UNIX_EPOCH),
        ended_at: None,
        paused: false,
        halt: None,
        in_canary: false,
        counts: ElementCounts::default(),
        parked: 0,
        stage: StageRow::default(),
    }
}
