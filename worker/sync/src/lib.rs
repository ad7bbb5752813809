//! The provider `sync`: brings a device in lockstep with its intended configuration, and sets its flag only if that is true.
//!
//! The run of one device: superseded? → drift? → render → difference → (dry run: stop) → intent row → commit with a timer → read back
//! over a new connection → lease still held? → confirm → verify → flag. It knows no messages and no queues.

mod arguments;
mod decision;
mod freeze;
mod hash;
mod masking;
mod options;
mod ports;
mod properties;
mod provider;
mod report;
mod run;
mod sessions;

pub use freeze::{Freeze, FreezeWindow, FreezeWindows, WindowKind};
pub use hash::configuration_hash;
pub use masking::mask;
pub use options::{SyncOptions, SyncServices};
pub use ports::{Conclusion, RenderFailure, Renderer, SyncFlags};
pub use provider::Sync;
