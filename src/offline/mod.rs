//! Renders configurations without a running system: from folders or clones of the repositories, and an inventory.

mod folder;
mod surroundings;

pub(crate) use folder::files;
pub(crate) use surroundings::Surroundings;

use std::sync::Arc;

use anyhow::Context;
use lockstep_render::{
    Bounds, DeviceFacts, Files, Overlay, Platforms, RenderError, Rendering, SettingsSet, TemplateSecrets,
};
use secrecy::ExposeSecret;

use crate::config::{DevicesConfig, LateSecret, RenderConfig};
use crate::local_file;

/// What configurations are rendered from.
#[derive(Debug)]
pub(crate) struct Offline {
    pub(crate) settings: SettingsSet,
    pub(crate) templates: Platforms,
    secrets: TemplateSecrets,
    overlay: Option<Overlay>,
    bounds: Bounds,
}

impl Offline {
    pub(crate) fn new(
        settings: Arc<Files>,
        templates: Arc<Files>,
        overlay: Option<Overlay>,
        render: &RenderConfig,
        devices: &DevicesConfig,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            settings: SettingsSet::new(settings, devices.types.clone()),
            templates: Platforms::new(templates, devices.types.clone(), render.undefined),
            secrets: secrets(
                render
                    .secrets
                    .iter()
                    .map(|(name, secret)| (name.as_str(), secret)),
            )?,
            overlay,
            bounds: render.bounds,
        })
    }

    pub(crate) fn rendering(&self) -> Rendering<'_> {
        Rendering {
            settings: &self.settings,
            templates: &self.templates,
            secrets: &self.secrets,
            overlay: self.overlay.as_ref(),
            bounds: self.bounds,
        }
    }

    /// The text with the secrets masked that templates may use.
    pub(crate) fn masked(&self, text: &str) -> String {
        let secrets = self.secrets.values().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    /// The configuration of a device.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub(crate) fn render(
        &self,
        mut device: DeviceFacts,
        surroundings: &Surroundings,
    ) -> Result<String, RenderError> {
        surroundings.add_named(&mut device, &self.settings)?;
        self.rendering().render(&device)
    }
}

/// The configured secrets, as they are now.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn secrets<'a>(
    configured: impl IntoIterator<Item = (&'a str, &'a LateSecret)>,
) -> anyhow::Result<TemplateSecrets> {
    let mut secrets = Vec::new();
    for (name, secret) in configured {
        let text = match secret {
            LateSecret::Fixed(secret) => secret.expose_secret().to_owned(),
            LateSecret::File(path) => {
                let contents = local_file::read(path, local_file::Origin::Named)
                    .with_context(|| format!("cannot read render.secrets.{name}.secret_file"))?;
                contents.text.trim_end().to_owned()
            }
        };
        secrets.push((name.to_owned(), text));
    }
    Ok(TemplateSecrets::new(secrets))
}
