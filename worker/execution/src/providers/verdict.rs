use serde_json::{Map, Value, json};

use crate::cycle::CheckResult;
use crate::{StepDone, StepFailure};

/// What a check came to: the result of its step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) result: CheckResult,
    /// Why, for people.
    pub(super) reason: Option<String>,
    /// What it measured, by name.
    pub(super) metrics: Map<String, Value>,
}

impl Verdict {
    pub(super) fn of(fulfilled: bool) -> Self {
        Self {
            result: if fulfilled {
                CheckResult::Ok
            } else {
                CheckResult::Nok
            },
            reason: None,
            metrics: Map::new(),
        }
    }

    /// Reads the value of an expression or a template, which `name` names: true, false, or an object with `result` and, if it likes,
    /// `reason` and `metrics`.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn read(name: &str, value: Value) -> Result<Self, StepFailure> {
        let expected = "expected true, false, or an object with `result` (ok, nok, failed, true or false), `reason` and `metrics`";
        let wrong = |what: String| StepFailure::new("template-error", format!("{name}: {what}; {expected}"));
        let mut members = match value {
            Value::Bool(fulfilled) => return Ok(Self::of(fulfilled)),
            Value::Object(members) => members,
            Value::Null => return Err(wrong("its value is null".to_owned())),
            Value::Number(_) => return Err(wrong("its value is a number".to_owned())),
            Value::String(_) => return Err(wrong("its value is a text".to_owned())),
            Value::Array(_) => return Err(wrong("its value is a list".to_owned())),
        };
        let result = match members.remove("result") {
            Some(Value::Bool(fulfilled)) => Self::of(fulfilled).result,
            Some(result) => serde_json::from_value(result)
                .map_err(|_| wrong("the `result` of its value is another one".to_owned()))?,
            None => return Err(wrong("its value has no `result`".to_owned())),
        };
        let reason = match members.remove("reason") {
            None | Some(Value::Null) => None,
            Some(Value::String(reason)) => Some(reason),
            Some(_) => return Err(wrong("the `reason` of its value is no text".to_owned())),
        };
        let metrics = match members.remove("metrics") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metrics)) => metrics,
            Some(_) => return Err(wrong("the `metrics` of its value are no object".to_owned())),
        };
        if let Some(other) = members.keys().next() {
            return Err(wrong(format!("its value has `{other}`")));
        }
        Ok(Self {
            result,
            reason,
            metrics,
        })
    }

    /// The end of the step that checked.
    pub(super) fn done(self) -> StepDone {
        let result = match self.result {
            CheckResult::Ok => "ok",
            CheckResult::Nok => "not ok",
            CheckResult::Failed => "the check failed",
        };
        let message = match &self.reason {
            None => result.to_owned(),
            Some(reason) => format!("{result}: {reason}"),
        };
        StepDone {
            message: Some(message),
            data: json!({ "result": self.result, "reason": self.reason, "metrics": self.metrics }),
            ..StepDone::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_true_false_or_an_object_with_a_result() {
        for (value, expected) in [
            (json!(true), Ok((CheckResult::Ok, None))),
            (json!(false), Ok((CheckResult::Nok, None))),
            (json!({"result": true}), Ok((CheckResult::Ok, None))),
            (
                json!({"result": "failed", "reason": "no answer"}),
                Ok((CheckResult::Failed, Some("no answer"))),
            ),
            (
                json!({"result": "nok", "reason": null, "metrics": {"n": 1}}),
                Ok((CheckResult::Nok, None)),
            ),
            (json!(null), Err("its value is null")),
            (json!(0), Err("its value is a number")),
            (json!("true"), Err("its value is a text")),
            (json!([]), Err("its value is a list")),
            (json!({}), Err("its value has no `result`")),
            (
                json!({"result": "good"}),
                Err("the `result` of its value is another one"),
            ),
            (
                json!({"result": true, "reason": 1}),
                Err("the `reason` of its value is no text"),
            ),
            (
                json!({"result": true, "metrics": 1}),
                Err("the `metrics` of its value are no object"),
            ),
            (
                json!({"result": true, "resaon": "x"}),
                Err("its value has `resaon`"),
            ),
        ] {
            match (Verdict::read("the expression", value.clone()), expected) {
                (Ok(verdict), Ok((result, reason))) => {
                    assert_eq!(
                        (verdict.result, verdict.reason.as_deref()),
                        (result, reason),
                        "{value}"
                    );
                }
                (Err(failure), Err(reason)) => {
                    let expected = format!("the expression: {reason}; expected true");
                    assert!(failure.message.starts_with(&expected), "{}", failure.message);
                }
                (found, expected) => panic!("{value}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
