//! Decides whether a rejected message is kept as a dead letter, or only refused to its sender. Pure.
//!
//! A dead letter is for somebody who was not there: an operator who repairs the cause and lets the message be processed again.
//! A sender who waits for the answer to a command reads why it cannot be done, and sends another one.

use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::{Class, Code, Kind, WorkResult};
use lockstep_store::InboxState;

use super::dead::DeliveryMetadata;
use crate::handlers::Rejection;

/// The state and the result of a message of this type that is rejected.
pub(super) fn rejected(
    kind: Option<&str>,
    rejection: Rejection,
    metadata: &DeliveryMetadata,
) -> (InboxState, WorkResult) {
    let class = kind.and_then(|kind| Some(kind.parse::<Kind>().ok()?.class()));
    let state = state(class, rejection.code, metadata);
    let result = WorkResult::MessageRejected(MessageRejected {
        code: rejection.code,
        reason: rejection.reason,
        place: Some(rejection.place),
        message_type: kind.map(str::to_owned),
        refused: state == InboxState::Refused,
    });
    (state, result)
}

/// The rule: a command is refused if its sender waits for the outcome, and either the command itself is why it is rejected, or its sender
/// is limited to other devices or tasks. An operator can do nothing with such a command but drop it, the sender is told, and the audit
/// keeps who tried. Nobody waits for a dead letter that was requeued, nor for a message that its sender was not allowed to publish at all
/// (`Received::awaited`).
fn state(class: Option<Class>, code: Code, metadata: &DeliveryMetadata) -> InboxState {
    let waits = metadata.awaited && metadata.redrive_count == 0;
    let is_for_sender = code.is_of_request() || code == Code::NotAllowed;
    if class == Some(Class::Command) && waits && is_for_sender {
        InboxState::Refused
    } else {
        InboxState::Dead
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use lockstep_protocol::topology::Lane;
    use lockstep_store::MessageProperties;

    use super::*;

    #[test]
    fn only_a_command_that_cannot_be_done_is_refused_and_only_to_somebody_who_waits() {
        use Code::{Crashed, InvalidData, NotAllowed, StoreRefused, UnknownBranch, UnknownDevice};
        use InboxState::{Dead, Refused};
        let command = Some(Class::Command);
        let table = [
            // class, code, whether the sender waits, redrive count, expected state
            (command, UnknownDevice, true, 0, Refused),
            (command, InvalidData, true, 0, Refused),
            (command, UnknownDevice, false, 0, Dead),
            (command, UnknownDevice, true, 1, Dead),
            (command, Crashed, true, 0, Dead),
            (command, StoreRefused, true, 0, Dead),
            (command, NotAllowed, true, 0, Refused),
            (command, NotAllowed, false, 0, Dead),
            (command, NotAllowed, true, 1, Dead),
            (command, UnknownBranch, true, 0, Dead),
            (Some(Class::Event), UnknownDevice, true, 0, Dead),
            (Some(Class::Internal), UnknownDevice, true, 0, Dead),
            (None, InvalidData, true, 0, Dead),
        ];
        for (class, code, awaited, redrive_count, expected) in table {
            let metadata = DeliveryMetadata {
                lane: Lane::Commands,
                awaited,
                broker_user: None,
                redrive_count,
                follow_up: None,
                attempt: 1,
                first_at: Timestamp::UNIX_EPOCH,
                body: Bytes::new(),
                properties: MessageProperties::default(),
            };
            let found = state(class, code, &metadata);
            assert_eq!(found, expected, "{class:?} {code} {awaited} {redrive_count}");
        }
    }
}
