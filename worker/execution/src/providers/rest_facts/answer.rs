//! What is made of requests and answers. Pure.

use std::time::Duration;

use serde_json::{Map, Value};

use super::service::RestAnswer;
use super::{Arguments, NotFound};
use crate::StepFailure;
use crate::providers::template::evaluate;
use crate::providers::template::render;
use crate::providers::template_check::json_of;

/// The longest path with its query.
const MAX_PATH: usize = 8192;
/// The most characters of an answer that an error shows.
const SHOWN: usize = 100;
/// The longest pause that a service may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A rendered path, if it stays below the address of the service.
///
/// # Errors
/// It does not.
pub(super) fn checked_path(rendered: &str) -> Result<String, StepFailure> {
    let wrong = |what: &str| {
        let message = format!("path: {rendered:?} {what}");
        Err(StepFailure::new("invalid-path", message))
    };
    let path = rendered.trim();
    if path.len() > MAX_PATH {
        return Err(StepFailure::new(
            "invalid-path",
            format!("path: it has more than {MAX_PATH} bytes"),
        ));
    }
    let (segments, _) = path.split_once('?').unwrap_or((path, ""));
    if !segments.starts_with('/') || segments.starts_with("//") {
        return wrong("does not begin with one /; the host is that of the service");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains(['\\', '#']) {
        return wrong("has characters that are to be percent-encoded");
    }
    let is_dots = |segment: &str| {
        matches!(
            segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
            "." | ".."
        )
    };
    if segments.split('/').any(is_dots) {
        return wrong("has a segment of dots");
    }
    Ok(path.to_owned())
}

/// How long to wait before the request is repeated. `None`: it is not.
pub(super) fn pause(answer: &RestAnswer, tries: u32, retries: u32) -> Option<Duration> {
    if !matches!(answer.status, 429 | 503) || tries > retries {
        return None;
    }
    let back_off = Duration::from_secs(1 << tries.saturating_sub(1).min(5));
    let asked = answer.retry_after.unwrap_or(back_off);
    (asked <= MAX_PAUSE).then_some(asked.max(Duration::from_millis(100)))
}

/// The body of an answer as JSON; null for one that says that there is nothing.
///
/// # Errors
/// It has another status, or is no JSON; or there is nothing, and that leaves the entity alone or fails it.
pub(super) fn body(arguments: &Arguments, answer: &RestAnswer) -> Result<Value, StepFailure> {
    let status = answer.status;
    let expected = &arguments.expected_status;
    if !expected.contains(&status) {
        return match (status, arguments.not_found) {
            (404, NotFound::Null) => Ok(Value::Null),
            (404, NotFound::Keep) => {
                let message = "the service knows nothing about it; the fact stays as it was";
                let failure = StepFailure::new("not-found", message);
                Err(StepFailure {
                    state: lockstep_protocol::ElementState::Filtered,
                    ..failure
                })
            }
            (404, NotFound::Fail) => Err(StepFailure::new("not-found", "the service answers with 404")),
            (300..=399, _) => {
                let message =
                    format!("the service answers with {status}: it redirects, which is not followed");
                Err(StepFailure::new("redirected", message))
            }
            (401 | 403, _) => {
                let message =
                    format!("the service answers with {status}; see the credentials in its section");
                Err(StepFailure::new("wrong-credentials", message))
            }
            (429 | 503, _) => {
                let message = format!("the service answers with {status}, for longer than is waited");
                Err(StepFailure::new("unavailable", message))
            }
            _ => {
                let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
                let message = format!(
                    "the service answers with {status} instead of {}",
                    expected.join(", ")
                );
                Err(StepFailure::new("unexpected-status", message))
            }
        };
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        let text = String::from_utf8_lossy(&answer.body);
        let begin: String = text.trim().chars().take(SHOWN).collect();
        let message = format!("the answer is no JSON: {error}; it begins with {begin:?}");
        StepFailure::new("unreadable-answer", message)
    })
}

/// The fact that is made of an answer in this context, which has it as `response`.
///
/// # Errors
/// The mapping is wrong, or uses what is not there.
pub(super) fn fact(arguments: &Arguments, context: &Value) -> Result<Value, StepFailure> {
    if let Some(template) = &arguments.mapping {
        return json_of(&render("the mapping", template, context)?);
    }
    let Some(expressions) = &arguments.expressions else {
        return Ok(context["response"].clone());
    };
    let mut values = Map::new();
    for (name, expression) in expressions {
        let value = evaluate(&format!("the expression {name:?}"), expression, context)?;
        values.insert(name.clone(), value);
    }
    Ok(values.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "values of tables")]
    fn arguments(more: Value) -> Arguments {
        let mut arguments = json!({"service": "s", "path": "/"});
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            arguments[name] = value;
        }
        serde_json::from_value(arguments).expect("arguments")
    }

    fn answer(status: u16, body: &str) -> RestAnswer {
        RestAnswer {
            status,
            retry_after: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_path_stays_below_the_address_of_its_service() {
        for (path, expected) in [
            ("/api/devices/?name=sw1\n", Some("/api/devices/?name=sw1")),
            ("/", Some("/")),
            ("/a/%2F..%2F", Some("/a/%2F..%2F")),
            ("/a?b=//c/../d", Some("/a?b=//c/../d")),
            ("", None),
            ("api", None),
            ("//other.example.org/api", None),
            ("https://other.example.org/api", None),
            ("@other.example.org/", None),
            ("/a/../b", None),
            ("/a/%2E%2e/b", None),
            ("/a/..", None),
            ("/a\\b", None),
            ("/a b", None),
            ("/a#b", None),
            ("/ä", None),
        ] {
            assert_eq!(checked_path(path).ok().as_deref(), expected, "{path}");
        }
        assert!(checked_path(&format!("/{}", "a".repeat(MAX_PATH))).is_err());
    }

    #[test]
    fn a_service_that_asks_for_a_pause_is_asked_again_a_few_times() {
        let after = |status, seconds: Option<u64>| RestAnswer {
            retry_after: seconds.map(Duration::from_secs),
            ..answer(status, "")
        };
        for (answer, tries, expected) in [
            (after(503, None), 1, Some(1000)),
            (after(503, None), 3, Some(4000)),
            (after(503, None), 4, None),
            (after(429, Some(7)), 1, Some(7000)),
            (after(429, Some(0)), 1, Some(100)),
            (after(429, Some(31)), 1, None),
            (after(500, None), 1, None),
            (after(200, Some(7)), 1, None),
        ] {
            let found = pause(&answer, tries, 3).map(|pause| pause.as_millis());
            assert_eq!(found, expected, "{answer:?} {tries}");
        }
    }

    #[test]
    fn an_answer_is_json_with_the_expected_status() {
        let none = json!({});
        for (more, answer, expected) in [
            (&none, answer(200, "{\"a\": 1}"), Ok(json!({"a": 1}))),
            (
                &none,
                answer(200, "<html>"),
                Err((
                    "unreadable-answer",
                    "expected value at line 1 column 1; it begins with \"<html>\"",
                )),
            ),
            (
                &none,
                answer(200, "{\n\"a\": }"),
                Err(("unreadable-answer", "line 2 column 6")),
            ),
            (&none, answer(302, ""), Err(("redirected", "302"))),
            (&none, answer(401, ""), Err(("wrong-credentials", "401"))),
            (
                &none,
                answer(500, ""),
                Err(("unexpected-status", "500 instead of 200")),
            ),
            (&none, answer(503, ""), Err(("unavailable", "503"))),
            (&none, answer(404, ""), Err(("not-found", "404"))),
            (&json!({"not_found": "null"}), answer(404, ""), Ok(Value::Null)),
            (
                &json!({"not_found": "keep"}),
                answer(404, ""),
                Err(("not-found", "stays as it was")),
            ),
            (
                &json!({"expected_status": [404]}),
                answer(404, "{}"),
                Ok(json!({})),
            ),
        ] {
            match (body(&arguments(more.clone()), &answer), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(failure), Err((reason, message))) => {
                    assert_eq!(failure.reason, reason, "{failure:?}");
                    assert!(failure.message.contains(message), "{failure:?}");
                }
                (found, expected) => panic!("{answer:?}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn a_fact_is_the_answer_or_what_is_mapped_of_it() {
        let context = json!({"response": {"results": [{"id": 7}]}});
        for (more, expected) in [
            (json!({}), Ok(json!({"results": [{"id": 7}]}))),
            (
                json!({"mapping": "{{ response.results[0]|tojson }}"}),
                Ok(json!({"id": 7})),
            ),
            (
                json!({"expressions": {"id": "response.results[0].id"}}),
                Ok(json!({"id": 7})),
            ),
            (
                json!({"expressions": {"id": "response.lost.id"}}),
                Err("the expression \"id\", line 1"),
            ),
            (
                json!({"mapping": "{{ response.results"}),
                Err("the mapping, line 1"),
            ),
        ] {
            match (fact(&arguments(more.clone()), &context), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(failure), Err(message)) => assert!(failure.message.starts_with(message), "{failure:?}"),
                (found, expected) => panic!("{more}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
