//! The servers of the bench, and a new virtual host and schema for each measurement.

use std::process::Stdio;

use anyhow::{Context, ensure};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_protocol::topology::{Lane, Topology};
use lockstep_store::Schema as _;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_testbed::{Broker, Database, Schema, Vhost};
use tokio::process::{Child, Command};

use crate::messages::{self, Event};
use crate::meter::{Measured, Servers};
use crate::processes;

/// The private broker and database of the bench.
pub(crate) struct Host {
    broker: Broker,
    database: Database,
    pub(crate) servers: Servers,
}

/// A virtual host with Lockstep's objects, and a schema with a fleet.
pub(crate) struct Scene {
    pub(crate) vhost: Vhost,
    pub(crate) schema: Schema,
    pub(crate) servers: Servers,
    pub(crate) devices: u32,
}

impl Host {
    /// Starts both servers.
    ///
    /// # Errors
    /// One of them is not installed, or does not start.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (broker, database) = tokio::try_join!(Broker::start(), Database::start())?;
        let node = format!("RABBITMQ_NODENAME=lockstep-{}@localhost", broker.addr().port());
        let port = format!("port={}", database.addr().port());
        let servers = Servers {
            broker: processes::find("the broker", |look| {
                look.program == "beam.smp" && look.environment.contains(&node)
            })?,
            database: processes::find("the database", |look| {
                look.program == "postgres" && look.arguments.contains(&port)
            })?,
        };
        Ok(Self {
            broker,
            database,
            servers,
        })
    }

    /// Creates a virtual host and a schema with this number of devices, managed and synchronized.
    ///
    /// # Errors
    /// A server rejects a request.
    pub(crate) async fn scene(&self, devices: u32) -> anyhow::Result<Scene> {
        self.scene_on(&self.broker, devices).await
    }

    /// As [`Self::scene`], on another broker.
    ///
    /// # Errors
    /// A server rejects a request.
    pub(crate) async fn scene_on(&self, broker: &Broker, devices: u32) -> anyhow::Result<Scene> {
        let scene = Scene {
            vhost: vhost(broker).await?,
            schema: self.database.schema().await?,
            servers: self.servers,
            devices,
        };
        let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
        store.migrate().await?;
        scene.seed().await?;
        Ok(scene)
    }

    /// Gives a scene a new virtual host, and keeps its schema.
    ///
    /// # Errors
    /// The broker rejects a request.
    pub(crate) async fn renew_vhost(&self, scene: &mut Scene) -> anyhow::Result<()> {
        scene.vhost = vhost(&self.broker).await?;
        Ok(())
    }
}

/// A new virtual host with Lockstep's objects.
async fn vhost(broker: &Broker) -> anyhow::Result<Vhost> {
    let vhost = broker.vhost().await?;
    let bus = AmqpBus::connect(AmqpOptions::new(vhost.url())).await?;
    bus.declare(&Topology::new(1.0)).await?;
    bus.close().await;
    Ok(vhost)
}

impl Scene {
    async fn seed(&self) -> anyhow::Result<()> {
        let client = self.schema.connect().await?;
        let hostnames: Vec<String> = (0..self.devices).map(messages::hostname).collect();
        client
            .execute(
                "INSERT INTO device (hostname, device_type, state, desired_generation, synced_generation) \
                 SELECT hostname, 'ACCESS', 'MANAGED', 1, 1 FROM unnest($1::text[]) AS new (hostname)",
                &[&hostnames],
            )
            .await?;
        client.batch_execute("VACUUM ANALYZE device").await?;
        // Later measurements do not pay for the writes of this one.
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }

    /// Fills the lane `events`.
    ///
    /// # Errors
    /// The broker rejects a message.
    pub(crate) async fn publish_events(&self, count: u32) -> anyhow::Result<()> {
        let run = messages::run();
        let events = (0..count).map(|number| messages::event(&run, number, self.devices));
        self.publish(events).await
    }

    /// Publishes these events.
    ///
    /// # Errors
    /// The broker rejects a message.
    pub(crate) async fn publish(&self, events: impl Iterator<Item = Event>) -> anyhow::Result<()> {
        let bus = AmqpBus::connect(AmqpOptions::new(self.vhost.url())).await?;
        bus.publish(events.map(Event::outgoing).collect()).await?;
        bus.close().await;
        Ok(())
    }

    /// Checks that each event was applied once and that its cause was written.
    ///
    /// # Errors
    /// A row is missing or was written twice.
    pub(crate) async fn check(&self, count: u32) -> anyhow::Result<()> {
        let client = self.schema.connect().await?;
        let count = i64::from(count);
        for (what, sql) in [
            (
                "applied rows",
                "SELECT count(*) FROM inbox WHERE state = 'applied'",
            ),
            (
                "causes",
                "SELECT (SELECT count(*) FROM inbox WHERE cause_id IS NOT NULL) + (SELECT count(*) FROM cause)",
            ),
            (
                "bumps",
                "SELECT sum(desired_generation - synced_generation)::bigint FROM device",
            ),
        ] {
            let found: i64 = client.query_one(sql, &[]).await?.get(0);
            ensure!(found == count, "{found} {what} for {count} events");
        }
        let audited: i64 = client.query_one("SELECT count(*) FROM audit", &[]).await?.get(0);
        ensure!(
            audited == 0,
            "{audited} entries of the audit, though events have none"
        );
        Ok(())
    }

    /// Starts this program again with one of its hidden commands.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(&self, role: Role, messages: u32) -> anyhow::Result<Worker> {
        let child = self.command(role, messages)?.stdin(Stdio::null()).spawn()?;
        Ok(Worker(child))
    }

    /// Starts a worker that begins with others; see [`crate::lockstep::Lockstep::together`].
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start_together(&self) -> anyhow::Result<Child> {
        let mut command = self.command(Role::Lockstep, 0)?;
        Ok(command.arg("--together").stdin(Stdio::piped()).spawn()?)
    }

    fn command(&self, role: Role, messages: u32) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        match role {
            Role::Bare { linger, ahead } => {
                command.arg("bare");
                command.args(["--linger", &linger.to_string(), "--ahead", &ahead.to_string()]);
            }
            Role::Lockstep => {
                command.args(["lockstep", "--postgres", &self.schema.url()]);
            }
        }
        command
            .args(["--amqp", &self.vhost.url()])
            .args(["--messages", &messages.to_string()])
            .args(["--broker", &self.servers.broker.to_string()])
            .args(["--database", &self.servers.database.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Waits until a lane has so many consumers.
    ///
    /// # Errors
    /// They do not appear in time.
    pub(crate) async fn consumed(&self, lane: Lane, consumers: u32) -> anyhow::Result<()> {
        let connection = crate::bare::connect(&self.vhost.url()).await?;
        let channel = connection.create_channel().await?;
        let timeout = std::time::Duration::from_secs(30);
        lockstep_testbed::wait::until("the consumers", timeout, async || {
            let options = lapin::options::QueueDeclareOptions {
                passive: true,
                ..Default::default()
            };
            let queue = channel
                .queue_declare(lane.queue().into(), options, lapin::types::FieldTable::default())
                .await
                .map_err(|error| error.to_string())?;
            match queue.consumer_count() {
                fewer if fewer < consumers => Err(format!("{fewer} consumers")),
                _ => Ok(()),
            }
        })
        .await?;
        connection.close(200, "seen".into()).await?;
        Ok(())
    }
}

/// The contender that processes the messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Bare { linger: u64, ahead: usize },
    Lockstep,
}

impl Role {
    /// One batch in flight, whose messages are awaited for two milliseconds.
    pub(crate) const BARE: Self = Self::Bare { linger: 2, ahead: 1 };
    /// As many batches in flight as Lockstep has, of what has arrived.
    pub(crate) const BARE_AS_LOCKSTEP: Self = Self::Bare { linger: 0, ahead: 2 };
}

/// A worker process of this program.
pub(crate) struct Worker(Child);

impl Worker {
    /// Waits for its end and returns its measurement.
    ///
    /// # Errors
    /// The process failed.
    pub(crate) async fn measured(self) -> anyhow::Result<Measured> {
        let output = self.0.wait_with_output().await?;
        ensure!(output.status.success(), "a worker failed");
        serde_json::from_slice(&output.stdout).context("read what a worker measured")
    }
}
