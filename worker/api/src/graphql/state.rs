//! The states of executions, of their elements and of devices: those of executions and elements with the names that neops uses.

use async_graphql::Enum;

/// The state of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "ExecutionStateEnum", remote = "lockstep_protocol::ExecutionState")]
pub(crate) enum ExecutionState {
    /// Its elements are stored, and none has begun.
    Pending,
    /// At least one element has begun.
    Running,
    /// It ended: at least one element was done, and none failed.
    Successful,
    /// It ended: some elements were done, and some failed.
    PartialFailed,
    /// It ended: no element was done, and at least one failed.
    Failed,
    /// It ended without doing what was asked: it was cancelled, or no element ran.
    Aborted,
}

/// The state of an element, or of the result of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "ExecutionResultStateEnum", remote = "lockstep_protocol::ElementState")]
pub(crate) enum ElementState {
    /// It has not begun.
    Pending,
    /// A worker runs it.
    Running,
    /// It was done.
    Successful,
    /// A part of it failed.
    PartialFailed,
    /// It failed.
    Failed,
    /// It did not run because the execution was cancelled.
    Aborted,
    /// It did not run for another reason.
    Filtered,
    /// A check before it failed.
    PrecheckFailed,
    /// A check after it failed.
    PostcheckFailed,
}

/// What became of an element: every element ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "ElementOutcomeEnum", remote = "lockstep_protocol::ElementOutcome")]
pub(crate) enum ElementOutcome {
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// It did not run.
    Skipped,
}

/// The state of a device in its lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "DeviceStateEnum", remote = "lockstep_protocol::DeviceState")]
pub(crate) enum DeviceState {
    /// The state is not known.
    Unknown,
    /// Prepared before the device was first seen.
    PreConfigured,
    /// The device requested an address by DHCP.
    DhcpBoot,
    /// The device was reached and its facts were read.
    Discovered,
    /// The device is being initialized.
    Init,
    /// Managed: synchronization includes it, and alarms count it.
    Managed,
    /// Managed, except for its interfaces.
    ManagedNoif,
    /// Excluded from management by an operator.
    Unmanaged,
}

#[cfg(test)]
mod tests {
    use async_graphql::{InputType, Value};

    use super::*;

    fn name(value: &impl InputType) -> String {
        match value.to_value() {
            Value::Enum(name) => name.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn states_have_the_names_of_messages() {
        for state in lockstep_protocol::ExecutionState::ALL {
            assert_eq!(name(&ExecutionState::from(state)), state.as_str());
        }
        for state in lockstep_protocol::ElementState::ALL {
            assert_eq!(name(&ElementState::from(state)), state.as_str());
        }
        for state in lockstep_protocol::DeviceState::ALL {
            assert_eq!(name(&DeviceState::from(*state)), state.as_str());
        }
    }
}
