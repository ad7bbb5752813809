//! A client of the console's HTTP API.

mod access;
mod executions;
mod groups;
mod messages;
mod sync;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail};
use lockstep_http::binding;
use lockstep_protocol::rest::{
    DeadLetterCounts, DeadLetterDetail, DeadLetterPage, DevicePage, DeviceView, FleetAges, HistoryPage,
    MessageView, Problem, RepositoryList, RepositoryView, SurroundingsView,
};
use lockstep_protocol::{Digest, Identity, mask_url};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Global, response};
use crate::config::Overrides;
use crate::{data_folder, roles, telemetry};

/// How long a request may take that does not wait for an outcome.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest wait of one request. The console allows a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The header that says why a request is sent.
const REASON: &str = "lockstep-reason";

/// How often a request is sent while the console is busy or unavailable.
const ATTEMPTS: u32 = 5;

/// A client of one console.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: SecretString,
    /// Why requests are sent, for the audit.
    reason: Option<String>,
}

/// A response of the console other than success.
#[derive(Debug)]
pub(super) struct Rejected {
    status: StatusCode,
    problem: Option<Problem>,
}

impl Rejected {
    /// The code of the problem, for programs.
    pub(super) fn code(&self) -> &str {
        match &self.problem {
            _ if self.status == StatusCode::UNAUTHORIZED => "unauthorized",
            None => "failed",
            Some(problem) => problem.kind.rsplit(':').next().unwrap_or_default(),
        }
    }

    /// Whether the requested object does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// Whether the same request may succeed a moment later.
    fn is_temporary(&self) -> bool {
        matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        )
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status == StatusCode::UNAUTHORIZED {
            return f.write_str(
                "the console does not accept this token; set another with --token, LOCKSTEP_TOKEN or LOCKSTEP_TOKEN_FILE",
            );
        }
        let Some(problem) = &self.problem else {
            return write!(
                f,
                "the response was {}; is this the address of a Lockstep console?",
                self.status
            );
        };
        f.write_str(&problem.title)?;
        if let Some(place) = &problem.place {
            write!(f, " at {place}")?;
        }
        if let Some(detail) = &problem.detail {
            write!(f, ": {detail}")?;
        }
        write!(f, " ({})", self.code())
    }
}

impl std::error::Error for Rejected {}

impl Client {
    /// A client for the console that flags or environment name, else for the `lockstep up` on this machine.
    ///
    /// # Errors
    /// If no address or no token is known.
    pub(super) fn new(global: &Global) -> anyhow::Result<Self> {
        if global.verbose > 0 {
            let config = global.configuration(Overrides::default())?;
            // Fails only if another client of this command started it.
            let _ = telemetry::logs(&config.log, global.verbose);
        }
        let configured = configured_token(global)?;
        let (url, token) = match (&global.url, configured) {
            (Some(url), Some(token)) => (url.clone(), token),
            (Some(url), None) => {
                // The local token is sent to the local console only.
                let local = local(global)
                    .ok()
                    .flatten()
                    .filter(|local| is_same(&local.url, url));
                let Some(local) = local else {
                    bail!(
                        "no token for {}: set one with --token, LOCKSTEP_TOKEN or LOCKSTEP_TOKEN_FILE",
                        mask_url(url)
                    );
                };
                (url.clone(), local.token)
            }
            (None, Some(_)) => {
                // Whoever wrote the address in the data folder would get a token that was meant for another console.
                return Err(super::UsageError(
                    "a token is set, but not the console that it is for; add --url or LOCKSTEP_URL, or unset the token to use the \
                     `lockstep up` on this machine, which has its own"
                        .to_owned(),
                )
                .into());
            }
            (None, None) => {
                let Some(local) = local(global)? else {
                    let folder = global.configuration(Overrides::default())?.data_dir;
                    bail!(
                        "found no running Lockstep in {}: start `lockstep up`, set LOCKSTEP__DATA_DIR if it runs with another data folder, or name a console with --url and --token",
                        folder.display()
                    );
                };
                (local.url, local.token)
            }
        };
        let client = Self::of(&url, token)?;
        Ok(Self {
            reason: global.reason.clone(),
            ..client
        })
    }

    /// A client for the console at this address.
    ///
    /// # Errors
    /// If the address is not valid.
    pub(super) fn at(address: &data_folder::ConsoleAddress) -> anyhow::Result<Self> {
        Self::of(&address.url, address.token.clone())
    }

    fn of(url: &str, token: SecretString) -> anyhow::Result<Self> {
        match Url::parse(url) {
            Ok(parsed)
                if matches!(parsed.scheme(), "http" | "https")
                    && parsed.has_host()
                    && parsed.username().is_empty()
                    && parsed.password().is_none() => {}
            _ => {
                return Err(super::UsageError(format!(
                    "{:?} is not a valid address of a console; expected one such as http://127.0.0.1:8910",
                    mask_url(url)
                ))
                .into());
            }
        }
        Ok(Self {
            http: roles::http_client()?,
            base: url.trim_end_matches('/').to_owned(),
            token,
            reason: None,
        })
    }

    /// Publishes a message in structured CloudEvents JSON. Sends it again while the console is busy, which is safe: a message with
    /// the same identity is processed once.
    ///
    /// # Errors
    /// If the console rejects it or cannot be reached.
    pub(super) async fn publish(&self, message: Vec<u8>) -> anyhow::Result<()> {
        let message = bytes::Bytes::from(message);
        let mut attempt = 1;
        loop {
            let request = self.request(Method::POST, "/v1/events").timeout(TIMEOUT);
            let request = request
                .header("content-type", "application/cloudevents+json")
                .body(message.clone());
            match self.send(request).await {
                Ok(_) => return Ok(()),
                Err(error) if attempt < ATTEMPTS && is_temporary(&error) => {
                    tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the outcome of the message with this content that was sent with this token, also while the console or the store
    /// is unavailable. `None` if there is no outcome in time.
    ///
    /// # Errors
    /// If the console rejects the request, or cannot be reached when the time is over.
    pub(super) async fn outcome(
        &self,
        identity: &Identity,
        digest: Digest,
        wait: Duration,
    ) -> anyhow::Result<Option<MessageView>> {
        let digest = digest.to_string();
        self.outcome_of(identity, &[("digest", &digest)], wait).await
    }

    /// The outcome of a message now. `sender` are the parameters that name who sent it; without any, it was sent with this token.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(super) async fn outcome_now(
        &self,
        identity: &Identity,
        sender: &[(&str, &str)],
    ) -> anyhow::Result<Option<MessageView>> {
        self.outcome_of(identity, sender, Duration::ZERO).await
    }

    async fn outcome_of(
        &self,
        identity: &Identity,
        selection: &[(&str, &str)],
        wait: Duration,
    ) -> anyhow::Result<Option<MessageView>> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait_seconds = left.min(LONGEST_WAIT).as_secs();
            let query = [
                ("source", identity.source.as_str()),
                ("id", identity.id.as_str()),
                ("wait", &wait_seconds.to_string()),
            ];
            let request = self
                .request(Method::GET, "/v1/messages")
                .query(&query)
                .query(selection);
            let error = match self.send(request.timeout(LONGEST_WAIT + TIMEOUT)).await {
                Ok(response) => return Ok(Some(read(response).await?)),
                Err(error) => error,
            };
            let absent = error
                .downcast_ref::<Rejected>()
                .is_some_and(Rejected::is_not_found);
            if Instant::now() >= deadline {
                return if absent { Ok(None) } else { Err(error) };
            }
            if !absent {
                if !is_temporary(&error) && !error.is::<Unreachable>() {
                    return Err(error);
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            } else if wait_seconds == 0 {
                // Less than a second is left, and requests wait for whole seconds.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// A page of devices.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(super) async fn devices(&self, query: &[(&str, String)]) -> anyhow::Result<DevicePage> {
        let request = self
            .request(Method::GET, "/v1/devices")
            .query(query)
            .timeout(TIMEOUT);
        read(self.send(request).await?).await
    }

    /// One device.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(super) async fn device(&self, hostname: &str) -> anyhow::Result<DeviceView> {
        let request = self
            .request(Method::GET, &format!("/v1/devices/{hostname}"))
            .timeout(TIMEOUT);
        read(self.send(request).await?).await
    }

    /// How old unsynchronized flags or states are.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(super) async fn fleet_ages(&self, query: &[(&str, String)]) -> anyhow::Result<FleetAges> {
        self.get(&["fleet", "ages"], query).await
    }

    /// What belongs to a device, and where its links lead.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(super) async fn surroundings(&self, hostname: &str) -> anyhow::Result<SurroundingsView> {
        self.get(&["devices", hostname, "surroundings"], &[]).await
    }

    /// A page of the history of a device.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(super) async fn device_history(
        &self,
        hostname: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<HistoryPage> {
        let request = self
            .request(Method::GET, &format!("/v1/devices/{hostname}/history"))
            .query(query)
            .timeout(TIMEOUT);
        read(self.send(request).await?).await
    }

    /// All repositories that were refreshed at least once or cannot be fetched.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(super) async fn repositories(&self) -> anyhow::Result<Vec<RepositoryView>> {
        let request = self.request(Method::GET, "/v1/repositories").timeout(TIMEOUT);
        let list: RepositoryList = read(self.send(request).await?).await?;
        Ok(list.repositories)
    }

    /// A page of dead letters.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(super) async fn dead_letters(&self, query: &[(&str, String)]) -> anyhow::Result<DeadLetterPage> {
        let request = self.request(Method::GET, "/v1/dead").query(query);
        read(self.send(request.timeout(TIMEOUT)).await?).await
    }

    /// The number of unsettled dead letters, by lane, type and code.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(super) async fn dead_letter_counts(
        &self,
        query: &[(&str, String)],
    ) -> anyhow::Result<DeadLetterCounts> {
        let request = self.request(Method::GET, "/v1/dead/counts").query(query);
        read(self.send(request.timeout(TIMEOUT)).await?).await
    }

    /// One dead letter, with its body.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(super) async fn dead_letter(&self, number: u64) -> anyhow::Result<DeadLetterDetail> {
        let request = self.request(Method::GET, &format!("/v1/dead/{number}"));
        read(self.send(request.timeout(TIMEOUT)).await?).await
    }

    /// Reads what is at this path below `/v1`.
    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<T> {
        let request = self.request_at(Method::GET, path)?.query(query);
        read(self.send(request.timeout(TIMEOUT)).await?).await
    }

    /// A request at this path below `/v1`, of whose parts each may have any characters.
    fn request_at(&self, method: Method, path: &[&str]) -> anyhow::Result<RequestBuilder> {
        let mut url = Url::parse(&self.base).context("the address of the console is not valid")?;
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("the address of the console has no path"))?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        Ok(self.authorized(self.http.request(method, url)))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.authorized(self.http.request(method, format!("{}{path}", self.base)))
    }

    /// The same request, with the token and the reason.
    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.bearer_auth(self.token.expose_secret());
        match &self.reason {
            Some(reason) => request.header(REASON, binding::header_value(reason)),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let unreachable = |source| Unreachable {
            base: self.base.clone(),
            source,
        };
        let request = request.build().map_err(unreachable)?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let began_at = Instant::now();
        let response = self.http.execute(request).await;
        let duration_ms = began_at.elapsed().as_millis();
        match &response {
            Ok(response) => {
                let status = response.status().as_u16();
                tracing::debug!(%method, %url, status, duration_ms, "request answered");
            }
            Err(error) => tracing::debug!(%method, %url, %error, duration_ms, "request failed"),
        }
        let response = response.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response::body(response).await.unwrap_or_default();
        let problem = serde_json::from_slice(&body).ok();
        Err(Rejected { status, problem }.into())
    }
}

/// The console did not answer.
#[derive(Debug)]
pub(super) struct Unreachable {
    base: String,
    source: reqwest::Error,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = &self.base;
        if self.source.is_connect() {
            write!(
                f,
                "cannot connect to {base}; is `lockstep up` or `lockstep console` running there?"
            )
        } else if self.source.is_timeout() {
            write!(f, "{base} did not answer in time")
        } else {
            write!(f, "the request to {base} failed")
        }
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether the console may answer the same request a moment later, or be back then.
pub(super) fn is_passing(error: &anyhow::Error) -> bool {
    is_temporary(error) || error.is::<Unreachable>()
}

fn is_temporary(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Rejected>()
        .is_some_and(Rejected::is_temporary)
}

async fn read<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    let body = response::body(response).await?;
    serde_json::from_slice(&body)
        .context("cannot read the response; is this the address of a Lockstep console?")
}

fn configured_token(global: &Global) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = &global.token_file else {
        return Ok(global.token.clone());
    };
    Ok(Some(super::secret_file(path)?))
}

fn local(global: &Global) -> anyhow::Result<Option<data_folder::ConsoleAddress>> {
    let config = global.configuration(Overrides::default())?;
    data_folder::console(&config.data_dir)
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
