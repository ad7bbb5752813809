//! Devices are checked once more some time after their tasks were cancelled.

use anyhow::{Result, ensure};
use lockstep_simulators::cvp::Scenario;

use super::Site;

/// The device of the empty task 1811.
const DEVICE: &str = "fc:9b:59:6a:83:8c";

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_no_longer_compliant_later_is_an_alert() -> Result<()> {
    let site = Site::new(Scenario::seed()).await?;
    let worker = site.worker()?;
    site.request(false).await?;
    site.ended(1).await?;
    site.simulator
        .edit(|world| world.device_mut(DEVICE).set_code("0001"));
    // The ten minutes are over.
    let client = site.scene.servers()?.schema.connect().await?;
    let over =
        "UPDATE follow_up SET due_at = clock_timestamp() WHERE kind = 'lockstep.internal.cvp-look.due'";
    ensure!(client.execute(over, &[]).await? == 1, "nothing is checked later");
    site.ended(2).await?;
    let elements = "SELECT name, outcome, reason FROM element WHERE execution = 2 AND entity_type = 'ITEM' ORDER BY name";
    let rows = client.query(elements, &[]).await?;
    let found: Vec<(String, String, Option<String>)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let done = |task: &str| (task.to_owned(), "done".to_owned(), None);
    let alert = (
        "1811".to_owned(),
        "failed".to_owned(),
        Some("no-longer-compliant".to_owned()),
    );
    ensure!(found == [done("1809"), done("1810"), alert], "{found:?}");
    let state = site.oracle().await?.executions().await?.remove(1).state;
    ensure!(state != "SUCCESSFUL", "{state}");
    worker
        .prints("a device is no longer compliant some time after its task was cancelled")
        .await?;
    worker.stop().await
}
