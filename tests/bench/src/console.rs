//! A console on a store, in this process or in one of its own.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context;
use lockstep_api::{AccessOptions, Console, ConsoleContext, Providers, SyncRules};
use lockstep_bus::fake::FakeBus;
use lockstep_clock::SystemClock;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::commands::TaskSaveRequested;
use lockstep_protocol::rest::{ProviderView, RuleView, TaskForm, TaskProblem, TaskView};
use lockstep_protocol::{DeviceState, DeviceType, SyncTarget};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// The token of the console, which may read everything and publish nothing.
pub(crate) const SECRET: &str = "bench";

/// The hidden command that serves a console on a store until its standard input ends.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsoleProcess {
    /// The store.
    #[arg(long)]
    postgres: String,
}

/// Serves a console, and prints its address.
///
/// # Errors
/// There is no address, or the store has none.
pub(crate) async fn run(
    process: ConsoleProcess,
    print: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let store = PostgresStore::connect(PostgresOptions::new(process.postgres))?;
    let (url, stop) = serve(&store).await?;
    print(&url)?;
    let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    ended.await??;
    stop.cancel();
    Ok(())
}

/// Serves a console in this process. Returns its address without a path, and what ends it.
///
/// # Errors
/// There is no address.
pub(crate) async fn serve(store: &Arc<PostgresStore>) -> anyhow::Result<(String, CancellationToken)> {
    let token = Token::new("bench", &SECRET.into(), Vec::new()).with_reads(ReadScope::ALL.iter().copied());
    let context = ConsoleContext {
        bus: Arc::new(FakeBus::default()),
        inbox: store.clone(),
        messages: store.clone(),
        fleet: store.clone(),
        fleet_trend: store.clone(),
        repositories: store.clone(),
        dead_letters: store.clone(),
        tasks: store.clone(),
        executions: store.clone(),
        entities: store.clone(),
        cycle: store.clone(),
        syncs: store.clone(),
        providers: Arc::new(Nothing),
        sync_rules: Arc::new(Nothing),
        access_tokens: store.clone(),
        login_sessions: store.clone(),
        oidc_logins: store.clone(),
        oidc: None,
        audit: store.clone(),
        access: AccessOptions::default(),
        schema: store.clone(),
        clock: Arc::new(SystemClock),
        tokens: [token].into_iter().collect(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    tokio::spawn(Console::new(context).serve(listener, stop.clone()));
    Ok((url, stop))
}

/// A client of a console on the loopback interface.
///
/// # Errors
/// It cannot be built.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the bench speaks to itself, without TLS"
    )]
    let client = reqwest::Client::builder().no_proxy().build()?;
    Ok(client)
}

/// A console in a process of its own. Dropping it kills the process.
pub(crate) struct Separate {
    child: Child,
    /// Its address without a path.
    pub(crate) url: String,
}

impl Separate {
    /// Starts this program again as a console on the store at `postgres`.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) async fn start(postgres: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["console-process", "--postgres", postgres])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("the output of the console")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        Ok(Self {
            child,
            url: line.context("the console ended")?,
        })
    }

    /// Its process.
    ///
    /// # Errors
    /// It ended.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the console ended")
    }
}

/// Knows no providers and contacts no devices.
#[derive(Debug)]
struct Nothing;

impl Providers for Nothing {
    fn list(&self) -> Vec<ProviderView> {
        Vec::new()
    }

    fn problems(&self, _task: &TaskSaveRequested) -> Vec<TaskProblem> {
        Vec::new()
    }

    fn run_problems(&self, _form: &TaskForm, _arguments: &Value) -> Vec<TaskProblem> {
        Vec::new()
    }

    fn form(&self, _task: TaskView) -> Result<TaskForm, TaskProblem> {
        Err(TaskProblem {
            place: "$.provider".to_owned(),
            reason: "no provider".to_owned(),
        })
    }
}

impl SyncRules for Nothing {
    fn selects(&self, _: &SyncTarget, _: bool, _: DeviceState, _: bool) -> Result<(), String> {
        Err("nothing is contacted".to_owned())
    }

    fn rules(&self, _: &str, _: &str) -> Vec<RuleView> {
        Vec::new()
    }

    fn knows(&self, _: &DeviceType) -> Result<(), String> {
        Err("no type".to_owned())
    }
}
