//! Announces what a transaction did: elements that may begin, results of elements, and results of executions.

use lockstep_bus::Outgoing;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, MessageKey};
use lockstep_store::{ElementQuery, ElementRow, Keys, QueuedElement, StoreError};
use tokio::sync::mpsc;

use super::ExecutionContext;
use super::advance::{Aftermath, log_end, request_key};
use super::publisher::{AnnounceError, Publisher, progressed};
use crate::runtime::{TransactionRetry, chain};

/// The most announcements that are published together.
const TOGETHER: usize = 16;
/// The most elements of a new execution that are read at a time.
const PAGE: u32 = 1000;

/// What is to be published after a commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Announcement {
    /// Elements that were queued.
    pub(super) queued: Vec<QueuedElement>,
    /// Executions that were stored, by number, with the lane of their elements, and how many of these are queued, at most.
    pub(super) started: Vec<(u64, Lane, u64)>,
    /// Results about elements, and about how far executions are.
    pub(super) results: Vec<Outgoing>,
    /// The elements that are announced by these results.
    pub(super) elements: Vec<u64>,
    /// The messages that requested executions which ended.
    pub(super) ended: Vec<MessageKey>,
}

impl Announcement {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn join(&mut self, other: Self) {
        self.queued.extend(other.queued);
        self.started.extend(other.started);
        self.results.extend(other.results);
        self.elements.extend(other.elements);
        self.ended.extend(other.ended);
    }
}

/// Publishes announcements. What is not published, because the process ends before, the periodic task finds.
#[derive(Clone, Debug)]
pub(super) struct Announcer {
    context: ExecutionContext,
    publisher: Publisher,
}

impl Announcer {
    pub(super) fn new(context: &ExecutionContext) -> Self {
        Self {
            publisher: Publisher::new(context),
            context: context.clone(),
        }
    }

    pub(super) fn context(&self) -> &ExecutionContext {
        &self.context
    }

    /// What is to be published after a transaction that is committed.
    pub(super) fn of(&self, aftermath: Aftermath) -> Announcement {
        let now = self.context.clock.now();
        aftermath.ended.iter().for_each(log_end);
        Announcement {
            queued: aftermath.queued,
            started: Vec::new(),
            results: aftermath
                .progressed
                .iter()
                .map(|row| progressed(row, now))
                .collect(),
            elements: Vec::new(),
            ended: aftermath.ended.iter().map(request_key).collect(),
        }
    }

    /// Publishes announcements until nobody sends more.
    pub(super) async fn run(&self, mut waiting: mpsc::Receiver<Announcement>) {
        let mut taken = Vec::with_capacity(TOGETHER);
        while waiting.recv_many(&mut taken, TOGETHER).await > 0 {
            let mut together = Announcement::default();
            for announcement in taken.drain(..) {
                together.join(announcement);
            }
            self.announce_or_leave(together).await;
        }
    }

    /// Publishes an announcement in the background.
    pub(super) fn announce_soon(&self, announcement: Announcement) {
        if announcement.is_empty() {
            return;
        }
        let announcer = self.clone();
        tokio::spawn(async move { announcer.announce_or_leave(announcement).await });
    }

    /// Publishes an announcement. What fails is left to the periodic task.
    pub(super) async fn announce_or_leave(&self, announcement: Announcement) {
        if let Err(error) = self.announce(announcement).await {
            tracing::warn!(
                error = chain(&error),
                "messages about elements are not published; the periodic task publishes them"
            );
        }
    }

    /// Publishes an announcement, and waits until the broker confirmed it.
    pub(super) async fn announce(&self, announcement: Announcement) -> Result<(), AnnounceError> {
        let Announcement {
            queued,
            started,
            results,
            elements,
            ended,
        } = announcement;
        self.publisher.queued(&queued, self.context.clock.now()).await?;
        for (execution, lane, queued) in started {
            self.started(execution, lane, queued).await?;
        }
        self.publisher.results(results).await?;
        for cause in &ended {
            self.publisher.follow_ups(cause).await?;
        }
        if !elements.is_empty() {
            self.announced(&elements).await?;
        }
        Ok(())
    }

    /// Publishes messages for the first elements of the first stage of an execution, as far as they are queued still.
    async fn started(&self, execution: u64, lane: Lane, queued: u64) -> Result<(), AnnounceError> {
        let mut left = queued;
        let mut after = None;
        while left > 0 {
            let query = ElementQuery {
                execution,
                after,
                limit: PAGE,
                ..ElementQuery::default()
            };
            let page = self.context.executions.elements(&query).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.number);
            // An element without an end has not gone on to a later stage before the first one began.
            let first = page
                .iter()
                .filter(|row| row.stage == 0)
                .take(usize::try_from(left).unwrap_or(usize::MAX));
            let first: Vec<&ElementRow> = first.collect();
            left = left.saturating_sub(first.len() as u64);
            let is_queued = |row: &&ElementRow| row.state == ElementState::Pending && row.waits_for.is_none();
            let queued = first.into_iter().filter(is_queued).map(|row| QueuedElement {
                number: row.number,
                lane,
            });
            let queued: Vec<QueuedElement> = queued.collect();
            self.publisher.queued(&queued, self.context.clock.now()).await?;
        }
        Ok(())
    }

    async fn announced(&self, elements: &[u64]) -> Result<(), StoreError> {
        let mut retry = TransactionRetry::default();
        loop {
            let once = async {
                let (facts, mut transaction) = self.context.store.begin(&[], &Keys::default()).await?;
                transaction.executions().announced(elements).await?;
                transaction.commit(&facts).await
            };
            match once.await {
                Ok(()) => return Ok(()),
                Err(error) => tokio::time::sleep(retry.after_conflict(error)?).await,
            }
        }
    }
}
