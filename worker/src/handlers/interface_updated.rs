//! `lockstep.interface.updated`: configuration flags the device, status does not (`reference/cnaas.md` §8).

use lockstep_protocol::Cause;
use lockstep_protocol::events::{InterfaceUpdated, UpdateKind};
use lockstep_protocol::results::{IgnoredReason, Scope};

use super::{Decision, Rejection, Verdict};
use crate::store::{DeviceEffect, Effects, Facts, InterfaceRow, Keys};

pub(super) fn keys(event: &InterfaceUpdated) -> Keys {
    Keys {
        hostnames: [event.hostname.clone()].into(),
        ..Keys::default()
    }
}

pub(super) fn decide(event: &InterfaceUpdated, facts: &Facts) -> Result<Decision, Rejection> {
    let hostname = &event.hostname;
    if facts.device(hostname).is_none() {
        return Err(Rejection::unknown_device(hostname, "$.data.hostname"));
    }
    if event.kind == UpdateKind::Status {
        let verdict = Verdict::ignored(IgnoredReason::StatusOnly, hostname.clone());
        return Ok(Decision {
            effects: Effects::default(),
            verdict,
        });
    }
    let interfaces = event
        .interfaces
        .iter()
        .filter(|interface| interface.configuration.is_some());
    let effects = Effects {
        devices: vec![DeviceEffect::Unsynchronize {
            hostname: hostname.clone(),
            cause: Cause::InterfaceUpdated,
        }],
        interfaces: interfaces
            .map(|interface| InterfaceRow {
                hostname: hostname.clone(),
                name: interface.name.clone(),
                configuration: interface.configuration.clone(),
            })
            .collect(),
        ..Effects::default()
    };
    Ok(Decision {
        effects,
        verdict: Verdict::applied(Scope::Device, [hostname.clone()]),
    })
}
