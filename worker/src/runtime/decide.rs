//! Decides the settlement of a received message, given the facts of the store. Pure: no input or output.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_protocol::topology::{Lane, RetryDelay};
use lockstep_protocol::{Code, DecodeError, Envelope, Kind, MessageKey, SmolStr, WorkResult};

use super::intake::Received;
use super::{Settlement, audited, dead, refusal};
use crate::handlers::{Handlers, Rejection, limits};
use lockstep_store::{Completion, Facts, InboxRow, InboxState, Keys, Origin};

/// How long an internal message of an unknown type waits: during an upgrade, a newer worker processes it.
const NEWER_WORKER: RetryDelay = RetryDelay::Seconds30;

/// What a batched lane does with its messages.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Handlers decide the effects.
    Handle(Arc<dyn Handlers>),
    /// The messages had no route: known types are forwarded to their lane, others are rejected.
    Route(Arc<dyn Handlers>),
    /// The messages are dead-lettered: they are written to the table of dead letters.
    WriteDeadLetter,
}

impl Work {
    /// Adds what a decision about this message reads from the store, apart from its inbox row.
    pub(super) fn keys(&self, received: &Received, keys: &mut Keys) {
        if let (Self::Handle(handlers), Ok(envelope)) = (self, &received.decoded) {
            handlers.keys(envelope, keys);
            limits::keys(envelope, received.key.actor.as_deref(), keys);
        }
    }

    /// Decides one message, and applies its effects to the facts.
    pub(super) fn decide(&self, received: &Received, facts: &mut Facts, now: Timestamp) -> Settlement {
        match self {
            Self::Handle(handlers) => decide(received, facts, &**handlers, now),
            Self::Route(handlers) => match ingress_lane(received) {
                Some(lane) => route(received, facts, lane, now),
                None => decide(received, facts, &**handlers, now),
            },
            Self::WriteDeadLetter => write_dead_letter(received, facts, now),
        }
    }
}

/// The ingress lane of a message that had no route. `None` if the message is invalid or its type has no lane.
fn ingress_lane(received: &Received) -> Option<Lane> {
    let envelope = received.decoded.as_ref().ok()?;
    envelope.message.kind().lane()
}

fn route(received: &Received, facts: &mut Facts, lane: Lane, now: Timestamp) -> Settlement {
    match screen(received, facts, now) {
        Screened::Settled(settlement) => settlement,
        Screened::New(_) => Settlement::Forward { lane },
    }
}

/// Writes a dead letter that came from the broker. An applied message is not dead-lettered: its result is published again. A
/// message that was dead-lettered before keeps its completion; its dead letter is written if it is missing.
fn write_dead_letter(received: &Received, facts: &mut Facts, now: Timestamp) -> Settlement {
    let Some(settlement) = settled_before(received, facts, now) else {
        let no_reason = || Rejection::new(Code::DeliveryLimit, "$", "the broker gave no reason");
        let rejection = received.dead_letter_reason.clone().unwrap_or_else(no_reason);
        return reject(received, &received.key, rejection, facts, now);
    };
    if let Settlement::Dead(row) = &settlement
        && let Some(dead_letter) = dead::dead_letter(row, &received.delivery_metadata())
    {
        facts.write_dead_letter(dead_letter);
    }
    settlement
}

/// Lets handlers decide one message, and applies its effects to the facts.
fn decide(received: &Received, facts: &mut Facts, handlers: &dyn Handlers, now: Timestamp) -> Settlement {
    let envelope = match screen(received, facts, now) {
        Screened::Settled(settlement) => return settlement,
        Screened::New(envelope) => envelope,
    };
    let permitted = limits::check(envelope, received.key.actor.as_deref(), facts);
    match permitted.and_then(|()| handlers.decide(envelope, facts, now)) {
        Err(rejection) => reject(received, &received.key, rejection, facts, now),
        Ok(decision) => {
            let follow_ups = decision.effects.have_follow_ups();
            let reply = follow_ups.then(|| received.reply());
            let origin = Origin {
                identity: &received.key.identity,
                kind: envelope.message.kind(),
                actor: received.key.actor.as_deref(),
                at: now,
                reply: reply.as_ref(),
            };
            let flips = facts.absorb(decision.effects, &origin);
            let result = decision.result.complete(&flips);
            applied(received, result, follow_ups, facts, now)
        }
    }
}

/// Records in the facts that the message is applied.
pub(super) fn applied(
    received: &Received,
    result: WorkResult,
    follow_ups: bool,
    facts: &mut Facts,
    now: Timestamp,
) -> Settlement {
    let row = InboxRow {
        follow_ups,
        ..row(received, &received.key, InboxState::Applied, result, now)
    };
    Settlement::Applied(facts.record(Completion {
        audit: audited::decision(
            received.decoded.as_ref().ok(),
            &row,
            received.broker_user.as_ref(),
        ),
        row,
        dead_letter: None,
        follow_up: received.follow_up,
    }))
}

/// Whether a message still has to be processed.
pub(super) enum Screened<'a> {
    /// It was processed before, has to wait, or can never be processed.
    Settled(Settlement),
    /// It is new and valid.
    New(&'a Envelope),
}

/// Settles messages that were processed before and invalid messages.
pub(super) fn screen<'a>(received: &'a Received, facts: &mut Facts, now: Timestamp) -> Screened<'a> {
    if let Some(settlement) = settled_before(received, facts, now) {
        return Screened::Settled(settlement);
    }
    if let Some(denial) = received.denial.clone() {
        return Screened::Settled(reject(received, &received.key, denial, facts, now));
    }
    match &received.decoded {
        Ok(envelope) => Screened::New(envelope),
        Err(error) if received.from_worker && is_unknown_internal(error) => {
            Screened::Settled(postpone(received, facts, now, NEWER_WORKER))
        }
        Err(error) => {
            let rejection = Rejection::new(error.code, &error.place, &error.reason);
            Screened::Settled(reject(received, &received.key, rejection, facts, now))
        }
    }
}

/// The settlement of a message that was processed before, or whose identity another message used before.
pub(super) fn settled_before(received: &Received, facts: &mut Facts, now: Timestamp) -> Option<Settlement> {
    let row = processed(received, &received.key, facts)?;
    Some(if row.digest == received.digest {
        again(row)
    } else {
        reused(received, facts, now)
    })
}

/// The inbox row of a message that was processed before. A dead-lettering at a lower redrive count does not count: the dead
/// letter was requeued since.
fn processed<'a>(received: &Received, key: &MessageKey, facts: &'a Facts) -> Option<&'a Arc<InboxRow>> {
    let row = facts.message(key)?;
    let requeued_since = row.state == InboxState::Dead && row.redrive_count < received.redrive_count;
    (!requeued_since).then_some(row)
}

/// Rejects a message: records its inbox row in the facts, and its dead letter, unless it is refused to its sender.
pub(super) fn reject(
    received: &Received,
    key: &MessageKey,
    rejection: Rejection,
    facts: &mut Facts,
    now: Timestamp,
) -> Settlement {
    let metadata = received.delivery_metadata();
    let kind = kind(received);
    let (state, result) = refusal::rejected(kind, rejection, &metadata);
    let row = row(received, key, state, result, now);
    let envelope = received.decoded.as_ref().ok();
    again(&facts.record(dead::completion(row, envelope, &metadata)))
}

/// The message was processed before: the same result is published again.
pub(super) fn again(row: &Arc<InboxRow>) -> Settlement {
    match row.state {
        InboxState::Applied => Settlement::Applied(row.clone()),
        InboxState::Dead => Settlement::Dead(row.clone()),
        InboxState::Refused => Settlement::Refused(row.clone()),
    }
}

/// Rejects a message whose identity another message used before. Its inbox row has an identity derived from its content.
fn reused(received: &Received, facts: &mut Facts, now: Timestamp) -> Settlement {
    let key = received.key.of_reuse(&received.digest);
    if let Some(row) = processed(received, &key, facts) {
        return again(row);
    }
    let reason = "another message with this source and id but other content was received before; give each message its own \
                  id, also a message that corrects another";
    let rejection = Rejection::new(Code::IdReused, "$.id", reason);
    reject(received, &key, rejection, facts, now)
}

/// Postpones a message: a follow-up waits in the store, any other message as a copy in the broker.
pub(super) fn postpone(
    received: &Received,
    facts: &mut Facts,
    now: Timestamp,
    delay: RetryDelay,
) -> Settlement {
    match received.follow_up {
        Some(key) => {
            facts.postpone_follow_up(key, now + delay.delay());
            Settlement::Waiting
        }
        None => Settlement::Postpone { delay },
    }
}

/// Whether the message has an internal type that this worker does not know, but a newer one may.
fn is_unknown_internal(error: &DecodeError) -> bool {
    let kind = error.kind.as_deref();
    error.code == Code::UnknownType && kind.is_some_and(|kind| kind.starts_with(Kind::INTERNAL_PREFIX))
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
    key: &MessageKey,
    state: InboxState,
    result: WorkResult,
    now: Timestamp,
) -> InboxRow {
    InboxRow {
        identity: key.identity.clone(),
        redrive_count: received.redrive_count,
        kind: match &received.decoded {
            Ok(envelope) => SmolStr::new_static(envelope.message.kind().as_str()),
            Err(error) => error.kind.as_deref().unwrap_or_default().into(),
        },
        digest: received.digest,
        state,
        at: now,
        actor: key.actor.clone(),
        subject: subject(received.decoded.as_ref().ok()),
        result: result.into(),
        follow_ups: false,
        trace_id: received.decoded.as_ref().ok().and_then(Envelope::trace_id),
    }
}

#[cfg(test)]
mod tests;
