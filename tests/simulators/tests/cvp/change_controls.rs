use anyhow::Result;
use lockstep_simulators::cvp::{ChangeControlStatus, Scenario, TaskStatus};
use serde_json::{Value, json};

use crate::client::{CHANGE_CONTROLS, Client, start};

fn seed_with_change_control() -> Scenario {
    Scenario::seed().edited(|world| world.attach("1811", "cc1"))
}

#[tokio::test]
async fn a_task_in_a_change_control_may_not_name_it() -> Result<()> {
    let simulator = start(seed_with_change_control()).await?;
    let client = Client::logged_in(&simulator).await?;
    let task = client.task("1811").await?;
    assert_eq!((&task["ccId"], &task["ccIdV2"]), (&json!(""), &json!("")));

    let reply = client.get(CHANGE_CONTROLS).await?;
    let value: Value = serde_json::from_str(reply.text.trim_end_matches('\n'))?;
    let value = &value["result"]["value"];
    assert_eq!(value["key"]["id"], "cc1");
    assert_eq!(value.get("status"), None);
    let stages = value["change"]["stages"]["values"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let mut actions = stages.values().filter_map(|stage| stage.get("action"));
    let action = actions.next().cloned().unwrap_or_default();
    assert_eq!(
        (&action["name"], &action["args"]["values"]["TaskID"]),
        (&json!("task"), &json!("1811"))
    );

    simulator.edit(|world| world.task_mut("1811").in_change_control("cc1"));
    assert_eq!(client.task("1811").await?["ccIdV2"], "cc1");
    Ok(())
}

#[tokio::test]
async fn values_are_lines_with_bare_line_feeds() -> Result<()> {
    let simulator = start(seed_with_change_control()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.edit(|world| {
        world.attach("1810", "cc2");
        world.attach("1809", "cc2");
        world.change_controls[1].status = Some(ChangeControlStatus::Running);
    });
    let text = client.get(CHANGE_CONTROLS).await?.text;
    assert!(text.ends_with("}\n") && !text.contains('\r') && !text.contains("\n\n"));
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1]["result"]["value"]["status"],
        "CHANGE_CONTROL_STATUS_RUNNING"
    );

    let path = CHANGE_CONTROLS.replace("/all", "?key.id=cc2");
    assert_eq!(client.get(&path).await?.json()?["value"]["key"]["id"], "cc2");
    Ok(())
}

#[tokio::test]
async fn a_change_control_protects_its_tasks_only_where_told_so() -> Result<()> {
    let simulator = start(seed_with_change_control()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.tune(|knobs| knobs.change_control_protects = true);
    assert_eq!(client.cancel("1811").await?["errorCode"], "132718");
    simulator.edit(|world| world.change_controls[0].status = Some(ChangeControlStatus::Completed));
    client.cancel("1811").await?;
    assert_eq!(simulator.task_status("1811"), Some(TaskStatus::Cancelled));

    simulator.edit(|world| world.attach("1810", "cc2"));
    simulator.tune(|knobs| knobs.change_control_protects = false);
    client.cancel("1810").await?;
    assert_eq!(simulator.cancelled(), ["1811", "1810"]);
    Ok(())
}
