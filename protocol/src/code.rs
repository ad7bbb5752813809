//! Stable error codes for programs. The reason text beside a code may change; the meaning of a code never does.

use serde::{Deserialize, Serialize};

/// Why a message was rejected or dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The body is not JSON, or not a JSON object.
    InvalidJson,
    /// The CloudEvents attributes are missing or malformed.
    InvalidEnvelope,
    /// The `data` does not fit the message's type.
    InvalidData,
    /// The `type` is not in the protocol.
    UnknownType,
    /// The `type` is known, but this lane does not process it.
    UnexpectedType,
    /// An earlier message with the same `(source, id)` had different content.
    IdReused,
    /// No device has this hostname.
    UnknownDevice,
    /// A device with that hostname exists already.
    DeviceExists,
    /// The same MAC address or serial number belongs to another device, or a hostname that differs only in upper and lower case.
    IdentityConflict,
    /// The device type is neither one of CNaaS NMS nor declared by the site.
    UnknownDeviceType,
    /// The device got newer causes than those that the operator looked at.
    GenerationChanged,
    /// No repository with this name is configured.
    UnknownRepository,
    /// The remote repository has no such branch.
    UnknownBranch,
    /// The repository has no such commit.
    UnknownCommit,
    /// The settings or templates at the tip are invalid; the accepted commit stays.
    InvalidIntent,
    /// No task has this number or name.
    UnknownTask,
    /// No provider has this name, or no worker of this version has it.
    UnknownProvider,
    /// The arguments do not fit the JSON Schema of the task or its provider.
    InvalidArguments,
    /// The task does not run on entities of this type, or an entity does not exist.
    WrongEntity,
    /// No execution has this id.
    UnknownExecution,
    /// The execution has not ended.
    ExecutionNotEnded,
    /// No schedule has this name.
    UnknownSchedule,
    /// The cron expression or the time zone is not valid.
    InvalidSchedule,
    /// The device is not MANAGED.
    NotManaged,
    /// The execution is no plan: no dry run of a sync, one that has not ended, or one that is too old.
    NotAPlan,
    /// Changes of devices need a plan that was looked at.
    PlanRequired,
    /// The plan has no valid approval by somebody other than who made it and who applies it.
    NotApproved,
    /// Whoever made a plan cannot approve it.
    SelfApproval,
    /// No dead letter has this number.
    UnknownDeadLetter,
    /// The sender may not publish this message: its type, source or reply queue is not one of the sender's, or it is about devices or tasks
    /// that the sender may not command.
    NotAllowed,
    /// The body is larger than 4 MiB.
    TooLarge,
    /// The broker takes no message of this size, so it could not wait there or be published again.
    TooLargeForBroker,
    /// Every attempt failed, including those after the last retry delay.
    AttemptsExhausted,
    /// Processing this message repeatedly panicked or crashed the worker.
    Crashed,
    /// The database permanently rejects the changes of this message.
    StoreRefused,
    /// The type is in the protocol, but only planned: this version of Lockstep does not process it.
    NotSupported,
    /// The message reached the delivery limit of its queue at the broker.
    DeliveryLimit,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 37] = [
        Self::InvalidJson,
        Self::InvalidEnvelope,
        Self::InvalidData,
        Self::UnknownType,
        Self::UnexpectedType,
        Self::IdReused,
        Self::UnknownDevice,
        Self::DeviceExists,
        Self::IdentityConflict,
        Self::UnknownDeviceType,
        Self::GenerationChanged,
        Self::UnknownRepository,
        Self::UnknownBranch,
        Self::UnknownCommit,
        Self::InvalidIntent,
        Self::UnknownTask,
        Self::UnknownProvider,
        Self::InvalidArguments,
        Self::WrongEntity,
        Self::UnknownExecution,
        Self::ExecutionNotEnded,
        Self::UnknownSchedule,
        Self::InvalidSchedule,
        Self::NotManaged,
        Self::NotAPlan,
        Self::PlanRequired,
        Self::NotApproved,
        Self::SelfApproval,
        Self::UnknownDeadLetter,
        Self::NotAllowed,
        Self::TooLarge,
        Self::TooLargeForBroker,
        Self::AttemptsExhausted,
        Self::Crashed,
        Self::StoreRefused,
        Self::NotSupported,
        Self::DeliveryLimit,
    ];

    /// The codes of dead letters that cannot be requeued: of the body only the head is kept, or its sender was not allowed to
    /// publish it.
    pub const FINAL: [Self; 2] = [Self::TooLarge, Self::NotAllowed];

    /// Whether the message itself is why: sent again as it is, it is rejected again, and its sender can correct it. The others are
    /// about the sender's rights, the content of a repository, or what happened to the message on its way.
    pub fn is_of_request(self) -> bool {
        match self {
            Self::InvalidData
            | Self::IdReused
            | Self::UnknownDevice
            | Self::DeviceExists
            | Self::IdentityConflict
            | Self::UnknownDeviceType
            | Self::GenerationChanged
            | Self::UnknownRepository
            | Self::UnknownCommit
            | Self::UnknownTask
            | Self::UnknownProvider
            | Self::InvalidArguments
            | Self::WrongEntity
            | Self::UnknownExecution
            | Self::ExecutionNotEnded
            | Self::UnknownSchedule
            | Self::InvalidSchedule
            | Self::NotManaged
            | Self::NotAPlan
            | Self::PlanRequired
            | Self::NotApproved
            | Self::SelfApproval
            | Self::UnknownDeadLetter
            | Self::NotSupported => true,
            Self::InvalidJson
            | Self::InvalidEnvelope
            | Self::UnknownType
            | Self::UnexpectedType
            | Self::UnknownBranch
            | Self::InvalidIntent
            | Self::NotAllowed
            | Self::TooLarge
            | Self::TooLargeForBroker
            | Self::AttemptsExhausted
            | Self::Crashed
            | Self::StoreRefused
            | Self::DeliveryLimit => false,
        }
    }

    /// The code as it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid-json",
            Self::InvalidEnvelope => "invalid-envelope",
            Self::InvalidData => "invalid-data",
            Self::UnknownType => "unknown-type",
            Self::UnexpectedType => "unexpected-type",
            Self::IdReused => "id-reused",
            Self::UnknownDevice => "unknown-device",
            Self::DeviceExists => "device-exists",
            Self::IdentityConflict => "identity-conflict",
            Self::UnknownDeviceType => "unknown-device-type",
            Self::GenerationChanged => "generation-changed",
            Self::UnknownRepository => "unknown-repository",
            Self::UnknownBranch => "unknown-branch",
            Self::UnknownCommit => "unknown-commit",
            Self::InvalidIntent => "invalid-intent",
            Self::UnknownTask => "unknown-task",
            Self::UnknownProvider => "unknown-provider",
            Self::InvalidArguments => "invalid-arguments",
            Self::WrongEntity => "wrong-entity",
            Self::UnknownExecution => "unknown-execution",
            Self::ExecutionNotEnded => "execution-not-ended",
            Self::UnknownSchedule => "unknown-schedule",
            Self::InvalidSchedule => "invalid-schedule",
            Self::NotManaged => "not-managed",
            Self::NotAPlan => "not-a-plan",
            Self::PlanRequired => "plan-required",
            Self::NotApproved => "not-approved",
            Self::SelfApproval => "self-approval",
            Self::UnknownDeadLetter => "unknown-dead-letter",
            Self::NotAllowed => "not-allowed",
            Self::TooLarge => "too-large",
            Self::TooLargeForBroker => "too-large-for-broker",
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::Crashed => "crashed",
            Self::StoreRefused => "store-refused",
            Self::NotSupported => "not-supported",
            Self::DeliveryLimit => "delivery-limit",
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_are_listed_in_order() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index, "{code}");
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        assert_eq!(
            Code::ALL.last(),
            Some(&Code::DeliveryLimit),
            "the last one, or it is missing in the list"
        );
    }
}
