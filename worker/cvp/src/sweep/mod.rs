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
mod survey;
mod task_sweep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

pub use api::Cvp;
pub use options::{ConfirmOptions, SweepOptions};
pub use report::{Action, Afterwards, Failure, Summary, SweepEvent, TaskOutcome, TaskReport};
pub use survey::{Found, ListedTask, list};
pub use task_sweep::{SharedControls, TaskSweep};

use crate::client::CvpError;
use crate::wire::Task;
use lockstep_clock::Clock;
use survey::{Admitted, Survey};
use task_sweep::{Candidate, FirstReading, Settled};

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
    let in_flight = options.in_flight.max(1);
    let (survey, listed) = Survey::begin(&context, &options).await?;
    let sweep = Sweep {
        tasks: TaskSweep::new(
            &context,
            options,
            SharedControls::default(),
            survey.controls_read(),
        ),
        survey,
        observe: context.observe,
        summary: Mutex::default(),
    };
    let mut listed = listed.filter_map(|task| std::future::ready(sweep.admit(task)));
    let mut all_listed = false;
    let (mut first, mut second) = (FuturesUnordered::new(), FuturesUnordered::new());
    // In the order of the first readings, so that the second ones are mostly due at once.
    let mut candidates = VecDeque::new();
    loop {
        let begun = first.len() + second.len();
        let places = if !all_listed {
            0
        } else if first.is_empty() {
            in_flight
        } else {
            // Second readings go first, so many of them would delay the remaining first ones to the end. So few fill the gaps.
            in_flight.div_ceil(4)
        };
        let next = candidates.len().min(places.saturating_sub(begun));
        second.extend(
            candidates
                .drain(..next)
                .map(|candidate| sweep.read_second(candidate)),
        );
        tokio::select! {
            task = listed.next(), if !all_listed && first.len() < in_flight => match task {
                Some(task) => first.push(sweep.read_first(task?)),
                None => all_listed = true,
            },
            Some(candidate) = first.next() => candidates.extend(candidate),
            Some(()) = second.next() => {}
            else => break,
        }
    }
    Ok(sweep.lock().clone())
}

struct Sweep {
    survey: Survey,
    tasks: TaskSweep,
    observe: Arc<dyn Fn(SweepEvent<'_>) + Send + Sync>,
    summary: Mutex<Summary>,
}

impl Sweep {
    /// Returns a task for its first reading, or settles it if the prefilter keeps it.
    fn admit(&self, listed: Result<Task, CvpError>) -> Option<Result<Task, CvpError>> {
        let task = match listed {
            Ok(task) => task,
            Err(error) => return Some(Err(error)),
        };
        match self.survey.admit(&task) {
            Admitted::Ignored => None,
            Admitted::Kept(settled) => {
                self.count_listed();
                self.settle(&task, settled);
                None
            }
            Admitted::ToRead => {
                self.count_listed();
                Some(Ok(task))
            }
        }
    }

    /// Returns a candidate if only the second reading is missing; otherwise settles the task.
    async fn read_first(&self, task: Task) -> Option<Candidate> {
        match self.tasks.read_first(&task).await {
            FirstReading::Empty(candidate) => Some(*candidate),
            FirstReading::Settled(settled) => {
                self.settle(&task, settled);
                None
            }
        }
    }

    async fn read_second(&self, candidate: Candidate) {
        let on_device = self.survey.tasks_on_device(&candidate.reading.task);
        let settled = self.tasks.read_second(&candidate, on_device).await;
        self.settle(&candidate.reading.task, settled);
    }

    fn count_listed(&self) {
        let listed = {
            let mut summary = self.lock();
            summary.listed += 1;
            summary.listed
        };
        (self.observe)(SweepEvent::Listed(listed));
    }

    /// Counts and reports the outcome of a task.
    fn settle(&self, task: &Task, settled: Settled) {
        let report = TaskReport::new(task, settled.code, settled.outcome);
        self.lock().count(&report.outcome);
        (self.observe)(SweepEvent::Settled(&report));
    }

    fn lock(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts by name.
type Counts = BTreeMap<String, u64>;
