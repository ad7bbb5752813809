//! Stand-ins for bus and clock.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_bus::{Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError};
use lockstep_protocol::Identity;
use lockstep_protocol::topology::{Lane, Queue, Topology};
use lockstep_store::{FollowUp, FollowUpKey, FollowUps, MessageProperties, StoreError};

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

/// Follow-ups that a test makes overdue.
#[derive(Debug, Default)]
pub(super) struct FakeFollowUps {
    overdue: Mutex<VecDeque<FollowUp>>,
    marked: Mutex<Vec<u64>>,
    made_due: Mutex<Vec<Lane>>,
}

impl FakeFollowUps {
    pub(super) fn overdue(&self, numbers: impl IntoIterator<Item = u64>) {
        self.overdue_in("devices", numbers);
    }

    pub(super) fn overdue_in(&self, lane: &str, numbers: impl IntoIterator<Item = u64>) {
        let follow_ups = numbers.into_iter().map(|number| FollowUp {
            key: FollowUpKey::Message(number),
            lane: Some(lane.to_owned()),
            body: Vec::new().into(),
            properties: MessageProperties::default(),
            actor: None,
            first_at: Timestamp::UNIX_EPOCH,
            redrive_count: 0,
            published: 0,
        });
        self.overdue.lock().unwrap().extend(follow_ups);
    }

    pub(super) fn marked(&self) -> Vec<u64> {
        self.marked.lock().unwrap().clone()
    }

    pub(super) fn made_due(&self) -> Vec<Lane> {
        self.made_due.lock().unwrap().clone()
    }
}

#[async_trait]
impl FollowUps for FakeFollowUps {
    async fn unpublished(&self, _: &Identity, _: u32) -> Result<Vec<FollowUp>, StoreError> {
        unreachable!("the reconcile pass does not ask")
    }

    async fn mark_published(&self, follow_ups: &[FollowUp], _: Duration) -> Result<(), StoreError> {
        let numbers = follow_ups.iter().map(|follow_up| match follow_up.key {
            FollowUpKey::Message(number) | FollowUpKey::DeadLetter(number) => number,
        });
        self.marked.lock().unwrap().extend(numbers);
        Ok(())
    }

    async fn claim_overdue(&self, limit: u32) -> Result<Vec<FollowUp>, StoreError> {
        let mut overdue = self.overdue.lock().unwrap();
        let count = overdue.len().min(limit as usize);
        Ok(overdue.drain(..count).collect())
    }

    async fn make_due(&self, lanes: &[Lane]) -> Result<u64, StoreError> {
        self.made_due.lock().unwrap().extend_from_slice(lanes);
        Ok(lanes.len() as u64)
    }
}
