//! `lockstep simulate` on the command line.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;
use reqwest::Certificate;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::system::{PATIENCE, Process};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_cloudvision_serves_what_it_says_until_it_is_interrupted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let line = "--json simulate cvp --listen 127.0.0.1:0 --nodes 2 --tasks 30 --empty 20 --ca-out ca.pem";
    let arguments: Vec<&str> = line.split(' ').collect();
    let mut process = Process::start(folder.path(), &arguments, &[])?;
    let greeting = wait::until("the greeting", PATIENCE, async || {
        let text = process.log().map_err(|error| error.to_string())?;
        serde_json::from_str::<Value>(&text).map_err(|error| format!("{error}: {text}"))
    });
    let greeting = greeting.await?;
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
            .contains("received 2 requests, at most 1 at once; 0 tasks are cancelled")
    );
    Ok(())
}
