//! `lockstep simulate` on the command line.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;
use reqwest::Certificate;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::executions_cli::private;
use crate::system::{PATIENCE, Process, shell};

/// A client that trusts only this authority.
fn client(ca: &Path) -> Result<reqwest::Client> {
    // Fails if another test of this process has installed the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = Certificate::from_pem(&std::fs::read(ca)?)?;
    #[expect(clippy::disallowed_methods, reason = "a client of this test only")]
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .build()?;
    Ok(client)
}

/// A simulator with these arguments, and what it prints when it has started.
async fn started(folder: &Path, line: &str) -> Result<(Process, Value)> {
    let arguments: Vec<&str> = line.split(' ').collect();
    let process = Process::start(folder, &arguments, &[])?;
    let greeting = wait::until("the greeting", PATIENCE, async || {
        let text = process.log().map_err(|error| error.to_string())?;
        serde_json::from_str::<Value>(&text).map_err(|error| format!("{error}: {text}"))
    });
    let greeting = greeting.await?;
    Ok((process, greeting))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_cloudvision_serves_what_it_says_until_it_is_interrupted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let line = "--json simulate cvp --listen 127.0.0.1:0 --nodes 2 --tasks 30 --empty 20 --ca-out ca.pem";
    let (mut process, greeting) = started(folder.path(), line).await?;
    ensure!(greeting["tasks"] == 30, "{greeting}");
    let second = greeting["addresses"][1].as_str().context("no second address")?;
    ensure!(second.starts_with("127.0.0.2:"), "{greeting}");

    let client = client(&folder.path().join("ca.pem"))?;
    let user = json!({"userId": greeting["username"], "password": greeting["password"]});
    let login = client
        .post(format!("https://{second}/web/login/authenticate.do"))
        .json(&user);
    let login: Value = login.send().await?.json().await?;
    let session = login["sessionId"].as_str().with_context(|| login.to_string())?;
    let devices = client
        .get(format!("https://{second}/web/inventory/devices"))
        .header("APP_SESSION_ID", session);
    let devices: Vec<Value> = devices.send().await?.json().await?;
    let empty = devices.iter().filter(|device| device["complianceCode"] == "0000");
    ensure!((devices.len(), empty.count()) == (30, 6), "{devices:?}");

    process.signal(Signal::INT)?;
    ensure!(process.ended().await?.success());
    ensure!(
        process
            .log()?
            .contains("received 2 requests, at most 1 at once; cancelled: 0 tasks")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_devices_answer_as_they_say_and_the_last_ones_are_faulty() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let line = "--json simulate fleet --listen 127.65.0.1:0 --devices 6 --faulty 5 --ca-out ca.pem --inventory-out devices.yml";
    let (mut process, greeting) = started(folder.path(), line).await?;
    let client = client(&folder.path().join("ca.pem"))?;
    let password = greeting["password"].as_str().context("no password")?;
    let ask = async |device: usize| {
        let address = greeting["addresses"][device].as_str().unwrap_or_default();
        let parameters = json!({"version": 1, "cmds": ["show hostname"]});
        let body = json!({"jsonrpc": "2.0", "method": "runCmds", "id": 1, "params": parameters});
        let request = client.post(format!("https://{address}/command-api"));
        let answer = request
            .basic_auth("admin", Some(password))
            .json(&body)
            .send()
            .await?;
        answer.error_for_status()?.json::<Value>().await
    };
    let answer = ask(0).await?;
    ensure!(answer["result"][0]["hostname"] == "leaf00001", "{answer}");
    ensure!(ask(1).await.is_err_and(|error| error.is_connect()));
    ensure!(ask(3).await.is_err_and(|error| error.is_status()));
    ensure!(ask(4).await.is_err_and(|error| error.is_decode()));
    ensure!(ask(5).await.is_err());

    process.signal(Signal::INT)?;
    ensure!(process.ended().await?.success());
    let devices = std::fs::read_to_string(folder.path().join("devices.yml"))?;
    ensure!(
        devices.lines().count() == 6 && devices.contains("management_ip: 127.65.0.6"),
        "{devices}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_devices_have_the_configurations_and_sessions_that_were_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("rendered"))?;
    let configuration = "hostname leaf00002\nvlan 7\n   name seven\n";
    std::fs::write(folder.path().join("rendered/leaf00002.cfg"), configuration)?;
    let line = "--json simulate fleet --listen 127.66.0.1:0 --devices 2 --ca-out ca.pem --configurations rendered \
                --release 4.32.2F --session leaf00001=friday";
    let (mut process, greeting) = started(folder.path(), line).await?;
    ensure!(greeting["configured"] == 1, "{greeting}");
    let client = client(&folder.path().join("ca.pem"))?;
    let password = greeting["password"].as_str().context("no password")?;
    let run = async |device: usize, commands: &[&str]| {
        let address = greeting["addresses"][device].as_str().unwrap_or_default();
        let parameters = json!({"version": 1, "format": "json", "cmds": commands});
        let body = json!({"jsonrpc": "2.0", "method": "runCmds", "id": 1, "params": parameters});
        let request = client.post(format!("https://{address}/command-api"));
        let answer = request
            .basic_auth("admin", Some(password))
            .json(&body)
            .send()
            .await?;
        answer.json::<Value>().await
    };
    let shown = run(0, &["enable", "show configuration sessions", "show version"]).await?;
    let session = &shown["result"][1]["sessions"]["friday"];
    ensure!(session["instances"]["1000"]["user"] == "alice", "{shown}");
    ensure!(shown["result"][2]["version"] == "4.32.2F", "{shown}");
    let show = ["enable", "show running-config"];
    let shown = run(1, &show).await?;
    let vlan = &shown["result"][1]["cmds"]["vlan 7"]["cmds"];
    ensure!(vlan.get("name seven").is_some(), "{shown}");
    let by_hand = ["enable", "configure", "vlan 7", "name by-hand"];
    ensure!(run(1, &by_hand).await?["error"].is_null());
    let session = ["enable", "configure session x", "vlan 8", "commit timer 00:05:00"];
    ensure!(run(1, &session).await?["error"].is_null());
    let confirm = ["enable", "configure session x commit"];
    ensure!(run(1, &confirm).await?["error"].is_null());
    let cmds = &run(1, &show).await?["result"][1]["cmds"];
    ensure!(cmds["vlan 7"]["cmds"].get("name by-hand").is_some(), "{cmds}");

    process.signal(Signal::INT)?;
    ensure!(process.ended().await?.success());
    let log = process.log()?;
    ensure!(log.contains("1 commit, 1 confirmed, 0 rolled back"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_identity_provider_prints_a_section_with_which_the_console_knows_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let arguments = ["simulate", "oidc", "--listen", "127.0.0.1:0"];
    let mut process = Process::start(folder.path(), &arguments, &[])?;
    process.prints("Press Ctrl-C to stop").await?;
    let printed = process.log()?;
    let section = printed
        .split_once("[console.oidc]")
        .and_then(|(_, rest)| rest.split_once("Press"))
        .context("no section")?;
    private(
        folder.path(),
        "lockstep.toml",
        &format!("[console.oidc]{}", section.0),
    )?;
    let checked = shell(folder.path(), "lockstep doctor --role console || true")?;
    ensure!(
        checked.contains("begins logins for lockstep and http://127.0.0.1:8910/login/oidc/callback"),
        "{checked}"
    );
    process.signal(Signal::INT)?;
    ensure!(process.ended().await?.success());
    Ok(())
}
