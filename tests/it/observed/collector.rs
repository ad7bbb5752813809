//! A minimal OTLP collector for tests: it accepts spans over HTTP, or hangs.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running collector.
pub(super) struct Collector {
    pub(super) url: String,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Starts a collector that accepts spans.
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let spans = Arc::default();
        let taken = Arc::clone(&spans);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                // The spans of a broken connection are lost.
                tokio::spawn(async move { serve(stream, &taken).await.ok() });
            }
        });
        Ok(Self { url, spans, serving })
    }

    /// Starts a collector that accepts connections and never answers.
    pub(super) async fn start_hanging() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Ok(Self {
            url,
            spans: Arc::default(),
            serving,
        })
    }

    /// The spans received so far, each with the name of its service.
    pub(super) fn spans(&self) -> Vec<(String, Span)> {
        self.spans.lock().expect("nobody panics holding it").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, taken: &Mutex<Vec<(String, Span)>>) -> Result<()> {
    loop {
        let body = request(&mut stream).await?;
        let export = ExportTraceServiceRequest::decode(body.as_slice())?;
        for resource in export.resource_spans {
            let attributes = resource
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default();
            let service = attributes
                .into_iter()
                .find(|attribute| attribute.key == "service.name");
            let service = format!("{:?}", service.and_then(|service| service.value));
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let mut taken = taken.lock().expect("nobody panics holding it");
            taken.extend(spans.map(|span| (service.clone(), span)));
        }
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
            )
            .await?;
    }
}

/// Reads the body of the next request, whose head has its length.
async fn request(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "closed");
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    anyhow::ensure!(head.starts_with("post /v1/traces "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("no length")?.trim().parse()?;
    while bytes.len() < end + length {
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "cut short");
    }
    Ok(bytes[end..end + length].to_vec())
}
