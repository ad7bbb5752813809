use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::EntityType;
use lockstep_store::{self as store, ClientsOf, Page, Pages, Relation, StoreError};

use super::check::{Check, ChecksOf};
use super::connection::{Arguments, List, cost, nested};
use super::device::{self, Device};
use super::fact::{Fact, FactsOf};
use super::field::{load, may_read};
use super::group::Group;
use super::interface::Interface;
use super::loads::{Counted, GroupKey, InterfaceKey, Loads, PageOf};

/// A client of an interface or of a group.
#[derive(Debug)]
pub(crate) struct Client(pub(super) Arc<store::Client>);

/// The clients of entities.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientsIn(pub(super) ClientsOf);

impl PageOf for ClientsIn {
    const SCOPE: ReadScope = ReadScope::Devices;
    type Position = u64;
    type Row = store::Client;
    type Node = Client;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<u64>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        loads.context().entities.clients_of(self.0, ids, page).await
    }

    fn position(client: &Self::Row) -> u64 {
        client.id
    }

    fn node(client: Arc<Self::Row>) -> Option<Client> {
        Some(Client(client))
    }
}

impl Counted for ClientsIn {
    fn relation(&self) -> Relation {
        Relation::Clients(self.0)
    }
}

#[Object]
impl Client {
    /// Its stable number.
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Its MAC address, which identifies it.
    async fn mac(&self) -> &str {
        self.0.mac.as_str()
    }

    /// Its name, for people.
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Its IP address.
    async fn ip(&self) -> Option<String> {
        self.0.ip.map(|ip| ip.to_string())
    }

    /// The interface that it is behind.
    async fn interface(&self, context: &Context<'_>) -> Option<Result<Interface>> {
        self.load_interface(context).await.transpose()
    }

    /// The device that it is behind.
    async fn device(&self, context: &Context<'_>) -> Option<Result<Device>> {
        self.load_device(context).await.transpose()
    }

    /// The group that it belongs to.
    async fn group(&self, context: &Context<'_>) -> Option<Result<Group>> {
        self.load_group(context).await.transpose()
    }

    /// The newest facts about it, ordered by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn facts(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Fact>>> {
        let facts = FactsOf(EntityType::Client);
        Some(nested(context, facts, self.0.id, Arguments { first, after }).await)
    }

    /// Its newest checks, ordered by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn checks(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Check>>> {
        let checks = ChecksOf(EntityType::Client);
        Some(nested(context, checks, self.0.id, Arguments { first, after }).await)
    }
}

impl Client {
    async fn load_interface(&self, context: &Context<'_>) -> Result<Option<Interface>> {
        may_read(context, ReadScope::Devices)?;
        let Some(interface) = self.0.interface else {
            return Ok(None);
        };
        Ok(load(context, InterfaceKey(interface)).await?.map(Interface))
    }

    async fn load_device(&self, context: &Context<'_>) -> Result<Option<Device>> {
        match self.load_interface(context).await? {
            Some(interface) => device::by_id(context, interface.0.device).await,
            None => Ok(None),
        }
    }

    async fn load_group(&self, context: &Context<'_>) -> Result<Option<Group>> {
        may_read(context, ReadScope::Devices)?;
        let Some(group) = self.0.group else {
            return Ok(None);
        };
        Ok(load(context, GroupKey(group)).await?.map(Group))
    }
}
