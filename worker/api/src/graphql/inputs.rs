//! The arguments of mutations, and how they become parts of messages.

use std::num::NonZeroU32;

use async_graphql::{
    ID, InputObject, InputValueError, InputValueResult, Scalar, ScalarType, Value as GraphqlValue,
};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference};
use serde_json::{Map, Value};

use super::error::CallError;
use super::run_on::RunOn;

/// The code of arguments that cannot be used.
const INVALID: &str = "invalid-argument";

#[derive(Clone, Debug)]
pub(super) struct JsonString(String);

/// A JSON document as a text, such as `"{\"count\": 3}"`.
#[Scalar(name = "JSONString")]
impl ScalarType for JsonString {
    fn parse(value: GraphqlValue) -> InputValueResult<Self> {
        match value {
            // What is wrong in the text is reported by `read`, with a code and a place.
            GraphqlValue::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn is_valid(value: &GraphqlValue) -> bool {
        matches!(value, GraphqlValue::String(_))
    }

    fn to_value(&self) -> GraphqlValue {
        GraphqlValue::String(self.0.clone())
    }
}

impl JsonString {
    /// The object in the argument with this name. `None` if it is absent or empty.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub(super) fn read_object(
        text: Option<Self>,
        argument: &str,
    ) -> Result<Option<Map<String, Value>>, CallError> {
        match Self::read(text, argument)? {
            Value::Null => Ok(None),
            Value::Object(object) => Ok(Some(object)),
            _ => Err(CallError::new("invalid-json", "the text is not an object of JSON").at(argument)),
        }
    }

    /// The document in the argument with this name; null if it is absent or empty.
    ///
    /// # Errors
    /// The text is not JSON.
    pub(super) fn read(text: Option<Self>, argument: &str) -> Result<Value, CallError> {
        let text = text.map(|Self(text)| text).unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| {
            CallError::new("invalid-json", format!("the text is not JSON: {error}")).at(argument)
        })
    }
}

/// The kind of entity in the argument `executeOnType`.
///
/// # Errors
/// It is absent, or not a kind of entity here.
pub(super) fn execute_on_type(run_on: Option<RunOn>) -> Result<ExecuteOn, CallError> {
    let wrong = |reason: &str| CallError::new("wrong-entity", reason).at("executeOnType");
    match run_on {
        Some(RunOn::Client) => Ok(ExecuteOn::Client),
        Some(RunOn::Device) => Ok(ExecuteOn::Device),
        Some(RunOn::Global) => Ok(ExecuteOn::Global),
        Some(RunOn::Group) => Ok(ExecuteOn::Group),
        Some(RunOn::Interface) => Ok(ExecuteOn::Interface),
        Some(RunOn::Generic) => Err(wrong(
            "GENERIC is not a kind of entity here: say GLOBAL for a task that runs once, or the kind that the task runs on",
        )),
        None => Err(wrong(
            "is missing: say which kind of entity executeOn names, such as DEVICE",
        )),
    }
}

/// The limits of one execution. The limits that workers are configured with apply as well.
#[derive(Clone, Copy, Debug, Default, InputObject)]
#[graphql(name = "RunLimits")]
pub(crate) struct Limits {
    /// The most elements that run at once.
    at_once: Option<u32>,
    /// So many elements run first. The others begin only after all of these ended, and none of these failed.
    canary: Option<u32>,
    /// After the canary, elements run in waves of so many.
    wave: Option<u32>,
    /// Nothing more begins when more than this share of all elements failed, in percent.
    max_failed_percent: Option<u8>,
    /// After so many seconds nothing more begins, and what runs is told to stop.
    deadline_seconds: Option<u32>,
}

/// The limits in the argument `limits`.
///
/// # Errors
/// One is zero that must not be. Others are checked with the message.
pub(super) fn limits(limits: Option<Limits>) -> Result<RunLimits, CallError> {
    let limits = limits.unwrap_or_default();
    let positive = |number: Option<u32>, name: &str| -> Result<Option<NonZeroU32>, CallError> {
        let zero = || CallError::new(INVALID, "must be at least 1").at(format!("limits.{name}"));
        number
            .map(|number| NonZeroU32::new(number).ok_or_else(zero))
            .transpose()
    };
    Ok(RunLimits {
        at_once: positive(limits.at_once, "atOnce")?,
        canary: positive(limits.canary, "canary")?,
        wave: positive(limits.wave, "wave")?,
        max_failed_percent: limits.max_failed_percent,
        deadline_seconds: positive(limits.deadline_seconds, "deadlineSeconds")?,
    })
}

/// The task of a call, and the argument that names it.
///
/// # Errors
/// None or both of the arguments are given, or the id is not a number.
pub(super) fn task(
    id: Option<ID>,
    unique_name: Option<String>,
) -> Result<(TaskReference, &'static str), CallError> {
    match (id, unique_name) {
        (Some(id), None) => {
            let number = id.parse().map_err(|_| {
                let reason = format!("{:?} is not a number; name a task by uniquetaskname", id.as_str());
                CallError::new(INVALID, reason).at("neopsTaskId")
            })?;
            Ok((TaskReference::Number(number), "neopsTaskId"))
        }
        (None, Some(name)) => Ok((TaskReference::Name(name), "uniquetaskname")),
        (None, None) => {
            let reason = "is missing: name the task by neopsTaskId or by uniquetaskname";
            Err(CallError::new(INVALID, reason).at("neopsTaskId"))
        }
        (Some(_), Some(_)) => {
            let reason = "name the task by one of neopsTaskId and uniquetaskname, not by both";
            Err(CallError::new(INVALID, reason).at("uniquetaskname"))
        }
    }
}

/// The ids in the argument `executeOn`.
///
/// # Errors
/// One is null or not a number.
pub(super) fn entities(ids: Option<Vec<Option<ID>>>) -> Result<Vec<u64>, CallError> {
    let ids = ids.unwrap_or_default().into_iter().enumerate();
    ids.map(|(index, id)| {
        let number = id.as_ref().and_then(|id| id.parse().ok());
        number.ok_or_else(|| {
            let reason = "is not the id of an entity, a number; names go to executeOnNames";
            CallError::new(INVALID, reason).at(format!("executeOn[{index}]"))
        })
    })
    .collect()
}

/// The one name of a task, which neops has twice.
///
/// # Errors
/// Both are given and differ, or none is.
pub(super) fn task_name(name: Option<String>, unique_name: Option<String>) -> Result<String, CallError> {
    match (name, unique_name) {
        (Some(name), Some(unique)) if name != unique => {
            let reason = "differs from name: a task has one name here, which is unique";
            Err(CallError::new(INVALID, reason).at("uniquetaskname"))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(CallError::new(INVALID, "is missing: name the task").at("uniquetaskname")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place<T: std::fmt::Debug>(result: Result<T, CallError>) -> Option<String> {
        result.err().and_then(|error| error.place().map(str::to_owned))
    }

    #[test]
    fn a_task_is_named_in_one_way() {
        let id = |text: &str| Some(ID::from(text));
        let name = || Some("check".to_owned());
        assert_eq!(
            task(id("7"), None).unwrap(),
            (TaskReference::Number(7), "neopsTaskId")
        );
        assert_eq!(
            task(None, name()).unwrap(),
            (TaskReference::from("check"), "uniquetaskname")
        );
        for (given_id, given_name, expected) in [
            (None, None, "neopsTaskId"),
            (id("7"), name(), "uniquetaskname"),
            (id("check"), None, "neopsTaskId"),
            (id("-1"), None, "neopsTaskId"),
        ] {
            assert_eq!(place(task(given_id, given_name)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn entities_are_numbers_and_an_error_names_the_one_that_is_not() {
        let ids = |texts: &[Option<&str>]| Some(texts.iter().map(|text| text.map(ID::from)).collect());
        assert_eq!(entities(None).unwrap(), Vec::<u64>::new());
        assert_eq!(entities(ids(&[Some("1"), Some("20")])).unwrap(), [1, 20]);
        for (wrong, expected) in [
            (&[Some("1"), None][..], "executeOn[1]"),
            (&[Some("sw1")], "executeOn[0]"),
        ] {
            assert_eq!(place(entities(ids(wrong))).as_deref(), Some(expected));
        }
    }

    #[test]
    fn arguments_are_json_in_a_text() {
        let read = |text: &str| JsonString::read(Some(JsonString(text.to_owned())), "taskArguments");
        assert_eq!(read("{}").unwrap(), json!({}));
        assert_eq!(read(r#"{"a": [1]}"#).unwrap(), json!({"a": [1]}));
        assert_eq!(read(" ").unwrap(), Value::Null);
        assert_eq!(JsonString::read(None, "taskArguments").unwrap(), Value::Null);
        assert_eq!(place(read("{")).as_deref(), Some("taskArguments"));
    }

    #[test]
    fn a_limit_of_zero_is_refused_by_its_name() {
        let zero = Limits {
            wave: Some(0),
            ..Limits::default()
        };
        assert_eq!(place(limits(Some(zero))).as_deref(), Some("limits.wave"));
        assert_eq!(limits(None).unwrap(), RunLimits::default());
    }

    #[test]
    fn every_kind_of_entity_but_that_of_neops_is_taken() {
        let table = [
            (Some(RunOn::Client), Some(ExecuteOn::Client)),
            (Some(RunOn::Device), Some(ExecuteOn::Device)),
            (Some(RunOn::Generic), None),
            (Some(RunOn::Global), Some(ExecuteOn::Global)),
            (Some(RunOn::Group), Some(ExecuteOn::Group)),
            (Some(RunOn::Interface), Some(ExecuteOn::Interface)),
            (None, None),
        ];
        for (run_on, expected) in table {
            assert_eq!(execute_on_type(run_on).ok(), expected, "{run_on:?}");
        }
    }

    #[test]
    fn a_saved_task_has_one_name() {
        let text = |text: &str| Some(text.to_owned());
        for (name, unique, expected) in [
            (text("a"), None, Some("a")),
            (None, text("a"), Some("a")),
            (text("a"), text("a"), Some("a")),
            (text("a"), text("b"), None),
            (None, None, None),
        ] {
            assert_eq!(task_name(name, unique).ok().as_deref(), expected);
        }
    }
}
