#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

mod conversation;
mod description;
mod document;
mod process;
mod process_error;
mod program;
mod provider;
mod schema;
mod streams;
mod supervisor;
mod text;

pub use description::{Description, DescriptionError, MAX_DESCRIPTION, StepName};
pub use document::PROTOCOL;
pub use process_error::ProcessError;
pub use program::{EnvironmentValue, Program, ProgramError, ProgramLimits};
pub use provider::External;
pub use schema::schema;
pub use supervisor::supervise_if_asked;
