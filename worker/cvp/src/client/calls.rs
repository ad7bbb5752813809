//! The requests of CloudVision's API that Lockstep uses.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::CvpClient;
use super::envelope::short;
use super::error::CvpError;
use super::limiter::Priority;
use super::request::{Call, LIST, OBJECT, Path};
use super::retry::Retryability;
use super::version::Version;
use crate::wire::{
    ChangeControls, Compliance, DiffSummary, InventoryDevice, ListError, ListedDevice, PageError, Task,
    TaskDiff, TaskId, TaskPage, inventory, listed,
};

impl CvpClient {
    /// The release of the cluster. It is requested once.
    ///
    /// # Errors
    /// If the release cannot be read.
    pub async fn version(&self) -> Result<&Version, CvpError> {
        let ask = async || {
            if self.options.cloud {
                return Ok(Version::Cloud);
            }
            let call = Call {
                name: "read the version",
                ..get(Path::Legacy("/cvpInfo/getCvpInfo.do"), &[])
            };
            self.call(&call, version_of).await
        };
        self.version.get_or_try_init(ask).await
    }

    /// Lists a page of the tasks in a status, newest first, beginning at row `start`.
    ///
    /// # Errors
    /// If the tasks cannot be listed.
    pub async fn tasks(&self, status: &str, start: usize, count: usize) -> Result<TaskPage, CvpError> {
        let (start, end) = (start.to_string(), (start + count).to_string());
        let query = [
            ("queryparam", status),
            ("startIndex", start.as_str()),
            ("endIndex", end.as_str()),
        ];
        let call = Call {
            name: "list tasks",
            most: LIST,
            ..get(Path::Legacy("/task/getTasks.do"), &query)
        };
        let read = |body: &Bytes| {
            TaskPage::read(body, status).map_err(|error| match error {
                PageError::Json(error) => describe(error),
                PageError::Row => error.to_string(),
            })
        };
        self.call(&call, read).await
    }

    /// Reads a task; `None` if it does not exist.
    ///
    /// # Errors
    /// If the task cannot be read.
    pub async fn task(&self, id: &TaskId) -> Result<Option<Task>, CvpError> {
        let query = [("taskId", id.as_str())];
        let call = Call {
            name: "read a task",
            priority: Priority::High,
            ..get(Path::Legacy("/task/getTaskById.do"), &query)
        };
        let read = |body: &Bytes| {
            let task: Task = object(body)?;
            if task.id.text() == id.as_str() {
                Ok(task)
            } else {
                Err(format!("the answer is about task {:?}", task.id.text()))
            }
        };
        match self.call(&call, read).await {
            Ok(task) => Ok(Some(task)),
            Err(CvpError::Refused { code, reason, .. }) if is_unknown_task(&code, &reason) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Requests a new compliance check of a device.
    ///
    /// # Errors
    /// If the result cannot be read.
    pub async fn compliance(&self, net_element_id: &str, priority: Priority) -> Result<Compliance, CvpError> {
        let call = Call {
            name: "check a device",
            priority,
            ..post(
                Path::Legacy("/provisioning/checkCompliance.do"),
                json!({"nodeId": net_element_id, "nodeType": "netelement"}),
            )
        };
        self.call(&call, object).await
    }

    /// Lists all devices with their codes, in one request.
    ///
    /// # Errors
    /// If the devices cannot be listed.
    pub async fn inventory(&self) -> Result<Vec<InventoryDevice>, CvpError> {
        let query = [("provisioned", "True")];
        let call = Call {
            name: "list devices",
            most: LIST,
            ..get(Path::Legacy("/inventory/devices"), &query)
        };
        self.call(&call, |body| inventory(body).map_err(describe)).await
    }

    /// Lists all devices with what identifies and describes them, in one request. It fails if any row cannot be read.
    ///
    /// # Errors
    /// If the devices cannot be listed, or the list holds something else.
    pub async fn devices(&self) -> Result<Vec<ListedDevice>, CvpError> {
        let query = [("provisioned", "True")];
        let call = Call {
            name: "list devices",
            most: LIST,
            ..get(Path::Legacy("/inventory/devices"), &query)
        };
        let read = |body: &Bytes| {
            listed(body).map_err(|error| match error {
                ListError::Json(error) => describe(error),
                ListError::Row(index) => format!("row {} of the answer is not a device", index + 1),
            })
        };
        self.call(&call, read).await
    }

    /// Reads which tasks unfinished change controls refer to. An empty answer means that there are no change controls. Since an
    /// answer may also be empty by a fault, an empty one is requested again.
    ///
    /// # Errors
    /// If any change control cannot be read.
    pub async fn change_controls(&self, priority: Priority) -> Result<ChangeControls, CvpError> {
        let call = Call {
            name: "read change controls",
            most: LIST,
            priority,
            ..get(
                Path::Root("/api/resources/changecontrol/v1/ChangeControl/all"),
                &[],
            )
        };
        let read = |body: &Bytes| {
            let controls = ChangeControls::read(body).map_err(|error| error.to_string())?;
            Ok((controls, body.is_empty()))
        };
        match self.call(&call, read).await? {
            (controls, false) => Ok(controls),
            (_, true) => Ok(self.call(&call, read).await?.0),
        }
    }

    /// Reads what a task would change, if the release has a service for it. If two answers in a row mean that it has none, this is
    /// remembered for a while. A service that has answered before is never taken for absent.
    ///
    /// # Errors
    /// If the service exists and does not answer.
    pub async fn task_diff(&self, id: &TaskId, priority: Priority) -> Result<TaskDiff, CvpError> {
        if self.diff_service.is_missing() {
            return Ok(TaskDiff::Absent);
        }
        let error = match self.diff_summary(id, priority).await {
            Ok(summary) => return Ok(TaskDiff::Summary(summary)),
            Err(error) => error,
        };
        if !self.means_missing(&error).await? || self.diff_service.was_available() {
            return Err(error);
        }
        match self.diff_summary(id, priority).await {
            Ok(summary) => Ok(TaskDiff::Summary(summary)),
            Err(again) if self.means_missing(&again).await? && !self.diff_service.was_available() => {
                self.diff_service.remember_missing();
                tracing::info!(reason = %again, "this release of CloudVision cannot compare the configuration of single tasks");
                Ok(TaskDiff::Absent)
            }
            Err(again) => Err(again),
        }
    }

    async fn diff_summary(&self, id: &TaskId, priority: Priority) -> Result<DiffSummary, CvpError> {
        let call = Call {
            name: "summarise the difference of a task",
            priority,
            ..post(
                Path::Root("/api/v3/services/compliancecheck.Compliance/GetConfigDiffSummaryForTask"),
                json!({"task_id": id.as_str()}),
            )
        };
        let read = |body: &Bytes| {
            DiffSummary::read(body).ok_or_else(|| "the answer is not the summary of a difference".to_owned())
        };
        let summary = self.call(&call, read).await?;
        self.diff_service.remember_available();
        Ok(summary)
    }

    /// Whether an error means that the release lacks the request. Releases before 2021.2 answer unknown requests like any error.
    async fn means_missing(&self, error: &CvpError) -> Result<bool, CvpError> {
        Ok(match error {
            CvpError::Absent { .. } => true,
            CvpError::Refused { .. } => !self.version().await?.has_resource_apis(),
            _ => false,
        })
    }

    /// Replaces the note on a task.
    ///
    /// # Errors
    /// If CloudVision refuses or does not answer.
    pub async fn note(&self, id: &TaskId, note: &str) -> Result<(), CvpError> {
        let call = Call {
            name: "write a note on a task",
            priority: Priority::High,
            ..post(
                Path::Legacy("/task/addNoteToTask.do"),
                json!({"workOrderId": id.as_str(), "note": note}),
            )
        };
        self.call(&call, |_| Ok(())).await
    }

    /// Cancels a task, and returns CloudVision's answer. The request is repeated only if it certainly had no effect.
    ///
    /// # Errors
    /// If CloudVision refuses, or its answer was lost; see [`CvpError::may_have_taken_effect`].
    pub async fn cancel(&self, id: &TaskId) -> Result<String, CvpError> {
        let call = Call {
            name: "cancel a task",
            priority: Priority::High,
            retryability: Retryability::OnlyIfNotExecuted,
            ..post(
                Path::Legacy("/task/cancelTask.do"),
                json!({"data": [id.as_str()]}),
            )
        };
        self.call(&call, answer_of).await
    }
}

fn get<'a>(path: Path<'a>, query: &'a [(&'a str, &'a str)]) -> Call<'a> {
    Call {
        name: "",
        method: Method::GET,
        path,
        query,
        body: None,
        retryability: Retryability::Idempotent,
        priority: Priority::Normal,
        most: OBJECT,
    }
}

fn post(path: Path<'_>, body: Value) -> Call<'_> {
    Call {
        method: Method::POST,
        body: Some(body),
        ..get(path, &[])
    }
}

/// Parses an object. Anything else is an error, although all fields may be missing.
fn object<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, String> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err("the answer is not a JSON object".to_owned());
    }
    serde_json::from_slice(body).map_err(describe)
}

/// Describes a parse error without quoting the text, which may hold secrets.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn describe(error: serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "the answer is incomplete",
        serde_json::error::Category::Syntax => "the answer is not JSON",
        serde_json::error::Category::Data => "the answer has an unexpected structure",
        serde_json::error::Category::Io => "the answer cannot be read",
    };
    format!("{kind}, at line {} column {}", error.line(), error.column())
}

fn version_of(body: &Bytes) -> Result<Version, String> {
    let info: Value = object(body)?;
    let version = info.get("version").and_then(Value::as_str);
    version
        .map(Version::parse)
        .ok_or_else(|| "the answer has no version".to_owned())
}

/// The message in the answer to a cancel. It does not prove that the task is cancelled. An empty body has no message; a body that is
/// not an object may come from a proxy, and is an error.
fn answer_of(body: &Bytes) -> Result<String, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(String::new());
    }
    let answer: Value = object(body)?;
    Ok(answer
        .get("data")
        .and_then(Value::as_str)
        .map(short)
        .unwrap_or_default())
}

fn is_unknown_task(code: &str, reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    matches!(code, "142WF606" | "132801")
        || reason.contains("invalid workorderid")
        || reason.contains("entity does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_objects_are_accepted() {
        for (body, fits) in [
            (r#"{"complianceCode": "0000"}"#, true),
            (" {}", true),
            ("[]", false),
            ("\"0000\"", false),
            ("null", false),
            ("", false),
            ("<html>", false),
            (r#"{"complianceCode": "00"#, false),
        ] {
            let read = object::<Compliance>(&Bytes::from_static(body.as_bytes()));
            assert_eq!(read.is_ok(), fits, "{body}: {read:?}");
        }
    }

    #[test]
    fn a_parse_error_does_not_quote_the_text() {
        let secret = Bytes::from_static(br#"{"complianceCode": hush}"#);
        let error = object::<Compliance>(&secret).unwrap_err();
        assert!(error.contains("not JSON") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn the_answer_to_a_cancel_is_read() {
        for (body, expected) in [
            (
                r#"{"data": "Task cancellation triggered successfully"}"#,
                "Task cancellation triggered successfully",
            ),
            (r#"{"data": []}"#, ""),
            ("{}", ""),
            ("", ""),
        ] {
            assert_eq!(answer_of(&Bytes::from_static(body.as_bytes())).unwrap(), expected);
        }
        for body in ["<html>", r#"{"data": "Task canc"#, "null"] {
            assert!(answer_of(&Bytes::from_static(body.as_bytes())).is_err(), "{body}");
        }
    }
}
