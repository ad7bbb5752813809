//! A task runs on simulated devices, of which one cannot be reached.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested, TaskSaveRequested};
use lockstep_protocol::events::{ImportedDevice, ImportedInterface, InventoryImported};
use lockstep_protocol::rest::{ElementView, ExecutionView};
use lockstep_protocol::results::ExecutionAccepted;
use lockstep_protocol::{ElementOutcome, ExecutionState, InboxState, Message};
use lockstep_simulators::fleet::{Device, FleetSimulator, Options};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{STEP_TIMEOUT, envelope};
use crate::cli::client::Client;
use crate::cli::{outcome, output};
use crate::config::{Config, LateSecret, LoginConfig};

const TITLE: &str = "A task asks five simulated devices for their version; leaf00003 cannot be reached";

/// The one that refuses connections.
pub(super) const UNREACHABLE: &str = "leaf00003";

/// The group that all devices are in.
pub(super) const GROUP: &str = "leaves";

/// The interfaces of each device.
pub(super) const PORTS: [&str; 2] = ["Ethernet1", "Ethernet2"];

/// How often the execution is looked at.
const POLL: std::time::Duration = std::time::Duration::from_millis(100);

/// Starts the devices, and lets this configuration reach them.
pub(super) async fn start(folder: &Path, config: &mut Config) -> anyhow::Result<FleetSimulator> {
    let options = Options::default();
    let devices = (1..=5).map(Device::numbered).collect();
    let fleet = FleetSimulator::start(devices, options.clone()).await?;
    let first = fleet
        .addresses()
        .first()
        .copied()
        .context("the fleet has no address")?;
    let ca_file = folder.join("fleet-ca.pem");
    std::fs::write(&ca_file, fleet.ca_pem()).context("cannot write the certificate")?;
    config.devices.port = first.port();
    config.devices.ca_file = Some(ca_file);
    config.devices.credentials.default = Some(LoginConfig {
        username: options.username,
        password: LateSecret::Fixed(options.password.into()),
        enable_password: None,
    });
    for index in 0..fleet.addresses().len() {
        if hostname(&fleet, index) == UNREACHABLE {
            fleet.take_down(index).await;
        }
    }
    Ok(fleet)
}

fn hostname(fleet: &FleetSimulator, index: usize) -> String {
    fleet.edit(index, |device| device.hostname.clone())
}

/// Runs the step, and fails unless exactly the unreachable device failed and all others answered.
pub(super) async fn run(client: &Client, fleet: &FleetSimulator, json: bool) -> anyhow::Result<Value> {
    let requested = request(client, fleet).await?;
    let accepted = applied(client, requested).await?;
    let accepted: ExecutionAccepted =
        serde_json::from_value(accepted).context("the execution was not accepted")?;
    let execution = ended(client, &accepted).await?;
    let elements = client.elements(&execution.id.to_string(), &[]).await?.elements;
    check(&execution, &elements)?;
    let mut results = Vec::new();
    for element in &elements {
        results.push(client.element(element.number).await?);
    }
    if !json {
        output::line(&format!("● {TITLE}"));
        output::line(&format!(
            "  lockstep.task.requested → {}: {} done, {} failed",
            execution.state, execution.done, execution.failed
        ));
        for element in &elements {
            output::line(&format!("    {}: {}", element.name, said(element)));
        }
    }
    Ok(json!({"title": TITLE, "execution": execution, "elements": results}))
}

/// Imports the devices, saves the task, and returns the request to run it on these devices.
async fn request(client: &Client, fleet: &FleetSimulator) -> anyhow::Result<TaskRequested> {
    let mut devices = Vec::new();
    for (index, address) in fleet.addresses().into_iter().enumerate() {
        let (hostname, serial, mac) = fleet.edit(index, |device| {
            (
                device.hostname.clone(),
                device.serial.clone(),
                device.system_mac.clone(),
            )
        });
        let device = json!({"hostname": hostname, "device_type": "ACCESS", "platform": "eos", "state": "MANAGED",
            "management_ip": address.ip(), "serial": serial, "mac": mac, "synchronized": true, "groups": [GROUP]});
        devices.push(serde_json::from_value::<ImportedDevice>(device)?);
    }
    let names: Vec<String> = devices.iter().map(|device| device.hostname.to_string()).collect();
    let inventory = InventoryImported {
        devices,
        interfaces: ports(&names)?,
        ..InventoryImported::default()
    };
    applied(client, inventory).await?;
    let task = TaskSaveRequested {
        name: "versions".to_owned(),
        description: None,
        provider: "command".to_owned(),
        arguments: json!({"commands": ["show version"]}),
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
    };
    applied(client, task).await?;
    let mut execute_on = Vec::new();
    for name in names {
        execute_on.push(u64::try_from(client.device(&name).await?.id)?);
    }
    Ok(TaskRequested {
        task: "versions".into(),
        execute_on,
        execute_on_names: Vec::new(),
        execute_on_type: ExecuteOn::Device,
        dry_run: false,
        arguments: Value::Null,
        limits: RunLimits::default(),
    })
}

/// The interfaces of devices with these names.
fn ports(names: &[String]) -> anyhow::Result<Vec<ImportedInterface>> {
    let all = names
        .iter()
        .flat_map(|hostname| PORTS.map(|name| (hostname, name)));
    let ports = all.map(|(hostname, name)| {
        let port =
            json!({"hostname": hostname, "name": name, "configuration": {"description": "access port"}});
        Ok(serde_json::from_value(port)?)
    });
    ports.collect()
}

/// Publishes a message, and returns its result.
pub(super) async fn applied(client: &Client, message: impl Into<Message>) -> anyhow::Result<Value> {
    let message = envelope(message)?;
    let kind = message.message.kind();
    client.publish(message.encode()).await?;
    let outcome = client
        .outcome(&message.identity, message.digest(), STEP_TIMEOUT)
        .await?;
    let view = outcome.with_context(|| format!("{kind} has no outcome"))?;
    ensure!(
        view.state == InboxState::Applied,
        "{kind} was rejected: {}",
        outcome::rejection(&view)
    );
    Ok(view.result)
}

/// Waits until the execution ended.
pub(super) async fn ended(client: &Client, accepted: &ExecutionAccepted) -> anyhow::Result<ExecutionView> {
    let deadline = Instant::now() + STEP_TIMEOUT;
    loop {
        let execution = client.execution(&accepted.execution.to_string()).await?;
        if execution.state.is_final() {
            return Ok(execution);
        }
        if Instant::now() >= deadline {
            bail!("the execution did not end: {execution:?}");
        }
        tokio::time::sleep(POLL).await;
    }
}

fn check(execution: &ExecutionView, elements: &[ElementView]) -> anyhow::Result<()> {
    let ends = (
        execution.state,
        execution.done,
        execution.failed,
        execution.skipped,
    );
    ensure!(ends == (ExecutionState::PartialFailed, 4, 1, 0), "{execution:?}");
    let failed: Vec<(&str, Option<&str>)> = elements
        .iter()
        .filter(|element| element.outcome == Some(ElementOutcome::Failed))
        .map(|element| (element.name.as_str(), element.reason.as_deref()))
        .collect();
    ensure!(failed == [(UNREACHABLE, Some("unreachable"))], "{elements:?}");
    Ok(())
}

fn said(element: &ElementView) -> String {
    let message = element.message.as_deref().unwrap_or("done");
    match &element.reason {
        Some(reason) => format!("{reason}: {message}"),
        None => message.to_owned(),
    }
}
