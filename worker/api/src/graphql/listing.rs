//! The lists that a query begins with.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use async_graphql::{Context, ID, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::{GroupName, Hostname};
use lockstep_store::{DeviceQuery, ExecutionQuery, Page, TotalOf};

use super::client::Client;
use super::connection::{Arguments, List, Total};
use super::device::Device;
use super::error;
use super::execution::Execution;
use super::field::{console, invalid, may_read};
use super::group::Group;
use super::interface::Interface;
use super::provider::Provider;
use super::state::{DeviceState, ExecutionState};
use super::task::NeopsTask;

/// The filters of a list of devices, all of which a device must match.
pub(super) struct DeviceFilters {
    pub(super) synchronized: Option<bool>,
    pub(super) state: Option<DeviceState>,
    pub(super) device_type: Option<String>,
    pub(super) group: Option<String>,
}

pub(super) async fn devices(
    context: &Context<'_>,
    filters: DeviceFilters,
    arguments: Arguments,
) -> Result<List<Device>> {
    may_read(context, ReadScope::Devices)?;
    let Page { after, limit } = arguments.page()?;
    let group = filters.group.map(GroupName::try_from).transpose();
    let query = DeviceQuery {
        synchronized: filters.synchronized,
        state: filters.state.map(Into::into),
        device_type: parsed("deviceType", filters.device_type)?,
        group: group.map_err(|error| invalid(format!("argument \"group\": {error}")))?,
        after,
        limit,
    };
    let devices = console(context).fleet.devices(&query).await;
    let devices = devices.map_err(error::of_store)?;
    arguments.list(
        devices,
        |device| device.hostname.clone(),
        |device| Some(Device(Arc::new(device))),
        Total::Devices(query),
    )
}

/// The filters of a list of executions, all of which an execution must match.
pub(super) struct ExecutionFilters {
    pub(super) state: Option<ExecutionState>,
    pub(super) task: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) parent: Option<ID>,
}

pub(super) async fn executions(
    context: &Context<'_>,
    filters: ExecutionFilters,
    arguments: Arguments,
) -> Result<List<Execution>> {
    may_read(context, ReadScope::Executions)?;
    let page: Page<u64> = arguments.page()?;
    let query = ExecutionQuery {
        state: filters.state.map(Into::into),
        task: filters.task,
        hostname: parsed::<Hostname>("hostname", filters.hostname)?,
        parent: parsed("parent", filters.parent.map(|id| id.0))?,
        before: page.after,
        limit: page.limit,
    };
    let executions = console(context).executions.executions(&query).await;
    arguments.list(
        executions.map_err(error::of_store)?,
        |execution| execution.number,
        |execution| Some(Execution(execution)),
        Total::Executions(query),
    )
}

pub(super) async fn tasks(context: &Context<'_>, arguments: Arguments) -> Result<List<NeopsTask>> {
    may_read(context, ReadScope::Tasks)?;
    let page: Page<String> = arguments.page()?;
    let tasks = console(context)
        .tasks
        .tasks(page.after.as_deref(), page.limit)
        .await;
    arguments.list(
        tasks.map_err(error::of_store)?,
        |task| task.name.clone(),
        |task| Some(NeopsTask::of_row(Arc::new(task))),
        Total::All(TotalOf::Tasks),
    )
}

pub(super) fn providers(context: &Context<'_>) -> Result<Vec<Provider>> {
    may_read(context, ReadScope::Tasks)?;
    let providers = console(context).providers.list().into_iter();
    Ok(providers.map(|view| Provider(Arc::new(view))).collect())
}

pub(super) async fn groups(context: &Context<'_>, arguments: Arguments) -> Result<List<Group>> {
    may_read(context, ReadScope::Devices)?;
    let groups = console(context).entities.group_entities(&arguments.page()?).await;
    arguments.list(
        groups.map_err(error::of_store)?,
        |group| group.name.to_string(),
        |group| Some(Group(Arc::new(group))),
        Total::All(TotalOf::Groups),
    )
}

pub(super) async fn interfaces(context: &Context<'_>, arguments: Arguments) -> Result<List<Interface>> {
    may_read(context, ReadScope::Devices)?;
    let interfaces = console(context).entities.interfaces(&arguments.page()?).await;
    arguments.list(
        interfaces.map_err(error::of_store)?,
        |interface| interface.id,
        |interface| Some(Interface(Arc::new(interface))),
        Total::All(TotalOf::Interfaces),
    )
}

pub(super) async fn clients(context: &Context<'_>, arguments: Arguments) -> Result<List<Client>> {
    may_read(context, ReadScope::Devices)?;
    let clients = console(context).entities.clients(&arguments.page()?).await;
    arguments.list(
        clients.map_err(error::of_store)?,
        |client| client.id,
        |client| Some(Client(Arc::new(client))),
        Total::All(TotalOf::Clients),
    )
}

/// An argument that has a syntax.
fn parsed<T: FromStr<Err: Display>>(name: &str, text: Option<String>) -> Result<Option<T>> {
    text.map(|text| text.parse())
        .transpose()
        .map_err(|error| invalid(format!("argument {name:?}: {error}")))
}
