//! Says what the audit keeps about the decision on a command. Pure.
//!
//! Each command leaves one entry, in the transaction of its inbox row, whoever sent it: the console adds another one before it publishes.
//! Events leave none: their inbox rows and causes are the record.

use lockstep_protocol::{AuditKind, Class, CommandOutcome, CommandSummary, Envelope, Kind, SmolStr};
use lockstep_store::{AuditActor, AuditDecision, InboxRow, NewAuditDecision, NewAuditEntry};

/// The entry about a message with this inbox row; `None` if the message is no command. `envelope` is `None` if it could not be decoded.
pub(super) fn decision(
    envelope: Option<&Envelope>,
    row: &InboxRow,
    broker_user: Option<&SmolStr>,
) -> Option<Box<NewAuditDecision>> {
    let kind = match envelope {
        Some(envelope) => envelope.message.kind(),
        None => row.kind.parse::<Kind>().ok()?,
    };
    if kind.class() != Class::Command {
        return None;
    }
    let summary = envelope.map(|envelope| CommandSummary::of(&envelope.message));
    let outcome = CommandOutcome::of(&row.result);
    let (audit_kind, subject, note, what) = match summary {
        Some(summary) => (summary.kind, summary.subject, summary.note, summary.detail),
        None => (AuditKind::Command, None, None, None),
    };
    let detail: Vec<String> = what.into_iter().chain(outcome.detail).collect();
    let reason = note.map(str::trim).filter(|note| !note.is_empty());
    Some(Box::new(NewAuditDecision {
        entry: NewAuditEntry {
            kind: audit_kind,
            actor: AuditActor {
                principal: row.actor.as_deref().map(str::to_owned),
                ..AuditActor::default()
            },
            message: Some(row.identity.clone()),
            message_type: Some(kind.as_str().to_owned()),
            subject: subject.or_else(|| row.subject.clone()),
            reason: reason.map(str::to_owned),
            detail: (!detail.is_empty()).then(|| detail.join("; ")),
        },
        decision: AuditDecision {
            state: row.state,
            code: outcome.code.map(|code| SmolStr::new_static(code.as_str())),
            broker_user: broker_user.cloned(),
            trace_id: row.trace_id.clone(),
        },
    }))
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::results::{CommandApplied, MessageRejected};
    use lockstep_protocol::{Code, Digest, InboxState, Message, Source, WorkResult};
    use serde_json::{Value, json};

    use super::*;

    fn envelope(kind: Kind, data: &Value) -> Envelope {
        let message = Message::from_data(kind, data).unwrap();
        let source = Source::try_from("urn:test".to_owned()).unwrap();
        Envelope::new(source, "2026-02-03T04:05:06Z".parse().unwrap(), message)
    }

    fn row(envelope: &Envelope, state: InboxState, result: WorkResult) -> InboxRow {
        InboxRow {
            identity: envelope.identity.clone(),
            redrive_count: 0,
            kind: SmolStr::new_static(envelope.message.kind().as_str()),
            digest: Digest::of_bytes(b""),
            state,
            at: "2026-02-03T04:05:07Z".parse().unwrap(),
            actor: Some("alice".into()),
            subject: Some("sw9".to_owned()),
            result: result.into(),
            follow_ups: false,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        }
    }

    fn applied() -> WorkResult {
        WorkResult::CommandApplied(CommandApplied {
            changed: true,
            message: "done".to_owned(),
            number: None,
            execution: None,
        })
    }

    fn rejected(code: Code) -> WorkResult {
        WorkResult::MessageRejected(MessageRejected {
            code,
            reason: "not so".to_owned(),
            place: None,
            message_type: None,
            refused: false,
        })
    }

    #[test]
    fn a_command_leaves_an_entry_with_its_outcome_and_other_messages_leave_none() {
        let mark = envelope(
            Kind::DeviceMarkRequested,
            &json!({"hostname": "sw1", "synchronized": true, "note": " compared "}),
        );
        let stop = envelope(Kind::ExecutionsStopRequested, &json!({}));
        let removed = envelope(Kind::DeviceRemoved, &json!({"hostname": "sw1"}));
        let (user, dead) = (SmolStr::new_static("netbox"), InboxState::Dead);
        let table = [
            // message, state, result; kind, subject, reason, detail, code
            (
                &mark,
                InboxState::Applied,
                applied(),
                Some((
                    AuditKind::FlagCleared,
                    "sw1",
                    Some("compared"),
                    "synchronized; done",
                    None,
                )),
            ),
            (
                &mark,
                dead,
                rejected(Code::NotAllowed),
                Some((
                    AuditKind::FlagCleared,
                    "sw1",
                    Some("compared"),
                    "synchronized; not so",
                    Some("not-allowed"),
                )),
            ),
            (
                &stop,
                InboxState::Applied,
                applied(),
                Some((AuditKind::Command, "sw9", None, "done", None)),
            ),
            (&removed, dead, rejected(Code::UnknownDevice), None),
        ];
        for (envelope, state, result, expected) in table {
            let row = row(envelope, state, result);
            let found = decision(Some(envelope), &row, Some(&user));
            let told = found.as_deref().map(|found| {
                let entry = &found.entry;
                assert_eq!(entry.actor.principal.as_deref(), Some("alice"));
                assert_eq!(entry.message.as_ref(), Some(&row.identity));
                assert_eq!(found.decision.state, state);
                assert_eq!(found.decision.broker_user.as_ref(), Some(&user));
                assert_eq!(found.decision.trace_id, row.trace_id);
                (
                    entry.kind,
                    entry.subject.as_deref().unwrap(),
                    entry.reason.as_deref(),
                    entry.detail.as_deref().unwrap(),
                    found.decision.code.as_deref(),
                )
            });
            assert_eq!(told, expected, "{row:?}");
        }
    }

    #[test]
    fn a_command_that_cannot_be_read_leaves_an_entry_without_what_it_is_about() {
        let stop = envelope(Kind::ExecutionsStopRequested, &json!({}));
        let row = row(&stop, InboxState::Dead, rejected(Code::InvalidData));
        let found = decision(None, &row, None).unwrap();
        assert_eq!(found.decision.code.as_deref(), Some("invalid-data"));
        assert_eq!(found.entry.message_type.as_deref(), Some(row.kind.as_str()));
        let unknown = InboxRow {
            kind: "somebody.elses".into(),
            ..row
        };
        assert_eq!(decision(None, &unknown, None), None);
    }
}
