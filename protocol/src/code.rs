//! Stable codes: what programs may act on. The prose beside a code may change, its meaning never does.

use serde::{Deserialize, Serialize};

/// Why a message was rejected or died.
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
    /// The `type` is none that Lockstep knows.
    UnknownType,
    /// The `type` is known, but is nothing a worker takes from this lane.
    UnexpectedType,
    /// The same `(source, id)` came before with other content.
    IdReused,
    /// No device has the hostname named.
    UnknownDevice,
    /// A device with that hostname exists already.
    DeviceExists,
    /// The same MAC address or serial number belongs to another device.
    IdentityConflict,
    /// No repository is configured under that name.
    UnknownRepository,
    /// The remote repository has no such branch.
    UnknownBranch,
    /// The repository has no such commit.
    UnknownCommit,
    /// The settings or templates at the tip do not hold; the accepted commit stays.
    InvalidIntent,
    /// No dead letter has the number named.
    UnknownDeadLetter,
    /// The sender may not publish messages of this type.
    NotAllowed,
    /// The body is larger than what is accepted.
    TooLarge,
    /// The message was tried as often as the ladder allows, and failed each time.
    AttemptsExhausted,
    /// The work on this message panicked or ended its process, time and again.
    Crashed,
    /// The store can never keep what the message does.
    StoreRefused,
    /// The kind is part of the contract, but this version does not work it yet.
    NotSupported,
    /// The broker itself gave up delivering the message.
    DeliveryLimit,
}

impl Code {
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
            Self::UnknownRepository => "unknown-repository",
            Self::UnknownBranch => "unknown-branch",
            Self::UnknownCommit => "unknown-commit",
            Self::InvalidIntent => "invalid-intent",
            Self::UnknownDeadLetter => "unknown-dead-letter",
            Self::NotAllowed => "not-allowed",
            Self::TooLarge => "too-large",
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
