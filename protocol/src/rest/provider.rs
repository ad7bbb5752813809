use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commands::ExecuteOn;
use crate::{Level, Stage};

/// A provider in the answers of `GET /v1/providers` and `GET /v1/providers/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderView {
    /// Its unique name.
    pub name: String,
    /// What it does, in one line.
    pub short_description: String,
    /// What it does, for people who write tasks: Markdown.
    pub description: String,
    /// What it is for: CHECK, CONFIGURE, EXECUTE, FACTS or NONE.
    pub provider_type: String,
    /// The kind of entity that it runs on; null if the arguments of the task decide.
    pub run_on: Option<ExecuteOn>,
    /// Whether a run may name only entities of that kind. Otherwise these are resolved from the named ones.
    pub run_on_strict: bool,
    /// Whether a run that names no entity runs on all. Otherwise it runs on none.
    pub run_on_all_if_empty: bool,
    /// The kind of entity that its results are about, if it is another one.
    pub run_on_result: Option<ExecuteOn>,
    /// The lane of its elements: `devices` or `cvp`.
    #[serde(default)]
    pub lane: String,
    /// The steps that it has, in their order; if its arguments decide, those without arguments.
    #[serde(default)]
    pub steps: Vec<StepView>,
    /// The message of an element that was done without one of its own.
    pub success_message: Option<String>,
    /// Whether an element that was interrupted is run again.
    pub repeatable: bool,
    /// What to use instead, if it is deprecated.
    pub deprecated: Option<String>,
    /// The JSON Schema of the arguments of a task.
    pub json_schema: Value,
    /// The JSON Schema of the arguments of a run.
    pub run_input_json_schema: Value,
    /// The UI schema of JSON Forms for `json_schema`; null for one that a form makes of the schema.
    #[serde(default)]
    pub ui_schema: Option<Value>,
    /// The UI schema of JSON Forms for `run_input_json_schema`.
    #[serde(default)]
    pub run_input_ui_schema: Option<Value>,
}

/// A step of the run cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepView {
    /// Its number, from 1 to 14; null for the step on items, which is none of the fourteen.
    pub number: Option<u8>,
    /// Its name, such as `run_on_device`.
    pub name: String,
    /// What it runs on.
    pub level: Level,
    /// The stage that it belongs to.
    pub stage: Stage,
}

/// The answer of `GET /v1/providers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderList {
    /// The providers of the console's version, ordered by name.
    pub providers: Vec<ProviderView>,
}
