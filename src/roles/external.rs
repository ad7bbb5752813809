//! Checks the programs of external providers.

use futures_util::future::join_all;
use lockstep_execution::Registry;
use lockstep_external::{Description, Program};

use crate::config::{Config, ExternalConfig};
use crate::local_file;

/// What was found about a configured external provider.
#[derive(Debug)]
pub(crate) struct ExternalCheck {
    /// Its name.
    pub(crate) name: String,
    /// What its file says, or why it cannot be used.
    pub(crate) description: Result<Description, String>,
    /// The program, or why it cannot be run. `None` if there is no command, or no description.
    pub(crate) program: Option<Result<Program, String>>,
    /// Whether the program gets the login of its device.
    pub(crate) credentials: bool,
}

/// Asks each program whether it is what its description file says.
pub(crate) async fn check_external(config: &Config) -> Vec<ExternalCheck> {
    let checks = config.providers.iter().map(async |(name, provider)| {
        let description = description(name, provider);
        let program = match (&description, &provider.program) {
            (Ok(description), Some(program)) => Some(verified(program, description).await),
            _ => None,
        };
        ExternalCheck {
            name: name.clone(),
            description,
            program,
            credentials: provider.credentials,
        }
    });
    join_all(checks).await
}

/// As [`check_external`], for a worker: what it does not run is logged.
pub(super) async fn checked_for_worker(config: &Config) -> Vec<ExternalCheck> {
    let checks = check_external(config).await;
    for check in &checks {
        let provider = check.name.as_str();
        match (&check.description, &check.program) {
            (Err(reason), _) => {
                tracing::error!(provider, reason, "an external provider is not known here");
            }
            (Ok(_), Some(Err(reason))) => tracing::error!(
                provider,
                reason,
                "this worker does not run an external provider, and leaves its elements to others"
            ),
            (Ok(_), None) => tracing::info!(
                provider,
                "an external provider has no command here; its elements are left to others"
            ),
            (Ok(_), Some(Ok(_))) => tracing::info!(provider, "this worker runs an external provider"),
        }
    }
    checks
}

async fn verified(program: &Program, description: &Description) -> Result<Program, String> {
    let mut file = local_file::check(program.command.first().map_or("", String::as_str).as_ref());
    if file.is_ok() {
        file = program.verify(description).await.map_err(anyhow::Error::from);
    }
    file.map(|()| program.clone())
        .map_err(|error| format!("{error:#}"))
}

/// The description of a provider, from its file.
pub(super) fn description(name: &str, provider: &ExternalConfig) -> Result<Description, String> {
    let path = &provider.description;
    let contents = local_file::read(path, local_file::Origin::Named).map_err(|error| format!("{error:#}"))?;
    let of_file = |reason: String| format!("{}: {reason}", path.display());
    let description = Description::read(&contents.text).map_err(|error| of_file(error.to_string()))?;
    if description.name != name {
        let reason = format!(
            "it describes {:?}, and the section is [providers.{name}]; use one name",
            description.name
        );
        return Err(of_file(reason));
    }
    let is_taken = Registry::built_in().get(name).is_some() || ["cvp_sweep", "sync"].contains(&name);
    if is_taken {
        return Err(of_file(format!(
            "{name:?} is the name of a built-in provider; use another one"
        )));
    }
    Ok(description)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, described: &str, command: &str) -> (Result<Description, String>, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        let description = json!({
            "protocol": 1, "name": described, "short_description": "x", "provider_type": "EXECUTE", "run_on": "DEVICE",
            "steps": ["run_on_device"],
        });
        let path = folder.path().join("description.json");
        std::fs::write(&path, description.to_string()).unwrap();
        let text = format!(
            "[providers.{name}]\ndescription = '{}'\ncommand = ['{command}']\n",
            path.display()
        );
        let config = Config::of_text(&text);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let [check] = runtime.block_on(check_external(&config)).try_into().unwrap();
        (check.description, check.program.and_then(Result::err))
    }

    #[test]
    fn a_name_is_that_of_the_section_and_not_one_of_a_built_in_provider() {
        let table = [
            (
                "uptime",
                "other",
                "it describes \"other\", and the section is [providers.uptime]",
            ),
            ("ping", "ping", "\"ping\" is the name of a built-in provider"),
            ("sync", "sync", "\"sync\" is the name of a built-in provider"),
        ];
        for (name, described, expected) in table {
            let error = check(name, described, "/bin/true").0.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_not_run() {
        let (description, problem) = check("uptime", "uptime", "/nowhere/python3");
        assert!(description.is_ok());
        let problem = problem.unwrap();
        assert!(
            problem.contains("/nowhere/python3 cannot be executed") && problem.contains("install it"),
            "{problem}"
        );
    }
}
