use crate::{DeviceType, GroupName, Hostname};

/// The devices that a sync run is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncTarget {
    /// Every device.
    All,
    /// This device, whatever its flag.
    Hostname(Hostname),
    /// The devices of this type.
    DeviceType(DeviceType),
    /// The members of this group, by list or by rule, whether or not it is their primary one.
    Group(GroupName),
}
