//! Serves a provider by HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::provider::{Asked, Provider};

/// A running provider. It ends when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    provider: Arc<Provider>,
    serving: JoinHandle<()>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Simulator {
    /// Starts a provider at this address, with the client `lockstep`. Its issuer is its address.
    ///
    /// # Errors
    /// The address cannot be used.
    pub async fn start(listen: SocketAddr, client_secret: &str, redirect_uri: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let provider = Arc::new(Provider::new(&issuer, client_secret, redirect_uri));
        let serving = tokio::spawn(accept(listener, provider.clone()));
        Ok(Self { provider, serving })
    }

    /// What it knows and how it answers.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }
}

async fn accept(listener: TcpListener, provider: Arc<Provider>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let provider = provider.clone();
        let service = service_fn(move |request| respond(provider.clone(), request));
        connections.spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a connection ended early");
            }
        });
    }
}

async fn respond(
    provider: Arc<Provider>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    if provider.hangs(target) {
        std::future::pending::<()>().await;
    }
    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let authorization = parts.headers.get(AUTHORIZATION);
    let reply = provider.answer(&Asked {
        method: parts.method.as_str(),
        target,
        authorization: authorization.and_then(|value| value.to_str().ok()),
        body: &String::from_utf8_lossy(&body),
        now: now(),
    });
    let mut response = Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, reply.content_type);
    if let Some(location) = reply.location {
        response = response.header(LOCATION, location);
    }
    let response = response.body(Full::new(Bytes::from(reply.body)));
    Ok(response.unwrap_or_default())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a simulated peer has a clock of its own"
)]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
