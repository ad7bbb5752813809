use serde_json::{Value, json};
use tokio::time::Instant;

use super::container::{USUAL_KEY, USUAL_NAME};
use super::{BASE_TIME_MS, ConfigDiff, Device, Fields};
use crate::cvp::knobs::Knobs;

/// A task; CloudVision calls it a work order.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: String,
    /// MAC address of its device.
    pub device: String,
    pub kind: TaskKind,
    pub status: TaskStatus,
    pub created_by: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    pub executed_by: String,
    /// Milliseconds since 1970; 0 if it was never executed.
    pub executed_ms: u64,
    pub note: String,
    /// Id of its change control in the task object; `None` if the task object does not name it.
    pub cc_id_v2: String,
    pub stage_id: String,
    /// The response of the per-task diff service; `None`: the diff that matches the device's actual compliance code.
    pub diff: Option<ConfigDiff>,
    /// Deviations in the task object.
    pub fields: Fields,
    /// When the task began to end, and in which status it will end.
    ending: Option<(Instant, TaskStatus)>,
}

/// The kind of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Pushes configlets; the most common kind.
    Configlet,
    Image,
    ConfigletAndImage,
    /// Adds the device to a container.
    Add,
    /// Moves the device to another container.
    Move,
    Rollback,
    ZeroTouchReplacement,
}

/// `workOrderUserDefinedStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskStatus {
    Pending,
    ConfigletPushInProgress,
    ImagePushInProgress,
    DeviceRebootInProgress,
    Completed,
    Failed,
    Cancelled,
}

impl Task {
    /// A pending task that pushes configlets.
    pub fn new(id: &str, mac: &str) -> Self {
        Self {
            id: id.to_owned(),
            device: mac.to_owned(),
            kind: TaskKind::Configlet,
            status: TaskStatus::Pending,
            created_by: "alice".to_owned(),
            created_ms: BASE_TIME_MS,
            executed_by: String::new(),
            executed_ms: 0,
            note: String::new(),
            cc_id_v2: String::new(),
            stage_id: String::new(),
            diff: None,
            fields: Fields::default(),
            ending: None,
        }
    }

    /// Changes the kind of the task.
    #[must_use]
    pub fn of_kind(mut self, kind: TaskKind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds the change control to the task object; [`World::attach`](super::World::attach) puts the task into it.
    pub fn in_change_control(&mut self, change_control: &str) {
        change_control.clone_into(&mut self.cc_id_v2);
        "stage1".clone_into(&mut self.stage_id);
    }

    /// Marks the task as executed by a user. It stays in progress.
    pub fn execute(&mut self, by: &str) {
        self.ending = None;
        self.status = self.in_progress();
        by.clone_into(&mut self.executed_by);
        self.executed_ms = self.created_ms + 60_000;
    }

    /// Starts the transition to this final status.
    pub(crate) fn begins_to_end(&mut self, status: TaskStatus) {
        self.ending = Some((Instant::now(), status));
    }

    pub(crate) fn is_being_cancelled(&self) -> bool {
        matches!(self.ending, Some((_, TaskStatus::Cancelled)))
    }

    fn in_progress(&self) -> TaskStatus {
        match self.kind {
            TaskKind::Image | TaskKind::ConfigletAndImage => TaskStatus::ImagePushInProgress,
            _ => TaskStatus::ConfigletPushInProgress,
        }
    }

    /// Whether the task has a final status.
    pub(crate) fn settle(&mut self, now: Instant, knobs: &Knobs) -> bool {
        let Some((since, status)) = self.ending else {
            return false;
        };
        let delay = match status {
            TaskStatus::Cancelled => knobs.cancel_delay,
            _ => knobs.execution_delay,
        };
        if now.duration_since(since) < delay {
            return false;
        }
        self.status = status;
        self.ending = None;
        true
    }

    pub(crate) fn description(&self, device: Option<&Device>) -> String {
        let host = device.map_or("unknown", |device| &device.hostname);
        match self.kind {
            TaskKind::Configlet => format!("Configlet Assign: to Device {host}"),
            TaskKind::Image => format!("Image Bundle Assign: to Device {host}"),
            TaskKind::ConfigletAndImage => format!("Configlet and Image Assign: to Device {host}"),
            TaskKind::Add => format!("Device Add: {host} - To be added to Container LEAFS"),
            TaskKind::Move => format!("Device Move: {host} - To be moved to Container LEAFS"),
            TaskKind::Rollback => format!("Configuration Rollback: on Device {host}"),
            TaskKind::ZeroTouchReplacement => format!("Device Replacement: {host}"),
        }
    }

    /// Whether the row contains this text, ignoring case: the filter of `getTasks.do`.
    pub(crate) fn matches(&self, text: &str, device: Option<&Device>) -> bool {
        if text.is_empty() {
            return true;
        }
        let text = text.to_lowercase();
        let has = |value: &str| value.to_lowercase().contains(&text);
        let (host, serial) = device.map_or(("", ""), |device| (&device.hostname, &device.serial));
        let row = [
            &self.id,
            self.status.wire_name(),
            self.status.task_status(),
            "ACTIVE",
            &self.created_by,
            &self.executed_by,
            &self.note,
            &self.device,
            host,
            serial,
        ];
        row.into_iter().any(has) || has(&self.description(device))
    }

    /// The task object, with its id as text or number.
    pub(crate) fn value(&self, device: Option<&Device>, id_as_number: bool) -> Value {
        let id = match self.id.parse::<u64>() {
            Ok(number) if id_as_number => json!(number),
            _ => json!(self.id),
        };
        let moved = matches!(self.kind, TaskKind::Add | TaskKind::Move);
        let (container, container_name) = if moved {
            ("container_8", "LEAFS")
        } else {
            (USUAL_KEY, USUAL_NAME)
        };
        let mut value = json!({
            "workOrderId": id,
            "name": "",
            "workOrderState": "ACTIVE",
            "currentTaskName": self.current_task_name(),
            "currentTaskType": "User Task",
            "templateId": "ztp",
            "workFlowDetailsId": "",
            "description": self.description(device),
            "workOrderUserDefinedStatus": self.status.wire_name(),
            "taskStatus": self.status.task_status(),
            "taskStatusBeforeCancel": "",
            "createdBy": self.created_by,
            "createdOnInLongFormat": self.created_ms,
            "executedBy": self.executed_by,
            "executedOnInLongFormat": self.executed_ms,
            "completedOnInLongFormat": self.created_ms + 5000,
            "note": self.note,
            "dualSupervisor": false,
            "netElementId": self.device,
            "newParentContainerId": container,
            "newParentContainerName": container_name,
            "ccId": "",
            "ccIdV2": self.cc_id_v2,
            "stageId": self.stage_id,
            "workOrderDetails": {
                "netElementId": self.device,
                "netElementHostName": device.map(|device| &device.hostname),
                "ipAddress": device.map(|device| &device.ip_address),
                "serialNumber": device.map(|device| &device.serial),
                "workOrderDetailsId": "",
                "workOrderId": "",
            },
            "data": self.data(container),
        });
        self.fields.apply(&mut value);
        value
    }

    fn data(&self, container: &str) -> Value {
        let (action, view, push) = match self.kind {
            TaskKind::Image => ("Image Push", "IMAGE", "no"),
            TaskKind::ConfigletAndImage => ("Configlet and Image Push", "CONFIG_IMAGE", "yes"),
            _ => ("Configlet Push", "CONFIG", "yes"),
        };
        let replacement = if self.kind == TaskKind::ZeroTouchReplacement {
            "true"
        } else {
            ""
        };
        let mut data = json!({
            "NETELEMENT_ID": self.device,
            "WORKFLOW_ACTION": action,
            "VIEW": view,
            "IS_CONFIG_PUSH_NEEDED": push,
            "IS_ADD_OR_MOVE_FLOW": matches!(self.kind, TaskKind::Add | TaskKind::Move),
            "IS_AUTO_GENERATED_IN_CVP": false,
            "isRollbackTask": self.kind == TaskKind::Rollback,
            "isRollbackFromSnapshotFlow": false,
            "isDCAEnabled": false,
            "ZERO_TOUCH_REPLACEMENT": replacement,
            "currentparentContainerId": USUAL_KEY,
            "newparentContainerId": container,
            "configExistInCVP": false,
            "noOfRe-Tries": 0,
        });
        let empty = data.as_object_mut().expect("made as an object above");
        for field in EMPTY_TEXTS {
            empty.insert((*field).to_owned(), json!(""));
        }
        for field in EMPTY_LISTS {
            empty.insert((*field).to_owned(), json!([]));
        }
        data
    }

    fn current_task_name(&self) -> &'static str {
        match self.status {
            TaskStatus::Pending => "Submit",
            TaskStatus::Cancelled => "Cancelled",
            _ => "Execute",
        }
    }
}

impl TaskStatus {
    /// The name that CloudVision uses.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::ConfigletPushInProgress => "Configlet Push In Progress",
            Self::ImagePushInProgress => "Image Push In Progress",
            Self::DeviceRebootInProgress => "Device Reboot In Progress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// `taskStatus`, which stays `ACTIVE` when a task is cancelled.
    fn task_status(self) -> &'static str {
        match self {
            Self::Pending | Self::Cancelled => "ACTIVE",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            _ => "Task Update In Progress",
        }
    }
}

const EMPTY_TEXTS: &[&str] = &[
    "user",
    "ccId",
    "ccExecutingNode",
    "APP_SESSION_ID",
    "image",
    "imageBundleId",
    "imageToBePushedToDevice",
    "presentImageInDevice",
    "preRollbackImage",
    "runningConfig",
    "designedConfig",
    "designedConfigOutputIndex",
    "targetIpAddress",
    "commandUsedInMgmtIpVal",
    "sessionUsedInMgmtIpVal",
    "ERROR_IN_CAPTURING_RUNNING_CONFIG",
    "ERROR_IN_CAPTURING_DESIGN_CONFIG",
    "INCORRECT_CONFIG_IN_CAPTURING_DESIGN_CONFIG",
    "INCORRECT_CONFIG_IN_CAPTURING_DESIGN_CONFIG_OUTPUT_INDEX",
];

const EMPTY_LISTS: &[&str] = &[
    "imageId",
    "imageIdList",
    "config",
    "configletList",
    "ignoreConfigletList",
    "configSnapshots",
    "extensionsRequireReboot",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_matches_the_whole_row_ignoring_case() {
        let device = Device::new("aa:bb:cc:00:00:01", "leaf1");
        let mut task = Task::new("1811", "aa:bb:cc:00:00:01");
        for (text, matches) in [
            ("", true),
            ("PENDING", true),
            ("active", true),
            ("181", true),
            ("Leaf1", true),
            ("Cancelled", false),
        ] {
            assert_eq!(task.matches(text, Some(&device)), matches, "{text}");
        }
        task.status = TaskStatus::Cancelled;
        assert!(task.matches("active", None) && !task.matches("pending", None));
    }

    #[test]
    fn only_plain_configlet_tasks_have_the_plain_fields() {
        for (kind, action, moves, rollback, replacement) in [
            (TaskKind::Configlet, "Configlet Push", false, false, ""),
            (TaskKind::Image, "Image Push", false, false, ""),
            (TaskKind::Move, "Configlet Push", true, false, ""),
            (TaskKind::Add, "Configlet Push", true, false, ""),
            (TaskKind::Rollback, "Configlet Push", false, true, ""),
            (
                TaskKind::ZeroTouchReplacement,
                "Configlet Push",
                false,
                false,
                "true",
            ),
        ] {
            let data = &Task::new("1", "m").of_kind(kind).value(None, false)["data"];
            assert_eq!(data["WORKFLOW_ACTION"], action, "{kind:?}");
            assert_eq!(data["IS_ADD_OR_MOVE_FLOW"], moves, "{kind:?}");
            assert_eq!(
                data["currentparentContainerId"] != data["newparentContainerId"],
                moves,
                "{kind:?}"
            );
            assert_eq!(data["isRollbackTask"], rollback, "{kind:?}");
            assert_eq!(data["ZERO_TOUCH_REPLACEMENT"], replacement, "{kind:?}");
        }
    }
}
