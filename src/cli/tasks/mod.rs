//! Commands for tasks.

mod delete;
mod file;
mod form;
mod list;
pub(super) mod request;
mod run;
mod save;
mod show;
mod validate;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// Save, list, show, validate, delete and run tasks: providers with arguments, under a name
///
/// A task file is YAML or JSON with `name`, `provider`, `arguments` and, if you like, `description`, `pre_tasks`, `post_tasks`,
/// `run_input_json_schema` and `run_input_ui_schema`. docs/how-to/tasks.md explains tasks and what becomes of their runs; `lockstep providers
/// list` shows what a task can do.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tasks list
  lockstep tasks validate uptime.yml
  lockstep tasks save uptime.yml
  lockstep tasks form uptime
  lockstep tasks run uptime --host sw1
  lockstep tasks delete uptime")]
pub(super) struct Tasks {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
    Form(form::Form),
    Validate(validate::Validate),
    Save(save::Save),
    Run(run::Run),
    Delete(delete::Delete),
}

impl Tasks {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
            What::Form(command) => command.run(global).await,
            What::Validate(command) => command.run(global).await,
            What::Save(command) => command.run(global).await,
            What::Run(command) => command.run(global).await,
            What::Delete(command) => command.run(global).await,
        }
    }
}
