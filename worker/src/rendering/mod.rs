//! Renders intended configurations: reads the files of a commit from the clone, and what is known about a device from the store.
//!
//! - [`WorkerRenderer`] implements the renderer of sync runs.
//! - `commits` reads the files of a commit; a commit that the clone lacks is fetched.
//! - `cache` keeps what was parsed of the commits in use; each is read once, whoever asks.
//! - `facts` maps what the store knows to what rendering needs.

mod cache;
mod commits;
mod facts;
mod renderer;

pub use renderer::{RenderingOptions, SecretSource, WorkerRenderer};
