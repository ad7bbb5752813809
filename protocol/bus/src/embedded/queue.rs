//! What is known in memory about a queue: who reads it, and how far it was read. Messages themselves stay in the file.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use super::file::StoredQueue;
use super::request::{Numbered, SubscriberId};
use super::routing::Rules;

/// How far the mark is set ahead of what is delivered, so that delivering seldom writes. After a crash as many messages
/// may be called redelivered that were not.
const MARK_AHEAD: i64 = 10_000;

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) rules: Rules,
    pub(super) subscribers: Vec<Subscriber>,
    /// How many messages are in the file; known only where a length is set.
    pub(super) length: Option<i64>,
    /// Reply queues: since when nobody reads it.
    pub(super) unread_since: Option<i64>,
    /// Given back, to be delivered first.
    returned: BTreeSet<i64>,
    /// Messages up to this id were delivered since the bus was opened, or are in `returned`.
    cursor: i64,
    /// There may be messages after the cursor.
    unread: bool,
    /// Messages up to this id may have been delivered before the bus was opened.
    delivered_before: i64,
    /// What the file says in `delivered_before`'s place: never below the cursor of a delivered message.
    mark: i64,
    /// The subscriber whose turn it is.
    turn: usize,
}

/// Somebody who reads a queue.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: SubscriberId,
    pub(super) prefetch: usize,
    pub(super) unacknowledged: BTreeSet<i64>,
    pub(super) deliveries: mpsc::Sender<Numbered>,
}

/// What to read for the subscribers of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// These first.
    pub(super) returned: Vec<i64>,
    /// Then what comes after this.
    pub(super) after: i64,
    /// As many of those.
    pub(super) limit: usize,
}

impl Subscriber {
    fn credit(&self) -> usize {
        self.prefetch.saturating_sub(self.unacknowledged.len())
    }
}

impl Queue {
    pub(super) fn new(stored: StoredQueue, rules: Rules) -> Self {
        Self {
            id: stored.id,
            name: stored.name,
            rules,
            subscribers: Vec::new(),
            length: None,
            unread_since: stored.unread_since,
            returned: BTreeSet::new(),
            cursor: 0,
            unread: true,
            delivered_before: stored.mark,
            mark: stored.mark,
            turn: 0,
        }
    }

    /// A message was added at the end.
    pub(super) fn added(&mut self) {
        self.unread = true;
    }

    /// What to read now, at most `most` messages, if there is anything and somebody has room for it.
    pub(super) fn reading(&self, most: usize) -> Option<Reading> {
        let credit: usize = self.subscribers.iter().map(Subscriber::credit).sum();
        let room = credit.min(most);
        let returned: Vec<i64> = self.returned.iter().copied().take(room).collect();
        let limit = if self.unread { room - returned.len() } else { 0 };
        if returned.is_empty() && limit == 0 {
            return None;
        }
        Some(Reading {
            returned,
            after: self.cursor,
            limit,
        })
    }

    /// The mark to be written before a message with this id may be delivered, if any.
    pub(super) fn mark_for(&self, highest: i64) -> Option<i64> {
        (highest > self.mark).then_some(highest + MARK_AHEAD)
    }

    /// The mark was written.
    pub(super) fn marked(&mut self, mark: i64) {
        self.mark = mark;
    }

    /// The mark that says no more than the truth, for an orderly end.
    pub(super) fn exact_mark(&self) -> i64 {
        self.cursor.max(self.delivered_before)
    }

    /// Hands out what was read, each message to the next subscriber with room.
    pub(super) fn hand_out(&mut self, reading: &Reading, fresh: Vec<Numbered>, again: Vec<Numbered>) {
        for id in &reading.returned {
            self.returned.remove(id);
        }
        if fresh.len() < reading.limit {
            self.unread = false;
        }
        for (id, mut delivery) in again {
            delivery.redelivered = true;
            self.give((id, delivery));
        }
        for (id, mut delivery) in fresh {
            delivery.redelivered = id <= self.delivered_before;
            self.cursor = id;
            self.give((id, delivery));
        }
    }

    fn give(&mut self, numbered: Numbered) {
        let id = numbered.0;
        let count = self.subscribers.len();
        for step in 0..count {
            let place = (self.turn + step) % count;
            let subscriber = &mut self.subscribers[place];
            if subscriber.credit() == 0 {
                continue;
            }
            self.turn = place + 1;
            subscriber.unacknowledged.insert(id);
            // The channel has room for the prefetch, so this fails only when the consumer is gone: it is found by
            // `gone` later, and what it had comes back.
            let _ = subscriber.deliveries.try_send(numbered);
            return;
        }
        // Never more was read than there is room for; should it happen, nothing is lost.
        self.returned.insert(id);
    }

    /// Removes a subscriber, and takes back what it had not acknowledged. False if it is not one of this queue.
    pub(super) fn unsubscribe(&mut self, id: SubscriberId) -> bool {
        let Some(place) = self.subscribers.iter().position(|subscriber| subscriber.id == id) else {
            return false;
        };
        let gone = self.subscribers.remove(place);
        self.returned.extend(gone.unacknowledged);
        true
    }

    /// The subscribers whose consumer was dropped.
    pub(super) fn gone(&self) -> Vec<SubscriberId> {
        self.subscribers
            .iter()
            .filter(|subscriber| subscriber.deliveries.is_closed())
            .map(|subscriber| subscriber.id)
            .collect()
    }
}
