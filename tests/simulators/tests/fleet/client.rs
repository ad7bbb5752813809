//! A client of eAPI that does nothing by itself.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::fleet::{Device, FleetSimulator, Options, Time};
use serde_json::{Value, json};

/// One device whose time stands still, and a client.
pub(crate) struct Scene {
    pub(crate) fleet: FleetSimulator,
    http: reqwest::Client,
    address: SocketAddr,
}

impl Scene {
    pub(crate) async fn start() -> Result<Self> {
        let options = Options {
            time: Time::StandsStill,
            ..Options::default()
        };
        let fleet = FleetSimulator::start(vec![Device::numbered(1)], options).await?;
        let http = http(&fleet)?;
        let address = fleet.addresses()[0];
        Ok(Self { fleet, http, address })
    }

    /// Sends a request. An error means that there is no answer.
    pub(crate) async fn send(&self, format: &str, commands: Value) -> Result<Value> {
        let Options {
            username, password, ..
        } = Options::default();
        let body = json!({
            "jsonrpc": "2.0", "method": "runCmds", "id": 1,
            "params": {"version": 1, "format": format, "cmds": commands, "autoComplete": false, "expandAliases": false},
        });
        let request = self
            .http
            .post(format!("https://{}/command-api", self.address))
            .basic_auth(username, Some(password))
            .body(body.to_string());
        let answer = request.send().await?.bytes().await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Runs commands after `enable`, and returns the outputs after it.
    pub(crate) async fn run(&self, commands: &[&str]) -> Result<Vec<Value>> {
        let answer = self.send("json", json!([&["enable"], commands].concat())).await?;
        let outputs = answer["result"].as_array();
        let outputs = outputs.with_context(|| answer["error"].to_string())?;
        Ok(outputs[1..].to_vec())
    }

    /// The text that a command shows.
    pub(crate) async fn text(&self, command: &str) -> Result<String> {
        let answer = self.send("text", json!(["enable", command])).await?;
        let output = answer["result"][1]["output"].as_str();
        Ok(output.with_context(|| answer["error"].to_string())?.to_owned())
    }

    /// The code and the text of the error of the last of these commands.
    pub(crate) async fn refused(&self, commands: &[&str]) -> Result<(i64, String)> {
        let answer = self.send("json", json!([&["enable"], commands].concat())).await?;
        let error = &answer["error"];
        ensure!(error.is_object(), "{answer}");
        let data = error["data"].as_array().context("the outputs")?;
        ensure!(
            data.len() == commands.len() + 1,
            "another command failed: {answer}"
        );
        let text = data[commands.len()]["errors"][0].as_str().context("the error")?;
        Ok((error["code"].as_i64().context("a code")?, text.to_owned()))
    }

    /// Loads this candidate in the place of the whole configuration.
    pub(crate) async fn load(&self, session: &str, configuration: &str) -> Result<()> {
        let configure = format!("configure session {session}");
        let mut commands = vec![configure.as_str(), "rollback clean-config"];
        commands.extend(configuration.lines());
        self.run(&commands).await.map(drop)
    }

    pub(crate) async fn difference(&self, session: &str) -> Result<String> {
        self.text(&format!("show session-config named {session} diffs"))
            .await
    }

    /// A command about a session: `commit`, `commit timer …`, `abort`.
    pub(crate) async fn session(&self, session: &str, command: &str) -> Result<()> {
        self.run(&[&format!("configure session {session} {command}")])
            .await
            .map(drop)
    }
}

/// A client that trusts only the authority of these devices.
pub(crate) fn http(fleet: &FleetSimulator) -> Result<reqwest::Client> {
    // Fails if another test of this process has installed the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a client of this test only")]
    let http = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(fleet.ca_pem().as_bytes())?])
        .no_proxy()
        .build()?;
    Ok(http)
}
