use std::borrow::Cow;

use lockstep_execution::{
    ArgumentsError, CycleStep, ProviderProperties, ProviderType, Steps, check_arguments,
};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::document::PROTOCOL;

/// The most bytes of a description.
pub const MAX_DESCRIPTION: usize = 1024 * 1024;
/// The most characters of a name.
const MAX_NAME: usize = 63;
/// The most characters of what is said in one line.
const MAX_LINE: usize = 300;

/// What a program says about the provider that it is: the answer to `describe`, which consoles and workers read from a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The version of the protocol that the program speaks: 1.
    pub protocol: u32,
    /// The name of the provider, as tasks use it: a lower-case letter, then lower-case letters, digits, `-` and `_`; at most 63 characters.
    pub name: String,
    /// What it does, in one line of at most 300 characters.
    pub short_description: String,
    /// What it does, for people who write tasks: Markdown.
    #[serde(default)]
    pub description: String,
    /// What it is for: CHECK, CONFIGURE, EXECUTE, FACTS or NONE.
    #[schemars(with = "TypeWord")]
    pub provider_type: ProviderType,
    /// The kind of entity that it runs on.
    pub run_on: ExecuteOn,
    /// Whether a run may name only entities of the kind that it runs on. Otherwise these are resolved from the named ones.
    #[serde(default = "yes")]
    pub run_on_strict: bool,
    /// Whether a run that names no entity runs on all. Otherwise it runs on none.
    #[serde(default)]
    pub run_on_all_if_empty: bool,
    /// The kind of entity that its results are about, if it is another one.
    #[serde(default)]
    pub run_on_result: Option<ExecuteOn>,
    /// For FACTS: the kinds of entities whose data become the fact `facts_key` of the arguments. Empty: the kind that it runs on.
    #[serde(default)]
    pub facts_for: Vec<ExecuteOn>,
    /// The message of an element that was done without one of its own.
    #[serde(default)]
    pub success_message: Option<String>,
    /// Whether an element that was interrupted may be run again, because running it twice does no harm.
    #[serde(default)]
    pub repeatable: bool,
    /// What to use instead, if it is deprecated.
    #[serde(default)]
    pub deprecated: Option<String>,
    /// The JSON Schema of the arguments of a task.
    #[serde(default = "anything")]
    pub json_schema: Value,
    /// The JSON Schema of the arguments of a run.
    #[serde(default = "anything")]
    pub run_input_json_schema: Value,
    /// The UI schema of JSON Forms for `json_schema`.
    #[serde(default)]
    pub ui_schema: Option<Value>,
    /// The UI schema of JSON Forms for `run_input_json_schema`.
    #[serde(default)]
    pub run_input_ui_schema: Option<Value>,
    /// The steps of the run cycle that it has.
    pub steps: Vec<StepName>,
}

fn yes() -> bool {
    true
}

fn anything() -> Value {
    Value::Object(Map::new())
}

/// Why a text is not the description of a provider. It says what the author has to correct.
#[derive(Debug, Error)]
pub enum DescriptionError {
    /// It is too long to be one.
    #[error("it has more than {MAX_DESCRIPTION} bytes; shorten the texts and schemas")]
    TooLarge,
    /// It is no JSON, or not of this form.
    #[error("{path}: {reason}; `lockstep schema provider` prints what is expected")]
    Form {
        /// Where, as a JSON path.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// The program speaks another version of the protocol.
    #[error(
        "protocol: it is {0}, and this version of Lockstep speaks {PROTOCOL}; use a version of the program that does"
    )]
    Protocol(u32),
    /// The name does not fit.
    #[error(
        "name: {0:?} must be a lower-case letter, then lower-case letters, digits, - and _; at most {MAX_NAME} characters"
    )]
    Name(String),
    /// A text has several lines, or is too long.
    #[error("{0}: it must be one line with at most {MAX_LINE} characters, and not empty")]
    Line(&'static str),
    /// The provider does nothing.
    #[error("steps: there is none; name the steps that the program has, such as run_on_device")]
    NoStep,
    /// A schema of arguments is wrong.
    #[error("{of}: {reason}")]
    Schema {
        /// Which one.
        of: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Description {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// The text is no description, with what to correct.
    pub fn read(text: &str) -> Result<Self, DescriptionError> {
        if text.len() > MAX_DESCRIPTION {
            return Err(DescriptionError::TooLarge);
        }
        let reader = &mut serde_json::Deserializer::from_str(text);
        let form = |path: String, reason: &serde_json::Error| DescriptionError::Form {
            path,
            reason: reason.to_string(),
        };
        let description: Self = serde_path_to_error::deserialize(&mut *reader)
            .map_err(|error| form(error.path().to_string(), error.inner()))?;
        reader.end().map_err(|error| form(".".to_owned(), &error))?;
        description.check()?;
        Ok(description)
    }

    fn check(&self) -> Result<(), DescriptionError> {
        if self.protocol != PROTOCOL {
            return Err(DescriptionError::Protocol(self.protocol));
        }
        if !is_name(&self.name) {
            return Err(DescriptionError::Name(self.name.clone()));
        }
        let lines = [
            ("short_description", Some(&self.short_description)),
            ("success_message", self.success_message.as_ref()),
            ("deprecated", self.deprecated.as_ref()),
        ];
        for (name, line) in lines {
            let fits = line.is_none_or(|line| {
                let short = line.chars().count() <= MAX_LINE && !line.is_empty();
                short && !line.contains(char::is_control)
            });
            if !fits {
                return Err(DescriptionError::Line(name));
            }
        }
        if self.steps.is_empty() {
            return Err(DescriptionError::NoStep);
        }
        let schemas = [
            ("json_schema", &self.json_schema),
            ("run_input_json_schema", &self.run_input_json_schema),
        ];
        for (of, schema) in schemas {
            if let Err(ArgumentsError::Schema(reason)) = check_arguments(schema, &Value::Null) {
                return Err(DescriptionError::Schema { of, reason });
            }
        }
        Ok(())
    }

    /// The steps that it has.
    pub fn steps(&self) -> Steps {
        self.steps.iter().map(|step| step.0).collect()
    }

    /// The same as the properties of a provider. Its elements run on the lane of devices.
    pub fn properties(&self) -> ProviderProperties {
        let Self { name, .. } = self;
        ProviderProperties {
            name: Cow::Owned(name.clone()),
            short_description: Cow::Owned(self.short_description.clone()),
            description: Cow::Owned(self.description.clone()),
            provider_type: self.provider_type,
            run_on: Some(self.run_on),
            run_on_strict: self.run_on_strict,
            run_on_all_if_empty: self.run_on_all_if_empty,
            run_on_result: self.run_on_result,
            facts_for: self.facts_for.clone(),
            lane: Lane::Devices,
            success_message: self.success_message.clone().map(Cow::Owned),
            repeatable: self.repeatable,
            deprecated: self.deprecated.clone().map(Cow::Owned),
            json_schema: self.json_schema.clone(),
            run_input_json_schema: self.run_input_json_schema.clone(),
            ui_schema: self.ui_schema.clone(),
            run_input_ui_schema: self.run_input_ui_schema.clone(),
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits) && name.len() <= MAX_NAME
}

/// A step of the run cycle, by the name of its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepName(pub CycleStep);

impl TryFrom<String> for StepName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let found = CycleStep::ALL.into_iter().find(|step| step.as_str() == name);
        found.map(Self).ok_or_else(|| {
            let names = CycleStep::ALL.map(CycleStep::as_str).join(", ");
            format!("{name:?} is no step; expected one of {names}")
        })
    }
}

impl From<StepName> for String {
    fn from(step: StepName) -> Self {
        step.0.as_str().to_owned()
    }
}

impl JsonSchema for StepName {
    fn schema_name() -> Cow<'static, str> {
        "StepName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = CycleStep::ALL.map(CycleStep::as_str);
        schemars::json_schema!({
            "description": "A step of the run cycle, by the name of its method.",
            "type": "string",
            "enum": names,
        })
    }
}

/// The schema of [`ProviderType`].
struct TypeWord;

impl JsonSchema for TypeWord {
    fn schema_name() -> Cow<'static, str> {
        "ProviderType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "What a provider is for.",
            "type": "string",
            "enum": ["CHECK", "CONFIGURE", "EXECUTE", "FACTS", "NONE"],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minimal() -> Value {
        json!({
            "protocol": 1,
            "name": "uptime",
            "short_description": "Asks for the uptime.",
            "provider_type": "FACTS",
            "run_on": "DEVICE",
            "steps": ["run_on_device"],
        })
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_neops() {
        let description = Description::read(&minimal().to_string()).unwrap();
        let properties = description.properties();
        assert!(properties.run_on_strict && !properties.run_on_all_if_empty && !properties.repeatable);
        assert_eq!(
            (properties.run_on, properties.lane),
            (Some(ExecuteOn::Device), Lane::Devices)
        );
        assert_eq!(description.steps(), Steps::of(&[CycleStep::RunOnDevice]));
        let written = serde_json::to_string(&description).unwrap();
        assert_eq!(Description::read(&written).unwrap(), description);
    }

    #[test]
    fn an_error_says_what_the_author_has_to_correct() {
        let table = [
            ("name", json!("Up Time"), "name: \"Up Time\" must be"),
            ("name", json!("x".repeat(64)), "at most 63"),
            ("protocol", json!(2), "protocol: it is 2"),
            ("short_description", json!("two\nlines"), "short_description: "),
            ("short_description", json!(""), "short_description: "),
            ("success_message", json!("x".repeat(301)), "success_message: "),
            ("provider_type", json!("FACT"), "provider_type: unknown variant"),
            ("run_on", json!(7), "run_on: "),
            ("steps", json!([]), "steps: there is none"),
            (
                "steps",
                json!(["run_on_devices"]),
                "steps[0]: \"run_on_devices\" is no step",
            ),
            ("json_schema", json!({"type": "objekt"}), "json_schema: "),
            (
                "run_input_json_schema",
                json!({"$ref": "http://192.0.2.1/schema"}),
                "run_input_json_schema: ",
            ),
            ("lane", json!("cvp"), "unknown field `lane`"),
        ];
        for (key, value, expected) in table {
            let mut changed = minimal();
            changed[key] = value;
            let error = Description::read(&changed.to_string()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let large = format!("{}{}", minimal(), " ".repeat(MAX_DESCRIPTION));
        let texts = [
            (large, "more than 1048576 bytes"),
            (format!("{} {{}}", minimal()), "trailing characters"),
            (
                format!("{{\"json_schema\":{}", "[".repeat(100_000)),
                "recursion limit exceeded",
            ),
            (String::new(), "EOF"),
        ];
        for (text, expected) in texts {
            let error = Description::read(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
