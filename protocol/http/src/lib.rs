#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

mod authority;
pub mod binding;
mod gatekeeper;
mod problem;
mod readiness;
mod server;
mod submission;
mod token;

pub use authority::{TypePattern, TypePatternError};
pub use gatekeeper::{Gatekeeper, admit};
pub use problem::{Answer, unknown_path, wrong_method};
pub use readiness::Readiness;
pub use server::{ServeLimits, serve};
pub use submission::{Receipt, Submission, Takes, confirmed, new_trace};
pub use token::{KnowsTokens, Operator, Token, Tokens};
