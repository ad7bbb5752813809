//! What the run cycle reads and writes beside elements.

use async_trait::async_trait;
use lockstep_protocol::EntityType;
use serde_json::Value as Json;

use crate::sql::SqlDatabase;
use crate::{
    CheckRow, ElementOwner, EntityResult, EntityResultQuery, FactRow, JournalEntry, RunCycle, StoreError,
    UnitEntities, UnitLevels,
};

#[async_trait]
impl<D: SqlDatabase> RunCycle for D {
    async fn unit(&self, _element: u64, _levels: UnitLevels) -> Result<UnitEntities, StoreError> {
        todo!("part store")
    }

    async fn entity_results(&self, _query: &EntityResultQuery) -> Result<Vec<EntityResult>, StoreError> {
        todo!("part store")
    }

    async fn results_of(&self, _element: u64) -> Result<Vec<EntityResult>, StoreError> {
        todo!("part store")
    }

    async fn facts(
        &self,
        _entity_type: EntityType,
        _entity: u64,
        _key: Option<&str>,
        _limit: u32,
    ) -> Result<Vec<FactRow>, StoreError> {
        todo!("part data")
    }

    async fn checks(
        &self,
        _entity_type: EntityType,
        _entity: u64,
        _key: Option<&str>,
        _limit: u32,
    ) -> Result<Vec<CheckRow>, StoreError> {
        todo!("part data")
    }

    async fn checks_below(
        &self,
        _entity_type: EntityType,
        _entity: u64,
        _below: EntityType,
        _key: &str,
    ) -> Result<Vec<(String, Option<CheckRow>)>, StoreError> {
        todo!("part data")
    }

    async fn attributes(&self, _entity_type: EntityType, _entity: u64) -> Result<Option<Json>, StoreError> {
        todo!("part data")
    }

    async fn write_journal(
        &self,
        _owner: ElementOwner,
        _entries: &[JournalEntry],
    ) -> Result<Vec<u64>, StoreError> {
        todo!("part store")
    }

    async fn journal(&self, _element: u64, _stage: u16) -> Result<Vec<JournalEntry>, StoreError> {
        todo!("part store")
    }
}
