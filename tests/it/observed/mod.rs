//! Observability: metrics, health, traces, and the dashboard and alerts based on them.

mod collector;
mod counters;
mod files;
mod health;
mod metrics;
mod traces;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Sends one request on a new connection; returns status and body.
async fn get(authority: &str, path: &str) -> Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    exchange(authority, request).await
}

async fn exchange(authority: &str, request: String) -> Result<(u16, String)> {
    let authority = authority.to_owned();
    let exchange = move || {
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("cut short")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    };
    tokio::task::spawn_blocking(exchange).await?
}

/// The metrics of a process, by series.
pub(crate) struct Shown(BTreeMap<String, f64>);

impl Shown {
    pub(crate) async fn of(authority: &str) -> Result<Self> {
        let (status, text) = get(authority, "/metrics").await?;
        ensure!(status == 200, "{status}: {text}");
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').context("no value")?;
            Ok((series.to_owned(), value.parse()?))
        });
        Ok(Self(series.collect::<Result<_>>()?))
    }

    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// Fails unless each series has this value.
    fn expect(&self, expected: &[(&str, f64)]) -> Result<()> {
        let different: Vec<String> = expected
            .iter()
            .filter(|(series, value)| self.value(series) != Some(*value))
            .map(|(series, value)| format!("{series} is {:?}, not {value}", self.value(series)))
            .collect();
        ensure!(different.is_empty(), "{}", different.join("; "));
        Ok(())
    }
}
