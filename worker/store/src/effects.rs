use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::{Cause, DeviceState, GroupName, Hostname};

use super::{Attributes, ClientRow, FollowUpRequest, GroupRow, InterfaceRow, Link, Version};

/// What one message does. A closed set: the store can write nothing else, so five hundred messages are one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// What happens to devices, in order.
    pub devices: Vec<DeviceEffect>,
    /// Groups to be there.
    pub groups: Vec<GroupRow>,
    /// Interfaces to be there.
    pub interfaces: Vec<InterfaceRow>,
    /// Clients to be there.
    pub clients: Vec<ClientRow>,
    /// Links to be made.
    pub links: Vec<Link>,
    /// Dead letters to be requeued or dropped.
    pub dead_letters: Option<SettleDeadLetters>,
    /// Messages it causes.
    pub follow_ups: Vec<FollowUpRequest>,
}

impl Effects {
    /// Whether messages follow that are published once this is committed.
    pub fn have_follow_ups(&self) -> bool {
        let requeues = |settle: &SettleDeadLetters| {
            settle.action == DeadLetterAction::Requeued && !settle.numbers.is_empty()
        };
        !self.follow_ups.is_empty() || self.dead_letters.as_ref().is_some_and(requeues)
    }
}

/// What happens to dead letters that nobody settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleDeadLetters {
    /// Whether they are requeued or dropped.
    pub action: DeadLetterAction,
    /// Which, in order.
    pub numbers: Vec<u64>,
}

/// What happens to one device.
#[derive(Clone, Debug, PartialEq)]
pub enum DeviceEffect {
    /// It begins to exist.
    Create {
        /// Its name.
        hostname: Hostname,
        /// What it is.
        attributes: Attributes,
        /// Its state.
        state: DeviceState,
        /// The message that said so.
        version: Option<Version>,
    },
    /// It is described anew, as a whole.
    Describe {
        /// The device.
        hostname: Hostname,
        /// What it is.
        attributes: Attributes,
    },
    /// It moves to a state.
    Move {
        /// The device.
        hostname: Hostname,
        /// The state.
        state: DeviceState,
        /// Why.
        note: Option<String>,
        /// Until when.
        until: Option<Timestamp>,
        /// The message that said so.
        version: Option<Version>,
    },
    /// It is a member of exactly these groups, by list.
    Join {
        /// The device.
        hostname: Hostname,
        /// The groups.
        groups: BTreeSet<GroupName>,
    },
    /// It needs a newer configuration than it has.
    Unsynchronize {
        /// The device.
        hostname: Hostname,
        /// Why.
        cause: Cause,
    },
    /// The causes of its flag so far are closed; the flag itself stays.
    ForgetCauses {
        /// The device.
        hostname: Hostname,
    },
    /// It has the newest configuration: somebody who knows says so.
    Synchronize {
        /// The device.
        hostname: Hostname,
    },
}
