//! What the provider of syncs needs of the worker: flags that are written by the rules of messages.

mod flags;

pub use flags::StoredFlags;
