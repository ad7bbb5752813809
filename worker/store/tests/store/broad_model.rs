//! Random events, names and changes of the fleet on PostgreSQL and on SQLite, which writes each cause to each device: devices, results and
//! numbers are the same after each step.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lockstep_protocol::{DeviceState, DeviceType, Hostname, Kind};
use lockstep_store::{
    Attributes, CauseRow, DeviceEffect, DeviceQuery, DeviceSelector, DevicesInState, Effects, Flagged, Keys,
    Lease, Origin, Records, SyncState,
};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use crate::contract::broad_causes::hours;
use crate::contract::device_names::rename;
use crate::contract::leases::{LONG, acquire};
use crate::contract::removed_devices::remove;
use crate::contract::repositories::{flag, flags};
use crate::contract::{Place, causes, devices, hostname, keys, message, row, unsynchronize};

const STEPS: usize = 300;
const DEVICES: usize = 12;
const TYPES: [DeviceType; 3] = [DeviceType::ACCESS, DeviceType::DIST, DeviceType::CORE];
const PLATFORMS: [&str; 2] = ["eos", "junos"];

/// What happens at this time.
#[derive(Clone, Debug)]
enum Step {
    Batch(Timestamp, Vec<DeviceEffect>),
    Change(Timestamp, DeviceSelector),
    Retention(Timestamp),
}

/// What is visible of a device: its flag, its causes, and both as handlers see them.
#[derive(Debug, PartialEq)]
struct Seen {
    hostname: Hostname,
    sync: SyncState,
    causes: Vec<CauseRow>,
    in_facts: (Option<SyncState>, Vec<CauseRow>),
}

struct Model {
    random: StdRng,
    existing: Vec<Hostname>,
    /// How many names devices had so far.
    names: usize,
}

impl Model {
    fn time(&mut self) -> Timestamp {
        hours(self.random.random_range(0..500))
    }

    fn attributes(&mut self) -> Attributes {
        let device_type = TYPES.choose(&mut self.random).cloned().expect("there are types");
        let platform = PLATFORMS.choose(&mut self.random);
        Attributes {
            platform: platform
                .filter(|_| self.random.random_bool(0.8))
                .map(|name| (*name).to_owned()),
            ..Attributes::of(device_type)
        }
    }

    fn some(&mut self, most: usize) -> Vec<Hostname> {
        let count = self.random.random_range(0..=most);
        self.existing.iter().cloned().sample(&mut self.random, count)
    }

    fn step(&mut self) -> Step {
        let at = self.time();
        match self.random.random_range(0..20) {
            0..11 => Step::Change(at, self.selector()),
            11 => Step::Retention(at),
            _ => Step::Batch(at, self.effects()),
        }
    }

    fn selector(&mut self) -> DeviceSelector {
        let mut selector = DeviceSelector::default();
        let chance = 0.35;
        if self.random.random_bool(0.6) {
            selector
                .device_types
                .extend(TYPES.choose(&mut self.random).cloned());
        }
        if self.random.random_bool(chance) {
            let platform = *PLATFORMS.choose(&mut self.random).expect("there are platforms");
            let device_type = TYPES.choose(&mut self.random).cloned().expect("there are types");
            selector.platforms.insert((device_type, platform.to_owned()));
        }
        if self.random.random_bool(chance) {
            let platform = PLATFORMS.choose(&mut self.random).expect("there are platforms");
            selector.whole_platforms.insert((*platform).to_owned());
        }
        if self.random.random_bool(chance) {
            selector.hostnames.extend(self.some(3));
            selector.hostnames.insert(hostname("unknown"));
        }
        if self.random.random_bool(chance) {
            let chosen = self.some(3);
            selector.predicate = Some(Arc::new(move |name| chosen.contains(name)));
        }
        selector
    }

    fn name(&mut self) -> Hostname {
        self.names += 1;
        hostname(&format!("sw{}", self.names))
    }

    /// With this probability, a name that its device loses.
    fn leaving(&mut self, probability: f64) -> Option<Hostname> {
        if self.existing.is_empty() || !self.random.random_bool(probability) {
            return None;
        }
        let index = self.random.random_range(0..self.existing.len());
        Some(self.existing.swap_remove(index))
    }

    fn effects(&mut self) -> Vec<DeviceEffect> {
        let mut effects = Vec::new();
        if let Some(former) = self.leaving(0.3) {
            let to = self.name();
            effects.push(rename(former.as_str(), to.as_str(), "1"));
            self.existing.push(to);
        }
        if let Some(former) = self.leaving(0.1) {
            effects.push(remove(former.as_str(), "1"));
        }
        if self.existing.len() < DEVICES && self.random.random_bool(0.4) {
            let new = self.name();
            effects.push(DeviceEffect::Create {
                hostname: new.clone(),
                attributes: self.attributes(),
                state: DeviceState::Managed,
                version: None,
            });
            self.existing.push(new);
        }
        for hostname in self.some(3) {
            for _ in 0..self.random.random_range(1..=2) {
                let hostname = hostname.clone();
                effects.push(match self.random.random_range(0..8) {
                    0 => DeviceEffect::Synchronize { hostname },
                    1 => DeviceEffect::ForgetCauses { hostname },
                    2 => DeviceEffect::Describe {
                        hostname,
                        attributes: self.attributes(),
                    },
                    3 | 4 => DeviceEffect::Move {
                        hostname,
                        state: if self.random.random_bool(0.5) {
                            DeviceState::Managed
                        } else {
                            DeviceState::Unmanaged
                        },
                        note: None,
                        until: None,
                        version: None,
                    },
                    _ => unsynchronize(hostname.as_str()),
                });
            }
        }
        effects
    }
}

/// Takes a step on one store, and returns the result of a change.
async fn take(place: &Place, lease: &Lease, id: &str, revision: i64, step: &Step) -> Result<Flagged> {
    match step {
        Step::Batch(at, effects) => {
            let names = effects.iter().flat_map(|effect| {
                let to = match effect {
                    DeviceEffect::Rename { to, .. } => Some(to.as_str()),
                    _ => None,
                };
                to.into_iter().chain([effect.hostname().as_str()])
            });
            let asked = keys(id, names);
            let (mut facts, transaction) = place.store.begin(&[], &asked).await?;
            let identity = message(id);
            let from = Origin {
                identity: &identity,
                kind: Kind::InterfaceUpdated,
                actor: Some("netbox"),
                at: *at,
                reply: None,
            };
            let effects: Effects = devices(effects.iter().cloned());
            facts.absorb(effects, &from);
            facts.record(row(identity));
            transaction.commit(&facts).await?;
        }
        Step::Change(at, selector) => {
            let mut refresh = flags(lease, revision, id, selector.clone());
            if let Some((cause, _)) = &mut refresh.flags {
                cause.at = *at;
            }
            return flag(&*place.store, refresh).await;
        }
        Step::Retention(before) => {
            let open = Records::Causes(Arc::new(place.store.open_causes().await?));
            place.store.expire(&open, *before, 0, 1000).await?;
        }
    }
    Ok(Flagged::default())
}

async fn seen(place: &Place) -> Result<(Vec<Seen>, Vec<DevicesInState>)> {
    let all = DeviceQuery {
        limit: 100,
        ..DeviceQuery::default()
    };
    let found = place.store.devices(&all).await?;
    let asked = Keys {
        hostnames: found.iter().map(|device| device.hostname.clone()).collect(),
        causes_of: found.iter().map(|device| device.hostname.clone()).collect(),
        ..Keys::default()
    };
    let (facts, transaction) = place.other.begin(&[], &asked).await?;
    drop(transaction);
    let mut devices = Vec::new();
    for device in found {
        let known = facts.device(&device.hostname).map(|row| row.sync);
        devices.push(Seen {
            sync: device.sync,
            causes: causes(place, &device).await?,
            in_facts: (known, facts.open_causes(&device.hostname)),
            hostname: device.hostname,
        });
    }
    let summary = place.store.summary().await?;
    Ok((devices, summary.devices))
}

#[tokio::test]
async fn random_events_and_changes_are_the_same_on_both_databases() -> Result<()> {
    // To repeat a failure, put its seed here.
    let seed: u64 = rand::random();
    let mut model = Model {
        random: StdRng::seed_from_u64(seed),
        existing: Vec::new(),
        names: 0,
    };
    let (postgres, sqlite) = (crate::postgres::open().await?, crate::sqlite::open().await?);
    let leases = [acquire(&postgres, LONG).await?, acquire(&sqlite, LONG).await?];
    let mut revision = 0;
    for number in 0..STEPS {
        let step = model.step();
        let context = || format!("seed {seed}, step {number}: {step:?}");
        let id = number.to_string();
        let one = take(&postgres, &leases[0], &id, revision, &step).await;
        let other = take(&sqlite, &leases[1], &id, revision, &step).await;
        let (one, other) = (one.with_context(context)?, other.with_context(context)?);
        ensure!(one == other, "{}: {one:?}, not {other:?}", context());
        revision += i64::from(matches!(step, Step::Change(..)));
        let (one, other) = (seen(&postgres).await?, seen(&sqlite).await?);
        ensure!(one.0.len() == other.0.len(), "{}", context());
        for (one, other) in one.0.iter().zip(&other.0) {
            ensure!(one == other, "{}: {one:?}, not {other:?}", context());
        }
        ensure!(one.1 == other.1, "{}: {:?}, not {:?}", context(), one.1, other.1);
        for device in &one.0 {
            let known = (Some(device.sync), device.causes.clone());
            ensure!(device.in_facts == known, "{}: {device:?}", context());
        }
        // PostgreSQL also keeps causes of a device that broad ones have pushed off its list.
        let (one, other) = (
            postgres.store.open_causes().await?,
            sqlite.store.open_causes().await?,
        );
        ensure!(one.len() >= other.len(), "{}: {one:?}, not {other:?}", context());
    }
    Ok(())
}
