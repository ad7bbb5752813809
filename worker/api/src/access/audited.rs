use lockstep_protocol::commands::{SyncAction, SyncRequested, SyncTargets, TaskRequested};
use lockstep_protocol::{AuditKind, Command, Envelope, Kind, Message};
use lockstep_store::{AuditActor, NewAuditEntry};

/// What the audit says about a command.
struct Summary<'a> {
    /// What it is about.
    subject: Option<String>,
    /// Why, as the command says.
    note: Option<&'a str>,
    /// More.
    detail: Option<String>,
    /// Whether it needs a reason where reasons are required.
    dangerous: bool,
}

/// A dangerous command has no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingReason(pub(crate) Kind);

/// The entry about a command that is about to be published.
///
/// # Errors
/// If reasons are required, and it is dangerous and has none.
pub(crate) fn entry(
    envelope: &Envelope,
    actor: AuditActor,
    reason: Option<&str>,
    requires_reasons: bool,
) -> Result<NewAuditEntry, MissingReason> {
    let kind = envelope.message.kind();
    let summary = summary(&envelope.message);
    let reason = reason.or(summary.note.map(str::trim).filter(|note| !note.is_empty()));
    if requires_reasons && summary.dangerous && reason.is_none() {
        return Err(MissingReason(kind));
    }
    Ok(NewAuditEntry {
        kind: audit_kind(&envelope.message),
        actor,
        message: Some(envelope.identity.clone()),
        message_type: Some(kind.as_str().to_owned()),
        subject: summary.subject.or_else(|| envelope.subject.clone()),
        reason: reason.map(str::to_owned),
        detail: summary.detail,
    })
}

fn audit_kind(message: &Message) -> AuditKind {
    match message {
        Message::Command(Command::DeviceMarkRequested(mark)) if mark.synchronized => AuditKind::FlagCleared,
        Message::Command(Command::ExecutionApproveRequested(_)) => AuditKind::Approval,
        _ => AuditKind::Command,
    }
}

/// What a command is about, without values that may be secret, such as the arguments of tasks.
fn summary(message: &Message) -> Summary<'_> {
    let about = |subject: String| Summary {
        subject: Some(subject),
        note: None,
        detail: None,
        dangerous: false,
    };
    let everything = Summary {
        subject: None,
        note: None,
        detail: None,
        dangerous: false,
    };
    let Message::Command(command) = message else {
        return everything;
    };
    match command {
        Command::DeviceStateRequested(request) => Summary {
            note: request.note.as_deref(),
            detail: Some(format!("state {}", request.state)),
            ..about(request.hostname.to_string())
        },
        Command::DeviceMarkRequested(request) => Summary {
            note: request.note.as_deref(),
            detail: Some(mark(request.synchronized, request.generation)),
            dangerous: request.synchronized,
            ..about(request.hostname.to_string())
        },
        Command::DeviceRemoveRequested(request) => Summary {
            note: request.note.as_deref(),
            ..about(request.hostname.to_string())
        },
        Command::DeviceRenameRequested(request) => Summary {
            note: request.note.as_deref(),
            detail: Some(format!("new name {}", request.new_hostname)),
            ..about(request.hostname.to_string())
        },
        Command::RepositoryRefreshRequested(request) => about(request.repository.to_string()),
        Command::RepositoryAcceptRequested(request) => Summary {
            detail: Some(format!("commit {}", request.commit)),
            ..about(request.repository.to_string())
        },
        Command::SyncRequested(request) => sync(request),
        Command::TaskRequested(request) => task(request),
        Command::TaskSaveRequested(request) => about(request.name.clone()),
        Command::TaskDeleteRequested(request) => about(request.name.clone()),
        Command::ScheduleSaveRequested(request) => Summary {
            detail: Some(format!("task {}, {}", request.task.task, request.cron)),
            ..about(request.name.clone())
        },
        Command::ScheduleDeleteRequested(request) => about(request.name.clone()),
        Command::ExecutionApproveRequested(request) => Summary {
            note: request.note.as_deref(),
            ..about(format!("plan {}", request.execution))
        },
        Command::ExecutionWithdrawApprovalRequested(request) => about(format!("plan {}", request.execution)),
        Command::ExecutionCancelRequested(request) => about(request.execution.to_string()),
        Command::ExecutionPauseRequested(request) => about(request.execution.to_string()),
        Command::ExecutionResumeRequested(request) => about(request.execution.to_string()),
        Command::ExecutionRelaunchRequested(request) => about(request.execution.to_string()),
        Command::ExecutionsStopRequested(request) => Summary {
            note: request.note.as_deref(),
            dangerous: true,
            ..everything
        },
        Command::CvpSweepRequested(request) => Summary {
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

fn sync(request: &SyncRequested) -> Summary<'_> {
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
    Summary {
        subject: Some(subject),
        note: request.note.as_deref(),
        detail: Some(format!("{what}{force}")),
        dangerous: request.force && !request.dry_run,
    }
}

fn task(request: &TaskRequested) -> Summary<'_> {
    let entities = request.execute_on.len() + request.execute_on_names.len();
    Summary {
        subject: Some(request.task.to_string()),
        note: None,
        detail: Some(format!("{}, entities named: {entities}", run(request.dry_run))),
        dangerous: false,
    }
}

fn dead_letter(number: Option<u64>, dangerous: bool) -> Summary<'static> {
    Summary {
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
    use lockstep_protocol::Source;
    use serde_json::{Value, json};

    use super::*;

    fn envelope(kind: Kind, data: &Value) -> Envelope {
        let message = Message::from_data(kind, data).unwrap();
        let source = Source::try_from("urn:test".to_owned()).unwrap();
        Envelope::new(source, "2026-02-03T04:05:06Z".parse().unwrap(), message)
    }

    #[test]
    fn entries_say_what_a_command_is_about_and_dangerous_ones_need_a_reason() {
        let table = [
            // type, data; kind, subject, detail, reason, whether one is needed
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
        for (kind, data, (audit_kind, subject, detail, reason, dangerous)) in table {
            let envelope = envelope(kind, &data);
            let found = entry(&envelope, AuditActor::default(), None, false).unwrap();
            assert_eq!(found.kind, audit_kind, "{data}");
            assert_eq!(found.subject.as_deref(), subject, "{data}");
            assert_eq!(found.detail.as_deref(), detail, "{data}");
            assert_eq!(found.reason.as_deref(), reason, "{data}");
            assert_eq!(found.message, Some(envelope.identity.clone()));
            assert!(!format!("{found:?}").contains("s3cret"));
            let checked = entry(&envelope, AuditActor::default(), None, true);
            assert_eq!(checked.err(), dangerous.then_some(MissingReason(kind)), "{data}");
            let with_reason = entry(&envelope, AuditActor::default(), Some("because"), true).unwrap();
            assert_eq!(with_reason.reason.as_deref(), Some("because"));
        }
    }
}
