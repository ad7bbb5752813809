//! Reads facts about entities from REST services.

mod answer;
mod service;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read;
use super::template::{render, render_encoded};
use super::template_context::{
    Source, context, context_help, input_schema, run_on, run_on_schema, run_steps,
};
use crate::{Provider, ProviderProperties, ProviderType, StepDone, StepFailure, StepResult, StepRun, Steps};

pub use service::{RestAnswer, RestError, RestRequest, RestService};

const KINDS: &[ExecuteOn] = &ExecuteOn::ALL;

/// Headers that the service or the connection sets.
const RESERVED: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Makes facts of what REST services answer about entities.
#[derive(Debug)]
pub struct RestFacts {
    properties: ProviderProperties,
    services: BTreeMap<String, Arc<dyn RestService>>,
}

#[derive(Debug, Deserialize)]
struct Arguments {
    service: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    mapping: Option<String>,
    expressions: Option<BTreeMap<String, String>>,
    #[serde(default)]
    not_found: NotFound,
    #[serde(default = "ok")]
    expected_status: Vec<u16>,
    #[serde(default = "timeout")]
    timeout_seconds: u64,
    #[serde(default = "max_bytes")]
    max_bytes: usize,
    #[serde(default = "retries")]
    retries: u32,
}

/// What a 404 means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NotFound {
    /// The entity fails.
    #[default]
    Fail,
    /// The entity is skipped.
    Keep,
    /// The answer is null.
    Null,
}

fn ok() -> Vec<u16> {
    vec![200]
}

const fn timeout() -> u64 {
    30
}

const fn max_bytes() -> usize {
    1 << 20
}

const fn retries() -> u32 {
    3
}

impl Default for RestFacts {
    /// Without services, for processes that run none.
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl RestFacts {
    /// Reads from these services, by their names.
    pub fn new(services: BTreeMap<String, Arc<dyn RestService>>) -> Self {
        let properties = ProviderProperties {
            name: "rest_facts".into(),
            short_description: "Makes facts of what a REST service answers about entities.".into(),
            description: concat!(
                "Requests a path of a service by GET for each entity, and makes the fact `facts_key` of its JSON. The address of the service, its \
                 credentials and its certificates are in the configuration of the workers, `[rest.NAME]`; a task says only what follows the \
                 address, so it reaches no other host. What expressions write into the path is percent-encoded, unless they end with `|safe`. \
                 Redirects are not followed. The statuses 429 and 503 are asked again, after the time that the service says. `mapping` and \
                 `expressions` see the answer as `response`. It changes nothing outside, so it does the same in a dry run: the fact is \
                 written then, too.\n\n",
                context_help!()
            )
            .into(),
            provider_type: ProviderType::Facts,
            run_on: None,
            run_on_strict: false,
            run_on_all_if_empty: false,
            run_on_result: None,
            facts_for: Vec::new(),
            lane: Lane::Devices,
            success_message: None,
            repeatable: true,
            deprecated: None,
            ui_schema: None,
            run_input_ui_schema: None,
            json_schema: schema(),
            run_input_json_schema: input_schema("Run of facts by REST"),
        };
        Self { properties, services }
    }
}

#[async_trait]
impl Provider for RestFacts {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn run_on(&self, arguments: &Value) -> Result<ExecuteOn, String> {
        let headers = arguments["headers"].as_object();
        let mut names = headers.into_iter().flat_map(|headers| headers.keys());
        if let Some(name) = names.find(|name| RESERVED.contains(&name.to_ascii_lowercase().as_str())) {
            return Err(format!(
                "headers: {name} is not one of a task; credentials are in the configuration of the workers"
            ));
        }
        run_on(arguments, KINDS)
    }

    fn steps(&self, arguments: &Value) -> Steps {
        run_steps(run_on(arguments, KINDS).ok())
    }

    async fn run_global(&self, run: &StepRun<'_>) -> StepResult {
        self.find(run).await
    }

    async fn run_on_device_group(&self, run: &StepRun<'_>) -> StepResult {
        self.find(run).await
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> StepResult {
        self.find(run).await
    }

    async fn run_on_interface(&self, run: &StepRun<'_>) -> StepResult {
        self.find(run).await
    }

    async fn run_on_client_of_interface(&self, run: &StepRun<'_>) -> StepResult {
        self.find(run).await
    }

    async fn run_on_client_of_location(&self, run: &StepRun<'_>) -> StepResult {
        self.find(run).await
    }
}

impl RestFacts {
    async fn find(&self, run: &StepRun<'_>) -> StepResult {
        let arguments: Arguments = read(run.arguments)?;
        let unknown = || {
            let known: Vec<&str> = self.services.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "it has none".to_owned()
            } else {
                format!("it has {}", known.join(", "))
            };
            let name = &arguments.service;
            let message = format!("the configuration of this worker has no [rest.{name}]; {known}");
            StepFailure::new("unknown-service", message)
        };
        let service = self.services.get(&arguments.service).ok_or_else(unknown)?;
        let templates = arguments.headers.values().chain([&arguments.path]);
        let templates = templates
            .chain(&arguments.mapping)
            .map(|text| Source::Template(text));
        let expressions = arguments.expressions.iter().flat_map(BTreeMap::values);
        let expressions = expressions.map(|text| Source::Expression(text));
        let mut context = context(run, &templates.chain(expressions).collect::<Vec<_>>()).await?;
        let request = request(&arguments, &context)?;
        let asking = ask(&**service, &request, arguments.retries);
        let answer = run.until_stopped(None, asking).await?;
        let answer = answer.map_err(|error| StepFailure::new(error.reason(), error.to_string()))?;
        context["response"] = answer::body(&arguments, &answer)?;
        let data = if context["response"].is_null() && answer.status == 404 {
            Value::Null
        } else {
            answer::fact(&arguments, &context)?
        };
        Ok(StepDone {
            message: Some("found".to_owned()),
            data,
            ..StepDone::default()
        })
    }
}

fn request(arguments: &Arguments, context: &Value) -> Result<RestRequest, StepFailure> {
    let header = |(name, template): (&String, &String)| {
        let value = render(&format!("the header {name:?}"), template, context)?;
        Ok((name.clone(), value.trim().to_owned()))
    };
    let headers: Result<Vec<(String, String)>, StepFailure> = arguments.headers.iter().map(header).collect();
    Ok(RestRequest {
        path: answer::checked_path(&render_encoded("path", &arguments.path, context)?)?,
        headers: headers?,
        timeout: Duration::from_secs(arguments.timeout_seconds),
        max_bytes: arguments.max_bytes,
    })
}

/// Requests, and repeats that as long as the service asks for a pause that is short enough.
async fn ask(
    service: &dyn RestService,
    request: &RestRequest,
    retries: u32,
) -> Result<RestAnswer, RestError> {
    let mut tries = 1;
    loop {
        let answer = service.get(request).await?;
        let Some(pause) = answer::pause(&answer, tries, retries) else {
            return Ok(answer);
        };
        tries += 1;
        tokio::time::sleep(pause).await;
    }
}

fn schema() -> Value {
    let template = |title: &str, description: &str, most: u32| {
        json!({
            "title": title,
            "description": description,
            "type": "string",
            "minLength": 1,
            "maxLength": most,
            "x-display": "editor-jinja2",
        })
    };
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Facts by REST",
        "type": "object",
        "required": ["run_on", "facts_key", "service", "path"],
        "properties": {
            "run_on": run_on_schema(KINDS),
            "facts_key": {
                "title": "Key of the fact",
                "description": "The answer becomes the fact with this key of the entity.",
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
            },
            "service": {
                "title": "Service",
                "description": "The NAME of a [rest.NAME] in the configuration of the workers.",
                "type": "string",
                "pattern": "^[a-z][a-z0-9_-]*$",
                "maxLength": 255,
            },
            "path": template(
                "Path",
                "A template of what follows the address of the service, such as: /api/dcim/devices/?name={{ device.hostname }}",
                8192,
            ),
            "headers": {
                "title": "Headers",
                "description": "Templates of headers, by name. The credentials are in the configuration of the workers.",
                "type": "object",
                "maxProperties": 20,
                "propertyNames": { "pattern": "^[A-Za-z0-9-]+$", "maxLength": 100 },
                "additionalProperties": { "type": "string", "maxLength": 4096 },
            },
            "mapping": template("Mapping", "A template that renders the fact as JSON; it sees the answer as `response`.", 65_536),
            "expressions": {
                "title": "Expressions",
                "description": "Instead of a mapping: expressions by name. The fact is an object of their values.",
                "type": "object",
                "minProperties": 1,
                "maxProperties": 100,
                "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 65_536 },
            },
            "not_found": {
                "title": "Not found",
                "description": "What a 404 means: the entity fails; it is skipped, and keeps the fact that it has; or the fact becomes null.",
                "type": "string",
                "enum": ["fail", "keep", "null"],
                "default": "fail",
            },
            "expected_status": {
                "title": "Expected statuses",
                "description": "The statuses of answers that are used.",
                "type": "array",
                "minItems": 1,
                "maxItems": 20,
                "items": { "type": "integer", "minimum": 200, "maximum": 599 },
                "default": [200],
            },
            "timeout_seconds": {
                "title": "Time limit",
                "description": "For each request, in seconds.",
                "type": "integer",
                "minimum": 1,
                "maximum": 300,
                "default": 30,
            },
            "max_bytes": {
                "title": "Most bytes",
                "description": "The most bytes of an answer.",
                "type": "integer",
                "minimum": 1,
                "maximum": 8_388_608,
                "default": 1_048_576,
            },
            "retries": {
                "title": "Repetitions",
                "description": "How often a request is repeated that is answered with 429 or 503.",
                "type": "integer",
                "minimum": 0,
                "maximum": 10,
                "default": 3,
            },
        },
        "not": { "required": ["mapping", "expressions"] },
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_arguments;

    #[test]
    fn its_schema_and_its_check_refuse_what_a_task_must_not_say() {
        let provider = RestFacts::default();
        let check = |more: Value| {
            let mut arguments =
                json!({"run_on": "DEVICE", "facts_key": "netbox", "service": "netbox", "path": "/api"});
            for (name, value) in more.as_object().cloned().unwrap_or_default() {
                arguments[name] = value;
            }
            let valid = check_arguments(&provider.properties().json_schema, &arguments).is_ok();
            valid && provider.run_on(&arguments).is_ok()
        };
        for (more, valid) in [
            (json!({}), true),
            (
                json!({"headers": {"Accept": "application/json"}, "not_found": "keep"}),
                true,
            ),
            (json!({"headers": {"Authorization": "Bearer x"}}), false),
            (json!({"headers": {"HOST": "other.example.org"}}), false),
            (json!({"headers": {"a b": "c"}}), false),
            (json!({"url": "https://other.example.org"}), false),
            (json!({"mapping": "1", "expressions": {"a": "1"}}), false),
            (json!({"max_bytes": 8_388_609}), false),
        ] {
            assert_eq!(check(more.clone()), valid, "{more}");
        }
    }
}
