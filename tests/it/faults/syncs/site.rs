//! Simulated devices, repositories with their configuration, and workers that synchronize them.

use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::commands::{RepositoryAcceptRequested, RepositoryRefreshRequested, SyncRequested};
use lockstep_protocol::events::InventoryImported;
use lockstep_protocol::{Envelope, Message};
use lockstep_simulators::fleet::{Change, Device, FleetSimulator, Options};
use lockstep_testbed::{Repository, wait};
use serde_json::{Value, json};

use crate::system::load::{envelope, outgoing};
use crate::system::records::{Generations, InboxRecord};
use crate::system::{ExecutionOracle, ExecutionRecord, PATIENCE, Process, Scene};

/// The commands of a run, as the simulator sees them.
pub(super) const COMMIT: &str = "configure session * commit timer *";
pub(super) const CONFIRM: &str = "configure session * commit";
pub(super) const SAVE: &str = "write memory";

/// MANAGED devices whose configuration has the VLAN of the templates.
pub(super) struct Site {
    pub(super) scene: Scene,
    pub(super) fleet: FleetSimulator,
    templates: Repository,
    environment: Vec<(String, String)>,
    devices: usize,
}

fn template(vlan: u16) -> String {
    format!("hostname {{{{ hostname }}}}\nvlan {vlan}\nmanagement api http-commands\n   no shutdown\n")
}

impl Site {
    /// So many devices, which have none of their intended configuration yet: VLAN 10.
    pub(super) async fn new(scene: Scene, devices: u32, latency: Duration) -> Result<Self> {
        let simulated: Vec<Device> = (1..=devices)
            .map(|number| Device {
                latency,
                ..Device::numbered(number)
            })
            .collect();
        let hostnames: Vec<String> = simulated.iter().map(|device| device.hostname.clone()).collect();
        let options = Options::default();
        let password = options.password.clone();
        let fleet = FleetSimulator::start(simulated, options).await?;
        let addresses = fleet.addresses();
        let port = addresses.first().context("no device")?.port();
        let folder = scene.folder();
        std::fs::write(folder.join("fleet-ca.pem"), fleet.ca_pem())?;
        let mut file = std::fs::OpenOptions::new();
        let mut file = file
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(folder.join("password"))?;
        std::io::Write::write_all(&mut file, password.as_bytes())?;
        let settings = Repository::init(&folder.join("origin/settings"))?;
        settings.write("global/base_system.yml", b"dns_servers: []\n")?;
        let commit = settings.commit("settings")?;
        let templates = Repository::init(&folder.join("origin/templates"))?;
        let url = |name: &str| folder.join("origin").join(name).display().to_string();
        let environment = [
            ("DEVICES__CA_FILE", "fleet-ca.pem".to_owned()),
            ("DEVICES__PORT", port.to_string()),
            ("DEVICES__CREDENTIALS__DEFAULT__USERNAME", "admin".to_owned()),
            (
                "DEVICES__CREDENTIALS__DEFAULT__PASSWORD_FILE",
                "password".to_owned(),
            ),
            ("REPOSITORIES__SETTINGS__URL", url("settings")),
            ("REPOSITORIES__TEMPLATES__URL", url("templates")),
            ("REPOSITORIES__POLL_SECONDS", "3600".to_owned()),
            ("REPOSITORIES__DEBOUNCE_MS", "50".to_owned()),
            ("SYNC__READ_BACK_PAUSE", "0s".to_owned()),
            ("SYNC__COMMIT_TIMER", "60s".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (format!("LOCKSTEP__{name}"), value));
        let site = Self {
            scene,
            fleet,
            templates,
            environment: environment.into(),
            devices: hostnames.len(),
        };
        let rows = hostnames.iter().zip(&addresses).map(|(hostname, address)| {
            json!({
                "hostname": hostname, "device_type": "FIREWALL", "platform": "eos", "management_ip": address.ip(), "state": "MANAGED",
            })
        });
        site.prepare(&rows.collect::<Vec<_>>(), commit).await?;
        Ok(site)
    }

    /// Imports the devices and accepts the first commits, with a worker that runs no elements if there are others.
    async fn prepare(&self, rows: &[Value], settings: String) -> Result<()> {
        let import: InventoryImported = serde_json::from_value(json!({"devices": rows}))?;
        self.templates.write(
            "eos/mapping.yml",
            b"FIREWALL: {entrypoint: device.j2, dependencies: []}\n",
        )?;
        self.publish(import).await?;
        let lanes = ("LOCKSTEP__WORKER__LANES", "events,commands,repositories");
        let preparing = if self.scene.servers().is_ok() {
            Some(self.worker_with(&[lanes])?)
        } else {
            None
        };
        let commits = [settings, self.write_vlan(10)?];
        let mut messages = Vec::new();
        for (name, commit) in ["settings", "templates"].into_iter().zip(&commits) {
            messages.push(self.publish(accept(name, commit)?).await?);
        }
        let preparing = match preparing {
            Some(worker) => worker,
            None => self.worker()?,
        };
        for message in &messages {
            self.accepted(message).await?;
        }
        preparing.stop().await
    }

    /// Commits templates with this VLAN. Nobody has accepted them yet.
    pub(super) fn write_vlan(&self, vlan: u16) -> Result<String> {
        self.write_template(&template(vlan))
    }

    pub(super) fn write_template(&self, text: &str) -> Result<String> {
        self.templates.write("eos/device.j2", text.as_bytes())?;
        self.templates.commit("templates")
    }

    /// Fetches the newest commit of a repository, and waits until it is accepted and the devices are flagged.
    pub(super) async fn refresh(&self, repository: &str) -> Result<()> {
        let refresh: RepositoryRefreshRequested = serde_json::from_value(json!({"repository": repository}))?;
        let message = self.publish(refresh).await?;
        self.accepted(&message).await
    }

    async fn accepted(&self, message: &Envelope) -> Result<()> {
        let record = self.processed(message).await?;
        ensure!(record.state == "applied", "{}", record.result);
        Ok(())
    }

    async fn processed(&self, message: &Envelope) -> Result<InboxRecord> {
        let records = self.scene.oracle().records;
        let found = wait::until("the message to be processed", PATIENCE, async || {
            match records.inbox().await {
                Ok(mut inbox) => inbox
                    .remove(&message.identity)
                    .ok_or_else(|| "no inbox row".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            }
        });
        Ok(found.await?)
    }

    pub(super) fn worker_with(&self, more: &[(&str, &str)]) -> Result<Process> {
        let own = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        self.scene.worker(&all)
    }

    pub(super) fn worker(&self) -> Result<Process> {
        self.worker_with(&[])
    }

    /// Two workers that have started.
    pub(super) async fn two_workers(&self) -> Result<(Process, Process)> {
        self.two_workers_with(&[]).await
    }

    pub(super) async fn two_workers_with(&self, more: &[(&str, &str)]) -> Result<(Process, Process)> {
        let workers = (self.worker_with(more)?, self.worker_with(more)?);
        workers.0.prints("worker started").await?;
        workers.1.prints("worker started").await?;
        Ok(workers)
    }

    pub(super) async fn publish(&self, message: impl Into<Message>) -> Result<Envelope> {
        let envelope = envelope(message);
        let bus: Arc<dyn Bus> = self.scene.bus().await?;
        bus.publish(vec![outgoing(&envelope)]).await?;
        bus.close().await;
        Ok(envelope)
    }

    pub(super) async fn oracle(&self) -> Result<ExecutionOracle> {
        ExecutionOracle::of(&self.scene.servers()?.schema).await
    }

    /// Requests a sync, and waits until it is accepted.
    pub(super) async fn sync(&self, request: Value) -> Result<ExecutionRecord> {
        let oracle = self.oracle().await?;
        let before = oracle.executions().await?.len();
        self.publish(serde_json::from_value::<SyncRequested>(request)?)
            .await?;
        let accepted = wait::until("the sync to be accepted", PATIENCE, async || {
            let executions = oracle.executions().await.map_err(|error| format!("{error:#}"))?;
            let new = executions.get(before).cloned();
            new.ok_or_else(|| "it is not".to_owned())
        });
        Ok(accepted.await?)
    }

    /// Pushes to all devices that are not synchronized.
    pub(super) async fn push(&self) -> Result<ExecutionRecord> {
        self.sync(json!({"targets": "all", "dry_run": false})).await
    }

    /// Waits for a message, which must not be applied, and returns its rejection.
    pub(super) async fn rejection(&self, message: &Envelope) -> Result<Value> {
        let record = self.processed(message).await?;
        ensure!(record.state != "applied", "{}", record.result);
        Ok(record.result)
    }

    fn hostname(&self, device: usize) -> String {
        self.fleet.edit(device, |device| device.hostname.clone())
    }

    pub(super) async fn flags(&self, device: usize) -> Result<Generations> {
        let devices = self.scene.oracle().records.devices().await?;
        let hostname = self.hostname(device).parse()?;
        devices.get(&hostname).copied().context("no such device")
    }

    pub(super) async fn is_synchronized(&self, device: usize) -> Result<bool> {
        let flags = self.flags(device).await?;
        Ok(flags.synced >= flags.desired)
    }

    /// Whether it runs this VLAN and no other one of the templates, for good.
    pub(super) fn runs(&self, device: usize, vlan: u16) -> bool {
        let has = |text: &str| {
            let vlans = text.lines().filter(|line| line.starts_with("vlan "));
            vlans.eq([format!("vlan {vlan}").as_str()])
        };
        has(&self.fleet.running_configuration(device)) && has(&self.fleet.startup_configuration(device))
    }

    /// Kills the worker that runs the only element, and returns the other one.
    pub(super) async fn kill_who_runs(&self, workers: (Process, Process)) -> Result<Process> {
        let elements = self.oracle().await?.elements().await?;
        let running = elements.into_iter().find(|element| element.state == "RUNNING");
        let worker = running.and_then(|element| element.worker);
        let worker = worker.context("nobody runs an element")?;
        let (killed, left) = if worker.ends_with(&format!(":{}", workers.0.id())) {
            workers
        } else {
            (workers.1, workers.0)
        };
        killed.signal(rustix::process::Signal::KILL)?;
        Ok(left)
    }

    /// Checks all executions, whose results are read once, and all devices: one is synchronized only if it runs what is intended, `vlan`; no unconfirmed change is
    /// left; nothing was confirmed twice in a row.
    pub(super) async fn check(&self, vlan: u16) -> Result<Vec<ExecutionRecord>> {
        let oracle = self.oracle().await?;
        let bus = self.scene.bus().await?;
        let executions = oracle.check(&*bus).await?;
        bus.close().await;
        self.check_devices(vlan).await?;
        Ok(executions)
    }

    pub(super) async fn check_devices(&self, vlan: u16) -> Result<()> {
        for device in 0..self.devices {
            self.check_device(device, vlan).await?;
        }
        ensure!(self.fleet.in_flight() == 0, "a device is used after all ended");
        Ok(())
    }

    async fn check_device(&self, device: usize, vlan: u16) -> Result<()> {
        let changes = self.fleet.changes(device);
        let told: Vec<String> = changes
            .iter()
            .map(|recorded| format!("{:?} {:?}", recorded.session, recorded.change))
            .collect();
        let told = format!("device {device}: {told:#?}");
        let sessions = self.fleet.sessions(device);
        ensure!(sessions.is_empty(), "{sessions:?} are left; {told}");
        if self.is_synchronized(device).await? {
            ensure!(
                self.runs(device, vlan),
                "it is flagged as synchronized, and is not; {told}"
            );
        }
        let peak = self.fleet.peak_concurrency_of(device);
        ensure!(peak <= 1, "it was used {peak} times at once; {told}");
        let (mut waits, mut kept) = (None, None);
        for recorded in &changes {
            match recorded.change {
                Change::Committed { timer: Some(_) } => {
                    ensure!(waits.is_none(), "two commits waited; {told}");
                    waits = Some((recorded.session.clone(), recorded.running.clone()));
                }
                Change::Committed { timer: None } => anyhow::bail!("it committed without a timer; {told}"),
                Change::Confirmed => {
                    let (session, running) = waits.take().with_context(|| told.clone())?;
                    ensure!(session == recorded.session, "another session; {told}");
                    ensure!(kept != Some(running.clone()), "it was pushed twice; {told}");
                    kept = Some(running);
                }
                Change::RolledBack(_) => waits = None,
                Change::Configured => kept = None,
                Change::Opened | Change::Aborted | Change::Saved | Change::Restarted => {}
            }
        }
        ensure!(waits.is_none(), "an unconfirmed change is left; {told}");
        Ok(())
    }
}

fn accept(repository: &str, commit: &str) -> Result<RepositoryAcceptRequested> {
    Ok(serde_json::from_value(
        json!({"repository": repository, "commit": commit}),
    )?)
}
