//! What messages mean for the fleet: a message and the facts it asked for become effects. Nothing here performs input or
//! output, waits, or looks at a clock, so every rule is a table in a test.
//!
//! A kind that the match in [`decide`] does not name does not compile. To add one: its file here, its keys, its decision.

mod dead_letter;
mod decision;
mod device_provisioned;
mod device_state;
mod interface_updated;
mod inventory_imported;
mod rejection;
#[cfg(test)]
mod scene;

use jiff::Timestamp;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::{Class, Code, Command, Envelope, Event, Kind, Message};

use lockstep_store::{Facts, Keys, Version};

pub use decision::{Decision, FlagReply, Reply};
pub use rejection::Rejection;

/// Decides messages. The one implementation is [`FleetHandlers`]; tests put others in its place to misbehave.
pub trait Handlers: std::fmt::Debug + Send + Sync + 'static {
    /// What a message asks the store about, apart from whether it was worked before.
    fn keys(&self, envelope: &Envelope) -> Keys;

    /// What a message does.
    ///
    /// # Errors
    /// Why it can never be done as it is.
    fn decide(&self, envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection>;
}

/// The rules of Lockstep.
#[derive(Clone, Copy, Debug, Default)]
pub struct FleetHandlers;

impl Handlers for FleetHandlers {
    fn keys(&self, envelope: &Envelope) -> Keys {
        keys(&envelope.message)
    }

    fn decide(&self, envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection> {
        decide(envelope, facts, now)
    }
}

fn keys(message: &Message) -> Keys {
    match message {
        Message::Event(Event::InterfaceUpdated(event)) => interface_updated::keys(event),
        Message::Event(Event::DeviceStateChanged(event)) => device_state::keys(&event.hostname),
        Message::Event(Event::DeviceProvisioned(event)) => device_provisioned::keys(event),
        Message::Event(Event::InventoryImported(event)) => inventory_imported::keys(event),
        Message::Command(Command::DeviceStateRequested(command)) => device_state::keys(&command.hostname),
        Message::Command(Command::DeadLetterRequeueRequested(command)) => {
            dead_letter::keys(command.dead_letter, command.matching.as_ref())
        }
        Message::Command(Command::DeadLetterDropRequested(command)) => {
            dead_letter::keys(command.dead_letter, command.matching.as_ref())
        }
        Message::Event(_) | Message::Command(_) | Message::Result(_) => Keys::default(),
    }
}

fn decide(envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection> {
    match &envelope.message {
        Message::Event(event) => match event {
            Event::InterfaceUpdated(event) => interface_updated::decide(event, facts),
            Event::DeviceStateChanged(event) => device_state::changed(event, &version(envelope, now), facts),
            Event::DeviceProvisioned(event) => {
                device_provisioned::decide(event, &version(envelope, now), facts)
            }
            Event::InventoryImported(event) => {
                inventory_imported::decide(event, &version(envelope, now), facts)
            }
            Event::RepositoryChanged(_)
            | Event::DeviceUpgraded(_)
            | Event::DeviceRemoved(_)
            | Event::DeviceRenamed(_)
            | Event::LinknetChanged(_)
            | Event::MgmtdomainChanged(_) => Err(not_supported(event.kind())),
        },
        Message::Command(command) => match command {
            Command::DeviceStateRequested(command) => {
                device_state::requested(command, &version(envelope, now), facts)
            }
            Command::DeadLetterRequeueRequested(command) => dead_letter::decide(
                DeadLetterAction::Requeued,
                command.dead_letter,
                command.matching.as_ref(),
                facts,
            ),
            Command::DeadLetterDropRequested(command) => dead_letter::decide(
                DeadLetterAction::Dropped,
                command.dead_letter,
                command.matching.as_ref(),
                facts,
            ),
            Command::DeviceMarkRequested(_)
            | Command::DeviceRemoveRequested(_)
            | Command::DeviceRenameRequested(_)
            | Command::RepositoryRefreshRequested(_)
            | Command::RepositoryAcceptRequested(_)
            | Command::SyncRequested(_)
            | Command::TaskRequested(_)
            | Command::TaskSaveRequested(_)
            | Command::TaskDeleteRequested(_)
            | Command::ScheduleSaveRequested(_)
            | Command::ExecutionCancelRequested(_)
            | Command::CvpSweepRequested(_) => Err(not_supported(command.kind())),
        },
        Message::Result(result) => Err(Rejection::new(
            Code::UnexpectedType,
            "$.type",
            format!("{} is a result; workers take events and commands", result.kind()),
        )),
    }
}

/// The order of messages about state. A clock that runs ahead must not shut out what comes later, so no message counts
/// as younger than its receipt.
fn version(envelope: &Envelope, now: Timestamp) -> Version {
    Version {
        time: envelope.time.map_or(now, |time| time.min(now)),
        id: envelope.identity.id.clone(),
    }
}

fn not_supported(kind: Kind) -> Rejection {
    let what = match kind.class() {
        Class::Event => "event",
        Class::Command => "command",
        Class::Result => "result",
    };
    let reason =
        format!("this version does not work the {what} {kind} yet; upgrade the workers and requeue it");
    Rejection::new(Code::NotSupported, "$.type", reason)
}
