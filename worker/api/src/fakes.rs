//! Stand-ins for bus and store that remember what they were given and answer what they were told.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
pub(crate) use lockstep_bus::fake::{FakeBus, FakeMode};
use lockstep_protocol::rest::DeviceView;
use lockstep_protocol::{DeviceState, DeviceType, Hostname, Identity, RepositoryName};
use tokio::sync::Notify;

use lockstep_clock::Clock;
use lockstep_store::{
    Changed, DeadLetter, DeadLetterCountQuery, DeadLetterQuery, DeadLetterSummary, DeadLetterTotals,
    DeadLetters, DeviceQuery, Fleet, Inbox, InboxRow, Migrated, Repositories, RepositoryChange,
    RepositoryRow, Schema, Sessions, Stats, StoreError, Summary,
};

#[derive(Debug, Default)]
pub(crate) struct FakeStore {
    pub(crate) away: AtomicBool,
    pub(crate) rows: Mutex<HashMap<Identity, InboxRow>>,
    pub(crate) devices: Mutex<Vec<DeviceView>>,
    pub(crate) repositories: Mutex<Vec<RepositoryRow>>,
    pub(crate) dead_letters: Mutex<Vec<DeadLetter>>,
    /// Which dead letters were asked for.
    pub(crate) questions: Mutex<Vec<DeadLetterQuery>>,
    pub(crate) counts: Mutex<DeadLetterTotals>,
    pub(crate) asked: Notify,
}

impl FakeStore {
    fn check(&self, operation: &'static str) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            let source = "secret address of the database".into();
            return Err(StoreError::Unavailable { operation, source });
        }
        Ok(())
    }
}

#[async_trait]
impl Inbox for FakeStore {
    async fn outcome(&self, identity: &Identity) -> Result<Option<InboxRow>, StoreError> {
        self.check("outcome")?;
        let row = self.rows.lock().unwrap().get(identity).cloned();
        self.asked.notify_one();
        Ok(row)
    }
}

#[async_trait]
impl Fleet for FakeStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<DeviceView>, StoreError> {
        self.check("devices")?;
        let fits = |device: &&DeviceView| {
            query
                .synchronized
                .is_none_or(|wanted| device.synchronized == wanted)
                && query.state.is_none_or(|wanted| device.state == wanted)
                && query
                    .device_type
                    .is_none_or(|wanted| device.device_type == wanted)
                && query
                    .group
                    .as_ref()
                    .is_none_or(|wanted| device.groups.contains(wanted))
                && query.after.as_ref().is_none_or(|after| device.hostname > *after)
        };
        let devices = self.devices.lock().unwrap();
        Ok(devices
            .iter()
            .filter(fits)
            .take(query.limit as usize)
            .cloned()
            .collect())
    }

    async fn device(&self, hostname: &Hostname) -> Result<Option<DeviceView>, StoreError> {
        self.check("device")?;
        let devices = self.devices.lock().unwrap();
        Ok(devices
            .iter()
            .find(|device| device.hostname == *hostname)
            .cloned())
    }
}

#[async_trait]
impl Repositories for FakeStore {
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        self.check("repositories")?;
        Ok(self.repositories.lock().unwrap().clone())
    }

    async fn repository(&self, _name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError> {
        unreachable!("the console lists them all")
    }

    async fn listing(&self, _name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError> {
        unreachable!("the console shows no listing")
    }

    async fn change(&self, _change: &RepositoryChange) -> Result<Changed, StoreError> {
        unreachable!("the console writes nothing")
    }
}

#[async_trait]
impl DeadLetters for FakeStore {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError> {
        self.check("letters")?;
        self.questions.lock().unwrap().push(query.clone());
        let dead_letters = self.dead_letters.lock().unwrap();
        let heads = dead_letters
            .iter()
            .rev()
            .map(|dead_letter| dead_letter.head.clone());
        Ok(heads
            .filter(|head| query.before.is_none_or(|before| head.number < before))
            .take(query.limit as usize)
            .collect())
    }

    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError> {
        self.check("letter_counts")?;
        let mut counts = self.counts.lock().unwrap().clone();
        counts
            .groups
            .retain(|group| query.code.as_ref().is_none_or(|code| group.code == *code));
        Ok(counts)
    }

    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError> {
        self.check("letter")?;
        let dead_letters = self.dead_letters.lock().unwrap();
        Ok(dead_letters
            .iter()
            .find(|dead_letter| dead_letter.head.number == number)
            .cloned())
    }

    async fn requeued_by(&self, _: &Identity, _: u64, _: u32) -> Result<Vec<DeadLetter>, StoreError> {
        unreachable!("the console publishes no dead letter")
    }

    async fn due(&self, _: Timestamp, _: u64, _: u32) -> Result<Vec<DeadLetter>, StoreError> {
        unreachable!("the console publishes no dead letter")
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
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check("ping")
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.check("now")?;
        Ok(Stopped.now())
    }
}

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        "2026-02-03T04:05:06.789Z".parse().unwrap()
    }
}

pub(crate) fn device(hostname: &str, synchronized: bool) -> DeviceView {
    DeviceView {
        id: 1,
        hostname: hostname.parse().unwrap(),
        device_type: DeviceType::Access,
        platform: None,
        state: DeviceState::Managed,
        note: None,
        until: None,
        synchronized,
        unsynchronized_since: None,
        desired_generation: 1,
        synced_generation: 1,
        management_ip: None,
        mac: None,
        serial: None,
        vendor: None,
        model: None,
        os_version: None,
        groups: Vec::new(),
        causes: Vec::new(),
    }
}
