use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use lockstep_http::ReadScope;
use lockstep_protocol::EntityType;
use lockstep_store::{
    self as store, ClientsOf, DEFAULT_GROUP, GroupEntity, Page, Pages, Relation, StoreError, TotalOf,
};

use super::check::{Check, ChecksOf};
use super::client::{Client, ClientsIn};
use super::connection::{Arguments, List, Total, cost, nested};
use super::device::{Device, DevicesOfGroup, Member};
use super::error;
use super::fact::{Fact, FactsOf};
use super::field::{console, load, may_read};
use super::loads::{Counted, CountedGroupKey, Loads, PageOf};

/// A group of devices.
#[derive(Debug)]
pub(crate) struct Group(pub(super) Arc<GroupEntity>);

/// The rule of a group in the accepted settings.
#[derive(Debug, SimpleObject)]
pub(crate) struct GroupRule {
    /// The regex that a hostname matches from its start; null if the rule lists hostnames.
    regex: Option<String>,
    /// The priority among the groups of a device; with 0 it is never primary.
    priority: u8,
    /// The place in the file, from 0.
    position: u32,
}

/// The groups of devices.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct GroupsOfDevice;

impl PageOf for GroupsOfDevice {
    const SCOPE: ReadScope = ReadScope::Devices;
    type Position = String;
    type Row = GroupEntity;
    type Node = Group;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        loads.context().entities.groups_of_devices(ids, page).await
    }

    fn position(group: &Self::Row) -> String {
        group.name.to_string()
    }

    fn node(group: Arc<Self::Row>) -> Option<Group> {
        Some(Group(group))
    }
}

impl Counted for GroupsOfDevice {
    fn relation(&self) -> Relation {
        Relation::GroupsOfDevices
    }
}

#[Object]
impl Group {
    /// Its stable number; null for DEFAULT, if neither the settings nor an inventory name it.
    async fn id(&self) -> Option<ID> {
        self.0.id.map(ID::from)
    }

    /// Its unique name.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Whether it is a location; null if that is not known.
    async fn location(&self) -> Option<bool> {
        self.0.location
    }

    /// Its rule; null if the accepted settings do not define it.
    async fn rule(&self) -> Option<GroupRule> {
        self.0.rule.as_ref().map(|rule| GroupRule {
            regex: rule.regex.clone(),
            priority: rule.priority,
            position: rule.position,
        })
    }

    /// How many devices have it as their primary group. Counting reads all devices.
    #[graphql(complexity = 10)]
    async fn primary_of(&self, context: &Context<'_>) -> Option<Result<u64>> {
        Some(
            self.counted(context)
                .await
                .map(|group| group.map_or(0, |group| group.primary)),
        )
    }

    /// Its devices, ordered by id.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn devices(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Device>>> {
        Some(self.list_devices(context, Arguments { first, after }).await)
    }

    /// Its clients, ordered by id.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn clients(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Client>>> {
        let clients = ClientsIn(ClientsOf::Group);
        Some(self.nested(context, clients, Arguments { first, after }).await)
    }

    /// The newest facts about it, ordered by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn facts(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Fact>>> {
        let facts = FactsOf(EntityType::Group);
        Some(self.nested(context, facts, Arguments { first, after }).await)
    }

    /// Its newest checks, ordered by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn checks(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Check>>> {
        let checks = ChecksOf(EntityType::Group);
        Some(self.nested(context, checks, Arguments { first, after }).await)
    }
}

impl Group {
    async fn counted(&self, context: &Context<'_>) -> Result<Option<Arc<store::Group>>> {
        may_read(context, ReadScope::Devices)?;
        load(context, CountedGroupKey(self.0.name.clone())).await
    }

    /// A page of what belongs to it. To a group without an id nothing does; no group has the id 0.
    async fn nested<R>(&self, context: &Context<'_>, of: R, arguments: Arguments) -> Result<List<R::Node>>
    where
        R: Counted,
        R::Position: super::connection::Position,
    {
        nested(context, of, self.0.id.unwrap_or_default(), arguments).await
    }

    /// Every device is a member of DEFAULT, which has no rows of members.
    async fn list_devices(&self, context: &Context<'_>, arguments: Arguments) -> Result<List<Device>> {
        if self.0.name.as_str() != DEFAULT_GROUP {
            return self.nested(context, DevicesOfGroup, arguments).await;
        }
        may_read(context, ReadScope::Devices)?;
        let console = console(context);
        let ids = console.entities.device_ids(&arguments.page()?).await;
        let ids = ids.map_err(error::of_store)?;
        let members = Member::load(console, ids).await.map_err(error::of_store)?;
        let total = Total::All(TotalOf::Devices);
        arguments.list(members, |member| member.id, |member| member.device(), total)
    }
}
