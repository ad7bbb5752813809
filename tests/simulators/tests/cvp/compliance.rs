use std::time::Duration;

use anyhow::Result;
use lockstep_simulators::cvp::{ConfigDiff, Scenario};
use serde_json::{Value, json};

use crate::client::{CHECK, Client, EMPTY, FULL, LONG, SUMMARY, start};

async fn summary(client: &Client, task: &str) -> Result<Value> {
    let reply = client.post(SUMMARY, json!({"task_id": task})).await?;
    Ok(reply.json()?[0]["summary"].take())
}

#[tokio::test]
async fn compliance_is_a_device_with_its_tasks() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let device = client.check(FULL).await?;
    let expected = [
        ("complianceCode", json!("0001")),
        ("complianceIndication", json!("WARNING")),
        ("deviceStatus", json!("Registered")),
        ("streamingStatus", json!("active")),
        ("unAuthorized", json!(false)),
        ("ztpMode", json!("false")),
        ("key", json!(FULL)),
    ];
    for (field, value) in expected {
        assert_eq!(device[field], value, "{field}");
    }
    assert_eq!(device["taskIdList"][0]["workOrderId"], "1788");

    simulator.edit(|world| world.device_mut(FULL).unauthorized = true);
    assert_eq!(client.check(FULL).await?["unAuthorized"], true);
    assert_eq!(client.check("00:00:00:00:00:00").await?["errorCode"], "122801");
    let container = json!({"nodeId": "root", "nodeType": "container"});
    assert_eq!(
        client.post(CHECK, container).await?.json()?,
        json!({"data": "event_root"})
    );
    Ok(())
}

#[tokio::test]
async fn the_code_lags_behind_and_the_diff_does_not() -> Result<()> {
    let lagging = Scenario::seed().tuned(|knobs| knobs.compliance_lag = LONG);
    let simulator = start(lagging).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.edit(|world| world.device_mut(EMPTY).change_configuration("0001"));
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0000");
    assert_eq!(summary(&client, "1811").await?["config_compliance"], false);
    simulator.tune(|knobs| knobs.compliance_lag = Duration::ZERO);
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0001");
    Ok(())
}

#[tokio::test]
async fn the_code_is_stale_while_the_device_does_not_stream() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.edit(|world| {
        let device = world.device_mut(EMPTY);
        "inactive".clone_into(&mut device.streaming_status);
        device.change_configuration("0001");
    });
    let device = client.check(EMPTY).await?;
    assert_eq!(
        (&device["complianceCode"], &device["streamingStatus"]),
        (&json!("0000"), &json!("inactive"))
    );
    simulator.edit(|world| "active".clone_into(&mut world.device_mut(EMPTY).streaming_status));
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0001");
    Ok(())
}

#[tokio::test]
async fn the_diff_of_a_task_agrees_with_the_code_unless_told_otherwise() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let empty = summary(&client, "1811").await?;
    assert_eq!(
        (&empty["config_compliance"], &empty["add"]),
        (&json!(true), &json!(0))
    );
    let full = summary(&client, "1788").await?;
    assert_eq!(
        (&full["config_compliance"], &full["add"]),
        (&json!(false), &json!(2))
    );

    simulator.edit(|world| {
        world.task_mut("1788").diff = Some(ConfigDiff::empty());
        world.task_mut("1811").diff = Some(ConfigDiff::of_code("0005"));
    });
    assert_eq!(summary(&client, "1788").await?["config_compliance"], true);
    assert_eq!(summary(&client, "1811").await?["error"], "UNREACHABLEDEVICE");

    simulator.tune(|knobs| knobs.zeros_left_out = true);
    let bare = summary(&client, "1788").await?;
    assert_eq!(
        bare,
        json!({"config_compliance": true, "nop": 120, "digest": "9b1f0c6d"})
    );
    assert!(summary(&client, "1811").await?.get("config_compliance").is_none());

    let unknown = client.post(SUMMARY, json!({"task_id": "9"})).await?;
    assert_eq!(unknown.status, 404);
    simulator.tune(|knobs| knobs.per_task_diff = false);
    assert_eq!(
        client.post(SUMMARY, json!({"task_id": "1811"})).await?.status,
        404
    );
    Ok(())
}

#[tokio::test]
async fn the_lines_of_a_diff_come_in_several_messages() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let path = SUMMARY.replace("Summary", "");
    let reply = client.post(&path, json!({"task_id": "1788"})).await?.json()?;
    let messages = reply.as_array().cloned().unwrap_or_default();
    assert_eq!(
        messages[0]["sources"]["source"][0]["source_type"],
        "CONFIG_TYPE_TOMCAT_CONFIGLET"
    );
    let entries = messages
        .iter()
        .filter_map(|message| message["diff"]["entries"].as_array());
    let ops: Vec<&Value> = entries.clone().flatten().map(|entry| &entry["op"]).collect();
    assert_eq!(entries.count(), 2);
    assert_eq!(ops.iter().filter(|op| **op != "NOP").count(), 4);
    Ok(())
}

#[tokio::test]
async fn devices_are_found_by_inventory_topology_and_resource() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let rows = client
        .get("/web/inventory/devices?provisioned=True")
        .await?
        .json()?;
    let row = rows
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["systemMacAddress"] == FULL));
    let serial = row.map_or("", |row| row["serialNumber"].as_str().unwrap_or_default());
    assert_eq!(row.map(|row| &row["complianceCode"]), Some(&json!("0001")));

    let path = format!("/web/provisioning/v3/searchTopology.do?queryParam={serial}&startIndex=0&endIndex=0");
    let found = client.get(&path).await?.json()?;
    assert_eq!(found["netElementList"][0]["systemMacAddress"], FULL);

    let path = format!("/api/resources/inventory/v1/Device?key.deviceId={serial}");
    let device = client.get(&path).await?.json()?;
    assert_eq!(device["value"]["streamingStatus"], "STREAMING_STATUS_ACTIVE");
    let all = client.get("/api/resources/inventory/v1/Device/all").await?;
    assert_eq!(all.text.lines().count(), 14);

    let path = format!("/api/resources/configstatus/v1/Summary?key.deviceId={serial}");
    let status = client.get(&path).await?.json()?;
    assert_eq!(status["value"]["summary"]["sync"], "CONFIG_SYNC_CODE_OUT_OF_SYNC");
    let unknown = client
        .get("/api/resources/inventory/v1/Device?key.deviceId=none")
        .await?;
    assert_eq!(
        (unknown.status, unknown.text.contains("resource not found")),
        (404, true)
    );
    Ok(())
}
