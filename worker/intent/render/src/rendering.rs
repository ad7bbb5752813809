use lockstep_intent::IntentProblem;
use lockstep_intent::templates::MAPPING_FILE;
use lockstep_protocol::{DeviceType, Hostname};
use thiserror::Error;

use crate::{
    Bounds, DeviceFacts, Overlay, Platforms, SettingsSet, TemplateError, TemplateSecrets, Variables,
    VariablesError,
};

/// What configurations are rendered from, for many devices.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// The settings.
    pub settings: &'a SettingsSet,
    /// The templates.
    pub templates: &'a Platforms,
    /// The secrets that templates may use.
    pub secrets: &'a TemplateSecrets,
    /// What is laid over all variables.
    pub overlay: Option<&'a Overlay>,
    /// The bounds of rendering the configuration of one device.
    pub bounds: Bounds,
}

/// A configuration cannot be rendered. The text has the place and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenderError {
    /// Files of the settings, or mappings of the templates, are not valid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Files(Vec<IntentProblem>),
    /// The variables of the device cannot be made.
    #[error(transparent)]
    Variables(#[from] VariablesError),
    /// The device has no platform.
    #[error("{0}: it has no platform, whose folder has its templates; import it")]
    NoPlatform(Hostname),
    /// The platform has no templates.
    #[error(
        "{hostname}: there is no {platform}/{MAPPING_FILE} in the templates; there are mappings of {known}"
    )]
    UnknownPlatform {
        /// The device.
        hostname: Hostname,
        /// Its platform.
        platform: String,
        /// The platforms that have one.
        known: String,
    },
    /// The platform has no template for the type of the device.
    #[error("{platform}/{MAPPING_FILE}: has no entrypoint for {device_type}, the type of {hostname}; add it")]
    NoEntrypoint {
        /// The device.
        hostname: Hostname,
        /// Its platform.
        platform: String,
        /// Its type.
        device_type: DeviceType,
    },
    /// A template cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl Rendering<'_> {
    /// The variables of a device.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn variables(&self, device: &DeviceFacts) -> Result<Variables, RenderError> {
        let settings = self.settings.of_device(device).map_err(RenderError::Files)?;
        let groups = self.settings.groups(&device.hostname, &device.groups);
        let groups = groups.map_err(RenderError::Files)?;
        let variables = Variables::new(
            device,
            self.settings,
            &settings,
            &groups,
            self.secrets,
            self.overlay,
        );
        Ok(variables?)
    }

    /// The configuration of a device.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn render(&self, device: &DeviceFacts) -> Result<String, RenderError> {
        let hostname = &device.hostname;
        let no_platform = || RenderError::NoPlatform(hostname.clone());
        let platform = device.platform.as_deref().ok_or_else(no_platform)?;
        let found = self
            .templates
            .get(platform)
            .ok_or_else(|| RenderError::UnknownPlatform {
                hostname: hostname.clone(),
                platform: platform.to_owned(),
                known: match self.templates.names().collect::<Vec<_>>() {
                    names if names.is_empty() => "no platform".to_owned(),
                    names => names.join(", "),
                },
            })?;
        let found = found.map_err(|problems| RenderError::Files(problems.to_vec()))?;
        let no_entrypoint = || RenderError::NoEntrypoint {
            hostname: hostname.clone(),
            platform: platform.to_owned(),
            device_type: device.device_type.clone(),
        };
        let entrypoint = found.entrypoint(&device.device_type).ok_or_else(no_entrypoint)?;
        let variables = self.variables(device)?.value();
        Ok(found.templates.render(entrypoint, &variables, self.bounds)?)
    }
}
