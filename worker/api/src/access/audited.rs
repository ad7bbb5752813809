use lockstep_protocol::{CommandSummary, Envelope, Kind};
use lockstep_store::{AuditActor, NewAuditEntry};

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
    let summary = CommandSummary::of(&envelope.message);
    let reason = reason.or(summary.note.map(str::trim).filter(|note| !note.is_empty()));
    if requires_reasons && summary.dangerous && reason.is_none() {
        return Err(MissingReason(kind));
    }
    Ok(NewAuditEntry {
        kind: summary.kind,
        actor,
        message: Some(envelope.identity.clone()),
        message_type: Some(kind.as_str().to_owned()),
        subject: summary.subject.or_else(|| envelope.subject.clone()),
        reason: reason.map(str::to_owned),
        detail: summary.detail,
    })
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{AuditKind, Message, Source};
    use serde_json::{Value, json};

    use super::*;

    fn envelope(kind: Kind, data: &Value) -> Envelope {
        let message = Message::from_data(kind, data).unwrap();
        let source = Source::try_from("urn:test".to_owned()).unwrap();
        Envelope::new(source, "2026-02-03T04:05:06Z".parse().unwrap(), message)
    }

    #[test]
    fn a_dangerous_command_needs_a_reason_which_is_its_note_if_there_is_no_other() {
        let force = json!({"targets": {"hostname": "sw1"}, "dry_run": false, "force": true});
        let noted =
            json!({"targets": {"hostname": "sw1"}, "dry_run": false, "force": true, "note": " ticket 7 "});
        let plan = json!({"targets": {"hostname": "sw1"}});
        for (data, said, reason, missing) in [
            (&force, None, None, true),
            (&force, Some("because"), Some("because"), false),
            (&noted, None, Some("ticket 7"), false),
            (&noted, Some("because"), Some("because"), false),
            (&plan, None, None, false),
        ] {
            let envelope = envelope(Kind::SyncRequested, data);
            let found = entry(&envelope, AuditActor::default(), said, false).unwrap();
            assert_eq!(found.kind, AuditKind::Command);
            assert_eq!(found.subject.as_deref(), Some("sw1"));
            assert_eq!(found.reason.as_deref(), reason, "{data}");
            assert_eq!(found.message, Some(envelope.identity.clone()));
            let checked = entry(&envelope, AuditActor::default(), said, true);
            assert_eq!(
                checked.err(),
                missing.then_some(MissingReason(Kind::SyncRequested)),
                "{data}"
            );
        }
    }
}
