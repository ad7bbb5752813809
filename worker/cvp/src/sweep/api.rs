use std::fmt::Debug;

use async_trait::async_trait;

use crate::client::{CvpClient, CvpError, Priority};
use crate::wire::{ChangeControls, Compliance, InventoryDevice, Task, TaskDiff, TaskId, TaskPage};

/// The requests to CloudVision that a sweep needs.
#[async_trait]
pub trait Cvp: Debug + Send + Sync + 'static {
    /// Lists a page of the tasks in a status, beginning at row `start`.
    async fn tasks(&self, status: &str, start: usize, count: usize) -> Result<TaskPage, CvpError>;
    /// Lists all devices.
    async fn inventory(&self) -> Result<Vec<InventoryDevice>, CvpError>;
    /// Reads which tasks unfinished change controls refer to.
    async fn change_controls(&self, priority: Priority) -> Result<ChangeControls, CvpError>;
    /// Reads a task; `None` if it does not exist.
    async fn task(&self, id: &TaskId) -> Result<Option<Task>, CvpError>;
    /// Requests a new compliance check of a device.
    async fn compliance(&self, net_element_id: &str, priority: Priority) -> Result<Compliance, CvpError>;
    /// Reads what a task would change.
    async fn task_diff(&self, id: &TaskId, priority: Priority) -> Result<TaskDiff, CvpError>;
    /// Replaces the note on a task.
    async fn note(&self, id: &TaskId, note: &str) -> Result<(), CvpError>;
    /// Cancels a task and returns CloudVision's answer.
    async fn cancel(&self, id: &TaskId) -> Result<String, CvpError>;
}

#[async_trait]
impl Cvp for CvpClient {
    async fn tasks(&self, status: &str, start: usize, count: usize) -> Result<TaskPage, CvpError> {
        self.tasks(status, start, count).await
    }

    async fn inventory(&self) -> Result<Vec<InventoryDevice>, CvpError> {
        self.inventory().await
    }

    async fn change_controls(&self, priority: Priority) -> Result<ChangeControls, CvpError> {
        self.change_controls(priority).await
    }

    async fn task(&self, id: &TaskId) -> Result<Option<Task>, CvpError> {
        self.task(id).await
    }

    async fn compliance(&self, net_element_id: &str, priority: Priority) -> Result<Compliance, CvpError> {
        self.compliance(net_element_id, priority).await
    }

    async fn task_diff(&self, id: &TaskId, priority: Priority) -> Result<TaskDiff, CvpError> {
        self.task_diff(id, priority).await
    }

    async fn note(&self, id: &TaskId, note: &str) -> Result<(), CvpError> {
        self.note(id, note).await
    }

    async fn cancel(&self, id: &TaskId) -> Result<String, CvpError> {
        self.cancel(id).await
    }
}
