use std::sync::Arc;

use async_trait::async_trait;
use lockstep_clock::Clock;
use lockstep_protocol::{Hostname, Identity, Kind, MessageKey, Source};
use lockstep_store::{
    DeviceEffect, DeviceRow, Effects, ExecutionReference, ExecutionRow, Executions, Facts, Keys, Origin,
    RunningElement, StoreError, SyncBinding, SyncRuns, UnitOfWork,
};
use lockstep_sync::{Conclusion, SyncFlags};

use crate::handlers::{FollowedCluster, sweeps};
use crate::runtime::TransactionRetry;

/// Writes what runs found out about flags, each in one unit of work that holds the element and the row of the device. Who and what caused it
/// is who and what requested the execution.
#[derive(Clone, Debug)]
pub struct StoredFlags {
    /// The transactions in which flags change.
    pub store: Arc<dyn UnitOfWork>,
    /// Reads what elements are bound to.
    pub runs: Arc<dyn SyncRuns>,
    /// Reads executions.
    pub executions: Arc<dyn Executions>,
    /// The clusters of CloudVision that are swept for devices that become synchronized.
    pub clusters: Vec<FollowedCluster>,
    /// Gives the time where the store has none.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl SyncFlags for StoredFlags {
    async fn conclude(
        &self,
        run: &RunningElement,
        device: &Hostname,
        conclusion: &Conclusion,
    ) -> Result<bool, StoreError> {
        let Some((binding, _)) = self.runs.binding(run.element).await? else {
            return Ok(false);
        };
        let reference = ExecutionReference::Number(binding.execution);
        let Some(execution) = self.executions.execution(&reference).await? else {
            return Ok(false);
        };
        let mut retry = TransactionRetry::default();
        loop {
            match self.once(run, device, conclusion, &binding, &execution).await {
                Ok(written) => return Ok(written),
                Err(error) => tokio::time::sleep(retry.after_conflict(error)?).await,
            }
        }
    }
}

impl StoredFlags {
    async fn once(
        &self,
        run: &RunningElement,
        device: &Hostname,
        conclusion: &Conclusion,
        binding: &SyncBinding,
        execution: &ExecutionRow,
    ) -> Result<bool, StoreError> {
        let mut keys = Keys {
            running: [*run].into(),
            ..Keys::default()
        };
        // It may be renamed while the run lasts.
        keys.add_device_of_event(device);
        let (mut facts, transaction) = self.store.begin(&[], &keys).await?;
        let former = facts.former_hostname(device);
        let current = former.and_then(|former| former.current.clone());
        let row = facts.device(device);
        let row = row.or_else(|| current.as_ref().and_then(|name| facts.device(name)));
        let Some(row) = row.filter(|row| facts.is_running(run) && row.id == Some(binding.device.0)) else {
            return Ok(false);
        };
        let (row, at) = (row.clone(), facts.now().unwrap_or_else(|| self.clock.now()));
        let request = &execution.request;
        let from = Origin {
            identity: &request.identity,
            kind: request.kind,
            actor: request.actor.as_deref(),
            at,
            reply: Some(&request.reply),
        };
        let effects = Effects {
            devices: effects(&row, conclusion, execution),
            note: request.task_arguments["note"].as_str().map(str::to_owned),
            ..Effects::default()
        };
        facts.absorb(effects, &from);
        if let Some(generation) = rebound(&row, conclusion, binding, &facts) {
            facts.rebind(run.element, generation);
        }
        if becomes_synchronized(&row, &facts) {
            self.sweep(&row.hostname, run, &from, &mut facts);
        }
        transaction.commit(&facts).await?;
        Ok(true)
    }

    /// Each element has follow-ups of its own: their identities derive from that of its result. They are due after their delay, and reconcile
    /// publishes them.
    fn sweep(&self, hostname: &Hostname, run: &RunningElement, from: &Origin<'_>, facts: &mut Facts) {
        let request = MessageKey {
            identity: from.identity.clone(),
            actor: from.actor.map(Into::into),
        };
        let of_element = Identity {
            source: Source::worker(),
            id: request.derive(Kind::ElementFinished, run.element),
        };
        let effects = Effects {
            follow_ups: sweeps(&self.clusters, &[hostname]),
            ..Effects::default()
        };
        let from = Origin {
            identity: &of_element,
            kind: Kind::ElementFinished,
            reply: from.reply,
            ..*from
        };
        facts.absorb(effects, &from);
    }
}

/// What a conclusion does to the device. Pure.
fn effects(row: &DeviceRow, conclusion: &Conclusion, execution: &ExecutionRow) -> Vec<DeviceEffect> {
    let hostname = || row.hostname.clone();
    match conclusion {
        Conclusion::Synchronized {
            generation,
            configuration_hash,
        } => vec![DeviceEffect::SynchronizeTo {
            hostname: hostname(),
            generation: *generation,
            configuration_hash: configuration_hash.clone(),
            execution: execution.id,
        }],
        Conclusion::Differs(cause) => {
            let checked = DeviceEffect::CheckConfiguration { hostname: hostname() };
            let flagged = DeviceEffect::Unsynchronize {
                hostname: hostname(),
                cause: *cause,
            };
            let flagged = row.sync.synchronized().then_some(flagged);
            flagged.into_iter().chain([checked]).collect()
        }
        Conclusion::Accepted { configuration_hash } => vec![DeviceEffect::AcceptConfiguration {
            hostname: hostname(),
            configuration_hash: configuration_hash.clone(),
        }],
    }
}

/// The generation that the element is about from now on: if the only newer cause is the one that the run itself gave, its intended
/// configuration is still the one that was compared, and its difference can be applied. Pure.
fn rebound(row: &DeviceRow, conclusion: &Conclusion, binding: &SyncBinding, after: &Facts) -> Option<i64> {
    let is_newest = row.sync.desired == binding.generation && matches!(conclusion, Conclusion::Differs(_));
    let desired = after.device(&row.hostname)?.sync.desired;
    (is_newest && desired > binding.generation).then_some(desired)
}

fn becomes_synchronized(before: &DeviceRow, after: &Facts) -> bool {
    let after = after.device(&before.hostname);
    !before.sync.synchronized() && after.is_some_and(|row| row.sync.synchronized())
}
