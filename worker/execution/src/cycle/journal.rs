use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::Level;
use serde_json::Value;

use super::CycleResult;

/// Where the steps of a unit are written down that may not be repeated.
#[async_trait]
pub trait Journal: Debug + Send + Sync {
    /// A step begins. It runs after this returned true. False: the element belongs to another worker, so the unit stops.
    async fn begun(&self, level: Level, entity: u64, pre_run: bool) -> bool;

    /// A step ended: this is the result of its entity, and these are the facts that it returned, by key. False: as above.
    async fn ended(&self, pre_run: bool, result: &CycleResult, facts: Vec<(String, Value)>) -> bool;
}

/// A step in the journal of an earlier attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct JournaledStep {
    /// The level of the entity.
    pub level: Level,
    /// The id of the entity.
    pub entity: u64,
    /// Whether it is a pre-run step.
    pub pre_run: bool,
    /// The result after the step. `None` if it began and has not ended.
    pub result: Option<CycleResult>,
    /// The facts that it returned, by key.
    pub facts: Vec<(String, Value)>,
}
