//! Sends a request of the API, with retries.

use std::borrow::Cow;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::CvpClient;
use super::envelope::{classify, short};
use super::error::CvpError;
use super::fault::Fault;
use super::limiter::Priority;
use super::retry::{Attempts, NodeChoice, RetryDecision, Retryability, next, pause};
use super::session::Session;

/// The largest list, in bytes. Three lists are read at a time.
pub(super) const LIST: usize = 256 << 20;
/// The largest answer about one object, in bytes.
pub(super) const OBJECT: usize = 4 << 20;

/// A request of the API.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    /// What the request does, for error texts.
    pub(super) name: &'static str,
    pub(super) method: Method,
    pub(super) path: Path<'a>,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Value>,
    pub(super) retryability: Retryability,
    pub(super) priority: Priority,
    /// The most bytes of the answer.
    pub(super) most: usize,
}

/// The path of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    /// Below `/web`, or `/cvpservice` in the cloud.
    Legacy(&'a str),
    /// At the root.
    Root(&'a str),
}

impl CvpClient {
    pub(super) fn path<'a>(&self, path: Path<'a>) -> Cow<'a, str> {
        match path {
            Path::Root(path) => Cow::Borrowed(path),
            Path::Legacy(path) if self.options.cloud => Cow::Owned(format!("/cvpservice{path}")),
            Path::Legacy(path) => Cow::Owned(format!("/web{path}")),
        }
    }

    /// Sends a request and reads its answer. If the answer cannot be read, the next node is tried.
    pub(super) async fn call<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&Bytes) -> Result<T, String> + Send + Sync,
    ) -> Result<T, CvpError> {
        match timeout(self.options.retry.deadline, self.call_with_retries(call, read)).await {
            Ok(result) => result,
            Err(_) => Err(CvpError::TimedOut { call: call.name }),
        }
    }

    async fn call_with_retries<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&Bytes) -> Result<T, String> + Send + Sync,
    ) -> Result<T, CvpError> {
        let deadline = Instant::now() + self.options.retry.deadline;
        let mut attempts = Attempts::default();
        loop {
            let session = match self.sessions.get(self).await {
                Ok(session) => session,
                Err(error) if error.is_transient() && attempts.sends + 1 < self.options.retry.tries => {
                    attempts.sends += 1;
                    self.wait_before_retry(attempts.sends, None, deadline).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            attempts.sends += 1;
            let answer = self.send_once(call, &session).await;
            let unreadable = |reason: String| Fault::Unreadable(short(&reason));
            let fault = match answer.and_then(|body| read(&body).map_err(unreadable)) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let decision = next(&fault, call.retryability, attempts, &self.options.retry);
            tracing::debug!(
                call = call.name,
                fault = fault.name(),
                again = decision != RetryDecision::GiveUp,
                "a request to CloudVision failed"
            );
            match decision {
                RetryDecision::GiveUp => {
                    let node = self.options.nodes[session.node].to_string();
                    return Err(fault.into_error(call.name, node));
                }
                RetryDecision::LogIn => {
                    attempts.logins += 1;
                    self.sessions.expire(session.generation);
                }
                RetryDecision::Retry { node, wait } => {
                    if node == NodeChoice::Next {
                        self.sessions
                            .switch_node(session.generation, self.options.nodes.len());
                    }
                    if wait.is_some_and(|wait| Instant::now() + wait >= deadline) {
                        let node = self.options.nodes[session.node].to_string();
                        return Err(fault.into_error(call.name, node));
                    }
                    if matches!(fault, Fault::Throttled(_)) {
                        self.slow_down(wait.unwrap_or(self.options.retry.first));
                    }
                    self.wait_before_retry(attempts.sends, wait, deadline).await;
                }
            }
        }
    }

    /// Waits for the retry delay, but not beyond the deadline.
    async fn wait_before_retry(&self, sends: u32, asked: Option<Duration>, deadline: Instant) {
        let random = rand::random();
        let pause = pause(&self.options.retry, sends, asked, random);
        sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
    }

    async fn send_once(&self, call: &Call<'_>, session: &Session) -> Result<Bytes, Fault> {
        let path = self.path(call.path);
        let url = self.options.nodes[session.node].url(&path);
        let request = self.http.request(call.method.clone(), url).query(call.query);
        let request = session
            .authentication
            .apply(request, &path)
            .timeout(self.options.timeout);
        let request = match &call.body {
            Some(body) => request.json(body),
            None => request,
        };
        let _permit = self.limiter.acquire(call.priority).await;
        self.wait_until_allowed().await;
        let answer = request.send().await.map_err(Fault::of)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read_body(answer, call.most).await?;
        classify(status, &headers, &body, self.clock.now())?;
        Ok(body)
    }

    /// Holds all requests back for a time.
    fn slow_down(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(until, |before| before.max(until)));
    }

    async fn wait_until_allowed(&self) {
        let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }
}

/// Reads an answer of limited size.
pub(super) async fn read_body(mut answer: Response, most: usize) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(Fault::of)? {
        if body.len() + chunk.len() > most {
            return Err(Fault::Unreadable(format!(
                "the answer is longer than {most} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
