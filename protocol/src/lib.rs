//! The contract of Lockstep as plain data: messages, codes, topology and REST shapes.
//!
//! Every message is a [CloudEvents 1.0](https://github.com/cloudevents/spec) JSON envelope around one of three closed
//! sets: [`Event`]s (facts that already happened), [`Command`]s (requests) and [`WorkResult`]s (what a worker says
//! about either). The broker's objects are described in [`topology`]; nothing here performs input or output.

pub mod cause;
pub mod code;
pub mod commands;
pub mod digest;
pub mod envelope;
pub mod events;
pub mod identity;
pub mod kind;
pub mod names;
pub mod rest;
pub mod results;
#[cfg(feature = "schema")]
pub mod schema;
pub mod topology;
pub mod trace;

pub use cause::Cause;
pub use code::Code;
pub use digest::Digest;
pub use envelope::{DecodeError, Envelope};
pub use identity::{Identity, MessageId, Source};
pub use kind::{Class, Command, Event, Kind, Message, WorkResult};
pub use names::{DeviceState, DeviceType, GroupName, Hostname, InterfaceName, Mac, RepositoryName, Serial};
pub use trace::TraceParent;
