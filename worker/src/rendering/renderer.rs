use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_git::Mirror;
use lockstep_intent::RepositoryKind;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::{CommitId, Hostname};
use lockstep_render::{
    Bounds, DeviceFacts, Platforms, RenderError, Rendering, SettingsSet, TemplateSecrets, Undefined,
};
use lockstep_store::{DeviceId, Fleet, RenderFacts, StoreError};
use lockstep_sync::{RenderFailure, Renderer};
use secrecy::SecretString;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::cache::Cache;
use super::{commits, facts};
use crate::repositories::Source;
use crate::runtime::chain;

/// What is kept of a commit needs about so many times the bytes of its files.
const MEMORY_OF_FILES: usize = 10;
/// How long the fetched tip of another branch of the templates is used.
const TIP_AGE: Duration = Duration::from_mins(1);
/// The most other branches of the templates.
const MOST_BRANCHES: usize = 100;

/// Gives the secrets that templates may use.
pub trait SecretSource: Debug + Send + Sync + 'static {
    /// The secrets as they are now. Files may be read, so it may take some milliseconds.
    ///
    /// # Errors
    /// Why they cannot be read, without any of them.
    fn secrets(&self) -> Result<TemplateSecrets, String>;
}

/// How configurations are rendered.
#[derive(Clone, Debug)]
pub struct RenderingOptions {
    /// What an undefined variable is.
    pub undefined: Undefined,
    /// The bounds of one configuration.
    pub bounds: Bounds,
    /// The most bytes of memory for parsed files, by estimate.
    pub cache: usize,
    /// The secrets.
    pub secrets: Arc<dyn SecretSource>,
}

/// Renders configurations from commits of the configured repositories.
#[derive(Debug)]
pub struct WorkerRenderer {
    settings: Option<Mirror>,
    templates: Option<Mirror>,
    types: Arc<DeviceTypes>,
    facts: Arc<dyn RenderFacts>,
    fleet: Arc<dyn Fleet>,
    options: RenderingOptions,
    settings_sets: Cache<SettingsSet>,
    template_sets: Cache<Platforms>,
    /// The tips of other branches of the templates, and when they were fetched.
    tips: Mutex<HashMap<String, (CommitId, Instant)>>,
    /// One place for each processor.
    places: Arc<Semaphore>,
}

impl WorkerRenderer {
    /// A renderer for these repositories.
    pub fn new(
        sources: &[Source],
        types: Arc<DeviceTypes>,
        facts: Arc<dyn RenderFacts>,
        fleet: Arc<dyn Fleet>,
        options: RenderingOptions,
    ) -> Self {
        let mirror = |kind| {
            let source = sources.iter().find(|source| source.kind == kind);
            source.map(|source| source.mirror.clone())
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            settings: mirror(RepositoryKind::Settings),
            templates: mirror(RepositoryKind::Templates),
            types,
            facts,
            fleet,
            settings_sets: Cache::new(options.cache / 2),
            template_sets: Cache::new(options.cache / 2),
            options,
            tips: Mutex::default(),
            places: Arc::new(Semaphore::new(processors)),
        }
    }

    async fn settings_set(&self, commit: &CommitId) -> Result<Arc<SettingsSet>, RenderFailure> {
        let mirror = configured(self.settings.as_ref(), RepositoryKind::Settings)?;
        let load = async {
            let files = commits::files(mirror, commit, SettingsSet::reads).await?;
            let bytes = files.bytes().saturating_mul(MEMORY_OF_FILES);
            Ok((SettingsSet::new(files, (*self.types).clone()), bytes))
        };
        self.settings_sets.get(commit.as_str(), load).await
    }

    /// The templates of a commit, or of the tip of another branch.
    async fn platforms(
        &self,
        commit: &CommitId,
        branch: Option<&str>,
    ) -> Result<Arc<Platforms>, RenderFailure> {
        let main = configured(self.templates.as_ref(), RepositoryKind::Templates)?;
        let (mirror, commit) = match branch.filter(|branch| *branch != main.remote().branch()) {
            None => (main.clone(), commit.clone()),
            Some(branch) => {
                let mirror = main.of_branch(branch).map_err(|error| {
                    RenderFailure::Invalid(format!("templates_branch of a group in the settings: {error}"))
                })?;
                let tip = self.tip(branch, &mirror).await?;
                (mirror, tip)
            }
        };
        let load = async {
            let files = commits::files(&mirror, &commit, |_| true).await?;
            let bytes = files.bytes().saturating_mul(MEMORY_OF_FILES);
            let platforms = Platforms::new(files, (*self.types).clone(), self.options.undefined);
            Ok((platforms, bytes))
        };
        self.template_sets.get(commit.as_str(), load).await
    }

    /// The tip of another branch of the templates, at most [`TIP_AGE`] old.
    async fn tip(&self, branch: &str, mirror: &Mirror) -> Result<CommitId, RenderFailure> {
        // Held during the fetch, so that a branch is fetched once for all that ask.
        let mut tips = self.tips.lock().await;
        if let Some((tip, fetched)) = tips.get(branch)
            && fetched.elapsed() < TIP_AGE
        {
            return Ok(tip.clone());
        }
        if !tips.contains_key(branch) && tips.len() >= MOST_BRANCHES {
            return Err(RenderFailure::Invalid(format!(
                "groups of the settings name more than {MOST_BRANCHES} branches of the templates; merge some"
            )));
        }
        let tip = commits::fetch(mirror).await?;
        tips.insert(branch.to_owned(), (tip.clone(), Instant::now()));
        Ok(tip)
    }

    /// What is known about a device.
    async fn device(&self, device: DeviceId) -> Result<DeviceFacts, RenderFailure> {
        let found = self
            .facts
            .render_facts(device)
            .await
            .map_err(|error| unavailable(&error))?;
        let gone = || RenderFailure::Invalid(format!("there is no device {} any more", device.0));
        found.map(facts::device_facts).ok_or_else(gone)
    }

    /// Adds a device that the settings of another one name, if there is one.
    async fn add_named(&self, device: &mut DeviceFacts, hostname: &Hostname) -> Result<(), RenderFailure> {
        let found = self
            .fleet
            .device(hostname)
            .await
            .map_err(|error| unavailable(&error))?;
        let Some(found) = found else { return Ok(()) };
        let found = self
            .facts
            .render_facts(found.id)
            .await
            .map_err(|error| unavailable(&error))?;
        device.named.extend(found.map(|found| facts::peer(found.device)));
        Ok(())
    }

    /// Runs work on a thread that may be busy, one for each processor.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RenderFailure> + Send + 'static,
    ) -> Result<T, RenderFailure> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await
            .map_err(|error| RenderFailure::Unavailable(format!("rendering ended: {error}")))?
    }
}

#[async_trait]
impl Renderer for WorkerRenderer {
    async fn render(
        &self,
        device: DeviceId,
        settings: &CommitId,
        templates: &CommitId,
    ) -> Result<String, RenderFailure> {
        let mut device = self.device(device).await?;
        let set = self.settings_set(settings).await?;
        let (first, hostname) = (device.clone(), device.hostname.clone());
        let of_settings = Arc::clone(&set);
        let (branch, named) = self
            .on_thread(move || {
                let invalid = |problems| failure(&RenderError::Files(problems));
                let branch = of_settings.templates_branch(&hostname).map_err(invalid)?;
                let named = of_settings.unknown_peers(&first).map_err(invalid)?;
                Ok((branch.map(str::to_owned), named))
            })
            .await?;
        for hostname in &named {
            self.add_named(&mut device, hostname).await?;
        }
        let platforms = self.platforms(templates, branch.as_deref()).await?;
        let (source, bounds) = (Arc::clone(&self.options.secrets), self.options.bounds);
        self.on_thread(move || {
            let secrets = source.secrets().map_err(RenderFailure::Unavailable)?;
            let rendering = Rendering {
                settings: &set,
                templates: &platforms,
                secrets: &secrets,
                overlay: None,
                bounds,
            };
            rendering.render(&device).map_err(|error| failure(&error))
        })
        .await
    }

    fn secrets(&self) -> Vec<SecretString> {
        // A secret that cannot be read is in no configuration either.
        let secrets = self.options.secrets.secrets().unwrap_or_default();
        secrets.values().map(SecretString::from).collect()
    }
}

fn configured(mirror: Option<&Mirror>, kind: RepositoryKind) -> Result<&Mirror, RenderFailure> {
    mirror.ok_or_else(|| {
        RenderFailure::Unavailable(format!(
            "no {kind} repository is configured on this worker; set repositories.{kind}.url on every worker that runs syncs"
        ))
    })
}

fn failure(error: &RenderError) -> RenderFailure {
    RenderFailure::Invalid(error.to_string())
}

fn unavailable(error: &StoreError) -> RenderFailure {
    RenderFailure::Unavailable(format!("the store cannot be read: {}", chain(error)))
}
