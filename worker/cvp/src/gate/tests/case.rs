//! A complete example of evidence, of which a test changes one part.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::gate::{Attachment, Evidence, Policy, Reading, Verdict, decide};
use crate::wire::{Compliance, DiffSummary, Task, TaskDiff};

pub(super) const CREATED: i64 = 1_700_000_000_000;

/// All evidence for the gate, in CloudVision's format.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) task: Value,
    pub(super) compliance: Value,
    /// Null means that it cannot be read, `"absent"` that there is no such service.
    pub(super) diff: Value,
    pub(super) earlier: Value,
    pub(super) earlier_code: &'static str,
    pub(super) attachment: Attachment,
    pub(super) tasks_on_device: usize,
    pub(super) policy: Policy,
    pub(super) age_ms: i64,
    pub(super) since_reading_ms: i64,
}

impl Case {
    /// An empty task, which is cancelled.
    pub(super) fn empty() -> Self {
        let task = json!({
            "workOrderId": "1811", "workOrderState": "ACTIVE", "currentTaskName": "Submit",
            "description": "Configlet Assign: to Device leaf1", "workOrderUserDefinedStatus": "Pending",
            "taskStatus": "ACTIVE", "taskStatusBeforeCancel": "", "createdOnInLongFormat": CREATED, "executedBy": "",
            "executedOnInLongFormat": 0, "note": "", "netElementId": "aa:bb:cc:00:00:01", "ccId": "", "ccIdV2": "",
            "stageId": "",
            "workOrderDetails": {"netElementId": "aa:bb:cc:00:00:01", "netElementHostName": "leaf1", "serialNumber": "SN1"},
            "data": {
                "NETELEMENT_ID": "aa:bb:cc:00:00:01", "WORKFLOW_ACTION": "Configlet Push", "VIEW": "CONFIG",
                "IS_ADD_OR_MOVE_FLOW": false, "isRollbackTask": false, "isRollbackFromSnapshotFlow": false,
                "ZERO_TOUCH_REPLACEMENT": "", "currentparentContainerId": "container_7",
                "newparentContainerId": "container_7", "ccId": "",
            },
        });
        Self {
            earlier: task.clone(),
            task,
            compliance: json!({
                "complianceCode": "0000", "complianceIndication": "", "unAuthorized": false, "deviceStatus": "Registered",
                "streamingStatus": "active", "ztpMode": "false", "systemMacAddress": "AA:BB:CC:00:00:01",
                "key": "aa:bb:cc:00:00:01", "serialNumber": "SN1",
                "taskIdList": [{"workOrderId": 1811, "workOrderUserDefinedStatus": "Pending"},
                    {"workOrderId": "1700", "workOrderUserDefinedStatus": "Completed"}],
            }),
            diff: json!({"config_compliance": true, "nop": 120, "add": 0, "delete": 0, "change": 0, "error": ""}),
            earlier_code: "0000",
            attachment: Attachment::Free,
            tasks_on_device: 1,
            policy: Policy::default(),
            age_ms: 60_000,
            since_reading_ms: 500,
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        let task: Task = serde_json::from_value(self.task.clone()).unwrap();
        let compliance: Option<Compliance> = serde_json::from_value(self.compliance.clone()).unwrap();
        let diff = match &self.diff {
            Value::Null => None,
            Value::String(_) => Some(TaskDiff::Absent),
            summary => {
                let body = json!([{"summary": summary}]).to_string();
                Some(TaskDiff::Summary(DiffSummary::read(body.as_bytes()).unwrap()))
            }
        };
        let now = Timestamp::from_millisecond(CREATED + self.age_ms).unwrap();
        let earlier = (!self.earlier.is_null()).then(|| Reading {
            task: serde_json::from_value(self.earlier.clone()).unwrap(),
            code: self.earlier_code.into(),
            at: Timestamp::from_millisecond(CREATED + self.age_ms - self.since_reading_ms).unwrap(),
        });
        let evidence = Evidence {
            task: &task,
            compliance: compliance.as_ref(),
            diff: diff.as_ref(),
            attachment: self.attachment,
            tasks_on_device: self.tasks_on_device,
            earlier: earlier.as_ref(),
        };
        match decide(&evidence, &self.policy, now) {
            Verdict::Cancel => Vec::new(),
            Verdict::Keep(reasons) => {
                assert!(!reasons.is_empty(), "kept without a reason");
                reasons.iter().map(ToString::to_string).collect()
            }
        }
    }

    /// Sets a field, or removes it without a value.
    pub(super) fn with(mut self, part: Part, pointer: &str, value: Option<&Value>) -> Self {
        // Both readings have the same value.
        let documents: &mut [&mut Value] = match part {
            Part::Task => &mut [&mut self.task, &mut self.earlier],
            Part::Compliance => &mut [&mut self.compliance],
            Part::Diff => &mut [&mut self.diff],
        };
        for document in documents.iter_mut() {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            assert!(
                parent.contains_key(name) || value.is_some(),
                "{pointer} is not in the example"
            );
            match value {
                Some(value) => parent.insert(name.to_owned(), value.clone()),
                None => parent.remove(name),
            };
        }
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Task,
    Compliance,
    Diff,
}
