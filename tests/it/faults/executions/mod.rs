//! Faults of executions on real servers, with a simulated fleet: workers are killed and stopped, servers go away, passwords change. Each
//! element ends in exactly one way, no device is used twice at once, and no cap is exceeded. The steps of an element, one by one, are in
//! `worker/tests/executions`.

mod cancelled;
mod caps;
mod credentials;
mod cycle;
mod cycle_points;
mod cycle_site;
mod external;
mod many;
mod outages;
mod stopped;
mod stops;
mod versions;
mod workflow;

use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::commands::{TaskRequested, TaskSaveRequested};
use lockstep_protocol::events::InventoryImported;
use lockstep_protocol::{Message, MessageId};
use lockstep_simulators::fleet::{Device, FleetSimulator, Options};
use lockstep_testbed::wait;
use serde_json::{Value, json};

use crate::system::load::{envelope, outgoing};
use crate::system::{ExecutionOracle, ExecutionRecord, PATIENCE, Process, Scene};

const TASK: &str = "versions";
/// The most devices in one import.
const CHUNK: usize = 500;

/// A fleet of simulated devices, which are imported, and a task that asks each for its version.
struct Installation {
    scene: Scene,
    bus: Arc<dyn Bus>,
    fleet: FleetSimulator,
    /// The ids of the devices, in the order of the simulator.
    ids: Vec<u64>,
    /// The configuration of all workers.
    environment: Vec<(String, String)>,
}

impl Installation {
    /// An installation in this scene. Each request to a device takes `latency`, and at most `at_once` elements run at once.
    async fn new(scene: Scene, devices: u32, latency: Duration, at_once: Option<usize>) -> Result<Self> {
        let devices: Vec<Device> = (1..=devices)
            .map(|number| Device {
                latency,
                ..Device::numbered(number)
            })
            .collect();
        let options = Options::default();
        let password = options.password.clone();
        let imported = devices.clone();
        let fleet = FleetSimulator::start(devices, options).await?;
        let addresses = fleet.addresses();
        let port = addresses.first().context("no device")?.port();
        std::fs::write(scene.folder().join("fleet-ca.pem"), fleet.ca_pem())?;
        let mut environment = vec![
            ("LOCKSTEP__DEVICES__CA_FILE".to_owned(), "fleet-ca.pem".to_owned()),
            ("LOCKSTEP__DEVICES__PORT".to_owned(), port.to_string()),
            (
                "LOCKSTEP__DEVICES__CREDENTIALS__DEFAULT__USERNAME".to_owned(),
                "admin".to_owned(),
            ),
            (
                "LOCKSTEP__DEVICES__CREDENTIALS__DEFAULT__PASSWORD_FILE".to_owned(),
                "password".to_owned(),
            ),
        ];
        if let Some(at_once) = at_once {
            environment.push(("LOCKSTEP__EXECUTIONS__AT_ONCE".to_owned(), at_once.to_string()));
        }
        let bus = scene.bus().await?;
        let mut installation = Self {
            scene,
            bus,
            fleet,
            ids: Vec::new(),
            environment,
        };
        installation.set_password(&password)?;
        let rows = imported.iter().zip(&addresses).map(|(device, address)| {
            json!({"hostname": device.hostname, "device_type": "ACCESS", "platform": "eos", "management_ip": address.ip()})
        });
        installation.prepare(&rows.collect::<Vec<_>>()).await?;
        Ok(installation)
    }

    /// Imports the devices and saves the task, with a worker that runs no elements.
    async fn prepare(&mut self, devices: &[Value]) -> Result<()> {
        let preparing = self.accepting()?;
        for chunk in devices.chunks(CHUNK) {
            let import: InventoryImported = serde_json::from_value(json!({"devices": chunk}))?;
            self.publish(import).await?;
        }
        self.publish(TaskSaveRequested {
            name: TASK.to_owned(),
            description: None,
            provider: "command".to_owned(),
            arguments: json!({"commands": ["show version"], "facts_key": "version"}),
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            run_input_json_schema: None,
            run_input_ui_schema: None,
        })
        .await?;
        let client = self.scene.servers()?.schema.connect().await?;
        let select = "SELECT id FROM device ORDER BY hostname";
        self.ids = wait::until("the devices and the task", PATIENCE, async || {
            let rows = client
                .query(select, &[])
                .await
                .map_err(|error| error.to_string())?;
            let tasks = client.query("SELECT 1 FROM task", &[]).await;
            let tasks = tasks.map_err(|error| error.to_string())?.len();
            if rows.len() < devices.len() || tasks == 0 {
                return Err(format!("{} devices, {tasks} tasks", rows.len()));
            }
            let ids = rows.iter().map(|row| u64::try_from(row.get::<_, i64>(0)));
            ids.collect::<Result<Vec<_>, _>>()
                .map_err(|error| error.to_string())
        })
        .await?;
        preparing.stop().await
    }

    /// Starts a worker with these further variables.
    fn worker_with(&self, more: &[(&str, &str)]) -> Result<Process> {
        let own = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        self.scene.worker(&all)
    }

    fn worker(&self) -> Result<Process> {
        self.worker_with(&[])
    }

    /// Starts a worker that accepts executions, and runs no elements.
    fn accepting(&self) -> Result<Process> {
        self.worker_with(&[("LOCKSTEP__WORKER__LANES", "events,commands,executions")])
    }

    /// Two workers that have started.
    async fn two_workers(&self) -> Result<(Process, Process)> {
        let workers = (self.worker()?, self.worker()?);
        workers.0.prints("worker started").await?;
        workers.1.prints("worker started").await?;
        Ok(workers)
    }

    async fn oracle(&self) -> Result<ExecutionOracle> {
        ExecutionOracle::of(&self.scene.servers()?.schema).await
    }

    async fn publish(&self, message: impl Into<Message>) -> Result<MessageId> {
        let envelope = envelope(message);
        self.bus.publish(vec![outgoing(&envelope)]).await?;
        Ok(envelope.identity.id)
    }

    /// Requests the task on these devices.
    async fn request(&self, devices: Range<usize>) -> Result<MessageId> {
        self.request_task(TASK, devices).await
    }

    async fn request_task(&self, task: &str, devices: Range<usize>) -> Result<MessageId> {
        let request: TaskRequested = serde_json::from_value(json!({
            "task": task, "execute_on": self.ids[devices], "execute_on_type": "DEVICE", "dry_run": false,
        }))?;
        self.publish(request).await
    }

    /// Requests the task on these devices, and waits until the execution is accepted.
    async fn run(&self, devices: Range<usize>) -> Result<ExecutionRecord> {
        self.run_task(TASK, devices).await
    }

    /// Requests a task on these devices, and waits until the execution is accepted.
    async fn run_task(&self, task: &str, devices: Range<usize>) -> Result<ExecutionRecord> {
        let oracle = self.oracle().await?;
        let before = oracle.executions().await?.len();
        self.request_task(task, devices).await?;
        let accepted = wait::until("the execution to be accepted", PATIENCE, async || {
            let executions = oracle.executions().await.map_err(|error| format!("{error:#}"))?;
            let new = executions.get(before).cloned();
            new.ok_or_else(|| "it is not".to_owned())
        });
        Ok(accepted.await?)
    }

    /// Replaces the file with the password of all devices, as programs that rotate passwords do.
    fn set_password(&self, password: &str) -> Result<()> {
        let folder = self.scene.folder();
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let new = folder.join("password.new");
        std::io::Write::write_all(&mut options.open(&new)?, password.as_bytes())?;
        std::fs::rename(new, folder.join("password"))?;
        Ok(())
    }

    /// Checks all executions, and what the devices saw of them: none was used twice at once, none was asked more often than elements
    /// began, and all that are done were asked.
    async fn check(&self) -> Result<Vec<ExecutionRecord>> {
        let oracle = self.oracle().await?;
        let executions = oracle.check(&*self.bus).await?;
        let elements = oracle.elements().await?;
        for (device, id) in self.ids.iter().enumerate() {
            let its = elements
                .iter()
                .filter(|element| element.kind == "DEVICE")
                .filter(|element| u64::try_from(element.entity).is_ok_and(|entity| entity == *id));
            let (mut attempts, mut done) = (0, 0);
            for element in its {
                attempts += usize::try_from(element.attempts)?;
                done += usize::from(element.outcome == "done");
            }
            let requests = self.fleet.requests_to(device);
            ensure!(
                (done..=attempts).contains(&requests),
                "device {device} was asked {requests} times by {attempts} runs, of which {done} were done"
            );
            let peak = self.fleet.peak_concurrency_of(device);
            ensure!(peak <= 1, "device {device} was used {peak} times at once");
        }
        ensure!(
            self.fleet.in_flight() == 0,
            "a device is used after all elements ended"
        );
        Ok(executions)
    }

    /// Fails if more than this number of devices was used at once.
    fn check_peak(&self, most: usize) -> Result<()> {
        let peak = self.fleet.peak_concurrency();
        ensure!(peak <= most, "{peak} devices were used at once");
        Ok(())
    }
}
