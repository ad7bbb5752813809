//! Fakes of the bus, of follow-ups and of transactions.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
pub(super) use lockstep_bus::fake::{FakeBus, FakeMode};
use lockstep_protocol::MessageKey;
use lockstep_protocol::topology::Lane;
use lockstep_store::{
    Facts, FollowUp, FollowUpKey, FollowUps, Keys, Lease, MessageProperties, StoreError, Transaction,
    UnitOfWork,
};

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
    async fn unpublished(
        &self,
        _: &MessageKey,
        _: Option<FollowUpKey>,
        _: u32,
    ) -> Result<Vec<FollowUp>, StoreError> {
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

/// For follow-ups that the broker takes: they need no transaction.
#[derive(Debug)]
pub(super) struct NoTransactions;

#[async_trait]
impl UnitOfWork for NoTransactions {
    async fn begin(&self, _: &[Lease], _: &Keys) -> Result<(Facts, Box<dyn Transaction>), StoreError> {
        unreachable!("nothing is too large")
    }
}
