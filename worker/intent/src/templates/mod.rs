//! The rules of a templates repository (`docs/reference/sync-rules.md`): each folder at the top is a platform, and its `mapping.yml` lists the
//! templates of each device type.

mod examine;
mod glob;
mod mapping;
mod rule;

pub(super) use examine::examine;
pub use mapping::{Mapping, TypeMapping};
pub use rule::{Mappings, Platform, affected};

/// The file in a platform's folder that lists the templates of each device type.
pub const MAPPING_FILE: &str = "mapping.yml";
