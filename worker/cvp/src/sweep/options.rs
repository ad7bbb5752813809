use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::gate::Policy;
use crate::wire::{Task, TaskId};

/// The options of a sweep.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// The status of the tasks to list. The gate keeps all tasks whose status is not `Pending`.
    pub status: String,
    /// Whether to change nothing: no note, no cancel.
    pub dry_run: bool,
    /// Only these tasks; the others still count as tasks of their devices.
    pub only: Option<BTreeSet<TaskId>>,
    /// Only tasks of devices with one of these hostnames, serial numbers or MAC addresses, in any case; the others still count, too.
    pub devices: Option<BTreeSet<String>>,
    /// The settings of the gate.
    pub policy: Policy,
    /// The name in the note on each task. Only the attempts at one task that may be each other's repetition have the same one.
    pub author: String,
    /// The most tasks in progress. It exceeds the number of concurrent requests, since some tasks only wait.
    pub in_flight: usize,
    /// The page size of the task list.
    pub page: usize,
    /// How to wait for the end of a cancel.
    pub confirm: ConfirmOptions,
    /// Stops the sweep early: no cancel begins after it.
    pub stop: CancellationToken,
}

impl SweepOptions {
    /// Whether the sweep is about a task.
    pub(super) fn includes(&self, task: &Task) -> bool {
        let by_id = self
            .only
            .as_ref()
            .is_none_or(|only| only.contains(&task.task_id()));
        by_id
            && self
                .devices
                .as_ref()
                .is_none_or(|devices| devices.iter().any(|name| is_of(task, name)))
    }
}

/// Whether a task is about the device with this hostname, serial number or MAC address. A hostname without a domain stands for those
/// with one.
fn is_of(task: &Task, name: &str) -> bool {
    let details = task.details.get();
    let hostname = details.map_or("", |details| details.hostname.text());
    let short = hostname.split('.').next().filter(|_| !name.contains('.'));
    let names = [
        Some(hostname),
        short,
        details.map(|details| details.serial.text()),
        Some(task.device()),
    ];
    names
        .into_iter()
        .flatten()
        .any(|known| !known.is_empty() && known.eq_ignore_ascii_case(name))
}

/// How to wait for the end of a cancel. CloudVision answers when it begins, not when it is done.
#[derive(Clone, Copy, Debug)]
pub struct ConfirmOptions {
    /// The pause after the first read of the task; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// The timeout.
    pub deadline: Duration,
    /// How long a task may stay pending after a cancel whose answer was lost before the cancel counts as not executed.
    pub lost: Duration,
    /// The most cancels of one task, if their answers are lost.
    pub cancels: u32,
}

impl Default for ConfirmOptions {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            most: Duration::from_secs(2),
            deadline: Duration::from_secs(30),
            lost: Duration::from_secs(5),
            cancels: 3,
        }
    }
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self {
            status: "Pending".to_owned(),
            dry_run: true,
            only: None,
            devices: None,
            policy: Policy::default(),
            author: "Lockstep".to_owned(),
            in_flight: 128,
            page: 500,
            confirm: ConfirmOptions::default(),
            stop: CancellationToken::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_about_the_named_tasks_and_devices() {
        let row = r#"{"workOrderId": 7, "workOrderDetails": {"netElementHostName": "leaf1.example.org", "serialNumber": "SN1"},
            "data": {"NETELEMENT_ID": "00:1c:73:00:00:01"}}"#;
        let task: Task = serde_json::from_str(row).unwrap();
        let table: [(Option<&str>, Option<&str>, bool); 11] = [
            (None, None, true),
            (Some("7"), None, true),
            (Some("8"), None, false),
            (None, Some("leaf1"), true),
            (None, Some("LEAF1.example.org"), true),
            (None, Some("leaf1.other.org"), false),
            (None, Some("sn1"), true),
            (None, Some("00:1C:73:00:00:01"), true),
            (None, Some(""), false),
            (None, Some("example"), false),
            (Some("8"), Some("leaf1"), false),
        ];
        for (only, device, expected) in table {
            let options = SweepOptions {
                only: only.map(|id| BTreeSet::from([TaskId::from(id.to_owned())])),
                devices: device.map(|name| BTreeSet::from([name.to_owned()])),
                ..SweepOptions::default()
            };
            assert_eq!(options.includes(&task), expected, "{only:?} {device:?}");
        }
    }
}
