use std::collections::BTreeSet;

use lockstep_protocol::results::{
    DeadLettersSettled, EventApplied, IgnoredReason, MAX_DEVICES, Outcome, RejectedDevice, Scope,
};
use lockstep_protocol::{Hostname, WorkResult};
use lockstep_store::{Effects, Flips};

/// What a message does, and what is reported about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The changes to the store.
    pub effects: Effects,
    /// The result, as far as it is known before the effects are applied.
    pub result: DraftResult,
}

impl Decision {
    /// The message has these effects on sync flags and devices.
    pub(super) fn applied(
        effects: Effects,
        scope: Scope,
        devices: impl IntoIterator<Item = Hostname>,
    ) -> Self {
        Self {
            effects,
            result: EventAppliedDraft::applied(scope, devices).into(),
        }
    }

    /// The message was about this device and has no effect.
    pub(super) fn ignored(reason: IgnoredReason, hostname: Hostname) -> Self {
        Self {
            effects: Effects::default(),
            result: EventAppliedDraft::ignored(reason, hostname).into(),
        }
    }
}

/// A result that still lacks the number of changed sync flags, which is known once the effects are applied to the facts.
#[derive(Clone, Debug, PartialEq)]
pub enum DraftResult {
    /// The message was about sync flags.
    EventApplied(EventAppliedDraft),
    /// The message was about dead letters; its result is complete.
    DeadLettersSettled(DeadLettersSettled),
}

impl From<EventAppliedDraft> for DraftResult {
    fn from(draft: EventAppliedDraft) -> Self {
        Self::EventApplied(draft)
    }
}

impl DraftResult {
    /// Completes the result with the flags that changed.
    pub fn complete(self, flips: &Flips) -> WorkResult {
        match self {
            Self::EventApplied(draft) => WorkResult::EventApplied(draft.complete(flips)),
            Self::DeadLettersSettled(settled) => WorkResult::DeadLettersSettled(settled),
        }
    }
}

#[cfg(test)]
impl Decision {
    /// The draft of a decision about sync flags.
    pub(crate) fn event_applied(&self) -> &EventAppliedDraft {
        match &self.result {
            DraftResult::EventApplied(draft) => draft,
            DraftResult::DeadLettersSettled(settled) => panic!("{settled:?}"),
        }
    }
}

/// The result of a message about sync flags, without the number of flags that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAppliedDraft {
    /// Why nothing was done; `None` if something was done.
    pub ignored: Option<IgnoredReason>,
    /// How the devices concerned were selected.
    pub scope: Scope,
    /// The devices concerned.
    pub devices: BTreeSet<Hostname>,
    /// Hostnames in the message that no device has.
    pub unknown_hostnames: BTreeSet<Hostname>,
    /// The devices of an inventory that are not imported.
    pub rejected: Vec<RejectedDevice>,
    /// The devices that are marked as synchronized.
    pub marked: BTreeSet<Hostname>,
}

impl EventAppliedDraft {
    /// The message had an effect on these devices.
    pub fn applied(scope: Scope, devices: impl IntoIterator<Item = Hostname>) -> Self {
        Self {
            ignored: None,
            scope,
            devices: devices.into_iter().collect(),
            unknown_hostnames: BTreeSet::new(),
            rejected: Vec::new(),
            marked: BTreeSet::new(),
        }
    }

    /// The message was about this device and had no effect.
    pub fn ignored(reason: IgnoredReason, hostname: Hostname) -> Self {
        Self {
            ignored: Some(reason),
            ..Self::applied(Scope::Device, [hostname])
        }
    }

    fn complete(self, flips: &Flips) -> EventApplied {
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
            rejected: self.rejected,
            marked: self.marked.into_iter().take(MAX_DEVICES).collect(),
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Class, Kind};

    use super::*;

    /// The kind of a complete draft. A new one is a result that is not planned any more.
    fn kind(draft: &DraftResult) -> Kind {
        match draft {
            DraftResult::EventApplied(_) => Kind::EventApplied,
            DraftResult::DeadLettersSettled(_) => Kind::DeadLettersSettled,
        }
    }

    #[test]
    fn results_that_are_not_planned_are_those_that_a_worker_sends() {
        let draft = DraftResult::from(EventAppliedDraft::applied(Scope::Device, []));
        assert_eq!(draft.clone().complete(&Flips::default()).kind(), kind(&draft));
        let results = Kind::ALL.iter().filter(|kind| kind.class() == Class::Result);
        let sent: Vec<Kind> = results.copied().filter(|kind| !kind.is_planned()).collect();
        assert_eq!(
            sent,
            [
                Kind::EventApplied,
                // Executions send these.
                Kind::CommandApplied,
                Kind::ExecutionAccepted,
                Kind::ExecutionProgress,
                Kind::ExecutionFinished,
                Kind::ElementFinished,
                // Sweeps send these.
                Kind::CvpTaskSettled,
                Kind::CvpSweepFinished,
                Kind::DeadLettersSettled,
                Kind::MessageRejected
            ]
        );
    }
}
