use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::commands::TaskSaveRequested;
use lockstep_store::{ExecutionRow, TaskRow};
use serde_json::Value;

use super::batches::Batches;
use super::date_time::DateTime;
use super::field::{load, may_read};
use super::loads::{ProviderKey, TaskKey, TaskNameKey};
use super::provider::Provider;

/// A provider with arguments, under a unique name.
#[derive(Debug)]
pub(crate) struct NeopsTask {
    number: u64,
    name: String,
    provider: String,
    arguments: Value,
    /// As it is stored now. `None` if it was not read.
    row: Option<Arc<TaskRow>>,
}

impl NeopsTask {
    /// The task of an execution, as it was when that was accepted.
    pub(super) fn of_execution(execution: &ExecutionRow) -> Self {
        let request = &execution.request;
        Self {
            number: request.task_number,
            name: request.task.clone(),
            provider: request.provider.clone(),
            arguments: request.task_arguments.clone(),
            row: None,
        }
    }

    /// A task that was saved under this number.
    pub(super) fn saved(number: u64, task: TaskSaveRequested) -> Self {
        Self {
            number,
            name: task.name,
            provider: task.provider,
            arguments: task.arguments,
            row: None,
        }
    }

    /// A task as it is stored.
    pub(super) fn of_row(row: Arc<TaskRow>) -> Self {
        Self {
            number: row.number,
            name: row.name.clone(),
            provider: row.provider.clone(),
            arguments: row.arguments.clone(),
            row: Some(row),
        }
    }

    /// The task as it is stored now; `None` if it was deleted.
    async fn stored(&self, context: &Context<'_>) -> Result<Option<Arc<TaskRow>>> {
        may_read(context, ReadScope::Tasks)?;
        match &self.row {
            Some(row) => Ok(Some(Arc::clone(row))),
            None => load(context, TaskKey(self.number)).await,
        }
    }

    async fn related(
        &self,
        context: &Context<'_>,
        names: fn(&TaskRow) -> &[String],
    ) -> Result<Option<Vec<Option<Self>>>> {
        let Some(row) = self.stored(context).await? else {
            return Ok(None);
        };
        let names = names(&row);
        let keys = names.iter().map(|name| TaskNameKey(name.clone()));
        let found = context.data_unchecked::<Batches>().load_many(keys).await?;
        let task = |name: &String| found.get(&TaskNameKey(name.clone())).cloned().map(Self::of_row);
        Ok(Some(names.iter().map(task).collect()))
    }
}

#[Object]
impl NeopsTask {
    /// Its stable number.
    async fn id(&self) -> ID {
        self.number.into()
    }

    /// Its unique name.
    async fn name(&self) -> &str {
        &self.name
    }

    /// What it is for; null if it was deleted.
    async fn description(&self, context: &Context<'_>) -> Option<Result<String>> {
        let row = self.stored(context).await.transpose()?;
        row.map(|row| row.description.clone()).transpose()
    }

    /// The name of its provider.
    async fn provider_identifier(&self) -> &str {
        &self.provider
    }

    /// Its provider; null if this version has none of that name.
    async fn provider(&self, context: &Context<'_>) -> Option<Result<Provider>> {
        let provider = async {
            may_read(context, ReadScope::Tasks)?;
            load(context, ProviderKey(self.provider.clone())).await
        };
        let provider = provider.await.transpose()?;
        Some(provider.map(Provider))
    }

    /// The arguments of the provider, as a text of JSON.
    async fn task_kwargs(&self) -> String {
        self.arguments.to_string()
    }

    /// The arguments of the provider.
    async fn arguments(&self) -> &Value {
        &self.arguments
    }

    /// The tasks that run before it; null for one that was deleted.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn pre_run_tasks(&self, context: &Context<'_>) -> Option<Result<Vec<Option<Self>>>> {
        self.related(context, |row| &row.pre_tasks).await.transpose()
    }

    /// The tasks that run after it; null for one that was deleted.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn post_run_tasks(&self, context: &Context<'_>) -> Option<Result<Vec<Option<Self>>>> {
        self.related(context, |row| &row.post_tasks).await.transpose()
    }

    /// When it was saved last; null if it was deleted.
    async fn saved_at(&self, context: &Context<'_>) -> Option<Result<DateTime>> {
        let row = self.stored(context).await.transpose()?;
        Some(row.map(|row| DateTime(row.saved_at)))
    }

    /// Who saved it last, as authenticated.
    async fn saved_by(&self, context: &Context<'_>) -> Option<Result<String>> {
        let row = self.stored(context).await.transpose()?;
        row.map(|row| row.saved_by.clone()).transpose()
    }
}
