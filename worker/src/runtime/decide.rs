//! From a received message and the facts to what becomes of it: pure.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::topology::Rung;
use lockstep_protocol::{Code, Envelope, Identity, Kind, WorkResult};

use super::Settlement;
use super::intake::Received;
use crate::handlers::{Handlers, Rejection};
use crate::store::{Facts, InboxRow, InboxState, Originator};

/// How long a message of a newer worker waits for one.
const NEWER_WORKER: Rung = Rung::Seconds30;

/// Decides one message, and works what it does into the facts.
pub(super) fn decide(
    received: &Received,
    facts: &mut Facts,
    handlers: &dyn Handlers,
    now: Timestamp,
) -> Settlement {
    if let Some(row) = facts.message(&received.identity) {
        if row.digest == received.digest {
            return again(row);
        }
        return reused(received, facts, now);
    }
    let envelope = match &received.decoded {
        Ok(envelope) => envelope,
        Err(error) if is_internal(error.kind.as_deref()) => {
            return Settlement::Postpone { rung: NEWER_WORKER };
        }
        Err(error) => {
            let rejection = Rejection::new(error.code, &error.place, &error.reason);
            return bury(received, &received.identity, rejection, facts, now);
        }
    };
    match handlers.decide(envelope, facts, now) {
        Err(rejection) => bury(received, &received.identity, rejection, facts, now),
        Ok(decision) => {
            let originator = Originator {
                identity: &received.identity,
                kind: envelope.message.kind(),
                actor: received.actor.as_deref(),
                at: now,
            };
            let flips = facts.absorb(decision.effects, &originator);
            let result = WorkResult::EventApplied(decision.verdict.into_result(&flips));
            let row = row(received, &received.identity, InboxState::Applied, result, now);
            facts.record(row.clone());
            Settlement::Applied(row)
        }
    }
}

/// Declares a message dead: it gets an inbox row that says so.
pub(super) fn bury(
    received: &Received,
    identity: &Identity,
    rejection: Rejection,
    facts: &mut Facts,
    now: Timestamp,
) -> Settlement {
    let result = WorkResult::MessageRejected(MessageRejected {
        code: rejection.code,
        reason: rejection.reason,
        place: Some(rejection.place),
        message_type: kind(received).map(str::to_owned),
    });
    let row = row(received, identity, InboxState::Dead, result, now);
    facts.record(row.clone());
    Settlement::Dead(row)
}

/// The message was worked before: what was said then is said again.
pub(super) fn again(row: &Arc<InboxRow>) -> Settlement {
    match row.state {
        InboxState::Applied => Settlement::Applied(row.clone()),
        InboxState::Dead => Settlement::Dead(row.clone()),
    }
}

/// Another message came under the same identity before. It is remembered under an identity of its own, derived from what
/// it says.
fn reused(received: &Received, facts: &mut Facts, now: Timestamp) -> Settlement {
    let identity = received.identity.of_reuse(&received.digest);
    if let Some(row) = facts.message(&identity) {
        return again(row);
    }
    let reason = "a message with this source and id but other content came before; give each message an id of its own, \
                  also one that corrects another";
    let rejection = Rejection::new(Code::IdReused, "$.id", reason);
    bury(received, &identity, rejection, facts, now)
}

fn is_internal(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.starts_with(Kind::INTERNAL_PREFIX))
}

fn kind(received: &Received) -> Option<&str> {
    match &received.decoded {
        Ok(envelope) => Some(envelope.message.kind().as_str()),
        Err(error) => error.kind.as_deref(),
    }
}

fn subject(decoded: Option<&Envelope>) -> Option<String> {
    decoded.and_then(|envelope| envelope.subject.clone())
}

fn row(
    received: &Received,
    identity: &Identity,
    state: InboxState,
    result: WorkResult,
    now: Timestamp,
) -> Arc<InboxRow> {
    Arc::new(InboxRow {
        identity: identity.clone(),
        kind: kind(received).unwrap_or_default().to_owned(),
        digest: received.digest,
        state,
        at: now,
        actor: received.actor.clone(),
        subject: subject(received.decoded.as_ref().ok()),
        result,
    })
}
