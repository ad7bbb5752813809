use async_graphql::{Context, ID, Object, Result};

use super::check::{Check, ChecksOf};
use super::client::Client;
use super::connection::{Arguments, List, cost, nested};
use super::device::Device;
use super::element::Element;
use super::execution::Execution;
use super::fact::{Fact, FactsOf};
use super::group::Group;
use super::interface::Interface;
use super::listing::{self, DeviceFilters, ExecutionFilters};
use super::lookup;
use super::provider::{Provider, ProviderResults};
use super::run_on::RunOn;
use super::state::{DeviceState, ExecutionState};
use super::task::NeopsTask;

/// What can be read.
#[derive(Debug)]
pub(crate) struct Query;

#[Object]
impl Query {
    /// The execution with this number or UUID.
    async fn execution(&self, context: &Context<'_>, id: ID) -> Option<Result<Execution>> {
        lookup::execution(context, &id).await.transpose()
    }

    /// Executions, newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "filters, and the arguments of a page")]
    async fn executions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only executions in this state.")] state: Option<ExecutionState>,
        #[graphql(desc = "Only executions of the task with this name.")] task: Option<String>,
        #[graphql(desc = "Only executions with an element on this device.")] hostname: Option<String>,
        #[graphql(desc = "Only the steps of the workflow with this execution id.")] parent: Option<ID>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Execution>>> {
        let filters = ExecutionFilters {
            state,
            task,
            hostname,
            parent,
        };
        Some(listing::executions(context, filters, Arguments { first, after }).await)
    }

    /// The task with this number or name.
    async fn neops_task(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        name: Option<String>,
    ) -> Option<Result<NeopsTask>> {
        lookup::task(context, id, name).await.transpose()
    }

    /// The task with this number or name.
    async fn task(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        name: Option<String>,
    ) -> Option<Result<NeopsTask>> {
        lookup::task(context, id, name).await.transpose()
    }

    /// Tasks, ordered by name.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn neops_tasks(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<NeopsTask>>> {
        Some(listing::tasks(context, Arguments { first, after }).await)
    }

    /// Tasks, ordered by name.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn tasks(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<NeopsTask>>> {
        Some(listing::tasks(context, Arguments { first, after }).await)
    }

    /// The providers of this version, ordered by name.
    #[graphql(complexity = "1 + 50 * child_complexity")]
    async fn providers(&self, context: &Context<'_>) -> Option<Result<Vec<Provider>>> {
        Some(listing::providers(context))
    }

    /// The provider with this name.
    async fn provider(&self, context: &Context<'_>, name: String) -> Option<Result<Provider>> {
        lookup::provider(context, name).await.transpose()
    }

    /// The provider with this name, or all, as neops has them.
    #[graphql(complexity = "1 + 50 * child_complexity")]
    async fn neops_task_provider(
        &self,
        context: &Context<'_>,
        name: Option<String>,
    ) -> Option<Result<ProviderResults>> {
        let results = match name {
            Some(name) => lookup::provider(context, name)
                .await
                .map(|found| found.into_iter().collect()),
            None => listing::providers(context),
        };
        Some(results.map(|results| ProviderResults { results }))
    }

    /// Devices, ordered by hostname.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "filters, and the arguments of a page")]
    async fn devices(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only devices that are synchronized, or are not.")] synchronized: Option<bool>,
        #[graphql(desc = "Only devices in this state.")] state: Option<DeviceState>,
        #[graphql(desc = "Only devices of this type, such as `ACCESS`.")] device_type: Option<String>,
        #[graphql(desc = "Only members of the group with this name.")] group: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Device>>> {
        let filters = DeviceFilters {
            synchronized,
            state,
            device_type,
            group,
        };
        Some(listing::devices(context, filters, Arguments { first, after }).await)
    }

    /// The device with this id or hostname.
    async fn device(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        hostname: Option<String>,
    ) -> Option<Result<Device>> {
        lookup::device(context, id, hostname).await.transpose()
    }

    /// Groups, ordered by name. DEFAULT, whose members are all devices, is one of them.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn groups(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Group>>> {
        Some(listing::groups(context, Arguments { first, after }).await)
    }

    /// The group with this id or name.
    async fn group(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        name: Option<String>,
    ) -> Option<Result<Group>> {
        lookup::group(context, id, name).await.transpose()
    }

    /// Interfaces of all devices, ordered by id.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn interfaces(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Interface>>> {
        Some(listing::interfaces(context, Arguments { first, after }).await)
    }

    /// The interface with this id.
    async fn interface(&self, context: &Context<'_>, id: ID) -> Option<Result<Interface>> {
        lookup::interface(context, &id).await.transpose()
    }

    /// Clients of all interfaces and groups, ordered by id.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn clients(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Client>>> {
        Some(listing::clients(context, Arguments { first, after }).await)
    }

    /// The client with this id or MAC address.
    async fn client(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        mac: Option<String>,
    ) -> Option<Result<Client>> {
        lookup::client(context, id, mac).await.transpose()
    }

    /// The newest facts about an entity, ordered by key. Without arguments, those about the whole fleet.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn facts(
        &self,
        context: &Context<'_>,
        entity_type: Option<RunOn>,
        entity_id: Option<ID>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Fact>>> {
        let list = async {
            let (entity_type, id) = lookup::entity(entity_type, entity_id)?;
            nested(context, FactsOf(entity_type), id, Arguments { first, after }).await
        };
        Some(list.await)
    }

    /// The newest checks of an entity, ordered by key. Without arguments, those of the whole fleet.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn checks(
        &self,
        context: &Context<'_>,
        entity_type: Option<RunOn>,
        entity_id: Option<ID>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Check>>> {
        let list = async {
            let (entity_type, id) = lookup::entity(entity_type, entity_id)?;
            nested(context, ChecksOf(entity_type), id, Arguments { first, after }).await
        };
        Some(list.await)
    }

    /// The element with this number.
    async fn element(&self, context: &Context<'_>, id: ID) -> Option<Result<Element>> {
        lookup::element(context, &id).await.transpose()
    }
}
