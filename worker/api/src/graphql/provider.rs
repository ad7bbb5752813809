use std::sync::Arc;

use async_graphql::{Enum, Object, SimpleObject};
use lockstep_protocol::rest::ProviderView;
use serde_json::Value;

use super::run_on::RunOn;

/// Code with a run cycle. A task is a provider with arguments.
#[derive(Debug)]
pub(crate) struct Provider(pub(super) Arc<ProviderView>);

/// What a provider is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "ProviderTypeEnum")]
pub(crate) enum ProviderType {
    /// It looks whether something is as it should be.
    Check,
    /// It changes configurations.
    Configure,
    /// It does something else.
    Execute,
    /// It collects facts.
    Facts,
    /// Nothing of these.
    None,
}

/// The providers that a call of neops asks for.
#[derive(Debug, SimpleObject)]
pub(crate) struct ProviderResults {
    /// The providers, ordered by name.
    pub(super) results: Vec<Provider>,
}

/// A step of the run cycle.
#[derive(Debug, SimpleObject)]
pub(crate) struct Step {
    /// Its number, from 1 to 14; null for the step on items, which is none of the fourteen.
    number: Option<u8>,
    /// Its name, such as `run_on_device`.
    name: String,
    /// What it runs on.
    level: String,
}

impl ProviderType {
    /// The type that a provider says; `NONE` for one that this version does not know.
    pub(super) fn of(text: &str) -> Self {
        match text {
            "CHECK" => Self::Check,
            "CONFIGURE" => Self::Configure,
            "EXECUTE" => Self::Execute,
            "FACTS" => Self::Facts,
            _ => Self::None,
        }
    }
}

#[Object]
impl Provider {
    /// Its unique name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it does, for people who write tasks: Markdown.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// What it does, in one line.
    async fn short_description(&self) -> &str {
        &self.0.short_description
    }

    /// Whether something else should be used instead.
    async fn deprecated(&self) -> bool {
        self.0.deprecated.is_some()
    }

    /// What to use instead, if it is deprecated.
    async fn deprecation_reason(&self) -> Option<&str> {
        self.0.deprecated.as_deref()
    }

    /// The kind of entity that it runs on.
    async fn run_on(&self) -> RunOn {
        self.0.run_on.map_or(RunOn::Generic, RunOn::from)
    }

    /// Whether a run may name only entities of that kind. Otherwise these are resolved from the named ones.
    async fn run_on_strict(&self) -> bool {
        self.0.run_on_strict
    }

    /// Whether a run that names no entity runs on all. Otherwise it runs on none.
    async fn run_on_all_if_empty(&self) -> bool {
        self.0.run_on_all_if_empty
    }

    /// The kind of entity that its results are about, if it is another one.
    async fn run_on_result(&self) -> Option<RunOn> {
        self.0.run_on_result.map(RunOn::from)
    }

    /// What it is for.
    async fn provider_type(&self) -> ProviderType {
        ProviderType::of(&self.0.provider_type)
    }

    /// The JSON Schema of the arguments of a task.
    async fn json_schema(&self) -> &Value {
        &self.0.json_schema
    }

    /// The JSON Schema of the arguments of a run.
    async fn run_input_json_schema(&self) -> &Value {
        &self.0.run_input_json_schema
    }

    /// The UI schema of JSON Forms for `jsonSchema`; null for one that a form makes of the schema.
    async fn ui_schema(&self) -> Option<&Value> {
        self.0.ui_schema.as_ref()
    }

    /// The UI schema of JSON Forms for `runInputJsonSchema`.
    async fn run_input_ui_schema(&self) -> Option<&Value> {
        self.0.run_input_ui_schema.as_ref()
    }

    /// The lane of its elements.
    async fn lane(&self) -> &str {
        &self.0.lane
    }

    /// The steps that it has, in their order; if its arguments decide, those without arguments.
    async fn steps(&self) -> Vec<Step> {
        let steps = self.0.steps.iter().map(|step| Step {
            number: step.number,
            name: step.name.clone(),
            level: step.level.to_string(),
        });
        steps.collect()
    }

    /// The message of an element that was done without one of its own.
    async fn success_message(&self) -> Option<&str> {
        self.0.success_message.as_deref()
    }

    /// Whether an element that was interrupted is run again.
    async fn repeatable(&self) -> bool {
        self.0.repeatable
    }
}
