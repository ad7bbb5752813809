use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lockstep_bus::{Bus, Outgoing, Properties};
use lockstep_dcim::{Mapped, MappingRules, Model, cause, map, message_id, messages};
use lockstep_dcim_client::{ChangeLogClient, Completed, LoggedChange};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::topology::{Destination, Lane};
use lockstep_protocol::{Envelope, Identity, MessageKey, Source};
use lockstep_store::{Inbox, InventorySources, Schema, SourceCursor};
use lockstep_telemetry::sources;
use tokio::time::Instant;

use super::poll_error::PollError;
use super::recent_changes::RecentChanges;
use crate::fail_point::{self, FailPoint};
use crate::runtime::{Leadership, PeriodicTask, chain, headers};

/// How much of what was read is read again: transactions of the source that take longer may be missed.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// How long the broker may take to confirm the messages of a change.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest pause after polls that failed.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// What a [`SourcePoll`] needs.
#[derive(Clone, Debug)]
pub struct SourcePollContext {
    /// Publishes the messages.
    pub bus: Arc<dyn Bus>,
    /// Keeps the place in the change log.
    pub sources: Arc<dyn InventorySources>,
    /// Knows which changes webhooks brought.
    pub inbox: Arc<dyn Inbox>,
    /// Gives the time.
    pub schema: Arc<dyn Schema>,
}

/// Polls the change log of one source.
#[derive(Debug)]
pub struct SourcePoll {
    context: SourcePollContext,
    client: ChangeLogClient,
    rules: MappingRules,
    source: Source,
    /// Younger changes are left to the webhooks, which are accepted up to this age.
    grace: SignedDuration,
    every: Duration,
    state: Mutex<PollState>,
}

#[derive(Debug, Default)]
struct PollState {
    recent: RecentChanges,
    /// Polls that failed, one after another.
    failures: u32,
    not_before: Option<Instant>,
}

/// What a poll did with the changes that it read.
#[derive(Clone, Copy, Debug, Default)]
struct PollCounts {
    published: u64,
    known: u64,
    ignored: u64,
}

impl SourcePoll {
    /// Polls a source of messages with these rules about once in `every`, for changes that are older than `grace`.
    pub fn new(
        context: SourcePollContext,
        client: ChangeLogClient,
        rules: MappingRules,
        source: Source,
        grace: Duration,
        every: Duration,
    ) -> Self {
        sources::begin_source(&rules.source);
        Self {
            context,
            client,
            rules,
            source,
            grace: SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX),
            every,
            state: Mutex::default(),
        }
    }

    fn name(&self) -> &str {
        &self.rules.source
    }

    fn with_state<T>(&self, act: impl FnOnce(&mut PollState) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what is in the log, page by page, as long as the leadership continues.
    async fn poll(&self, leadership: &Leadership<'_>) -> Result<PollCounts, PollError> {
        let mut counts = PollCounts::default();
        let until = self.context.schema.now().await? - self.grace;
        let Some(mut cursor) = self.cursor(until).await? else {
            return Ok(counts);
        };
        let mut from = cursor.begins.max(cursor.read_until - OVERLAP);
        self.with_state(|state| state.recent.forget_before(from));
        while leadership.continues().await? {
            let read = self.client.changes(from, until.max(from)).await?;
            if let Some((entries, reason)) = read.unreadable {
                tracing::warn!(
                    source = self.name(),
                    entries,
                    reason,
                    "entries of the change log are not readable and were left out"
                );
            }
            let unread = read
                .changes
                .into_iter()
                .filter(|logged| logged.change.at > cursor.begins);
            for logged in unread {
                if !leadership.continues().await? {
                    return Ok(counts);
                }
                self.take(logged, &mut counts).await?;
            }
            fail_point::pass(FailPoint::SourceRead);
            cursor.read_until = cursor.read_until.max(read.read_until);
            self.context.sources.source_polled(self.name(), cursor).await?;
            if !read.more {
                break;
            }
            from = read.read_until;
        }
        Ok(counts)
    }

    /// The place in the log. The first poll begins at the newest change: what was there before is imported by other means.
    async fn cursor(&self, until: Timestamp) -> Result<Option<SourceCursor>, PollError> {
        let rows = self.context.sources.inventory_sources().await?;
        let row = rows.into_iter().find(|row| row.name == self.name());
        if let Some(cursor) = row.and_then(|row| row.cursor) {
            return Ok(Some(cursor));
        }
        let begins = self.client.newest().await?.unwrap_or(until);
        let read_until = begins;
        let cursor = SourceCursor { begins, read_until };
        self.context.sources.source_polled(self.name(), cursor).await?;
        tracing::info!(source = self.name(), %begins, "the change log is read from its newest change on");
        Ok(None)
    }

    /// Publishes a change, unless it is known or means nothing.
    async fn take(&self, logged: LoggedChange, counts: &mut PollCounts) -> Result<(), PollError> {
        let change = &logged.change;
        if matches!(change.model, Model::Other(_)) || change.request_id.is_none() {
            counts.ignored += 1;
            return Ok(());
        }
        let (at, cause) = (change.at, cause(self.source.clone(), change, b""));
        let id = message_id(&cause, 0);
        if self.with_state(|state| state.recent.contains(&id)) {
            counts.known += 1;
            return Ok(());
        }
        let key = MessageKey {
            identity: Identity {
                source: self.source.clone(),
                id: id.clone(),
            },
            actor: Some(lockstep_dcim::actor(change.system).into()),
        };
        if self.context.inbox.outcome(&key).await?.is_some() {
            counts.known += 1;
        } else {
            match self.mapped(logged).await? {
                Ok(messages) => {
                    self.publish(messages).await?;
                    counts.published += 1;
                }
                Err(reason) => {
                    tracing::debug!(source = self.name(), reason, "ignored a change");
                    counts.ignored += 1;
                }
            }
        }
        self.with_state(|state| state.recent.insert(id, at));
        Ok(())
    }

    /// The messages about a change, or why there are none.
    async fn mapped(&self, logged: LoggedChange) -> Result<Result<Vec<Envelope>, String>, PollError> {
        let change = match self.client.complete(logged).await? {
            Completed::Change(change) => change,
            Completed::Gone(reason) => return Ok(Err(reason)),
        };
        let cause = cause(self.source.clone(), &change, b"");
        Ok(match map(&change, &self.rules) {
            Mapped::Events(events) => Ok(messages(&cause, &change, events)),
            Mapped::Ignored(reason) => Err(reason),
        })
    }

    async fn publish(&self, messages: Vec<Envelope>) -> Result<(), PollError> {
        let outgoing = messages.iter().map(outgoing).collect();
        let published = tokio::time::timeout(PUBLISH_TIMEOUT, self.context.bus.publish(outgoing)).await;
        Ok(published.map_err(|_| PollError::NotConfirmed)??)
    }

    fn succeeded(&self, counts: PollCounts) {
        self.with_state(|state| (state.failures, state.not_before) = (0, None));
        sources::polled(self.name(), true);
        if counts.published > 0 {
            sources::missed(self.name(), counts.published);
            tracing::info!(
                source = self.name(),
                published = counts.published,
                known = counts.known,
                ignored = counts.ignored,
                "published changes that no webhook brought"
            );
        }
    }

    async fn failed(&self, error: PollError) {
        let failures = self.with_state(|state| {
            let pause = self
                .every
                .saturating_mul(1 << state.failures.min(10))
                .min(LONGEST_PAUSE);
            state.not_before = Some(Instant::now() + pause);
            state.failures = state.failures.saturating_add(1);
            state.failures
        });
        sources::polled(self.name(), false);
        tracing::warn!(
            source = self.name(),
            failures,
            error = chain(&error),
            "cannot poll the change log"
        );
        let PollError::Source(error) = error else {
            return;
        };
        if let Err(error) = self
            .context
            .sources
            .source_failed(self.name(), &chain(&error))
            .await
        {
            tracing::warn!(
                source = self.name(),
                error = chain(&error),
                "cannot keep why the poll failed"
            );
        }
    }
}

#[async_trait]
impl PeriodicTask for SourcePoll {
    async fn run(&self, leadership: &Leadership<'_>) {
        if self.with_state(|state| {
            state
                .not_before
                .is_some_and(|not_before| Instant::now() < not_before)
        }) {
            return;
        }
        match self.poll(leadership).await {
            Ok(counts) => self.succeeded(counts),
            Err(error) => self.failed(error).await,
        }
    }
}

/// A message to the lane, under the actor that its webhook would have.
fn outgoing(message: &Envelope) -> Outgoing {
    let kind = message.message.kind();
    let actor = message.actor.clone().unwrap_or_default();
    Outgoing {
        destination: Destination::Lane(Lane::Events),
        properties: Properties {
            message_id: Some(message.identity.id.clone().into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
            headers: [(headers::ACTOR.to_owned(), actor)].into_iter().collect(),
            ..Properties::default()
        },
        body: message.encode().into(),
    }
}
