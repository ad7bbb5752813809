//! The interface of runners, which process the messages of run lanes.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Digest, Envelope, Message, MessageKey, SmolStr, WorkResult};
use lockstep_store::{
    Effects, Facts, Flips, InboxRow, InboxState, Keys, MessageProperties, Origin, ReplyAddress,
};

use super::dead::{self, DeliveryMetadata};
use super::intake::Received;
use super::processing_error::ProcessingError;
use super::refusal;
use super::run_context::RunContext;
use crate::handlers::Rejection;

/// Processes messages whose processing takes seconds and uses external systems, such as git.
///
/// A runner commits what it did by the unit of work of its context: effects, completions and follow-ups in one transaction. The
/// lane publishes and acknowledges afterwards. A runner never waits to try again: it returns the error, and the lane lets the
/// message come back.
#[async_trait]
pub trait Runner: Debug + Send + Sync + 'static {
    /// Messages with the same key are processed together, one coalesced batch after another; a message without a key is
    /// processed by itself.
    fn key(&self, message: &Message) -> Option<String>;

    /// The names of the leases under which these messages are processed. Another run that holds one of them goes first.
    fn leases(&self, attempts: &[Attempt]) -> Vec<String>;

    /// Processes these messages, which have the same key. Returns one end for each, in their order.
    ///
    /// The future is dropped only after [`RunContext::cancel`] fired and the grace time of the lane is over.
    async fn run(&self, context: &RunContext<'_>, attempts: &[Attempt]) -> Vec<RunEnd>;
}

/// A message on a run lane.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its identity and its sender, as authenticated.
    pub key: MessageKey,
    /// The decoded message.
    pub envelope: Envelope,
    /// The digest of its content.
    pub digest: Digest,
    /// Which attempt this is, from 1.
    pub number: u32,
    /// When the first attempt was.
    pub first_at: Timestamp,
    metadata: DeliveryMetadata,
    reply: ReplyAddress,
}

/// How a run ended for one message.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEnd {
    /// Its completion is committed, with everything it did.
    Committed(Arc<InboxRow>),
    /// There is nothing to commit but its completion with this result.
    Applied(WorkResult),
    /// It was not processed. Nothing is committed.
    Failed(ProcessingError),
}

impl<E: Into<ProcessingError>> From<E> for RunEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Attempt {
    /// The message of a delivery that was decoded.
    pub(super) fn of(received: &Received, envelope: Envelope) -> Self {
        Self {
            key: received.key.clone(),
            envelope,
            digest: received.digest,
            number: received.attempt,
            first_at: received.first_at,
            metadata: received.delivery_metadata(),
            reply: received.reply(),
        }
    }

    /// The first attempt at a message that was not delivered by a broker, for calling a runner directly.
    pub fn first(lane: Lane, envelope: Envelope, actor: Option<String>, at: Timestamp) -> Self {
        let body = Bytes::from(envelope.encode());
        Self {
            key: MessageKey {
                identity: envelope.identity.clone(),
                actor: actor.map(Into::into),
            },
            digest: envelope.digest(),
            envelope,
            number: 1,
            first_at: at,
            metadata: DeliveryMetadata {
                lane,
                awaited: false,
                broker_user: None,
                redrive_count: 0,
                follow_up: None,
                attempt: 1,
                first_at: at,
                body,
                properties: MessageProperties::default(),
            },
            reply: ReplyAddress::default(),
        }
    }

    /// What a transaction reads the records of the message by.
    pub fn keys(&self) -> Keys {
        Keys {
            messages: [(self.key.clone(), self.digest)].into(),
            ..Keys::default()
        }
    }

    /// Where results of the message go.
    pub fn reply(&self) -> &ReplyAddress {
        &self.reply
    }

    /// Applies the effects of the message to the facts, and returns whose sync flag they change. To be followed by
    /// [`Attempt::apply`] with the same effects' follow-ups.
    pub fn absorb(&self, facts: &mut Facts, effects: Effects, at: Timestamp) -> Flips {
        let origin = Origin {
            identity: &self.key.identity,
            kind: self.envelope.message.kind(),
            actor: self.key.actor.as_deref(),
            at,
            reply: Some(&self.reply),
        };
        facts.absorb(effects, &origin)
    }

    /// Records in the facts that the message is applied, and returns its inbox row. `follow_ups` is true if it caused some.
    pub fn apply(
        &self,
        facts: &mut Facts,
        result: WorkResult,
        follow_ups: bool,
        at: Timestamp,
    ) -> Arc<InboxRow> {
        let row = InboxRow {
            follow_ups,
            ..self.row(InboxState::Applied, result, at)
        };
        self.record(facts, row)
    }

    /// Records in the facts that the message is dead-lettered, or refused to its sender, and returns its inbox row.
    pub fn reject(&self, facts: &mut Facts, rejection: &Rejection, at: Timestamp) -> Arc<InboxRow> {
        let kind = self.envelope.message.kind().as_str();
        let (state, result) = refusal::rejected(Some(kind), rejection.clone(), &self.metadata);
        self.record(facts, self.row(state, result, at))
    }

    fn record(&self, facts: &mut Facts, row: InboxRow) -> Arc<InboxRow> {
        facts.record(dead::completion(row, Some(&self.envelope), &self.metadata))
    }

    fn row(&self, state: InboxState, result: WorkResult, at: Timestamp) -> InboxRow {
        InboxRow {
            identity: self.key.identity.clone(),
            redrive_count: self.metadata.redrive_count,
            kind: SmolStr::new_static(self.envelope.message.kind().as_str()),
            digest: self.digest,
            state,
            at,
            actor: self.key.actor.clone(),
            subject: self.envelope.subject.clone(),
            result: result.into(),
            follow_ups: false,
            trace_id: self.envelope.trace_id(),
        }
    }
}
