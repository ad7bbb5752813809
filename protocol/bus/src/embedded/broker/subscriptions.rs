//! Subscribers of queues, and the delivery of messages to them.

use std::collections::BTreeSet;

use lockstep_protocol::topology;
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::{Broker, is_reply};
use crate::embedded::file::{self, StoredQueue};
use crate::embedded::queue::{Queue, Reading, Subscriber};
use crate::embedded::request::{Numbered, SubscriberId, Subscription};
use crate::{BusError, QueueFigures};

/// Messages that were read for subscribers.
#[derive(Debug)]
pub(in crate::embedded) struct Found {
    again: Vec<Numbered>,
    fresh: Vec<Numbered>,
    mark: Option<i64>,
}

/// Creates the reply queue if it does not exist, and stops its expiry.
pub(in crate::embedded) fn open_reply(file: &Connection, name: &str) -> rusqlite::Result<Vec<StoredQueue>> {
    let id = file::add_queue(file, name)?;
    file::set_unread_since(file, id, None)?;
    file::queues(file)
}

impl Broker {
    /// Adds queues that [`open_reply`] created.
    pub(in crate::embedded) fn opened(&mut self, stored: Vec<StoredQueue>) {
        self.add(stored);
    }

    /// Adds a subscriber to a queue.
    ///
    /// # Errors
    /// When the queue does not exist.
    pub(in crate::embedded) fn subscribe(
        &mut self,
        queue: &topology::Queue,
        prefetch: u16,
    ) -> Result<Subscription, BusError> {
        let id = self.names.get(queue.name()).ok_or_else(|| BusError::Consume {
            queue: queue.name().to_owned(),
            reason: "the queue does not exist".to_owned(),
        })?;
        let queue = self.queues.get_mut(id).expect("names lead to known queues");
        let prefetch = usize::from(prefetch.max(1));
        let (sender, deliveries) = mpsc::channel(prefetch);
        let subscriber = self.next_subscriber;
        self.next_subscriber += 1;
        queue.unread_since = None;
        queue.subscribers.push(Subscriber {
            id: subscriber,
            prefetch,
            unacknowledged: BTreeSet::new(),
            deliveries: sender,
        });
        Ok(Subscription {
            subscriber,
            deliveries,
        })
    }

    /// Removes a subscriber and returns its messages to the queue. Returns the reply queue that lost its last subscriber by
    /// this, if any. Idempotent.
    pub(in crate::embedded) fn unsubscribe(&mut self, subscriber: SubscriberId) -> Option<i64> {
        let queue = self
            .queues
            .values_mut()
            .find_map(|queue| queue.unsubscribe(subscriber).then_some(queue))?;
        (queue.subscribers.is_empty() && is_reply(&queue.name)).then_some(queue.id)
    }

    /// The statistics of queues by name; `None` for a queue that does not exist.
    pub(in crate::embedded) fn figures(
        &self,
        file: &Connection,
        names: &[String],
    ) -> rusqlite::Result<Vec<Option<QueueFigures>>> {
        let figures = |name: &String| {
            let Some(queue) = self.names.get(name).map(|id| &self.queues[id]) else {
                return Ok(None);
            };
            let stored = file::length(file, queue.id)?;
            let unacknowledged = queue.subscribers.iter().map(|known| known.unacknowledged.len());
            let delivered = i64::try_from(unacknowledged.sum::<usize>()).unwrap_or(i64::MAX);
            Ok(Some(QueueFigures {
                messages: u32::try_from((stored - delivered).max(0)).unwrap_or(u32::MAX),
                consumers: u32::try_from(queue.subscribers.len()).unwrap_or(u32::MAX),
            }))
        };
        names.iter().map(figures).collect()
    }

    /// The subscribers whose consumer was dropped.
    pub(in crate::embedded) fn gone(&self) -> Vec<SubscriberId> {
        self.queues.values().flat_map(Queue::gone).collect()
    }

    /// What to read now, by queue.
    pub(in crate::embedded) fn readings(&self, most: usize) -> Vec<(i64, Reading)> {
        self.queues
            .values()
            .filter_map(|queue| Some((queue.id, queue.reading(most)?)))
            .collect()
    }

    /// Reads messages, and sets the queue's mark beyond them.
    pub(in crate::embedded) fn read(
        &self,
        file: &Connection,
        queue: i64,
        reading: &Reading,
    ) -> rusqlite::Result<Found> {
        let mut again = Vec::with_capacity(reading.returned.len());
        for id in &reading.returned {
            again.extend(file::read(file, *id)?);
        }
        let fresh = match reading.limit {
            0 => Vec::new(),
            limit => file::read_after(file, queue, reading.after, limit)?,
        };
        let highest = fresh.last().map(|(id, _)| *id);
        let mark = highest.and_then(|highest| self.queues[&queue].mark_for(highest));
        if let Some(mark) = mark {
            file::set_mark(file, queue, mark)?;
        }
        Ok(Found { again, fresh, mark })
    }

    /// Delivers the messages that were read.
    pub(in crate::embedded) fn hand_out(&mut self, queue: i64, reading: &Reading, found: Found) {
        let queue = self.queue(queue);
        if let Some(mark) = found.mark {
            queue.marked(mark);
        }
        queue.hand_out(reading, found.fresh, found.again);
    }

    /// Writes the lowest correct mark of each queue.
    pub(in crate::embedded) fn write_exact_marks(&self, file: &Connection) -> rusqlite::Result<()> {
        for queue in self.queues.values() {
            file::set_mark(file, queue.id, queue.exact_mark())?;
        }
        Ok(())
    }

    /// Removes all subscribers, which ends their consumers.
    pub(in crate::embedded) fn dismiss(&mut self) {
        for queue in self.queues.values_mut() {
            queue.subscribers.clear();
        }
    }
}
