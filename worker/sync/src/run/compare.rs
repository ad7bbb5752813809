use lockstep_device::DeviceConnection;
use lockstep_execution::StepFailure;
use lockstep_protocol::{CommitId, device_change_score};
use lockstep_store::SyncDiff;

use super::Run;
use super::contact::{WAIT, sessions};
use crate::hash::difference_hash;
use crate::masking::mask;
use crate::ports::RenderFailure;
use crate::report::{Stage, stored, written};
use crate::sessions::session_name;

impl Run<'_> {
    /// Loads what the device should have in a session, and keeps how it differs. False if it does not.
    pub(super) async fn compare(
        &mut self,
        connection: &mut dyn DeviceConnection,
    ) -> Result<bool, StepFailure> {
        let intended = self.intended().await?;
        self.report.stage = Stage::Load;
        let session = session_name(&self.binding, &self.attempt);
        let session = session.map_err(|error| StepFailure::new("no-session-name", error.to_string()))?;
        self.open = Some(session.clone());
        let loading = sessions(connection)?.load(&session, &intended);
        // The driver has a bound for it, and so has the element.
        self.step.until_stopped(None, loading).await??;
        self.report.stage = Stage::Difference;
        let comparing = sessions(connection)?.difference(&session);
        let mut text = self.step.until_stopped(Some(WAIT), comparing).await??;
        if text.trim().is_empty() {
            text = String::new();
        }
        let score = if text.is_empty() {
            0.0
        } else {
            device_change_score(&intended, &text)
        };
        drop(intended);
        let services = &self.worker.services;
        let key = stored(services.runs.diff_key().await)?;
        let diff = SyncDiff {
            masked: mask(&text, &services.renderer.secrets()),
            hash: difference_hash(&key, &text),
            text,
            score,
            rendered: None,
        };
        written(services.runs.write_diff(&self.attempt, &diff).await)?;
        let differs = !diff.text.is_empty();
        self.report.change_score = Some(score);
        self.report.hash = Some(diff.hash);
        self.report.difference = Some(diff.masked);
        Ok(differs)
    }

    /// What the device should have: its intended configuration, or the one that it had before a push.
    async fn intended(&mut self) -> Result<String, StepFailure> {
        self.report.stage = Stage::Render;
        if let Some(element) = self.binding.restores {
            let previous = stored(self.worker.services.runs.previous_configuration(element).await)?;
            let gone = "the configuration from before the push is not kept any more, or nothing was pushed";
            return previous.ok_or_else(|| StepFailure::new("nothing-to-restore", gone));
        }
        let (settings, templates) = self.commits()?;
        self.rendered(&settings, &templates).await.map_err(failure)
    }

    /// The commits that the element is bound to.
    pub(super) fn commits(&self) -> Result<(CommitId, CommitId), StepFailure> {
        let missing = |repository: &str| {
            let message = format!(
                "no commit of the repository {repository} was accepted yet: `lockstep repositories accept {repository} COMMIT`"
            );
            StepFailure::new("no-commit", message)
        };
        let settings = self.binding.settings.clone().ok_or_else(|| missing("settings"))?;
        let templates = self
            .binding
            .templates
            .clone()
            .ok_or_else(|| missing("templates"))?;
        Ok((settings, templates))
    }

    /// The configuration that is rendered from these commits.
    pub(super) async fn rendered(
        &self,
        settings: &CommitId,
        templates: &CommitId,
    ) -> Result<String, RenderFailure> {
        let rendering = self
            .worker
            .services
            .renderer
            .render(self.binding.device, settings, templates);
        let rendered = self.step.until_stopped(None, rendering).await;
        rendered.unwrap_or_else(|stopped| Err(RenderFailure::Unavailable(stopped.message)))
    }
}

/// Why nothing was rendered.
pub(super) fn failure(failure: RenderFailure) -> StepFailure {
    match failure {
        RenderFailure::Invalid(reason) => StepFailure::new("render", reason),
        RenderFailure::Unavailable(reason) => StepFailure::new("render-unavailable", reason),
    }
}
