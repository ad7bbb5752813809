use async_graphql::Enum;

/// The kind of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "EntityTypeEnum", remote = "lockstep_protocol::EntityType")]
pub(crate) enum EntityType {
    /// The whole fleet; its id is 0.
    Global,
    /// A group of devices.
    Group,
    /// A device.
    Device,
    /// An interface of a device.
    Interface,
    /// A client of an interface or of a group.
    Client,
    /// Something outside of the fleet that the first step found, such as a CloudVision task.
    Item,
}
