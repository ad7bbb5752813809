use async_graphql::Enum;
use lockstep_protocol::commands::ExecuteOn;

/// The kind of entity that a task runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "RunOnEnum")]
pub(crate) enum RunOn {
    /// Clients, by their MAC addresses.
    Client,
    /// Devices.
    Device,
    /// The arguments of the task decide. Of providers only: a call says which kind of entity it names.
    Generic,
    /// The whole fleet, once.
    Global,
    /// Groups of devices.
    Group,
    /// Interfaces.
    Interface,
}

impl From<ExecuteOn> for RunOn {
    fn from(kind: ExecuteOn) -> Self {
        match kind {
            ExecuteOn::Client => Self::Client,
            ExecuteOn::Device => Self::Device,
            ExecuteOn::Global => Self::Global,
            ExecuteOn::Group => Self::Group,
            ExecuteOn::Interface => Self::Interface,
        }
    }
}
