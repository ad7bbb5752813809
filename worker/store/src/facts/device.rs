//! What effects do to the row of a device.

use jiff::Timestamp;
use lockstep_protocol::{DeviceState, Hostname};

use super::Origin;
use crate::{Attributes, DeviceEffect, DeviceRow, Lifecycle, Mark, Version};

impl DeviceEffect {
    /// The name of the device that changes.
    pub fn hostname(&self) -> &Hostname {
        match self {
            Self::Create { hostname, .. }
            | Self::Describe { hostname, .. }
            | Self::Move { hostname, .. }
            | Self::Join { hostname, .. }
            | Self::JoinByRule { hostname, .. }
            | Self::SetData { hostname, .. }
            | Self::Unsynchronize { hostname, .. }
            | Self::ForgetCauses { hostname }
            | Self::SynchronizeTo { hostname, .. }
            | Self::CheckConfiguration { hostname }
            | Self::AcceptConfiguration { hostname, .. }
            | Self::ForgetConfiguration { hostname }
            | Self::Rename { hostname, .. }
            | Self::Remove { hostname, .. }
            | Self::Synchronize { hostname } => hostname,
        }
    }
}

impl DeviceRow {
    pub(super) fn describe(&mut self, attributes: Attributes) {
        self.attributes = attributes;
        self.described = true;
    }

    /// The time for the alarm restarts when a device returns to MANAGED (`docs/reference/sync-rules.md`).
    pub(super) fn r#move(
        &mut self,
        state: DeviceState,
        note: Option<String>,
        until: Option<Timestamp>,
        version: Option<Version>,
        at: Timestamp,
    ) {
        let returns = state == DeviceState::Managed && self.lifecycle.state != DeviceState::Managed;
        if returns && !self.sync.synchronized() {
            self.sync.since = Some(at);
            self.flagged = true;
        }
        // `None` is the smallest: the newest version counts, also if this message has none.
        let version = version.max(self.lifecycle.version.take());
        let since = if state == self.lifecycle.state {
            self.lifecycle.since
        } else {
            Some(at)
        };
        self.lifecycle = Lifecycle {
            state,
            note,
            until,
            version,
            since,
        };
        self.described = true;
    }

    pub(super) fn unsynchronize(&mut self, cause: Option<usize>, at: Timestamp) {
        self.sync.desired += 1;
        // A time ahead of the store's clock, of a worker with a wrong one, is corrected by the next cause.
        self.sync.since = Some(self.sync.since.map_or(at, |since| since.min(at)));
        // Two equal effects of one message have one cause.
        if self.causes.last() != cause.as_ref() {
            self.causes.extend(cause);
        }
        self.flagged = true;
    }

    pub(super) fn forget_causes(&mut self) {
        self.causes.clear();
        self.forgets_causes = true;
        self.flagged = true;
    }

    /// Raises the generation that the device has, to the desired one at most.
    pub(super) fn synchronize_to(&mut self, generation: i64) {
        self.sync.synced = self.sync.synced.max(generation.min(self.sync.desired));
        if self.sync.synchronized() {
            self.sync.since = None;
            self.forget_causes();
        }
        self.flagged = true;
    }

    pub(super) fn synchronize(&mut self, from: &Origin<'_>, note: Option<&str>) {
        self.sync.synced = self.sync.desired;
        self.sync.since = None;
        self.forget_causes();
        self.marked = Some(Mark {
            at: from.at,
            by: from.actor.map(str::to_owned),
            note: note.map(str::to_owned),
        });
        self.described = true;
    }
}
