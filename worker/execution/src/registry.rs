use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Provider;
use crate::providers::{CheckAggregation, Command, Ping, RestFacts, TemplateCheck, TemplateFacts, Workflow};

/// The providers of a process, by name.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<Cow<'static, str>, Arc<dyn Provider>>);

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
        self.0.insert(name, Arc::new(provider));
        self
    }

    /// The provider with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.get(name)
    }

    /// All providers, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{ArgumentsError, check_arguments};

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
            for schema in [&properties.json_schema, &properties.run_input_json_schema] {
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
