//! The settings that apply to one device, merged from the files of one commit.

mod layers;
mod membership;
mod set;
mod tree;

pub use set::{DeviceSettings, Origin, SettingsSet};
pub(crate) use set::{EVPN_PEERS, entries, peer_names};
pub(crate) use tree::value as of_yaml;
