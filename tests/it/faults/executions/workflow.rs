//! The only worker is killed at each point between two steps of a workflow: the step began and nothing waits for it, the workflow waits and
//! nothing is published, and the next worker has claimed it. Each step begins once.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::TaskSaveRequested;
use serde_json::json;

use super::{Installation, TASK};
use crate::system::{Ground, Scene};

const DEVICES: u32 = 3;

/// The time passes at which others take over what a killed worker left.
const LATER: &str = "
    UPDATE follow_up SET due_at = clock_timestamp();
    UPDATE element SET due_at = clock_timestamp() WHERE due_at IS NOT NULL;
    UPDATE element SET until = clock_timestamp() WHERE state = 'RUNNING';
    UPDATE lease SET until = clock_timestamp();";

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_killed_between_the_steps_of_a_workflow_and_each_begins_once() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, DEVICES, Duration::ZERO, Some(1)).await?;
    let accepting = installation.accepting()?;
    let save = TaskSaveRequested {
        name: "flow".to_owned(),
        description: None,
        provider: "workflow".to_owned(),
        arguments: json!({"steps": [{"name": "first", "task": TASK}, {"name": "second", "task": TASK}]}),
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
    };
    installation.publish(save).await?;
    let oracle = installation.oracle().await?;
    oracle
        .none("the workflow to be saved", "SELECT abs(count(*) - 2) FROM task")
        .await?;
    installation
        .run_task("flow", 0..usize::try_from(DEVICES)?)
        .await?;
    accepting.stop().await?;
    let client = installation.scene.servers()?.schema.connect().await?;
    for (point, executions) in [
        // The first step is committed, and the workflow does not wait for it.
        ("element-ran:1:kill", 2),
        // The workflow is claimed again, and then waits.
        ("after-claim:1:kill", 2),
        ("after-finish:1:kill", 2),
        // A device of the step.
        ("element-ran:1:kill", 2),
    ] {
        let mut worker = installation.worker_with(&[("LOCKSTEP_FAIL_POINT", point)])?;
        let status = worker.ended().await?;
        ensure!(status.signal() == Some(9), "{point}: {status}: {}", worker.log()?);
        let found = oracle.count("SELECT count(*) FROM execution").await?;
        ensure!(found == executions, "{point}: {found} executions");
        client.batch_execute(LATER).await?;
    }
    let left = installation.worker()?;
    oracle.all_ended(3).await?;
    let executions = installation.check().await?;
    ensure!(
        executions.iter().all(|execution| execution.state == "SUCCESSFUL"),
        "{executions:?}"
    );
    let steps = "SELECT count(*) FROM (SELECT DISTINCT parent, parent_step FROM execution WHERE parent IS NOT NULL) AS step";
    ensure!(executions.len() == 3 && oracle.count(steps).await? == 2);
    left.stop().await
}
