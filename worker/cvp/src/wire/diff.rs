use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::field::{Field, FromWire, scalar};

/// What a task would change on the device, according to CloudVision's compliance service.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskDiff {
    /// This release has no such service.
    Absent,
    /// The answer of the service.
    Summary(DiffSummary),
}

/// The summary of a task's configuration difference. Missing counts are zero; a missing verdict is not a verdict.
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
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        scalar(deserializer, Field::Is)
    }
}

impl DiffSummary {
    /// Reads a list of messages or a single message. `None` unless there is exactly one summary or an error. An error beside the
    /// summary counts like one inside it.
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
            if let Some(error) = message.remove("error").filter(is_not_empty) {
                failure = Some(error);
            }
            if let Some(summary) = message.remove("summary") {
                let summary = Some(summary).filter(Value::is_object)?;
                let summary = serde_json::from_value(summary).ok()?;
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

    /// Whether CloudVision reports an error.
    pub fn failed(&self) -> bool {
        self.error.get().is_some_and(is_not_empty)
    }

    /// Whether all counts are zero. A count that cannot be read is not zero.
    pub fn counts_nothing(&self) -> bool {
        let nothing = |count: &Field<i64>| matches!(count, Field::Missing | Field::Is(0));
        [&self.add, &self.delete, &self.change].into_iter().all(nothing)
    }
}

fn is_not_empty(value: &Value) -> bool {
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
