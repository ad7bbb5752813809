//! Tasks, schedules, providers, executions, elements, facts and checks.

use lockstep_protocol::rest::{
    CheckList, CheckView, ElementDetail, ElementPage, EntityResultPage, ExecutionPage, ExecutionView,
    FactList, FactView, ProviderList, ProviderView, SchedulePage, StopView, TaskForm, TaskPage,
    TaskValidation, TaskView,
};
use reqwest::Method;
use serde_json::Value;

use super::{Client, TIMEOUT, read};

impl Client {
    /// A page of tasks.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn tasks(&self, query: &[(&str, String)]) -> anyhow::Result<TaskPage> {
        self.get(&["tasks"], query).await
    }

    /// The task with this number or name.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn task(&self, task: &str) -> anyhow::Result<TaskView> {
        self.get(&["tasks", task], &[]).await
    }

    /// The forms of a task and of its runs.
    ///
    /// # Errors
    /// If the task does not exist, or does not fit its provider any more, or the console cannot be reached.
    pub(in crate::cli) async fn task_form(&self, task: &str) -> anyhow::Result<TaskForm> {
        self.get(&["tasks", task, "form"], &[]).await
    }

    /// Everything that is wrong in a task, which is not saved.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn validate_task(&self, task: &Value) -> anyhow::Result<TaskValidation> {
        let request = self.request_at(Method::POST, &["tasks", "validate"])?;
        let request = request.json(task).timeout(TIMEOUT);
        read(self.send(request).await?).await
    }

    /// A page of schedules.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn schedules(&self, query: &[(&str, String)]) -> anyhow::Result<SchedulePage> {
        self.get(&["schedules"], query).await
    }

    /// All providers.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn providers(&self) -> anyhow::Result<Vec<ProviderView>> {
        let list: ProviderList = self.get(&["providers"], &[]).await?;
        Ok(list.providers)
    }

    /// One provider.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn provider(&self, name: &str) -> anyhow::Result<ProviderView> {
        self.get(&["providers", name], &[]).await
    }

    /// A page of executions.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn executions(&self, query: &[(&str, String)]) -> anyhow::Result<ExecutionPage> {
        self.get(&["executions"], query).await
    }

    /// The execution with this number or id.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn execution(&self, execution: &str) -> anyhow::Result<ExecutionView> {
        self.get(&["executions", execution], &[]).await
    }

    /// Whether all executions are stopped.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn stopped(&self) -> anyhow::Result<StopView> {
        self.get(&["executions", "stopped"], &[]).await
    }

    /// A page of the elements of an execution.
    ///
    /// # Errors
    /// If the execution does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn elements(
        &self,
        execution: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<ElementPage> {
        self.get(&["executions", execution, "elements"], query).await
    }

    /// A page of the results of an execution.
    ///
    /// # Errors
    /// If the execution does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn results(
        &self,
        execution: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<EntityResultPage> {
        self.get(&["executions", execution, "results"], query).await
    }

    /// One element, with what its provider returned.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn element(&self, number: u64) -> anyhow::Result<ElementDetail> {
        self.get(&["elements", &number.to_string()], &[]).await
    }

    /// What providers found out about a device, or the values that one fact had.
    ///
    /// # Errors
    /// If the device does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn facts(
        &self,
        hostname: &str,
        history: &[(&str, String)],
    ) -> anyhow::Result<Vec<FactView>> {
        let list: FactList = self.get(&["devices", hostname, "facts"], history).await?;
        Ok(list.facts)
    }

    /// The newest checks of a device, or the results that one check had.
    ///
    /// # Errors
    /// If the device does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn checks(
        &self,
        hostname: &str,
        history: &[(&str, String)],
    ) -> anyhow::Result<Vec<CheckView>> {
        let list: CheckList = self.get(&["devices", hostname, "checks"], history).await?;
        Ok(list.checks)
    }
}
