use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::field::{Field, FromWire, composite};

/// The number of a task (`workOrderId`), kept as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TaskId(String);

impl TaskId {
    /// The number in CloudVision's format.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for TaskId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The fields of a task that Lockstep uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    #[serde(rename = "workOrderId")]
    pub id: Field<String>,
    /// The reliable status: `Pending`, `Cancelled`, …
    #[serde(rename = "workOrderUserDefinedStatus")]
    pub status: Field<String>,
    /// Not reliable: also ACTIVE for cancelled tasks.
    #[serde(rename = "taskStatus")]
    pub task_status: Field<String>,
    #[serde(rename = "taskStatusBeforeCancel")]
    pub status_before_cancel: Field<String>,
    /// `Submit` until the task begins.
    #[serde(rename = "currentTaskName")]
    pub step: Field<String>,
    pub description: Field<String>,
    /// Milliseconds since 1970.
    #[serde(rename = "createdOnInLongFormat")]
    pub created_ms: Field<i64>,
    #[serde(rename = "executedOnInLongFormat")]
    pub executed_ms: Field<i64>,
    #[serde(rename = "executedBy")]
    pub executed_by: Field<String>,
    pub note: Field<String>,
    #[serde(rename = "netElementId")]
    pub net_element_id: Field<String>,
    #[serde(rename = "ccId")]
    pub change_control_old: Field<String>,
    #[serde(rename = "ccIdV2")]
    pub change_control: Field<String>,
    #[serde(rename = "stageId")]
    pub stage: Field<String>,
    #[serde(rename = "workOrderDetails")]
    pub details: Field<TaskDetails>,
    pub data: Field<TaskData>,
}

/// `workOrderDetails` of a task: which device it is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskDetails {
    #[serde(rename = "netElementId")]
    pub net_element_id: Field<String>,
    #[serde(rename = "netElementHostName")]
    pub hostname: Field<String>,
    #[serde(rename = "serialNumber")]
    pub serial: Field<String>,
}

/// `data` of a task: what it does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskData {
    #[serde(rename = "NETELEMENT_ID")]
    pub net_element_id: Field<String>,
    #[serde(rename = "WORKFLOW_ACTION")]
    pub action: Field<String>,
    #[serde(rename = "VIEW")]
    pub view: Field<String>,
    #[serde(rename = "IS_ADD_OR_MOVE_FLOW")]
    pub add_or_move: Field<bool>,
    #[serde(rename = "isRollbackTask")]
    pub rollback: Field<bool>,
    #[serde(rename = "isRollbackFromSnapshotFlow")]
    pub snapshot_rollback: Field<bool>,
    #[serde(rename = "ZERO_TOUCH_REPLACEMENT")]
    pub replacement: Field<String>,
    #[serde(rename = "currentparentContainerId")]
    pub current_container: Field<String>,
    #[serde(rename = "newparentContainerId")]
    pub new_container: Field<String>,
    #[serde(rename = "ccId")]
    pub change_control_old: Field<String>,
}

impl FromWire for TaskDetails {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        composite(deserializer)
    }
}

impl FromWire for TaskData {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        composite(deserializer)
    }
}

impl Task {
    /// The number; empty if it could not be read.
    pub fn task_id(&self) -> TaskId {
        TaskId(self.id.text().to_owned())
    }

    /// CloudVision's id of the device (its MAC address), from the first place that has it; empty if none has.
    pub fn device(&self) -> &str {
        let places = [
            self.data.get().map(|data| data.net_element_id.text()),
            Some(self.net_element_id.text()),
            self.details.get().map(|details| details.net_element_id.text()),
        ];
        places
            .into_iter()
            .flatten()
            .find(|id| !id.is_empty())
            .unwrap_or("")
    }

    /// Whether it is in this status, ignoring case.
    pub fn is(&self, status: &str) -> bool {
        self.status.text().eq_ignore_ascii_case(status)
    }

    /// A task of which only the number could be read, or nothing.
    pub(crate) fn unreadable(row: &str) -> Self {
        #[derive(Deserialize)]
        struct Numbered {
            #[serde(default, rename = "workOrderId")]
            id: Field<String>,
        }
        let numbered: Option<Numbered> = serde_json::from_str(row).ok();
        Self {
            id: numbered.map_or(Field::Unreadable, |numbered| numbered.id),
            status: Field::Unreadable,
            data: Field::Unreadable,
            details: Field::Unreadable,
            ..Self::default()
        }
    }
}

/// The longest row of a list, in bytes. A captured one has four thousand.
pub(super) const LONGEST_ROW: usize = 1 << 20;

/// Why a page of the task list cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// It is not a list of tasks.
    #[error("the answer is not a list of tasks")]
    Json(#[from] serde_json::Error),
    /// A row is too long. It could be about any device.
    #[error("a task has more than {LONGEST_ROW} bytes")]
    Row,
}

/// A page of the task list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPage {
    /// The tasks in the requested status, and those whose status could not be read.
    pub tasks: Vec<Task>,
    /// The numbers of tasks in another status.
    pub others: Vec<TaskId>,
    /// The number of received rows, whatever their status.
    pub received: usize,
    /// The number of tasks in all pages, if CloudVision reports it.
    pub total: Option<usize>,
    /// The size of the answer in bytes.
    pub bytes: usize,
}

impl TaskPage {
    /// Reads `{"total": N, "data": […]}`. An invalid row becomes an unreadable task.
    ///
    /// # Errors
    /// If the answer has no list of tasks, or a row is too long.
    pub(crate) fn read(body: &[u8], status: &str) -> Result<Self, PageError> {
        #[derive(Deserialize)]
        struct Page<'a> {
            #[serde(default)]
            total: Field<i64>,
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
        }
        let page: Page<'_> = serde_json::from_slice(body)?;
        if page.data.iter().any(|row| row.get().len() > LONGEST_ROW) {
            return Err(PageError::Row);
        }
        let read = |row: &&RawValue| {
            serde_json::from_str::<Task>(row.get()).unwrap_or_else(|_| Task::unreadable(row.get()))
        };
        // The server's filter searches the text of the whole row, so the status is compared here.
        let fits = |task: &Task| task.status.get().is_none_or(|_| task.is(status));
        let (tasks, others): (Vec<Task>, Vec<Task>) = page.data.iter().map(read).partition(fits);
        Ok(Self {
            tasks,
            others: others.iter().map(Task::task_id).collect(),
            received: page.data.len(),
            total: page.total.get().and_then(|total| usize::try_from(*total).ok()),
            bytes: body.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_tasks_in_the_status_and_unreadable_ones() {
        let body = br#"{"total": "7", "data": [
            {"workOrderId": 1, "workOrderUserDefinedStatus": "Pending", "data": {"NETELEMENT_ID": "aa"}},
            {"workOrderId": "2", "workOrderUserDefinedStatus": "Cancelled", "description": "was Pending"},
            {"workOrderId": "3", "workOrderUserDefinedStatus": null, "data": null},
            {"workOrderId": "4", "workOrderUserDefinedStatus": "pending", "data": "text"},
            {"workOrderId": "5", "workOrderId": "5"},
            "nonsense", null
        ]}"#;
        let page = TaskPage::read(body, "Pending").unwrap();
        assert_eq!((page.received, page.total), (7, Some(7)));
        let ids: Vec<&str> = page.tasks.iter().map(|task| task.id.text()).collect();
        assert_eq!(ids, ["1", "3", "4", "", "", ""]);
        assert_eq!(page.others, [TaskId::from("2".to_owned())]);
        assert_eq!(page.tasks[0].device(), "aa");
        assert_eq!(page.tasks[1].data, Field::Missing);
        assert_eq!(page.tasks[2].data, Field::Unreadable);
        assert_eq!(page.tasks[3].status, Field::Unreadable);
    }

    #[test]
    fn a_task_that_is_written_is_read_again_as_the_same_one() {
        let rows = [
            "{}",
            r#"{"workOrderId": 7, "description": "d", "createdOnInLongFormat": "12", "data": {"IS_ADD_OR_MOVE_FLOW": "no", "VIEW": ""}}"#,
            r#"{"workOrderId": [], "executedOnInLongFormat": "soon", "data": 7, "workOrderDetails": [{}]}"#,
            r#"{"note": {}, "data": {"isRollbackTask": 7, "ccId": null}, "workOrderDetails": {"serialNumber": true}}"#,
        ];
        for row in rows {
            let task: Task = serde_json::from_str(row).unwrap();
            let written = serde_json::to_value(&task).unwrap();
            assert_eq!(serde_json::from_value::<Task>(written).unwrap(), task, "{row}");
        }
        let unreadable = Task::unreadable("nonsense");
        let written = serde_json::to_value(&unreadable).unwrap();
        assert_eq!(serde_json::from_value::<Task>(written).unwrap(), unreadable);
    }

    #[test]
    fn an_answer_without_a_list_is_an_error() {
        for body in ["{}", "[]", "null", r#"{"data": null}"#, r#"{"data": {}}"#] {
            assert!(TaskPage::read(body.as_bytes(), "Pending").is_err(), "{body}");
        }
        let long = format!(r#"{{"data": [{{"note": "{}"}}]}}"#, "x".repeat(LONGEST_ROW));
        let error = TaskPage::read(long.as_bytes(), "Pending").unwrap_err();
        assert!(matches!(error, PageError::Row), "{error}");
    }

    #[test]
    fn the_device_is_found_in_any_of_its_places() {
        let table = [
            (r#"{"data": {"NETELEMENT_ID": "a"}, "netElementId": "b"}"#, "a"),
            (r#"{"data": {"NETELEMENT_ID": ""}, "netElementId": "b"}"#, "b"),
            (r#"{"workOrderDetails": {"netElementId": "c"}}"#, "c"),
            ("{}", ""),
        ];
        for (row, device) in table {
            let task: Task = serde_json::from_str(row).unwrap();
            assert_eq!(task.device(), device, "{row}");
        }
    }
}
