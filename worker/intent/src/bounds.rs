//! How much of a repository an examination reads and keeps. What exceeds a bound is a problem of the commit, which is refused.
//! `docs/explanation/security.md` lists them.

/// The most paths in a tree.
pub const MOST_PATHS: usize = 250_000;
/// The most bytes of a listing.
pub const MOST_LISTING_BYTES: usize = 64 * 1024 * 1024;
/// The most bytes of a path.
pub const MOST_PATH_BYTES: usize = 1024;
/// The most folders in a path.
pub const MOST_FOLDERS: usize = 64;
/// The most symbolic links in a tree.
pub const MOST_LINKS: usize = 10_000;
/// The most bytes of the target of a link; Linux has the same limit.
pub const MOST_TARGET_BYTES: u64 = 4096;
/// The most links on the way of one path; Linux has the same limit.
pub const MOST_HOPS: usize = 40;
/// The most folders and links on the way of one path.
pub const MOST_STEPS_OF_PATH: usize = 256;
/// The most further paths that links to folders give to changed files.
pub const MOST_ALIASES: usize = 250_000;

/// The most bytes of a file that is read.
pub const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// The most bytes that one examination reads. Files with the same content count once.
pub const MOST_TOTAL_BYTES: u64 = 1024 * 1024 * 1024;
/// The most bytes of the files of one commit from which configurations are rendered.
pub const MOST_RENDERED_BYTES: u64 = 256 * 1024 * 1024;
/// The most bytes that are read at a time, unless a single file has more.
pub(crate) const MOST_BYTES_AT_A_TIME: u64 = 8 * 1024 * 1024;
/// The most objects that are read at a time.
pub(crate) const MOST_OBJECTS_AT_A_TIME: usize = 2000;

/// The deepest nesting of lists and maps in a file.
pub const MOST_DEPTH: usize = 64;
/// The most values in a file; an alias counts as all that it stands for.
pub const MOST_NODES: usize = 500_000;
/// The most bytes of a key.
pub const MOST_KEY_BYTES: usize = 256;
/// The most bytes of a text.
pub const MOST_TEXT_BYTES: usize = 256 * 1024;

/// After so many problems of a file, the rest is left out.
pub const MOST_PROBLEMS_OF_FILE: usize = 100;
/// After so many problems, no further file is checked.
pub const MOST_PROBLEMS: usize = 1000;
/// The most characters of the reason, and of the path, of a problem.
pub const MOST_PROBLEM_CHARACTERS: usize = 500;

/// The most groups in `groups.yml`.
pub const MOST_GROUPS: usize = 5000;
/// The most bytes of the regex of a group.
pub const MOST_PATTERN_BYTES: usize = 8192;
/// The most bytes of a compiled regex, and of each part of one that needs back-tracking.
pub const MOST_COMPILED_BYTES: usize = 256 * 1024;
/// The most back-tracking steps of one regex on one hostname. Python has no such limit and hangs.
pub const MOST_STEPS_OF_MATCH: usize = 100_000;
/// The most steps of matching the groups with all devices for one examination, a few seconds of work. A match without back-tracking is about one.
pub const MOST_STEPS_OF_MATCHING: u64 = 100_000_000;

/// The most keys that `lockstep.yml` declares.
pub const MOST_DECLARED_KEYS: usize = 500;
/// The most platforms of a templates repository.
pub const MOST_PLATFORMS: usize = 1000;
/// The most dependencies of a device type on a platform.
pub const MOST_DEPENDENCIES: usize = 1000;
/// The most steps of matching changed paths with the patterns of all `mapping.yml` files, less than a second of work.
pub const MOST_STEPS_OF_PATTERNS: u64 = 100_000_000;
