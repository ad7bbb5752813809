use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::client::Client;
use crate::cli::{Global, output, yaml};

/// Show a task, as a task file
///
/// What it prints can be changed and saved again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tasks show uptime
  lockstep tasks show uptime > uptime.yml
  lockstep tasks show uptime --json | jq .saved_by")]
pub(super) struct Show {
    /// Name or number of the task
    #[arg(value_name = "TASK")]
    task: String,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let task = Client::new(global)?.task(&self.task).await?;
        if global.json {
            output::json(&task);
            return Ok(ExitCode::SUCCESS);
        }
        let mut file = json!({"name": task.name, "provider": task.provider, "arguments": task.arguments});
        if let Some(description) = task.description {
            file["description"] = description.into();
        }
        for (list, names) in [("pre_tasks", task.pre_tasks), ("post_tasks", task.post_tasks)] {
            if !names.is_empty() {
                file[list] = names.into();
            }
        }
        for (field, schema) in [
            ("run_input_json_schema", task.run_input_json_schema),
            ("run_input_ui_schema", task.run_input_ui_schema),
        ] {
            if let Some(schema) = schema {
                file[field] = schema;
            }
        }
        output::document(&yaml::text(&file));
        Ok(ExitCode::SUCCESS)
    }
}
