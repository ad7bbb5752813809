//! The intended configuration: what is in the tree of a commit, what changed between two of them, whether it is sound, and
//! whom it concerns. Pure: the caller runs git and keeps the listings.
//!
//! ```text
//! git ls-tree -r -z --full-tree OLD, NEW → Listing → Change → examine ⇄ contents by object id
//!                                                                 ↓
//!                                       Sound(Judgement) or Broken(all that is wrong, with file, line and column)
//! ```
//!
//! - [`Listing`] is a tree, [`ChangedPaths`] the difference of two: renames are a removal and an addition, so both sides count.
//! - [`examine`] judges a change; [`settings`] and [`templates`] hold the rules of each repository.

mod change;
mod changed;
#[cfg(test)]
mod cnaas_history;
mod contents;
mod examine;
pub mod fleet;
mod kind;
mod links;
mod listing;
mod object;
mod path;
mod problem;
mod read_file;
pub mod settings;
pub mod templates;
#[cfg(test)]
mod tests;
mod tree_reader;
mod yaml;

pub use change::Change;
pub use changed::ChangedPaths;
pub use contents::{Content, Contents, MOST_BYTES};
pub use examine::{Examination, Judgement, Needed, examine};
pub use kind::RepositoryKind;
pub use listing::{Entry, Listing, ListingError, Mode};
pub use object::{ObjectError, ObjectId};
pub use path::shown;
pub use problem::IntentProblem;
