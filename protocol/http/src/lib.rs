#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

pub mod binding;
mod body_limiter;
mod concurrency_limiter;
mod log_limiter;
mod metrics;
mod problem;
mod read_scope;
mod readiness;
mod routes;
mod server;
mod submission;
mod token;
mod trace;

pub use body_limiter::{BodyLimiter, BufferedBody};
pub use concurrency_limiter::{ConcurrencyLimiter, admit};
pub use log_limiter::LogLimiter;
pub use metrics::with_metrics;
pub use problem::{ProblemResponse, unknown_path, wrong_method};
pub use read_scope::{ReadScope, ReadScopeError};
pub use readiness::Readiness;
pub use routes::routes;
pub use server::{AddressRange, AddressRangeError, GoesOn, Peer, ServeLimits, TrustedProxies, serve};
pub use submission::{Receipt, Submission, Takes, confirmed};
pub use token::{KnowsTokens, Operator, Token, Tokens, is_token_name};
pub use trace::trace_of;
