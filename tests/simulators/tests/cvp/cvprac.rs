//! Arista's own client for Python, and the script of the article on empty tasks, unchanged but for the indentation it lost.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::cvp::{CvpSimulator, Endpoint, Options, Scenario, StartError, TaskStatus};

const CLIENT: &str = "cvprac==2.3.0";
const SCRIPT: &str = "seed.py";
const OUTPUT: &str = include_str!("seed.txt");

fn python() -> Result<PathBuf> {
    lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &[CLIENT])
}

/// Runs a script of this folder as the operator of the article does, and returns what it printed.
async fn run(script: &str, host: &str, options: &Options) -> Result<String> {
    let mut command = Command::new(python()?);
    command
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/cvp")
                .join(script),
        )
        .env("CVP_HOSTNAME", host)
        .env("CVP_USERNAME", &options.username)
        .env("CVP_PASSWORD", &options.password)
        .env_remove("CURRENT_NODE_IP")
        .env_remove("https_proxy")
        .env_remove("HTTPS_PROXY");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).context("the script prints text")
}

/// A simulator on the one port the script knows, at a loopback address no other test run has; `None`, and a word on why,
/// where it cannot be had.
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
    assert_eq!(run(SCRIPT, &host, &options).await?, OUTPUT);

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
