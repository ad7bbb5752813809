use serde::Deserialize;
use serde_json::Value;

use super::field::{Field, FromWire};

/// What CloudVision's compliance service says a task would change on the device.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskDiff {
    /// This release has no such service.
    Absent,
    /// Its answer.
    Summary(DiffSummary),
}

/// The summary of a task's configuration difference. Counts that are left out are zero; the verdict must be there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DiffSummary {
    #[serde(rename = "config_compliance")]
    pub compliant: Field<bool>,
    pub add: Field<i64>,
    pub delete: Field<i64>,
    pub change: Field<i64>,
    pub error: Field<Value>,
}

impl FromWire for Value {
    fn from_wire(value: Value) -> Field<Self> {
        Field::Is(value)
    }
}

impl FromWire for DiffSummary {
    fn from_wire(value: Value) -> Field<Self> {
        if !value.is_object() {
            return Field::Unreadable;
        }
        serde_json::from_value(value).ok().into()
    }
}

impl DiffSummary {
    /// Reads the stream of messages, as a list or as a single message. Several summaries, or none, are no answer; an
    /// error beside the summary counts as one inside.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let messages = match serde_json::from_slice(body).ok()? {
            Value::Array(messages) => messages,
            message @ Value::Object(_) => vec![message],
            _ => return None,
        };
        let mut found = None;
        let mut failure = None;
        for message in messages {
            let Value::Object(mut message) = message else {
                return None;
            };
            if let Some(error) = message.remove("error").filter(says_something) {
                failure = Some(error);
            }
            if let Some(summary) = message.remove("summary") {
                let Field::Is(summary) = Self::from_wire(summary) else {
                    return None;
                };
                if found.replace(summary).is_some() {
                    return None;
                }
            }
        }
        let mut summary = found.or_else(|| failure.is_some().then(Self::default))?;
        if let Some(failure) = failure {
            summary.error = Field::Is(failure);
        }
        Some(summary)
    }

    /// Whether it reports an error.
    pub fn failed(&self) -> bool {
        self.error.get().is_some_and(says_something)
    }

    /// Whether nothing is counted; an unreadable count is not nothing.
    pub fn counts_nothing(&self) -> bool {
        let nothing = |count: &Field<i64>| matches!(count, Field::Missing | Field::Is(0));
        [&self.add, &self.delete, &self.change].into_iter().all(nothing)
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read_from_streams() {
        let table = [
            (
                r#"[{"summary": {"config_compliance": true, "nop": 120, "add": 0, "error": ""}}]"#,
                Some((true, true, false)),
            ),
            (
                r#"[{"summary": {"config_compliance": true}}]"#,
                Some((true, true, false)),
            ),
            (
                r#"{"summary": {"config_compliance": "true"}}"#,
                Some((true, true, false)),
            ),
            (
                r#"[{"summary": {"config_compliance": true, "change": "2"}}]"#,
                Some((true, false, false)),
            ),
            (
                r#"[{"summary": {"config_compliance": true, "add": "some"}}]"#,
                Some((true, false, false)),
            ),
            (r#"[{"summary": {"nop": 3}}]"#, Some((false, true, false))),
            (
                r#"[{"summary": {"config_compliance": true, "error": "x"}}]"#,
                Some((true, true, true)),
            ),
            (
                r#"[{"summary": {"config_compliance": true}}, {"error": {"error_code": "DEVICEERROR"}}]"#,
                Some((true, true, true)),
            ),
            (
                r#"[{"error": {"error_code": "UNREACHABLEDEVICE"}}]"#,
                Some((false, true, true)),
            ),
            (
                r#"[{"summary": {"config_compliance": true}}, {"summary": {"config_compliance": true}}]"#,
                None,
            ),
            (r#"[{"summary": 1}]"#, None),
            ("[]", None),
            ("[1]", None),
            ("null", None),
            ("<html>", None),
        ];
        for (body, expected) in table {
            let read = DiffSummary::read(body.as_bytes());
            let seen = read.map(|summary| {
                let compliant = summary.compliant == Field::Is(true);
                (compliant, summary.counts_nothing(), summary.failed())
            });
            assert_eq!(seen, expected, "{body}");
        }
    }
}
