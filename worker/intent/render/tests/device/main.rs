//! Settings, variables and configurations of devices, from repositories that look like real ones.

mod scene;
mod settings;
mod variables;
