//! Arista's own Python client, unchanged.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::fleet::{Behaviour, Device, FleetSimulator, Options};
use serde_json::Value;

const CLIENT: &str = "pyeapi==1.0.4";

/// Runs `pyeapi_check.py`, which verifies the certificates of the devices, and returns what it saw.
async fn pyeapi(fleet: &FleetSimulator) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, fleet.ca_pem())?;
    let addresses = fleet.addresses();
    let hosts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let port = addresses[0].port().to_string();
    let Options {
        username, password, ..
    } = Options::default();
    let output = tokio::task::spawn_blocking(move || -> Result<_> {
        let packages = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let python = lockstep_testbed::python_with(packages, &[CLIENT])?;
        let output = Command::new(python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/fleet/pyeapi_check.py"
            ))
            .env("EAPI_HOSTS", hosts.join(","))
            .env("EAPI_PORT", port)
            .env("EAPI_CA", ca)
            .env("EAPI_USERNAME", username)
            .env("EAPI_PASSWORD", password)
            .output()?;
        Ok(output)
    })
    .await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).context("the script prints JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn pyeapi_reads_devices_and_understands_their_faults() -> Result<()> {
    let behaviours = [Behaviour::Healthy, Behaviour::Garbage, Behaviour::LosesAnswer];
    let devices = (1..)
        .zip(behaviours)
        .map(|(n, behaviour)| Device::numbered(n).with(behaviour));
    let fleet = FleetSimulator::start(devices.collect(), Options::default()).await?;
    let seen = pyeapi(&fleet).await?;

    assert_eq!(seen["version"], "4.30.3M");
    assert_eq!(seen["model"], "7050", "the number in the name of the model");
    assert_eq!(seen["serial"], "SIM00000001");
    assert_eq!(seen["neighbor"], "spine1");
    let running = fleet.edit(0, |device| device.running_configuration());
    assert_eq!(seen["running"], running.trim_end(), "{seen}");
    let section = seen["section"].as_str().context("a section is text")?;
    assert!(section.contains("switchport access vlan 102"), "{section}");
    assert_eq!(seen["text"], "Hostname: leaf00001\nFQDN:     leaf00001\n");
    assert_eq!(seen["invalid"]["type"], "CommandError");
    assert_eq!(seen["invalid"]["code"], 1002);
    for fault in ["password", "garbage", "lost"] {
        assert_eq!(seen[fault]["type"], "ConnectionError", "{fault}: {}", seen[fault]);
    }
    assert_eq!(
        fleet.commands(2),
        ["enable", "show version"],
        "it executed what it did not answer"
    );
    Ok(())
}

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
