//! Reads entities and pages of what belongs to them, on both databases. What executions wrote is in `execution_table`, groups are in
//! `group_table`.

mod client;
mod count;
mod interface;
mod member;

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use lockstep_protocol::{EntityType, GroupName, Mac};
use serde_json::Value as Json;

use super::sql::{Row, SqlDatabase, Value, rows};
use super::{
    Bounded, ByteBudget, CheckRow, Client, ClientsOf, DeviceId, ElementFilter, ElementRow, Entities,
    EntityResult, ExecutionRow, FactRow, Group, GroupEntity, Interface, Page, Pages, Relation,
    ResultPosition, StoreError, TaskRow, TotalOf, execution_table, group_table,
};

const READ: &str = "read entities";

#[async_trait]
impl<D: SqlDatabase> Entities for D {
    async fn interfaces(&self, page: &Page<u64>) -> Result<Vec<Interface>, StoreError> {
        interface::all(self, page).await
    }

    async fn interfaces_by_id(&self, ids: &[u64]) -> Result<Vec<Interface>, StoreError> {
        interface::by_id(self, ids).await
    }

    async fn interfaces_of_devices(
        &self,
        devices: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<Interface>, StoreError> {
        interface::of_devices(self, devices, page).await
    }

    async fn clients(&self, page: &Page<u64>) -> Result<Vec<Client>, StoreError> {
        client::all(self, page).await
    }

    async fn clients_by_id(&self, ids: &[u64]) -> Result<Vec<Client>, StoreError> {
        client::by_id(self, ids).await
    }

    async fn client(&self, mac: &Mac) -> Result<Option<Client>, StoreError> {
        client::by_mac(self, mac).await
    }

    async fn clients_of(
        &self,
        of: ClientsOf,
        ids: &[u64],
        page: &Page<u64>,
    ) -> Result<Pages<Client>, StoreError> {
        client::of(self, of, ids, page).await
    }

    async fn group_entities(&self, page: &Page<String>) -> Result<Vec<GroupEntity>, StoreError> {
        group_table::page(self, page).await
    }

    async fn groups_by_id(&self, ids: &[u64]) -> Result<Vec<GroupEntity>, StoreError> {
        group_table::by_id(self, numbers(ids)).await
    }

    async fn group_named(&self, name: &GroupName) -> Result<Option<GroupEntity>, StoreError> {
        group_table::by_name(self, name).await
    }

    async fn groups_by_name(&self, names: &[GroupName]) -> Result<Vec<Group>, StoreError> {
        group_table::named(self, names).await
    }

    async fn groups_of_devices(
        &self,
        devices: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<GroupEntity>, StoreError> {
        group_table::of_devices(self, numbers(devices), page).await
    }

    async fn device_ids(&self, page: &Page<u64>) -> Result<Vec<u64>, StoreError> {
        member::all(self, page).await
    }

    async fn devices_of_groups(&self, groups: &[u64], page: &Page<u64>) -> Result<Pages<u64>, StoreError> {
        member::of_groups(self, groups, page).await
    }

    async fn facts_of(
        &self,
        entity_type: EntityType,
        ids: &[u64],
        page: &Page<String>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<FactRow>>, StoreError> {
        execution_table::facts_of(self, entity_type, ids, page, budget).await
    }

    async fn checks_of(
        &self,
        entity_type: EntityType,
        ids: &[u64],
        page: &Page<String>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<CheckRow>>, StoreError> {
        execution_table::checks_of(self, entity_type, ids, page, budget).await
    }

    async fn elements_of_executions(
        &self,
        executions: &[u64],
        filter: ElementFilter,
        page: &Page<u64>,
    ) -> Result<Pages<ElementRow>, StoreError> {
        execution_table::elements_of_executions(self, executions, filter, page).await
    }

    async fn elements_of_devices(
        &self,
        devices: &[u64],
        page: &Page<(u64, u64)>,
    ) -> Result<Pages<ElementRow>, StoreError> {
        execution_table::elements_of_devices(self, devices, page).await
    }

    async fn executions_of_devices(
        &self,
        devices: &[u64],
        page: &Page<u64>,
    ) -> Result<Pages<u64>, StoreError> {
        execution_table::executions_of_devices(self, devices, page).await
    }

    async fn executions_by_number(&self, numbers: &BTreeSet<u64>) -> Result<Vec<ExecutionRow>, StoreError> {
        execution_table::executions_by_number(self, numbers).await
    }

    async fn data_of_elements(
        &self,
        elements: &[u64],
        budget: &mut ByteBudget,
    ) -> Result<HashMap<u64, Bounded<Json>>, StoreError> {
        execution_table::data_of_elements(self, elements, budget).await
    }

    async fn results_of_elements(
        &self,
        elements: &[u64],
        page: &Page<ResultPosition>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<EntityResult>>, StoreError> {
        execution_table::results_of_elements(self, elements, page, budget).await
    }

    async fn devices_of_elements(&self, elements: &[u64]) -> Result<HashMap<u64, DeviceId>, StoreError> {
        execution_table::devices_of_elements(self, elements).await
    }

    async fn tasks_by_number(&self, numbers: &[u64]) -> Result<Vec<TaskRow>, StoreError> {
        execution_table::tasks_by_number(self, numbers).await
    }

    async fn tasks_by_name(&self, names: &[String]) -> Result<Vec<TaskRow>, StoreError> {
        execution_table::tasks_by_name(self, names).await
    }

    async fn counts(&self, relation: Relation, ids: &[u64]) -> Result<HashMap<u64, u64>, StoreError> {
        count::each(self, relation, ids).await
    }

    async fn total(&self, of: TotalOf) -> Result<u64, StoreError> {
        count::all(self, of).await
    }
}

/// The parameter of `{rows …: id bigint}`. Each id is in it once, or its page would be returned twice.
pub(super) fn numbers(ids: &[u64]) -> Value {
    let ids: BTreeSet<u64> = ids.iter().copied().collect();
    rows(ids.into_iter().map(|id| vec![id.into()]))
}

/// The rows by the entity to which they belong, in their order.
pub(super) fn pages<T>(
    rows: &[Row],
    mut read: impl FnMut(&Row) -> Result<(u64, T), StoreError>,
) -> Result<Pages<T>, StoreError> {
    let mut pages: Pages<T> = HashMap::new();
    for row in rows {
        let (of, entity) = read(row)?;
        pages.entry(of).or_default().push(entity);
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    const TABLES: [&str; 10] = [
        "client",
        "device",
        "device_group",
        "element",
        "entity_check",
        "entity_result",
        "fact",
        "group_member",
        "interface",
        "paged",
    ];

    #[test]
    fn many_entities_are_read_by_indexes() {
        let all = [
            client::STATEMENTS,
            count::STATEMENTS,
            interface::STATEMENTS,
            member::STATEMENTS,
            group_table::OF_MANY,
        ];
        for statement in all.into_iter().flatten() {
            let plan = query_plan(statement);
            let scans = plan.iter().filter_map(|line| line.strip_prefix("SCAN "));
            let table = |scan: &str| scan.split(' ').next().unwrap_or_default().to_owned();
            let scanned: Vec<String> = scans
                .map(table)
                .filter(|name| TABLES.contains(&&**name))
                .collect();
            assert!(scanned.is_empty(), "{scanned:?} {statement}\n{plan:#?}");
        }
    }

    #[test]
    fn pages_of_all_are_ranges_of_an_index() {
        for (statement, expected) in [client::PAGES, interface::PAGES, member::PAGES].concat() {
            let plan = query_plan(statement);
            assert_eq!(plan[0], format!("SEARCH {expected}"), "{statement}");
        }
    }
}
