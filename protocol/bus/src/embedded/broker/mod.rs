//! The broker's logic: stores, routes, expires and delivers messages of one file.
//!
//! Functions that take the file run inside a transaction of the writer, which may fail and be retried. Before the commit they
//! only change state whose error causes a superfluous read at worst. All other state in memory is changed after the commit,
//! by functions that do not take the file.

mod due;
mod subscriptions;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lockstep_protocol::topology::{REPLY_PREFIX, Topology};
use rusqlite::Connection;

pub(super) use subscriptions::open_reply;

use super::clock::SteadyClock;
use super::file::{self, StoredQueue};
use super::queue::Queue;
use super::request::{Ack, SubscriberId};
use super::routing::Routing;
use crate::{Outgoing, PublishError};

/// The state of the broker in memory.
#[derive(Debug)]
pub(super) struct Broker {
    routing: Routing,
    queues: BTreeMap<i64, Queue>,
    names: HashMap<String, i64>,
    next_message: i64,
    next_subscriber: SubscriberId,
    /// A lower bound of when the next message is due.
    next_due: Option<i64>,
    clock: SteadyClock,
    reply_expires: Duration,
}

impl Broker {
    /// Loads the queues from the file, and declares the default topology.
    pub(super) fn load(file: &Connection, reply_expires: Duration) -> rusqlite::Result<Self> {
        let topology = Topology::new(1.0);
        let mut broker = Self {
            routing: Routing::new(&topology),
            queues: BTreeMap::new(),
            names: HashMap::new(),
            next_message: file::highest_id(file)? + 1,
            next_subscriber: 1,
            next_due: None,
            clock: SteadyClock::start(),
            reply_expires,
        };
        broker.add(file::queues(file)?);
        let stored = broker.declare(file, &topology)?;
        broker.declared(&topology, stored);
        broker.next_due = file::next_due(file)?;
        broker.expire_reply_queues_of_last_process(file)?;
        Ok(broker)
    }

    /// Adds the queues of a topology to the file, and returns all queues in it.
    pub(super) fn declare(
        &self,
        file: &Connection,
        topology: &Topology,
    ) -> rusqlite::Result<Vec<StoredQueue>> {
        let routing = Routing::new(topology);
        for name in routing.queues() {
            let id = file::add_queue(file, name)?;
            if let Some(ttl) = routing.rules(name).ttl {
                file::clamp_due(file, id, self.clock.after_ms(ttl))?;
            }
        }
        file::queues(file)
    }

    /// Uses this topology for routing from now on.
    pub(super) fn declared(&mut self, topology: &Topology, stored: Vec<StoredQueue>) {
        self.routing = Routing::new(topology);
        self.add(stored);
        for queue in self.queues.values_mut() {
            queue.rules = self.routing.rules(&queue.name);
        }
        // Retry delays may have become shorter.
        self.next_due = Some(self.clock.now_ms());
    }

    /// Stores the messages of one request: all or none of them.
    pub(super) fn publish(
        &mut self,
        file: &Connection,
        messages: &[Outgoing],
    ) -> rusqlite::Result<Result<(), PublishError>> {
        let mut routes = Vec::with_capacity(messages.len());
        for message in messages {
            match self.route(message.destination.exchange(), message.destination.routing_key()) {
                Some(queues) => routes.push(queues),
                None => return Ok(Err(denied(message))),
            }
        }
        for (message, queues) in messages.iter().zip(routes) {
            for queue in queues {
                let (id, due) = self.place(queue);
                file::insert(file, id, queue, due, message)?;
                self.shorten(file, queue)?;
            }
        }
        Ok(Ok(()))
    }

    /// Notes that deliveries are acknowledged, and returns the queue and the messages to delete. An acknowledgement of a
    /// subscriber that was removed has no effect.
    pub(super) fn acknowledge(&mut self, ack: Ack) -> Option<(i64, Vec<i64>)> {
        let Ack { subscriber, mut ids } = ack;
        let (queue, found) = self.queues.values_mut().find_map(|queue| {
            let known = queue
                .subscribers
                .iter_mut()
                .find(|known| known.id == subscriber)?;
            Some((queue.id, known))
        })?;
        ids.retain(|id| found.unacknowledged.remove(id));
        Some((queue, ids))
    }

    /// Deletes acknowledged or expired messages.
    pub(super) fn delete(&mut self, file: &Connection, queue: i64, ids: &[i64]) -> rusqlite::Result<()> {
        let mut deleted = 0;
        for id in ids {
            deleted += i64::from(file::delete(file, *id)?);
        }
        if let Some(length) = self
            .queues
            .get_mut(&queue)
            .and_then(|queue| queue.length.as_mut())
        {
            *length -= deleted;
        }
        Ok(())
    }

    /// Resets the queue lengths, which a failed transaction may have left wrong.
    pub(super) fn forget_lengths(&mut self) {
        for queue in self.queues.values_mut() {
            queue.length = None;
        }
    }

    fn route(&self, exchange: &str, key: &str) -> Option<Vec<i64>> {
        let is_reply_queue = |name: &str| is_reply(name) && self.names.contains_key(name);
        let names = self.routing.route(exchange, key, is_reply_queue)?;
        Some(names.iter().map(|name| self.names[*name]).collect())
    }

    /// Assigns the next message at the end of a queue its id and its due time.
    fn place(&mut self, queue: i64) -> (i64, Option<i64>) {
        let id = self.next_message;
        self.next_message += 1;
        let queue = self.queues.get_mut(&queue).expect("routes lead to known queues");
        queue.added();
        let due = queue.rules.ttl.map(|ttl| self.clock.after_ms(ttl));
        self.next_due = self.next_due.into_iter().chain(due).min();
        (id, due)
    }

    /// Drops the oldest messages of a queue beyond its maximum length.
    fn shorten(&mut self, file: &Connection, queue: i64) -> rusqlite::Result<()> {
        let queue = self.queue(queue);
        let Some(most) = queue.rules.max_length else {
            return Ok(());
        };
        let length = match queue.length {
            Some(before) => before + 1,
            None => file::length(file, queue.id)?,
        };
        if length > most {
            file::delete_oldest(file, queue.id, length - most)?;
        }
        queue.length = Some(length.min(most));
        Ok(())
    }

    /// Adds queues that are not in memory yet.
    fn add(&mut self, stored: Vec<StoredQueue>) {
        for stored in stored {
            if !self.queues.contains_key(&stored.id) {
                let rules = self.routing.rules(&stored.name);
                self.names.insert(stored.name.clone(), stored.id);
                self.queues.insert(stored.id, Queue::new(stored, rules));
            }
        }
    }

    fn queue(&mut self, id: i64) -> &mut Queue {
        self.queues
            .get_mut(&id)
            .expect("callers use ids of existing queues")
    }
}

fn denied(message: &Outgoing) -> PublishError {
    PublishError::Denied {
        exchange: message.destination.exchange().to_owned(),
        routing_key: message.destination.routing_key().to_owned(),
        reason: "the exchange does not exist".to_owned(),
    }
}

fn is_reply(name: &str) -> bool {
    name.starts_with(REPLY_PREFIX)
}
