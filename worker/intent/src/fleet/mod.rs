//! The fleet, as pure values: whom a change of the intended configuration concerns. It knows nothing of messages, stores or git.
//!
//! - [`Affected`] says whom in general: types, platforms, hostnames, groups.
//! - [`Groups`] says which primary group a device has.
//! - [`select`] finds the devices.

mod affected;
mod groups;
mod selection;

pub use affected::Affected;
pub use groups::{DEFAULT_GROUP, GroupError, GroupRule, Groups, MatchError, Members};
pub use selection::{Candidate, Selection, select};
