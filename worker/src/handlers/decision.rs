use std::collections::BTreeSet;

use lockstep_protocol::results::{
    DeadLettersSettled, EventApplied, IgnoredReason, MAX_DEVICES, Outcome, Scope,
};
use lockstep_protocol::{Hostname, WorkResult};

use lockstep_store::{Effects, Flips};

/// What a message does, and what is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is written.
    pub effects: Effects,
    /// What is answered.
    pub answer: Reply,
}

/// What is answered to a message that was worked.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It was about sync flags.
    Flags(FlagReply),
    /// It was about dead letters.
    DeadLetters(DeadLettersSettled),
}

impl From<FlagReply> for Reply {
    fn from(verdict: FlagReply) -> Self {
        Self::Flags(verdict)
    }
}

impl Reply {
    /// The result, once it is known whose flag changed.
    pub fn into_result(self, flips: &Flips) -> WorkResult {
        match self {
            Self::Flags(verdict) => WorkResult::EventApplied(verdict.into_result(flips)),
            Self::DeadLetters(settled) => WorkResult::DeadLettersSettled(settled),
        }
    }
}

#[cfg(test)]
impl Decision {
    /// The answer of a decision about sync flags.
    pub(crate) fn verdict(&self) -> &FlagReply {
        match &self.answer {
            Reply::Flags(verdict) => verdict,
            Reply::DeadLetters(settled) => panic!("{settled:?}"),
        }
    }
}

/// What is answered to a message about sync flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagReply {
    /// Why nothing was done, where nothing was done.
    pub ignored: Option<IgnoredReason>,
    /// Whom it concerned.
    pub scope: Scope,
    /// The devices it concerned.
    pub devices: BTreeSet<Hostname>,
    /// Hostnames it named that no device has.
    pub unknown_hostnames: BTreeSet<Hostname>,
}

impl FlagReply {
    /// Something was done for these devices.
    pub fn applied(scope: Scope, devices: impl IntoIterator<Item = Hostname>) -> Self {
        Self {
            ignored: None,
            scope,
            devices: devices.into_iter().collect(),
            unknown_hostnames: BTreeSet::new(),
        }
    }

    /// There was nothing to do about this device.
    pub fn ignored(reason: IgnoredReason, hostname: Hostname) -> Self {
        Self {
            ignored: Some(reason),
            ..Self::applied(Scope::Device, [hostname])
        }
    }

    /// The answer, once it is known whose flag changed.
    fn into_result(self, flips: &Flips) -> EventApplied {
        EventApplied {
            outcome: if self.ignored.is_some() {
                Outcome::Ignored
            } else {
                Outcome::Applied
            },
            reason: self.ignored,
            scope: self.scope,
            flipped: flips.len() as u64,
            truncated: self.devices.len() > MAX_DEVICES,
            devices: self.devices.into_iter().take(MAX_DEVICES).collect(),
            unknown_hostnames: self.unknown_hostnames.into_iter().take(MAX_DEVICES).collect(),
            commit: None,
        }
    }
}
