use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::ProviderView;

use crate::cli::client::Client;
use crate::cli::{Global, output, yaml};

/// Show a provider: what it does, its properties, and the JSON Schemas of its arguments
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep providers show command
  lockstep providers show command --json | jq .json_schema")]
pub(super) struct Show {
    /// Name of the provider
    #[arg(value_name = "PROVIDER")]
    name: String,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let provider = Client::new(global)?.provider(&self.name).await?;
        if global.json {
            output::json(&provider);
            return Ok(ExitCode::SUCCESS);
        }
        for line in fields(&provider) {
            output::line(&line);
        }
        for (title, text) in [
            ("", provider.description.clone()),
            ("Arguments of a task:", yaml::text(&provider.json_schema)),
            ("Arguments of a run:", yaml::text(&provider.run_input_json_schema)),
        ] {
            output::line("");
            if !title.is_empty() {
                output::line(title);
            }
            output::document(&text);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The numbers and names of the steps that it has.
pub(super) fn steps(provider: &ProviderView) -> Vec<String> {
    let steps = provider.steps.iter();
    steps
        .map(|step| match step.number {
            Some(number) => format!("{number} {}", step.name),
            None => step.name.clone(),
        })
        .collect()
}

fn fields(provider: &ProviderView) -> Vec<String> {
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    let pairs = [
        ("name", Some(provider.name.clone())),
        ("does", Some(provider.short_description.clone())),
        ("deprecated", provider.deprecated.clone()),
        ("type", Some(provider.provider_type.clone())),
        (
            "runs on",
            Some(
                provider
                    .run_on
                    .map_or_else(|| "what the arguments say".to_owned(), |kind| kind.to_string()),
            ),
        ),
        ("only on these", Some(yes(provider.run_on_strict))),
        ("all if empty", Some(yes(provider.run_on_all_if_empty))),
        (
            "results about",
            provider.run_on_result.map(|kind| kind.to_string()),
        ),
        (
            "steps",
            Some(if provider.steps.is_empty() {
                "what the arguments say".to_owned()
            } else {
                steps(provider).join(", ")
            }),
        ),
        (
            "lane",
            Some(provider.lane.clone()).filter(|lane| !lane.is_empty()),
        ),
        ("repeatable", Some(yes(provider.repeatable))),
    ];
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name:<15}{}", value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_have_their_numbers() {
        let view = json!({
            "name": "sweep", "short_description": "", "description": "", "provider_type": "EXECUTE", "run_on": "GLOBAL",
            "run_on_strict": false, "run_on_all_if_empty": false, "repeatable": false, "lane": "cvp",
            "steps": [
                {"number": 1, "name": "pre_run_global", "level": "GLOBAL", "stage": "pre-run-global"},
                {"number": null, "name": "run_on_item", "level": "ITEM", "stage": "items"},
            ],
            "json_schema": true, "run_input_json_schema": true,
        });
        let lines = fields(&serde_json::from_value(view).unwrap()).join("\n");
        assert!(
            lines.contains("steps          1 pre_run_global, run_on_item\nlane           cvp\n"),
            "{lines}"
        );
    }
}
