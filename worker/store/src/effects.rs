use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::{Cause, CauseDetail, DeviceState, GroupName, Hostname};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Attributes, ClientRow, FollowUpRequest, GroupRow, GroupsByRule, InterfaceRow, LinkChange,
    ManagementDomainChange, Version,
};

/// What one message changes. The set is closed, so the store can write the effects of many messages in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Changes of devices, applied in this order.
    pub devices: Vec<DeviceEffect>,
    /// Groups to create or update.
    pub groups: Vec<GroupRow>,
    /// Interfaces to create or update.
    pub interfaces: Vec<InterfaceRow>,
    /// Clients to create or update.
    pub clients: Vec<ClientRow>,
    /// Links to add or remove.
    pub links: Vec<LinkChange>,
    /// Management domains to create, change or remove.
    pub management_domains: Vec<ManagementDomainChange>,
    /// Dead letters to requeue or drop.
    pub dead_letters: Option<SettleDeadLetters>,
    /// Messages to publish after the commit.
    pub follow_ups: Vec<FollowUpRequest>,
    /// Why, in the words of the operator; it is kept with the causes and the marks of this message.
    pub note: Option<String>,
    /// What the message says about the causes that it gives, such as which interfaces changed.
    pub detail: Option<Arc<CauseDetail>>,
}

impl Effects {
    /// Whether messages are to be published after the commit.
    pub fn have_follow_ups(&self) -> bool {
        let requeues = |settle: &SettleDeadLetters| {
            settle.action == DeadLetterAction::Requeued && !settle.numbers.is_empty()
        };
        !self.follow_ups.is_empty() || self.dead_letters.as_ref().is_some_and(requeues)
    }
}

/// Requeues or drops unsettled dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleDeadLetters {
    /// Whether they are requeued or dropped.
    pub action: DeadLetterAction,
    /// The numbers of the dead letters, ascending.
    pub numbers: Vec<u64>,
}

/// A change of one device.
#[derive(Clone, Debug, PartialEq)]
pub enum DeviceEffect {
    /// Creates the device, synchronized.
    Create {
        /// The name of the new device.
        hostname: Hostname,
        /// All its attributes.
        attributes: Attributes,
        /// Its first state.
        state: DeviceState,
        /// The version of the message that sets the state, if it has one.
        version: Option<Version>,
    },
    /// Replaces all attributes of the device.
    Describe {
        /// The name of the device.
        hostname: Hostname,
        /// All its attributes.
        attributes: Attributes,
    },
    /// Moves the device to a state.
    Move {
        /// The name of the device.
        hostname: Hostname,
        /// The new state.
        state: DeviceState,
        /// Why, for people.
        note: Option<String>,
        /// When the state is expected to end.
        until: Option<Timestamp>,
        /// The version of the message that sets the state, if it has one.
        version: Option<Version>,
    },
    /// Sets the groups of which the device is a member by list. It leaves all others.
    Join {
        /// The name of the device.
        hostname: Hostname,
        /// All groups of the device.
        groups: BTreeSet<GroupName>,
    },
    /// Sets the groups of which the device is a member by rule, and its primary group. It stays a member by list of others.
    JoinByRule {
        /// The name of the device.
        hostname: Hostname,
        /// What the rules make of the device.
        groups: GroupsByRule,
    },
    /// Replaces what the inventory says about the device beside its attributes.
    SetData {
        /// The name of the device.
        hostname: Hostname,
        /// All of it.
        data: Map<String, Value>,
    },
    /// Marks the device as unsynchronized: it needs a newer configuration than it has.
    Unsynchronize {
        /// The name of the device.
        hostname: Hostname,
        /// Why it is unsynchronized.
        cause: Cause,
    },
    /// Closes the causes of the sync flag so far. The flag itself does not change.
    ForgetCauses {
        /// The name of the device.
        hostname: Hostname,
    },
    /// Gives the device another hostname, which no device has. Its old name leads to it from now on.
    Rename {
        /// The name of the device.
        hostname: Hostname,
        /// The new name.
        to: Hostname,
        /// The version of the message.
        version: Version,
    },
    /// Removes the device, with its interfaces, links, memberships and history.
    Remove {
        /// The name of the device.
        hostname: Hostname,
        /// The version of the message.
        version: Version,
    },
    /// A sync found or made the configuration of a generation on the device. The device is synchronized if no newer one is desired; then its
    /// causes are closed.
    SynchronizeTo {
        /// The name of the device.
        hostname: Hostname,
        /// The generation. A larger one than the desired counts as that, and a smaller one than it had changes nothing.
        generation: i64,
        /// The SHA-256 of the running configuration, in hexadecimal digits.
        configuration_hash: String,
        /// The execution, for the history.
        execution: Uuid,
    },
    /// A sync compared the device with its intended configuration.
    CheckConfiguration {
        /// The name of the device.
        hostname: Hostname,
    },
    /// An operator accepts the running configuration as the one that changes are measured against.
    AcceptConfiguration {
        /// The name of the device.
        hostname: Hostname,
        /// The SHA-256 of the running configuration, in hexadecimal digits.
        configuration_hash: String,
    },
    /// The running configuration is expected to look otherwise, such as after an upgrade: changes are not measured until the next sync.
    ForgetConfiguration {
        /// The name of the device.
        hostname: Hostname,
    },
    /// Marks the device as synchronized: the sender confirms that it has the newest configuration. Its causes are closed, and the
    /// sender is recorded.
    Synchronize {
        /// The name of the device.
        hostname: Hostname,
    },
}
