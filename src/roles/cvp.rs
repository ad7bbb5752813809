//! Builds clients of CloudVision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lockstep_clock::SystemClock;
use lockstep_cvp::{ClientOptions, CvpClient, RetryOptions};
use lockstep_cvp_provider::SweptCluster;

use super::http::authorities;
use crate::config::{CvpClusters, CvpConfig};

/// How long connecting to a node may take; short, so that the next node is tried soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The name in the notes on tasks.
pub(crate) const CVP_AUTHOR: &str = concat!("Lockstep ", env!("CARGO_PKG_VERSION"));

/// How long a login may take, on each node.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// A client for a cluster.
///
/// # Errors
/// If the certificates of its authority cannot be read.
pub(crate) fn cvp_client(config: &CvpConfig) -> anyhow::Result<CvpClient> {
    let options = ClientOptions {
        nodes: config.hosts.clone(),
        credentials: config.credentials.clone(),
        cloud: config.cloud,
        concurrency: usize::from(config.concurrency),
        timeout: config.timeout,
        login_timeout: LOGIN_TIMEOUT.min(config.timeout),
        retry: RetryOptions::default(),
    };
    Ok(CvpClient::new(http(config)?, options, Arc::new(SystemClock)))
}

/// The clusters that a worker sweeps, each with one client: one session for all tasks.
///
/// # Errors
/// As [`cvp_client`].
pub(super) fn swept(clusters: &CvpClusters) -> anyhow::Result<BTreeMap<String, SweptCluster>> {
    let cluster = |(name, config): (&String, &CvpConfig)| {
        let client = cvp_client(config).with_context(|| format!("cluster {name}"))?;
        let policy = config.policy.clone();
        let swept = SweptCluster::new(Arc::new(client), Arc::new(SystemClock), policy, CVP_AUTHOR);
        Ok((name.clone(), swept))
    };
    clusters.iter().map(cluster).collect()
}

/// Does not follow redirects: they could leak the session, and old releases redirect after the session expired.
#[expect(
    clippy::disallowed_methods,
    reason = "the composition root builds HTTP clients; this one has the TLS and the proxy of the cluster"
)]
fn http(config: &CvpConfig) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
        .pool_max_idle_per_host(usize::from(config.concurrency))
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .http1_only()
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &config.ca_file {
        builder = builder.tls_certs_only(authorities("ca_file", file)?);
    }
    if config.insecure {
        tracing::warn!(
            "certificates are not verified; anyone between this machine and the cluster can read the password"
        );
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(proxy) = &config.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.expose()).context("cannot use the proxy")?);
    }
    builder.build().context("cannot start the HTTP client")
}
