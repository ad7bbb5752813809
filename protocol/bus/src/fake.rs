//! A bus for tests. It records what is published and declared, and fails or waits as a test tells it to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lockstep_protocol::topology::{Queue, Topology};
use tokio::sync::Notify;

use crate::{Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError, QueueFigures};

/// What a [`FakeBus`] does with published messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FakeMode {
    /// Records and confirms them.
    #[default]
    Confirm,
    /// Refuses them with [`PublishError::Full`].
    Full,
    /// Refuses them with [`PublishError::Denied`], with [`FakeBus::SECRET`] in its texts.
    Deny,
    /// Waits until the mode changes.
    Unavailable,
    /// Refuses them with [`PublishError::Closed`].
    Closed,
}

/// A bus without a broker. Nothing can be consumed from it.
#[derive(Debug, Default)]
pub struct FakeBus {
    state: Mutex<State>,
    mode_changed: Notify,
    publish_called: Notify,
}

#[derive(Debug, Default)]
struct State {
    mode: FakeMode,
    published: Vec<Outgoing>,
    missing: Vec<String>,
    figures: QueueFigures,
    declared: Vec<Vec<&'static str>>,
}

impl FakeBus {
    /// A part of the errors in [`FakeMode::Deny`] that must not reach clients.
    pub const SECRET: &'static str = "secret-routing";

    /// Sets the mode, also for publishers that wait already.
    pub fn set_mode(&self, mode: FakeMode) {
        self.state().mode = mode;
        self.mode_changed.notify_waiters();
    }

    /// Every confirmed message, in the order of publishing.
    pub fn published(&self) -> Vec<Outgoing> {
        self.state().published.clone()
    }

    /// Waits for a call of [`Bus::publish`] that no earlier call of this method returned for.
    pub async fn publish_called(&self) {
        self.publish_called.notified().await;
    }

    /// Sets the statistics of all queues.
    pub fn set_figures(&self, figures: QueueFigures) {
        self.state().figures = figures;
    }

    /// Sets the answer of [`Bus::missing`].
    pub fn set_missing(&self, queues: &[&str]) {
        self.state().missing = queues.iter().map(|queue| (*queue).to_owned()).collect();
    }

    /// The queues of each [`Bus::declare`] since the last call of this method.
    pub fn take_declared(&self) -> Vec<Vec<&'static str>> {
        std::mem::take(&mut self.state().declared)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for FakeBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        self.publish_called.notify_one();
        loop {
            // Created before the mode is read, so that a change in between is not missed.
            let mode_changed = self.mode_changed.notified();
            let mode = self.state().mode;
            match mode {
                FakeMode::Confirm => {
                    self.state().published.extend(messages);
                    return Ok(());
                }
                FakeMode::Full => {
                    return Err(PublishError::Full {
                        exchange: "lockstep.events".to_owned(),
                        count: messages.len(),
                    });
                }
                FakeMode::Deny => {
                    return Err(PublishError::Denied {
                        exchange: "lockstep.events".to_owned(),
                        routing_key: Self::SECRET.to_owned(),
                        reason: "ACCESS_REFUSED".to_owned(),
                    });
                }
                FakeMode::Closed => return Err(PublishError::Closed),
                FakeMode::Unavailable => mode_changed.await,
            }
        }
    }

    async fn consume(&self, _queue: Queue, _options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        Err(BusError::Closed)
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BusError> {
        let queues = topology.queues.iter().map(|queue| queue.name).collect();
        self.state().declared.push(queues);
        Ok(())
    }

    async fn queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, BusError> {
        let state = self.state();
        let missing = |name: &str| state.missing.iter().any(|missing| missing == name);
        let figures = |name: &&str| (!missing(name)).then_some(state.figures);
        Ok(names.iter().map(figures).collect())
    }

    fn status(&self) -> BusStatus {
        match self.state().mode {
            FakeMode::Confirm | FakeMode::Full | FakeMode::Deny => BusStatus::Connected,
            FakeMode::Unavailable => BusStatus::Disconnected,
            FakeMode::Closed => BusStatus::Closed,
        }
    }

    fn user(&self) -> &'static str {
        "fake"
    }

    async fn close(&self) {}
}
