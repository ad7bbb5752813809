//! The sweep: finds pending tasks that have nothing left to do, and cancels them.
//!
//! 1. *List*: the tasks page by page, beside them the inventory and the change controls in one request each. What these alone
//!    keep is settled without another request.
//! 2. *Look*: a first reading of what is left, many at a time.
//! 3. *Act*, when all tasks are known: a note and the change controls anew, a second reading of the rest, the gate, and at
//!    once the cancel. Then the task is read until it is cancelled, and the device once more.
//!
//! Every listed task ends in exactly one [`TaskOutcome`]. The sweep knows CloudVision by the trait [`Cvp`] alone, and its
//! audience by a callback.

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

/// What a sweep needs.
#[derive(Clone)]
pub struct SweepContext {
    /// CloudVision.
    pub cvp: Arc<dyn Cvp>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Is told what happens, as it happens; must not block.
    pub observe: Arc<dyn Fn(SweepEvent<'_>) + Send + Sync>,
}

impl fmt::Debug for SweepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SweepContext")
            .field("cvp", &self.cvp)
            .finish_non_exhaustive()
    }
}

/// Sweeps once. What becomes of each task is told to the observer, and counted in the summary.
///
/// # Errors
/// When the tasks cannot be listed completely; nothing was cancelled then.
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
    // In the order of their first readings, so that the second ones are due when it is their turn.
    candidates.sort_by_key(|candidate: &Candidate| candidate.reading.at);
    let mut outcomes = futures_util::stream::iter(candidates)
        .map(|candidate| sweep.clone().process(candidate).boxed())
        .buffer_unordered(sweep.options.in_flight.max(1));
    while outcomes.next().await.is_some() {}
    drop(outcomes);
    Ok(sweep.lock().summary.clone())
}

/// A task that was found empty once.
#[derive(Debug)]
struct Candidate {
    reading: Reading,
    at: tokio::time::Instant,
}

struct Sweep {
    context: SweepContext,
    options: SweepOptions,
    /// What the inventory says, by MAC address in lower case.
    inventory: HashMap<String, InventoryDevice>,
    /// The change controls as first read; nothing if they cannot be.
    controls: Option<ChangeControls>,
    shared_controls: SharedRead<ChangeControls>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many listed tasks each device has.
    devices: HashMap<String, usize>,
    summary: Summary,
}

impl Sweep {
    /// Reads what is known by one request each.
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
                "the inventory cannot be read: each device is checked by itself",
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
                            "the change controls cannot be read, so that every task is kept; where the release is too old for them (before 2021.2), set change_controls = \"unavailable\" (--change-controls unavailable)"
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

    /// Takes a task up, or settles it if it is kept by what is known already.
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

    /// How many of the listed tasks are about the device of this one.
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

    /// Ends a task: counts it, and tells about it.
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

/// A second reading that is due is only worth telling where nothing else keeps the task.
fn without_due(mut reasons: std::collections::BTreeSet<Reason>) -> std::collections::BTreeSet<Reason> {
    if reasons.len() > 1 {
        reasons.remove(&Reason::SecondReadingDue);
    }
    reasons
}
