//! Classifies answers: CloudVision also reports errors with HTTP status 200.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::fault::Fault;

/// The longest wait that is taken from CloudVision. No request is repeated after that time anyway.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The most characters of an error code.
const LONGEST_CODE: usize = 40;

/// An error that CloudVision reports in the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Envelope {
    code: String,
    message: String,
}

/// Classifies an answer by its status, headers and body. `Ok` means that no error is visible without knowing the request.
pub(super) fn classify(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Fault> {
    let text = || String::from_utf8_lossy(&body[..body.len().min(4096)]);
    if status.is_success() {
        if let Some(envelope) = find(body) {
            return Err(of_envelope(envelope));
        }
        if body.len() < 4096 && text().contains("LOG OUT MESSAGE") {
            return Err(Fault::LoggedOut("the session was logged out".to_owned()));
        }
        return Ok(());
    }
    let wait = || retry_after(headers, now);
    let message = || message_of(status, body);
    Err(match status.as_u16() {
        // Old releases redirect requests without a session to the login page.
        300..=399 => Fault::LoggedOut(format!("redirected ({status})")),
        401 => Fault::LoggedOut(message()),
        _ if text().contains("User is unauthorized") => Fault::LoggedOut(message()),
        403 => Fault::Forbidden,
        404 | 405 | 501 => Fault::Absent(message()),
        408 => Fault::TimedOut,
        429 => Fault::Throttled(wait()),
        code @ 500..=599 => Fault::Unavailable(code, wait()),
        code => Fault::Refused {
            code: code.to_string(),
            reason: message(),
        },
    })
}

fn of_envelope(envelope: Envelope) -> Fault {
    let Envelope { code, message } = envelope;
    if code == "112498" || message.to_ascii_lowercase().contains("unauthorized") {
        Fault::LoggedOut(message)
    } else if code == "MNF404" {
        Fault::Absent(message)
    } else {
        Fault::Refused {
            code,
            reason: message,
        }
    }
}

/// The error message of an answer, shortened and without markup.
fn message_of(status: StatusCode, body: &[u8]) -> String {
    if let Some(envelope) = find(body) {
        return envelope.message;
    }
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let message = value.as_ref().and_then(|value| value.get("message")?.as_str());
    message.map_or_else(
        || status.to_string(),
        |message| format!("{status}: {}", short(message)),
    )
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long wait, too.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let at = PARSER.parse_timestamp(text).ok()?;
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Finds the first `errorCode` that is not empty, at any depth of the answer.
fn find(body: &[u8]) -> Option<Envelope> {
    const KEY: &[u8] = b"errorCode";
    if !body.windows(KEY.len()).any(|window| window == KEY) {
        return None;
    }
    let mut found = None;
    let mut rest = body;
    // An answer may be a sequence of objects. Scanning ends at the first part that is not JSON.
    while found.is_none() {
        let mut stream =
            serde_json::Deserializer::from_slice(rest).into_iter::<&serde_json::value::RawValue>();
        let Some(Ok(object)) = stream.next() else { break };
        rest = &rest[stream.byte_offset()..];
        let mut deserializer = serde_json::Deserializer::from_str(object.get());
        if Scan(&mut found).deserialize(&mut deserializer).is_err() {
            break;
        }
    }
    found
}

/// Visits a whole answer without storing it.
struct Scan<'a>(&'a mut Option<Envelope>);

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut code, mut message, mut errors) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "errorCode" => code = truthy(map.next_value()?),
                "errorMessage" => message = truthy(map.next_value()?),
                "errors" => errors = lines(map.next_value()?),
                _ => map.next_value_seed(Scan(&mut *self.0))?,
            }
        }
        if let (Some(code), None) = (code, &self.0) {
            let message = message.or(errors).unwrap_or_else(|| code.clone());
            *self.0 = Some(Envelope {
                code: code.chars().take(LONGEST_CODE).collect(),
                message: short(&message),
            });
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Scan(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A value as text; `None` for null, false, zero and empty values.
fn truthy(value: Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) if fields.is_empty() => None,
        other => Some(other.to_string()),
    }
}

fn lines(value: Value) -> Option<String> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let lines: Vec<String> = items.into_iter().filter_map(truthy).collect();
            Some(lines.join(", "))
        }
        other => truthy(other),
    }
}

/// The first two hundred characters of a text, in one line.
pub(super) fn short(text: &str) -> String {
    let line: String = text.chars().take(200).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn now() -> Timestamp {
        "1994-11-06T08:49:00Z".parse().unwrap()
    }

    fn classified(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        match classify(status, &HeaderMap::new(), body.as_bytes(), now()) {
            Ok(()) => "ok".to_owned(),
            Err(fault) => format!("{fault:?}"),
        }
    }

    #[test]
    fn an_answer_is_classified_by_its_body_as_well_as_its_status() {
        let table = [
            (200, r#"{"data": []}"#, "ok"),
            (200, r#"{"errorCode": "", "data": 1}"#, "ok"),
            (200, r#"{"errorCode": null}"#, "ok"),
            (200, r#"{"errorCode": 0}"#, "ok"),
            (200, r#"{"note": "errorCode"}"#, "ok"),
            (
                200,
                r#"{"errorCode": "112498", "errorMessage": "Unauthorized User"}"#,
                "LoggedOut(\"Unauthorized User\")",
            ),
            (
                200,
                r#"{"errorCode": "1", "errorMessage": "Failure - User is unauthorized"}"#,
                "LoggedOut",
            ),
            (
                200,
                r#"{"errorCode": "122801", "errorMessage": "no such"}"#,
                "Refused { code: \"122801\", reason: \"no such\" }",
            ),
            (
                200,
                r#"{"errorCode": 7, "errors": ["a", "b"]}"#,
                "Refused { code: \"7\", reason: \"a, b\" }",
            ),
            (
                200,
                r#"{"data": [{"x": {"errorCode": "9"}}]}"#,
                "Refused { code: \"9\", reason: \"9\" }",
            ),
            (200, "{\"result\": {}}\n{\"errorCode\": \"9\"}\n", "Refused"),
            (
                200,
                r#"{"errorCode": "MNF404", "errorMessage": "no URL"}"#,
                "Absent(\"no URL\")",
            ),
            (200, "LOG OUT MESSAGE", "LoggedOut"),
            (302, "", "LoggedOut"),
            (
                400,
                r#"{"code": 3, "message": "bad"}"#,
                "Refused { code: \"400\", reason: \"400 Bad Request: bad\" }",
            ),
            (400, "User is unauthorized", "LoggedOut"),
            (401, "<html>", "LoggedOut(\"401 Unauthorized\")"),
            (403, "", "Forbidden"),
            (
                404,
                r#"{"code": 5, "message": "resource not found"}"#,
                "Absent(\"404 Not Found: resource not found\")",
            ),
            (429, "", "Throttled(None)"),
            (500, r#"{"errorCode": "1"}"#, "Unavailable(500, None)"),
            (503, "<html>", "Unavailable(503, None)"),
        ];
        for (status, body, expected) in table {
            let classified = classified(status, body);
            assert!(classified.contains(expected), "{status} {body}: {classified}");
        }
    }

    #[test]
    fn long_codes_and_messages_are_cut() {
        let long = "9".repeat(100_000);
        let bodies = [
            format!(r#"{{"errorCode": "{long}"}}"#),
            format!(r#"{{"errorCode": "1", "errorMessage": "{long}"}}"#),
            format!(r#"{{"errorCode": {{"{long}": 1}}, "errors": ["{long}", "{long}"]}}"#),
        ];
        for body in bodies {
            let fault = classified(200, &body);
            assert!(fault.len() < 400, "{}", fault.len());
        }
        let message = format!(r#"{{"message": "{long}"}}"#);
        assert!(classified(400, &message).len() < 400);
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let table = [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("18446744073709551615", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Thu, 30 Dec 9999 20:00:00 GMT", Some(3600)),
            ("", None),
            ("soon", None),
            ("-1", None),
        ];
        for (text, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            let wait = retry_after(&headers, now());
            assert_eq!(wait, expected.map(Duration::from_secs), "{text}");
        }
    }
}
