use serde_json::{Value, json};

use super::fault::Fault;

/// A response of the simulator.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

const JSON: &str = "application/json;charset=UTF-8";
const HTML: &str = "text/html;charset=utf-8";

impl SimulatedResponse {
    fn new(status: u16, content_type: &str, body: String) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body,
        }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::new(200, JSON, body.to_string())
    }

    /// A list of rows, which are written one by one: as a tree, a long list takes several times as long.
    pub(crate) fn list(rows: impl Iterator<Item = Value>) -> Self {
        Self::new(200, JSON, array(rows))
    }

    /// A page of rows, and the number of rows in all pages.
    pub(crate) fn page_of(total: usize, rows: impl Iterator<Item = Value>) -> Self {
        Self::new(
            200,
            JSON,
            format!(r#"{{"data":{},"total":{total}}}"#, array(rows)),
        )
    }

    /// An error of CloudVision: status 200 with an error object in the body.
    pub(crate) fn error(code: &str, message: &str) -> Self {
        Self::json(&json!({"errorCode": code, "errorMessage": message}))
    }

    /// An error of the resource API.
    pub(crate) fn resource_error(status: u16, code: u8, message: &str) -> Self {
        Self::new(
            status,
            JSON,
            json!({"code": code, "message": message}).to_string(),
        )
    }

    /// A single value of the resource API.
    pub(crate) fn resource(value: &Value) -> Self {
        Self::json(&json!({"value": value, "time": super::world::BASE_TIME}))
    }

    /// All values of the resource API: one per line, with bare line feeds.
    pub(crate) fn resources(values: impl Iterator<Item = Value>) -> Self {
        let lines = values.map(|value| {
            let line =
                json!({"result": {"value": value, "time": super::world::BASE_TIME, "type": "INITIAL"}});
            format!("{line}\n")
        });
        Self::new(200, JSON, lines.collect())
    }

    pub(crate) fn page(status: u16, text: &str) -> Self {
        let body = format!("<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>");
        Self::new(status, HTML, body)
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::page(302, "Found").with("location", to.to_owned())
    }

    pub(crate) fn with(mut self, header: &'static str, value: String) -> Self {
        self.headers.push((header, value));
        self
    }

    /// The response to a request that this fault refuses; `None` for faults that execute the request.
    pub(crate) fn refusal(fault: &Fault, path: &str) -> Option<Self> {
        match fault {
            Fault::Status(status) if path.starts_with("/api/") => {
                Some(Self::resource_error(*status, resource_code(*status), "simulated"))
            }
            Fault::Status(status) => Some(Self::page(*status, &format!("HTTP {status}"))),
            Fault::RateLimited(seconds) => {
                let answer = Self::page(429, "Too Many Requests");
                Some(match seconds {
                    Some(seconds) => answer.with("retry-after", seconds.to_string()),
                    None => answer,
                })
            }
            Fault::Html => Some(Self::page(200, "CloudVision is starting")),
            Fault::ErrorCode(code, message) => Some(Self::error(code, message)),
            Fault::NestedErrorCode => {
                Some(Self::json(&json!({"data": {"inner": [{"errorCode": "132801"}]}})))
            }
            Fault::LoggedOut => Some(Self::json(&json!({"data": "LOG OUT MESSAGE"}))),
            Fault::Redirect => Some(Self::redirect("/web/login")),
            Fault::Delay(_)
            | Fault::DelayAnswer(_)
            | Fault::Hang
            | Fault::Drop
            | Fault::LoseAnswer
            | Fault::Truncated
            | Fault::Empty => None,
        }
    }

    /// The first half of the body.
    pub(crate) fn truncate(&mut self) {
        let mut middle = self.body.len() / 2;
        while !self.body.is_char_boundary(middle) {
            middle -= 1;
        }
        self.body.truncate(middle);
    }
}

/// The rows as a JSON array.
fn array(rows: impl Iterator<Item = Value>) -> String {
    let mut text = "[".to_owned();
    for row in rows {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&row.to_string());
    }
    text.push(']');
    text
}

/// The gRPC code that the resource API sends with an HTTP status.
fn resource_code(status: u16) -> u8 {
    match status {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        429 => 8,
        503 => 14,
        504 => 4,
        _ => 13,
    }
}
