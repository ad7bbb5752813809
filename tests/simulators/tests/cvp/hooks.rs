//! Changes of the world between two requests of a client.

use anyhow::Result;
use lockstep_simulators::cvp::{Endpoint, Fault, Injection, Scenario, TaskStatus};
use serde_json::json;

use crate::client::{CHANGE_CONTROLS, Client, EMPTY, FULL, start};

#[tokio::test]
async fn somebody_executes_a_task_between_its_check_and_its_cancellation() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.after(Endpoint::Compliance, Some(EMPTY), 2, |world| {
        world.task_mut("1811").execute("bob");
    });
    client.check(EMPTY).await?;
    client.check(FULL).await?;
    assert_eq!(
        client.task("1811").await?["workOrderUserDefinedStatus"],
        "Pending"
    );
    let second = client.check(EMPTY).await?;
    // The check still shows the task as pending: the race under test.
    assert_eq!(second["taskIdList"][0]["workOrderId"], "1811");
    let task = client.task("1811").await?;
    assert_eq!(task["workOrderUserDefinedStatus"], "Configlet Push In Progress");
    assert_eq!(task["executedBy"], "bob");
    assert_eq!(simulator.changes_to_come(), 0);
    Ok(())
}

#[tokio::test]
async fn requests_that_are_not_done_do_not_count() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.after(Endpoint::Compliance, Some(EMPTY), 1, |world| {
        world.device_mut(EMPTY).set_code("0007");
    });
    simulator.inject(Injection::new(Endpoint::Compliance, Fault::Status(503)).times(1));
    assert!(client.check(EMPTY).await.is_err());
    assert!(Client::new(&simulator, 0)?.check(EMPTY).await.is_err());
    assert_eq!(simulator.changes_to_come(), 1);
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0000");
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0007");
    Ok(())
}

#[tokio::test]
async fn a_task_goes_into_a_change_control_after_they_were_listed() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.after(Endpoint::ChangeControls, None, 1, |world| {
        world.attach("1811", "cc1");
    });
    assert_eq!(client.get(CHANGE_CONTROLS).await?.text, "");
    assert!(
        client
            .get(CHANGE_CONTROLS)
            .await?
            .text
            .contains("\"TaskID\":\"1811\"")
    );
    Ok(())
}

#[tokio::test]
async fn a_device_changes_after_its_task_was_cancelled() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.after(Endpoint::Cancel, Some("1811"), 1, |world| {
        world.device_mut(EMPTY).set_code("0001");
    });
    client.cancel("1811").await?;
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0001");
    Ok(())
}

#[tokio::test]
async fn held_requests_are_not_done_before_they_are_let_pass() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let hold = simulator.hold(Endpoint::Cancel, Some("1811"));
    let cancelling = tokio::spawn({
        let client = client.clone();
        async move { client.cancel("1811").await }
    });
    hold.arrived(1).await;
    assert_eq!(simulator.task_status("1811"), Some(TaskStatus::Pending));
    client.cancel("1810").await?;
    hold.let_pass(1);
    assert_eq!(
        cancelling.await??,
        json!({"data": "Task cancellation triggered successfully"})
    );
    assert_eq!(simulator.cancelled(), ["1810", "1811"]);

    let cancelling = tokio::spawn(async move { client.cancel("1811").await });
    hold.arrived(2).await;
    drop(hold);
    assert_eq!(cancelling.await??["errorCode"], "132718");
    Ok(())
}
