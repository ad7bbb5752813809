//! The repositories lane: fetches a repository, judges what changed since the accepted commit, and flags whom it concerns.
//!
//! The target is always the tip of the configured branch as it was fetched, never what a message says: webhooks come late,
//! twice, in the wrong order, or not at all. Messages only say when to look. What changed is the difference of two listings,
//! that of the accepted commit (kept in the store) and that of the tip, so it does not matter what lies between them, nor
//! whether the clone still knows the accepted commit. Flags, accepted commit and inbox rows commit together, under a lease.
//!
//! - [`RepositoryRunner`] works messages.
//! - [`watch`] looks at remotes now and then, for webhooks that never came.
//! - `classification` says what needs no look; `answer` says what is said; both are pure.

mod answer;
mod classification;
mod message;
mod refresh;
mod runner;
mod source;
mod watch;

pub use message::RepositoryMessage;
pub use runner::RepositoryRunner;
pub use source::Source;
pub use watch::{WatchContext, watch};
