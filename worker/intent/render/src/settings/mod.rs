//! The settings that apply to one device, merged from the files of one commit.

mod layers;
mod membership;
mod set;
mod tree;

pub(crate) use set::entries;
pub use set::{DeviceSettings, Origin, SettingsSet};
pub(crate) use tree::value as of_yaml;
