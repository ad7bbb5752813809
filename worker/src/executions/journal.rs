//! The journal of steps that may not be repeated. The entries of all running elements are written together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use lockstep_execution::CycleResult;
use lockstep_execution::cycle::{Journal, JournaledStep};
use lockstep_protocol::Level;
use lockstep_store::{ElementOwner, JournalEntry, RunCycle};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::step_data::{of_row, to_row};
use crate::runtime::{TransactionRetry, chain};

/// The most entries that are written together.
const TOGETHER: usize = 256;

/// An entry that is to be written, and who waits for that.
#[derive(Debug)]
struct Waiting {
    owner: ElementOwner,
    entry: JournalEntry,
    /// Whether it is written: the element belongs to this worker.
    written: oneshot::Sender<bool>,
}

/// Takes entries to be written.
#[derive(Clone, Debug)]
pub(super) struct JournalWriter(mpsc::Sender<Waiting>);

/// The entries that wait to be written.
#[derive(Debug)]
pub(super) struct WaitingEntries(mpsc::Receiver<Waiting>);

/// A writer, and what it writes to.
pub(super) fn journal() -> (JournalWriter, WaitingEntries) {
    let (writer, entries) = mpsc::channel(TOGETHER);
    (JournalWriter(writer), WaitingEntries(entries))
}

impl WaitingEntries {
    /// Writes entries as they come, as many at once as there are.
    pub(super) async fn write_to(mut self, cycle: &Arc<dyn RunCycle>) {
        let mut taken = Vec::with_capacity(TOGETHER);
        while self.0.recv_many(&mut taken, TOGETHER).await > 0 {
            let mut owners: HashMap<ElementOwner, (Vec<JournalEntry>, Vec<oneshot::Sender<bool>>)> =
                HashMap::new();
            for waiting in taken.drain(..) {
                let (entries, written) = owners.entry(waiting.owner).or_default();
                entries.push(waiting.entry);
                written.push(waiting.written);
            }
            for (owner, (entries, waiting)) in owners {
                let lost = write(cycle, owner, &entries).await;
                for (entry, written) in entries.iter().zip(waiting) {
                    // Who does not wait any more was told to stop.
                    let _ = written.send(lost.as_ref().is_some_and(|lost| !lost.contains(&entry.element)));
                }
            }
        }
    }
}

/// Writes entries. Returns the elements that this worker does not run; `None` if nothing is written.
async fn write(cycle: &Arc<dyn RunCycle>, owner: ElementOwner, entries: &[JournalEntry]) -> Option<Vec<u64>> {
    let mut retry = TransactionRetry::default();
    loop {
        let error = match cycle.write_journal(owner, entries).await {
            Ok(lost) => return Some(lost),
            Err(error) => error,
        };
        match retry.after(error) {
            Ok(pause) => tokio::time::sleep(pause).await,
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "steps are not written down, so their elements stop"
                );
                return None;
            }
        }
    }
}

/// The journal of one element in one stage.
#[derive(Debug)]
pub(super) struct ElementJournal<'a> {
    writer: &'a JournalWriter,
    owner: ElementOwner,
    element: u64,
    stage: u16,
    phase: u8,
    /// Fires when the element is told to stop.
    cancel: &'a CancellationToken,
    /// Whether it has an entry.
    has_entry: AtomicBool,
}

impl<'a> ElementJournal<'a> {
    pub(super) fn new(
        writer: &'a JournalWriter,
        (owner, element): (ElementOwner, u64),
        (stage, phase): (u16, u8),
        has_entry: bool,
        cancel: &'a CancellationToken,
    ) -> Self {
        Self {
            writer,
            owner,
            element,
            stage,
            phase,
            cancel,
            has_entry: AtomicBool::new(has_entry),
        }
    }

    /// Makes sure that there is an entry: whoever finds the element knows by it that every step is written down. It says of an entity
    /// that it is as it was.
    pub(super) async fn keep(&self, unchanged: &CycleResult) {
        if !self.has_entry.load(Ordering::SeqCst) {
            self.write(
                unchanged.level,
                unchanged.entity,
                false,
                Some(unchanged.clone()),
                Vec::new(),
            )
            .await;
        }
    }

    async fn write(
        &self,
        level: Level,
        entity: u64,
        pre_run: bool,
        result: Option<CycleResult>,
        facts: Vec<(String, Value)>,
    ) -> bool {
        let (written, answer) = oneshot::channel();
        let waiting = Waiting {
            owner: self.owner,
            entry: JournalEntry {
                element: self.element,
                stage: self.stage,
                level,
                entity,
                pre_run,
                result: result.map(|result| to_row(self.phase, result)),
                facts,
            },
            written,
        };
        let is_written = self.writer.0.send(waiting).await.is_ok() && answer.await.unwrap_or(false);
        self.has_entry.fetch_or(is_written, Ordering::SeqCst);
        is_written
    }
}

#[async_trait]
impl Journal for ElementJournal<'_> {
    async fn begun(&self, level: Level, entity: u64, pre_run: bool) -> bool {
        let written = self.write(level, entity, pre_run, None, Vec::new());
        self.cancel.run_until_cancelled(written).await.unwrap_or(false)
    }

    async fn ended(&self, pre_run: bool, result: &CycleResult, facts: Vec<(String, Value)>) -> bool {
        self.write(result.level, result.entity, pre_run, Some(result.clone()), facts)
            .await
    }
}

/// A stored entry as the run cycle goes on from it.
pub(super) fn of_entry(entry: JournalEntry) -> JournaledStep {
    JournaledStep {
        level: entry.level,
        entity: entry.entity,
        pre_run: entry.pre_run,
        result: entry.result.map(of_row),
        facts: entry.facts,
    }
}
