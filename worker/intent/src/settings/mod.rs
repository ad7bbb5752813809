//! The rules of a settings repository (`docs/reference/sync-rules.md`): which devices a path concerns, and what a settings file may contain.

mod declarations;
mod defaults;
mod examine;
mod file;
mod groups_file;
mod keys;
mod nearest;
#[cfg(test)]
mod page;
mod rule;
mod shape;
mod unread;

pub use defaults::{completed, defaults};
pub(super) use examine::examine;
pub use groups_file::read as read_groups;
pub(crate) use nearest::nearest;
pub use rule::affected;
pub use unread::unread;

/// The file that defines the groups.
pub const GROUPS_FILE: &str = "global/groups.yml";

/// The file in which a repository declares keys of its own.
pub const DECLARATIONS_FILE: &str = "lockstep.yml";
