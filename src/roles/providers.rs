//! The providers that this version has.

use std::borrow::Cow;

use lockstep_api::Providers;
use lockstep_cvp_provider::CvpSweep;
use lockstep_execution::{ArgumentsError, CycleStep, Provider, Registry, check_arguments};
use lockstep_protocol::commands::TaskSaveRequested;
use lockstep_protocol::rest::{ProviderView, StepView, TaskProblem};
use lockstep_sync::Sync;
use serde_json::json;

use super::{cvp, rest};
use crate::config::Config;

/// The providers that tasks may run, on a worker with this configuration and this way to synchronize devices.
///
/// # Errors
/// If the client of a cluster or of a REST service cannot be built.
pub(super) fn registry(config: &Config, sync: Sync) -> anyhow::Result<Registry> {
    let sweep = CvpSweep::new(cvp::swept(&config.cvp)?);
    let rest = rest::provider(&config.rest)?;
    Ok(Registry::built_in().with(rest).with(sweep).with(sync))
}

/// The same providers in a process that runs none.
pub(super) fn described() -> Registry {
    Registry::built_in()
        .with(CvpSweep::described())
        .with(Sync::described())
}

/// The providers as data, for the console.
#[derive(Debug)]
pub(super) struct KnownProviders(Registry);

impl KnownProviders {
    pub(super) fn new(registry: Registry) -> Self {
        Self(registry)
    }
}

impl Providers for KnownProviders {
    fn list(&self) -> Vec<ProviderView> {
        self.0.iter().map(|provider| view(&**provider)).collect()
    }

    fn problems(&self, task: &TaskSaveRequested) -> Vec<TaskProblem> {
        let problem = |place: String, reason: String| TaskProblem { place, reason };
        let Some(provider) = self.0.get(&task.provider) else {
            let known: Vec<&str> = self
                .0
                .iter()
                .map(|provider| &*provider.properties().name)
                .collect();
            let reason = format!(
                "{:?} is not a provider; expected one of {}",
                task.provider,
                known.join(", ")
            );
            return vec![problem("$.provider".to_owned(), reason)];
        };
        match check_arguments(&provider.properties().json_schema, &task.arguments) {
            Ok(()) => match provider
                .run_on(&task.arguments)
                .and_then(|_| provider.tasks(&task.arguments))
            {
                Ok(_) => Vec::new(),
                Err(reason) => vec![problem("$.arguments".to_owned(), reason)],
            },
            Err(ArgumentsError::Invalid { errors, .. }) => errors
                .into_iter()
                .map(|error| problem(format!("$.arguments{}", json_path(&error.path)), error.reason))
                .collect(),
            Err(error @ ArgumentsError::Schema(_)) => {
                vec![problem("$.provider".to_owned(), error.to_string())]
            }
        }
    }
}

/// The JSON path of a JSON Pointer: `/commands/0` is `.commands[0]`.
fn json_path(pointer: &str) -> String {
    let part = |part: &str| {
        let part = part.replace("~1", "/").replace("~0", "~");
        let is_index = part.bytes().all(|byte| byte.is_ascii_digit());
        if is_index {
            format!("[{part}]")
        } else {
            format!(".{part}")
        }
    };
    pointer.split('/').skip(1).map(part).collect()
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

    fn problems(provider: &str, arguments: serde_json::Value) -> Vec<String> {
        let task = TaskSaveRequested {
            name: "t".to_owned(),
            description: None,
            provider: provider.to_owned(),
            arguments,
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
        };
        let problems = KnownProviders::new(described()).problems(&task);
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
    fn providers_are_listed_by_name_with_their_properties() {
        let list = KnownProviders::new(described()).list();
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
        let list = KnownProviders::new(described()).list();
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
