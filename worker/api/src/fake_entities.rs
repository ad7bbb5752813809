//! What the fake store says about many entities at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use lockstep_protocol::{EntityType, GroupName, Mac};
use lockstep_store::{
    Bounded, ByteBudget, CheckRow, Client, ClientsOf, DeviceId, ElementFilter, ElementRow, Entities,
    EntityResult, ExecutionRow, FactRow, Group, GroupEntity, Interface, Page, Pages, Relation,
    ResultPosition, StoreError, TaskRow, TotalOf,
};
use serde_json::Value;

use crate::fakes::FakeStore;

/// Entities, each list in its order.
#[derive(Debug, Default)]
pub(crate) struct FakeEntities {
    pub(crate) interfaces: Mutex<Vec<Interface>>,
    pub(crate) clients: Mutex<Vec<Client>>,
    pub(crate) groups: Mutex<Vec<GroupEntity>>,
    /// The devices of groups by the ids of both.
    pub(crate) members: Mutex<Vec<(u64, u64)>>,
    /// Facts and checks with the entities that they are about.
    pub(crate) facts: Mutex<Vec<(EntityType, u64, FactRow)>>,
    pub(crate) checks: Mutex<Vec<(EntityType, u64, CheckRow)>>,
    /// The results of elements.
    pub(crate) results: Mutex<Vec<(u64, EntityResult)>>,
    /// The most bytes of data, if it is less than what the caller has left.
    pub(crate) most_bytes: Mutex<Option<u64>>,
    /// The devices of elements.
    pub(crate) devices: Mutex<HashMap<u64, DeviceId>>,
}

/// The entries after a position.
fn page<T: Clone, P: PartialOrd>(
    all: impl IntoIterator<Item = T>,
    page: &Page<P>,
    at: impl Fn(&T) -> P,
) -> Vec<T> {
    let rest = all
        .into_iter()
        .filter(|entry| page.after.as_ref().is_none_or(|after| at(entry) > *after));
    rest.take(page.limit as usize).collect()
}

/// A page of each of several entities.
fn pages<T: Clone, P: PartialOrd>(
    ids: &[u64],
    by: &Page<P>,
    of: impl Fn(u64) -> Vec<T>,
    at: impl Fn(&T) -> P,
) -> Pages<T> {
    ids.iter().map(|id| (*id, page(of(*id), by, &at))).collect()
}

/// JSON within the budget.
fn bounded<T>(row: T, json: impl Fn(&mut T) -> &mut Value, budget: &mut ByteBudget) -> Bounded<T> {
    let mut row = row;
    let bytes = json(&mut row).to_string().len() as u64;
    let is_whole = bytes <= budget.0;
    budget.0 = budget.0.saturating_sub(bytes);
    if !is_whole {
        *json(&mut row) = Value::Null;
    }
    Bounded { row, is_whole }
}

#[async_trait]
impl Entities for FakeStore {
    async fn interfaces(&self, by: &Page<u64>) -> Result<Vec<Interface>, StoreError> {
        self.check("interfaces")?;
        let all = self.entities.interfaces.lock().unwrap().clone();
        Ok(page(all, by, |row| row.id))
    }

    async fn interfaces_by_id(&self, ids: &[u64]) -> Result<Vec<Interface>, StoreError> {
        self.check("interfaces by id")?;
        let all = self.entities.interfaces.lock().unwrap();
        Ok(all.iter().filter(|row| ids.contains(&row.id)).cloned().collect())
    }

    async fn interfaces_of_devices(
        &self,
        devices: &[u64],
        by: &Page<String>,
    ) -> Result<Pages<Interface>, StoreError> {
        self.check("interfaces of devices")?;
        let all = self.entities.interfaces.lock().unwrap();
        let of = |id| {
            all.iter()
                .filter(|row| row.device.number() == id)
                .cloned()
                .collect()
        };
        Ok(pages(devices, by, of, |row| row.name.as_str().to_owned()))
    }

    async fn clients(&self, by: &Page<u64>) -> Result<Vec<Client>, StoreError> {
        self.check("clients")?;
        let all = self.entities.clients.lock().unwrap().clone();
        Ok(page(all, by, |row| row.id))
    }

    async fn clients_by_id(&self, ids: &[u64]) -> Result<Vec<Client>, StoreError> {
        self.check("clients by id")?;
        let all = self.entities.clients.lock().unwrap();
        Ok(all.iter().filter(|row| ids.contains(&row.id)).cloned().collect())
    }

    async fn client(&self, mac: &Mac) -> Result<Option<Client>, StoreError> {
        self.check("client")?;
        let all = self.entities.clients.lock().unwrap();
        Ok(all.iter().find(|row| row.mac == *mac).cloned())
    }

    async fn clients_of(
        &self,
        of: ClientsOf,
        ids: &[u64],
        by: &Page<u64>,
    ) -> Result<Pages<Client>, StoreError> {
        self.check("clients of")?;
        let all = self.entities.clients.lock().unwrap();
        let ports = self.entities.interfaces.lock().unwrap();
        let belongs = |row: &Client, id: u64| match of {
            ClientsOf::Interface => row.interface == Some(id),
            ClientsOf::Group => row.group == Some(id),
            ClientsOf::Device => {
                let mut ports = ports.iter();
                ports.any(|port| Some(port.id) == row.interface && port.device.number() == id)
            }
        };
        let of = |id| all.iter().filter(|row| belongs(row, id)).cloned().collect();
        Ok(pages(ids, by, of, |row| row.id))
    }

    async fn group_entities(&self, by: &Page<String>) -> Result<Vec<GroupEntity>, StoreError> {
        self.check("groups")?;
        let all = self.entities.groups.lock().unwrap().clone();
        Ok(page(all, by, |row| row.name.to_string()))
    }

    async fn groups_by_id(&self, ids: &[u64]) -> Result<Vec<GroupEntity>, StoreError> {
        self.check("groups by id")?;
        let all = self.entities.groups.lock().unwrap();
        let found = all
            .iter()
            .filter(|row| row.id.is_some_and(|id| ids.contains(&id)));
        Ok(found.cloned().collect())
    }

    async fn group_named(&self, name: &GroupName) -> Result<Option<GroupEntity>, StoreError> {
        self.check("group")?;
        let all = self.entities.groups.lock().unwrap();
        Ok(all.iter().find(|row| row.name == *name).cloned())
    }

    async fn groups_by_name(&self, names: &[GroupName]) -> Result<Vec<Group>, StoreError> {
        self.check("counted groups")?;
        let groups = self.known_groups.lock().unwrap();
        Ok(groups
            .iter()
            .filter(|group| names.contains(&group.name))
            .cloned()
            .collect())
    }

    async fn groups_of_devices(
        &self,
        devices: &[u64],
        by: &Page<String>,
    ) -> Result<Pages<GroupEntity>, StoreError> {
        self.check("groups of devices")?;
        let all = self.entities.groups.lock().unwrap();
        let members = self.entities.members.lock().unwrap();
        let is_member = |group: &GroupEntity, device| {
            let id = group.id.unwrap_or_default();
            members.contains(&(id, device))
        };
        let of = |id| all.iter().filter(|row| is_member(row, id)).cloned().collect();
        Ok(pages(devices, by, of, |row| row.name.to_string()))
    }

    async fn device_ids(&self, by: &Page<u64>) -> Result<Vec<u64>, StoreError> {
        self.check("device ids")?;
        let devices = self.devices.lock().unwrap();
        let ids: BTreeSet<u64> = devices.iter().map(|device| device.id.number()).collect();
        Ok(page(ids, by, |id| *id))
    }

    async fn devices_of_groups(&self, groups: &[u64], by: &Page<u64>) -> Result<Pages<u64>, StoreError> {
        self.check("devices of groups")?;
        let members = self.entities.members.lock().unwrap();
        let of = |id| {
            let of_group = members.iter().filter(|(group, _)| *group == id);
            of_group.map(|(_, device)| *device).collect()
        };
        Ok(pages(groups, by, of, |id| *id))
    }

    async fn facts_of(
        &self,
        entity_type: EntityType,
        ids: &[u64],
        by: &Page<String>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<FactRow>>, StoreError> {
        self.check("facts of")?;
        let all = self.entities.facts.lock().unwrap();
        let of = |id| {
            let of_entity = all
                .iter()
                .filter(|(kind, entity, _)| (*kind, *entity) == (entity_type, id));
            of_entity.map(|(.., row)| row.clone()).collect()
        };
        let found = pages(ids, by, of, |row: &FactRow| row.key.clone()).into_iter();
        Ok(found
            .map(|(id, rows)| {
                let rows = rows
                    .into_iter()
                    .map(|row| bounded(row, |row| &mut row.value, budget));
                (id, rows.collect())
            })
            .collect())
    }

    async fn checks_of(
        &self,
        entity_type: EntityType,
        ids: &[u64],
        by: &Page<String>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<CheckRow>>, StoreError> {
        self.check("checks of")?;
        let all = self.entities.checks.lock().unwrap();
        let of = |id| {
            let of_entity = all
                .iter()
                .filter(|(kind, entity, _)| (*kind, *entity) == (entity_type, id));
            of_entity.map(|(.., row)| row.clone()).collect()
        };
        let found = pages(ids, by, of, |row: &CheckRow| row.key.clone()).into_iter();
        Ok(found
            .map(|(id, rows)| {
                let rows = rows
                    .into_iter()
                    .map(|row| bounded(row, |row| &mut row.metrics, budget));
                (id, rows.collect())
            })
            .collect())
    }

    async fn elements_of_executions(
        &self,
        executions: &[u64],
        filter: ElementFilter,
        by: &Page<u64>,
    ) -> Result<Pages<ElementRow>, StoreError> {
        self.check("elements of executions")?;
        let all = self.elements.lock().unwrap();
        let matches = |row: &ElementRow| match filter {
            ElementFilter::All => true,
            ElementFilter::Open => row.state.outcome().is_none(),
            ElementFilter::Outcome(outcome) => row.state.outcome() == Some(outcome),
        };
        let of = |id| {
            let rows = all.iter().map(|element| &element.row);
            rows.filter(|row| row.execution == id && matches(row))
                .cloned()
                .collect()
        };
        Ok(pages(executions, by, of, |row| row.number))
    }

    async fn elements_of_devices(
        &self,
        devices: &[u64],
        by: &Page<(u64, u64)>,
    ) -> Result<Pages<ElementRow>, StoreError> {
        self.check("elements of devices")?;
        let all = self.elements.lock().unwrap();
        let on = self.entities.devices.lock().unwrap();
        let place = |row: &ElementRow| (row.execution, row.number);
        let of = |id: &u64| {
            let rows = all.iter().rev().map(|element| &element.row);
            let rows = rows.filter(|row| on.get(&row.number).is_some_and(|device| device.number() == *id));
            let rest = rows.filter(|row| by.after.is_none_or(|after| place(row) < after));
            (*id, rest.take(by.limit as usize).cloned().collect())
        };
        Ok(devices.iter().map(of).collect())
    }

    async fn executions_of_devices(&self, devices: &[u64], by: &Page<u64>) -> Result<Pages<u64>, StoreError> {
        self.check("executions of devices")?;
        let all = self.elements.lock().unwrap();
        let on = self.entities.devices.lock().unwrap();
        let of = |id: &u64| {
            let rows = all.iter().map(|element| &element.row);
            let rows = rows.filter(|row| on.get(&row.number).is_some_and(|device| device.number() == *id));
            let numbers: BTreeSet<u64> = rows.map(|row| row.execution).collect();
            let rest = numbers.into_iter().rev();
            let rest = rest.filter(|number| by.after.is_none_or(|after| *number < after));
            (*id, rest.take(by.limit as usize).collect())
        };
        Ok(devices.iter().map(of).collect())
    }

    async fn executions_by_number(&self, numbers: &BTreeSet<u64>) -> Result<Vec<ExecutionRow>, StoreError> {
        self.check("executions by number")?;
        let all = self.executions.lock().unwrap();
        Ok(all
            .iter()
            .filter(|row| numbers.contains(&row.number))
            .cloned()
            .collect())
    }

    async fn data_of_elements(
        &self,
        elements: &[u64],
        budget: &mut ByteBudget,
    ) -> Result<HashMap<u64, Bounded<Value>>, StoreError> {
        self.check("data of elements")?;
        if let Some(most) = *self.entities.most_bytes.lock().unwrap() {
            budget.0 = budget.0.min(most);
        }
        let all = self.elements.lock().unwrap();
        let found = all
            .iter()
            .filter(|element| elements.contains(&element.row.number));
        Ok(found
            .map(|element| {
                (
                    element.row.number,
                    bounded(element.data.clone(), |data| data, budget),
                )
            })
            .collect())
    }

    async fn results_of_elements(
        &self,
        elements: &[u64],
        by: &Page<ResultPosition>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<EntityResult>>, StoreError> {
        self.check("results of elements")?;
        let all = self.entities.results.lock().unwrap();
        let after = by.after.map(|after| (after.phase, after.level, after.entity));
        let mut of = |id: &u64| {
            let rows = all
                .iter()
                .filter(|(element, _)| element == id)
                .map(|(_, row)| row);
            let rest = rows.filter(|row| Some((row.phase, row.level, row.entity)) > after);
            let rest = rest.take(by.limit as usize).cloned();
            let rest = rest.map(|row| bounded(row, |row| &mut row.data, budget));
            (*id, rest.collect())
        };
        Ok(elements.iter().map(&mut of).collect())
    }

    async fn devices_of_elements(&self, elements: &[u64]) -> Result<HashMap<u64, DeviceId>, StoreError> {
        self.check("devices of elements")?;
        let mut found = self.entities.devices.lock().unwrap().clone();
        found.retain(|element, _| elements.contains(element));
        Ok(found)
    }

    async fn tasks_by_number(&self, numbers: &[u64]) -> Result<Vec<TaskRow>, StoreError> {
        self.check("tasks by number")?;
        let tasks = self.tasks.lock().unwrap();
        Ok(tasks
            .iter()
            .filter(|task| numbers.contains(&task.number))
            .cloned()
            .collect())
    }

    async fn tasks_by_name(&self, names: &[String]) -> Result<Vec<TaskRow>, StoreError> {
        self.check("tasks by name")?;
        let tasks = self.tasks.lock().unwrap();
        Ok(tasks
            .iter()
            .filter(|task| names.contains(&task.name))
            .cloned()
            .collect())
    }

    async fn counts(&self, relation: Relation, ids: &[u64]) -> Result<HashMap<u64, u64>, StoreError> {
        self.check("counts")?;
        let ports = self.entities.interfaces.lock().unwrap();
        let members = self.entities.members.lock().unwrap();
        let count = |id: u64| match relation {
            Relation::InterfacesOfDevices => ports.iter().filter(|row| row.device.number() == id).count(),
            Relation::DevicesOfGroups => members.iter().filter(|(group, _)| *group == id).count(),
            other => unreachable!("no test counts {other:?}"),
        };
        Ok(ids.iter().map(|id| (*id, count(*id) as u64)).collect())
    }

    async fn total(&self, of: TotalOf) -> Result<u64, StoreError> {
        self.check("total")?;
        let count = match of {
            TotalOf::Devices => self.devices.lock().unwrap().len(),
            TotalOf::Interfaces => self.entities.interfaces.lock().unwrap().len(),
            TotalOf::Clients => self.entities.clients.lock().unwrap().len(),
            TotalOf::Groups => self.entities.groups.lock().unwrap().len(),
            TotalOf::Tasks => self.tasks.lock().unwrap().len(),
        };
        Ok(count as u64)
    }
}
