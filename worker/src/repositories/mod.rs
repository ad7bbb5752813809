//! Processes the repositories lane: fetches a repository, examines what changed since the accepted commit, and flags the devices
//! concerned.
//!
//! The target is always the tip of the configured branch as it was fetched, never what a message names: webhooks arrive late,
//! twice, in the wrong order, or not at all. Messages only trigger a refresh. The change is the difference of two listings: that
//! of the accepted commit, which the store keeps, and that of the tip. The commits between them do not matter, and the clone need
//! not have the accepted commit any more. Flags, accepted commit and inbox rows commit together, under a lease.
//!
//! - [`RepositoryRunner`] processes messages.
//! - [`watch`] polls remotes, because a webhook may be lost.
//! - `classification` decides whether a message needs a refresh; `answer` builds the results; both are pure.

mod answer;
mod classification;
mod examination;
mod explanation;
mod failure;
mod group_rules;
mod message;
mod primary_groups;
mod refresh;
mod runner;
mod source;
mod watch;

pub(crate) use examination::GitObjects;
pub use message::RepositoryMessage;
pub use runner::RepositoryRunner;
pub use source::Source;
pub use watch::{WatchContext, watch};
