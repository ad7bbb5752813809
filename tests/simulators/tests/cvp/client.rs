//! A client that returns responses without interpreting them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario};
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Method};
use serde_json::{Value, json};

/// Timeout of waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A duration longer than any test.
pub(crate) const LONG: Duration = Duration::from_hours(1);

pub(crate) const CHECK: &str = "/web/provisioning/checkCompliance.do";
pub(crate) const CANCEL: &str = "/web/task/cancelTask.do";
pub(crate) const PENDING: &str = "/web/task/getTasks.do?queryparam=Pending&startIndex=0&endIndex=0";
pub(crate) const CHANGE_CONTROLS: &str = "/api/resources/changecontrol/v1/ChangeControl/all";
pub(crate) const SUMMARY: &str = "/api/v3/services/compliancecheck.Compliance/GetConfigDiffSummaryForTask";

/// The device of task 1811 in the seed, which is in sync.
pub(crate) const EMPTY: &str = "fc:9b:59:6a:83:8c";
/// The device of task 1788 in the seed, which is not.
pub(crate) const FULL: &str = "48:49:b7:a2:9a:82";

pub(crate) async fn start(scenario: Scenario) -> Result<CvpSimulator> {
    Ok(CvpSimulator::start(scenario, Options::default()).await?)
}

/// A client of one node.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Client {
    /// A client that trusts only the simulator's authority and is not logged in.
    pub(crate) fn new(simulator: &CvpSimulator, node: usize) -> Result<Self> {
        // Fails if another test of this process has installed the provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = Certificate::from_pem(simulator.ca_pem().as_bytes())?;
        #[expect(clippy::disallowed_methods, reason = "a client of this test only")]
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base: simulator.url(node),
            headers: HeaderMap::new(),
        })
    }

    /// The same, logged in.
    pub(crate) async fn logged_in(simulator: &CvpSimulator) -> Result<Self> {
        let client = Self::new(simulator, 0)?;
        let session = client.login().await?;
        client.with("app_session_id", &session)
    }

    /// Adds this header to all later requests.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Result<Self> {
        self.headers.insert(name, value.parse()?);
        Ok(self)
    }

    /// Logs in, and returns the session.
    pub(crate) async fn login(&self) -> Result<String> {
        let Options {
            username, password, ..
        } = Options::default();
        let body = json!({"userId": username, "password": password});
        let reply = self.post("/web/login/authenticate.do", body).await?.json()?;
        Ok(reply["sessionId"].as_str().context("no session")?.to_owned())
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Reply> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn check(&self, mac: &str) -> Result<Value> {
        let body = json!({"nodeId": mac, "nodeType": "netelement"});
        self.post(CHECK, body).await?.json()
    }

    pub(crate) async fn cancel(&self, task: &str) -> Result<Value> {
        self.post(CANCEL, json!({"data": [task]})).await?.json()
    }

    pub(crate) async fn task(&self, id: &str) -> Result<Value> {
        let path = format!("/web/task/getTaskById.do?taskId={id}");
        self.get(&path).await?.json()
    }

    /// The tasks a path lists.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut reply = self.get(path).await?.json()?;
        serde_json::from_value(reply["data"].take()).context("no list")
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Reply> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, url).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Reply {
            status,
            headers,
            text,
        })
    }
}

impl Reply {
    /// The body of a 200.
    pub(crate) fn json(&self) -> Result<Value> {
        ensure!(self.status == 200, "{}: {}", self.status, self.text);
        serde_json::from_str(&self.text).with_context(|| format!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).collect()
    }
}
