use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType, Level};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CycleResult;
use crate::{Provider, ProviderProperties, ProviderType};

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

/// The reason of a result that says that a check was performed and is not fulfilled.
pub const NOT_OK: &str = "nok";

/// What a provider of this type makes of a result: the default of [`Provider::process_result`], which an own one may call, too.
pub fn process_by_type<P: Provider + ?Sized>(
    provider: &P,
    arguments: &Value,
    result: &mut CycleResult,
    produced: &mut Produced,
) {
    let by = ProcessedBy {
        properties: provider.properties(),
        run_on: provider.run_on(arguments).ok(),
        arguments,
    };
    // The device that is connected to and its device are the same entity: one fact, one check.
    if result.level == Level::NornirDevice && provider.steps(arguments).at(Level::Device) {
        return;
    }
    match by.properties.provider_type {
        ProviderType::Facts => collect_fact(&by, result, produced),
        ProviderType::Check => judge(&by, result, produced),
        ProviderType::Configure | ProviderType::Execute | ProviderType::None => {}
    }
}

/// What the processing of a result depends on.
struct ProcessedBy<'a> {
    properties: &'a ProviderProperties,
    /// What the provider runs on with these arguments.
    run_on: Option<ExecuteOn>,
    arguments: &'a Value,
}

fn collect_fact(by: &ProcessedBy<'_>, result: &CycleResult, produced: &mut Produced) {
    let kind = result.level.entity_type();
    let wanted = match by.properties.facts_for.as_slice() {
        [] => by.run_on.map(EntityType::from) == Some(kind),
        kinds => kinds.iter().any(|wanted| EntityType::from(*wanted) == kind),
    };
    let Some(key) = by.arguments["facts_key"].as_str() else {
        return;
    };
    // A step may have returned the fact in another form than its data.
    let is_there = produced
        .facts
        .iter()
        .any(|(of, id, there, _)| (*of, *id, there.as_str()) == (kind, result.entity, key));
    if wanted && !is_there && result.state == ElementState::Successful && !result.data.is_null() {
        let data = result.data.clone();
        produced.facts.push((kind, result.entity, key.to_owned(), data));
    }
}

fn judge(by: &ProcessedBy<'_>, result: &mut CycleResult, produced: &mut Produced) {
    let kind = result.level.entity_type();
    let checked = by.properties.run_on_result.or(by.run_on);
    if checked.map(EntityType::from) != Some(kind) || result.is_skipped() {
        return;
    }
    let key = by.arguments["check_key"].as_str();
    let verdict = match Verdict::of(&result.data) {
        _ if result.is_failed() => Verdict::failed(result.message.clone()),
        Some(verdict) => verdict,
        None if key.is_none() => return,
        None => Verdict::failed(Some("the provider returned no result of a check".to_owned())),
    };
    if !result.is_failed() && verdict.result != CheckResult::Ok {
        let is_failed = verdict.result == CheckResult::Failed;
        if is_failed {
            result.state = ElementState::Failed;
        }
        result.reason = Some(if is_failed { "check-failed" } else { NOT_OK }.to_owned());
        result.message = verdict.reason.clone().or_else(|| result.message.take());
    }
    let Some(key) = key.filter(|_| kind != EntityType::Global) else {
        return;
    };
    produced.checks.push(Check {
        entity_type: kind,
        entity: result.entity,
        key: key.to_owned(),
        result: verdict.result,
        reason: verdict.reason,
        metrics: verdict.metrics,
    });
}

/// What a step of a check returns: a boolean, or an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) result: CheckResult,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) metrics: Value,
}

impl Verdict {
    fn of(data: &Value) -> Option<Self> {
        match data {
            Value::Bool(fulfilled) => Some(Self::from(*fulfilled)),
            data => Self::deserialize(data).ok(),
        }
    }

    fn failed(reason: Option<String>) -> Self {
        Self {
            result: CheckResult::Failed,
            reason,
            metrics: Value::Null,
        }
    }
}

impl From<bool> for Verdict {
    fn from(fulfilled: bool) -> Self {
        Self {
            result: if fulfilled {
                CheckResult::Ok
            } else {
                CheckResult::Nok
            },
            reason: None,
            metrics: Value::Null,
        }
    }
}
