//! Every message type of the contract, registered once in the table below. The types, the wire names, the lanes and the
//! dispatch over bodies ([`match_body!`](crate::match_body)) all come from that table.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::Json;
use crate::strict::Strict;
use crate::topology::Lane;
use crate::{commands, events, internal, results};

/// The role of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A fact that already happened.
    Event,
    /// A request to do something.
    Command,
    /// A message that only workers send to one another. It is no part of the public contract.
    Internal,
    /// What a worker reports about a message that it processed or rejected.
    Result,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Command => "command",
            Self::Internal => "internal message",
            Self::Result => "result",
        })
    }
}

/// The lane of a kind: a result has none, every other kind must have one.
macro_rules! lane {
    (Result) => {
        None
    };
    (Event $lane:ident) => {
        Some(Lane::$lane)
    };
    (Command $lane:ident) => {
        Some(Lane::$lane)
    };
    (Internal $lane:ident) => {
        Some(Lane::$lane)
    };
}

/// Whether a kind has the mark `(planned)`.
macro_rules! planned {
    () => {
        false
    };
    (planned) => {
        true
    };
}

macro_rules! messages {
    // `$d` is the token `$`, for the macro that this one defines.
    ($d:tt $(
        $(#[$set_doc:meta])*
        $class:ident: $set:ident {
            $(
                $(#[doc = $doc:literal])+
                $variant:ident($module:ident::$body:ident) = $name:literal $(in $lane:ident)? $(($planned:ident))?,
            )*
        }
    )*) => {
        /// The type of a message: one variant for each name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)*)*
        }

        impl Kind {
            /// Every kind, in the order of the contract.
            pub const ALL: &[Self] = &[$($(Self::$variant),*),*];

            /// The CloudEvents `type`, which is also the routing key.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)*)*
                }
            }

            /// What a message of this kind means, in one sentence.
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

            /// The role of its messages.
            pub const fn class(self) -> Class {
                match self {
                    $($(Self::$variant => Class::$class,)*)*
                }
            }

            /// The lane that processes messages of this kind; `None` for results.
            pub const fn lane(self) -> Option<Lane> {
                match self {
                    $($(Self::$variant => lane!($class $($lane)?),)*)*
                }
            }

            /// Whether this version neither processes nor sends messages of this kind.
            pub const fn is_planned(self) -> bool {
                match self {
                    $($(Self::$variant => planned!($($planned)?),)*)*
                }
            }

            /// The JSON Schema of the `data` of this kind.
            #[cfg(feature = "schema")]
            pub(crate) fn data_schema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self {
                    $($(Self::$variant => generator.subschema_for::<$module::$body>(),)*)*
                }
            }
        }

        $(
            $(#[$set_doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub enum $set {
                $($(#[doc = $doc])+ $variant($module::$body),)*
            }

            impl $set {
                /// The type of this message.
                pub fn kind(&self) -> Kind {
                    match self {
                        $(Self::$variant(_) => Kind::$variant,)*
                    }
                }
            }

            impl Serialize for $set {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match self {
                        $(Self::$variant(body) => body.serialize(serializer),)*
                    }
                }
            }

            $(
                impl From<$module::$body> for Message {
                    fn from(body: $module::$body) -> Self {
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
                Self::from_json(kind, &Json::from(data))
            }

            pub(crate) fn from_json(kind: Kind, data: &Json<'_>) -> Result<Self, DataError> {
                match kind {
                    $($(Kind::$variant => body::<$module::$body>(data).map(Self::from),)*)*
                }
            }

            /// The body of this message as `data`.
            pub fn to_data(&self) -> Value {
                serde_json::to_value(self).expect("message bodies have string keys and no failing serializers")
            }
        }

        impl Serialize for Message {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$class(set) => set.serialize(serializer),)*
                }
            }
        }

        /// Evaluates an expression with the body of a message, whatever its kind. The expression must compile for the
        /// body of every kind of the set, so a kind that lacks a trait implementation does not compile.
        ///
        /// ```
        /// use lockstep_protocol::{Command, match_body};
        ///
        /// fn text(command: &Command) -> String {
        ///     match_body!(Command, command, body => format!("{body:?}"))
        /// }
        /// ```
        #[macro_export]
        macro_rules! match_body {
            $(
                ($set, $d message:expr, $d body:ident => $d use:expr) => {
                    match $d message {
                        $($crate::$set::$variant($d body) => $d use,)*
                    }
                };
            )*
        }

        /// Calls a macro with the bodies of the planned kinds of a set. Whoever processes messages derives from it what is not
        /// processed, so that a kind that is not planned must have its processing, and a planned one cannot have any.
        #[macro_export]
        macro_rules! planned_bodies {
            $(
                ($set, $d callback:ident) => {
                    $d callback! { $($($planned $crate::$module::$body,)?)* }
                };
            )*
        }
    };
}

/// Any message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A fact that already happened.
    Event(Event),
    /// A request to do something.
    Command(Command),
    /// A message that only workers send to one another.
    Internal(Internal),
    /// What a worker reports about a message that it processed or rejected.
    Result(WorkResult),
}

// A kind with the mark `(planned)` is part of the contract, and this version neither processes nor sends it.
messages! { $
    /// Facts that already happened, published by the gateway or another service.
    Event: Event {
        /// A settings or templates repository changed.
        RepositoryChanged(events::RepositoryChanged) = "lockstep.repository.changed" in Repositories,
        /// Interfaces of a device were updated, by configuration or by status.
        InterfaceUpdated(events::InterfaceUpdated) = "lockstep.interface.updated" in Events,
        /// A device came up by zero-touch provisioning.
        DeviceProvisioned(events::DeviceProvisioned) = "lockstep.device.provisioned" in Events,
        /// A device moved to another state.
        DeviceStateChanged(events::DeviceStateChanged) = "lockstep.device.state-changed" in Events,
        /// The `post_flight` step of an upgrade was performed on a device.
        DeviceUpgraded(events::DeviceUpgraded) = "lockstep.device.upgraded" in Events,
        /// A device was removed.
        DeviceRemoved(events::DeviceRemoved) = "lockstep.device.removed" in Events,
        /// A device has another hostname.
        DeviceRenamed(events::DeviceRenamed) = "lockstep.device.renamed" in Events,
        /// A link between two devices was added, updated or removed.
        LinknetChanged(events::LinknetChanged) = "lockstep.linknet.changed" in Events,
        /// A management domain was added, updated or removed.
        MgmtdomainChanged(events::MgmtdomainChanged) = "lockstep.mgmtdomain.changed" in Events,
        /// A chunk of an inventory was imported.
        InventoryImported(events::InventoryImported) = "lockstep.inventory.imported" in Events,
    }
    /// Requests to do something, published by an operator or a service with the right to.
    Command: Command {
        /// Move a device to another state.
        DeviceStateRequested(commands::DeviceStateRequested) = "lockstep.device.state-requested" in Commands,
        /// Mark a device as unsynchronized.
        DeviceMarkRequested(commands::DeviceMarkRequested) = "lockstep.device.mark-requested" in Commands,
        /// Remove a device.
        DeviceRemoveRequested(commands::DeviceRemoveRequested) = "lockstep.device.remove-requested" in Commands,
        /// Give a device another hostname.
        DeviceRenameRequested(commands::DeviceRenameRequested) = "lockstep.device.rename-requested" in Commands,
        /// Fetch a repository now.
        RepositoryRefreshRequested(commands::RepositoryRefreshRequested) = "lockstep.repository.refresh-requested" in Repositories,
        /// Take a commit as the accepted one.
        RepositoryAcceptRequested(commands::RepositoryAcceptRequested) = "lockstep.repository.accept-requested" in Repositories,
        /// Bring devices in lockstep with their intended configuration.
        SyncRequested(commands::SyncRequested) = "lockstep.sync.requested" in Executions,
        /// Run a task.
        TaskRequested(commands::TaskRequested) = "lockstep.task.requested" in Executions,
        /// Save a task.
        TaskSaveRequested(commands::TaskSaveRequested) = "lockstep.task.save-requested" in Executions,
        /// Delete a task.
        TaskDeleteRequested(commands::TaskDeleteRequested) = "lockstep.task.delete-requested" in Executions,
        /// Save a schedule.
        ScheduleSaveRequested(commands::ScheduleSaveRequested) = "lockstep.schedule.save-requested" in Executions,
        /// Delete a schedule.
        ScheduleDeleteRequested(commands::ScheduleDeleteRequested) = "lockstep.schedule.delete-requested" in Executions,
        /// Cancel an execution.
        ExecutionCancelRequested(commands::ExecutionCancelRequested) = "lockstep.execution.cancel-requested" in Executions,
        /// Pause an execution.
        ExecutionPauseRequested(commands::ExecutionPauseRequested) = "lockstep.execution.pause-requested" in Executions,
        /// Resume a paused execution.
        ExecutionResumeRequested(commands::ExecutionResumeRequested) = "lockstep.execution.resume-requested" in Executions,
        /// Run the failed elements of an execution again.
        ExecutionRelaunchRequested(commands::ExecutionRelaunchRequested) = "lockstep.execution.relaunch-requested" in Executions,
        /// Approve a plan.
        ExecutionApproveRequested(commands::ExecutionApproveRequested) = "lockstep.execution.approve-requested" in Executions,
        /// Withdraw the own approval of a plan.
        ExecutionWithdrawApprovalRequested(commands::ExecutionWithdrawApprovalRequested) = "lockstep.execution.withdraw-approval-requested" in Executions,
        /// Stop all executions.
        ExecutionsStopRequested(commands::ExecutionsStopRequested) = "lockstep.executions.stop-requested" in Executions,
        /// Let executions go on after a stop.
        ExecutionsResumeRequested(commands::ExecutionsResumeRequested) = "lockstep.executions.resume-requested" in Executions,
        /// Cancel the empty pending tasks of a CloudVision cluster.
        CvpSweepRequested(commands::CvpSweepRequested) = "lockstep.cvp-sweep.requested" in Executions,
        /// Process the messages of dead letters again.
        DeadLetterRequeueRequested(commands::DeadLetterRequeueRequested) = "lockstep.dead-letter.requeue-requested" in Commands,
        /// Drop dead letters.
        DeadLetterDropRequested(commands::DeadLetterDropRequested) = "lockstep.dead-letter.drop-requested" in Commands,
    }
    /// Messages that only workers send to one another, through the exchange `lockstep.work`.
    Internal: Internal {
        /// The tip of a repository's branch moved, and no webhook has reported it.
        RepositoryTipMoved(internal::RepositoryTipMoved) = "lockstep.internal.repository.tip-moved" in Repositories,
        /// An element of an execution may begin.
        ElementQueued(internal::ElementQueued) = "lockstep.internal.element.queued" in Devices,
        /// An element of an execution on CloudVision may begin.
        CvpElementQueued(internal::CvpElementQueued) = "lockstep.internal.cvp-element.queued" in Cvp,
        /// Devices whose CloudVision tasks were cancelled are to be checked once more.
        CvpLookDue(internal::CvpLookDue) = "lockstep.internal.cvp-look.due" in Executions,
    }
    /// What a worker reports about a message that it processed or rejected.
    Result: WorkResult {
        /// An event was processed, with its effect on sync flags.
        EventApplied(results::EventApplied) = "lockstep.event.applied",
        /// A command that changes tasks, schedules or executions was carried out.
        CommandApplied(results::CommandApplied) = "lockstep.command.applied",
        /// An execution was accepted.
        ExecutionAccepted(results::ExecutionAccepted) = "lockstep.execution.accepted",
        /// The progress of an execution.
        ExecutionProgress(results::ExecutionProgress) = "lockstep.execution.progress",
        /// An execution ended.
        ExecutionFinished(results::ExecutionFinished) = "lockstep.execution.finished",
        /// One element of an execution ended.
        ElementFinished(results::ElementFinished) = "lockstep.element.finished",
        /// One CloudVision task was cancelled, kept or failed.
        CvpTaskSettled(results::CvpTaskSettled) = "lockstep.cvp-task.settled",
        /// A sweep of CloudVision tasks ended.
        CvpSweepFinished(results::CvpSweepFinished) = "lockstep.cvp-sweep.finished",
        /// Dead letters were requeued or dropped.
        DeadLettersSettled(results::DeadLettersSettled) = "lockstep.dead-letter.settled",
        /// A message was rejected, with the reason.
        MessageRejected(results::MessageRejected) = "lockstep.message.rejected",
    }
}

impl Message {
    /// The type of this message.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Event(event) => event.kind(),
            Self::Command(command) => command.kind(),
            Self::Internal(internal) => internal.kind(),
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

fn body<T: DeserializeOwned>(data: &Json<'_>) -> Result<T, DataError> {
    // Following the path costs, so it is done only where there is an error to place.
    T::deserialize(Strict(data)).or_else(|_| {
        serde_path_to_error::deserialize(Strict(data)).map_err(|error| DataError {
            place: error.path().to_string(),
            reason: error.into_inner().to_string(),
        })
    })
}

impl Kind {
    /// The prefix of the types of internal messages, also of those that only newer workers know.
    pub const INTERNAL_PREFIX: &str = "lockstep.internal.";

    /// The lane to which a message of this kind is routed when it is published to `lockstep.events`; `None` for kinds that
    /// cannot be published there.
    pub const fn ingress(self) -> Option<Lane> {
        match self.class() {
            Class::Event | Class::Command => self.lane(),
            Class::Internal | Class::Result => None,
        }
    }

    /// What somebody who uses a planned kind must know, in one sentence; `None` for the others.
    pub const fn limitation(self) -> Option<&'static str> {
        match (self.is_planned(), self.class()) {
            (false, _) => None,
            (true, Class::Result) => Some("Planned: this version of Lockstep does not send it."),
            (true, Class::Event | Class::Command | Class::Internal) => Some(
                "Planned: this version of Lockstep does not process it, and rejects it with the code `not-supported`.",
            ),
        }
    }

    /// Whether the kind is part of the public contract. Internal kinds may change between versions without notice.
    pub const fn is_public(self) -> bool {
        !matches!(self.class(), Class::Internal)
    }
}

/// The text is not a message type of this version.
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
    fn a_kind_is_parsed_from_its_wire_name_and_only_internal_ones_have_the_internal_prefix() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            let internal = kind.as_str().starts_with(Kind::INTERNAL_PREFIX);
            assert_eq!(internal, kind.class() == Class::Internal, "{kind}");
        }
    }

    #[test]
    fn only_events_and_commands_can_be_published_to_the_ingress() {
        for kind in Kind::ALL {
            let publishable = matches!(kind.class(), Class::Event | Class::Command);
            assert_eq!(kind.ingress().is_some(), publishable, "{kind}");
        }
        assert_eq!(Kind::RepositoryChanged.ingress(), Some(Lane::Repositories));
        assert_eq!(Kind::RepositoryTipMoved.lane(), Some(Lane::Repositories));
    }

    #[test]
    fn the_data_of_an_internal_message_is_checked_like_any_other() {
        let data = serde_json::json!({"repository": "settings", "tip": "main"});
        let error = Message::from_data(Kind::RepositoryTipMoved, &data).unwrap_err();
        assert_eq!(error.place, "tip");
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
