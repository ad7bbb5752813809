use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

/// JSON as templates have it.
pub(crate) fn of_json(value: impl Serialize) -> Value {
    Value::from(Serde(value))
}
