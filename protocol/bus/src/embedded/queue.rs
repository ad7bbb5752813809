//! The state of a queue in memory: its subscribers, and the position up to which it was read. Messages stay in the file.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use super::file::StoredQueue;
use super::request::{Numbered, SubscriberId};
use super::routing::Rules;

/// How far the mark is set ahead of the delivered messages, so that delivering rarely writes. After a crash up to this many
/// messages are flagged as redelivered that were not delivered before.
const MARK_AHEAD: i64 = 10_000;

/// A queue, with what is known about it in memory.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) rules: Rules,
    pub(super) subscribers: Vec<Subscriber>,
    /// How many messages are in the file; known only if the queue has a maximum length.
    pub(super) length: Option<i64>,
    /// On reply queues: since when it has no subscriber.
    pub(super) unread_since: Option<i64>,
    /// Messages that were returned unacknowledged; they are delivered first.
    returned: BTreeSet<i64>,
    /// Messages up to this id were delivered since the bus was opened.
    cursor: i64,
    /// Whether there may be messages after the cursor.
    unread: bool,
    /// Messages up to this id may have been delivered before the bus was opened.
    delivered_before: i64,
    /// The mark in the file; never below the id of a delivered message.
    mark: i64,
    /// The index of the subscriber that gets the next message (round robin).
    turn: usize,
}

/// A consumer of a queue.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: SubscriberId,
    pub(super) prefetch: usize,
    pub(super) unacknowledged: BTreeSet<i64>,
    pub(super) deliveries: mpsc::Sender<Numbered>,
}

/// Which messages to read from the file for the subscribers of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Returned messages to read first.
    pub(super) returned: Vec<i64>,
    /// Then messages with higher ids than this.
    pub(super) after: i64,
    /// The most messages to read after `after`.
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

    /// Notes that a message was added at the end.
    pub(super) fn added(&mut self) {
        self.unread = true;
    }

    /// What to read now, at most `most` messages. `None` if there is nothing to read or no subscriber has room.
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

    /// The mark to write before a message with this id is delivered; `None` if the current one is high enough.
    pub(super) fn mark_for(&self, highest: i64) -> Option<i64> {
        (highest > self.mark).then_some(highest + MARK_AHEAD)
    }

    /// Notes that the mark was written.
    pub(super) fn marked(&mut self, mark: i64) {
        self.mark = mark;
    }

    /// The lowest correct mark, for a regular close.
    pub(super) fn exact_mark(&self) -> i64 {
        self.cursor.max(self.delivered_before)
    }

    /// Delivers the messages that were read, each to the next subscriber with room.
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
            // The channel has room for the prefetch, so this fails only if the consumer was dropped. `gone` finds that
            // later, and the message is returned to the queue.
            let _ = subscriber.deliveries.try_send(numbered);
            return;
        }
        // Not reached, since no more messages are read than there is room for; even so the message is not lost.
        self.returned.insert(id);
    }

    /// Removes a subscriber, and returns its unacknowledged messages to the queue. False if this queue does not have it.
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
