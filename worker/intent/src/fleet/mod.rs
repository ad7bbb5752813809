//! Finds the devices that a change of the intended configuration concerns. Pure: without messages, stores or git.
//!
//! - [`Affected`] describes them by type, platform, hostname and group.
//! - [`DeviceTypes`] are the types of a site, with the settings folders that concern them.
//! - [`Groups`] finds the primary group of a device.
//! - [`select`] selects them from an inventory.
//! - [`selects`] says which devices a sync run contacts.
//! - [`transitions`] is the table of what sets and clears the sync flag.

mod affected;
mod device_types;
mod group_error;
mod groups;
mod pattern;
mod selection;
mod sync_selection;
pub mod transitions;

pub use affected::Affected;
pub use device_types::{DeviceTypes, RESERVED_FOLDERS, TypeRule, TypeRuleError};
pub use group_error::GroupError;
pub use groups::{DEFAULT_GROUP, GroupRule, Groups, MatchError, Members};
pub use selection::{Candidate, Selection, select};
pub use sync_selection::{SkipReason, selects};
