use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{Cause, DeviceState, Hostname};
use lockstep_store::{
    RunningElement, StoreError, SyncBinding, SyncDiff, SyncIntent, SyncRuns, SyncState, SyncedDevice,
};
use lockstep_sync::{Conclusion, SyncFlags};

use crate::world::{Call, Commits, Inner, World, commit};

/// The rows of one device and of its elements.
#[derive(Debug, Default)]
pub(crate) struct FakeStore {
    pub(crate) desired: i64,
    pub(crate) synced: i64,
    pub(crate) configuration_hash: Option<String>,
    pub(crate) is_unmanaged: bool,
    pub(crate) is_removed: bool,
    pub(crate) intent: Option<SyncIntent>,
    /// Which commit each generation is rendered from.
    pub(crate) commits: Commits,
    pub(crate) bindings: BTreeMap<u64, SyncBinding>,
    pub(crate) diffs: BTreeMap<u64, SyncDiff>,
    pub(crate) previous: BTreeMap<u64, String>,
    pub(crate) attempts: BTreeMap<u64, u32>,
    /// The attempt that may write.
    pub(crate) running: Option<RunningElement>,
    pub(crate) causes: Vec<Cause>,
}

impl FakeStore {
    /// Another configuration is intended.
    pub(crate) fn change(&mut self) {
        self.desired += 1;
        self.commits.insert(self.desired, commit(self.desired));
    }

    fn conclude(&mut self, run: &RunningElement, conclusion: &Conclusion) {
        match conclusion {
            Conclusion::Synchronized {
                generation,
                configuration_hash,
            } => {
                self.synced = self.synced.max((*generation).min(self.desired));
                self.configuration_hash = Some(configuration_hash.clone());
                if self.synced == self.desired {
                    self.causes.clear();
                }
            }
            Conclusion::Differs(cause) => {
                if self.synced < self.desired {
                    return;
                }
                let commit = self.commits[&self.desired].clone();
                self.desired += 1;
                self.commits.insert(self.desired, commit);
                self.causes.push(*cause);
                if let Some(binding) = self.bindings.get_mut(&run.element)
                    && binding.generation == self.desired - 1
                {
                    binding.generation = self.desired;
                }
            }
            Conclusion::Accepted { configuration_hash } => {
                self.configuration_hash = Some(configuration_hash.clone());
            }
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable {
        operation: "test",
        source: "the connection is closed".into(),
    }
}

impl World {
    async fn read<T>(&self, name: &str, effect: impl FnOnce(&mut Inner) -> T) -> Result<T, StoreError> {
        match self.call(name, effect).await {
            Call::Returns(value) => Ok(value),
            Call::NotReached | Call::AnswerLost => Err(unavailable()),
        }
    }

    async fn write(
        &self,
        name: &str,
        run: &RunningElement,
        effect: impl FnOnce(&mut Inner),
    ) -> Result<bool, StoreError> {
        self.read(name, |inner| {
            let is_running = inner.store.running == Some(*run);
            if is_running {
                effect(inner);
            }
            is_running
        })
        .await
    }
}

#[async_trait]
impl SyncRuns for World {
    async fn binding(&self, element: u64) -> Result<Option<(SyncBinding, SyncedDevice)>, StoreError> {
        self.read("binding", |inner| {
            let store = &inner.store;
            let binding = store.bindings.get(&element).filter(|_| !store.is_removed)?;
            let device = SyncedDevice {
                hostname: "leaf1".parse().expect("a hostname"),
                state: if store.is_unmanaged {
                    DeviceState::Unmanaged
                } else {
                    DeviceState::Managed
                },
                sync: SyncState {
                    desired: store.desired,
                    synced: store.synced,
                    since: None,
                },
                configuration_hash: store.configuration_hash.clone(),
                intent: store.intent.clone(),
            };
            Some((binding.clone(), device))
        })
        .await
    }

    async fn previous_configuration(&self, element: u64) -> Result<Option<String>, StoreError> {
        self.read("previous", |inner| inner.store.previous.get(&element).cloned())
            .await
    }

    async fn is_running(&self, run: &RunningElement) -> Result<bool, StoreError> {
        self.write("is-running", run, |_| {}).await
    }

    async fn write_diff(&self, run: &RunningElement, diff: &SyncDiff) -> Result<bool, StoreError> {
        self.write("write-diff", run, |inner| {
            inner.store.diffs.insert(run.element, diff.clone());
        })
        .await
    }

    async fn write_intent(
        &self,
        run: &RunningElement,
        session: &str,
        previous: &str,
    ) -> Result<bool, StoreError> {
        self.write("write-intent", run, |inner| {
            let store = &mut inner.store;
            store.previous.insert(run.element, previous.to_owned());
            store.intent = Some(SyncIntent {
                element: run.element,
                session: session.to_owned(),
                generation: store.bindings[&run.element].generation,
                configuration_hash: None,
                at: Timestamp::UNIX_EPOCH,
            });
        })
        .await
    }

    async fn complete_intent(
        &self,
        run: &RunningElement,
        configuration_hash: &str,
    ) -> Result<bool, StoreError> {
        self.write("complete-intent", run, |inner| {
            if let Some(intent) = &mut inner.store.intent {
                intent.configuration_hash = Some(configuration_hash.to_owned());
            }
        })
        .await
    }

    async fn remove_intent(&self, run: &RunningElement) -> Result<bool, StoreError> {
        self.write("remove-intent", run, |inner| inner.store.intent = None)
            .await
    }

    async fn diff_key(&self) -> Result<[u8; 32], StoreError> {
        Ok([7; 32])
    }
}

#[async_trait]
impl SyncFlags for World {
    async fn conclude(
        &self,
        run: &RunningElement,
        _: &Hostname,
        conclusion: &Conclusion,
    ) -> Result<bool, StoreError> {
        self.write("conclude", run, |inner| {
            if let Conclusion::Synchronized {
                generation,
                configuration_hash,
            } = conclusion
            {
                let intended = inner.store.commits.get(generation).map(|commit| {
                    let number =
                        i64::from_str_radix(commit.as_str(), 16).expect("the number of a generation");
                    crate::world::text(number)
                });
                let has_it = intended.as_ref() == Some(&inner.device.running);
                let is_sure =
                    inner.device.open().is_empty() || inner.device.confirmed.contains(&inner.device.running);
                let is_true = has_it && is_sure && *configuration_hash == inner.device.hash();
                if !is_true && !inner.elsewhere {
                    inner
                        .violations
                        .push(format!("{conclusion:?} is not true: {:?}", inner.device.running));
                }
            }
            inner.store.conclude(run, conclusion);
        })
        .await
    }
}
