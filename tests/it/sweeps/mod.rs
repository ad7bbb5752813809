//! Sweeps of CloudVision by message, on real servers and with a simulated CloudVision as the oracle: each task ends in exactly one way,
//! none is cancelled twice, and none that is not empty is cancelled.

mod afterwards;
mod commands;
mod interrupted;
mod outages;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_protocol::commands::CvpSweepRequested;
use lockstep_protocol::results::{CvpSweepFinished, CvpTaskAction, CvpTaskSettled};
use lockstep_protocol::topology::Queue;
use lockstep_protocol::{Envelope, Message, WorkResult};
use lockstep_simulators::cvp::{CvpSimulator, Endpoint, Logged, Options, Scenario};
use serde_json::{Value, json};

use crate::system::load::{envelope, outgoing};
use crate::system::{ExecutionOracle, Ground, PATIENCE, Process, Scene};

/// A simulated CloudVision, and workers that know it as `lab`.
struct Site {
    scene: Scene,
    bus: Arc<dyn Bus>,
    simulator: CvpSimulator,
}

/// The results about sweeps, each once.
#[derive(Debug, Default)]
struct Told {
    /// By execution and task.
    tasks: BTreeMap<(String, String), CvpTaskSettled>,
    sweeps: BTreeMap<String, CvpSweepFinished>,
    /// The executions that ended.
    executions: BTreeSet<String>,
}

/// The configuration of the cluster `lab`.
fn environment(simulator: &CvpSimulator) -> Vec<(String, String)> {
    let options = Options::default();
    let cluster = [
        ("HOSTS", simulator.addresses()[0].to_string()),
        ("USERNAME", options.username),
        ("PASSWORD", options.password),
        ("CA_FILE", "cvp-ca.pem".to_owned()),
        ("READING_GAP_MS", "50".to_owned()),
    ];
    let variable = |(key, value): (&str, String)| (format!("LOCKSTEP__CVP__LAB__{key}"), value);
    cluster.into_iter().map(variable).collect()
}

fn sweep(data: Value) -> Result<CvpSweepRequested> {
    Ok(serde_json::from_value(data)?)
}

impl Site {
    async fn new(scenario: Scenario) -> Result<Self> {
        let scene = Scene::new(Ground::Servers).await?;
        let simulator = CvpSimulator::start(scenario, Options::default()).await?;
        std::fs::write(scene.folder().join("cvp-ca.pem"), simulator.ca_pem())?;
        let bus = scene.bus().await?;
        Ok(Self {
            scene,
            bus,
            simulator,
        })
    }

    fn worker(&self) -> Result<Process> {
        self.worker_with(&[])
    }

    fn worker_with(&self, more: &[(&str, &str)]) -> Result<Process> {
        let own = environment(&self.simulator);
        let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        self.scene.worker(&all)
    }

    /// Requests a sweep of the cluster.
    async fn request(&self, dry_run: bool) -> Result<()> {
        let request = sweep(json!({"cluster": "lab", "dry_run": dry_run}))?;
        self.bus.publish(vec![outgoing(&envelope(request))]).await?;
        Ok(())
    }

    async fn oracle(&self) -> Result<ExecutionOracle> {
        ExecutionOracle::of(&self.scene.servers()?.schema).await
    }

    /// Waits until this number of executions ended.
    async fn ended(&self, executions: usize) -> Result<()> {
        self.oracle().await?.all_ended(executions).await
    }

    /// The tasks for which CloudVision was asked to cancel them, and how often. Requests without a valid session have no effect.
    fn cancels(&self) -> BTreeMap<String, usize> {
        let mut cancels = BTreeMap::new();
        let requests = self.simulator.requests().into_iter();
        let is_cancel =
            |request: &Logged| request.endpoint == Endpoint::Cancel && request.status != Some(401);
        for request in requests.filter(is_cancel) {
            *cancels.entry(request.subject.unwrap_or_default()).or_insert(0) += 1;
        }
        cancels
    }

    /// The results, after all executions ended. Each task of a sweep has one result, and the counts of a sweep are those of its tasks.
    async fn told(&self) -> Result<Told> {
        let oracle = self.oracle().await?;
        let announced = "SELECT count(*) FROM element WHERE due_at IS NOT NULL";
        oracle.none("all ends to be announced", announced).await?;
        let lost = "SELECT count(*) FROM dead_letter";
        ensure!(oracle.count(lost).await? == 0, "a message was dead-lettered");
        let ended = oracle
            .count("SELECT count(*) FROM execution WHERE ended_at IS NOT NULL")
            .await?;
        let told = Told::read(&*self.bus, ended).await?;
        for (execution, finished) in &told.sweeps {
            let its = told.tasks.iter().filter(|((of, _), _)| of == execution);
            let mut actions: BTreeMap<CvpTaskAction, u64> = BTreeMap::new();
            for (_, settled) in its {
                *actions.entry(settled.action).or_default() += 1;
            }
            ensure!(
                actions == finished.actions,
                "{actions:?} are told, and counted is {finished:?}"
            );
        }
        let items = "SELECT count(*) FROM element WHERE entity_type = 'ITEM'";
        let items = oracle.count(items).await?;
        ensure!(
            told.tasks.len() == items,
            "{} of {items} tasks are told",
            told.tasks.len()
        );
        Ok(told)
    }
}

impl Told {
    /// Reads results until this number of executions is told, and then all further ones.
    async fn read(bus: &dyn Bus, executions: usize) -> Result<Self> {
        let options = ConsumeOptions {
            prefetch: 1000,
            acknowledge: Acknowledge::InOrder,
        };
        let mut consumer = bus.consume(Queue::Results, options).await?;
        let mut told = Self::default();
        loop {
            let complete = told.executions.len() >= executions;
            let patience = if complete {
                Duration::from_secs(1)
            } else {
                PATIENCE
            };
            let batch = match tokio::time::timeout(patience, consumer.take(1000)).await {
                Ok(batch) => batch.context("the bus was closed")?,
                Err(_) => break,
            };
            for delivery in &batch.deliveries {
                told.add(
                    Envelope::decode(&delivery.body)
                        .context("a result")?
                        .envelope
                        .message,
                )?;
            }
            batch.receipt.ack().await;
        }
        consumer.close().await;
        Ok(told)
    }

    /// A result that comes twice says the same.
    fn add(&mut self, message: Message) -> Result<()> {
        let Message::Result(result) = message else {
            return Ok(());
        };
        match result {
            WorkResult::CvpTaskSettled(settled) => {
                let key = (settled.execution.to_string(), settled.task_id.clone());
                let before = self.tasks.insert(key, settled.clone());
                ensure!(
                    before.as_ref().is_none_or(|before| *before == settled),
                    "{before:?} and {settled:?}"
                );
            }
            WorkResult::CvpSweepFinished(finished) => {
                self.sweeps.insert(finished.execution.to_string(), finished);
            }
            WorkResult::ExecutionFinished(finished) => {
                self.executions.insert(finished.execution.to_string());
            }
            _ => {}
        }
        Ok(())
    }

    /// The tasks with this action, in any sweep.
    fn with(&self, action: CvpTaskAction) -> BTreeSet<String> {
        let with = self.tasks.iter().filter(|(_, settled)| settled.action == action);
        with.map(|((_, task), _)| task.clone()).collect()
    }
}

/// Texts as a set.
fn set<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    texts.into_iter().map(Into::into).collect()
}
