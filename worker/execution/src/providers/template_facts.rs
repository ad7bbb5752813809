use std::collections::BTreeMap;

use async_trait::async_trait;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::read;
use super::template::{evaluate, render};
use super::template_check::json_of;
use super::template_context::{
    Source, context, context_help, hidden_with, input_schema, run_on, run_on_schema, run_steps,
};
use crate::{Provider, ProviderProperties, ProviderType, StepDone, StepFailure, StepResult, StepRun, Steps};

const KINDS: &[ExecuteOn] = &ExecuteOn::ALL;

/// Makes a fact of what is known about entities.
#[derive(Debug)]
pub struct TemplateFacts(ProviderProperties);

#[derive(Deserialize)]
struct Arguments {
    template: Option<String>,
    expressions: Option<BTreeMap<String, String>>,
}

impl Default for TemplateFacts {
    fn default() -> Self {
        Self(ProviderProperties {
            name: "template_facts".into(),
            short_description: "Makes a fact of what is known about entities, by a template or expressions.".into(),
            description: concat!(
                "Makes a fact of the facts, checks and attributes of an entity and those above it: the JSON that a template renders, or an \
                 object of the values of expressions. It becomes the fact `facts_key` of the entity; those of the fleet are the facts \
                 that all have in common. It speaks to no device and changes nothing outside, so it does the same in a dry run: the fact \
                 is written then, too.\n\n",
                context_help!()
            )
            .into(),
            provider_type: ProviderType::Facts,
            run_on: None,
            run_on_strict: false,
            run_on_all_if_empty: true,
            run_on_result: None,
            facts_for: Vec::new(),
            lane: Lane::Devices,
            success_message: None,
            repeatable: true,
            deprecated: None,
            ui_schema: Some(json!({
                "type": "VerticalLayout",
                "elements": [
                    {"type": "HorizontalLayout", "elements": [
                        {"type": "Control", "scope": "#/properties/run_on"},
                        {"type": "Control", "scope": "#/properties/facts_key"},
                    ]},
                    {
                        "type": "Control",
                        "scope": "#/properties/template",
                        "options": {"multi": true},
                        "rule": hidden_with("expressions"),
                    },
                    {"type": "Control", "scope": "#/properties/expressions", "rule": hidden_with("template")},
                ],
            })),
            run_input_ui_schema: None,
            json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Facts by a template",
                "type": "object",
                "required": ["run_on", "facts_key"],
                "properties": {
                    "run_on": run_on_schema(KINDS),
                    "facts_key": {
                        "title": "Key of the fact",
                        "description": "The value becomes the fact with this key of the entity.",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                    },
                    "template": {
                        "title": "Template",
                        "description": "A template that renders JSON, such as: {{ device.facts.lldp.neighbors|length }}",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 65_536,
                        "x-display": "editor-jinja2",
                    },
                    "expressions": {
                        "title": "Expressions",
                        "description": "Instead of a template: expressions by name. The fact is an object of their values.",
                        "type": "object",
                        "minProperties": 1,
                        "maxProperties": 100,
                        "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 65_536 },
                    },
                },
                "oneOf": [{ "required": ["template"] }, { "required": ["expressions"] }],
                "additionalProperties": false,
            }),
            run_input_json_schema: input_schema("Run of facts by a template"),
        })
    }
}

#[async_trait]
impl Provider for TemplateFacts {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn run_on(&self, arguments: &Value) -> Result<ExecuteOn, String> {
        run_on(arguments, KINDS)
    }

    fn steps(&self, arguments: &Value) -> Steps {
        run_steps(run_on(arguments, KINDS).ok())
    }

    async fn run_global(&self, run: &StepRun<'_>) -> StepResult {
        find(run).await
    }

    async fn run_on_device_group(&self, run: &StepRun<'_>) -> StepResult {
        find(run).await
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> StepResult {
        find(run).await
    }

    async fn run_on_interface(&self, run: &StepRun<'_>) -> StepResult {
        find(run).await
    }

    async fn run_on_client_of_interface(&self, run: &StepRun<'_>) -> StepResult {
        find(run).await
    }

    async fn run_on_client_of_location(&self, run: &StepRun<'_>) -> StepResult {
        find(run).await
    }
}

async fn find(run: &StepRun<'_>) -> StepResult {
    let arguments: Arguments = read(run.arguments)?;
    let expressions = arguments.expressions.iter().flat_map(BTreeMap::values);
    let mut sources: Vec<Source<'_>> = expressions.map(|text| Source::Expression(text)).collect();
    sources.extend(arguments.template.as_deref().map(Source::Template));
    let context = context(run, &sources).await?;
    Ok(StepDone {
        message: Some("found".to_owned()),
        data: value(&arguments, &context)?,
        ..StepDone::default()
    })
}

/// The value of the fact in this context.
fn value(arguments: &Arguments, context: &Value) -> Result<Value, StepFailure> {
    if let Some(template) = &arguments.template {
        return json_of(&render("the template", template, context)?);
    }
    let mut values = Map::new();
    for (name, expression) in arguments.expressions.iter().flatten() {
        let value = evaluate(&format!("the expression {name:?}"), expression, context)?;
        values.insert(name.clone(), value);
    }
    Ok(values.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_arguments;

    #[test]
    fn a_fact_is_what_a_template_renders_or_an_object_of_expressions() {
        let context = json!({ "group": { "name": "campus", "facts": { "vlans": [10, 20] } } });
        for (arguments, expected) in [
            (
                json!({"template": "{{ group.facts.vlans|tojson }}"}),
                Ok(json!([10, 20])),
            ),
            (
                json!({"template": "{\"vlans\": {{ group.facts.vlans|length }} }\n"}),
                Ok(json!({"vlans": 2})),
            ),
            (
                json!({"expressions": {"name": "group.name|upper", "first": "group.facts.vlans|first"}}),
                Ok(json!({"name": "CAMPUS", "first": 10})),
            ),
            (
                json!({"template": "{{ group.name }}"}),
                Err("the template renders no JSON: expected value at line 1 column 1: \"campus\""),
            ),
            (
                json!({"template": "{{ group.facts.spanning }}"}),
                Err("the template, line 1: undefined value: `group.facts.spanning`"),
            ),
            (
                json!({"expressions": {"name": "group.name", "site": "group.site"}}),
                Err("the expression \"site\": `group.site` is undefined"),
            ),
        ] {
            let read: Arguments = serde_json::from_value(arguments.clone()).unwrap();
            match (value(&read, &context), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{arguments}"),
                (Err(failure), Err(reason)) => {
                    assert!(
                        failure.message.starts_with(reason),
                        "{arguments}: {}",
                        failure.message
                    );
                }
                (found, expected) => panic!("{arguments}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn its_schema_demands_a_template_or_expressions() {
        let provider = TemplateFacts::default();
        let schema = &provider.properties().json_schema;
        for (arguments, valid) in [
            (
                json!({"run_on": "GLOBAL", "facts_key": "f", "template": "1"}),
                true,
            ),
            (
                json!({"run_on": "INTERFACE", "facts_key": "f", "expressions": {"a": "1"}}),
                true,
            ),
            (
                json!({"run_on": "INTERFACE", "facts_key": "f", "expressions": {}}),
                false,
            ),
            (json!({"run_on": "INTERFACE", "facts_key": "f"}), false),
            (
                json!({"run_on": "INTERFACE", "facts_key": "f", "expressions": {"a": "1"}, "template": "1"}),
                false,
            ),
        ] {
            assert_eq!(check_arguments(schema, &arguments).is_ok(), valid, "{arguments}");
            if valid {
                assert!(provider.run_on(&arguments).is_ok() && provider.steps(&arguments).iter().count() > 0);
            }
        }
    }
}
