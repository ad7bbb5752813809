//! Builds what renders configurations on a worker.

use std::sync::Arc;

use lockstep_render::TemplateSecrets;
use lockstep_sync::Renderer;
use lockstep_worker::rendering::{RenderingOptions, SecretSource, WorkerRenderer};
use lockstep_worker::repositories::Source;

use super::store::Store;
use crate::config::{Config, LateSecret};
use crate::offline;

/// The renderer of sync runs, from the clones of the repositories and the facts of the store.
pub(super) fn renderer(config: &Config, store: &Store, sources: &[Source]) -> Arc<dyn Renderer> {
    let render = &config.render;
    let options = RenderingOptions {
        undefined: render.undefined,
        bounds: render.bounds,
        cache: render.cache,
        secrets: Arc::new(ConfiguredSecrets(render.secrets.clone().into_iter().collect())),
    };
    let types = Arc::new(config.devices.types.clone());
    let (facts, fleet) = (store.render_facts.clone(), store.fleet.clone());
    Arc::new(WorkerRenderer::new(sources, types, facts, fleet, options))
}

/// The secrets of the configuration. Those in files are read each time, so that a rotated one is used at once.
#[derive(Debug)]
struct ConfiguredSecrets(Vec<(String, LateSecret)>);

impl SecretSource for ConfiguredSecrets {
    fn secrets(&self) -> Result<TemplateSecrets, String> {
        let secrets = self.0.iter().map(|(name, secret)| (name.as_str(), secret));
        offline::secrets(secrets).map_err(|error| format!("{error:#}"))
    }
}
