//! Lockstep with one more provider: `uptime` checks that devices did not restart.

use std::process::ExitCode;

use async_trait::async_trait;
use lockstep::device::{Command, Format, Output};
use lockstep::execution::{
    CycleStep, Provider, ProviderProperties, ProviderType, StepDone, StepFailure, StepResult, StepRun, Steps,
};
use lockstep::protocol::commands::ExecuteOn;
use lockstep::protocol::topology::Lane;
use serde_json::{Value, json};

fn main() -> ExitCode {
    lockstep::run(|providers| providers.with(Uptime::default()))
}

/// Checks that devices have been up for a time.
#[derive(Debug)]
struct Uptime(ProviderProperties);

impl Default for Uptime {
    fn default() -> Self {
        Self(ProviderProperties {
            name: "uptime".into(),
            short_description: "Checks that devices did not restart.".into(),
            description: "Reads `show version`. A device that has been up for less than `hours` is not ok."
                .into(),
            provider_type: ProviderType::Check,
            run_on: Some(ExecuteOn::Device),
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
            json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Uptime",
                "type": "object",
                "required": ["check_key"],
                "properties": {
                    "check_key": {
                        "title": "Key of the check",
                        "description": "The result is kept as this check of the device.",
                        "type": "string",
                        "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,99}$",
                    },
                },
                "additionalProperties": false,
            }),
            run_input_json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Run of uptime",
                "type": "object",
                "properties": {
                    "hours": {
                        "title": "Hours",
                        "description": "How long a device has to be up, in hours.",
                        "type": "number",
                        "minimum": 0,
                        "default": 1,
                    },
                },
                "additionalProperties": false,
            }),
        })
    }
}

#[async_trait]
impl Provider for Uptime {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunOnDevice])
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> StepResult {
        let hours = run.run_arguments["hours"].as_f64().unwrap_or(1.0);
        // Ends when the execution is cancelled, its deadline is over, or the worker stops.
        let seconds = run.until_stopped(None, uptime(run)).await??;
        Ok(StepDone {
            data: verdict(seconds, hours),
            ..StepDone::default()
        })
    }
}

/// For how many seconds the device has been up.
async fn uptime(run: &StepRun<'_>) -> Result<f64, StepFailure> {
    let command =
        Command::new("show version").map_err(|error| StepFailure::new("refused", error.to_string()))?;
    let outputs = run.connect().await?.run(&[command], Format::Json).await?;
    let said = outputs.first().map(|output| &output.output);
    let seconds = match said {
        Some(Output::Json(version)) => version["uptime"].as_f64(),
        _ => None,
    };
    seconds.ok_or_else(|| StepFailure::new("unreadable-answer", "show version says no uptime"))
}

/// The result of the check: `ok` or `nok`, why, and what was measured.
fn verdict(seconds: f64, hours: f64) -> Value {
    let up = seconds / 3600.0;
    json!({
        "result": if up < hours { "nok" } else { "ok" },
        "reason": format!("up for {up:.1} h"),
        "metrics": {"uptime_seconds": seconds},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_restarted_is_not_ok() {
        for (seconds, hours, result) in [
            (7200.0, 1.0, "ok"),
            (3600.0, 1.0, "ok"),
            (3599.0, 1.0, "nok"),
            (0.0, 0.0, "ok"),
        ] {
            assert_eq!(
                verdict(seconds, hours)["result"],
                result,
                "{seconds} s, {hours} h"
            );
        }
    }
}
