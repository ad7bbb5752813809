//! What messages do to the fleet: a message and the facts it asked for become effects and a result. Nothing here performs
//! input or output, waits, or reads a clock, so every rule is a table in a test.
//!
//! A kind is registered once: by an implementation of [`Handler`], by `run_lane!` beside the runner of its lane, or by the mark
//! `(planned)` in the table of kinds. A kind without a registration does not compile, nor does one with two: a planned kind with
//! a handler.

mod context;
mod decision;
mod processing;
mod rejection;
mod sweep_when_synchronized;

mod dead_letter;
mod device_controller;
mod device_identity;
mod device_mark;
mod device_provisioned;
mod device_removed;
mod device_renamed;
mod device_state;
pub(crate) mod device_type;
mod device_upgraded;
mod event_device;
mod flagged;
mod interface_updated;
mod inventory_imported;
pub(crate) mod limits;
mod linknet_changed;
mod mgmtdomain_changed;
mod neighbors;
mod not_supported;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod rule_tests;

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::{Envelope, Kind};
use lockstep_store::{Facts, Keys};

use crate::groups::RulesInUse;

pub use context::HandlerContext;
pub use decision::{Decision, DraftResult, EventAppliedDraft};
pub(crate) use processing::run_lane;
pub use processing::{Handler, Processable, Processing, processing};
pub use rejection::Rejection;
pub(crate) use sweep_when_synchronized::sweeps;
pub use sweep_when_synchronized::{FollowedCluster, SweepWhenSynchronized};

/// Decides messages. The runtime knows this trait and no kinds. [`FleetHandlers`] is the implementation; tests use others
/// to misbehave.
pub trait Handlers: std::fmt::Debug + Send + Sync + 'static {
    /// Adds what a message asks the store for, besides its inbox row.
    fn keys(&self, envelope: &Envelope, keys: &mut Keys);

    /// Decides what a message does, given the facts it asked for and the time of its receipt.
    ///
    /// # Errors
    /// Why the message can never be processed as it is.
    fn decide(&self, envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection>;
}

/// The rules of Lockstep: every message is decided by the [`Handler`] of its kind.
#[derive(Clone, Debug, Default)]
pub struct FleetHandlers {
    /// The device types of the site.
    pub types: Arc<DeviceTypes>,
    /// The rules of groups that were read last.
    pub groups: Arc<RulesInUse>,
}

impl Handlers for FleetHandlers {
    fn keys(&self, envelope: &Envelope, keys: &mut Keys) {
        if let Some(Processing::Batch(handler)) = processing(&envelope.message) {
            handler.keys(keys);
            keys.group_rules |= changes_hostnames(envelope.message.kind());
        }
    }

    fn decide(&self, envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection> {
        let kind = envelope.message.kind();
        match processing(&envelope.message) {
            Some(Processing::Batch(handler)) => {
                let context = HandlerContext::new(envelope, now, &self.types);
                let mut decision = handler.decide(&context, facts)?;
                self.groups.join(&mut decision.effects, facts);
                Ok(decision)
            }
            Some(Processing::NotSupported) => Err(not_supported::rejection(kind)),
            Some(Processing::Repositories(_) | Processing::Executions(_) | Processing::Element(_)) | None => {
                Err(Rejection::wrong_lane(kind))
            }
        }
    }
}

/// Whether messages of this kind create, rename or remove devices, or write groups: the rules of groups must not change meanwhile, and
/// decide about new hostnames.
fn changes_hostnames(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::DeviceProvisioned
            | Kind::DeviceRemoved
            | Kind::DeviceRemoveRequested
            | Kind::DeviceRenamed
            | Kind::DeviceRenameRequested
            | Kind::InventoryImported
    )
}
