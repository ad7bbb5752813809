use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lockstep_device::{Command, CommandOutput, Format, Output};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    CycleStep, Provider, ProviderProperties, ProviderType, StepDone, StepFailure, StepRun, Steps,
    providers::read,
};

/// Looks whether a device answers: it connects, logs in, and asks for its version.
#[derive(Debug)]
pub struct Ping(ProviderProperties);

#[derive(Deserialize)]
struct Arguments {
    timeout_seconds: Option<NonZeroU32>,
}

impl Default for Ping {
    fn default() -> Self {
        Self(ProviderProperties {
            name: "ping".into(),
            short_description: "Looks whether devices can be reached.".into(),
            description: "Connects to each device with its credentials and asks for its version, so it looks at the address, the \
                certificate, the login and the API at once. It changes nothing, and does the same in a dry run.\n\n\
                Result: `round_trip_ms`, and what the device says of itself: `model`, `version`, `serial_number`.".into(),
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
                "title": "Ping",
                "type": "object",
                "properties": {
                    "timeout_seconds": {
                        "title": "Timeout",
                        "description": "How long a device may take to answer, in seconds.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 300,
                        "default": 30,
                    },
                },
                "additionalProperties": false,
            }),
            run_input_json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Run of ping",
                "type": "object",
                "additionalProperties": false,
            }),
        })
    }
}

#[async_trait]
impl Provider for Ping {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunOnDevice])
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> Result<StepDone, StepFailure> {
        let Arguments { timeout_seconds } = read(run.arguments)?;
        let timeout = Duration::from_secs(timeout_seconds.map_or(30, |seconds| seconds.get().into()));
        let begin = Instant::now();
        let version = run.until_stopped(Some(timeout), version(run)).await??;
        let milliseconds = begin.elapsed().as_secs_f64() * 1e3;
        let mut data = version;
        data.insert(
            "round_trip_ms".to_owned(),
            json!((milliseconds * 10.0).round() / 10.0),
        );
        Ok(StepDone {
            message: Some(format!("answered in {milliseconds:.0} ms")),
            data: Value::Object(data),
            ..StepDone::default()
        })
    }
}

/// What the device says of itself.
async fn version(run: &StepRun<'_>) -> Result<Map<String, Value>, StepFailure> {
    let command =
        Command::new("show version").map_err(|error| StepFailure::new("refused", error.to_string()))?;
    let outputs = run.connect().await?.run(&[command], Format::Json).await?;
    let Some(CommandOutput {
        output: Output::Json(said),
        ..
    }) = outputs.first()
    else {
        return Ok(Map::new());
    };
    let fields = [
        ("model", "modelName"),
        ("version", "version"),
        ("serial_number", "serialNumber"),
    ];
    let texts = fields
        .into_iter()
        .filter_map(|(name, field)| Some((name.to_owned(), said[field].as_str()?.into())));
    Ok(texts.collect())
}
