//! Forms of arguments: the schemas of a task's own run inputs, merged with those of its provider, and UI schemas of JSON Forms.

mod merge;
mod schema;
mod ui_schema;

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::{ArgumentError, ProviderProperties};

/// The URI of the draft of all schemas of forms.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// What a task adds to the arguments of its runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunInput<'a> {
    /// The JSON Schema of the task's own arguments of a run.
    pub json_schema: Option<&'a Value>,
    /// The UI schema of JSON Forms for all arguments of a run.
    pub ui_schema: Option<&'a Value>,
}

/// Something wrong in what a task adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInputError {
    /// The field of the task: `run_input_json_schema` or `run_input_ui_schema`.
    pub field: &'static str,
    /// Where in the field, and what.
    pub error: ArgumentError,
}

impl fmt::Display for RunInputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, error } = self;
        write!(f, "{field}{}: {}", error.json_path(), error.reason)
    }
}

/// Everything that is wrong in what a task adds to the runs of its provider. Empty if it is right.
pub fn check_run_input(provider: &ProviderProperties, own: RunInput<'_>) -> Vec<RunInputError> {
    let of = |field: &'static str, errors: Vec<ArgumentError>| {
        let errors = errors.into_iter();
        errors.map(move |error| RunInputError { field, error }).collect()
    };
    let errors = own.json_schema.map_or_else(Vec::new, schema::check);
    if !errors.is_empty() {
        return of("run_input_json_schema", errors);
    }
    let merged = match merge_run_input(&provider.run_input_json_schema, own.json_schema) {
        Ok(merged) => merged,
        Err(error) => return of("run_input_json_schema", vec![error]),
    };
    let errors = own
        .ui_schema
        .map(|ui_schema| ui_schema::check(ui_schema, &merged));
    of("run_input_ui_schema", errors.unwrap_or_default())
}

/// The JSON Schema of the arguments of a run: that of the provider, with what the task adds to it.
///
/// # Errors
/// Both say something about the same, and not alike. The path is in the schema of the task.
pub fn merge_run_input<'a>(
    provider: &'a Value,
    own: Option<&Value>,
) -> Result<Cow<'a, Value>, ArgumentError> {
    match own {
        None => Ok(Cow::Borrowed(provider)),
        Some(own) => merge::schemas(provider, own).map(Cow::Owned),
    }
}

/// The UI schema of the arguments of a run: that of the task; else that of the provider, followed by what the task adds. `None` for one that
/// a form makes of the schema.
pub fn merge_run_ui_schema(provider: &ProviderProperties, own: RunInput<'_>) -> Option<Value> {
    match (own.ui_schema, own.json_schema) {
        (Some(own), _) => Some(own.clone()),
        (None, None) => provider.run_input_ui_schema.clone(),
        (None, Some(added)) => Some(ui_schema::followed_by(provider, added)),
    }
}

/// Everything that is wrong in a UI schema for this schema of a form.
pub fn check_ui_schema(ui_schema: &Value, schema: &Value) -> Vec<ArgumentError> {
    ui_schema::check(ui_schema, schema)
}

/// The arguments with the `default` of each property that they do not have. Defaults within properties stay as they are.
pub fn with_defaults<'a>(schema: &Value, arguments: &'a Value) -> Cow<'a, Value> {
    let given = arguments.as_object();
    if given.is_none() && !arguments.is_null() {
        return Cow::Borrowed(arguments);
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    let missing = properties
        .filter(|(name, _)| given.is_none_or(|given| !given.contains_key(*name)))
        .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())));
    let missing: Map<String, Value> = missing.collect();
    if missing.is_empty() {
        return Cow::Borrowed(arguments);
    }
    let given = given.cloned().unwrap_or_default();
    Cow::Owned(Value::Object(missing.into_iter().chain(given).collect()))
}

/// One more part of a JSON Pointer.
fn below(path: &str, part: impl fmt::Display) -> String {
    let part = part.to_string().replace('~', "~0").replace('/', "~1");
    format!("{path}/{part}")
}

fn wrong(path: impl Into<String>, reason: impl Into<String>) -> ArgumentError {
    ArgumentError {
        path: path.into(),
        reason: reason.into(),
    }
}

/// What a reference such as `#/definitions/port` is to in a schema.
fn referenced<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

#[cfg(test)]
mod tests;
