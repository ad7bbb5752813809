//! Every message type of the contract, as closed sets. A type added here does not compile until it is handled.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::strict::Strict;
use crate::topology::Lane;
use crate::{commands as c, events as e, results as r};

/// What role a message plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A fact that already happened.
    Event,
    /// A request to do something.
    Command,
    /// What a worker says about an event or a command.
    Result,
}

macro_rules! messages {
    ($(
        $(#[$set_doc:meta])*
        $class:ident: $set:ident {
            $($(#[doc = $doc:literal])+ $variant:ident($body:ty) = $name:literal,)*
        }
    )*) => {
        /// The type of a message: one variant for each name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)*)*
        }

        impl Kind {
            /// Every kind there is, in the order of the contract.
            pub const ALL: &[Self] = &[$($(Self::$variant),*),*];

            /// The CloudEvents `type`, which is also the routing key.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)*)*
                }
            }

            /// What a message of this kind says, in one sentence.
            pub const fn description(self) -> &'static str {
                match self {
                    $($(Self::$variant => concat!($($doc),+).trim_ascii_start(),)*)*
                }
            }

            /// A whole message of this kind, from the golden files.
            #[cfg(feature = "schema")]
            pub const fn example(self) -> &'static str {
                match self {
                    $($(Self::$variant => include_str!(concat!("../tests/golden/", $name, ".json")),)*)*
                }
            }

            /// Whether it is an event, a command or a result.
            pub const fn class(self) -> Class {
                match self {
                    $($(Self::$variant => Class::$class,)*)*
                }
            }
        }

        $(
            $(#[$set_doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub enum $set {
                $($(#[doc = $doc])+ $variant($body),)*
            }

            impl $set {
                /// The type of this message.
                pub fn kind(&self) -> Kind {
                    match self {
                        $(Self::$variant(_) => Kind::$variant,)*
                    }
                }
            }

            $(
                impl From<$body> for Message {
                    fn from(body: $body) -> Self {
                        Message::$class($set::$variant(body))
                    }
                }
            )*
        )*

        impl Message {
            /// Reads `data` as the body of a message of this kind.
            ///
            /// # Errors
            /// What does not fit, with its path inside `data`.
            pub fn from_data(kind: Kind, data: &Value) -> Result<Self, DataError> {
                match kind {
                    $($(Kind::$variant => body::<$body>(data).map(Self::from),)*)*
                }
            }

            /// The body of this message as `data`.
            pub fn to_data(&self) -> Value {
                let data = match self {
                    $($(Self::$class($set::$variant(body)) => serde_json::to_value(body),)*)*
                };
                data.expect("message bodies have string keys and no failing serializers")
            }
        }

        impl Serialize for Message {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $($(Self::$class($set::$variant(body)) => body.serialize(serializer),)*)*
                }
            }
        }

        /// The JSON Schema of the `data` of each kind, in the order of [`Kind::ALL`].
        #[cfg(feature = "schema")]
        pub(crate) fn data_schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(Kind, schemars::Schema)> {
            vec![$($((Kind::$variant, generator.subschema_for::<$body>()),)*)*]
        }
    };
}

/// Any message: an event, a command or a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A fact that already happened.
    Event(Event),
    /// A request to do something.
    Command(Command),
    /// What a worker says about an event or a command.
    Result(WorkResult),
}

messages! {
    /// A fact that already happened, published by the gateway or another service.
    Event: Event {
        /// A settings or templates repository changed.
        RepositoryChanged(e::RepositoryChanged) = "lockstep.repository.changed",
        /// Interfaces of a device were updated, by configuration or by status.
        InterfaceUpdated(e::InterfaceUpdated) = "lockstep.interface.updated",
        /// A device came up by zero-touch provisioning.
        DeviceProvisioned(e::DeviceProvisioned) = "lockstep.device.provisioned",
        /// A device moved to another state.
        DeviceStateChanged(e::DeviceStateChanged) = "lockstep.device.state-changed",
        /// A device runs another operating system version.
        DeviceUpgraded(e::DeviceUpgraded) = "lockstep.device.upgraded",
        /// A device is gone.
        DeviceRemoved(e::DeviceRemoved) = "lockstep.device.removed",
        /// A device has another hostname.
        DeviceRenamed(e::DeviceRenamed) = "lockstep.device.renamed",
        /// A link between two devices was added, updated or removed.
        LinknetChanged(e::LinknetChanged) = "lockstep.linknet.changed",
        /// A management domain was added, updated or removed.
        MgmtdomainChanged(e::MgmtdomainChanged) = "lockstep.mgmtdomain.changed",
        /// A chunk of an inventory was imported.
        InventoryImported(e::InventoryImported) = "lockstep.inventory.imported",
    }
    /// A request to do something, published by an operator or a service with the right to.
    Command: Command {
        /// Move a device to another state.
        DeviceStateRequested(c::DeviceStateRequested) = "lockstep.device.state-requested",
        /// Mark a device as unsynchronized.
        DeviceMarkRequested(c::DeviceMarkRequested) = "lockstep.device.mark-requested",
        /// Remove a device.
        DeviceRemoveRequested(c::DeviceRemoveRequested) = "lockstep.device.remove-requested",
        /// Give a device another hostname.
        DeviceRenameRequested(c::DeviceRenameRequested) = "lockstep.device.rename-requested",
        /// Fetch a repository now.
        RepositoryRefreshRequested(c::RepositoryRefreshRequested) = "lockstep.repository.refresh-requested",
        /// Take a commit as the accepted one.
        RepositoryAcceptRequested(c::RepositoryAcceptRequested) = "lockstep.repository.accept-requested",
        /// Bring devices in lockstep with their intended configuration.
        SyncRequested(c::SyncRequested) = "lockstep.sync.requested",
        /// Run a task.
        TaskRequested(c::TaskRequested) = "lockstep.task.requested",
        /// Save a task.
        TaskSaveRequested(c::TaskSaveRequested) = "lockstep.task.save-requested",
        /// Delete a task.
        TaskDeleteRequested(c::TaskDeleteRequested) = "lockstep.task.delete-requested",
        /// Save a schedule.
        ScheduleSaveRequested(c::ScheduleSaveRequested) = "lockstep.schedule.save-requested",
        /// Cancel an execution.
        ExecutionCancelRequested(c::ExecutionCancelRequested) = "lockstep.execution.cancel-requested",
        /// Cancel the empty pending tasks of a CloudVision cluster.
        CvpSweepRequested(c::CvpSweepRequested) = "lockstep.cvp-sweep.requested",
        /// Work dead letters again.
        DeadLetterRequeueRequested(c::DeadLetterRequeueRequested) = "lockstep.dead-letter.requeue-requested",
        /// Drop dead letters.
        DeadLetterDropRequested(c::DeadLetterDropRequested) = "lockstep.dead-letter.drop-requested",
    }
    /// What a worker says about an event or a command.
    Result: WorkResult {
        /// An event was worked, with what it did to sync flags.
        EventApplied(r::EventApplied) = "lockstep.event.applied",
        /// An execution was accepted.
        ExecutionAccepted(r::ExecutionAccepted) = "lockstep.execution.accepted",
        /// How far an execution has come.
        ExecutionProgress(r::ExecutionProgress) = "lockstep.execution.progress",
        /// An execution ended.
        ExecutionFinished(r::ExecutionFinished) = "lockstep.execution.finished",
        /// One element of an execution ended.
        ElementFinished(r::ElementFinished) = "lockstep.element.finished",
        /// One CloudVision task was cancelled, kept or failed.
        CvpTaskSettled(r::CvpTaskSettled) = "lockstep.cvp-task.settled",
        /// A sweep of CloudVision tasks ended.
        CvpSweepFinished(r::CvpSweepFinished) = "lockstep.cvp-sweep.finished",
        /// Dead letters were requeued or dropped.
        DeadLettersSettled(r::DeadLettersSettled) = "lockstep.dead-letter.settled",
        /// A message could not be worked, and why.
        MessageRejected(r::MessageRejected) = "lockstep.message.rejected",
    }
}

impl Message {
    /// The type of this message.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Event(event) => event.kind(),
            Self::Command(command) => command.kind(),
            Self::Result(result) => result.kind(),
        }
    }
}

/// What in `data` does not fit, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{place}: {reason}")]
pub struct DataError {
    /// The path inside `data`, such as `interfaces[0].name`; `.` is `data` itself.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
}

fn body<T: DeserializeOwned>(data: &Value) -> Result<T, DataError> {
    // Following the path costs, so it is done only where there is an error to place.
    T::deserialize(Strict(data)).or_else(|_| {
        serde_path_to_error::deserialize(Strict(data)).map_err(|error| DataError {
            place: error.path().to_string(),
            reason: error.into_inner().to_string(),
        })
    })
}

impl Kind {
    /// The prefix of types that only workers send to one another.
    pub const INTERNAL_PREFIX: &str = "lockstep.internal.";

    /// The lane that takes messages of this kind from the outside; `None` for results.
    pub const fn ingress(self) -> Option<Lane> {
        match self {
            Self::RepositoryChanged | Self::RepositoryRefreshRequested | Self::RepositoryAcceptRequested => {
                Some(Lane::Repositories)
            }
            _ => match self.class() {
                Class::Event => Some(Lane::Events),
                Class::Command => Some(Lane::Commands),
                Class::Result => None,
            },
        }
    }
}

/// The text is no message type of this version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown message type {0:?}")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert!(!kind.as_str().starts_with(Kind::INTERNAL_PREFIX));
        }
    }

    #[test]
    fn events_and_commands_have_an_ingress_and_results_have_none() {
        for kind in Kind::ALL {
            assert_eq!(kind.ingress().is_none(), kind.class() == Class::Result, "{kind}");
        }
        assert_eq!(Kind::RepositoryChanged.ingress(), Some(Lane::Repositories));
    }

    #[test]
    fn an_error_in_data_names_its_path() {
        let data =
            serde_json::json!({"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": 7}]});
        let error = Message::from_data(Kind::InterfaceUpdated, &data).unwrap_err();
        assert_eq!(error.place, "interfaces[0].name");
        assert!(
            error
                .reason
                .contains("invalid type: integer `7`, expected a string"),
            "{}",
            error.reason
        );
    }
}
