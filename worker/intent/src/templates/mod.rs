//! The rules of a templates repository (`reference/cnaas.md` §2e): each folder at the top is a platform, and its `mapping.yml`
//! says which files the templates of a type consist of.

mod examine;
mod glob;
mod mapping;
mod rule;

pub(super) use examine::examine;
pub use mapping::{Mapping, TypeMapping};
pub use rule::{Mappings, Platform, affected};

/// The file in a platform's folder that says what its types consist of.
pub const MAPPING_FILE: &str = "mapping.yml";
