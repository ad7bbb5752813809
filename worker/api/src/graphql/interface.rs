use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::EntityType;
use lockstep_store::{self as store, ClientsOf, Page, Pages, Relation, StoreError};

use super::check::{Check, ChecksOf};
use super::client::{Client, ClientsIn};
use super::connection::{Arguments, List, cost, nested};
use super::device::{self, Device};
use super::fact::{Fact, FactsOf};
use super::loads::{Counted, Loads, PageOf};

/// An interface of a device.
#[derive(Debug)]
pub(crate) struct Interface(pub(super) Arc<store::Interface>);

/// The interfaces of devices.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct InterfacesOfDevice;

impl PageOf for InterfacesOfDevice {
    const SCOPE: ReadScope = ReadScope::Devices;
    type Position = String;
    type Row = store::Interface;
    type Node = Interface;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        loads.context().entities.interfaces_of_devices(ids, page).await
    }

    fn position(interface: &Self::Row) -> String {
        interface.name.as_str().to_owned()
    }

    fn node(interface: Arc<Self::Row>) -> Option<Interface> {
        Some(Interface(interface))
    }
}

impl Counted for InterfacesOfDevice {
    fn relation(&self) -> Relation {
        Relation::InterfacesOfDevices
    }
}

#[Object]
impl Interface {
    /// Its stable number.
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Its name, unique in its device.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Its device.
    async fn device(&self, context: &Context<'_>) -> Option<Result<Device>> {
        device::by_id(context, self.0.device).await.transpose()
    }

    /// The clients behind it, ordered by id.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn clients(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Client>>> {
        let clients = ClientsIn(ClientsOf::Interface);
        Some(nested(context, clients, self.0.id, Arguments { first, after }).await)
    }

    /// The newest facts about it, ordered by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn facts(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<Fact>>> {
        let facts = FactsOf(EntityType::Interface);
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
        let checks = ChecksOf(EntityType::Interface);
        Some(nested(context, checks, self.0.id, Arguments { first, after }).await)
    }
}
