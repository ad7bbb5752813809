//! The rules of a settings repository (`reference/cnaas.md` §2d): whom a path concerns, and what a settings file may say.

mod declarations;
mod examine;
mod file;
mod groups_file;
mod keys;
mod nearest;
mod rule;
mod shape;

pub(super) use examine::examine;
pub use groups_file::read as read_groups;
pub(super) use nearest::nearest;
pub use rule::affected;

/// Where groups are defined.
pub const GROUPS_FILE: &str = "global/groups.yml";

/// Where a repository declares keys of its own.
pub const DECLARATIONS_FILE: &str = "lockstep.yml";

/// The folders that hold settings; others are nobody's.
const FOLDERS: [&str; 8] = [
    "access", "core", "devices", "dist", "fabric", "firewall", "global", "groups",
];
