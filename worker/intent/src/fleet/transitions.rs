//! The transition table of the sync flag, as data: which event marks which devices as unsynchronized or synchronized, for which cause,
//! and what leaves them alone. `docs/reference/sync-rules.md` shows it. The handlers of the worker decide by themselves, and their tests run every
//! row through them.

use lockstep_protocol::{Cause, DeviceState, Kind};

/// One row: what an event does to the devices that it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The name of the row, for tests.
    pub id: &'static str,
    /// What happens.
    pub event: &'static str,
    /// The messages that tell it; none if no message does.
    pub kinds: &'static [Kind],
    /// The states of the device in which the row applies.
    pub states: States,
    /// The devices concerned.
    pub devices: &'static str,
    /// What happens to their flags.
    pub effect: Effect,
    /// The cases of CNaaS NMS that it covers, see `cnaas_transitions.json`.
    pub cnaas: &'static [&'static str],
}

/// The states of a device in which a row applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum States {
    /// Every state.
    Any,
    /// MANAGED.
    Managed,
    /// UNMANAGED.
    Unmanaged,
    /// Every state but UNMANAGED.
    Others,
}

/// What happens to the flag of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It becomes or stays unsynchronized, with one cause more.
    Unsynchronize(Cause),
    /// It becomes or stays unsynchronized. Its causes so far are closed, and this is the only open one.
    UnsynchronizeOnlyFor(Cause),
    /// It becomes synchronized, and its causes are closed.
    Synchronize,
    /// It keeps its flag and its causes.
    Nothing,
}

impl States {
    /// Whether the row applies in this state.
    pub fn contain(self, state: DeviceState) -> bool {
        match self {
            Self::Any => true,
            Self::Managed => state == DeviceState::Managed,
            Self::Unmanaged => state == DeviceState::Unmanaged,
            Self::Others => state != DeviceState::Unmanaged,
        }
    }
}

impl Effect {
    /// The flag afterwards; `None` if it stays as it is.
    pub fn synchronized(self) -> Option<bool> {
        match self {
            Self::Unsynchronize(_) | Self::UnsynchronizeOnlyFor(_) => Some(false),
            Self::Synchronize => Some(true),
            Self::Nothing => None,
        }
    }

    /// The cause that is added.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Self::Unsynchronize(cause) | Self::UnsynchronizeOnlyFor(cause) => Some(cause),
            Self::Synchronize | Self::Nothing => None,
        }
    }

    /// Whether the causes so far are closed.
    pub fn closes_causes(self) -> bool {
        matches!(self, Self::UnsynchronizeOnlyFor(_) | Self::Synchronize)
    }
}

/// Every row, in the order of the documentation.
pub const TRANSITIONS: &[Transition] = table::TABLE;

mod table;

#[cfg(test)]
mod tests;
