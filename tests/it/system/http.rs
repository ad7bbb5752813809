//! HTTP requests to the servers under test, each on a new connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use lockstep_testbed::wait;
use serde_json::Value;

use super::PATIENCE;

/// The address of an HTTP server, with or without `http://`.
#[derive(Clone, Debug)]
pub(crate) struct Server(pub(crate) String);

/// The response of a server.
#[derive(Clone, Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Server {
    /// Sends one request; returns status and JSON.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<(u16, Value)> {
        let answer = self.answer(method, path, headers, body).await?;
        Ok((answer.status, answer.body))
    }

    /// Sends one request; returns the whole response.
    pub(crate) async fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<TestResponse> {
        let authority = self.0.trim_start_matches("http://").to_owned();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        tokio::task::spawn_blocking(move || exchange(&authority, &request)).await?
    }

    /// Status and body of `/readyz`.
    pub(crate) async fn readiness(&self) -> Result<(u16, Value)> {
        self.ask("GET", "/readyz", "", "").await
    }

    /// Waits until the server is ready.
    pub(crate) async fn ready(&self) -> Result<()> {
        self.answers_readiness(200).await.map(drop)
    }

    /// Waits until `/readyz` answers with this status, and returns its body.
    pub(crate) async fn answers_readiness(&self, expected: u16) -> Result<Value> {
        let what = format!("the server to answer {expected} when asked whether it is ready");
        let body = wait::until(&what, PATIENCE, async || match self.readiness().await {
            Ok((status, body)) if status == expected => Ok(body),
            other => Err(format!("{other:?}")),
        });
        Ok(body.await?)
    }
}

impl TestResponse {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }
}

fn exchange(authority: &str, request: &str) -> Result<TestResponse> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_secs(90)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("cut short")?;
    Ok(TestResponse {
        status: head.split(' ').nth(1).context("no status")?.parse()?,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}
