//! Finds pending tasks that are empty, and cancels them.
//!
//! 1. *List* the tasks page by page, and concurrently the inventory and the change controls in one request each. Tasks that these
//!    keep are settled without another request.
//! 2. *First reading* of the remaining tasks, many at a time.
//! 3. *Second reading*, when the list is complete: write a note and read the change controls again, read the rest again, let the gate
//!    decide, and cancel at once. Then read the task until it is cancelled, and check the device once more.
//!
//! Each listed task gets exactly one [`TaskOutcome`]. The sweep uses CloudVision through the trait [`Cvp`] and reports through a
//! callback.

mod api;
mod first_reading;
mod listing;
mod options;
mod report;
mod second_reading;
mod shared_read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;

pub use api::Cvp;
pub use options::{ConfirmOptions, SweepOptions};
pub use report::{Action, Afterwards, Failure, Summary, SweepEvent, TaskOutcome, TaskReport};

use crate::client::{CvpError, Priority};
use crate::gate::{Attachment, ChangeControlPolicy, Reading, Reason, prefilter};
use crate::wire::{ChangeControls, InventoryDevice, Task, TaskPage};
use lockstep_clock::Clock;
use shared_read::SharedRead;

/// The dependencies of a sweep.
#[derive(Clone)]
pub struct SweepContext {
    /// The client of CloudVision, or a fake.
    pub cvp: Arc<dyn Cvp>,
    /// For the ages of tasks and the time of readings.
    pub clock: Arc<dyn Clock>,
    /// Called with each event; must not block.
    pub observe: Arc<dyn Fn(SweepEvent<'_>) + Send + Sync>,
}

impl fmt::Debug for SweepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SweepContext")
            .field("cvp", &self.cvp)
            .finish_non_exhaustive()
    }
}

/// Runs one sweep. Reports the outcome of each task to the observer, and counts it in the summary.
///
/// # Errors
/// If the tasks cannot be listed completely. No task was cancelled then.
pub async fn run(context: SweepContext, options: SweepOptions) -> Result<Summary, CvpError> {
    let (sweep, first) = Sweep::begin(context, options).await?;
    let sweep = Arc::new(sweep);
    let mut readings = listing::tasks(sweep.clone(), first)
        .filter_map({
            let sweep = sweep.clone();
            move |task| std::future::ready(sweep.admit(task))
        })
        .map({
            let sweep = sweep.clone();
            move |task| sweep.clone().read_first(task).boxed()
        })
        .buffer_unordered(sweep.options.in_flight.max(1));
    let mut candidates = Vec::new();
    while let Some(candidate) = readings.next().await {
        candidates.extend(candidate?);
    }
    drop(readings);
    // In the order of the first readings, so that the second ones are mostly due at once.
    candidates.sort_by_key(|candidate: &Candidate| candidate.reading.at);
    let mut outcomes = futures_util::stream::iter(candidates)
        .map(|candidate| sweep.clone().process(candidate).boxed())
        .buffer_unordered(sweep.options.in_flight.max(1));
    while outcomes.next().await.is_some() {}
    drop(outcomes);
    Ok(sweep.lock().summary.clone())
}

/// A task that the first reading found empty.
#[derive(Debug)]
struct Candidate {
    reading: Reading,
    at: tokio::time::Instant,
}

struct Sweep {
    context: SweepContext,
    options: SweepOptions,
    /// The inventory by MAC address in lower case.
    inventory: HashMap<String, InventoryDevice>,
    /// The change controls as first read; `None` if that failed.
    controls: Option<ChangeControls>,
    shared_controls: SharedRead<ChangeControls>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of listed tasks of each device.
    devices: HashMap<String, usize>,
    summary: Summary,
}

impl Sweep {
    /// Reads the first page, the inventory and the change controls.
    async fn begin(context: SweepContext, options: SweepOptions) -> Result<(Self, TaskPage), CvpError> {
        let cvp = context.cvp.clone();
        let (first, inventory, controls) = futures_util::join!(
            cvp.tasks(&options.status, 0, options.page),
            cvp.inventory(),
            cvp.change_controls(Priority::Normal),
        );
        let first = first?;
        let warn = |what, error: &CvpError| (context.observe)(SweepEvent::Warning { what, error });
        let inventory = inventory.unwrap_or_else(|error| {
            warn(
                "the inventory cannot be read, so each device is checked by a request of its own",
                &error,
            );
            Vec::new()
        });
        let controls = match controls {
            Ok(controls) => Some(controls),
            Err(error) => {
                warn(
                    match options.policy.change_controls {
                        ChangeControlPolicy::Required => {
                            "the change controls cannot be read, so every task is kept; if the release is too old for them (before 2021.2), set change_controls = \"unavailable\" (--change-controls unavailable)"
                        }
                        ChangeControlPolicy::Unavailable => {
                            "the change controls cannot be read, as configured"
                        }
                    },
                    &error,
                );
                None
            }
        };
        let by_mac = |device: InventoryDevice| {
            let mac = device.mac.text().to_ascii_lowercase();
            (!mac.is_empty()).then_some((mac, device))
        };
        let sweep = Self {
            inventory: inventory.into_iter().filter_map(by_mac).collect(),
            controls,
            shared_controls: SharedRead::default(),
            state: Mutex::default(),
            context,
            options,
        };
        Ok((sweep, first))
    }

    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Returns a task for its first reading, or settles it if the prefilter keeps it.
    fn admit(&self, listed: Result<Task, CvpError>) -> Option<Result<Task, CvpError>> {
        let task = match listed {
            Ok(task) => task,
            Err(error) => return Some(Err(error)),
        };
        let key = task.device().to_ascii_lowercase();
        {
            let mut state = self.lock();
            *state.devices.entry(key.clone()).or_default() += 1;
        }
        if self
            .options
            .only
            .as_ref()
            .is_some_and(|only| !only.contains(&task.task_id()))
        {
            return None;
        }
        self.count_listed();
        let device = self.inventory.get(&key);
        let reasons = prefilter(
            &task,
            device,
            self.attachment(&task),
            &self.options.policy,
            self.now(),
        );
        if reasons.is_empty() {
            return Some(Ok(task));
        }
        let code = device.and_then(|device| device.code.get().cloned());
        self.settle(&task, code, TaskOutcome::kept(reasons));
        None
    }

    fn attachment(&self, task: &Task) -> Attachment {
        attachment(self.controls.as_ref(), task)
    }

    /// The number of listed tasks of the same device.
    fn tasks_on_device(&self, task: &Task) -> usize {
        let key = task.device().to_ascii_lowercase();
        self.lock().devices.get(&key).copied().unwrap_or(1)
    }

    fn count_listed(&self) {
        let listed = {
            let mut state = self.lock();
            state.summary.listed += 1;
            state.summary.listed
        };
        (self.context.observe)(SweepEvent::Listed(listed));
    }

    /// Counts and reports the outcome of a task.
    fn settle(&self, task: &Task, code: Option<crate::ComplianceCode>, outcome: TaskOutcome) {
        let report = TaskReport::new(task, code, outcome);
        self.lock().summary.count(&report.outcome);
        (self.context.observe)(SweepEvent::Settled(&report));
    }

    fn stopped(&self) -> bool {
        self.options.stop.is_cancelled()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn attachment(controls: Option<&ChangeControls>, task: &Task) -> Attachment {
    match controls {
        None => Attachment::Unknown,
        Some(controls) if controls.holding(&task.task_id()).is_some() => Attachment::Held,
        Some(_) => Attachment::Free,
    }
}

/// Counts by name.
type Counts = BTreeMap<String, u64>;

/// Removes the reason that the second reading is due, unless it is the only one.
fn without_due(mut reasons: std::collections::BTreeSet<Reason>) -> std::collections::BTreeSet<Reason> {
    if reasons.len() > 1 {
        reasons.remove(&Reason::SecondReadingDue);
    }
    reasons
}
