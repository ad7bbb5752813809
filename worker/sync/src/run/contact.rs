use std::time::Duration;

use lockstep_device::{ConfigurationSessions, DeviceConnection, DeviceError, PendingSession};
use lockstep_execution::{PooledConnection, StepFailure, TargetDevice};
use tokio::time::timeout;

use super::Run;
use crate::hash::configuration_hash;
use crate::report::Stage;
use crate::sessions::{Pending, described, to_json};

/// How long one answer may take, but for those that load, commit and confirm, which the driver lets take longer. The driver has a bound of its
/// own for each request, and an answer may be made of several.
pub(super) const WAIT: Duration = Duration::from_mins(2);

/// How long the end of a run may take: less than an element that is told to stop has.
const ABORT_WITHIN: Duration = Duration::from_secs(3);

/// A running configuration.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) text: String,
    pub(super) hash: String,
}

impl Running {
    pub(super) fn of(text: String) -> Self {
        Self {
            hash: configuration_hash(&text),
            text,
        }
    }
}

/// The sessions of a connection.
pub(super) fn sessions(
    connection: &mut dyn DeviceConnection,
) -> Result<&mut dyn ConfigurationSessions, StepFailure> {
    connection.sessions().ok_or_else(|| {
        let message =
            "the driver of its platform has no configuration sessions, so it cannot be synchronized";
        StepFailure::new("no-sessions", message)
    })
}

impl Run<'_> {
    pub(super) fn target(&self) -> Result<&TargetDevice, StepFailure> {
        let device = self.step.entity.device.as_ref();
        device
            .ok_or_else(|| StepFailure::new("no-device", format!("{} has no address", self.step.entity.name)))
    }

    pub(super) async fn connect(&mut self) -> Result<PooledConnection, StepFailure> {
        self.report.stage = Stage::Connect;
        let connecting = self.step.devices.connect(self.target()?);
        Ok(self.step.until_stopped(Some(WAIT), connecting).await??)
    }

    pub(super) async fn read(
        &mut self,
        connection: &mut dyn DeviceConnection,
    ) -> Result<Running, StepFailure> {
        self.report.stage = Stage::Read;
        let reading = connection.running_configuration();
        Ok(Running::of(self.step.until_stopped(Some(WAIT), reading).await??))
    }

    /// The sessions that are pending.
    pub(super) async fn pending(
        &mut self,
        connection: &mut dyn DeviceConnection,
    ) -> Result<Vec<PendingSession>, StepFailure> {
        self.report.stage = Stage::Sessions;
        let listing = sessions(connection)?.pending();
        let pending = self.step.until_stopped(Some(WAIT), listing).await??;
        self.report.sessions = pending.iter().map(to_json).collect();
        Ok(pending)
    }

    /// Aborts what earlier runs of ours left. A commit of somebody else that waits for its confirmation is in the way.
    pub(super) async fn clear_sessions(
        &mut self,
        connection: &mut dyn DeviceConnection,
    ) -> Result<(), StepFailure> {
        let mut pending = Pending::of(self.pending(connection).await?);
        if !pending.own.is_empty() {
            let found = std::mem::take(&mut self.report.sessions);
            for session in &pending.own {
                let aborting = sessions(connection)?.abort(&session.name);
                let aborted = self.step.until_stopped(Some(WAIT), aborting).await?;
                tracing::info!(
                    device.hostname = self.device.hostname.as_str(),
                    session = session.name,
                    error = aborted.err().map(|error| error.to_string()),
                    "a session that an earlier run left is aborted"
                );
            }
            // It may have ended by itself, and its answer may be lost: what the device shows counts.
            pending = Pending::of(self.pending(connection).await?);
            self.report.sessions = found;
        }
        let own = Pending {
            foreign: std::mem::take(&mut pending.own),
            own: Vec::new(),
        };
        if let Some(session) = own.blocking() {
            let message = format!(
                "the session {} of an earlier run cannot be aborted; it rolls back by itself",
                described(session)
            );
            return Err(StepFailure::new("session-in-use", message));
        }
        if let Some(session) = pending.blocking() {
            let message = format!(
                "the session {} waits for its confirmation, and nothing else can be committed before; wait for it, or abort it \
                 (`lockstep devices sessions HOST --abort NAME`)",
                described(session)
            );
            return Err(StepFailure::new("session-in-use", message));
        }
        Ok(())
    }

    /// Aborts the session of this run, if one is open, as far as that is possible in a short time. A device that is not reached rolls back
    /// what is committed by itself.
    pub(super) async fn abandon(&mut self, connection: &mut dyn DeviceConnection) {
        let Some(session) = self.open.take() else {
            return;
        };
        let aborting = async {
            let failed = match sessions(connection)?.abort(session.as_str()).await {
                // The driver may have aborted it already, or the device rolled it back.
                Ok(()) | Err(DeviceError::NotPending { .. }) => return Ok(()),
                Err(error) => error,
            };
            if !self.committed {
                return Err(StepFailure::from(failed));
            }
            // The connection may be what is broken.
            let mut anew = self.step.devices.connect_anew(self.target()?).await?;
            match sessions(&mut *anew)?.abort(session.as_str()).await {
                Ok(()) | Err(DeviceError::NotPending { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        let error = match timeout(ABORT_WITHIN, aborting).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.message),
            Err(_) => Some(format!("it did not answer within {} s", ABORT_WITHIN.as_secs())),
        };
        if let Some(error) = error {
            tracing::warn!(
                device.hostname = self.device.hostname.as_str(),
                session = session.as_str(),
                error,
                "a session is not aborted; the next run on the device does that"
            );
        } else if self.intends {
            // Nothing of it is left on the device.
            if let Err(error) = self.worker.services.runs.remove_intent(&self.attempt).await {
                tracing::debug!(%error, "an intent stays; the next run on the device settles it");
            }
        }
    }
}
