//! A simulated CloudVision, and a client with short delays.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep_clock::SystemClock;
use lockstep_cvp::sweep::{ConfirmOptions, Summary, SweepContext, SweepEvent, SweepOptions, TaskReport, run};
use lockstep_cvp::wire::TaskId;
use lockstep_cvp::{ClientOptions, Credentials, CvpClient, CvpError, Policy, RetryOptions};
use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario};

/// The timeout of one request: longer than any answer takes, also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The certificate of an authority that signed nothing here.
const OTHER_AUTHORITY: &[u8] = include_bytes!("other-ca.pem");

pub(crate) struct Scene {
    pub(crate) simulator: CvpSimulator,
    pub(crate) client: Arc<CvpClient>,
}

/// The certificates that the client trusts.
pub(crate) enum Trust {
    Simulator,
    Others,
    Anyone,
}

impl Scene {
    pub(crate) async fn new(scenario: Scenario) -> Self {
        Self::with(scenario, 1, |_| {}).await
    }

    pub(crate) async fn with(scenario: Scenario, nodes: u8, change: impl FnOnce(&mut ClientOptions)) -> Self {
        let simulator = start(scenario, nodes).await;
        let client = Arc::new(client(&simulator, &Trust::Simulator, change));
        Self { simulator, client }
    }

    /// Runs a sweep, and checks that each listed task has exactly one outcome.
    pub(crate) async fn sweep(&self, options: SweepOptions) -> (Result<Summary, CvpError>, Outcomes) {
        let outcomes = Arc::new(Mutex::new(BTreeMap::new()));
        let observe = {
            let outcomes = outcomes.clone();
            move |event: SweepEvent<'_>| {
                if let SweepEvent::Settled(report) = event {
                    let twice = lock(&outcomes).insert(report.task_id.to_string(), report.clone());
                    assert!(twice.is_none(), "two outcomes of {}", report.task_id);
                }
            }
        };
        let context = SweepContext {
            cvp: self.client.clone(),
            clock: Arc::new(SystemClock),
            observe: Arc::new(observe),
        };
        let summary = run(context, options).await;
        let outcomes = Outcomes(std::mem::take(&mut *lock(&outcomes)));
        if let Ok(summary) = &summary {
            let ended = summary.cancelled + summary.kept + summary.failed + summary.gone;
            assert_eq!(
                (summary.listed, ended),
                (outcomes.0.len() as u64, summary.listed),
                "{summary:?}"
            );
        }
        (summary, outcomes)
    }
}

/// The outcome of each task.
pub(crate) struct Outcomes(pub(crate) BTreeMap<String, TaskReport>);

impl Outcomes {
    pub(crate) fn of(&self, task: &str) -> String {
        let outcome = &self.0[task].outcome;
        let action = format!("{:?}", outcome.action()).to_lowercase();
        let reasons = outcome.reasons();
        if reasons.is_empty() {
            action
        } else {
            format!("{action}: {}", reasons.join(", "))
        }
    }
}

pub(crate) async fn start(scenario: Scenario, nodes: u8) -> CvpSimulator {
    // It fails if another test installed the provider before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options {
        nodes,
        ..Options::default()
    };
    let simulator = CvpSimulator::start(scenario, options).await;
    simulator.expect("free ports are found")
}

#[expect(clippy::disallowed_methods, reason = "tests have clients of their own")]
pub(crate) fn client(
    simulator: &CvpSimulator,
    trust: &Trust,
    change: impl FnOnce(&mut ClientOptions),
) -> CvpClient {
    let builder = reqwest::Client::builder()
        .connect_timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let builder = match trust {
        Trust::Simulator => builder.tls_certs_only(authority(simulator.ca_pem().as_bytes())),
        Trust::Others => builder.tls_certs_only(authority(OTHER_AUTHORITY)),
        Trust::Anyone => builder.tls_danger_accept_invalid_certs(true),
    };
    let usual = Options::default();
    let mut options = ClientOptions {
        nodes: simulator
            .addresses()
            .iter()
            .map(|address| address.to_string().parse().expect("an address is a node"))
            .collect(),
        credentials: Credentials::Password {
            username: usual.username,
            password: usual.password.into(),
        },
        cloud: false,
        concurrency: 32,
        timeout: TIMEOUT,
        login_timeout: TIMEOUT,
        retry: RetryOptions {
            tries: 4,
            first: Duration::from_millis(2),
            most: Duration::from_millis(20),
            deadline: Duration::from_secs(20),
        },
    };
    change(&mut options);
    let http = builder.build().expect("the TLS stack starts");
    CvpClient::new(http, options, Arc::new(SystemClock))
}

fn authority(pem: &[u8]) -> Vec<reqwest::Certificate> {
    reqwest::Certificate::from_pem_bundle(pem).expect("certificates in PEM")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds it")
}

/// Options of a sweep that cancels, with short waits.
pub(crate) fn live() -> SweepOptions {
    SweepOptions {
        dry_run: false,
        policy: Policy {
            reading_gap: Duration::from_millis(1),
            ..Policy::default()
        },
        confirm: ConfirmOptions {
            first: Duration::from_millis(5),
            most: Duration::from_millis(20),
            deadline: Duration::from_secs(2),
            lost: Duration::from_millis(100),
            cancels: 3,
        },
        ..SweepOptions::default()
    }
}

pub(crate) fn id(task: &str) -> TaskId {
    TaskId::from(task.to_owned())
}
