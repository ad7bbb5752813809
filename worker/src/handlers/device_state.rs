//! `lockstep.device.state-changed` and `lockstep.device.state-requested`: moving a device through its life.
//!
//! Moving to UNMANAGED makes a device unsynchronized, whatever it was before; coming back does not make it synchronized
//! (`reference/cnaas.md` §2a, row 16). An event that is older than the last one applied never writes its state, but it
//! still flags: in the order in which things happened it would have.

use lockstep_protocol::commands::DeviceStateRequested;
use lockstep_protocol::events::DeviceStateChanged;
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, DeviceState, Hostname};

use super::{Decision, Rejection, Verdict};
use crate::store::{DeviceEffect, DeviceRow, Effects, Facts, Keys, Stamp};

pub(super) fn keys(hostname: &Hostname) -> Keys {
    Keys {
        hostnames: [hostname.clone()].into(),
        ..Keys::default()
    }
}

/// An event: the device is in another state already.
pub(super) fn changed(
    event: &DeviceStateChanged,
    stamp: &Stamp,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    let row = known(&event.hostname, facts)?;
    let effects = move_effects(row, event.state, stamp);
    let ignored = if is_older(row, stamp) {
        Some(IgnoredReason::Older)
    } else if row.lifecycle.state == event.state {
        Some(IgnoredReason::Unchanged)
    } else {
        None
    };
    // An older event that flags was applied, though its state was not written.
    let flags = effects
        .iter()
        .any(|effect| matches!(effect, DeviceEffect::Unsynchronize { .. }));
    let verdict = match ignored {
        Some(reason) if !flags => Verdict::ignored(reason, event.hostname.clone()),
        _ => Verdict::applied(Scope::Device, [event.hostname.clone()]),
    };
    Ok(Decision {
        effects: Effects {
            devices: effects,
            ..Effects::default()
        },
        verdict,
    })
}

/// A command: an operator wants the device in another state, with a note for whoever looks next.
pub(super) fn requested(
    command: &DeviceStateRequested,
    stamp: &Stamp,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    let row = known(&command.hostname, facts)?;
    let lifecycle = &row.lifecycle;
    let same_words = lifecycle.note == command.note && lifecycle.until == command.until;
    if lifecycle.state == command.state && same_words {
        let verdict = Verdict::ignored(IgnoredReason::Unchanged, command.hostname.clone());
        return Ok(Decision {
            effects: Effects::default(),
            verdict,
        });
    }
    let mut effects = leave_effects(row, command.state);
    effects.push(DeviceEffect::Move {
        hostname: command.hostname.clone(),
        state: command.state,
        note: command.note.clone(),
        until: command.until,
        stamp: Some(stamp.clone()),
    });
    let verdict = Verdict::applied(Scope::Device, [command.hostname.clone()]);
    Ok(Decision {
        effects: Effects {
            devices: effects,
            ..Effects::default()
        },
        verdict,
    })
}

/// What an event that carries a state does to a device that is there.
pub(super) fn move_effects(row: &DeviceRow, state: DeviceState, stamp: &Stamp) -> Vec<DeviceEffect> {
    if is_older(row, stamp) {
        let flags = state == DeviceState::Unmanaged && row.lifecycle.state != DeviceState::Unmanaged;
        return if flags {
            vec![unsynchronize(row)]
        } else {
            Vec::new()
        };
    }
    let mut effects = leave_effects(row, state);
    let moves = row.lifecycle.state != state;
    effects.push(DeviceEffect::Move {
        hostname: row.hostname.clone(),
        state,
        // A note is about the state it was written for.
        note: row.lifecycle.note.clone().filter(|_| !moves),
        until: row.lifecycle.until.filter(|_| !moves),
        stamp: Some(stamp.clone()),
    });
    effects
}

/// What leaving for UNMANAGED does to the flag: the causes so far are closed, and this one opens.
fn leave_effects(row: &DeviceRow, state: DeviceState) -> Vec<DeviceEffect> {
    let leaves = state == DeviceState::Unmanaged && row.lifecycle.state != DeviceState::Unmanaged;
    if !leaves {
        return Vec::new();
    }
    vec![
        DeviceEffect::ForgetCauses {
            hostname: row.hostname.clone(),
        },
        unsynchronize(row),
    ]
}

fn unsynchronize(row: &DeviceRow) -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: row.hostname.clone(),
        cause: Cause::WasUnmanaged,
    }
}

fn is_older(row: &DeviceRow, stamp: &Stamp) -> bool {
    row.lifecycle.stamp.as_ref().is_some_and(|last| last >= stamp)
}

fn known<'a>(hostname: &Hostname, facts: &'a Facts) -> Result<&'a DeviceRow, Rejection> {
    facts
        .device(hostname)
        .ok_or_else(|| Rejection::unknown_device(hostname, "$.data.hostname"))
}
