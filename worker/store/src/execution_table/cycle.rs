//! What the run cycle reads and writes beside elements.

use async_trait::async_trait;
use lockstep_protocol::EntityType;
use serde_json::Value as Json;

use super::{attributes, check, entity_result, fact, journal, unit};
use crate::sql::SqlDatabase;
use crate::{
    CheckRow, ElementOwner, EntityResult, EntityResultQuery, FactRow, JournalEntry, RunCycle, StoreError,
    UnitEntities, UnitLevels,
};

#[async_trait]
impl<D: SqlDatabase> RunCycle for D {
    async fn unit(&self, element: u64, levels: UnitLevels) -> Result<UnitEntities, StoreError> {
        unit::read(self, element, levels).await
    }

    async fn entity_results(&self, query: &EntityResultQuery) -> Result<Vec<EntityResult>, StoreError> {
        entity_result::page(self, query).await
    }

    async fn results_of(&self, element: u64) -> Result<Vec<EntityResult>, StoreError> {
        entity_result::of_element(self, element).await
    }

    async fn facts(
        &self,
        entity_type: EntityType,
        entity: u64,
        key: Option<&str>,
        limit: u32,
    ) -> Result<Vec<FactRow>, StoreError> {
        fact::read(self, entity_type, entity, key, limit).await
    }

    async fn checks(
        &self,
        entity_type: EntityType,
        entity: u64,
        key: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CheckRow>, StoreError> {
        check::read(self, entity_type, entity, key, limit).await
    }

    async fn checks_below(
        &self,
        entity_type: EntityType,
        entity: u64,
        below: EntityType,
        key: &str,
    ) -> Result<Vec<(String, Option<CheckRow>)>, StoreError> {
        check::below(self, entity_type, entity, below, key).await
    }

    async fn attributes(&self, entity_type: EntityType, entity: u64) -> Result<Option<Json>, StoreError> {
        attributes::read(self, entity_type, entity).await
    }

    async fn write_journal(
        &self,
        owner: ElementOwner,
        entries: &[JournalEntry],
    ) -> Result<Vec<u64>, StoreError> {
        journal::add(self, owner, entries).await
    }

    async fn journal(&self, element: u64, stage: u16) -> Result<Vec<JournalEntry>, StoreError> {
        journal::list(self, element, stage).await
    }
}
