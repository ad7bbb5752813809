use serde_json::{Map, Value, json};

use super::BASE_TIME;

/// A change control with one stage per task.
#[derive(Clone, Debug)]
pub struct ChangeControl {
    pub id: String,
    pub name: String,
    /// `None` omits the field, as in published samples of pending change controls.
    pub status: Option<ChangeControlStatus>,
    /// The error of its run.
    pub error: Option<String>,
    pub approved: bool,
    /// Ids of its tasks.
    pub tasks: Vec<String>,
}

/// The progress of a change control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeControlStatus {
    Unspecified,
    NotStarted,
    Scheduled,
    Running,
    Completed,
}

impl ChangeControl {
    /// A change control that has not started and has no tasks.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: format!("Change {id}"),
            status: None,
            error: None,
            approved: false,
            tasks: Vec::new(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status != Some(ChangeControlStatus::Completed)
    }

    /// The value in the resource API: a root stage with one stage per task.
    pub(crate) fn value(&self) -> Value {
        let mut stages = Map::new();
        let ids: Vec<String> = (1..=self.tasks.len())
            .map(|index| format!("stage{index}"))
            .collect();
        let rows: Vec<Value> = ids.iter().map(|id| json!({"values": [id]})).collect();
        stages.insert(
            "root".to_owned(),
            json!({"name": "Root", "rows": {"values": rows}}),
        );
        for (stage, task) in ids.iter().zip(&self.tasks) {
            let action = json!({"name": "task", "timeout": 3000, "args": {"values": {"TaskID": task}}});
            stages.insert(
                stage.clone(),
                json!({"name": format!("Task {task}"), "action": action}),
            );
        }
        let mut value = json!({
            "key": {"id": self.id},
            "change": {"name": self.name, "rootStageId": "root", "notes": "", "stages": {"values": stages},
                       "time": BASE_TIME, "user": "alice"},
        });
        if let Some(status) = self.status {
            value["status"] = json!(status.wire_name());
        }
        if let Some(error) = &self.error {
            value["error"] = json!(error);
        }
        if self.approved {
            value["approve"] = json!({"value": true, "notes": "", "time": BASE_TIME, "user": "alice"});
        }
        value
    }
}

impl ChangeControlStatus {
    fn wire_name(self) -> &'static str {
        match self {
            Self::Unspecified => "CHANGE_CONTROL_STATUS_UNSPECIFIED",
            Self::NotStarted => "CHANGE_CONTROL_STATUS_NOT_STARTED",
            Self::Scheduled => "CHANGE_CONTROL_STATUS_SCHEDULED",
            Self::Running => "CHANGE_CONTROL_STATUS_RUNNING",
            Self::Completed => "CHANGE_CONTROL_STATUS_COMPLETED",
        }
    }
}
