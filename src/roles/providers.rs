//! The providers that this version has.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use lockstep_api::Providers;
use lockstep_cvp_provider::CvpSweep;
use lockstep_device::CredentialSource;
use lockstep_execution::{
    ArgumentsError, CycleStep, Provider, Registry, RunInput, check_arguments, check_run_input,
    merge_run_input, merge_run_ui_schema,
};
use lockstep_external::External;
use lockstep_protocol::commands::TaskSaveRequested;
use lockstep_protocol::rest::{ProviderView, StepView, TaskForm, TaskProblem, TaskView};
use lockstep_sync::Sync;
use serde_json::{Value, json};

use super::devices::ConfiguredCredentials;
use super::external::{ExternalCheck, description};
use super::{cvp, rest};
use crate::config::Config;

/// What the program adds to the providers of Lockstep.
static ADDED: OnceLock<fn(Registry) -> Registry> = OnceLock::new();

/// Adds providers to those of this process. Only the first call counts.
pub(crate) fn add(providers: fn(Registry) -> Registry) {
    let _ = ADDED.set(providers);
}

/// The providers with those that the program adds.
fn with_added(registry: Registry) -> Registry {
    match ADDED.get() {
        Some(add) => add(registry),
        None => registry,
    }
}

/// The providers that tasks may run, on a worker with this way to synchronize devices. Programs that were checked are run; other ones that
/// have a description are only known.
///
/// # Errors
/// If the client of a cluster or of a REST service cannot be built.
pub(super) fn registry(
    config: &Config,
    sync: Sync,
    external: Vec<ExternalCheck>,
) -> anyhow::Result<Registry> {
    let sweep = CvpSweep::new(cvp::swept(&config.cvp)?);
    let rest = rest::provider(&config.rest)?;
    let registry = Registry::built_in().with(rest).with(sweep).with(sync);
    let registry = with_added(registry);
    let credentials = ConfiguredCredentials::of(&config.devices.credentials);
    let credentials: Arc<dyn CredentialSource> = Arc::new(credentials);
    Ok(external.into_iter().fold(registry, |registry, check| {
        let Ok(description) = &check.description else {
            return registry;
        };
        match check.program {
            Some(Ok(program)) => {
                let credentials = check.credentials.then(|| credentials.clone());
                registry.with(External::new(description, program, credentials))
            }
            Some(Err(_)) | None => registry.with_described(External::described(description)),
        }
    }))
}

/// The same providers in a process that runs none. Descriptions that cannot be used are left out, with a warning in the log.
pub(super) fn described(config: &Config) -> Registry {
    let registry = Registry::built_in()
        .with(CvpSweep::described())
        .with(Sync::described());
    let registry = with_added(registry);
    config
        .providers
        .iter()
        .fold(registry, |registry, (name, provider)| {
            match description(name, provider) {
                Ok(description) => registry.with_described(External::described(&description)),
                Err(reason) => {
                    tracing::error!(provider = name, reason, "an external provider is not known here");
                    registry
                }
            }
        })
}

/// The providers as data, for the console.
#[derive(Debug)]
pub(super) struct KnownProviders(Registry);

impl KnownProviders {
    pub(super) fn new(registry: Registry) -> Self {
        Self(registry)
    }

    fn provider(&self, name: &str) -> Result<&dyn Provider, TaskProblem> {
        let found = self.0.get(name).map(|provider| &**provider);
        found.ok_or_else(|| {
            let known = self.0.iter().map(|provider| &*provider.properties().name);
            let known: Vec<&str> = known.collect();
            let reason = format!("{name:?} is not a provider; expected one of {}", known.join(", "));
            problem("$.provider".to_owned(), reason)
        })
    }
}

impl Providers for KnownProviders {
    fn list(&self) -> Vec<ProviderView> {
        self.0.iter().map(|provider| view(&**provider)).collect()
    }

    fn problems(&self, task: &TaskSaveRequested) -> Vec<TaskProblem> {
        let provider = match self.provider(&task.provider) {
            Ok(provider) => provider,
            Err(problem) => return vec![problem],
        };
        let mut problems = match check_arguments(&provider.properties().json_schema, &task.arguments) {
            Ok(()) => match provider.run_on(&task.arguments) {
                Ok(_) => Vec::new(),
                Err(reason) => vec![problem("$.arguments".to_owned(), reason)],
            },
            Err(ArgumentsError::Invalid { errors, .. }) => errors
                .into_iter()
                .map(|error| problem(format!("$.arguments{}", error.json_path()), error.reason))
                .collect(),
            Err(error @ ArgumentsError::Schema(_)) => {
                vec![problem("$.provider".to_owned(), error.to_string())]
            }
        };
        let json_schema = task.run_input_json_schema.clone().map(Value::Object);
        let ui_schema = task.run_input_ui_schema.clone().map(Value::Object);
        let own = RunInput {
            json_schema: json_schema.as_ref(),
            ui_schema: ui_schema.as_ref(),
        };
        let of_run = check_run_input(provider.properties(), own).into_iter();
        problems.extend(of_run.map(|wrong| {
            let place = format!("$.{}{}", wrong.field, wrong.error.json_path());
            problem(place, wrong.error.reason)
        }));
        problems
    }

    fn run_problems(&self, form: &TaskForm, arguments: &Value) -> Vec<TaskProblem> {
        match check_arguments(&form.run_input_json_schema, arguments) {
            Ok(()) => Vec::new(),
            Err(ArgumentsError::Invalid { errors, .. }) => errors
                .into_iter()
                .map(|error| problem(format!("$.arguments{}", error.json_path()), error.reason))
                .collect(),
            Err(error @ ArgumentsError::Schema(_)) => {
                vec![problem("$.arguments".to_owned(), error.to_string())]
            }
        }
    }

    fn form(&self, task: TaskView) -> Result<TaskForm, TaskProblem> {
        let properties = self.provider(&task.provider)?.properties();
        let own = RunInput {
            json_schema: task.run_input_json_schema.as_ref(),
            ui_schema: task.run_input_ui_schema.as_ref(),
        };
        let merged = merge_run_input(&properties.run_input_json_schema, own.json_schema);
        let merged = merged.map_err(|error| {
            let place = format!("$.run_input_json_schema{}", error.json_path());
            problem(place, format!("{}; save the task again", error.reason))
        })?;
        Ok(TaskForm {
            json_schema: properties.json_schema.clone(),
            ui_schema: properties.ui_schema.clone(),
            run_input_json_schema: merged.into_owned(),
            run_input_ui_schema: merge_run_ui_schema(properties, own),
            number: task.number,
            name: task.name,
            provider: task.provider,
            arguments: task.arguments,
        })
    }
}

fn problem(place: String, reason: String) -> TaskProblem {
    TaskProblem { place, reason }
}

fn view(provider: &dyn Provider) -> ProviderView {
    let properties = provider.properties().clone();
    let word = serde_json::to_value(properties.provider_type).unwrap_or_default();
    ProviderView {
        name: properties.name.into_owned(),
        short_description: properties.short_description.into_owned(),
        description: properties.description.into_owned(),
        provider_type: word.as_str().unwrap_or_default().to_owned(),
        run_on: properties.run_on,
        run_on_strict: properties.run_on_strict,
        run_on_all_if_empty: properties.run_on_all_if_empty,
        run_on_result: properties.run_on_result,
        lane: properties.lane.as_str().to_owned(),
        steps: provider.steps(&json!({})).iter().map(step).collect(),
        success_message: properties.success_message.map(Cow::into_owned),
        repeatable: properties.repeatable,
        deprecated: properties.deprecated.map(Cow::into_owned),
        json_schema: properties.json_schema,
        run_input_json_schema: properties.run_input_json_schema,
        ui_schema: properties.ui_schema,
        run_input_ui_schema: properties.run_input_ui_schema,
    }
}

fn step(step: CycleStep) -> StepView {
    StepView {
        number: step.number(),
        name: step.as_str().to_owned(),
        level: step.level(),
        stage: step.stage(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(provider: &str, arguments: Value) -> Vec<String> {
        let task = TaskSaveRequested {
            name: "t".to_owned(),
            description: None,
            provider: provider.to_owned(),
            arguments,
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            run_input_json_schema: None,
            run_input_ui_schema: None,
        };
        let problems = KnownProviders::new(described(&Config::of_text(""))).problems(&task);
        let text = |problem: TaskProblem| format!("{}: {}", problem.place, problem.reason);
        problems.into_iter().map(text).collect()
    }

    #[test]
    fn a_task_is_checked_with_its_provider() {
        let table = [
            ("command", json!({"commands": ["show version"]}), None),
            (
                "pong",
                json!({}),
                Some("$.provider: \"pong\" is not a provider; expected one of check_aggregation, command, "),
            ),
            (
                "command",
                json!({"commands": [7]}),
                Some("$.arguments.commands[0]: "),
            ),
            ("command", json!({}), Some("$.arguments: ")),
        ];
        for (provider, arguments, expected) in table {
            let found = problems(provider, arguments.clone());
            match expected {
                None => assert!(found.is_empty(), "{found:?}"),
                Some(expected) => {
                    assert!(found.iter().any(|found| found.starts_with(expected)), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn what_a_task_adds_to_its_runs_is_checked_and_merged_with_its_provider() {
        let known = KnownProviders::new(described(&Config::of_text("")));
        let own = |timeout: &str| {
            json!({
                "type": "object",
                "properties": {"timeout_seconds": {"type": timeout}, "vlan": {"type": "integer", "x-display": "slider"}},
            })
        };
        let scope = json!({"type": "Control", "scope": "#/properties/vlna"});
        let task = TaskSaveRequested {
            name: "t".to_owned(),
            description: None,
            provider: "command".to_owned(),
            arguments: json!({"commands": []}),
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            run_input_json_schema: own("string").as_object().cloned(),
            run_input_ui_schema: None,
        };
        let places = |task: &TaskSaveRequested| -> Vec<String> {
            let problems = known.problems(task).into_iter();
            problems.map(|problem| problem.place).collect()
        };
        let conflict = "$.run_input_json_schema.properties.timeout_seconds";
        assert_eq!(places(&task), ["$.arguments.commands", conflict]);
        let only_ui = TaskSaveRequested {
            run_input_json_schema: None,
            run_input_ui_schema: scope.as_object().cloned(),
            ..task
        };
        assert_eq!(
            places(&only_ui),
            ["$.arguments.commands", "$.run_input_ui_schema.scope"]
        );

        let view = |provider: &str, own: Value| -> TaskView {
            serde_json::from_value(json!({
                "number": 7, "name": "t", "description": null, "provider": provider, "arguments": {"run_on": "DEVICE"},
                "saved_at": "2026-02-03T04:05:06Z", "saved_by": null, "run_input_json_schema": own,
            }))
            .unwrap()
        };
        let vlan =
            json!({"type": "object", "properties": {"vlan": {"type": "integer", "x-display": "slider"}}});
        let form = known.form(view("command", vlan)).unwrap();
        let run = &form.run_input_json_schema;
        assert_eq!(run["properties"]["vlan"]["x-display"], "slider");
        assert_eq!(
            (
                &run["properties"]["timeout_seconds"]["maximum"],
                &run["additionalProperties"]
            ),
            (&json!(3600), &json!(false))
        );
        let elements = &form.run_input_ui_schema.unwrap()["elements"];
        assert_eq!(elements[0]["scope"], "#/properties/timeout_seconds");
        assert_eq!(elements[1]["scope"], "#/properties/vlan");
        assert!(form.ui_schema.is_some() && form.arguments == json!({"run_on": "DEVICE"}));
        let place = |provider, own| known.form(view(provider, own)).unwrap_err().place;
        assert_eq!(place("pong", Value::Null), "$.provider");
        assert_eq!(place("command", own("string")), conflict);
    }

    #[test]
    fn providers_are_listed_by_name_with_their_properties() {
        let list = KnownProviders::new(described(&Config::of_text(""))).list();
        let names: Vec<&str> = list.iter().map(|provider| provider.name.as_str()).collect();
        assert!(names.is_sorted(), "{names:?}");
        for provider in list {
            assert!(
                provider.json_schema.is_object() && !provider.provider_type.is_empty(),
                "{provider:?}"
            );
        }
    }

    #[test]
    fn the_steps_of_a_provider_are_those_without_arguments() {
        let list = KnownProviders::new(described(&Config::of_text(""))).list();
        let steps = |name: &str| {
            let provider = list.iter().find(|provider| provider.name == name).unwrap();
            let steps = provider
                .steps
                .iter()
                .map(|step| (step.number, step.name.as_str()));
            (steps.collect::<Vec<_>>(), provider.lane.as_str())
        };
        assert_eq!(steps("ping"), (vec![(Some(10), "run_on_device")], "devices"));
        assert_eq!(steps("template_check"), (vec![], "devices"));
    }
}
