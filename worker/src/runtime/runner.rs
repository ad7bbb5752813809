//! What a run lane asks of the one who runs: work that takes time and goes outside.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Digest, Envelope, Identity, Message, WorkResult};

use super::dead::{self, DeliveryMetadata};
use super::intake::Received;
use crate::handlers::Rejection;
use lockstep_store::{Completion, InboxRow, InboxState, MessageProperties};

/// Runs messages: for what takes seconds and goes outside, such as git.
///
/// A runner commits what a run did together with the inbox rows of its messages; the lane publishes and acknowledges
/// afterwards. It never waits to try again: it says how a run failed, and the lane lets the message come again.
#[async_trait]
pub trait Runner: Debug + Send + Sync + 'static {
    /// Messages with the same key are worked together, one burst after another; those without one each by itself.
    fn key(&self, message: &Message) -> Option<String>;

    /// Works these messages, which have the same key. One end for each, in their order. Dropping the future is harmless.
    async fn run(&self, attempts: &[Attempt]) -> Vec<RunEnd>;
}

/// A message on a run lane.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who it is.
    pub identity: Identity,
    /// What it says.
    pub envelope: Envelope,
    /// What it said, in short.
    pub digest: Digest,
    /// Who sent it, as authenticated.
    pub actor: Option<String>,
    /// Which attempt this is, from 1.
    pub number: u32,
    /// When the first attempt was.
    pub first_at: Timestamp,
    /// How it came.
    delivery_metadata: DeliveryMetadata,
}

/// How a run ended for one message.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEnd {
    /// Its inbox row is committed, with everything it did.
    Committed(Arc<InboxRow>),
    /// It was understood and there is nothing more to commit than its inbox row, with this result.
    Applied(WorkResult),
    /// It can never be done as it is. Nothing is committed.
    Rejected(Rejection),
    /// It failed in a way that may heal: it climbs the ladder. Nothing is committed.
    Failed(String),
    /// It could not be tried yet, for this reason: it comes again in a few seconds, and no attempt is spent.
    Later(String),
}

impl Attempt {
    /// The message of a delivery that says something.
    pub(super) fn of(received: &Received, envelope: Envelope) -> Self {
        Self {
            identity: received.identity.clone(),
            envelope,
            digest: received.digest,
            actor: received.actor.clone(),
            number: received.attempt,
            first_at: received.first_at,
            delivery_metadata: received.delivery_metadata(),
        }
    }

    /// The first attempt at a message that came by no broker: for whoever wants to call a runner by itself.
    pub fn first(lane: Lane, envelope: Envelope, actor: Option<String>, at: Timestamp) -> Self {
        let body = Bytes::from(envelope.encode());
        Self {
            identity: envelope.identity.clone(),
            digest: envelope.digest(),
            envelope,
            actor,
            number: 1,
            first_at: at,
            delivery_metadata: DeliveryMetadata {
                lane,
                redrive_count: 0,
                requeued: None,
                attempt: 1,
                first_at: at,
                body,
                properties: MessageProperties::default(),
            },
        }
    }

    /// Its ending when it is applied.
    pub fn applied(&self, result: WorkResult, at: Timestamp) -> Completion {
        self.completion(InboxState::Applied, result, at)
    }

    /// Its ending when it is dead.
    pub fn dead(&self, rejection: &Rejection, at: Timestamp) -> Completion {
        let result = WorkResult::MessageRejected(MessageRejected {
            code: rejection.code,
            reason: rejection.reason.clone(),
            place: Some(rejection.place.clone()),
            message_type: Some(self.envelope.message.kind().as_str().to_owned()),
        });
        self.completion(InboxState::Dead, result, at)
    }

    fn completion(&self, state: InboxState, result: WorkResult, at: Timestamp) -> Completion {
        let row = InboxRow {
            identity: self.identity.clone(),
            redrive_count: self.delivery_metadata.redrive_count,
            kind: self.envelope.message.kind().as_str().to_owned(),
            digest: self.digest,
            state,
            at,
            actor: self.actor.clone(),
            subject: self.envelope.subject.clone(),
            result,
        };
        dead::completion(row, &self.delivery_metadata)
    }
}
