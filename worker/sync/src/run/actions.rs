use lockstep_execution::{StepFailure, StepResult};
use lockstep_protocol::counted;
use lockstep_store::SyncDiff;

use super::Run;
use super::compare::failure;
use super::contact::{WAIT, sessions};
use crate::decision::has_drifted;
use crate::ports::{Conclusion, RenderFailure};
use crate::report::{Stage, done, written};
use crate::sessions::described;

impl Run<'_> {
    /// Renders without contact. A named commit is one of the settings or of the templates: the repository that has it.
    pub(super) async fn render(&mut self) -> StepResult {
        self.report.stage = Stage::Render;
        let (settings, templates) = self.commits()?;
        let rendered = match self.arguments.commit.clone() {
            None => self.rendered(&settings, &templates).await.map_err(failure)?,
            Some(commit) => match self.rendered(&commit, &templates).await {
                Ok(rendered) => rendered,
                Err(of_settings) => match self.rendered(&settings, &commit).await {
                    Ok(rendered) => rendered,
                    Err(of_templates) => return Err(of_either(&of_settings, of_templates)),
                },
            },
        };
        let diff = SyncDiff {
            text: String::new(),
            masked: String::new(),
            hash: String::new(),
            score: 0.0,
            rendered: Some(rendered),
        };
        written(self.worker.services.runs.write_diff(&self.attempt, &diff).await)?;
        Ok(done(false, "rendered"))
    }

    /// Takes the running configuration for the one to measure changes against.
    pub(super) async fn accept_drift(&mut self) -> StepResult {
        let mut connection = self.connect().await?;
        // What waits for a confirmation is not what stays.
        self.clear_sessions(&mut *connection).await?;
        let running = self.read(&mut *connection).await?;
        self.report.drifted = has_drifted(self.device.configuration_hash.as_deref(), &running.hash);
        self.report.stage = Stage::Flag;
        if self.step.dry_run {
            return Ok(done(self.report.drifted, "it would be accepted"));
        }
        let conclusion = Conclusion::Accepted {
            configuration_hash: running.hash,
        };
        self.conclude(&conclusion).await?;
        Ok(done(
            self.report.drifted,
            "its running configuration is accepted; its flag stays as it is",
        ))
    }

    pub(super) async fn list_sessions(&mut self) -> StepResult {
        let mut connection = self.connect().await?;
        let pending = self.pending(&mut *connection).await?;
        let described: Vec<String> = pending.iter().map(described).collect();
        let mut message = format!("{} pending", counted(pending.len(), "session"));
        if !described.is_empty() {
            message = format!("{message}: {}", described.join("; "));
        }
        Ok(done(false, message))
    }

    pub(super) async fn abort_session(&mut self) -> StepResult {
        let name = self.arguments.session.clone().unwrap_or_default();
        let mut connection = self.connect().await?;
        let pending = self.pending(&mut *connection).await?;
        let Some(session) = pending.iter().find(|session| session.name == name) else {
            return Err(StepFailure::new(
                "no-such-session",
                format!("no session {name:?} is pending"),
            ));
        };
        let session = described(session);
        if self.step.dry_run {
            return Ok(done(true, format!("the session {session} would be aborted")));
        }
        let aborting = sessions(&mut *connection)?.abort(&name);
        self.step.until_stopped(Some(WAIT), aborting).await??;
        Ok(done(true, format!("the session {session} is aborted")))
    }
}

/// Why nothing was rendered from a commit that is of the one repository or of the other.
fn of_either(settings: &RenderFailure, templates: RenderFailure) -> StepFailure {
    StepFailure {
        message: format!("as a commit of the settings: {settings}; as one of the templates: {templates}"),
        ..failure(templates)
    }
}
