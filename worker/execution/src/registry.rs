use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Provider;
use crate::providers::{CheckAggregation, Command, Ping, RestFacts, TemplateCheck, TemplateFacts, Workflow};

/// The providers of a process, by name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    providers: BTreeMap<Cow<'static, str>, Arc<dyn Provider>>,
    /// Those that this process knows and does not run.
    described: BTreeSet<Cow<'static, str>>,
}

impl Registry {
    /// The providers that come with Lockstep.
    #[must_use]
    pub fn built_in() -> Self {
        Self::default()
            .with(Ping::default())
            .with(Command::default())
            .with(TemplateCheck::default())
            .with(TemplateFacts::default())
            .with(CheckAggregation::default())
            .with(RestFacts::default())
            .with(Workflow::default())
    }

    /// Adds a provider. It replaces one with the same name.
    #[must_use]
    pub fn with(mut self, provider: impl Provider) -> Self {
        let name = provider.properties().name.clone();
        self.described.remove(&name);
        self.providers.insert(name, Arc::new(provider));
        self
    }

    /// Adds a provider that this process only knows: it accepts tasks with it, and leaves its elements to others.
    #[must_use]
    pub fn with_described(self, provider: impl Provider) -> Self {
        let name = provider.properties().name.clone();
        let mut registry = self.with(provider);
        registry.described.insert(name);
        registry
    }

    /// Whether this process has the provider and runs it.
    pub fn runs(&self, name: &str) -> bool {
        self.providers.contains_key(name) && !self.described.contains(name)
    }

    /// The provider with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.providers.get(name)
    }

    /// All providers, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.providers.values()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{ArgumentsError, check_arguments, check_ui_schema};

    #[test]
    fn what_is_only_described_is_known_and_not_run() {
        let registry = Registry::default()
            .with_described(Ping::default())
            .with(Command::default());
        assert!(registry.get("ping").is_some() && !registry.runs("ping"));
        assert!(registry.runs("command") && !registry.runs("pong"));
        assert!(registry.with(Ping::default()).runs("ping"));
    }

    #[test]
    fn providers_are_found_by_name_and_state_what_forms_need() {
        let registry = Registry::built_in();
        let names: Vec<&str> = registry
            .iter()
            .map(|provider| &*provider.properties().name)
            .collect();
        assert_eq!(
            names,
            [
                "check_aggregation",
                "command",
                "ping",
                "rest_facts",
                "template_check",
                "template_facts",
                "workflow"
            ]
        );
        assert!(registry.get("ping").is_some() && registry.get("pong").is_none());
        for provider in registry.iter() {
            let properties = provider.properties();
            let run_on = provider.run_on(&Value::Null);
            assert_eq!(
                run_on.ok(),
                properties.run_on,
                "arguments decide, or the property does"
            );
            assert!(!properties.short_description.contains('\n') && !properties.description.is_empty());
            for (schema, ui_schema) in [
                (&properties.json_schema, &properties.ui_schema),
                (&properties.run_input_json_schema, &properties.run_input_ui_schema),
            ] {
                let wrong = ui_schema
                    .as_ref()
                    .map(|ui_schema| check_ui_schema(ui_schema, schema));
                assert_eq!(wrong.unwrap_or_default(), [], "{}", properties.name);
                assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
                assert!(schema["title"].is_string(), "{schema}");
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    assert!(
                        property["title"].is_string() && property["description"].is_string(),
                        "{name}"
                    );
                }
                let checked = check_arguments(schema, &Value::Null);
                assert!(!matches!(checked, Err(ArgumentsError::Schema(_))), "{checked:?}");
            }
        }
    }
}
