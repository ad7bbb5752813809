//! Arista's own Python client, and the script of the article on empty tasks, unchanged except for restored indentation.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Error, Result, ensure};
use lockstep_simulators::cvp::{
    CvpSimulator, Endpoint, Fault, Injection, Options, Scenario, StartError, TaskStatus, Version,
};
use serde_json::{Value, json};

use crate::client::start;

const CLIENT: &str = "cvprac==2.3.0";
const SCRIPT: &str = "seed.py";
const OUTPUT: &str = include_str!("seed.txt");

/// A Python with the client, made once because the tests of this process need it at the same time.
fn python() -> Result<PathBuf> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let made = lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &[CLIENT]);
        made.map_err(|error| format!("{error:#}"))
    });
    python.clone().map_err(Error::msg)
}

/// Runs a script of this folder as the operator of the article does, and returns its output.
async fn run(script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(tokio::task::spawn_blocking(python).await??);
    command
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/cvp")
                .join(script),
        )
        .args(arguments)
        .envs(environment.iter().copied())
        .env_remove("CURRENT_NODE_IP")
        .env_remove("https_proxy")
        .env_remove("HTTPS_PROXY");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).context("the script prints text")
}

/// Runs a function of `cvprac_check.py`, which verifies the simulator's certificate, and returns its result.
async fn cvprac(simulator: &CvpSimulator, function: &str) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, simulator.ca_pem())?;
    let addresses = simulator.addresses();
    let hosts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let port = addresses[0].port().to_string();
    let Options {
        username,
        password,
        token,
        ..
    } = Options::default();
    let environment = [
        ("CVP_HOSTNAME", hosts.join(",")),
        ("CVP_PORT", port),
        ("CVP_CA", ca.to_string_lossy().into_owned()),
        ("CVP_USERNAME", username),
        ("CVP_PASSWORD", password),
        ("CVP_TOKEN", token),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let printed = run("cvprac_check.py", &[function], &environment).await?;
    serde_json::from_str(&printed).with_context(|| printed.clone())
}

/// A simulator on the only port of the script, at a loopback address that no other test run uses. Returns `None` and prints the
/// reason where that is not possible.
async fn on_port_443(scenario: Scenario) -> Result<Option<(CvpSimulator, Options)>> {
    let [.., high, low] = std::process::id().to_be_bytes();
    let options = Options {
        listen: SocketAddr::from(([127, 83, high, low], 443)),
        ..Options::default()
    };
    match CvpSimulator::start(scenario, options.clone()).await {
        Ok(simulator) => Ok(Some((simulator, options))),
        Err(StartError::Listen { address, source }) if source.kind() == ErrorKind::PermissionDenied => {
            eprintln!("skipped: {address} needs root, or net.ipv4.ip_unprivileged_port_start=443: {source}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_of_the_article_prints_what_the_article_shows() -> Result<()> {
    let Some((simulator, options)) = on_port_443(Scenario::seed()).await? else {
        return Ok(());
    };
    let host = options.listen.ip().to_string();
    let environment = [
        ("CVP_HOSTNAME", host.as_str()),
        ("CVP_USERNAME", &options.username),
        ("CVP_PASSWORD", &options.password),
    ];
    assert_eq!(run(SCRIPT, &[], &environment).await?, OUTPUT);

    assert_eq!(simulator.cancelled(), ["1811", "1810", "1809"]);
    assert_eq!(simulator.task_status("1811"), Some(TaskStatus::Cancelled));
    assert_eq!(simulator.task_status("1795"), Some(TaskStatus::Pending));
    let asked: Vec<Endpoint> = simulator
        .requests()
        .iter()
        .map(|request| request.endpoint)
        .collect();
    let begin = [
        Endpoint::Login,
        Endpoint::Tasks,
        Endpoint::Compliance,
        Endpoint::Info,
        Endpoint::Compliance,
    ];
    assert_eq!(asked[..5], begin);
    assert_eq!(
        (
            simulator.count(Endpoint::Compliance),
            simulator.count(Endpoint::Cancel)
        ),
        (14, 3)
    );
    assert_eq!(
        (simulator.logins(), simulator.connections(), asked.len()),
        (1, 1, 20)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cvprac_reads_inventory_change_controls_and_diffs() -> Result<()> {
    let changing = Scenario::seed().edited(|world| {
        world.attach("1785", "cc1");
        world.attach("1784", "cc2");
    });
    let simulator = start(changing).await?;
    let seen = cvprac(&simulator, "read").await?;
    let expected = json!({
        "version": "2022.2.4",
        "inventory": 14,
        "containers": ["My devices"],
        "hostname": "leaf10",
        "same": true,
        "by name": true,
        "change controls": ["cc1", "cc2"],
        "one": "cc2",
        "none": null,
        "diff": 4,
        "unknown task": null,
        "logs": {"total": 0, "data": []},
        "indication": "NONE",
    });
    assert_eq!(seen, expected);
    assert_eq!(simulator.count(Endpoint::Unknown), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cvprac_notes_executes_cancels_and_logs_out() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let seen = cvprac(&simulator, "work").await?;
    assert_eq!(seen, json!(["seen", "Cancelled", "ACTIVE", true]));
    assert_eq!(simulator.task_status("1788"), Some(TaskStatus::Completed));
    assert_eq!(simulator.open_sessions(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cvprac_logs_in_again_when_its_session_ends() -> Result<()> {
    let short = Scenario::seed().tuned(|knobs| knobs.session_requests = Some(3));
    let simulator = start(short).await?;
    assert_eq!(cvprac(&simulator, "poll").await?, json!(vec![14; 10]));
    assert_eq!(simulator.logins(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cvprac_takes_the_next_node_where_one_is_down() -> Result<()> {
    let options = Options {
        nodes: 2,
        ..Options::default()
    };
    let simulator = CvpSimulator::start(Scenario::seed(), options).await?;
    simulator.take_down(0).await;
    assert_eq!(cvprac(&simulator, "poll").await?, json!(vec![14; 10]));
    assert!(simulator.requests().iter().all(|request| request.node == 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cvprac_comes_in_with_a_token_here_and_at_cvaas() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    assert_eq!(cvprac(&simulator, "token").await?, json!([14, "2022.2.4"]));
    let simulator = start(Scenario::seed().version(Version::Cvaas)).await?;
    assert_eq!(cvprac(&simulator, "cvaas").await?, json!([14, "cvaas"]));
    assert_eq!((simulator.logins(), simulator.count(Endpoint::Probe)), (0, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_do_to_cvprac_what_the_real_ones_do() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    simulator.inject(Injection::new(Endpoint::Compliance, Fault::Status(503)));
    simulator.inject(Injection::new(Endpoint::Tasks, Fault::Truncated));
    simulator.inject(Injection::new(Endpoint::Cancel, Fault::NestedErrorCode));
    simulator.inject(Injection::new(Endpoint::Note, Fault::RateLimited(Some(1))));
    simulator.inject(Injection::new(Endpoint::Execute, Fault::LoggedOut));
    let seen = cvprac(&simulator, "suffer").await?;
    let expected = json!([
        null,
        "JSONDecodeError",
        "KeyError",
        "CvpRequestError",
        "CvpSessionLogOutError"
    ]);
    assert_eq!(seen, expected);
    assert_eq!(simulator.count(Endpoint::Execute), 3);
    Ok(())
}
