use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::Value;
use thiserror::Error;
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use crate::cvp::answer::SimulatedResponse;
use crate::cvp::api::Call;
use crate::cvp::endpoint::Endpoint;
use crate::cvp::fault::Fault;
use crate::cvp::log::Logged;

/// Longer bodies are cut off; the longest body of a client has a few hundred bytes.
const LONGEST_BODY: usize = 4 << 20;

/// By how much Tokio's timer is late on average: it rounds up to the next millisecond twice.
const TIMER_DELAY: Duration = Duration::from_millis(1);

/// The behaviour of a node that is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeMode {
    #[default]
    Healthy,
    /// It accepts requests and answers none.
    Hangs,
    /// It answers everything with a page of HTML, like a node that is starting.
    AnswersHtml,
}

/// The connection is to be closed without an answer.
#[derive(Debug, Error)]
#[error("the connection is closed on purpose")]
pub(crate) struct Dropped;

/// Answers a request, or closes its connection.
pub(crate) async fn respond(
    shared: Arc<Shared>,
    node: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LONGEST_BODY).collect().await;
    let body = body.map_err(|_| Dropped)?.to_bytes();
    let query = head.uri.query().unwrap_or_default();
    let call = Call::read(head.method.as_str(), head.uri.path(), query, &head.headers, &body);

    let mut under_way = UnderWay::begin(&shared, node, &call);
    let (mode, latency, fault, hold) = {
        let mut state = shared.state();
        let fault = state.faults.take(call.endpoint, call.subject.as_deref());
        let mode = state.modes.get(node).copied().unwrap_or_default();
        let subject = call.subject.as_deref();
        let hold = state.holds.find(|(endpoint, about)| {
            *endpoint == call.endpoint && about.as_deref().is_none_or(|about| Some(about) == subject)
        });
        (mode, state.knobs.latency, fault, hold)
    };
    if !latency.is_zero() {
        sleep_until(arrived + latency.saturating_sub(TIMER_DELAY)).await;
    }
    if let Some(hold) = hold {
        hold.pass().await;
    }
    let answer = match mode {
        NodeMode::Healthy => answer(&shared, &call, fault).await?,
        NodeMode::Hangs => std::future::pending().await,
        NodeMode::AnswersHtml => SimulatedResponse::page(200, "CloudVision is starting"),
    };
    under_way.status = Some(answer.status);
    answer.into_response()
}

async fn answer(shared: &Shared, call: &Call, fault: Option<Fault>) -> Result<SimulatedResponse, Dropped> {
    let Some(fault) = fault else {
        return Ok(shared.state().answer(call));
    };
    if let Some(refusal) = SimulatedResponse::refusal(&fault, &call.path) {
        return Ok(refusal);
    }
    match fault {
        Fault::Hang => std::future::pending().await,
        Fault::Drop => return Err(Dropped),
        Fault::Delay(delay) => pause(delay).await,
        _ => {}
    }
    let mut answer = shared.state().answer(call);
    match fault {
        Fault::LoseAnswer => return Err(Dropped),
        Fault::DelayAnswer(delay) => pause(delay).await,
        Fault::Truncated => answer.truncate(),
        Fault::Empty => answer.body.clear(),
        _ => {}
    }
    Ok(answer)
}

impl SimulatedResponse {
    fn into_response(self) -> Result<Response<Full<Bytes>>, Dropped> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Full::from(self.body)).map_err(|_| Dropped)
    }
}

/// Counts a request as in flight until it is dropped, also by a closed connection.
struct UnderWay<'shared> {
    shared: &'shared Shared,
    number: usize,
    status: Option<u16>,
}

impl<'shared> UnderWay<'shared> {
    fn begin(shared: &'shared Shared, node: usize, call: &Call) -> Self {
        // Passwords are not recorded.
        let body = if call.endpoint == Endpoint::Login {
            Value::Null
        } else {
            call.body.clone()
        };
        let entry = Logged {
            node,
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            endpoint: call.endpoint,
            subject: call.subject.clone(),
            body,
            credential: call.credential,
            at: Instant::now() - shared.started,
            ended_at: None,
            status: None,
        };
        let number = shared.state().log.begin(entry);
        Self {
            shared,
            number,
            status: None,
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let at = Instant::now() - self.shared.started;
        self.shared.state().log.end(self.number, at, self.status);
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}
