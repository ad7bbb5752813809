//! Thousands of devices in one process.

use anyhow::{Context, Result, ensure};
use lockstep_simulators::fleet::{Device, FleetSimulator, Hold, Options, When};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::http;

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_devices_start_in_one_process() -> Result<()> {
    let devices = (1..=2000).map(Device::numbered).collect();
    let fleet = FleetSimulator::start(devices, Options::default()).await?;
    let addresses = fleet.addresses();
    assert_eq!(addresses.len(), 2000);
    assert_eq!(addresses[1999].ip().to_string(), "127.64.7.208");
    assert!(
        addresses
            .iter()
            .all(|address| address.port() == addresses[0].port())
    );
    fleet.take_down(1999).await;
    assert!(tokio::net::TcpStream::connect(addresses[1999]).await.is_err());
    fleet.bring_up(1999).await?;
    tokio::net::TcpStream::connect(addresses[1999]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_work_at_the_same_time() -> Result<()> {
    const DEVICES: usize = 50;

    let devices = (1..).map(Device::numbered).take(DEVICES).collect();
    let fleet = FleetSimulator::start(devices, Options::default()).await?;
    let holds: Vec<Hold> = (0..DEVICES)
        .map(|device| fleet.hold(device, "show session-config diffs", When::Before))
        .collect();
    let http = http(&fleet)?;
    let mut comparing = JoinSet::new();
    for address in fleet.addresses() {
        let http = http.clone();
        comparing.spawn(async move {
            let commands = [
                "enable",
                "configure session plan",
                "vlan 199",
                "show session-config diffs",
                "abort",
            ];
            let body = json!({
                "jsonrpc": "2.0", "method": "runCmds", "id": 1,
                "params": {"version": 1, "format": "text", "cmds": commands},
            });
            let Options {
                username, password, ..
            } = Options::default();
            let request = http.post(format!("https://{address}/command-api"));
            let request = request
                .basic_auth(username, Some(password))
                .body(body.to_string());
            let answer: Value = serde_json::from_slice(&request.send().await?.bytes().await?)?;
            let difference = answer["result"][3]["output"].as_str();
            let difference = difference.with_context(|| answer["error"].to_string())?;
            ensure!(difference.contains("+vlan 199\n"), "{difference}");
            Ok(())
        });
    }
    for hold in &holds {
        hold.arrived(1).await;
    }
    assert_eq!(fleet.in_flight(), DEVICES);
    drop(holds);
    while let Some(compared) = comparing.join_next().await {
        compared??;
    }
    Ok(())
}
