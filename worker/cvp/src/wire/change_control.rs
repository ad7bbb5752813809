use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::field::Field;
use super::task::TaskId;

/// The longest change control, in bytes.
const LONGEST: usize = 8 << 20;

/// The tasks that unfinished change controls refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeControls {
    tasks: BTreeMap<TaskId, String>,
}

/// Why the change controls cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeControlError {
    /// The stream reported an error.
    #[error("the stream of change controls ended with an error: {0}")]
    StreamFailed(String),
    /// A part is not a change control.
    #[error("a change control cannot be read: {0}")]
    Unreadable(String),
    /// A stage is about a task without naming it.
    #[error("a stage of the change control {0:?} is about a task without naming it")]
    UnnamedTask(String),
}

#[derive(Deserialize)]
struct Line {
    result: Option<ActionResult>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct ActionResult {
    value: Option<Control>,
}

#[derive(Deserialize)]
struct Control {
    #[serde(default)]
    key: Key,
    #[serde(default)]
    status: Field<String>,
    change: Option<Change>,
}

#[derive(Default, Deserialize)]
struct Key {
    #[serde(default)]
    id: Field<String>,
}

#[derive(Deserialize)]
struct Change {
    stages: Option<Stages>,
}

#[derive(Deserialize)]
struct Stages {
    values: Option<BTreeMap<String, Stage>>,
}

#[derive(Deserialize)]
struct Stage {
    action: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    name: Field<String>,
    args: Option<Arguments>,
}

#[derive(Deserialize)]
struct Arguments {
    values: Option<BTreeMap<String, Value>>,
}

impl ChangeControls {
    /// The unfinished change control that refers to a task, if there is one.
    pub fn holding(&self, task: &TaskId) -> Option<&str> {
        self.tasks.get(task).map(String::as_str)
    }

    /// Reads a stream of objects with any separators.
    ///
    /// # Errors
    /// If any part cannot be read, since a skipped change control could refer to any task.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ChangeControlError> {
        let mut tasks = BTreeMap::new();
        for line in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
            let unreadable = |error: serde_json::Error| ChangeControlError::Unreadable(error.to_string());
            let line = line.map_err(unreadable)?.get();
            if line.len() > LONGEST {
                let reason = format!("it has more than {LONGEST} bytes");
                return Err(ChangeControlError::Unreadable(reason));
            }
            let line: Line = serde_json::from_str(line).map_err(unreadable)?;
            if let Some(error) = line.error {
                return Err(ChangeControlError::StreamFailed(error.to_string()));
            }
            let control = line.result.and_then(|outcome| outcome.value);
            let Some(control) = control else {
                return Err(ChangeControlError::Unreadable("it has no value".to_owned()));
            };
            control.collect(&mut tasks)?;
        }
        Ok(Self { tasks })
    }
}

impl Control {
    /// A missing or unknown status counts as unfinished.
    fn is_finished(&self) -> bool {
        self.status.text() == "CHANGE_CONTROL_STATUS_COMPLETED"
    }

    fn collect(self, tasks: &mut BTreeMap<TaskId, String>) -> Result<(), ChangeControlError> {
        if self.is_finished() {
            return Ok(());
        }
        let id = self.key.id.text().to_owned();
        let stages = self.change.and_then(|change| change.stages);
        let stages = stages.and_then(|stages| stages.values).unwrap_or_default();
        for action in stages.into_values().filter_map(|stage| stage.action) {
            let is_about_task = action.name.text().eq_ignore_ascii_case("task");
            let arguments = action.args.and_then(|arguments| arguments.values);
            let named = arguments.unwrap_or_default().into_iter();
            let mut named = named.filter(|(name, _)| name.eq_ignore_ascii_case("TaskID"));
            match named.next().map(|(_, value)| value) {
                Some(Value::String(task)) if !task.is_empty() => {
                    tasks.insert(TaskId::from(task), id.clone());
                }
                Some(Value::Number(task)) => {
                    tasks.insert(TaskId::from(task.to_string()), id.clone());
                }
                None if !is_about_task => {}
                _ => return Err(ChangeControlError::UnnamedTask(id)),
            }
        }
        Ok(())
    }
}

impl FromIterator<(TaskId, String)> for ChangeControls {
    fn from_iter<I: IntoIterator<Item = (TaskId, String)>>(pairs: I) -> Self {
        Self {
            tasks: pairs.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn control(id: &str, status: Option<&str>, action: &Value) -> String {
        let mut value = json!({"key": {"id": id}, "change": {"name": "x", "stages": {"values": {
            "root": {"name": "root", "rows": {"values": []}}, "s1": {"action": action}}}}, "error": "a text of its own"});
        if let Some(status) = status {
            value["status"] = status.into();
        }
        json!({"result": {"value": value, "time": "2026-01-01T00:00:00Z", "type": "INITIAL"}}).to_string()
    }

    fn about(task: &Value) -> Value {
        json!({"name": "task", "args": {"values": {"TaskID": task}}})
    }

    #[test]
    fn unfinished_change_controls_hold_their_tasks() {
        let table = [
            (None, true),
            (Some("CHANGE_CONTROL_STATUS_UNSPECIFIED"), true),
            (Some("CHANGE_CONTROL_STATUS_RUNNING"), true),
            (Some("CHANGE_CONTROL_STATUS_SCHEDULED"), true),
            (Some("CHANGE_CONTROL_STATUS_NOT_STARTED"), true),
            (Some("CHANGE_CONTROL_STATUS_NEW_IN_2030"), true),
            (Some("CHANGE_CONTROL_STATUS_COMPLETED"), false),
        ];
        for (status, held) in table {
            let body = control("cc1", status, &about(&json!("1811")));
            let controls = ChangeControls::read(body.as_bytes()).unwrap();
            let expected = held.then_some("cc1");
            assert_eq!(
                controls.holding(&TaskId::from("1811".to_owned())),
                expected,
                "{status:?}"
            );
        }
    }

    #[test]
    fn objects_may_have_any_separator() {
        let one = control("a", None, &about(&json!("1")));
        let two = control("b", None, &about(&json!(2)));
        for separator in ["\n", "\r\n", "\n\n", "", " "] {
            let body = format!("{one}{separator}{two}{separator}");
            let controls = ChangeControls::read(body.as_bytes()).unwrap();
            assert_eq!(controls.tasks.len(), 2, "{separator:?}");
        }
        assert_eq!(ChangeControls::read(b"").unwrap(), ChangeControls::default());
    }

    #[test]
    fn an_incomplete_stream_is_an_error() {
        let whole = control("a", None, &about(&json!("1")));
        let nameless = |task: &Value| control("a", None, &about(task));
        let table = [
            (
                format!("{whole}\n{{\"error\":{{\"code\":13,\"message\":\"boom\"}}}}\n"),
                "ended with an error",
            ),
            (whole[..whole.len() - 3].to_owned(), "cannot be read"),
            ("<html>".to_owned(), "cannot be read"),
            ("{}".to_owned(), "no value"),
            (nameless(&json!(null)), "without naming it"),
            (nameless(&json!("")), "without naming it"),
            (control("a", None, &json!({"name": "task"})), "without naming it"),
        ];
        for (body, expected) in table {
            let error = ChangeControls::read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    #[test]
    fn other_stages_hold_no_task() {
        for action in [
            json!({"name": "mlagishealthy", "args": {"values": {"DeviceID": "SN"}}}),
            json!(null),
        ] {
            let controls = ChangeControls::read(control("a", None, &action).as_bytes()).unwrap();
            assert_eq!(controls, ChangeControls::default());
        }
    }
}
