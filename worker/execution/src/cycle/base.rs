use lockstep_protocol::EntityType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CycleResult;
use crate::ProviderProperties;

/// The result of a check (`CheckResultEnum` in neops).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// It ran, and the entity fulfils it.
    Ok,
    /// It ran, and the entity does not fulfil it.
    Nok,
    /// It could not be performed.
    Failed,
}

/// A check of an entity that was performed.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The kind of entity.
    pub entity_type: EntityType,
    /// The id of the entity.
    pub entity: u64,
    /// The key of the check.
    pub key: String,
    /// Its result.
    pub result: CheckResult,
    /// Why, for people.
    pub reason: Option<String>,
    /// Numbers and texts that it measured: any JSON.
    pub metrics: Value,
}

/// What a unit produced beside the results of its entities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Produced {
    /// Facts: kind and id of the entity, key, value.
    pub facts: Vec<(EntityType, u64, String, Value)>,
    /// Checks.
    pub checks: Vec<Check>,
    /// Items that step 1 found: name and data. Each becomes an element of the stage of items.
    pub items: Vec<(String, Value)>,
}

/// What a provider of this type makes of a result, if it does not say otherwise.
pub(crate) fn process_by_type(
    _properties: &ProviderProperties,
    _arguments: &Value,
    _result: &mut CycleResult,
    _below: &[CycleResult],
    _produced: &mut Produced,
) {
    todo!("part cycle")
}
