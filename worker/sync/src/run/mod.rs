//! The run of one device (docs/how-to/sync.md).

mod actions;
mod compare;
mod contact;
mod push;

use lockstep_device::{DeviceConnection, SessionName};
use lockstep_execution::{StepFailure, StepResult, StepRun};
use lockstep_protocol::commands::SyncAction;
use lockstep_protocol::{Cause, ElementState};
use lockstep_store::{ElementOwner, RunningElement, SyncBinding, SyncIntent, SyncedDevice};
use lockstep_telemetry::sync::SyncMetrics;

use crate::arguments::Arguments;
use crate::decision::{Left, LeftAlone, cause_of_failure, has_drifted, left_alone, left_of};
use crate::freeze::{Freeze, WindowKind};
use crate::ports::Conclusion;
use crate::provider::Worker;
use crate::report::{LEASE_LOST, Report, Stage, done, frozen, skipped, stored, written};
use contact::Running;

/// Runs the step of one device.
pub(crate) async fn run(worker: &Worker, step: &StepRun<'_>) -> StepResult {
    let (result, stage) = match Run::begin(worker, step).await {
        Ok(mut run) => {
            let result = run.act().await;
            if result.is_ok() {
                run.report.stage = Stage::Done;
            }
            (run.report.attach(result), run.report.stage)
        }
        Err(failure) => (Err(failure), Stage::Begin),
    };
    count(&worker.metrics, &result, stage);
    result
}

fn count(metrics: &SyncMetrics, result: &StepResult, stage: Stage) {
    match result {
        Ok(done) if done.changed => metrics.ended("changed"),
        Ok(_) => metrics.ended("unchanged"),
        Err(failure) if failure.parked.is_some() => metrics.ended("parked"),
        Err(failure) if failure.state == ElementState::Filtered => metrics.ended("skipped"),
        Err(_) => {
            metrics.ended("failed");
            metrics.failed(stage.as_str());
        }
    }
}

/// A run, as far as it came.
struct Run<'a> {
    worker: &'a Worker,
    step: &'a StepRun<'a>,
    arguments: Arguments,
    attempt: RunningElement,
    binding: SyncBinding,
    device: SyncedDevice,
    report: Report,
    /// The session that is aborted when the run ends: none is open, or it is confirmed now and must not be.
    open: Option<SessionName>,
    /// Whether an intent of this run may be in the store.
    intends: bool,
    /// Whether the session may be committed.
    committed: bool,
}

impl<'a> Run<'a> {
    async fn begin(worker: &'a Worker, step: &'a StepRun<'a>) -> Result<Self, StepFailure> {
        let arguments = Arguments::read(step.arguments)?;
        let attempt = RunningElement {
            element: step.element.element,
            attempt: step.element.attempt,
            owner: ElementOwner(step.element.owner),
        };
        let found = stored(worker.services.runs.binding(attempt.element).await)?;
        let (binding, device) = found.ok_or_else(not_bound)?;
        if binding.device.number() != step.entity.id {
            let message = "it is reached by way of its controller, and its configuration is not synchronized";
            return Err(skipped("has-controller", message));
        }
        let report = Report {
            generation: binding.generation,
            ..Report::default()
        };
        Ok(Self {
            worker,
            step,
            arguments,
            attempt,
            binding,
            device,
            report,
            open: None,
            intends: false,
            committed: false,
        })
    }

    async fn act(&mut self) -> StepResult {
        if left_alone(&self.binding, &self.device) == Some(LeftAlone::NotManaged) {
            return Err(self.left(LeftAlone::NotManaged));
        }
        match self.arguments.action {
            SyncAction::Synchronize | SyncAction::Drift => self.synchronize().await,
            SyncAction::Render => self.render().await,
            SyncAction::AcceptDrift => self.accept_drift().await,
            SyncAction::ListSessions => self.list_sessions().await,
            SyncAction::AbortSession => self.abort_session().await,
        }
    }

    /// Whether the device is only looked at.
    fn only_looks(&self) -> bool {
        self.step.dry_run || self.arguments.action == SyncAction::Drift
    }

    async fn synchronize(&mut self) -> StepResult {
        // What an earlier run left is settled first, without changing the device.
        let mut intent = self.device.intent.take();
        if intent.is_none() {
            self.admit()?;
        }
        let mut connection = self.connect().await?;
        self.clear_sessions(&mut *connection).await?;
        let before = self.read(&mut *connection).await?;
        if let Some(intent) = intent.take() {
            if self.settle(&intent, &before).await? {
                return Ok(done(true, "an earlier attempt pushed and confirmed it"));
            }
            self.admit()?;
        }
        self.report.stage = Stage::Drift;
        self.report.drifted = has_drifted(self.device.configuration_hash.as_deref(), &before.hash);
        if self.arguments.action == SyncAction::Drift && !self.report.drifted {
            return Ok(done(false, self.no_drift()));
        }
        let result = self.in_session(&mut *connection, &before).await;
        self.abandon(&mut *connection).await;
        if let Err(failure) = &result {
            self.flag_after(failure).await;
        }
        result
    }

    fn no_drift(&self) -> &'static str {
        match self.device.configuration_hash {
            Some(_) => "its running configuration is the one of its last synchronization",
            None => "it was not synchronized yet, so there is nothing to compare with",
        }
    }

    /// Shows the difference in a session, and pushes it.
    async fn in_session(&mut self, connection: &mut dyn DeviceConnection, before: &Running) -> StepResult {
        if !self.compare(connection).await? {
            return self.nothing_differs(before).await;
        }
        if self.only_looks() {
            return self.shown().await;
        }
        self.report.stage = Stage::Drift;
        if self.report.drifted && !self.arguments.force {
            let message = "its running configuration was changed outside of Lockstep; look at the difference, then accept it \
                (`lockstep devices drift HOST --accept`) or overwrite it (--force)";
            return Err(StepFailure::new("drift", message));
        }
        self.report.stage = Stage::Difference;
        if let Some(approved) = &self.binding.approved
            && self.report.hash.as_ref() != Some(approved)
        {
            let message = "its difference is no longer the one of the plan; make a new plan";
            return Err(skipped("diff-changed", message));
        }
        self.push(connection, before).await
    }

    /// The device has the configuration. That it has an earlier one says nothing about the intended one.
    async fn nothing_differs(&mut self, before: &Running) -> StepResult {
        self.report.stage = Stage::Flag;
        if self.binding.restores.is_some() {
            return Ok(done(false, "it has that configuration already"));
        }
        self.synchronized(before.hash.clone()).await?;
        Ok(done(false, "nothing differs"))
    }

    /// The difference of a dry run was shown.
    async fn shown(&mut self) -> StepResult {
        self.report.stage = Stage::Flag;
        let score = self.report.change_score.unwrap_or_default();
        let (cause, message) = match (self.report.drifted, self.binding.restores) {
            (true, _) => (
                Some(Cause::Confighash),
                format!(
                    "it differs, and was changed outside of Lockstep{}; change score {score:.1}",
                    if self.arguments.force {
                        ""
                    } else {
                        " (only --force overwrites that)"
                    }
                ),
            ),
            (false, Some(_)) => (
                None,
                format!("it differs from that configuration; change score {score:.1}"),
            ),
            (false, None) => (
                Some(Cause::SynctoDryrun),
                format!("it differs; change score {score:.1}"),
            ),
        };
        if let Some(cause) = cause {
            self.conclude(&Conclusion::Differs(cause)).await?;
        }
        Ok(done(true, message))
    }

    /// Settles what an earlier run left on the device. True if that was an earlier attempt of this element, and it had pushed.
    async fn settle(&mut self, intent: &SyncIntent, running: &Running) -> Result<bool, StepFailure> {
        let own = intent.element == self.binding.element;
        let left = left_of(intent, &running.hash);
        tracing::info!(
            device.hostname = self.device.hostname.as_str(),
            session = intent.session,
            generation = intent.generation,
            confirmed = left == Left::Confirmed,
            "a run that did not end is settled"
        );
        if left == Left::Confirmed {
            let configuration_hash = running.hash.clone();
            let conclusion = if self.restored(intent).await? {
                Conclusion::Accepted { configuration_hash }
            } else {
                Conclusion::Synchronized {
                    generation: intent.generation,
                    configuration_hash,
                }
            };
            self.conclude(&conclusion).await?;
        }
        written(self.worker.services.runs.remove_intent(&self.attempt).await)?;
        if left == Left::Confirmed && own && !self.only_looks() {
            return Ok(true);
        }
        self.reload().await?;
        Ok(false)
    }

    /// Whether an intent was to bring back an earlier configuration. If nobody knows any more, it is not taken for the intended one.
    async fn restored(&self, intent: &SyncIntent) -> Result<bool, StepFailure> {
        if intent.element == self.binding.element {
            return Ok(self.binding.restores.is_some());
        }
        let binding = stored(self.worker.services.runs.binding(intent.element).await)?;
        Ok(binding.is_none_or(|(binding, _)| binding.restores.is_some()))
    }

    /// Reads what the element is bound to, and its device, once more.
    async fn reload(&mut self) -> Result<(), StepFailure> {
        let found = stored(self.worker.services.runs.binding(self.attempt.element).await)?;
        (self.binding, self.device) = found.ok_or_else(not_bound)?;
        self.report.generation = self.binding.generation;
        Ok(())
    }

    /// Whether the device may be run on: it is still one for this element, and it may be changed now.
    fn admit(&self) -> Result<(), StepFailure> {
        if let Some(left) = left_alone(&self.binding, &self.device) {
            return Err(self.left(left));
        }
        if self.only_looks() {
            return Ok(());
        }
        let options = &self.worker.options;
        let now = self.worker.services.clock.now();
        let groups = self.step.entity.device.as_ref();
        let groups = groups.map_or(&[][..], |device| &device.groups);
        let Freeze::Closed { window, kind, until } = options.windows.at(now, groups) else {
            return Ok(());
        };
        let message = match kind {
            WindowKind::Deny => format!("the freeze window {window:?} lasts until {until:.0}"),
            WindowKind::Allow => format!("it may be changed from {until:.0} on, in the window {window:?}"),
        };
        let expires_at = now.saturating_add(options.park_expires).unwrap_or(until);
        Err(frozen(message, until, expires_at))
    }

    fn left(&self, left: LeftAlone) -> StepFailure {
        let generation = self.binding.generation;
        let sync = self.device.sync;
        skipped(
            left.reason(),
            match left {
                LeftAlone::NotManaged => format!("it is {}", self.device.state),
                LeftAlone::Superseded => {
                    format!("it has generation {} already, this is {generation}", sync.synced)
                }
                LeftAlone::GenerationChanged => format!(
                    "it should have generation {} now, the plan is for {generation}; make a new plan",
                    sync.desired
                ),
            },
        )
    }

    async fn synchronized(&mut self, configuration_hash: String) -> Result<(), StepFailure> {
        let conclusion = Conclusion::Synchronized {
            generation: self.binding.generation,
            configuration_hash,
        };
        self.conclude(&conclusion).await
    }

    async fn conclude(&self, conclusion: &Conclusion) -> Result<(), StepFailure> {
        let flags = &self.worker.services.flags;
        written(
            flags
                .conclude(&self.attempt, &self.device.hostname, conclusion)
                .await,
        )
    }

    /// Flags a device that is known not to have its intended configuration after a failure.
    async fn flag_after(&self, failure: &StepFailure) {
        let may_conclude = failure.reason != LEASE_LOST && self.report.stage != Stage::Flag;
        let is_of_device = failure.state != ElementState::Filtered || failure.reason == "diff-changed";
        let differs = self
            .report
            .difference
            .as_ref()
            .is_some_and(|text| !text.is_empty());
        let differs = differs && self.binding.restores.is_none();
        let cause = cause_of_failure(self.committed, self.report.drifted, differs);
        let Some(cause) = cause.filter(|_| may_conclude && is_of_device) else {
            return;
        };
        if let Err(error) = self.conclude(&Conclusion::Differs(cause)).await {
            tracing::warn!(
                device.hostname = self.device.hostname.as_str(),
                %cause,
                error = error.message,
                "a device that differs is not flagged; the next run on it does that"
            );
        }
    }
}

fn not_bound() -> StepFailure {
    let message = "its device was removed, or it does not belong to a sync: begin one by `lockstep sync`";
    skipped("not-bound", message)
}
