//! Settings, variables and configurations of devices, from repositories that look like real ones.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be made fails the test that needs it"
)]

mod scene;
mod settings;
mod variables;
