//! Decides which commands somebody may publish who is limited to groups of devices and to tasks. The console asks before it publishes,
//! workers ask again, and compare the devices. Pure.

use std::collections::BTreeSet;

use crate::authority::Denial;
use crate::commands::TaskReference;
use crate::{Command, GroupName, Hostname, Message, TaskPattern};

/// The task as which a sync counts.
pub const SYNC_TASK: &str = "sync";

/// What commands are limited to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLimits {
    /// The groups whose members they may concern; empty if they may concern all devices.
    pub groups: Vec<GroupName>,
    /// The tasks that they may run; empty if they may run all. A sync counts as the task [`SYNC_TASK`].
    pub tasks: Vec<TaskPattern>,
}

/// What a message does, as far as limits are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect<'a> {
    /// It concerns devices, which a worker compares with the groups.
    OnDevices,
    /// It runs a task on entities, which a worker compares with the groups.
    RunsTask(&'a str),
    /// It runs a task that it does not name.
    RunsNumber,
    /// It holds up or ends what runs.
    OnExecution,
    /// It concerns everything.
    OnEverything,
}

impl AccessLimits {
    /// Whether there is no limit.
    pub fn is_unlimited(&self) -> bool {
        self.groups.is_empty() && self.tasks.is_empty()
    }

    /// Whether everything that these limits allow is allowed by the other ones.
    pub fn is_within(&self, other: &Self) -> bool {
        let groups = other.groups.is_empty()
            || !self.groups.is_empty() && self.groups.iter().all(|group| other.groups.contains(group));
        let included = |task: &TaskPattern| other.tasks.iter().any(|outer| outer.includes(task));
        let tasks = other.tasks.is_empty() || !self.tasks.is_empty() && self.tasks.iter().all(included);
        groups && tasks
    }

    /// Whether a message with these limits may be published. Its devices are compared later, by a worker.
    ///
    /// # Errors
    /// Why not.
    pub fn permit(&self, message: &Message) -> Result<(), Denial> {
        if self.is_unlimited() {
            return Ok(());
        }
        match effect(message) {
            Effect::OnDevices | Effect::OnExecution => Ok(()),
            Effect::RunsTask(task) if self.may_run(task) => Ok(()),
            Effect::RunsTask(task) => Err(Denial {
                place: "$.data.task",
                reason: format!("the token may run {}, and not {task:?}", list(&self.tasks)),
            }),
            Effect::RunsNumber if self.tasks.is_empty() => Ok(()),
            Effect::RunsNumber => Err(Denial {
                place: "$.data.task",
                reason: "the token is limited to some tasks, which it runs by their names; name the task"
                    .to_owned(),
            }),
            Effect::OnEverything => Err(Denial {
                place: "$.type",
                reason: format!(
                    "{} concerns more than the groups and tasks that the token is limited to",
                    message.kind()
                ),
            }),
        }
    }

    fn may_run(&self, task: &str) -> bool {
        self.tasks.is_empty() || self.tasks.iter().any(|pattern| pattern.matches(task))
    }
}

/// The devices that a principal may command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    Everything,
    /// The members of these groups.
    Groups(BTreeSet<GroupName>),
    /// None: it may not run this task.
    Nothing,
}

/// What a principal may command who has these limits by one token each: what one of them allows is allowed. Without any it is not
/// limited. `task` is the task that is run.
pub fn reach(limits: &[AccessLimits], task: Option<&str>) -> Reach {
    if limits.is_empty() {
        return Reach::Everything;
    }
    let mut groups = BTreeSet::new();
    let mut may_run = false;
    for limits in limits
        .iter()
        .filter(|limits| task.is_none_or(|task| limits.may_run(task)))
    {
        if limits.groups.is_empty() {
            return Reach::Everything;
        }
        may_run = true;
        groups.extend(limits.groups.iter().cloned());
    }
    if may_run {
        Reach::Groups(groups)
    } else {
        Reach::Nothing
    }
}

/// Names in one line.
fn list(patterns: &[TaskPattern]) -> String {
    let texts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn effect(message: &Message) -> Effect<'_> {
    let Message::Command(command) = message else {
        return Effect::OnEverything;
    };
    match command {
        Command::DeviceStateRequested(_) | Command::DeviceMarkRequested(_) => Effect::OnDevices,
        Command::SyncRequested(_) => Effect::RunsTask(SYNC_TASK),
        Command::TaskRequested(request) => match &request.task {
            TaskReference::Name(name) => Effect::RunsTask(name),
            TaskReference::Number(_) => Effect::RunsNumber,
        },
        Command::ExecutionCancelRequested(_)
        | Command::ExecutionPauseRequested(_)
        | Command::ExecutionResumeRequested(_)
        | Command::ExecutionWithdrawApprovalRequested(_) => Effect::OnExecution,
        Command::DeviceRemoveRequested(_)
        | Command::DeviceRenameRequested(_)
        | Command::RepositoryRefreshRequested(_)
        | Command::RepositoryAcceptRequested(_)
        | Command::TaskSaveRequested(_)
        | Command::TaskDeleteRequested(_)
        | Command::ScheduleSaveRequested(_)
        | Command::ScheduleDeleteRequested(_)
        | Command::ExecutionApproveRequested(_)
        | Command::ExecutionRelaunchRequested(_)
        | Command::ExecutionsStopRequested(_)
        | Command::ExecutionsResumeRequested(_)
        | Command::CvpSweepRequested(_)
        | Command::DeadLetterRequeueRequested(_)
        | Command::DeadLetterDropRequested(_) => Effect::OnEverything,
    }
}

/// The device that a message commands by its name; workers compare it with the groups of the sender. Those of executions are compared
/// when the execution is stored.
pub fn commanded_device(message: &Message) -> Option<&Hostname> {
    match message {
        Message::Command(Command::DeviceStateRequested(request)) => Some(&request.hostname),
        Message::Command(Command::DeviceMarkRequested(request)) => Some(&request.hostname),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Kind;

    fn group(name: &str) -> GroupName {
        GroupName::try_from(name.to_owned()).unwrap()
    }

    fn limits(groups: &[&str], tasks: &[&str]) -> AccessLimits {
        AccessLimits {
            groups: groups.iter().map(|name| group(name)).collect(),
            tasks: tasks.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn message(kind: Kind, data: &Value) -> Message {
        Message::from_data(kind, data).unwrap()
    }

    #[test]
    fn limits_permit_what_they_can_compare() {
        let execution = json!({"execution": "00000000-0000-0000-0000-000000000001"});
        let task = |task: Value| {
            message(
                Kind::TaskRequested,
                &json!({"task": task, "execute_on_type": "DEVICE"}),
            )
        };
        let messages = [
            message(
                Kind::DeviceStateRequested,
                &json!({"hostname": "sw1", "state": "MANAGED"}),
            ),
            message(Kind::SyncRequested, &json!({"targets": "all"})),
            task(json!("backup-core")),
            task(json!("uptime")),
            task(json!(1)),
            message(Kind::ExecutionCancelRequested, &execution),
            message(Kind::DeviceRemoveRequested, &json!({"hostname": "sw1"})),
            message(Kind::DeviceRemoved, &json!({"hostname": "sw1"})),
        ];
        let table = [
            // limits; state, sync, backup-core, uptime, task by number, cancel, remove, event
            (limits(&[], &[]), [true; 8]),
            (
                limits(&["oslo"], &[]),
                [true, true, true, true, true, true, false, false],
            ),
            (
                limits(&[], &["backup-*"]),
                [true, false, true, false, false, true, false, false],
            ),
            (
                limits(&["oslo"], &["sync", "uptime"]),
                [true, true, false, true, false, true, false, false],
            ),
        ];
        for (limits, expected) in table {
            let found: Vec<bool> = messages
                .iter()
                .map(|message| limits.permit(message).is_ok())
                .collect();
            assert_eq!(found, expected, "{limits:?}");
        }
    }

    #[test]
    fn what_one_token_allows_is_allowed() {
        let groups = |names: &[&str]| Reach::Groups(names.iter().map(|name| group(name)).collect());
        let (oslo, bergen) = (limits(&["oslo"], &["uptime"]), limits(&["bergen"], &[]));
        let (all, no_task) = (limits(&[], &[]), limits(&[], &["sync"]));
        for (tokens, task, expected) in [
            (vec![], Some("uptime"), Reach::Everything),
            (vec![oslo.clone()], Some("uptime"), groups(&["oslo"])),
            (vec![oslo.clone()], Some("sync"), Reach::Nothing),
            (vec![oslo.clone()], None, groups(&["oslo"])),
            (
                vec![oslo.clone(), bergen.clone()],
                Some("uptime"),
                groups(&["bergen", "oslo"]),
            ),
            (vec![oslo.clone(), bergen], Some("sync"), groups(&["bergen"])),
            (
                vec![oslo.clone(), no_task.clone()],
                Some("sync"),
                Reach::Everything,
            ),
            (vec![no_task], Some("uptime"), Reach::Nothing),
            (vec![oslo, all], Some("sync"), Reach::Everything),
        ] {
            assert_eq!(reach(&tokens, task), expected, "{tokens:?} {task:?}");
        }
    }

    #[test]
    fn limits_are_within_others_that_allow_no_less() {
        for (inner, outer, expected) in [
            (limits(&[], &[]), limits(&[], &[]), true),
            (limits(&["oslo"], &["uptime"]), limits(&[], &[]), true),
            (limits(&[], &[]), limits(&["oslo"], &[]), false),
            (limits(&[], &[]), limits(&[], &["uptime"]), false),
            (limits(&["oslo"], &[]), limits(&["oslo", "bergen"], &[]), true),
            (limits(&["oslo", "bergen"], &[]), limits(&["oslo"], &[]), false),
            (limits(&[], &["backup-core"]), limits(&[], &["backup-*"]), true),
            (limits(&[], &["*"]), limits(&[], &["backup-*"]), false),
        ] {
            assert_eq!(inner.is_within(&outer), expected, "{inner:?} {outer:?}");
        }
    }
}
