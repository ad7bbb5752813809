//! Renders the configuration of a device: the settings that apply to it are merged and filtered, variables are laid over them, and the
//! templates of its platform are rendered as Python's Jinja2 renders them. Pure: files and facts come in as values.
//!
//! What CNaaS NMS renders from the same repositories is the model (`docs/explanation/rendering.md`).

mod device;
mod files;
mod filters;
mod jinja;
mod json;
mod overlay;
mod platforms;
mod rendering;
mod settings;
mod variables;

pub use device::{
    DeviceFacts, InterfaceFacts, LinkFacts, ManagementDomainFacts, PeerFacts, domains_of, mlag_peer,
};
pub use files::Files;
pub use jinja::{Bounds, TemplateError, TemplateSet, Undefined};
pub use overlay::read_overlay;
pub use platforms::Platforms;
pub use rendering::{RenderError, Rendering};
pub use settings::{DeviceSettings, Origin, SettingsSet};
pub use variables::{Overlay, TemplateSecrets, VariableOrigin, Variables, VariablesError};
