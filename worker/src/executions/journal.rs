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
use tokio::sync::{Mutex, mpsc, oneshot};

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
    /// Whether it has an entry.
    has_entry: AtomicBool,
    /// The answer about the last entry, as long as nobody has it: the step that waited for it may be dropped.
    answer: Mutex<Option<oneshot::Receiver<bool>>>,
}

impl<'a> ElementJournal<'a> {
    pub(super) fn new(
        writer: &'a JournalWriter,
        (owner, element): (ElementOwner, u64),
        (stage, phase): (u16, u8),
        has_entry: bool,
    ) -> Self {
        Self {
            writer,
            owner,
            element,
            stage,
            phase,
            has_entry: AtomicBool::new(has_entry),
            answer: Mutex::default(),
        }
    }

    /// Waits until the last entry is written, and makes sure that there is one: whoever finds the element knows by it that every step is
    /// written down. It says of an entity that it is as it was.
    pub(super) async fn keep(&self, unchanged: &CycleResult) {
        self.answer().await;
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
        *self.answer.lock().await = Some(answer);
        self.writer.0.send(waiting).await.is_ok() && self.answer().await
    }

    /// Whether the last entry is written. False if that was answered before.
    async fn answer(&self) -> bool {
        let mut answer = self.answer.lock().await;
        let is_written = match answer.as_mut() {
            Some(answer) => answer.await.unwrap_or(false),
            None => false,
        };
        *answer = None;
        self.has_entry.fetch_or(is_written, Ordering::SeqCst);
        is_written
    }
}

#[async_trait]
impl Journal for ElementJournal<'_> {
    /// Also when the element is told to stop meanwhile: what is written down as begun begins.
    async fn begun(&self, level: Level, entity: u64, pre_run: bool) -> bool {
        self.write(level, entity, pre_run, None, Vec::new()).await
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
