//! How long devices have been unsynchronized, in a state, or not compared, and whose state should have ended: what an alarm asks for.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_protocol::rest::AgeOf;
use lockstep_protocol::{DeviceType, GroupName};

use super::{DEFAULT_GROUP, Device};

/// Whose ages are asked for. A device must match all filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeQuery {
    /// The age that is measured.
    pub of: AgeOf,
    /// Only devices of this type.
    pub device_type: Option<DeviceType>,
    /// Only members of this group.
    pub group: Option<GroupName>,
    /// Devices of this age are over the lower threshold.
    pub warning: Duration,
    /// Devices of this age are over the upper threshold.
    pub critical: Duration,
    /// The most devices in each of the lists.
    pub limit: u32,
}

impl AgeQuery {
    /// The group as its column has it. Every device is a member of DEFAULT, of which there are no rows.
    pub(super) fn group_name(&self) -> Option<&str> {
        let group = self.group.as_ref().map(GroupName::as_str);
        group.filter(|name| *name != DEFAULT_GROUP)
    }
}

/// The ages of the devices that match a query, by the store's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ages {
    /// When they were measured.
    pub at: Timestamp,
    /// The devices that match the filters, in any state.
    pub matching: u64,
    /// Those of them in the state that is measured.
    pub in_state: u64,
    /// Those of them that have an age: that are unsynchronized, that are synchronized, or all that are UNMANAGED.
    pub aged: u64,
    /// Those of them at or over the lower threshold, which includes those over the upper one.
    pub over_warning: u64,
    /// Those of them at or over the upper threshold.
    pub over_critical: u64,
    /// The oldest ones, the oldest first.
    pub oldest: Vec<AgedDevice>,
    /// The devices that match the filters, in any state, whose [`until`](super::Lifecycle::until) has passed.
    pub expired: u64,
    /// Those whose `until` passed first.
    pub longest_expired: Vec<AgedDevice>,
}

/// A device with its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgedDevice {
    /// The device.
    pub device: Device,
    /// Since when it is unsynchronized, in its state, or not compared, whichever is measured. Where the state is older than what the store
    /// recorded, the beginning of the records: it is at least as old. `None` for a device of the second list that has no age.
    pub since: Option<Timestamp>,
}

/// The beginning of an age that reaches a threshold; 1970 for a threshold that no age reaches.
pub(super) fn threshold(now: Timestamp, age: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(age)
        .ok()
        .and_then(|age| now.checked_sub(age).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_beyond_all_time_is_reached_by_nobody() {
        let now: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
        let hour = threshold(now, Duration::from_hours(1));
        assert_eq!(hour.to_string(), "2026-02-03T03:05:06Z");
        assert_eq!(threshold(now, Duration::MAX), Timestamp::UNIX_EPOCH);
        assert_eq!(threshold(now, Duration::ZERO), now);
    }
}
