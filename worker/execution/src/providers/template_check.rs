use std::collections::BTreeMap;

use async_trait::async_trait;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read;
use super::template::{evaluate, render};
use super::template_context::{
    Source, context, context_help, hidden_with, input_schema, run_on, run_on_schema, run_steps,
};
use super::verdict::{done, read_verdict};
use crate::cycle::{CheckResult, Verdict};
use crate::{Provider, ProviderProperties, ProviderType, StepFailure, StepResult, StepRun, Steps};

const KINDS: &[ExecuteOn] = &[
    ExecuteOn::Group,
    ExecuteOn::Device,
    ExecuteOn::Interface,
    ExecuteOn::Client,
];

/// Checks what is known about entities by an expression or a template.
#[derive(Debug)]
pub struct TemplateCheck(ProviderProperties);

#[derive(Deserialize)]
struct Arguments {
    expression: Option<String>,
    template: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<String, String>,
}

impl Default for TemplateCheck {
    fn default() -> Self {
        Self(ProviderProperties {
            name: "template_check".into(),
            short_description: "Checks what is known about entities, by an expression or a template.".into(),
            description: concat!(
                "Looks by an expression, or by a template that renders JSON, whether what is known about an entity is as it should be: \
                 true (ok), false (not ok), or an object with `result` (`ok`, `nok`, `failed`, true or false), `reason` and `metrics`. The \
                 result becomes the check `check_key` of the entity. It speaks to no device and changes nothing outside, so it does the \
                 same in a dry run: the check is written then, too.\n\n",
                context_help!()
            )
            .into(),
            provider_type: ProviderType::Check,
            run_on: None,
            run_on_strict: false,
            run_on_all_if_empty: false,
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
                        {"type": "Control", "scope": "#/properties/check_key"},
                    ]},
                    {
                        "type": "Control",
                        "scope": "#/properties/expression",
                        "options": {"multi": true},
                        "rule": hidden_with("template"),
                    },
                    {
                        "type": "Control",
                        "scope": "#/properties/template",
                        "options": {"multi": true},
                        "rule": hidden_with("expression"),
                    },
                    {"type": "Control", "scope": "#/properties/reason", "options": {"multi": true}},
                    {"type": "Control", "scope": "#/properties/metrics"},
                ],
            })),
            run_input_ui_schema: None,
            json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Check by a template",
                "type": "object",
                "required": ["run_on", "check_key"],
                "properties": {
                    "run_on": run_on_schema(KINDS),
                    "check_key": {
                        "title": "Key of the check",
                        "description": "The result becomes the check with this key of the entity.",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                    },
                    "expression": {
                        "title": "Expression",
                        "description": "What has to be true, such as: device.facts.version == input.version",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 65_536,
                        "x-display": "editor-jinja2",
                    },
                    "template": {
                        "title": "Template",
                        "description": "Instead of an expression: a template that renders JSON of the same meaning.",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 65_536,
                        "x-display": "editor-jinja2",
                    },
                    "reason": {
                        "title": "Reason",
                        "description": "A template of the reason, for people, of an entity that is not ok.",
                        "type": "string",
                        "maxLength": 65_536,
                        "x-display": "editor-jinja2",
                    },
                    "metrics": {
                        "title": "Metrics",
                        "description": "What is measured: expressions by name. They are kept with the check.",
                        "type": "object",
                        "maxProperties": 100,
                        "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 65_536 },
                    },
                },
                "oneOf": [{ "required": ["expression"] }, { "required": ["template"] }],
                "additionalProperties": false,
            }),
            run_input_json_schema: input_schema("Run of a check by a template"),
        })
    }
}

#[async_trait]
impl Provider for TemplateCheck {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn run_on(&self, arguments: &Value) -> Result<ExecuteOn, String> {
        run_on(arguments, KINDS)
    }

    fn steps(&self, arguments: &Value) -> Steps {
        run_steps(run_on(arguments, KINDS).ok())
    }

    async fn run_on_device_group(&self, run: &StepRun<'_>) -> StepResult {
        check(run).await
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> StepResult {
        check(run).await
    }

    async fn run_on_interface(&self, run: &StepRun<'_>) -> StepResult {
        check(run).await
    }

    async fn run_on_client_of_interface(&self, run: &StepRun<'_>) -> StepResult {
        check(run).await
    }

    async fn run_on_client_of_location(&self, run: &StepRun<'_>) -> StepResult {
        check(run).await
    }
}

async fn check(run: &StepRun<'_>) -> StepResult {
    let arguments: Arguments = read(run.arguments)?;
    let test = match (&arguments.expression, &arguments.template) {
        (Some(expression), _) => Source::Expression(expression),
        (None, Some(template)) => Source::Template(template),
        (None, None) => {
            let reason = "neither an expression nor a template is there";
            return Err(StepFailure::new("invalid-arguments", reason));
        }
    };
    let mut sources = vec![test];
    sources.extend(arguments.reason.as_deref().map(Source::Template));
    sources.extend(arguments.metrics.values().map(|text| Source::Expression(text)));
    let context = context(run, &sources).await?;
    Ok(done(&verdict(&arguments, test, &context)?))
}

/// What the check comes to in this context.
fn verdict(arguments: &Arguments, test: Source<'_>, context: &Value) -> Result<Verdict, StepFailure> {
    let mut verdict = match test {
        Source::Expression(source) => {
            read_verdict("the expression", evaluate("the expression", source, context)?)?
        }
        Source::Template(source) => {
            let rendered = render("the template", source, context)?;
            read_verdict("the template", json_of(&rendered)?)?
        }
    };
    for (name, expression) in &arguments.metrics {
        verdict.metrics[name] = evaluate(&format!("the metric {name:?}"), expression, context)?;
    }
    if let Some(reason) = arguments
        .reason
        .as_deref()
        .filter(|_| verdict.result != CheckResult::Ok)
    {
        verdict.reason = Some(render("the reason", reason, context)?.trim().to_owned());
    }
    Ok(verdict)
}

/// What a template rendered, as JSON. A lone `{{ a == b }}` renders `True` or `False`.
///
/// # Errors
/// It is something else; the error has its beginning.
pub(super) fn json_of(rendered: &str) -> Result<Value, StepFailure> {
    match rendered.trim() {
        "True" => return Ok(true.into()),
        "False" => return Ok(false.into()),
        _ => {}
    }
    serde_json::from_str(rendered.trim()).map_err(|error| {
        let begin: String = rendered.trim().chars().take(100).collect();
        let reason = format!(
            "the template renders no JSON: {error}: {begin:?}; the filter `tojson` writes values as JSON"
        );
        StepFailure::new("template-error", reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_arguments;

    #[test]
    fn a_check_is_an_expression_or_a_template_with_a_reason_and_metrics() {
        let context = json!({
            "device": { "hostname": "leaf1", "facts": { "version": "4.30" } },
            "input": { "version": "4.31" },
        });
        let versions = "device.facts.version == input.version";
        for (arguments, expected) in [
            (
                json!({"expression": "device.facts.version == '4.30'"}),
                Ok(json!({"result": "ok", "reason": null, "metrics": null})),
            ),
            (
                json!({
                    "expression": versions,
                    "reason": "it runs {{ device.facts.version }}\n",
                    "metrics": {"version": "device.facts.version", "length": "device.hostname|length"},
                }),
                Ok(
                    json!({"result": "nok", "reason": "it runs 4.30", "metrics": {"version": "4.30", "length": 5}}),
                ),
            ),
            // The reason is none of an entity that is ok.
            (
                json!({"expression": "true", "reason": "{{ nobody }}"}),
                Ok(json!({"result": "ok", "reason": null, "metrics": null})),
            ),
            (
                json!({"template": "{\"result\": {{ (device.hostname == 'leaf2')|tojson }}, \"reason\": \"another one\"}"}),
                Ok(json!({"result": "nok", "reason": "another one", "metrics": null})),
            ),
            (
                json!({"template": "{{ device.hostname == 'leaf1' }}"}),
                Ok(json!({"result": "ok", "reason": null, "metrics": null})),
            ),
            (json!({"template": "yes"}), Err("the template renders no JSON")),
            (
                json!({"expression": "device.facts.site == 'x'"}),
                Err("the expression, line 1: undefined value"),
            ),
            (
                json!({"expression": "true", "metrics": {"m": "nobody"}}),
                Err("the metric \"m\": `nobody` is undefined"),
            ),
            (
                json!({"expression": "7"}),
                Err("the expression: its value is a number"),
            ),
        ] {
            let read: Arguments = serde_json::from_value(arguments.clone()).unwrap();
            let test = read.expression.as_deref().map(Source::Expression);
            let test = test.or(read.template.as_deref().map(Source::Template)).unwrap();
            match (verdict(&read, test, &context), expected) {
                (Ok(verdict), Ok(data)) => assert_eq!(done(&verdict).data, data, "{arguments}"),
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
    fn its_schema_demands_one_text_and_a_kind_that_has_checks() {
        let provider = TemplateCheck::default();
        let schema = &provider.properties().json_schema;
        for (arguments, valid) in [
            (
                json!({"run_on": "DEVICE", "check_key": "v", "expression": "true"}),
                true,
            ),
            (
                json!({"run_on": "CLIENT", "check_key": "v", "template": "true"}),
                true,
            ),
            (json!({"run_on": "DEVICE", "check_key": "v"}), false),
            (
                json!({"run_on": "DEVICE", "check_key": "v", "expression": "true", "template": "true"}),
                false,
            ),
            (
                json!({"run_on": "GLOBAL", "check_key": "v", "expression": "true"}),
                false,
            ),
            (json!({"run_on": "DEVICE", "expression": "true"}), false),
        ] {
            assert_eq!(check_arguments(schema, &arguments).is_ok(), valid, "{arguments}");
            if valid {
                assert!(provider.run_on(&arguments).is_ok() && provider.steps(&arguments).iter().count() > 0);
            }
        }
        let unknown = provider.run_on(&json!({"run_on": "GLOBAL"}));
        assert_eq!(
            unknown,
            Err("run_on is \"GLOBAL\"; say one of GROUP, DEVICE, INTERFACE, CLIENT".to_owned())
        );
    }
}
