//! What the lists say before a task is read by itself: the tasks, the inventory, and the change controls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use lockstep_clock::Clock;
use serde::{Deserialize, Serialize};

use super::task_sweep::{Settled, attachment};
use super::{SweepContext, SweepEvent, SweepOptions, TaskOutcome, TaskReport, listing};
use crate::client::{CvpError, Priority};
use crate::gate::{ChangeControlPolicy, prefilter};
use crate::wire::{ChangeControls, InventoryDevice, Task};

/// A task of the complete list that the lists do not keep, with what its readings need to know of them. It is written and read as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedTask {
    /// The task as it was listed.
    pub task: Task,
    /// The number of listed tasks of its device.
    pub tasks_on_device: usize,
    /// Whether the change controls could be read.
    pub controls_read: bool,
}

/// What the lists say about a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It is settled by them.
    Settled(TaskReport),
    /// It is to be read.
    ToRead(Box<ListedTask>),
}

/// Lists all tasks of a cluster, and settles those that the lists keep.
///
/// # Errors
/// If the tasks cannot be listed completely.
pub async fn list(context: &SweepContext, options: &SweepOptions) -> Result<Vec<Found>, CvpError> {
    let (survey, tasks) = Survey::begin(context, options).await?;
    let admitted = tasks.try_filter_map(|task| {
        let found = match survey.admit(&task) {
            Admitted::Ignored => None,
            admitted => Some((task, admitted)),
        };
        std::future::ready(Ok(found))
    });
    let admitted: Vec<(Task, Admitted)> = admitted.try_collect().await?;
    let found = admitted.into_iter().map(|(task, admitted)| match admitted {
        Admitted::Kept(settled) => Found::Settled(TaskReport::new(&task, settled.code, settled.outcome)),
        Admitted::Ignored | Admitted::ToRead => Found::ToRead(Box::new(ListedTask {
            tasks_on_device: survey.tasks_on_device(&task),
            controls_read: survey.controls_read(),
            task,
        })),
    });
    Ok(found.collect())
}

/// The lists of a cluster.
#[derive(Debug)]
pub(super) struct Survey {
    clock: Arc<dyn Clock>,
    options: SweepOptions,
    /// The inventory by MAC address in lower case.
    inventory: HashMap<String, InventoryDevice>,
    /// The change controls; `None` if they cannot be read.
    controls: Option<ChangeControls>,
    /// The number of listed tasks of each device.
    devices: Mutex<HashMap<String, usize>>,
}

/// What the lists say about a task while it is not known how many tasks its device has.
#[derive(Debug)]
pub(super) enum Admitted {
    /// The sweep is not about it.
    Ignored,
    /// It is kept without another request.
    Kept(Settled),
    /// It is to be read.
    ToRead,
}

impl Survey {
    /// Reads the inventory, the change controls, and the first page of the tasks. The stream has all tasks, page by page.
    pub(super) async fn begin(
        context: &SweepContext,
        options: &SweepOptions,
    ) -> Result<(Self, BoxStream<'static, Result<Task, CvpError>>), CvpError> {
        let cvp = &context.cvp;
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
        let survey = Self {
            clock: context.clock.clone(),
            options: options.clone(),
            inventory: inventory.into_iter().filter_map(by_mac).collect(),
            controls,
            devices: Mutex::default(),
        };
        let tasks = listing::tasks(cvp.clone(), options.status.clone(), options.page, first);
        Ok((survey, tasks))
    }

    /// Whether the change controls could be read.
    pub(super) fn controls_read(&self) -> bool {
        self.controls.is_some()
    }

    /// Counts a listed task, and says whether it is to be read.
    pub(super) fn admit(&self, task: &Task) -> Admitted {
        let key = task.device().to_ascii_lowercase();
        *self.lock().entry(key.clone()).or_default() += 1;
        if !self.options.includes(task) {
            return Admitted::Ignored;
        }
        let device = self.inventory.get(&key);
        let attachment = attachment(self.controls.as_ref(), task);
        let reasons = prefilter(task, device, attachment, &self.options.policy, self.clock.now());
        if reasons.is_empty() {
            return Admitted::ToRead;
        }
        Admitted::Kept(Settled {
            code: device.and_then(|device| device.code.get().cloned()),
            outcome: TaskOutcome::kept(reasons),
        })
    }

    /// The number of listed tasks of the same device. It is complete at the end of the list.
    pub(super) fn tasks_on_device(&self, task: &Task) -> usize {
        let key = task.device().to_ascii_lowercase();
        self.lock().get(&key).copied().unwrap_or(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
