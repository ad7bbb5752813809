use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_device::{self as device, CommandOutput, DeviceError, Output, PooledConnection};
use lockstep_protocol::ElementState;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    CycleStep, Provider, ProviderProperties, ProviderType, StepDone, StepFailure, StepRun, Steps,
    providers::read,
};

/// The most bytes of all outputs of an element, if the task does not say it.
const MAX_OUTPUT: usize = 4 << 20;

/// What reads only: `show` and words. Without pipes, redirections and other characters of shells: devices write files and run programs
/// with them.
const READS_ONLY: &str = r"^show [^\u0000-\u001f\u007f-\u009f|<>;&`]+$";

/// What [`READS_ONLY`] says.
fn reads_only(command: &str) -> bool {
    let is_barred = |c: char| c.is_control() || "|<>;&`".contains(c);
    let words = command.strip_prefix("show ");
    words.is_some_and(|words| !words.is_empty() && !words.contains(is_barred))
}

/// Runs show commands on a device, and keeps what it says.
#[derive(Debug)]
pub struct Command(ProviderProperties);

#[derive(Deserialize)]
struct Arguments {
    commands: Vec<String>,
    #[serde(default)]
    format: Format,
    facts_key: Option<String>,
    max_output_bytes: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    #[default]
    Auto,
    Json,
    Text,
}

#[derive(Deserialize)]
struct RunArguments {
    timeout_seconds: Option<NonZeroU32>,
}

impl Default for Command {
    fn default() -> Self {
        Self(ProviderProperties {
            name: "command".into(),
            short_description: "Runs show commands on devices and keeps the outputs.".into(),
            description: "Runs commands that only read on each device, in order, until one fails. It changes nothing on the device, \
                and does the same in a dry run.\n\n\
                Only `show` commands are allowed, written out, without pipes and redirections.\n\n\
                Result: `outputs`, a list of `command`, `format` and `output`. With `facts_key`, the outputs become a fact of the \
                device, too: an object of outputs by command.".into(),
            provider_type: ProviderType::Facts,
            run_on: Some(ExecuteOn::Device),
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
                    {"type": "Control", "scope": "#/properties/commands"},
                    {"type": "HorizontalLayout", "elements": [
                        {"type": "Control", "scope": "#/properties/format"},
                        {"type": "Control", "scope": "#/properties/facts_key"},
                        {"type": "Control", "scope": "#/properties/max_output_bytes"},
                    ]},
                ],
            })),
            run_input_ui_schema: None,
            json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Show commands",
                "type": "object",
                "required": ["commands"],
                "properties": {
                    "commands": {
                        "title": "Commands",
                        "description": "Commands that begin with \"show\", such as \"show interfaces status\".",
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 50,
                        "uniqueItems": true,
                        "items": {"title": "Command", "type": "string", "maxLength": 1000, "pattern": READS_ONLY},
                    },
                    "format": {
                        "title": "Format",
                        "description": "The form of the outputs: structured, as a terminal shows them, or structured where the \
                            device has that.",
                        "type": "string",
                        "enum": ["auto", "json", "text"],
                        "default": "auto",
                    },
                    "facts_key": {
                        "title": "Key of the fact",
                        "description": "The outputs are kept as a fact of the device under this key.",
                        "type": "string",
                        "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,99}$",
                    },
                    "max_output_bytes": {
                        "title": "Maximum size",
                        "description": "The most bytes of all outputs of one device together.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 16 << 20,
                        "default": MAX_OUTPUT,
                    },
                },
                "additionalProperties": false,
            }),
            run_input_json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Run of show commands",
                "type": "object",
                "properties": {
                    "timeout_seconds": {
                        "title": "Timeout",
                        "description": "How long one device may take for all commands, in seconds.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 3600,
                    },
                },
                "additionalProperties": false,
            }),
        })
    }
}

#[async_trait]
impl Provider for Command {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunOnDevice])
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> Result<StepDone, StepFailure> {
        let arguments: Arguments = read(run.arguments)?;
        let RunArguments { timeout_seconds } = read(run.run_arguments)?;
        let timeout = timeout_seconds.map(|seconds| Duration::from_secs(seconds.get().into()));
        let commands: Vec<_> = arguments
            .commands
            .iter()
            .map(|text| command(text))
            .collect::<Result<_, _>>()?;

        let mut outputs = Outputs::new(arguments.max_output_bytes.map_or(MAX_OUTPUT, NonZeroUsize::get));
        let running = run_all(run, &commands, arguments.format, &mut outputs);
        let ended = run.until_stopped(timeout, running).await.and_then(|ended| ended);
        match ended.and_then(|()| outputs.fit()) {
            Ok(()) => Ok(StepDone {
                message: Some(outputs.message()),
                facts: arguments
                    .facts_key
                    .map(|key| (key, outputs.by_command()))
                    .into_iter()
                    .collect(),
                data: outputs.into_data(),
                ..StepDone::default()
            }),
            Err(mut failure) => {
                if !outputs.kept.is_empty() {
                    failure.state = ElementState::PartialFailed;
                }
                failure.data = outputs.into_data();
                Err(failure)
            }
        }
    }
}

/// The command, if it only reads. Arguments are valid by the schema; a command that writes does not reach a device even if they are
/// not.
fn command(text: &str) -> Result<device::Command, StepFailure> {
    let invalid = |reason: String| StepFailure::new("invalid-arguments", reason);
    if !reads_only(text) {
        return Err(invalid(format!(
            "{text:?} is not a show command without pipes and redirections"
        )));
    }
    device::Command::new(text).map_err(|error| invalid(error.to_string()))
}

/// Runs all commands, or until one fails. The outputs until then are kept.
async fn run_all(
    run: &StepRun<'_>,
    commands: &[device::Command],
    format: Format,
    outputs: &mut Outputs,
) -> Result<(), StepFailure> {
    let mut connection = run.connect().await?;
    if format == Format::Text {
        return send(&mut connection, commands, device::Format::Text, outputs)
            .await
            .map_err(Into::into);
    }
    let mut rest = commands;
    loop {
        let before = outputs.count();
        let sent = send(&mut connection, rest, device::Format::Json, outputs).await;
        match sent {
            Err(error) if format == Format::Auto && error.is_unconverted() => {
                let done = outputs.count() - before;
                let Some((unconverted, others)) = rest[done..].split_first() else {
                    return Err(error.into());
                };
                send(
                    &mut connection,
                    std::slice::from_ref(unconverted),
                    device::Format::Text,
                    outputs,
                )
                .await?;
                rest = others;
                if rest.is_empty() {
                    return Ok(());
                }
            }
            sent => return sent.map_err(Into::into),
        }
    }
}

async fn send(
    connection: &mut PooledConnection,
    commands: &[device::Command],
    format: device::Format,
    outputs: &mut Outputs,
) -> Result<(), DeviceError> {
    match connection.run(commands, format).await {
        Ok(answered) => {
            outputs.extend(answered);
            Ok(())
        }
        Err(DeviceError::Refused {
            command,
            code,
            message,
            details,
            completed,
        }) => {
            outputs.extend(completed);
            let completed = Vec::new();
            Err(DeviceError::Refused {
                command,
                code,
                message,
                details,
                completed,
            })
        }
        Err(error) => Err(error),
    }
}

/// The outputs of a device, as far as they fit.
struct Outputs {
    limit: usize,
    size: usize,
    kept: Vec<CommandOutput>,
    /// The commands whose outputs did not fit, with their sizes in bytes.
    left_out: Vec<(String, usize)>,
}

impl Outputs {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            size: 0,
            kept: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn extend(&mut self, outputs: Vec<CommandOutput>) {
        for output in outputs {
            let size = match &output.output {
                Output::Text(text) => text.len(),
                Output::Json(value) => value.to_string().len(),
            };
            if self.size + size <= self.limit {
                self.size += size;
                self.kept.push(output);
            } else {
                self.left_out.push((output.command.to_string(), size));
            }
        }
    }

    /// How many commands were executed.
    fn count(&self) -> usize {
        self.kept.len() + self.left_out.len()
    }

    fn fit(&self) -> Result<(), StepFailure> {
        let Some((command, size)) = self.left_out.first() else {
            return Ok(());
        };
        let (all, limit) = (self.left_out.len(), self.limit);
        let message = format!(
            "{all} outputs do not fit into {limit} bytes, the first one of {command:?} with {size} bytes; \
             set max_output_bytes, or ask for less"
        );
        Err(StepFailure::new("too-large", message))
    }

    fn message(&self) -> String {
        match self.kept.len() {
            1 => "1 output".to_owned(),
            outputs => format!("{outputs} outputs"),
        }
    }

    fn by_command(&self) -> Value {
        let outputs = self
            .kept
            .iter()
            .map(|kept| (kept.command.to_string(), value(&kept.output)));
        Value::Object(outputs.collect())
    }

    fn into_data(self) -> Value {
        let kept = self.kept.into_iter().map(|kept| {
            let (format, output) = match kept.output {
                Output::Json(value) => ("json", value),
                Output::Text(text) => ("text", text.into()),
            };
            json!({"command": kept.command.as_str(), "format": format, "output": output})
        });
        let mut data = Map::new();
        data.insert("outputs".to_owned(), kept.collect());
        if !self.left_out.is_empty() {
            let left_out = self
                .left_out
                .iter()
                .map(|(command, bytes)| json!({"command": command, "bytes": bytes}));
            data.insert("left_out".to_owned(), left_out.collect());
        }
        Value::Object(data)
    }
}

fn value(output: &Output) -> Value {
    match output {
        Output::Json(value) => value.clone(),
        Output::Text(text) => text.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArgumentsError, check_arguments};

    #[test]
    fn only_commands_that_read_are_allowed() {
        let schema = Command::default().0.json_schema;
        let allowed = |command: &str| check_arguments(&schema, &json!({"commands": [command]})).is_ok();
        for command in [
            "show version",
            "show interfaces status",
            "show ip bgp regexp ^65000_",
            "show run section router",
        ] {
            assert!(allowed(command) && reads_only(command), "{command}");
        }
        for command in [
            "",
            "show",
            "show ",
            "sh version",
            "Show version",
            " show version",
            "show version\n",
            "show version\nreload",
            "show version\r",
            "show version\u{85}",
            "show version | redirect flash:x",
            "show version > flash:x",
            "show version ; reload",
            "show version & reload",
            "show `reload`",
            "showversion",
            "dir",
            "bash",
            "bash show version",
            "configure",
            "reload",
            "enable",
        ] {
            assert!(!allowed(command) && !reads_only(command), "{command:?}");
        }
    }

    #[test]
    fn the_arguments_are_bounded() {
        let schema = Command::default().0.json_schema;
        let many: Vec<String> = (0..51).map(|number| format!("show version {number}")).collect();
        // arguments, the path of the error
        let table = [
            (json!({"commands": many[..50]}), None),
            (json!({"commands": many}), Some("/commands")),
            (json!({"commands": []}), Some("/commands")),
            (json!({"commands": ["show a", "show a"]}), Some("/commands")),
            (
                json!({"commands": [format!("show {}", "x".repeat(1000))]}),
                Some("/commands/0"),
            ),
            (json!({"commands": ["show a"], "format": "xml"}), Some("/format")),
            (
                json!({"commands": ["show a"], "facts_key": "a.b"}),
                Some("/facts_key"),
            ),
            (
                json!({"commands": ["show a"], "max_output_bytes": 0}),
                Some("/max_output_bytes"),
            ),
            (json!({"commands": ["show a"], "comand": 0}), Some("")),
        ];
        for (arguments, expected) in table {
            let path = match check_arguments(&schema, &arguments) {
                Ok(()) => None,
                Err(ArgumentsError::Invalid { errors, .. }) => Some(errors[0].path.clone()),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(path.as_deref(), expected, "{arguments}");
        }
    }
}
