//! `lockstep.device.renamed` and `lockstep.device.rename-requested`: a device gets another hostname. It is flagged itself, with its
//! neighbours by links and the devices whose interface configuration names it as `neighbor`, as in CNaaS NMS 1.8
//! (`docs/reference/sync-rules.md`).
//!
//! Later events may still name the device by its old hostname. An event that is older than another rename of the device does not
//! rename it, and still flags.

use std::collections::BTreeSet;

use lockstep_protocol::commands::DeviceRenameRequested;
use lockstep_protocol::events::DeviceRenamed;
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, Code, Hostname};
use lockstep_store::{DeviceEffect, DeviceRow, Effects, Facts, Keys, Version};

use super::device_state::known;
use super::event_device::device_of_event;
use super::flagged::Flagged;
use super::{Decision, Handler, HandlerContext, Rejection, neighbors};

impl Handler for DeviceRenamed {
    fn keys(&self, keys: &mut Keys) {
        keys.add_device_of_event(&self.hostname);
        add_concerned(&self.hostname, &self.new_hostname, keys);
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        renamed(self, &context.version(), facts)
    }
}

impl Handler for DeviceRenameRequested {
    fn keys(&self, keys: &mut Keys) {
        keys.hostnames.insert(self.hostname.clone());
        add_concerned(&self.hostname, &self.new_hostname, keys);
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        let row = known(&self.hostname, facts)?;
        if row.hostname == self.new_hostname {
            return Ok(Decision::ignored(IgnoredReason::Unchanged, self.hostname.clone()));
        }
        let named = Named {
            before: &self.hostname,
            after: &self.new_hostname,
        };
        let mut decision = rename(&named, row, &context.version(), facts)?;
        decision.effects.note.clone_from(&self.note);
        Ok(decision)
    }
}

fn add_concerned(hostname: &Hostname, new_hostname: &Hostname, keys: &mut Keys) {
    keys.hostnames.insert(new_hostname.clone());
    keys.links_of.insert(hostname.clone());
    keys.neighbors_of.insert(hostname.clone());
}

/// The names in the message. The device may have another one by now.
struct Named<'a> {
    before: &'a Hostname,
    after: &'a Hostname,
}

/// The event: the device already has the name.
fn renamed(event: &DeviceRenamed, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    let Some(row) = device_of_event(&event.hostname, version, facts, "$.data.hostname")? else {
        return Ok(of_removed_device(&event.hostname, facts));
    };
    let named = Named {
        before: &event.hostname,
        after: &event.new_hostname,
    };
    let last = last_rename(&named, row, facts);
    if last == Some(version) || row.hostname == event.new_hostname {
        return Ok(Decision::ignored(IgnoredReason::Unchanged, row.hostname.clone()));
    }
    if last.is_some_and(|last| last > version) {
        let flagged = flagged(&named, &row.hostname, row, facts);
        let effects = Effects {
            devices: flagged.effects,
            ..Effects::default()
        };
        return Ok(Decision::applied(effects, Scope::Devices, flagged.devices));
    }
    rename(&named, row, version, facts)
}

/// The device was removed after it was renamed. Its neighbours by links are flagged for the removal, those by configuration are not.
fn of_removed_device(hostname: &Hostname, facts: &Facts) -> Decision {
    let mut flagged = Flagged::default();
    flagged.flag_all(
        facts.neighbors_by_configuration(hostname),
        Cause::NeighborNameChange,
    );
    if flagged.devices.is_empty() {
        return Decision::ignored(IgnoredReason::Older, hostname.clone());
    }
    let effects = Effects {
        devices: flagged.effects,
        ..Effects::default()
    };
    Decision::applied(effects, Scope::Devices, flagged.devices)
}

/// The newest rename of the device that the facts tell by either name.
fn last_rename<'a>(named: &Named<'_>, row: &DeviceRow, facts: &'a Facts) -> Option<&'a Version> {
    let former = [named.before, named.after]
        .into_iter()
        .filter_map(|name| facts.former_hostname(name));
    let of_device = former.filter(|former| former.current.as_ref() == Some(&row.hostname));
    of_device.map(|former| &former.version).max()
}

fn rename(
    named: &Named<'_>,
    row: &DeviceRow,
    version: &Version,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    let to = named.after;
    let taken = facts
        .device(to)
        .map(|other| &other.hostname)
        .or_else(|| facts.spelling_of(to));
    // Another spelling of its own name is free.
    if let Some(other) = taken.filter(|other| **other != row.hostname) {
        let reason = format!(
            "{} cannot be renamed to {to}, because {other} exists; rename or remove {other} first, or choose another name",
            row.hostname
        );
        return Err(Rejection::new(Code::DeviceExists, "$.data.new_hostname", reason));
    }
    let Flagged { effects, devices } = flagged(named, to, row, facts);
    let rename = DeviceEffect::Rename {
        hostname: row.hostname.clone(),
        to: to.clone(),
        version: version.clone(),
    };
    let effects = Effects {
        devices: [rename].into_iter().chain(effects).collect(),
        ..Effects::default()
    };
    Ok(Decision::applied(effects, Scope::Devices, devices))
}

/// The device, by the name that it has afterwards, and its neighbours.
fn flagged(named: &Named<'_>, name: &Hostname, row: &DeviceRow, facts: &Facts) -> Flagged {
    let mut flagged = Flagged::default();
    flagged.flag(name, Cause::DeviceNameChange);
    let linked = neighbors::linked(&row.hostname, facts);
    flagged.flag_all(&linked, Cause::LinknetNeighborNameChange);
    let by_configuration: BTreeSet<&Hostname> = [named.before, &row.hostname]
        .into_iter()
        .flat_map(|name| facts.neighbors_by_configuration(name))
        // A device that names itself.
        .filter(|hostname| **hostname != row.hostname)
        .collect();
    flagged.flag_all(by_configuration, Cause::NeighborNameChange);
    flagged
}

#[cfg(test)]
mod tests;
