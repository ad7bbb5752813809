use std::time::Duration;

use anyhow::Result;
use lockstep_simulators::cvp::{Endpoint, Scenario, Task, TaskKind, TaskStatus};
use serde_json::{Value, json};

use crate::client::{CANCEL, Client, EMPTY, LONG, PENDING, start};

fn ids(tasks: &[Value]) -> Vec<&str> {
    tasks
        .iter()
        .filter_map(|task| task["workOrderId"].as_str())
        .collect()
}

fn list(text: &str, start: usize, end: usize) -> String {
    format!("/web/task/getTasks.do?queryparam={text}&startIndex={start}&endIndex={end}")
}

#[tokio::test]
async fn the_list_is_filtered_by_a_text_anywhere_in_the_row() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.edit(|world| world.task_mut("1810").status = TaskStatus::Cancelled);

    assert_eq!(client.list(&list("pending", 0, 0)).await?.len(), 13);
    // A cancelled task still has `active` in another field.
    assert_eq!(client.list(&list("ACTIVE", 0, 0)).await?.len(), 14);
    assert_eq!(ids(&client.list(&list("Cancelled", 0, 0)).await?), ["1810"]);
    assert_eq!(client.list(&list("", 0, 0)).await?.len(), 14);
    assert_eq!(client.list(&list("nothing%20like%20this", 0, 0)).await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn pages_end_before_the_last_index_or_with_it() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let page = list("", 1, 3);
    assert_eq!(ids(&client.list(&page).await?), ["1810", "1809"]);
    assert_eq!(client.get(&page).await?.json()?["total"], 14);
    simulator.tune(|knobs| knobs.end_index_inclusive = true);
    assert_eq!(ids(&client.list(&page).await?), ["1810", "1809", "1795"]);
    assert_eq!(client.list(&list("", 100, 200)).await?.len(), 0);
    assert_eq!(client.list(&list("", 3, 1)).await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_task_is_pending_for_a_while_and_active_for_ever() -> Result<()> {
    let slow = Scenario::seed().tuned(|knobs| knobs.cancel_delay = LONG);
    let simulator = start(slow).await?;
    let client = Client::logged_in(&simulator).await?;
    let answer = client.cancel("1811").await?;
    assert_eq!(
        answer,
        json!({"data": "Task cancellation triggered successfully"})
    );
    let task = client.task("1811").await?;
    assert_eq!(
        (&task["workOrderUserDefinedStatus"], &task["currentTaskName"]),
        (&json!("Pending"), &json!("Submit"))
    );
    // A repeated request does not start another cancellation.
    client.cancel("1811").await?;

    simulator.tune(|knobs| knobs.cancel_delay = Duration::ZERO);
    let task = client.task("1811").await?;
    assert_eq!(task["workOrderUserDefinedStatus"], "Cancelled");
    assert_eq!(task["currentTaskName"], "Cancelled");
    assert_eq!(
        (&task["taskStatus"], &task["workOrderState"]),
        (&json!("ACTIVE"), &json!("ACTIVE"))
    );
    assert_eq!(simulator.cancelled(), ["1811"]);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_an_error_inside_a_200() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    assert_eq!(client.cancel("9").await?["errorCode"], "142WF606");
    assert_eq!(client.task("9").await?["errorMessage"], "Invalid WorkOrderId");

    simulator.edit(|world| world.task_mut("1811").execute("bob"));
    assert_eq!(client.cancel("1811").await?["errorCode"], "132718");
    assert_eq!(
        simulator.task_status("1811"),
        Some(TaskStatus::ConfigletPushInProgress)
    );

    client.cancel("1810").await?;
    assert_eq!(client.cancel("1810").await?["errorCode"], "132718");
    simulator.tune(|knobs| knobs.cancel_twice_succeeds = true);
    assert_eq!(client.cancel("1810").await?["errorCode"], Value::Null);
    assert_eq!(simulator.cancelled(), ["1810"]);
    Ok(())
}

#[tokio::test]
async fn several_are_cancelled_at_once_and_by_number() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let body = json!({"data": [1810, "9", "1809"]});
    let answer = client.post(CANCEL, body).await?.json()?;
    assert_eq!(answer["errorCode"], "142WF606");
    assert_eq!(simulator.cancelled(), ["1810", "1809"]);
    Ok(())
}

#[tokio::test]
async fn a_task_that_is_executed_makes_its_device_compliant() -> Result<()> {
    let slow = Scenario::seed().tuned(|knobs| knobs.execution_delay = LONG);
    let simulator = start(slow).await?;
    let client = Client::logged_in(&simulator).await?;
    let mac = simulator.edit(|world| world.task("1788").map(|task| task.device.clone()));
    let mac = mac.unwrap_or_default();
    assert_eq!(client.check(&mac).await?["complianceCode"], "0001");
    client
        .post("/web/task/executeTask.do", json!({"data": ["1788"]}))
        .await?
        .json()?;
    let running = client.task("1788").await?;
    assert_eq!(
        running["workOrderUserDefinedStatus"],
        "Configlet Push In Progress"
    );
    simulator.tune(|knobs| knobs.execution_delay = Duration::ZERO);
    assert_eq!(
        client.task("1788").await?["workOrderUserDefinedStatus"],
        "Completed"
    );
    assert_eq!(client.check(&mac).await?["complianceCode"], "0000");
    Ok(())
}

#[tokio::test]
async fn notes_stay_on_the_task() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let body = json!({"workOrderId": "1811", "note": "nothing left to do"});
    client.post("/web/task/addNoteToTask.do", body).await?.json()?;
    assert_eq!(client.task("1811").await?["note"], "nothing left to do");
    Ok(())
}

#[tokio::test]
async fn releases_write_ids_and_empty_fields_in_their_own_way() -> Result<()> {
    let odd = Scenario::seed().edited(|world| {
        let fields = &mut world.task_mut("1809").fields;
        fields.leave_out("/ccIdV2");
        fields.set("/data/isRollbackTask", "false");
    });
    let simulator = start(odd).await?;
    let client = Client::logged_in(&simulator).await?;
    let task = client.task("1809").await?;
    assert!(task.get("ccIdV2").is_none() && task["data"]["isRollbackTask"] == "false");

    simulator.tune(|knobs| (knobs.ids_as_numbers, knobs.nulls) = (true, true));
    let task = client.task("1811").await?;
    assert_eq!(task["workOrderId"], 1811);
    assert_eq!(
        (&task["note"], &task["data"]["ccId"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(client.check(EMPTY).await?["dcaKey"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_device_may_have_several_tasks_of_several_kinds() -> Result<()> {
    let crowded =
        Scenario::seed().edited(|world| world.add_task(Task::new("1812", EMPTY).of_kind(TaskKind::Move)));
    let simulator = start(crowded).await?;
    let client = Client::logged_in(&simulator).await?;
    let tasks = client.list(PENDING).await?;
    assert_eq!(ids(&tasks)[..2], ["1812", "1811"]);
    assert_eq!(tasks[0]["data"]["IS_ADD_OR_MOVE_FLOW"], true);
    let check = client.check(EMPTY).await?;
    let own: Vec<Value> = serde_json::from_value(check["taskIdList"].clone())?;
    assert_eq!(ids(&own), ["1812", "1811"]);
    Ok(())
}

#[tokio::test]
async fn thousands_of_tasks_are_listed_in_one_answer() -> Result<()> {
    let simulator = start(Scenario::many(2000, 10)).await?;
    let client = Client::logged_in(&simulator).await?;
    assert_eq!(client.list(PENDING).await?.len(), 2000);
    assert_eq!(simulator.count(Endpoint::Tasks), 1);
    Ok(())
}
