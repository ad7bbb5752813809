//! The rows that a batch adds to the histories of devices.

use jiff::Timestamp;
use lockstep_protocol::{Hostname, Identity, Kind, SmolStr};

use super::{Facts, Origin};
use crate::fleet::OPEN_CAUSES;
use crate::{DeviceEffect, DeviceRow, HistoryChange, HistoryWhat};

/// A row to be added to the history of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHistory {
    /// The name that the device has after the batch.
    pub hostname: Hostname,
    /// Whether the batch creates the device.
    pub is_new_device: bool,
    /// What happened.
    pub what: HistoryWhat,
    /// The message.
    pub identity: Identity,
    /// The type of the message.
    pub kind: Kind,
    /// The authenticated sender of the message.
    pub actor: Option<SmolStr>,
    /// When the message was applied.
    pub at: Timestamp,
    /// The note of the operator who sent it.
    pub note: Option<String>,
    /// What changed.
    pub change: HistoryChange,
    /// The desired generation afterwards.
    pub generation: i64,
    /// Whether the stored open causes of the device were closed.
    pub closes_stored: bool,
    /// The causes of the batch that were closed, as indices into the batch's causes; the newest 32.
    pub closes: Vec<usize>,
}

impl NewHistory {
    /// What an effect adds to the history of a device, if anything. `row` is the device before the effect; `None` if there is none.
    fn of(
        effect: &DeviceEffect,
        row: Option<&DeviceRow>,
        from: &Origin<'_>,
        note: Option<&str>,
    ) -> Option<Self> {
        let text = |text: &str| Some(text.to_owned());
        let unchanged = HistoryChange::default;
        let is_unsynchronized = || row.is_some_and(|row| !row.sync.synchronized());
        let (what, change, note) = match effect {
            DeviceEffect::Create { state, .. } => {
                let change = HistoryChange {
                    to: text(state.as_str()),
                    ..unchanged()
                };
                (HistoryWhat::Created, change, note)
            }
            DeviceEffect::Move { state, note: own, .. } => {
                let before = row?.lifecycle.state;
                if before == *state {
                    return None;
                }
                let change = HistoryChange {
                    from: text(before.as_str()),
                    to: text(state.as_str()),
                    execution: None,
                };
                (HistoryWhat::Moved, change, own.as_deref().or(note))
            }
            DeviceEffect::Rename { hostname, to, .. } => {
                let change = HistoryChange {
                    from: text(hostname.as_str()),
                    to: text(to.as_str()),
                    execution: None,
                };
                (HistoryWhat::Renamed, change, note)
            }
            DeviceEffect::SynchronizeTo {
                generation,
                execution,
                ..
            } if is_unsynchronized() && row.is_some_and(|row| *generation >= row.sync.desired) => {
                let change = HistoryChange {
                    execution: Some(*execution),
                    ..unchanged()
                };
                (HistoryWhat::Synchronized, change, note)
            }
            DeviceEffect::Synchronize { .. } if is_unsynchronized() => {
                (HistoryWhat::Synchronized, unchanged(), note)
            }
            DeviceEffect::ForgetCauses { .. } if is_unsynchronized() => {
                (HistoryWhat::CausesClosed, unchanged(), note)
            }
            DeviceEffect::Synchronize { .. }
            | DeviceEffect::ForgetCauses { .. }
            | DeviceEffect::SynchronizeTo { .. }
            | DeviceEffect::CheckConfiguration { .. }
            | DeviceEffect::AcceptConfiguration { .. }
            | DeviceEffect::ForgetConfiguration { .. }
            | DeviceEffect::Describe { .. }
            | DeviceEffect::Join { .. }
            | DeviceEffect::JoinByRule { .. }
            | DeviceEffect::SetData { .. }
            | DeviceEffect::Unsynchronize { .. }
            | DeviceEffect::Remove { .. } => return None,
        };
        let is_created = what == HistoryWhat::Created;
        if row.is_none() && !is_created {
            return None;
        }
        let closes = matches!(what, HistoryWhat::Synchronized | HistoryWhat::CausesClosed);
        let open = row.filter(|_| closes);
        let new: &[usize] = open.map_or(&[], |row| &row.causes);
        Some(Self {
            hostname: effect.hostname().clone(),
            is_new_device: is_created || row.is_some_and(|row| row.id.is_none()),
            what,
            identity: from.identity.clone(),
            kind: from.kind,
            actor: from.actor.map(SmolStr::from),
            at: from.at,
            note: note.map(str::to_owned),
            change,
            generation: row.map_or(1, |row| row.sync.desired),
            closes_stored: open.is_some_and(|row| row.id.is_some() && !row.forgets_causes),
            closes: new[new.len().saturating_sub(OPEN_CAUSES)..].to_vec(),
        })
    }
}

impl Facts {
    /// Rows to be added to histories, in their order.
    pub fn new_history(&self) -> &[NewHistory] {
        &self.history
    }

    /// Adds what an effect means for the history. Call it before the effect is applied.
    pub(super) fn add_history(&mut self, effect: &DeviceEffect, from: &Origin<'_>, note: Option<&str>) {
        let row = self.devices.get(effect.hostname());
        self.history.extend(NewHistory::of(effect, row, from, note));
        match effect {
            // Rows are written when the device has its new name.
            DeviceEffect::Rename { hostname, to, .. } => {
                for row in self.history.iter_mut().filter(|row| row.hostname == *hostname) {
                    row.hostname = to.clone();
                }
            }
            DeviceEffect::Remove { hostname, .. } => self.history.retain(|row| row.hostname != *hostname),
            _ => {}
        }
    }
}
