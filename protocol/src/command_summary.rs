//! What the audit says about a command. Pure.

use crate::commands::{SyncAction, SyncRequested, SyncTargets, TaskRequested};
use crate::{AuditKind, Command, Message};

/// What a command is about, without values that may be secret, such as the arguments of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSummary<'a> {
    /// What it records.
    pub kind: AuditKind,
    /// What it is about; `None` if the command does not name it.
    pub subject: Option<String>,
    /// Why, as the command says.
    pub note: Option<&'a str>,
    /// More, in one line.
    pub detail: Option<String>,
    /// Whether it needs a reason where reasons are required.
    pub dangerous: bool,
}

impl<'a> CommandSummary<'a> {
    /// The summary of a command; one without a subject for every other message.
    pub fn of(message: &'a Message) -> Self {
        Self {
            kind: kind(message),
            ..summary(message)
        }
    }
}

fn kind(message: &Message) -> AuditKind {
    match message {
        Message::Command(Command::DeviceMarkRequested(mark)) if mark.synchronized => AuditKind::FlagCleared,
        Message::Command(Command::ExecutionApproveRequested(_)) => AuditKind::Approval,
        _ => AuditKind::Command,
    }
}

fn summary(message: &Message) -> CommandSummary<'_> {
    let everything = CommandSummary {
        kind: AuditKind::Command,
        subject: None,
        note: None,
        detail: None,
        dangerous: false,
    };
    let about = |subject: String| CommandSummary {
        subject: Some(subject),
        ..everything.clone()
    };
    let Message::Command(command) = message else {
        return everything;
    };
    match command {
        Command::DeviceStateRequested(request) => CommandSummary {
            note: request.note.as_deref(),
            detail: Some(format!("state {}", request.state)),
            ..about(request.hostname.to_string())
        },
        Command::DeviceMarkRequested(request) => CommandSummary {
            note: request.note.as_deref(),
            detail: Some(mark(request.synchronized, request.generation)),
            dangerous: request.synchronized,
            ..about(request.hostname.to_string())
        },
        Command::DeviceRemoveRequested(request) => CommandSummary {
            note: request.note.as_deref(),
            ..about(request.hostname.to_string())
        },
        Command::DeviceRenameRequested(request) => CommandSummary {
            note: request.note.as_deref(),
            detail: Some(format!("new name {}", request.new_hostname)),
            ..about(request.hostname.to_string())
        },
        Command::RepositoryRefreshRequested(request) => about(request.repository.to_string()),
        Command::RepositoryAcceptRequested(request) => CommandSummary {
            detail: Some(format!("commit {}", request.commit)),
            ..about(request.repository.to_string())
        },
        Command::SyncRequested(request) => sync(request),
        Command::TaskRequested(request) => task(request),
        Command::TaskSaveRequested(request) => about(request.name.clone()),
        Command::TaskDeleteRequested(request) => about(request.name.clone()),
        Command::ScheduleSaveRequested(request) => CommandSummary {
            detail: Some(format!("task {}, {}", request.task.task, request.cron)),
            ..about(request.name.clone())
        },
        Command::ScheduleDeleteRequested(request) => about(request.name.clone()),
        Command::ExecutionApproveRequested(request) => CommandSummary {
            note: request.note.as_deref(),
            ..about(format!("plan {}", request.execution))
        },
        Command::ExecutionWithdrawApprovalRequested(request) => about(format!("plan {}", request.execution)),
        Command::ExecutionCancelRequested(request) => about(request.execution.to_string()),
        Command::ExecutionPauseRequested(request) => about(request.execution.to_string()),
        Command::ExecutionResumeRequested(request) => about(request.execution.to_string()),
        Command::ExecutionRelaunchRequested(request) => about(request.execution.to_string()),
        Command::ExecutionsStopRequested(request) => CommandSummary {
            note: request.note.as_deref(),
            dangerous: true,
            ..everything
        },
        Command::CvpSweepRequested(request) => CommandSummary {
            detail: Some(run(request.dry_run).to_owned()),
            ..everything
        },
        Command::DeadLetterRequeueRequested(request) => dead_letter(request.dead_letter, false),
        Command::DeadLetterDropRequested(request) => dead_letter(request.dead_letter, true),
        Command::ExecutionsResumeRequested(_) => everything,
    }
}

fn mark(synchronized: bool, generation: Option<i64>) -> String {
    match (synchronized, generation) {
        (true, Some(generation)) => format!("synchronized at generation {generation}"),
        (true, None) => "synchronized".to_owned(),
        (false, _) => "unsynchronized".to_owned(),
    }
}

const fn run(dry_run: bool) -> &'static str {
    if dry_run { "dry run" } else { "apply" }
}

fn sync(request: &SyncRequested) -> CommandSummary<'_> {
    let subject = match (&request.targets, request.plan, request.rollback) {
        (Some(SyncTargets::All), ..) => "all devices".to_owned(),
        (Some(SyncTargets::Hostname(hostname)), ..) => hostname.to_string(),
        (Some(SyncTargets::DeviceType(device_type)), ..) => format!("type {device_type}"),
        (Some(SyncTargets::Group(group)), ..) => format!("group {group}"),
        (None, Some(plan), _) => format!("plan {plan}"),
        (None, None, Some(rollback)) => format!("rollback of {rollback}"),
        (None, None, None) => "nothing".to_owned(),
    };
    let force = if request.force { ", force" } else { "" };
    let what = match request.action {
        SyncAction::Synchronize => run(request.dry_run),
        SyncAction::Render => "render",
        SyncAction::Drift => "drift",
        SyncAction::AcceptDrift => "accept drift",
        SyncAction::ListSessions => "list sessions",
        SyncAction::AbortSession => "abort a session",
    };
    CommandSummary {
        kind: AuditKind::Command,
        subject: Some(subject),
        note: request.note.as_deref(),
        detail: Some(format!("{what}{force}")),
        dangerous: request.force && !request.dry_run,
    }
}

fn task(request: &TaskRequested) -> CommandSummary<'_> {
    let entities = request.execute_on.len() + request.execute_on_names.len();
    CommandSummary {
        kind: AuditKind::Command,
        subject: Some(request.task.to_string()),
        note: None,
        detail: Some(format!("{}, entities named: {entities}", run(request.dry_run))),
        dangerous: false,
    }
}

fn dead_letter(number: Option<u64>, dangerous: bool) -> CommandSummary<'static> {
    CommandSummary {
        kind: AuditKind::Command,
        subject: Some(number.map_or_else(
            || "matching dead letters".to_owned(),
            |number| format!("dead letter {number}"),
        )),
        note: None,
        detail: None,
        dangerous,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    #[test]
    fn a_summary_says_what_a_command_is_about_without_arguments_of_tasks() {
        let table = [
            // type, data; kind, subject, detail, note, whether it is dangerous
            (
                Kind::SyncRequested,
                json!({"targets": {"hostname": "sw1"}, "dry_run": false, "force": true}),
                (AuditKind::Command, Some("sw1"), Some("apply, force"), None, true),
            ),
            (
                Kind::SyncRequested,
                json!({"targets": "all", "force": true, "note": "ticket 7"}),
                (
                    AuditKind::Command,
                    Some("all devices"),
                    Some("dry run, force"),
                    Some("ticket 7"),
                    false,
                ),
            ),
            (
                Kind::DeviceMarkRequested,
                json!({"hostname": "sw1", "synchronized": true, "generation": 7}),
                (
                    AuditKind::FlagCleared,
                    Some("sw1"),
                    Some("synchronized at generation 7"),
                    None,
                    true,
                ),
            ),
            (
                Kind::DeviceMarkRequested,
                json!({"hostname": "sw1", "synchronized": false}),
                (
                    AuditKind::Command,
                    Some("sw1"),
                    Some("unsynchronized"),
                    None,
                    false,
                ),
            ),
            (
                Kind::ExecutionsStopRequested,
                json!({}),
                (AuditKind::Command, None, None, None, true),
            ),
            (
                Kind::DeadLetterDropRequested,
                json!({"dead_letter": 7}),
                (AuditKind::Command, Some("dead letter 7"), None, None, true),
            ),
            (
                Kind::TaskRequested,
                json!({"task": "uptime", "execute_on": [1], "execute_on_type": "DEVICE", "arguments": {"password": "s3cret"}}),
                (
                    AuditKind::Command,
                    Some("uptime"),
                    Some("dry run, entities named: 1"),
                    None,
                    false,
                ),
            ),
        ];
        for (kind, data, (audit_kind, subject, detail, note, dangerous)) in table {
            let message = Message::from_data(kind, &data).unwrap();
            let found = CommandSummary::of(&message);
            assert_eq!(found.kind, audit_kind, "{data}");
            assert_eq!(found.subject.as_deref(), subject, "{data}");
            assert_eq!(found.detail.as_deref(), detail, "{data}");
            assert_eq!(found.note, note, "{data}");
            assert_eq!(found.dangerous, dangerous, "{data}");
            assert!(!format!("{found:?}").contains("s3cret"));
        }
    }
}
