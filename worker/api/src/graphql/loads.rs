//! What can be loaded for many objects at once. [`PageOf`] is a page of what belongs to each, the other keys name one object or value each.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use async_graphql::{Error, OutputType, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::GroupName;
use lockstep_protocol::rest::ProviderView;
use lockstep_store::{
    Bounded, ByteBudget, CauseId, CauseRow, Client, Device, DeviceId, ExecutionRow, Group, GroupEntity,
    Interface, Page, Pages, PlanApproval, Relation, StoreError, TaskRow,
};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::error;
use crate::context::{ConsoleContext, Shared};

/// The most bytes of JSON that providers returned, in the answer to one request. One element may have 16 MiB.
const MOST_BYTES: u64 = 32 << 20;

/// Loads from the store. One for each request.
pub(super) struct Loads {
    shared: Arc<Shared>,
    budget: Mutex<ByteBudget>,
}

impl Loads {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            budget: Mutex::new(ByteBudget(MOST_BYTES)),
        }
    }

    pub(super) fn context(&self) -> &ConsoleContext {
        &self.shared.context
    }

    /// How much JSON may still be read. Loads of JSON take turns.
    pub(super) async fn budget(&self) -> MutexGuard<'_, ByteBudget> {
        self.budget.lock().await
    }
}

/// What belongs to objects of a kind, in pages.
pub(super) trait PageOf: Clone + Eq + Hash + Send + Sync + 'static {
    /// Who may read it.
    const SCOPE: ReadScope;
    /// The place of an entry in its list.
    type Position: Clone + Eq + Hash + Send + Sync + 'static;
    /// An entry as it is read.
    type Row: Send + Sync + 'static;
    /// An entry as an object.
    type Node: OutputType;

    /// Reads a page of each of these objects.
    fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<Self::Position>,
    ) -> impl Future<Output = Result<Pages<Self::Row>, StoreError>> + Send;

    fn position(row: &Self::Row) -> Self::Position;

    /// `None` for an entry that was removed while it was read.
    fn node(row: Arc<Self::Row>) -> Option<Self::Node>;
}

/// What belongs to objects of a kind, and is counted by the store.
pub(super) trait Counted: PageOf {
    fn relation(&self) -> Relation;
}

/// A page of what belongs to one object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct PageKey<R: PageOf> {
    pub(super) of: R,
    pub(super) id: u64,
    pub(super) page: Page<R::Position>,
}

impl<R: PageOf> Loader<PageKey<R>> for Loads {
    type Value = Vec<Arc<R::Row>>;
    type Error = Error;

    async fn load(&self, keys: &[PageKey<R>]) -> Result<HashMap<PageKey<R>, Self::Value>> {
        // Fields with other arguments, by aliases, are other pages.
        let mut ids_of: HashMap<(&R, &Page<R::Position>), Vec<u64>> = HashMap::new();
        for key in keys {
            ids_of.entry((&key.of, &key.page)).or_default().push(key.id);
        }
        let mut found = HashMap::with_capacity(keys.len());
        for ((of, page), ids) in ids_of {
            let pages = of.load(self, &ids, page).await.map_err(error::of_store)?;
            found.extend(pages.into_iter().map(|(id, rows)| {
                let key = PageKey {
                    of: of.clone(),
                    id,
                    page: page.clone(),
                };
                (key, rows.into_iter().map(Arc::new).collect())
            }));
        }
        Ok(found)
    }
}

/// How many entries belong to one object.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CountKey(pub(super) Relation, pub(super) u64);

impl Loader<CountKey> for Loads {
    type Value = u64;
    type Error = Error;

    async fn load(&self, keys: &[CountKey]) -> Result<HashMap<CountKey, u64>> {
        let mut ids_of: HashMap<Relation, Vec<u64>> = HashMap::new();
        for CountKey(relation, id) in keys {
            ids_of.entry(*relation).or_default().push(*id);
        }
        let mut found = HashMap::with_capacity(keys.len());
        for (relation, ids) in ids_of {
            let counts = self.context().entities.counts(relation, &ids).await;
            let counts = counts.map_err(error::of_store)?;
            found.extend(
                counts
                    .into_iter()
                    .map(|(id, count)| (CountKey(relation, id), count)),
            );
        }
        Ok(found)
    }
}

/// Keys of one object each, loaded by `$load` from `$self` and `$keys`: rows, with the key of a row.
macro_rules! one_each {
    ($(#[$doc:meta])* $key:ident($of:ty) => $row:ty, |$loads:ident, $keys:ident| $load:expr, |$found:ident| $id:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub(super) struct $key(pub(super) $of);

        impl Loader<$key> for Loads {
            type Value = Arc<$row>;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>> {
                let $loads = self.context();
                let $keys: Vec<$of> = keys.iter().map(|key| key.0.clone()).collect();
                let rows = $load.map_err(error::of_store)?;
                let rows = rows.into_iter().map(|$found| ($key($id), Arc::new($found)));
                Ok(rows.collect())
            }
        }
    };
}

one_each! {
    /// A device by its id.
    DeviceKey(DeviceId) => Device,
    |context, ids| context.fleet.devices_by_id(&ids).await,
    |device| device.id
}

one_each! {
    /// An interface by its id.
    InterfaceKey(u64) => Interface,
    |context, ids| context.entities.interfaces_by_id(&ids).await,
    |interface| interface.id
}

one_each! {
    /// A client by its id.
    ClientKey(u64) => Client,
    |context, ids| context.entities.clients_by_id(&ids).await,
    |client| client.id
}

one_each! {
    /// A group by its id.
    GroupKey(u64) => GroupEntity,
    |context, ids| context.entities.groups_by_id(&ids).await,
    |group| group.id.unwrap_or_default()
}

one_each! {
    /// A group with the numbers of its members, by its name.
    CountedGroupKey(GroupName) => Group,
    |context, names| context.entities.groups_by_name(&names).await,
    |group| group.name.clone()
}

one_each! {
    /// An execution by its number.
    ExecutionKey(u64) => ExecutionRow,
    |context, numbers| {
        let numbers: BTreeSet<u64> = numbers.into_iter().collect();
        context.entities.executions_by_number(&numbers).await
    },
    |execution| execution.number
}

one_each! {
    /// A task by its number.
    TaskKey(u64) => TaskRow,
    |context, numbers| context.entities.tasks_by_number(&numbers).await,
    |task| task.number
}

one_each! {
    /// A task by its name.
    TaskNameKey(String) => TaskRow,
    |context, names| context.entities.tasks_by_name(&names).await,
    |task| task.name.clone()
}

one_each! {
    /// A provider of this version by its name.
    ProviderKey(String) => ProviderView,
    |context, _names| Ok::<_, StoreError>(context.providers.list()),
    |provider| provider.name.clone()
}

/// Why devices are not synchronized, by the id of the cause.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CauseKey(pub(super) CauseId);

impl Loader<CauseKey> for Loads {
    type Value = Arc<CauseRow>;
    type Error = Error;

    async fn load(&self, keys: &[CauseKey]) -> Result<HashMap<CauseKey, Self::Value>> {
        let ids: Vec<CauseId> = keys.iter().map(|key| key.0).collect();
        let causes = self.context().fleet.causes(&ids).await;
        let causes = causes.map_err(error::of_store)?.into_iter();
        Ok(causes
            .map(|(id, cause)| (CauseKey(id), Arc::new(cause)))
            .collect())
    }
}

/// The approvals of a plan, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ApprovalsKey(pub(super) u64);

impl Loader<ApprovalsKey> for Loads {
    type Value = Vec<PlanApproval>;
    type Error = Error;

    async fn load(&self, keys: &[ApprovalsKey]) -> Result<HashMap<ApprovalsKey, Self::Value>> {
        let plans: BTreeSet<u64> = keys.iter().map(|key| key.0).collect();
        let rows = self.context().syncs.approvals(&plans).await;
        let mut found: HashMap<ApprovalsKey, Self::Value> = HashMap::new();
        for row in rows.map_err(error::of_store)? {
            found.entry(ApprovalsKey(row.plan)).or_default().push(row);
        }
        Ok(found)
    }
}

/// The id of the device that an element is or belongs to, by the number of the element.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ElementDeviceKey(pub(super) u64);

impl Loader<ElementDeviceKey> for Loads {
    type Value = DeviceId;
    type Error = Error;

    async fn load(&self, keys: &[ElementDeviceKey]) -> Result<HashMap<ElementDeviceKey, DeviceId>> {
        let elements: Vec<u64> = keys.iter().map(|key| key.0).collect();
        let devices = self.context().entities.devices_of_elements(&elements).await;
        let devices = devices.map_err(error::of_store)?.into_iter();
        Ok(devices
            .map(|(element, device)| (ElementDeviceKey(element), device))
            .collect())
    }
}

/// What the provider returned of an element, by the number of the element.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ElementDataKey(pub(super) u64);

impl Loader<ElementDataKey> for Loads {
    type Value = Arc<Bounded<Value>>;
    type Error = Error;

    async fn load(&self, keys: &[ElementDataKey]) -> Result<HashMap<ElementDataKey, Self::Value>> {
        let elements: Vec<u64> = keys.iter().map(|key| key.0).collect();
        let mut budget = self.budget().await;
        let store = &self.context().entities;
        let data = store.data_of_elements(&elements, &mut budget).await;
        let data = data.map_err(error::of_store)?.into_iter();
        Ok(data
            .map(|(element, data)| (ElementDataKey(element), Arc::new(data)))
            .collect())
    }
}
