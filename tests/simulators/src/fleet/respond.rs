use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use hyper::{Request, Response};
use thiserror::Error;

use super::behaviour::Behaviour;
use super::execute::execute;
use super::rpc::RunCommands;
use super::shared::{Accounts, Shared};

/// The path of eAPI.
const PATH: &str = "/command-api";

/// Longer requests are refused by closing the connection.
const LONGEST_REQUEST: usize = 4 << 20;

/// The connection is to be closed without an answer.
#[derive(Debug, Error)]
#[error("the connection is closed on purpose")]
pub(crate) struct Closed;

/// Answers a request to a device, or closes its connection.
pub(crate) async fn respond(
    shared: Arc<Shared>,
    index: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LONGEST_REQUEST).collect().await;
    let body = body.map_err(|_| Closed)?.to_bytes();

    let _in_flight = shared.begin(index);
    let (behaviour, latency) = {
        let state = shared.device(index);
        (state.device.behaviour, state.device.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match behaviour {
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Unreachable => return Err(Closed),
        Behaviour::Status(status) => return page(status, "the agent is not available"),
        _ => {}
    }
    if head.uri.path() != PATH {
        return page(404, "Not Found");
    }
    let accounts = shared.accounts().clone();
    if behaviour == Behaviour::RejectsLogin || !accounts.accept(&head.headers) {
        return unauthorized();
    }
    let answer = match RunCommands::read(&body) {
        Err(unreadable) => unreadable.to_json(),
        Ok(request) => execute(&shared, index, &request, &accounts).await?,
    };
    let mut answer = answer.to_string().into_bytes();
    match behaviour {
        Behaviour::LosesAnswer => return Err(Closed),
        Behaviour::Garbage => answer = b"\x00\xff\xfe% Internal error\r\n".to_vec(),
        Behaviour::Truncated => answer.truncate(answer.len() / 2),
        Behaviour::Latin1 => answer = latin1(&answer),
        _ => {}
    }
    let response = Response::builder().header(CONTENT_TYPE, "application/json");
    response.body(answer.into()).map_err(|_| Closed)
}

impl Accounts {
    fn accept(&self, headers: &HeaderMap) -> bool {
        let expected = BASE64_STANDARD.encode(format!("{}:{}", self.username, self.password));
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|value| value.strip_prefix("Basic ")) == Some(expected.as_str())
    }
}

fn unauthorized() -> Result<Response<Full<Bytes>>, Closed> {
    Response::builder()
        .status(401)
        .header(WWW_AUTHENTICATE, "Basic realm=\"COMMAND_API_AUTH\"")
        .header(CONTENT_TYPE, "text/plain")
        .body("Unable to authenticate user: Bad username/password combination\n".into())
        .map_err(|_| Closed)
}

fn page(status: u16, text: &str) -> Result<Response<Full<Bytes>>, Closed> {
    let body = format!("<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>");
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/html");
    response.body(body.into()).map_err(|_| Closed)
}

/// The text in Latin-1. Characters that it lacks become question marks.
fn latin1(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?'))
        .collect()
}
