//! A scripted CloudVision under a paused clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::client::limiter::ConcurrencyLimiter;
use crate::client::{CvpError, Priority};
use crate::sweep::{Cvp, Summary, SweepContext, SweepEvent, SweepOptions, TaskReport, run};
use crate::wire::{
    ChangeControls, Compliance, DiffSummary, InventoryDevice, Task, TaskDiff, TaskId, TaskPage,
};
use lockstep_clock::Clock;

/// The effect of a cancel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cancel {
    /// The task is cancelled after a time.
    Works(Duration),
    /// The task is cancelled, and the answer is lost.
    Lost,
    /// The task is not cancelled, and the answer is lost.
    LostWithoutEffect,
    /// CloudVision rejects the cancel.
    Refused,
}

pub(super) struct Device {
    pub(super) code: String,
    pub(super) diff: Option<bool>,
}

#[derive(Default)]
pub(super) struct World {
    /// Tasks with their devices; newest first.
    pub(super) tasks: Vec<(String, String)>,
    pub(super) status: BTreeMap<String, String>,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) held: BTreeSet<String>,
    pub(super) cancels: VecDeque<Cancel>,
    /// When cancelled tasks become Cancelled.
    due: BTreeMap<String, Instant>,
    pub(super) notes: BTreeMap<String, String>,
    /// Calls that fail, by their name and how often they worked before.
    pub(super) failing: BTreeMap<&'static str, usize>,
    /// All calls with their subject and time.
    pub(super) calls: Vec<(&'static str, String, Duration)>,
}

type Hook = Box<dyn FnMut(&str, &str, usize, &mut World) + Send>;

/// A CloudVision that follows a script.
pub(super) struct Fake {
    world: Mutex<World>,
    /// Runs before each call, with the name of the call, its subject, and the number of earlier calls with both.
    hook: Mutex<Hook>,
    start: Instant,
    /// Limits the concurrent requests.
    limiter: ConcurrencyLimiter,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

/// A wall clock that follows Tokio's paused clock.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.0.elapsed()).unwrap();
        "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + since
    }
}

/// The events of a sweep.
#[derive(Default)]
pub(super) struct Observed {
    pub(super) reports: BTreeMap<String, TaskReport>,
    pub(super) warnings: usize,
}

impl Observed {
    /// The outcome of a task: its action and the reasons.
    pub(super) fn outcome(&self, task: &str) -> String {
        let report = &self.reports[task];
        let action = format!("{:?}", report.outcome.action()).to_lowercase();
        let reasons = report.outcome.reasons();
        if reasons.is_empty() {
            action
        } else {
            format!("{action}: {}", reasons.join(", "))
        }
    }
}

impl Fake {
    /// Tasks with the codes of their devices. Each device has the number of its task.
    pub(super) fn new(tasks: &[(&str, &str)]) -> Self {
        let mut world = World::default();
        for (task, code) in tasks {
            world.add(task, task, code);
        }
        Self {
            world: Mutex::new(world),
            hook: Mutex::new(Box::new(|_, _, _, _| {})),
            start: Instant::now(),
            limiter: ConcurrencyLimiter::new(1000),
        }
    }

    pub(super) fn with(self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world());
        self
    }

    /// Makes a call fail after it worked so often.
    pub(super) fn failing(self, call: &'static str, works: usize) -> Self {
        self.with(|world| {
            world.failing.insert(call, works);
        })
    }

    pub(super) fn limited_to(mut self, requests: usize) -> Self {
        self.limiter = ConcurrencyLimiter::new(requests);
        self
    }

    /// Sets the hook that runs before each call.
    pub(super) fn on(self, hook: impl FnMut(&str, &str, usize, &mut World) + Send + 'static) -> Self {
        *self.hook.lock().unwrap() = Box::new(hook);
        self
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// How often something was called.
    pub(super) fn count(&self, call: &str) -> usize {
        self.world()
            .calls
            .iter()
            .filter(|(name, _, _)| *name == call)
            .count()
    }

    /// Runs a sweep, and checks that each listed task has one outcome.
    pub(super) async fn sweep(
        self: &Arc<Self>,
        options: SweepOptions,
    ) -> (Result<Summary, CvpError>, Observed) {
        let observed = Arc::new(Mutex::new(Observed::default()));
        let observe = {
            let observed = observed.clone();
            move |event: SweepEvent<'_>| {
                let mut observed = observed.lock().unwrap();
                match event {
                    SweepEvent::Settled(report) => {
                        let twice = observed
                            .reports
                            .insert(report.task_id.to_string(), report.clone());
                        assert!(twice.is_none(), "two outcomes of {}", report.task_id);
                    }
                    SweepEvent::Warning { .. } => observed.warnings += 1,
                    SweepEvent::Listed(_) => {}
                }
            }
        };
        let context = SweepContext {
            cvp: self.clone(),
            clock: Arc::new(TokioClock(self.start)),
            observe: Arc::new(observe),
        };
        let result = run(context, options).await;
        let observed = std::mem::take(&mut *observed.lock().unwrap());
        if let Ok(summary) = &result {
            let Summary {
                listed,
                cancelled,
                kept,
                failed,
                gone,
                ..
            } = summary;
            assert_eq!(
                *listed,
                observed.reports.len() as u64,
                "every listed task has an outcome"
            );
            assert_eq!(*listed, cancelled + kept + failed + gone, "{summary:?}");
        }
        (result, observed)
    }

    /// The context of a sweep that nobody observes.
    pub(super) fn context(self: &Arc<Self>) -> SweepContext {
        SweepContext {
            cvp: self.clone(),
            clock: Arc::new(TokioClock(self.start)),
            observe: Arc::new(|_| {}),
        }
    }

    async fn begin(&self, call: &'static str, subject: &str) -> Result<MutexGuard<'_, World>, CvpError> {
        self.begin_as(Priority::High, call, subject).await
    }

    async fn begin_as(
        &self,
        priority: Priority,
        call: &'static str,
        subject: &str,
    ) -> Result<MutexGuard<'_, World>, CvpError> {
        let _permit = self.limiter.acquire(priority).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut world = self.world();
        let asked = |(name, about, _): &&(&'static str, String, Duration)| *name == call && about == subject;
        let before = world.calls.iter().filter(asked).count();
        self.hook.lock().unwrap()(call, subject, before, &mut world);
        let now = Instant::now();
        world.calls.push((call, subject.to_owned(), now - self.start));
        let due: Vec<String> = world
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            world.due.remove(&id);
            world.status.insert(id, "Cancelled".to_owned());
        }
        let total = world.calls.iter().filter(|(name, _, _)| *name == call).count();
        match world.failing.get(call) {
            Some(works) if total > *works => Err(CvpError::TimedOut { call }),
            _ => Ok(world),
        }
    }
}

impl World {
    pub(super) fn add(&mut self, task: &str, device: &str, code: &str) {
        self.tasks.insert(0, (task.to_owned(), device.to_owned()));
        self.status.insert(task.to_owned(), "Pending".to_owned());
        let device = self.devices.entry(device.to_owned()).or_insert(Device {
            code: String::new(),
            diff: Some(true),
        });
        code.clone_into(&mut device.code);
    }

    pub(super) fn set_status(&mut self, task: &str, status: &str) {
        self.status.insert(task.to_owned(), status.to_owned());
    }

    fn task(&self, id: &str) -> Option<Task> {
        let (_, device) = self.tasks.iter().find(|(task, _)| task == id)?;
        let task = json!({
            "workOrderId": id, "workOrderUserDefinedStatus": self.status[id], "currentTaskName": "Submit",
            "createdOnInLongFormat": 1, "netElementId": device, "note": self.notes.get(id),
            "workOrderDetails": {"netElementHostName": format!("leaf{device}"), "serialNumber": device},
            "data": {"NETELEMENT_ID": device, "WORKFLOW_ACTION": "Configlet Push", "IS_ADD_OR_MOVE_FLOW": false},
        });
        serde_json::from_value(task).ok()
    }
}

#[async_trait]
impl Cvp for Fake {
    async fn tasks(&self, status: &str, start: usize, count: usize) -> Result<TaskPage, CvpError> {
        let world = self.begin_as(Priority::Normal, "tasks", "").await?;
        let fits = |(id, _): &&(String, String)| world.status[id] == status;
        let all: Vec<Task> = world
            .tasks
            .iter()
            .filter(fits)
            .filter_map(|(id, _)| world.task(id))
            .collect();
        let tasks: Vec<Task> = all.iter().skip(start).take(count).cloned().collect();
        Ok(TaskPage {
            received: tasks.len(),
            tasks,
            others: Vec::new(),
            total: Some(all.len()),
            bytes: 0,
        })
    }

    async fn inventory(&self) -> Result<Vec<InventoryDevice>, CvpError> {
        let world = self.begin_as(Priority::Normal, "inventory", "").await?;
        let device = |(mac, device): (&String, &Device)| {
            serde_json::from_value(json!({"systemMacAddress": mac, "complianceCode": device.code})).unwrap()
        };
        Ok(world.devices.iter().map(device).collect())
    }

    async fn change_controls(&self, priority: Priority) -> Result<ChangeControls, CvpError> {
        let world = self.begin_as(priority, "controls", "").await?;
        let held = world
            .held
            .iter()
            .map(|task| (TaskId::from(task.clone()), "cc".to_owned()));
        Ok(held.collect())
    }

    async fn task(&self, id: &TaskId) -> Result<Option<Task>, CvpError> {
        Ok(self.begin("task", id.as_str()).await?.task(id.as_str()))
    }

    async fn compliance(&self, device: &str, priority: Priority) -> Result<Compliance, CvpError> {
        let world = self.begin_as(priority, "compliance", device).await?;
        let answer = json!({"complianceCode": world.devices[device].code, "unAuthorized": false, "deviceStatus": "Registered"});
        Ok(serde_json::from_value(answer).unwrap())
    }

    async fn task_diff(&self, id: &TaskId, priority: Priority) -> Result<TaskDiff, CvpError> {
        let world = self.begin_as(priority, "diff", id.as_str()).await?;
        let Some((_, device)) = world.tasks.iter().find(|(task, _)| task == id.as_str()) else {
            return Err(CvpError::TimedOut { call: "diff" });
        };
        Ok(match world.devices[device].diff {
            None => TaskDiff::Absent,
            Some(compliant) => TaskDiff::Summary(DiffSummary {
                compliant: crate::wire::Field::Is(compliant),
                ..DiffSummary::default()
            }),
        })
    }

    async fn note(&self, id: &TaskId, note: &str) -> Result<(), CvpError> {
        self.begin("note", id.as_str())
            .await?
            .notes
            .insert(id.to_string(), note.to_owned());
        Ok(())
    }

    async fn cancel(&self, id: &TaskId) -> Result<String, CvpError> {
        let mut world = self.begin("cancel", id.as_str()).await?;
        let cancel = world.cancels.pop_front().unwrap_or(Cancel::Works(Duration::ZERO));
        let lost = CvpError::TimedOut { call: "cancel" };
        match cancel {
            Cancel::Works(delay) => {
                world.due.insert(id.to_string(), Instant::now() + delay);
                Ok("Task cancellation triggered successfully".to_owned())
            }
            Cancel::Lost => {
                world
                    .due
                    .insert(id.to_string(), Instant::now() + Duration::from_secs(1));
                Err(lost)
            }
            Cancel::LostWithoutEffect => Err(lost),
            Cancel::Refused => Err(CvpError::Refused {
                call: "cancel",
                code: "1".to_owned(),
                reason: "no".to_owned(),
            }),
        }
    }
}
