//! Stand-ins for bus and clock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_bus::{Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError};
use lockstep_protocol::topology::{Queue, Topology};

use lockstep_clock::Clock;

#[derive(Debug, Default)]
pub(super) struct FakeClock(Mutex<Timestamp>);

impl FakeClock {
    pub(super) fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[derive(Debug, Default)]
pub(super) struct FakeBus {
    away: AtomicBool,
    published: Mutex<Vec<Outgoing>>,
    missing: Mutex<Vec<String>>,
    declared: Mutex<Vec<Vec<&'static str>>>,
}

impl FakeBus {
    pub(super) fn published(&self) -> Vec<Outgoing> {
        self.published.lock().unwrap().clone()
    }

    pub(super) fn go_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    pub(super) fn come_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    pub(super) fn miss(&self, queues: &[&str]) {
        *self.missing.lock().unwrap() = queues.iter().map(|queue| (*queue).to_owned()).collect();
    }

    /// The queues that were declared since it was asked last, each time.
    pub(super) fn declared(&self) -> Vec<Vec<&'static str>> {
        std::mem::take(&mut self.declared.lock().unwrap())
    }
}

#[async_trait]
impl Bus for FakeBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(PublishError::Closed);
        }
        self.published.lock().unwrap().extend(messages);
        Ok(())
    }

    async fn consume(&self, _queue: Queue, _options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        Err(BusError::Closed)
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BusError> {
        let queues = topology.queues.iter().map(|queue| queue.name).collect();
        self.declared.lock().unwrap().push(queues);
        Ok(())
    }

    async fn missing(&self, _topology: &Topology) -> Result<Vec<String>, BusError> {
        Ok(self.missing.lock().unwrap().clone())
    }

    fn status(&self) -> BusStatus {
        BusStatus::Connected
    }

    fn user(&self) -> &'static str {
        "fake"
    }

    async fn close(&self) {}
}
