//! Publishes the messages about elements and executions, whose rows in the store stay authoritative: what is not published now, the
//! periodic task publishes later.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing, Properties, PublishError};
use lockstep_protocol::envelope::{CONTENT_TYPE, MAX_BODY_BYTES};
use lockstep_protocol::results::{ElementFinished, ExecutionProgress};
use lockstep_protocol::topology::{Destination, ReplyQueue};
use lockstep_protocol::{Envelope, Hostname, Identity, Message, MessageKey, Source, WorkResult};
use lockstep_store::{ExecutionRow, FollowUp, FollowUps, QueuedElement, StoreError};
use serde_json::Value;
use uuid::Uuid;

use super::ExecutionContext;
use super::{advance::request_key, sweep, sync};
use crate::runtime::{PAGE as FOLLOW_UPS, REPUBLISH_AFTER, outgoing};

/// How many messages are published at a time.
const PAGE: usize = 256;

/// Why something is not published now.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnnounceError {
    /// The broker did not take it.
    #[error("the broker did not take a message")]
    Bus(#[from] PublishError),
    /// The follow-ups of an execution cannot be read or marked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Publishes.
#[derive(Clone, Debug)]
pub(super) struct Publisher {
    bus: Arc<dyn Bus>,
    follow_ups: Arc<dyn FollowUps>,
}

impl Publisher {
    pub(super) fn new(context: &ExecutionContext) -> Self {
        Self {
            bus: context.bus.clone(),
            follow_ups: context.follow_ups.clone(),
        }
    }

    /// Publishes a message for each of these queued elements.
    pub(super) async fn queued(
        &self,
        elements: &[QueuedElement],
        now: Timestamp,
    ) -> Result<(), AnnounceError> {
        for page in elements.chunks(PAGE) {
            let messages = page.iter().map(|element| queued(*element, now)).collect();
            self.bus.publish(messages).await?;
        }
        Ok(())
    }

    /// Publishes results.
    pub(super) async fn results(&self, results: Vec<Outgoing>) -> Result<(), AnnounceError> {
        let mut results = results.into_iter();
        loop {
            let page: Vec<Outgoing> = results.by_ref().take(PAGE).collect();
            if page.is_empty() {
                return Ok(());
            }
            self.bus.publish(page).await?;
        }
    }

    /// Publishes the follow-ups of a message.
    pub(super) async fn follow_ups(&self, cause: &MessageKey) -> Result<(), AnnounceError> {
        let mut after = None;
        loop {
            let page = self.follow_ups.unpublished(cause, after, FOLLOW_UPS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.key);
            let page: Vec<(FollowUp, Outgoing)> = page
                .into_iter()
                .filter_map(|follow_up| outgoing(&follow_up).map(|outgoing| (follow_up, outgoing)))
                .collect();
            let (rows, messages): (Vec<FollowUp>, Vec<Outgoing>) = page.into_iter().unzip();
            self.bus.publish(messages).await?;
            self.follow_ups.mark_published(&rows, REPUBLISH_AFTER).await?;
        }
    }
}

/// The message about a queued element. Repeated, it is the same message.
fn queued(queued: QueuedElement, now: Timestamp) -> Outgoing {
    let QueuedElement {
        number: element,
        lane,
    } = queued;
    let elements = Identity {
        source: Source::worker(),
        id: Uuid::nil().into(),
    };
    let message = sweep::queued(lane, element);
    let kind = message.kind();
    let envelope = Envelope {
        identity: Identity {
            id: elements.derive(kind, element),
            source: elements.source,
        },
        subject: None,
        time: Some(now),
        traceparent: None,
        causationid: None,
        actor: None,
        message,
    };
    Outgoing {
        destination: Destination::Lane(lane),
        properties: Properties {
            message_id: Some(envelope.identity.id.clone().into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
            timestamp: Some(now),
            ..Properties::default()
        },
        body: envelope.encode().into(),
    }
}

/// The result about an element that ended, whose provider returned this. Repeated, it is the same message.
pub(super) fn element_finished(
    execution: &ExecutionRow,
    number: u64,
    finished: ElementFinished,
    data: &Value,
) -> Outgoing {
    let hostname = finished.hostname.clone();
    let of_sweep = sweep::result(execution, finished.entity_type, data);
    let result =
        of_sweep.unwrap_or_else(|| WorkResult::ElementFinished(sync::told(execution, finished, data)));
    of_execution(
        execution,
        number,
        hostname.as_ref().map(Hostname::as_str),
        None,
        result,
    )
}

/// The result about how far an execution is.
pub(super) fn progressed(execution: &ExecutionRow, now: Timestamp) -> Outgoing {
    let ended = execution.counts.ended();
    let result = WorkResult::ExecutionProgress(ExecutionProgress {
        execution: execution.id,
        elements: execution.counts.elements,
        ended,
    });
    of_execution(execution, ended, None, Some(now), result)
}

fn of_execution(
    execution: &ExecutionRow,
    index: u64,
    subject: Option<&str>,
    time: Option<Timestamp>,
    result: WorkResult,
) -> Outgoing {
    let kind = result.kind();
    let render = |result: WorkResult| Envelope {
        identity: Identity {
            source: Source::worker(),
            id: request_key(execution).derive(kind, index),
        },
        subject: subject.map(str::to_owned),
        time,
        traceparent: None,
        causationid: Some(execution.request.identity.to_string()),
        actor: None,
        message: Message::Result(result),
    };
    let mut envelope = render(result.clone());
    let mut body = envelope.encode();
    if body.len() > MAX_BODY_BYTES {
        envelope = render(result.shortened());
        body = envelope.encode();
    }
    let reply = &execution.request.reply;
    let queue = reply
        .queue
        .clone()
        .and_then(|queue| ReplyQueue::try_from(queue).ok());
    Outgoing {
        destination: queue.map_or(Destination::Results(kind), Destination::Reply),
        properties: Properties {
            message_id: Some(envelope.identity.id.clone().into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
            correlation_id: reply.correlation_id.as_deref().map(Into::into),
            timestamp: time,
            ..Properties::default()
        },
        body: body.into(),
    }
}
