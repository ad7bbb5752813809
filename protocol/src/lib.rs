#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

pub mod access_limits;
mod audit_kind;
mod audit_outcome;
pub mod authority;
pub mod bounds;
pub mod cause;
pub mod cause_detail;
mod change_score;
pub mod code;
mod command_outcome;
mod command_summary;
pub mod commands;
mod counted;
mod dead_letter_state;
mod device_type;
pub mod digest;
mod encoded_result;
pub mod envelope;
pub mod events;
mod execution;
pub mod identity;
mod inbox_state;
pub mod internal;
mod json;
pub mod kind;
mod message_properties;
pub mod names;
pub mod rest;
pub mod results;
mod role;
mod run_cycle;
#[cfg(feature = "schema")]
pub mod schema;
mod secret_url;
mod source_pattern;
mod strict;
mod sync_target;
mod task_pattern;
mod text;
pub mod topology;
pub mod trace;
mod type_pattern;

pub use access_limits::AccessLimits;
pub use audit_kind::{AuditKind, AuditKindError};
pub use audit_outcome::{AuditOutcome, AuditOutcomeError};
pub use cause::Cause;
pub use cause_detail::{CauseCommit, CauseDetail, CausePath, ConcernedDevice};
pub use change_score::{device_change_score, total_change_score};
pub use code::Code;
pub use command_outcome::CommandOutcome;
pub use command_summary::CommandSummary;
pub use counted::counted;
pub use dead_letter_state::DeadLetterState;
pub use device_type::DeviceType;
pub use digest::Digest;
pub use encoded_result::{EncodedResult, NotAResult};
pub use envelope::{DecodeError, Envelope};
pub use execution::{ElementOutcome, ElementState, ExecutionState, UnknownState};
pub use identity::{Identity, MessageId, MessageKey, Source};
pub use inbox_state::InboxState;
pub use kind::{Class, Command, Event, Internal, Kind, Message, WorkResult};
pub use message_properties::MessageProperties;
pub use names::{
    CommitId, DeviceState, GroupName, Hostname, InterfaceAddress, InterfaceName, Mac, NameError,
    RepositoryName, Serial,
};
pub use role::{Role, RoleError};
pub use run_cycle::{EntityType, Level, Stage};
pub use smol_str::SmolStr;

pub use secret_url::{SecretUrl, mask_url, mask_urls};
pub use source_pattern::{SourcePattern, SourcePatternError};
pub use sync_target::SyncTarget;
pub use task_pattern::{TaskPattern, TaskPatternError};
pub use trace::TraceParent;
pub use type_pattern::{TypePattern, TypePatternError};
