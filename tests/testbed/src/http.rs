//! A minimal HTTP client for the management API of a broker on the same machine: one request per connection, no TLS.
//!
//! It blocks, because it is also called in `drop`. A full client would need a process-wide TLS provider, which is up to the
//! code under test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::url::Url;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The management API of a broker.
#[derive(Clone, Debug)]
pub(crate) struct Management {
    url: Url,
}

impl Management {
    pub(crate) fn new(url: Url) -> Self {
        Self { url }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Sends one request on a blocking thread.
    pub(crate) async fn request(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.request_now(method, &path, body.as_ref())).await?
    }

    /// Sends one request. An empty response is `Null`.
    pub(crate) fn request_now(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self
            .exchange(method, path, body)
            .with_context(|| format!("{method} {}{path}", self.url.authority))?;
        ensure!(
            status.starts_with('2'),
            "{method} {path} was answered {status}: {answer}"
        );
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer).with_context(|| format!("{method} {path}: {answer}"))
    }

    /// Returns status and body. Uses HTTP 1.0, so that the response ends with the connection and is not chunked.
    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<(String, String)> {
        let Url { user, password, .. } = &self.url;
        let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} /api{path} HTTP/1.0\r\nauthorization: Basic {login}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );

        let mut stream = TcpStream::connect_timeout(&self.url.resolve()?, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;

        let (head, body) = answer.split_once("\r\n\r\n").context("cut short")?;
        let status = head.split(' ').nth(1).context("no status")?;
        Ok((status.to_owned(), body.to_owned()))
    }
}
