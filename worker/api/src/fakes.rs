//! Fakes of bus, store and clock. The bus records what is published; the store returns what a test put into it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
pub(crate) use lockstep_bus::fake::{FakeBus, FakeMode};
use lockstep_protocol::{DeviceState, DeviceType, GroupName, Hostname, MessageKey, RepositoryName};
use tokio::sync::Notify;

use lockstep_clock::Clock;
use lockstep_store::{
    Attributes, CauseId, CauseRow, DeadLetter, DeadLetterCountQuery, DeadLetterQuery, DeadLetterSummary,
    DeadLetterTotals, DeadLetters, Device, DeviceId, DeviceQuery, Fleet, Inbox, InboxRow, Lifecycle,
    Migrated, Repositories, RepositoryFailure, RepositoryFailures, RepositoryRow, Schema, Sessions, Stats,
    StoreError, Summary, SyncState,
};

#[derive(Debug, Default)]
pub(crate) struct FakeStore {
    pub(crate) unavailable: AtomicBool,
    pub(crate) rows: Mutex<HashMap<MessageKey, InboxRow>>,
    pub(crate) devices: Mutex<Vec<Device>>,
    pub(crate) groups: Mutex<HashMap<DeviceId, Vec<GroupName>>>,
    pub(crate) causes: Mutex<HashMap<CauseId, CauseRow>>,
    pub(crate) repositories: Mutex<Vec<RepositoryRow>>,
    pub(crate) failures: Mutex<Vec<RepositoryFailure>>,
    pub(crate) dead_letters: Mutex<Vec<DeadLetter>>,
    /// The queries for dead letters so far.
    pub(crate) queries: Mutex<Vec<DeadLetterQuery>>,
    pub(crate) counts: Mutex<DeadLetterTotals>,
    /// Notified by each read of an outcome.
    pub(crate) outcome_read: Notify,
}

impl FakeStore {
    fn check(&self, operation: &'static str) -> Result<(), StoreError> {
        if self.unavailable.load(Ordering::SeqCst) {
            let source = "secret address of the database".into();
            return Err(StoreError::Unavailable { operation, source });
        }
        Ok(())
    }
}

#[async_trait]
impl Inbox for FakeStore {
    async fn outcome(&self, message: &MessageKey) -> Result<Option<InboxRow>, StoreError> {
        self.check("outcome")?;
        let row = self.rows.lock().unwrap().get(message).cloned();
        self.outcome_read.notify_one();
        Ok(row)
    }
}

#[async_trait]
impl Fleet for FakeStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<Device>, StoreError> {
        self.check("devices")?;
        let groups = self.groups.lock().unwrap();
        let matches = |device: &&Device| {
            query
                .synchronized
                .is_none_or(|wanted| device.sync.synchronized() == wanted)
                && query.state.is_none_or(|wanted| device.lifecycle.state == wanted)
                && query
                    .device_type
                    .is_none_or(|wanted| device.attributes.device_type == wanted)
                && query.group.as_ref().is_none_or(|wanted| {
                    groups
                        .get(&device.id)
                        .is_some_and(|groups| groups.contains(wanted))
                })
                && query.after.as_ref().is_none_or(|after| device.hostname > *after)
        };
        let devices = self.devices.lock().unwrap();
        Ok(devices
            .iter()
            .filter(matches)
            .take(query.limit as usize)
            .cloned()
            .collect())
    }

    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64, StoreError> {
        let all = DeviceQuery {
            after: None,
            limit: u32::MAX,
            ..query.clone()
        };
        Ok(self.devices(&all).await?.len() as u64)
    }

    async fn device(&self, hostname: &Hostname) -> Result<Option<Device>, StoreError> {
        self.check("device")?;
        let devices = self.devices.lock().unwrap();
        Ok(devices
            .iter()
            .find(|device| device.hostname == *hostname)
            .cloned())
    }

    async fn groups_of(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Vec<GroupName>>, StoreError> {
        self.check("groups")?;
        let mut groups = self.groups.lock().unwrap().clone();
        groups.retain(|device, _| devices.contains(device));
        Ok(groups)
    }

    async fn causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError> {
        self.check("causes")?;
        let mut causes = self.causes.lock().unwrap().clone();
        causes.retain(|id, _| ids.contains(id));
        Ok(causes)
    }
}

#[async_trait]
impl RepositoryFailures for FakeStore {
    async fn failures(&self) -> Result<Vec<RepositoryFailure>, StoreError> {
        self.check("failures")?;
        Ok(self.failures.lock().unwrap().clone())
    }

    async fn failed(&self, _name: &RepositoryName, _reason: &str) -> Result<(), StoreError> {
        unreachable!("the console fetches nothing")
    }

    async fn recovered(&self, _name: &RepositoryName) -> Result<(), StoreError> {
        unreachable!("the console fetches nothing")
    }
}

#[async_trait]
impl Repositories for FakeStore {
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        self.check("repositories")?;
        Ok(self.repositories.lock().unwrap().clone())
    }

    async fn repository(&self, _name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError> {
        unreachable!("the console lists all repositories")
    }

    async fn listing(&self, _name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError> {
        unreachable!("the console shows no listing")
    }

    async fn hostnames(&self) -> Result<Vec<Hostname>, StoreError> {
        unreachable!("the console matches no groups")
    }
}

#[async_trait]
impl DeadLetters for FakeStore {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError> {
        self.check("dead_letters")?;
        self.queries.lock().unwrap().push(query.clone());
        let dead_letters = self.dead_letters.lock().unwrap();
        let summaries = dead_letters
            .iter()
            .rev()
            .map(|dead_letter| dead_letter.head.clone());
        Ok(summaries
            .filter(|summary| query.before.is_none_or(|before| summary.number < before))
            .take(query.limit as usize)
            .collect())
    }

    async fn count_dead_letters(&self, _query: &DeadLetterQuery) -> Result<u64, StoreError> {
        self.check("count_dead_letters")?;
        Ok(self.dead_letters.lock().unwrap().len() as u64)
    }

    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError> {
        self.check("dead_letter_totals")?;
        let mut counts = self.counts.lock().unwrap().clone();
        counts
            .groups
            .retain(|group| query.code.as_ref().is_none_or(|code| group.code == *code));
        Ok(counts)
    }

    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError> {
        self.check("dead_letter")?;
        let dead_letters = self.dead_letters.lock().unwrap();
        Ok(dead_letters
            .iter()
            .find(|dead_letter| dead_letter.head.number == number)
            .cloned())
    }
}

#[async_trait]
impl Stats for FakeStore {
    async fn summary(&self) -> Result<Summary, StoreError> {
        self.check("summarize the fleet")?;
        Ok(Summary::default())
    }

    fn sessions(&self) -> Sessions {
        Sessions::default()
    }
}

#[async_trait]
impl Schema for FakeStore {
    async fn migrate(&self) -> Result<Migrated, StoreError> {
        Ok(Migrated {
            version: 1,
            known: 1,
            applied: Vec::new(),
            granted: Vec::new(),
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check("ping")
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.check("now")?;
        Ok(FixedClock.now())
    }
}

/// A clock that always shows the same time.
#[derive(Debug)]
pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        "2026-02-03T04:05:06.789Z".parse().unwrap()
    }
}

pub(crate) fn device(id: i64, hostname: &str, synchronized: bool) -> Device {
    Device {
        id: DeviceId(id),
        hostname: hostname.parse().unwrap(),
        attributes: Attributes::of(DeviceType::Access),
        lifecycle: Lifecycle {
            state: DeviceState::Managed,
            note: None,
            until: None,
            version: None,
        },
        sync: SyncState {
            desired: if synchronized { 1 } else { 2 },
            ..SyncState::SYNCHRONIZED
        },
        marked: None,
        open_causes: Vec::new(),
    }
}
