//! A message as people read it. Pure; the texts are untrusted until they are printed.

use lockstep_protocol::InboxState;
use lockstep_protocol::rest::{DeadLetterView, MessageDetail};

use crate::cli::outcome;

/// All that is known about a message, a line each.
pub(in crate::cli) fn fields(message: &MessageDetail) -> Vec<String> {
    let view = &message.outcome;
    let requeued = (message.redrive_count > 0).then(|| message.redrive_count.to_string());
    let dead_letters = match &message.dead_letters {
        None => vec!["not allowed: needs `dead-letters`".to_owned()],
        Some(dead_letters) => dead_letters.iter().map(dead_letter).collect(),
    };
    let pairs = [
        ("type", Some(view.kind.clone()).filter(|kind| !kind.is_empty())),
        ("id", Some(view.id.clone())),
        ("source", Some(view.source.clone())),
        ("by", Some(view.by.clone().unwrap_or_else(|| "-".to_owned()))),
        ("subject", message.subject.clone()),
        ("state", Some(state(view.state).to_owned())),
        ("at", Some(format!("{:.0}", view.at))),
        ("requeued", requeued),
        ("trace", message.trace_id.clone()),
        ("result", Some(result(message))),
    ];
    let dead_letters = dead_letters.into_iter().map(|text| ("dead letter", Some(text)));
    pairs
        .into_iter()
        .chain(dead_letters)
        .filter_map(|(name, value)| Some(format!("{name:<12}{}", value?)))
        .collect()
}

/// A message of several with the same id.
pub(super) fn brief(message: &MessageDetail) -> String {
    let view = &message.outcome;
    format!(
        "{} {} of {} by {}, {} at {:.0}",
        view.kind,
        view.id,
        view.source,
        view.by.as_deref().unwrap_or("-"),
        state(view.state),
        view.at
    )
}

/// What a message came to.
pub(in crate::cli) fn result(message: &MessageDetail) -> String {
    match message.outcome.state {
        InboxState::Applied => outcome::effect(&message.outcome),
        InboxState::Dead | InboxState::Refused => outcome::rejection(&message.outcome),
    }
}

/// Whether a message was applied, in words.
pub(in crate::cli) fn state(state: InboxState) -> &'static str {
    match state {
        InboxState::Applied => "applied",
        InboxState::Dead => "dead-lettered",
        InboxState::Refused => "refused, without a dead letter",
    }
}

fn dead_letter(view: &DeadLetterView) -> String {
    format!(
        "{} {}: {} on lane {}, {} attempts from {:.0} to {:.0}",
        view.number, view.state, view.code, view.lane, view.attempts, view.first_at, view.dead_lettered_at
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(dead_letters: &serde_json::Value) -> MessageDetail {
        let json = json!({
            "source": "urn:example:netbox", "id": "4711", "type": "lockstep.device.removed", "state": "dead",
            "at": "2026-02-03T04:05:06Z", "by": "netbox", "result_type": "lockstep.message.rejected",
            "result": {"code": "unknown-device", "reason": "no device is named sw9", "place": "$.data.hostname"},
            "subject": "sw9", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "redrive_count": 1, "dead_letters": dead_letters,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_message_tells_its_sender_its_outcome_and_its_dead_letters() {
        let dead_letter = json!({
            "number": 42, "state": "dead", "source": "urn:example:netbox", "id": "4711", "redrive_count": 0, "lane": "events",
            "type": "lockstep.device.removed", "subject": null, "by": "netbox", "code": "unknown-device",
            "reason": "no device is named sw9", "place": "$.data.hostname", "attempts": 1,
            "first_at": "2026-02-03T04:05:05Z", "dead_lettered_at": "2026-02-03T04:05:06Z", "settled_at": null,
            "settled_by": null, "bytes": 2,
        });
        let expected = [
            "type        lockstep.device.removed",
            "id          4711",
            "source      urn:example:netbox",
            "by          netbox",
            "subject     sw9",
            "state       dead-lettered",
            "at          2026-02-03T04:05:06Z",
            "requeued    1",
            "trace       4bf92f3577b34da6a3ce929d0e0e4736",
            "result      unknown-device at $.data.hostname: no device is named sw9",
            "dead letter 42 dead: unknown-device on lane events, 1 attempts from 2026-02-03T04:05:05Z to 2026-02-03T04:05:06Z",
        ];
        assert_eq!(fields(&message(&json!([dead_letter]))), expected);
        let hidden = fields(&message(&json!(null)));
        assert_eq!(
            hidden.last().unwrap(),
            "dead letter not allowed: needs `dead-letters`"
        );
        assert_eq!(
            brief(&message(&json!([]))),
            "lockstep.device.removed 4711 of urn:example:netbox by netbox, dead-lettered at 2026-02-03T04:05:06Z"
        );
    }
}
