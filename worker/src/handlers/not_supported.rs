//! Kinds that the protocol has and this version does not process.

use lockstep_protocol::commands::{
    CvpSweepRequested, DeviceRemoveRequested, DeviceRenameRequested, ExecutionCancelRequested,
    ScheduleSaveRequested, SyncRequested, TaskDeleteRequested, TaskRequested, TaskSaveRequested,
};
use lockstep_protocol::events::{
    DeviceRemoved, DeviceRenamed, DeviceUpgraded, LinknetChanged, MgmtdomainChanged,
};
use lockstep_protocol::{Code, Kind};

use super::{Processable, Processing, Rejection};

/// Registers kinds as not supported, by their bodies.
macro_rules! not_supported {
    ($($body:ty,)+) => {
        $(
            impl Processable for $body {
                fn processing(&self) -> Processing<'_> {
                    Processing::NotSupported
                }
            }
        )+
    };
}

not_supported!(
    DeviceUpgraded,
    DeviceRemoved,
    DeviceRenamed,
    LinknetChanged,
    MgmtdomainChanged,
    DeviceRemoveRequested,
    DeviceRenameRequested,
    SyncRequested,
    TaskRequested,
    TaskSaveRequested,
    TaskDeleteRequested,
    ScheduleSaveRequested,
    ExecutionCancelRequested,
    CvpSweepRequested,
);

/// A message of such a kind is dead-lettered, and can be requeued after an upgrade.
pub(super) fn rejection(kind: Kind) -> Rejection {
    let reason = format!(
        "this version does not process the {} {kind} yet; upgrade the workers, then requeue the message",
        kind.class()
    );
    Rejection::new(Code::NotSupported, "$.type", reason)
}
