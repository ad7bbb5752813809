use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use tokio::runtime::Handle;

/// The largest response of a collector that is read.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Sends spans with the HTTP client of the process, so that there is one TLS stack.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    timeout: Duration,
    /// Runs the requests, because the exporter waits for them on a thread without a runtime.
    runtime: Handle,
}

impl Collector {
    pub(super) fn new(client: reqwest::Client, timeout: Duration, runtime: Handle) -> Self {
        Self {
            client,
            timeout,
            runtime,
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut request = reqwest::Request::try_from(request)?;
        *request.timeout_mut() = Some(self.timeout);
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { send(&client, request).await });
        sent.await?
    }
}

async fn send(client: &reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, HttpError> {
    let mut received = client.execute(request).await?;
    let (status, headers) = (received.status(), std::mem::take(received.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = received.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(ResponseBodyTooLarge::new().into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
