//! Arista's own Python client, unchanged.

use anyhow::{Context, Result};
use lockstep_simulators::fleet::{Behaviour, Device, FleetSimulator, Options};

use serde_json::json;

use crate::python;

const PACKAGES: &[&str] = &["pyeapi==1.0.4"];

#[tokio::test(flavor = "multi_thread")]
async fn pyeapi_reads_and_configures_devices_and_understands_their_faults() -> Result<()> {
    let behaviours = [
        Behaviour::Healthy,
        Behaviour::Garbage,
        Behaviour::LosesAnswer,
        Behaviour::Healthy,
    ];
    let devices = (1..)
        .zip(behaviours)
        .map(|(n, behaviour)| Device::numbered(n).with(behaviour));
    let fleet = FleetSimulator::start(devices.collect(), Options::default()).await?;
    let seen = python::run(&fleet, "pyeapi_check.py", PACKAGES).await?;

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
    let difference = seen["sessions"]["diff"]
        .as_str()
        .context("a difference is text")?;
    assert!(difference.contains("+   description by pyeapi\n"), "{difference}");
    assert_eq!(seen["sessions"]["running"], json!([true, false]));
    assert_eq!(seen["sessions"]["direct"], json!([true, true]));
    assert_eq!((fleet.totals(3).commits, fleet.totals(3).aborts), (1, 1));
    Ok(())
}
