//! `lockstep.device.provisioned`: a device came up by ZTP (`design.md` §6). It becomes MANAGED and unsynchronized; for
//! every neighbour pair without a link one is made, and both its ends are flagged.

use std::collections::BTreeSet;

use lockstep_protocol::events::{DeviceProvisioned, ProvisionedNeighbor};
use lockstep_protocol::results::Scope;
use lockstep_protocol::{Cause, Code, DeviceState, Hostname};

use super::device_state::move_effects;
use super::{Decision, Rejection, Verdict};
use crate::store::{Attributes, DeviceEffect, Effects, Facts, Keys, Link, LinkEnd, Stamp};

pub(super) fn keys(event: &DeviceProvisioned) -> Keys {
    let neighbors = event
        .neighbors
        .iter()
        .map(|neighbor| neighbor.neighbor_hostname.clone());
    Keys {
        hostnames: neighbors.chain([event.hostname.clone()]).collect(),
        macs: event.mac.iter().cloned().collect(),
        serials: event.serial.iter().cloned().collect(),
        links_of: [event.hostname.clone()].into(),
        ..Keys::default()
    }
}

pub(super) fn decide(event: &DeviceProvisioned, stamp: &Stamp, facts: &Facts) -> Result<Decision, Rejection> {
    refuse_conflicts(event, facts)?;
    let mut effects = Effects {
        devices: appear(event, stamp, facts),
        ..Effects::default()
    };
    let mut flagged = BTreeSet::from([event.hostname.clone()]);
    let mut unknown = BTreeSet::new();

    for neighbor in &event.neighbors {
        let hostname = &neighbor.neighbor_hostname;
        if facts.device(hostname).is_none() {
            unknown.insert(hostname.clone());
            continue;
        }
        let link = link(event, neighbor);
        if facts.has_link(&link) || effects.links.contains(&link) {
            continue;
        }
        effects.links.push(link);
        if flagged.insert(hostname.clone()) {
            effects
                .devices
                .push(unsynchronize(hostname, Cause::LinknetCreated));
        }
    }
    if !effects.links.is_empty() {
        effects
            .devices
            .push(unsynchronize(&event.hostname, Cause::LinknetCreated));
    }
    let verdict = Verdict {
        unknown_hostnames: unknown,
        ..Verdict::applied(Scope::Devices, flagged)
    };
    Ok(Decision { effects, verdict })
}

/// The device itself: made, or described anew; managed, and in need of its first configuration.
fn appear(event: &DeviceProvisioned, stamp: &Stamp, facts: &Facts) -> Vec<DeviceEffect> {
    let hostname = event.hostname.clone();
    let mut effects = match facts.device(&hostname) {
        None => vec![DeviceEffect::Create {
            hostname: hostname.clone(),
            attributes: describe(event, Attributes::of(event.device_type)),
            state: DeviceState::Managed,
            stamp: Some(stamp.clone()),
        }],
        Some(row) => {
            let attributes = describe(event, row.attributes.clone());
            let mut effects = vec![DeviceEffect::Describe {
                hostname: hostname.clone(),
                attributes,
            }];
            effects.extend(move_effects(row, DeviceState::Managed, stamp));
            effects
        }
    };
    effects.push(unsynchronize(&hostname, Cause::DeviceInit));
    effects
}

/// What the event says, on top of what was known.
fn describe(event: &DeviceProvisioned, known: Attributes) -> Attributes {
    Attributes {
        device_type: event.device_type,
        platform: Some(event.platform.clone()),
        management_ip: event.management_ip.or(known.management_ip),
        mac: event.mac.clone().or(known.mac),
        serial: event.serial.clone().or(known.serial),
        ..known
    }
}

fn refuse_conflicts(event: &DeviceProvisioned, facts: &Facts) -> Result<(), Rejection> {
    let is_other = |owner: &&Hostname| **owner != event.hostname;
    if let Some(owner) = event
        .mac
        .as_ref()
        .and_then(|mac| facts.owner_of_mac(mac))
        .filter(is_other)
    {
        let reason =
            format!("the MAC address belongs to {owner} already; rename or remove that device first");
        return Err(Rejection::new(Code::IdentityConflict, "$.data.mac", reason));
    }
    if let Some(owner) = event
        .serial
        .as_ref()
        .and_then(|serial| facts.owner_of_serial(serial))
        .filter(is_other)
    {
        let reason =
            format!("the serial number belongs to {owner} already; rename or remove that device first");
        return Err(Rejection::new(Code::IdentityConflict, "$.data.serial", reason));
    }
    if let Some(index) = event
        .neighbors
        .iter()
        .position(|neighbor| neighbor.neighbor_hostname == event.hostname)
    {
        let place = format!("$.data.neighbors[{index}].neighbor_hostname");
        return Err(Rejection::new(
            Code::InvalidData,
            place,
            "a device is no neighbour of itself",
        ));
    }
    Ok(())
}

fn link(event: &DeviceProvisioned, neighbor: &ProvisionedNeighbor) -> Link {
    let here = LinkEnd {
        hostname: event.hostname.clone(),
        interface: neighbor.interface.clone(),
    };
    let there = LinkEnd {
        hostname: neighbor.neighbor_hostname.clone(),
        interface: neighbor.neighbor_interface.clone(),
    };
    Link::between(here, there)
}

fn unsynchronize(hostname: &Hostname, cause: Cause) -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: hostname.clone(),
        cause,
    }
}
