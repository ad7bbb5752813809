use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE};
use serde_json::Value;

use crate::cvp::endpoint::Endpoint;
use crate::cvp::log::Credential;

/// A request, parsed as far as all endpoints need it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) endpoint: Endpoint,
    /// The id of the task, or the MAC address or serial number of the device, that the request concerns.
    pub(crate) subject: Option<String>,
    /// The JSON body; null if it is absent or not JSON.
    pub(crate) body: Value,
    pub(crate) credential: Credential,
    /// Session id or token.
    pub(crate) secret: Option<String>,
    /// User and password of HTTP basic authentication.
    pub(crate) basic: Option<(String, String)>,
}

impl Call {
    pub(crate) fn read(method: &str, path: &str, query: &str, headers: &HeaderMap, body: &[u8]) -> Self {
        let endpoint = Endpoint::of(method, path);
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let (credential, secret) = credential(headers);
        let mut call = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            endpoint,
            subject: None,
            body,
            credential,
            secret,
            basic: basic(headers),
        };
        call.subject = call.find_subject();
        call
    }

    /// A decoded query parameter; empty if absent.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(key, _)| decoded(key) == name);
        found.map(|(_, value)| decoded(value)).unwrap_or_default()
    }

    /// A text or number of the body, as text.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        text(self.body.get(name)?)
    }

    /// The ids in `{"data": […]}`, which are texts or numbers.
    pub(crate) fn ids(&self) -> Option<Vec<String>> {
        self.body.get("data")?.as_array()?.iter().map(text).collect()
    }

    fn find_subject(&self) -> Option<String> {
        match self.endpoint {
            Endpoint::Task | Endpoint::TaskStatus => Some(self.parameter("taskId")),
            Endpoint::Cancel | Endpoint::Execute => self.ids()?.into_iter().next(),
            Endpoint::Note => self.field("workOrderId"),
            Endpoint::Compliance => self.field("nodeId"),
            Endpoint::DiffSummary | Endpoint::Diff | Endpoint::ImageDiff => self.field("task_id"),
            Endpoint::DeviceResource | Endpoint::ConfigStatus => Some(self.parameter("key.deviceId")),
            Endpoint::ChangeControl => Some(self.parameter("key.id")),
            _ => None,
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn credential(headers: &HeaderMap) -> (Credential, Option<String>) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(id) = header("app_session_id") {
        return (Credential::SessionHeader, Some(id.to_owned()));
    }
    if let Some(token) = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer ")) {
        return (Credential::Bearer, Some(token.to_owned()));
    }
    let lines = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut cookies = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|it| it.trim().split_once('='));
    match cookies.find(|(name, _)| matches!(*name, "session_id" | "access_token")) {
        Some((_, value)) => (Credential::Cookie, Some(value.to_owned())),
        None => (Credential::None, None),
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Basic ")?;
    let plain = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Percent-decodes a part of a query.
fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        let escaped = match (first, rest) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        if escaped.is_some() {
            bytes = &rest[2..];
        }
        plain.push(escaped.unwrap_or(*first));
    }
    match String::from_utf8_lossy(&plain) {
        Cow::Borrowed(plain) => plain.to_owned(),
        Cow::Owned(plain) => plain,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(method: &str, path: &str, query: &str, body: &Value) -> Call {
        Call::read(
            method,
            path,
            query,
            &HeaderMap::new(),
            body.to_string().as_bytes(),
        )
    }

    #[test]
    fn parameters_are_decoded() {
        let call = call(
            "GET",
            "/web/task/getTasks.do",
            "queryparam=Image%20Push+x%2&startIndex=0",
            &Value::Null,
        );
        assert_eq!(call.parameter("queryparam"), "Image Push x%2");
        assert_eq!(call.parameter("startIndex"), "0");
        assert_eq!(call.parameter("endIndex"), "");
    }

    #[test]
    fn ids_are_texts_or_numbers() {
        for ids in [json!(["1811"]), json!([1811])] {
            let call = call("POST", "/web/task/cancelTask.do", "", &json!({"data": ids}));
            assert_eq!(call.subject.as_deref(), Some("1811"));
        }
    }

    #[test]
    fn any_one_credential_is_enough() {
        for (name, value, credential) in [
            ("app_session_id", "s1", Credential::SessionHeader),
            ("authorization", "Bearer s1", Credential::Bearer),
            ("cookie", "JSESSIONID=x; session_id=s1", Credential::Cookie),
            ("cookie", "access_token=s1", Credential::Cookie),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let call = Call::read("GET", "/api/v1/rest/", "", &headers, b"");
            assert_eq!(
                (call.credential, call.secret.as_deref()),
                (credential, Some("s1"))
            );
        }
    }
}
