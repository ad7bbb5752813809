//! Time-driven work: retry delays end, results expire, and unused reply queues are deleted.

use std::time::Duration;

use rusqlite::Connection;

use super::{Broker, is_reply};
use crate::embedded::clock::millis;
use crate::embedded::file::{self, Overdue};
use crate::embedded::queue::Queue;

/// The most messages moved in one transaction.
const AT_ONCE: i64 = 1000;

impl Broker {
    /// Whether a message or a reply queue is due.
    pub(in crate::embedded) fn is_due(&self) -> bool {
        self.until_due().is_some_and(|wait| wait.is_zero())
    }

    /// How long until the next message or reply queue is due.
    pub(in crate::embedded) fn until_due(&self) -> Option<Duration> {
        let expiries = self.queues.values().filter_map(|queue| self.expiry(queue));
        let next = self.next_due.into_iter().chain(expiries).min()?;
        Some(self.clock.until(next))
    }

    /// Moves or drops expired messages, deletes expired reply queues, and returns the ids of the latter.
    pub(in crate::embedded) fn work_due(&mut self, file: &Connection) -> rusqlite::Result<Vec<i64>> {
        let now = self.clock.now_ms();
        for message in file::overdue(file, now, AT_ONCE)? {
            self.expire(file, &message)?;
        }
        self.next_due = file::next_due(file)?;
        let expired = |queue: &&Queue| self.expiry(queue).is_some_and(|expiry| expiry <= now);
        let removed: Vec<i64> = self
            .queues
            .values()
            .filter(expired)
            .map(|queue| queue.id)
            .collect();
        for queue in &removed {
            file::remove_queue(file, *queue)?;
        }
        Ok(removed)
    }

    /// Removes queues from memory after their deletion was committed.
    pub(in crate::embedded) fn forget(&mut self, removed: &[i64]) {
        for id in removed {
            if let Some(queue) = self.queues.remove(id) {
                self.names.remove(&queue.name);
            }
        }
    }

    /// Notes that a reply queue has no consumer, which starts its expiry.
    pub(in crate::embedded) fn note_unread(&mut self, file: &Connection, queue: i64) -> rusqlite::Result<()> {
        let now = self.clock.now_ms();
        file::set_unread_since(file, queue, Some(now))?;
        self.queue(queue).unread_since = Some(now);
        Ok(())
    }

    /// Starts the expiry of reply queues that had a consumer when the process ended.
    pub(super) fn expire_reply_queues_of_last_process(&mut self, file: &Connection) -> rusqlite::Result<()> {
        let was_read = |queue: &&Queue| is_reply(&queue.name) && queue.unread_since.is_none();
        let left: Vec<i64> = self
            .queues
            .values()
            .filter(was_read)
            .map(|queue| queue.id)
            .collect();
        for queue in left {
            self.note_unread(file, queue)?;
        }
        Ok(())
    }

    /// Moves an expired message to the queue's dead-letter exchange, or drops it if there is none.
    fn expire(&mut self, file: &Connection, message: &Overdue) -> rusqlite::Result<()> {
        let rules = self.queues.get(&message.queue).map(|queue| queue.rules);
        if let Some(exchange) = rules.and_then(|rules| rules.dead_letter_to) {
            for queue in self.route(exchange, &message.routing_key).unwrap_or_default() {
                let (id, due) = self.place(queue);
                file::copy(file, message.id, id, queue, due, exchange)?;
            }
        }
        self.delete(file, message.queue, &[message.id])
    }

    /// When this queue is deleted; `None` unless it is a reply queue without a consumer.
    fn expiry(&self, queue: &Queue) -> Option<i64> {
        let since = queue.unread_since.filter(|_| queue.subscribers.is_empty())?;
        Some(since.saturating_add(millis(self.reply_expires)))
    }
}
