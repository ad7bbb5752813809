//! The intended configuration: reads the trees of two commits, finds what changed between them, checks whether the new tree is
//! valid, and finds the devices that the change concerns. Pure: the caller runs git and keeps the listings.
//! `docs/reference/sync-rules.md` has the rules.
//!
//! ```text
//! git ls-tree -r -z --full-tree OLD, NEW → Listing → Change → examine ⇄ ReadObjects: contents by object id
//!                                                                 ↓
//!                                       Valid(ChangeImpact) or Invalid(problems with file, line and column)
//! ```
//!
//! - [`Listing`] is a tree, [`ChangedPaths`] the difference of two. A rename is a removal and an addition, so both paths count.
//! - [`examine`] checks a change; [`settings`] and [`templates`] have the rules of each repository.
//! - [`bounds`] has the limits: a repository may hold anything that somebody can push. [`Cancellation`] ends the work early.

pub mod bounds;
mod cancellation;
mod change;
mod changed;
#[cfg(test)]
mod cnaas_history;
mod concerned;
mod contents;
mod examine;
pub mod fleet;
mod impact;
mod kind;
mod links;
mod listing;
mod object;
mod path;
mod place;
mod problem;
mod read_file;
pub mod settings;
pub mod templates;
#[cfg(test)]
mod tests;
mod text_files;
mod tree_reader;
pub mod yaml;

pub use cancellation::{Cancellation, Cancelled};
pub use change::Change;
pub use changed::ChangedPaths;
pub use concerned::ConcernedPaths;
pub use contents::{ExamineError, ReadObjects};
pub use examine::{Examination, examine};
pub use impact::ChangeImpact;
pub use kind::RepositoryKind;
pub use listing::{Entry, Listing, ListingError, Mode};
pub use object::{ObjectError, ObjectId};
pub use path::display_path;
pub use problem::IntentProblem;
pub use text_files::text_files;
pub use yaml::{AmbiguousWord, ambiguous_words};
