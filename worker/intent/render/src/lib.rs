//! Renders the configuration of a device: the settings that apply to it are merged and filtered, variables are laid over them, and the
//! templates of its platform are rendered as Python's Jinja2 renders them. Pure: files and facts come in as values.
//!
//! What CNaaS NMS renders from the same repositories is the model (`docs/rendering.md`).

mod device;
mod files;
mod filters;
mod jinja;
mod settings;
mod variables;

pub use device::{DeviceFacts, InterfaceFacts, LinkFacts, ManagementDomainFacts, PeerFacts};
pub use files::Files;
pub use jinja::{Bounds, TemplateError, TemplateSet, Undefined};
