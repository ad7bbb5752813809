//! Devices in groups, and a task with a pre-task and post-tasks on devices, groups and the fleet: what a run of it comes to.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::TaskSaveRequested;
use lockstep_protocol::events::InventoryImported;
use lockstep_testbed::wait;
use serde_json::{Value, json};

use super::Installation;
use crate::system::{ExecutionRecord, OutcomeCounts, PATIENCE, Scene, StageLog};

/// The task: `ping`, the commands, a check of the version, a check of the groups, and a fact of the fleet, one after another.
pub(super) const AUDIT: &str = "audit";
/// The index of the stage in which the commands run.
pub(super) const COMMANDS: i32 = 1;
/// The number of stages.
pub(super) const STAGES: i32 = 5;
/// How many devices a group has, but for the last one.
pub(super) const GROUP: usize = 5;

/// The first device of all refuses connections, and the last one has another version.
pub(super) struct CycleSite {
    pub(super) installation: Installation,
    pub(super) log: StageLog,
    pub(super) devices: usize,
    groups: usize,
}

fn tasks() -> Vec<TaskSaveRequested> {
    let task = |name: &str, provider: &str, arguments: Value| TaskSaveRequested {
        name: name.to_owned(),
        description: None,
        provider: provider.to_owned(),
        arguments,
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
    };
    let expression = r#"device.facts.version["show version"].version == "4.30.3M""#;
    let right = json!({"run_on": "DEVICE", "check_key": "right", "expression": expression});
    let site = json!({"run_on": "GROUP", "check_key": "site", "of": "DEVICE", "of_check": "right"});
    let audited = json!({"run_on": "GLOBAL", "facts_key": "audited", "expressions": {"by": "'audit'"}});
    let audit = json!({"commands": ["show version"], "facts_key": "version"});
    vec![
        task("reach", "ping", json!({"timeout_seconds": 120})),
        task("right", "template_check", right),
        task("site", "check_aggregation", site),
        task("audited", "template_facts", audited),
        TaskSaveRequested {
            pre_tasks: vec!["reach".to_owned()],
            post_tasks: vec!["right".to_owned(), "site".to_owned(), "audited".to_owned()],
            ..task(AUDIT, "command", audit)
        },
    ]
}

impl CycleSite {
    /// A site with so many devices in this scene. Each request to a device takes `latency`, and at most `at_once` elements run at once.
    pub(super) async fn new(scene: Scene, devices: u32, latency: Duration, at_once: usize) -> Result<Self> {
        let installation = Installation::new(scene, devices, latency, Some(at_once)).await?;
        let devices = usize::try_from(devices)?;
        let fleet = &installation.fleet;
        fleet.take_down(0).await;
        fleet.edit(devices - 1, |device| "4.29.0F".clone_into(&mut device.version));
        let rows = (0..devices).map(|device| {
            let hostname = fleet.edit(device, |device| device.hostname.clone());
            json!({"hostname": hostname, "device_type": "ACCESS", "groups": [group(device)]})
        });
        let groups = devices.div_ceil(GROUP);
        let names: Vec<Value> = (0..groups)
            .map(|index| json!({"name": group(index * GROUP)}))
            .collect();
        let import = json!({"groups": names, "devices": rows.collect::<Vec<_>>()});
        let preparing = installation.accepting()?;
        installation
            .publish(serde_json::from_value::<InventoryImported>(import)?)
            .await?;
        let oracle = installation.oracle().await?;
        // The last one names the others, which must exist.
        for (task, others) in tasks().into_iter().zip(1_usize..) {
            installation.publish(task).await?;
            let missing = format!("SELECT abs(count(*) - {}) FROM task", others + 1);
            oracle.none("the task to be saved", &missing).await?;
        }
        let members = format!("SELECT abs(count(*) - {devices}) FROM group_member");
        oracle.none("all devices to be in groups", &members).await?;
        preparing.stop().await?;
        let log = StageLog::install(&installation.scene.servers()?.schema).await?;
        Ok(Self {
            installation,
            log,
            devices,
            groups,
        })
    }

    /// Runs the task on all devices; returns the accepted execution.
    pub(super) async fn run(&self) -> Result<ExecutionRecord> {
        self.installation.run_task(AUDIT, 0..self.devices).await
    }

    /// Waits until so many elements of this execution ended this stage.
    pub(super) async fn ended_of_stage(&self, execution: i64, stage: i32, ended: usize) -> Result<()> {
        let at_least = i64::try_from(ended)?;
        wait::until("elements to end the stage", PATIENCE, async || {
            let position = self.log.position(execution).await;
            let position = position.map_err(|error| format!("{error:#}"))?;
            if (position.stage, position.ended) >= (stage, at_least) {
                Ok(())
            } else {
                Err(format!("{position:?}"))
            }
        })
        .await?;
        let position = self.log.position(execution).await?;
        ensure!(position.stage == stage, "the stage was over before: {position:?}");
        Ok(())
    }

    /// Checks executions that nobody halted: their elements, results, checks and facts, their stages, and what the devices saw.
    pub(super) async fn check(&self, executions: usize) -> Result<()> {
        let installation = &self.installation;
        let found = installation.check().await?;
        ensure!(found.len() == executions, "{found:?}");
        // The device that refuses connections, the one with the other version, and the groups of both.
        let failed = 4;
        let elements = self.devices + self.groups + 1;
        let counts = OutcomeCounts {
            elements: i64::try_from(elements)?,
            done: i64::try_from(elements)? - failed,
            failed,
            skipped: 0,
        };
        for execution in &found {
            ensure!(
                execution.counts == counts && execution.state == "PARTIAL_FAILED",
                "{execution:?}"
            );
        }
        self.check_ends().await?;
        self.check_written(executions).await?;
        self.check_devices(executions).await?;
        self.log.check().await
    }

    /// Each element ended as it must.
    async fn check_ends(&self) -> Result<()> {
        let last = self.devices - 1;
        for element in self.installation.oracle().await?.elements().await? {
            let expected = match (element.kind.as_str(), element.name.as_str()) {
                ("DEVICE", name) if name == self.hostname(0) => ("PRECHECK_FAILED", Some("unreachable")),
                ("DEVICE", name) if name == self.hostname(last) => ("POSTCHECK_FAILED", Some("nok")),
                ("GROUP", name) if name == group(0) || name == group(last) => {
                    ("POSTCHECK_FAILED", Some("nok"))
                }
                _ => ("SUCCESSFUL", None),
            };
            ensure!(
                (element.state.as_str(), element.reason.as_deref()) == expected,
                "not {expected:?}: {element:?}"
            );
        }
        Ok(())
    }

    /// Each phase has one result of each entity, and checks and facts were written once by each execution.
    async fn check_written(&self, executions: usize) -> Result<()> {
        let client = self.installation.scene.servers()?.schema.connect().await?;
        let live = self.devices - 1;
        let mut expected = BTreeMap::new();
        for (phase, level, state, count) in [
            (0, "DEVICE", "SUCCESSFUL", live),
            (0, "DEVICE", "PRECHECK_FAILED", 1),
            (1, "DEVICE", "SUCCESSFUL", live),
            (2, "DEVICE", "SUCCESSFUL", live - 1),
            (2, "DEVICE", "POSTCHECK_FAILED", 1),
            (3, "GROUP", "SUCCESSFUL", self.groups - 2),
            (3, "GROUP", "POSTCHECK_FAILED", 2),
            (4, "GLOBAL", "SUCCESSFUL", 1),
        ] {
            let key = (phase, level.to_owned(), state.to_owned());
            expected.insert(key, i64::try_from(count * executions)?);
        }
        expected.retain(|_, count| *count > 0);
        let select = "SELECT phase, level, state, count(*) FROM entity_result GROUP BY phase, level, state";
        let rows = client.query(select, &[]).await?;
        let results: BTreeMap<(i32, String, String), i64> = rows
            .iter()
            .map(|row| ((row.get(0), row.get(1), row.get(2)), row.get(3)))
            .collect();
        ensure!(results == expected, "{results:?}, not {expected:?}");

        let mut expected = BTreeMap::new();
        for (kind, result, count) in [
            ("DEVICE", "ok", live - 1),
            ("DEVICE", "nok", 1),
            ("GROUP", "ok", self.groups - 2),
            ("GROUP", "nok", 2),
        ] {
            expected.insert(
                (kind.to_owned(), result.to_owned()),
                i64::try_from(count * executions)?,
            );
        }
        expected.retain(|_, count| *count > 0);
        let select = "SELECT entity_type, result, count(*) FROM entity_check GROUP BY entity_type, result";
        let rows = client.query(select, &[]).await?;
        let checks: BTreeMap<(String, String), i64> = rows
            .iter()
            .map(|row| ((row.get(0), row.get(1)), row.get(2)))
            .collect();
        ensure!(checks == expected, "{checks:?}, not {expected:?}");
        let facts = self.installation.oracle().await?;
        let facts = facts.count("SELECT count(*) FROM fact").await?;
        ensure!(facts == live + 1, "{facts} facts");
        Ok(())
    }

    /// Each execution asked each device that is reachable twice, and once more for an attempt that was repeated, at most.
    async fn check_devices(&self, executions: usize) -> Result<()> {
        let fleet = &self.installation.fleet;
        ensure!(fleet.requests_to(0) == 0, "the first device was reached");
        let elements = self.installation.oracle().await?.elements().await?;
        for device in 1..self.devices {
            let hostname = self.hostname(device);
            let its = elements
                .iter()
                .filter(|element| element.kind == "DEVICE" && element.name == hostname);
            let attempts = usize::try_from(its.map(|element| element.attempts).sum::<i32>())?;
            let repeated = attempts
                .checked_sub(3 * executions)
                .ok_or_else(|| anyhow::anyhow!("{hostname} began {attempts} times"))?;
            let requests = fleet.requests_to(device);
            ensure!(
                (2 * executions..=2 * executions + repeated).contains(&requests),
                "{hostname} was asked {requests} times; {repeated} attempts were repeated"
            );
        }
        Ok(())
    }

    fn hostname(&self, device: usize) -> String {
        self.installation
            .fleet
            .edit(device, |device| device.hostname.clone())
    }
}

/// The name of the group of a device.
fn group(device: usize) -> String {
    format!("group{:03}", device / GROUP)
}
