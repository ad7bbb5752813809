use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use lockstep_http::ReadScope;
use lockstep_protocol::EntityType;
use lockstep_store::{self as store, ClientsOf, DeviceId, Page, Pages, Relation, StoreError};

use super::cause::Cause;
use super::check::{Check, ChecksOf};
use super::client::{Client, ClientsIn};
use super::connection::{Arguments, List, cost, nested};
use super::date_time::DateTime;
use super::element::{Element, ElementsOnDevice};
use super::execution::{Execution, ExecutionsOnDevice};
use super::fact::{Fact, FactsOf};
use super::field::{load, may_read};
use super::group::{Group, GroupsOfDevice};
use super::interface::{Interface, InterfacesOfDevice};
use super::loads::{CauseKey, Counted, DeviceKey, Loads, PageOf};
use super::state::DeviceState;
use crate::context::ConsoleContext;

/// A managed switch or router.
#[derive(Debug)]
pub(crate) struct Device(pub(super) Arc<store::Device>);

/// Who last marked a device as synchronized.
#[derive(Debug, SimpleObject)]
pub(crate) struct Mark {
    /// When.
    at: DateTime,
    /// The authenticated sender of the message.
    by: Option<String>,
    /// Why, in the sender's words.
    note: Option<String>,
}

/// The devices of groups.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct DevicesOfGroup;

/// A device of a group; without the device, if it was removed meanwhile.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: u64,
    device: Option<Arc<store::Device>>,
}

impl Member {
    /// Loads the devices with these ids, in this order.
    pub(super) async fn load(console: &ConsoleContext, ids: Vec<u64>) -> Result<Vec<Self>, StoreError> {
        let wanted: Vec<DeviceId> = ids.iter().map(|id| device_id(*id)).collect();
        let devices = console.fleet.devices_by_id(&wanted).await?;
        let devices: HashMap<u64, Arc<store::Device>> = devices
            .into_iter()
            .map(|device| (device.id.number(), Arc::new(device)))
            .collect();
        let members = ids.into_iter().map(|id| Self {
            id,
            device: devices.get(&id).cloned(),
        });
        Ok(members.collect())
    }

    pub(super) fn device(&self) -> Option<Device> {
        self.device.clone().map(Device)
    }
}

impl PageOf for DevicesOfGroup {
    const SCOPE: ReadScope = ReadScope::Devices;
    type Position = u64;
    type Row = Member;
    type Node = Device;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<u64>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        let console = loads.context();
        let pages = console.entities.devices_of_groups(ids, page).await?;
        let (groups, members): (Vec<(u64, usize)>, Vec<Vec<u64>>) = pages
            .into_iter()
            .map(|(group, members)| ((group, members.len()), members))
            .unzip();
        let mut members = Member::load(console, members.concat()).await?.into_iter();
        let pages = groups
            .into_iter()
            .map(|(group, count)| (group, members.by_ref().take(count).collect()));
        Ok(pages.collect())
    }

    fn position(member: &Member) -> u64 {
        member.id
    }

    fn node(member: Arc<Member>) -> Option<Device> {
        member.device()
    }
}

impl Counted for DevicesOfGroup {
    fn relation(&self) -> Relation {
        Relation::DevicesOfGroups
    }
}

/// The device with this id.
pub(super) async fn by_id(context: &Context<'_>, id: DeviceId) -> Result<Option<Device>> {
    may_read(context, ReadScope::Devices)?;
    Ok(load(context, DeviceKey(id)).await?.map(Device))
}

/// A number of an entity as that of a device. A larger number than any in the store becomes one that no device has.
pub(super) fn device_id(id: u64) -> DeviceId {
    DeviceId(i64::try_from(id).unwrap_or(-1))
}

#[Object]
impl Device {
    /// Its stable number.
    async fn id(&self) -> ID {
        self.0.id.number().into()
    }

    /// Its hostname, unique in the fleet.
    async fn hostname(&self) -> &str {
        self.0.hostname.as_str()
    }

    /// The address by which it is managed.
    async fn ip(&self) -> Option<String> {
        self.0.attributes.management_ip.map(|ip| ip.to_string())
    }

    /// Its platform, such as `eos`.
    async fn platform(&self) -> Option<&str> {
        self.0.attributes.platform.as_deref()
    }

    /// Its type, such as `ACCESS`.
    async fn device_type(&self) -> &str {
        self.0.attributes.device_type.as_str()
    }

    /// Its MAC address.
    async fn mac(&self) -> Option<&str> {
        self.0.attributes.mac.as_ref().map(lockstep_protocol::Mac::as_str)
    }

    /// Its serial number.
    async fn serial(&self) -> Option<&str> {
        self.0
            .attributes
            .serial
            .as_ref()
            .map(lockstep_protocol::Serial::as_str)
    }

    /// Who made it.
    async fn vendor(&self) -> Option<&str> {
        self.0.attributes.vendor.as_deref()
    }

    /// Its model.
    async fn model(&self) -> Option<&str> {
        self.0.attributes.model.as_deref()
    }

    /// The version of its operating system.
    async fn os_version(&self) -> Option<&str> {
        self.0.attributes.os_version.as_deref()
    }

    /// The hostname of the device that is connected to for it, if it is another one.
    async fn controller(&self) -> Option<&str> {
        self.0
            .attributes
            .controller
            .as_ref()
            .map(lockstep_protocol::Hostname::as_str)
    }

    /// Its state.
    async fn state(&self) -> DeviceState {
        self.0.lifecycle.state.into()
    }

    /// Why it is in that state, in the words of who moved it there.
    async fn note(&self) -> Option<&str> {
        self.0.lifecycle.note.as_deref()
    }

    /// When that state should have ended.
    async fn until(&self) -> Option<DateTime> {
        self.0.lifecycle.until.map(DateTime)
    }

    /// Whether it has the newest intended configuration, as far as Lockstep knows.
    async fn synchronized(&self) -> bool {
        self.0.sync.synchronized()
    }

    /// Since when it is not synchronized.
    async fn unsynchronized_since(&self) -> Option<DateTime> {
        self.0.sync.since.map(DateTime)
    }

    /// The number of the intended configuration.
    async fn desired_generation(&self) -> i64 {
        self.0.sync.desired
    }

    /// The number of the intended configuration that it has.
    async fn synced_generation(&self) -> i64 {
        self.0.sync.synced
    }

    /// When a sync compared it with its intended configuration last.
    async fn checked_at(&self) -> Option<DateTime> {
        self.0.checked_at.map(DateTime)
    }

    /// Who last marked it as synchronized.
    async fn marked(&self) -> Option<Mark> {
        self.0.marked.as_ref().map(|mark| Mark {
            at: DateTime(mark.at),
            by: mark.by.clone(),
            note: mark.note.clone(),
        })
    }

    /// The name of its primary group by the accepted settings; null if it is not known.
    async fn primary_group(&self) -> Option<&str> {
        self.0
            .primary_group
            .as_ref()
            .map(lockstep_protocol::GroupName::as_str)
    }

    /// Why it is not synchronized: the newest 32 causes, oldest first.
    #[graphql(complexity = "1 + 32 * child_complexity")]
    async fn causes(&self, context: &Context<'_>) -> Option<Result<Vec<Cause>>> {
        Some(self.load_causes(context).await)
    }

    /// Its groups, ordered by name. Every device is a member of DEFAULT, too, which is not listed.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn groups(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Group>>> {
        Some(self.nested(context, GroupsOfDevice, first, after).await)
    }

    /// Its interfaces, ordered by name.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn interfaces(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Interface>>> {
        Some(self.nested(context, InterfacesOfDevice, first, after).await)
    }

    /// The clients behind its interfaces, ordered by id.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn clients(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Client>>> {
        let clients = ClientsIn(ClientsOf::Device);
        Some(self.nested(context, clients, first, after).await)
    }

    /// The newest facts about it, ordered by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn facts(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Fact>>> {
        let facts = FactsOf(EntityType::Device);
        Some(self.nested(context, facts, first, after).await)
    }

    /// Its newest checks, ordered by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn checks(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Check>>> {
        let checks = ChecksOf(EntityType::Device);
        Some(self.nested(context, checks, first, after).await)
    }

    /// What ran on it or on something of it, newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn elements(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Element>>> {
        Some(self.nested(context, ElementsOnDevice, first, after).await)
    }

    /// The executions that ran on it or on something of it, newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn executions(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Execution>>> {
        Some(self.nested(context, ExecutionsOnDevice, first, after).await)
    }
}

impl Device {
    async fn nested<R>(
        &self,
        context: &Context<'_>,
        of: R,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<List<R::Node>>
    where
        R: Counted,
        R::Position: super::connection::Position,
    {
        nested(context, of, self.0.id.number(), Arguments { first, after }).await
    }

    async fn load_causes(&self, context: &Context<'_>) -> Result<Vec<Cause>> {
        may_read(context, ReadScope::Devices)?;
        let open = &self.0.open_causes;
        let keys = open.iter().map(|id| CauseKey(*id));
        let causes = context
            .data_unchecked::<super::batches::Batches>()
            .load_many(keys)
            .await?;
        let found = open.iter().filter_map(|id| causes.get(&CauseKey(*id)));
        Ok(found.cloned().map(Cause).collect())
    }
}
