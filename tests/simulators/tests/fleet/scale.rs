//! Thousands of devices in one process.

use anyhow::Result;
use lockstep_simulators::fleet::{Device, FleetSimulator, Options};

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
