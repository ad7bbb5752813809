//! What the values of expressions and templates say about a check.

use serde_json::Value;

use crate::cycle::{CheckResult, Verdict};
use crate::{StepDone, StepFailure};

/// Reads the value of an expression or a template, which `name` names: true, false, or an object with `result` and, if it likes, `reason`
/// and `metrics`.
///
/// # Errors
/// It is something else.
pub(super) fn read_verdict(name: &str, value: Value) -> Result<Verdict, StepFailure> {
    let expected = "expected true, false, or an object with `result` (ok, nok, failed, true or false), `reason` and `metrics`";
    let wrong = |what: &str| StepFailure::new("template-error", format!("{name}: {what}; {expected}"));
    let mut members = match value {
        Value::Bool(fulfilled) => return Ok(fulfilled.into()),
        Value::Object(members) => members,
        Value::Null => return Err(wrong("its value is null")),
        Value::Number(_) => return Err(wrong("its value is a number")),
        Value::String(_) => return Err(wrong("its value is a text")),
        Value::Array(_) => return Err(wrong("its value is a list")),
    };
    let result = match members.remove("result") {
        Some(Value::Bool(fulfilled)) => Verdict::from(fulfilled).result,
        Some(result) => {
            serde_json::from_value(result).map_err(|_| wrong("the `result` of its value is another one"))?
        }
        None => return Err(wrong("its value has no `result`")),
    };
    let reason = match members.remove("reason") {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason),
        Some(_) => return Err(wrong("the `reason` of its value is no text")),
    };
    let metrics = match members.remove("metrics") {
        None => Value::Null,
        Some(metrics @ (Value::Null | Value::Object(_))) => metrics,
        Some(_) => return Err(wrong("the `metrics` of its value are no object")),
    };
    match members.keys().next() {
        Some(other) => Err(wrong(&format!("its value has `{other}`"))),
        None => Ok(Verdict {
            result,
            reason,
            metrics,
        }),
    }
}

/// The end of a step that checked.
pub(super) fn done(verdict: &Verdict) -> StepDone {
    let message = match verdict.result {
        CheckResult::Ok => "ok",
        CheckResult::Nok => "not ok",
        CheckResult::Failed => "the check failed",
    };
    StepDone {
        message: Some(message.to_owned()),
        data: serde_json::json!(verdict),
        ..StepDone::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            match (read_verdict("the expression", value.clone()), expected) {
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
