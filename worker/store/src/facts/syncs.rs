//! What runs of syncs found out, and the elements that are still run by them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_protocol::Hostname;

use super::Facts;
use crate::{DeviceEffect, RunningElement};

/// The part of the facts that is about syncs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SyncFacts {
    running: BTreeSet<RunningElement>,
    checks: BTreeMap<Hostname, SyncCheck>,
    rebound: BTreeMap<u64, i64>,
}

/// What a batch writes about the configuration of a device, beside its flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SyncCheck {
    /// When it was compared with the intended one. `None` leaves it unchanged.
    pub(crate) at: Option<Timestamp>,
    /// What changes from outside are measured against.
    pub(crate) baseline: Baseline,
}

/// What changes of a configuration from outside are measured against from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// The same as before.
    #[default]
    Same,
    /// The running configuration with this hash.
    Hash(String),
    /// Nothing, until the next sync.
    Nothing,
}

impl Facts {
    /// Adds an attempt that runs its element until the end of the transaction.
    pub(crate) fn add_running(&mut self, run: RunningElement) {
        self.syncs.running.insert(run);
    }

    /// Whether the attempt ran its element when the transaction began. It does until the transaction ends.
    pub fn is_running(&self, run: &RunningElement) -> bool {
        self.syncs.running.contains(run)
    }

    /// The element of a sync is about this generation of its device: the cause that made it newer says only what the run itself found.
    pub fn rebind(&mut self, element: u64, generation: i64) {
        self.syncs.rebound.insert(element, generation);
    }

    /// The elements that are about other generations than before.
    pub(crate) fn rebound(&self) -> &BTreeMap<u64, i64> {
        &self.syncs.rebound
    }

    /// What was found out about configurations.
    pub(crate) fn checks(&self) -> impl Iterator<Item = (&Hostname, &SyncCheck)> {
        self.syncs.checks.iter()
    }

    /// Whether the batch writes what runs found out.
    pub(crate) fn change_syncs(&self) -> bool {
        !(self.syncs.checks.is_empty() && self.syncs.rebound.is_empty())
    }

    /// Adds what an effect says about the configuration of a device.
    pub(super) fn check(&mut self, effect: &DeviceEffect, at: Timestamp) {
        let (checked, baseline) = match effect {
            DeviceEffect::SynchronizeTo {
                configuration_hash, ..
            }
            | DeviceEffect::AcceptConfiguration {
                configuration_hash, ..
            } => (Some(at), Baseline::Hash(configuration_hash.clone())),
            DeviceEffect::CheckConfiguration { .. } => (Some(at), Baseline::Same),
            DeviceEffect::ForgetConfiguration { .. } => (None, Baseline::Nothing),
            _ => return,
        };
        let check = self.syncs.checks.entry(effect.hostname().clone()).or_default();
        check.at = checked.or(check.at);
        if baseline != Baseline::Same {
            check.baseline = baseline;
        }
    }
}
