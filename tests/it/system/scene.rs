//! Scenes: the environment of a system test, on its own virtual host and schema or embedded in a folder.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_protocol::topology::Topology;
use lockstep_testbed::{FaultProxy, Schema, Vhost};
use tempfile::TempDir;

use super::access::Users;
use super::records::Records;
use super::{Oracle, Process};

/// Retry delays of tests are a hundredth of the real ones.
pub(crate) const RETRY_DELAY_SCALE: f64 = 0.01;

/// The servers of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// RabbitMQ and PostgreSQL, and separate processes.
    Servers,
    /// One process with the embedded bus and SQLite.
    Embedded,
}

/// The environment of a test; dropping it removes everything.
pub(crate) struct Scene {
    folder: TempDir,
    servers: Option<Servers>,
}

/// The virtual host and the schema of a test, each behind a proxy that injects faults.
pub(crate) struct Servers {
    pub(crate) vhost: Vhost,
    pub(crate) schema: Schema,
    /// The proxy between workers and the broker.
    pub(crate) to_broker: FaultProxy,
    /// The proxy between workers and the database.
    pub(crate) to_database: FaultProxy,
    /// The broker users of the processes.
    users: Users,
}

impl Servers {
    async fn new(vhost: Vhost, schema: Schema) -> Result<Self> {
        Ok(Self {
            to_broker: FaultProxy::to(vhost.addr()?).await?,
            to_database: FaultProxy::to(schema.addr()?).await?,
            users: Users::new(&vhost).await?,
            vhost,
            schema,
        })
    }

    /// The URL by which a role reaches the database, with the login of that role.
    fn store_url(&self, role: &str) -> String {
        Schema::through(&self.schema.url_as(role), self.to_database.addr())
    }

    /// Configures broker, store and trusted users for `lockstep COMMAND`. Each role has its own broker user and its own login at the
    /// database, with only its rights.
    fn environment(&self, command: &str) -> Vec<(String, String)> {
        let store = match command {
            // A wrong address: it does not use the database.
            "gateway" => "postgres://nobody@127.0.0.1:1/nowhere".to_owned(),
            "migrate" | "worker" | "console" => self.store_url(command),
            _ => Schema::through(&self.schema.url(), self.to_database.addr()),
        };
        let mut all = vec![
            ("LOCKSTEP__STORE__URL".to_owned(), store),
            ("LOCKSTEP__BROKER__DECLARE".to_owned(), "false".to_owned()),
            ("LOCKSTEP__BROKER__TRUSTED_USERS".to_owned(), self.users.trusted()),
        ];
        if let Some(user) = self.users.of(command) {
            let broker = user.url_through(self.to_broker.addr());
            all.push((
                "LOCKSTEP__BROKER__URL".to_owned(),
                format!("{broker}?heartbeat=2"),
            ));
        }
        all
    }
}

impl Scene {
    /// Creates a scene with declared topology and migrated schema.
    pub(crate) async fn new(ground: Ground) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let servers = match ground {
            Ground::Embedded => None,
            Ground::Servers => {
                let vhost = lockstep_testbed::vhost().await?;
                let schema = lockstep_testbed::schema().await?;
                Some(Servers::new(vhost, schema).await?)
            }
        };
        let scene = Self { folder, servers };
        scene.prepare().await?;
        Ok(scene)
    }

    /// A scene on servers that the test owns and may kill.
    pub(crate) async fn on(vhost: Vhost, schema: Schema) -> Result<Self> {
        let scene = Self {
            folder: tempfile::tempdir()?,
            servers: Some(Servers::new(vhost, schema).await?),
        };
        scene.prepare().await?;
        Ok(scene)
    }

    async fn prepare(&self) -> Result<()> {
        let mut migrate = self.run(&["migrate"], &[])?;
        let status = migrate.ended().await?;
        ensure!(
            status.success(),
            "lockstep migrate ended with {status}: {}",
            migrate.log()?
        );
        if self.servers.is_some() {
            let bus = self.bus().await?;
            bus.declare(&Topology::new(RETRY_DELAY_SCALE)).await?;
            bus.close().await;
        }
        Ok(())
    }

    /// The servers of a scene that is not embedded.
    pub(crate) fn servers(&self) -> Result<&Servers> {
        self.servers
            .as_ref()
            .context("this scene is embedded and has no servers")
    }

    /// The working directory of the processes.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A bus for the test itself. No process may run at the same time if the scene is embedded.
    pub(crate) async fn bus(&self) -> Result<Arc<dyn Bus>> {
        if let Some(servers) = &self.servers {
            return Ok(AmqpBus::connect(AmqpOptions::new(servers.vhost.url())).await?);
        }
        let folder = self.folder.path().join("lockstep-data");
        Ok(EmbeddedBus::open(&folder, EmbeddedOptions::default())?)
    }

    /// The oracle of this scene.
    pub(crate) fn oracle(&self) -> Oracle {
        let records = match &self.servers {
            Some(servers) => Records::Postgres {
                url: servers.schema.url(),
            },
            None => Records::Sqlite {
                path: self.folder.path().join("lockstep-data/store.sqlite"),
            },
        };
        Oracle { records }
    }

    /// Starts a process that processes messages: a worker, or `lockstep up` if the scene is embedded.
    pub(crate) fn worker(&self, environment: &[(&str, &str)]) -> Result<Process> {
        match &self.servers {
            Some(_) => self.run(&["worker"], environment),
            None => self.run(
                &["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"],
                environment,
            ),
        }
    }

    /// The URL by which a worker reaches the database past the proxy.
    pub(crate) fn direct_store_url(&self) -> Result<String> {
        Ok(self.servers()?.schema.url_as("worker"))
    }

    /// The URL by which workers reach the database, with options for its sessions, such as `-c lock_timeout=1s`.
    pub(crate) fn store_url(&self, options: &str) -> Result<String> {
        let url = self.servers()?.store_url("worker");
        let options = options.replace(' ', "%20").replace('=', "%3D");
        Ok(format!("{url}%20{options}"))
    }

    /// Starts `lockstep` in this scene.
    pub(crate) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Process> {
        let all = self.with(arguments, environment);
        Process::start(self.folder.path(), arguments, &all)
    }

    /// As [`Self::run`], with this limit of open files.
    pub(crate) fn run_with_open_files(
        &self,
        limit: usize,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Process> {
        let all = self.with(arguments, environment);
        Process::start_with_open_files(limit, self.folder.path(), arguments, &all)
    }

    fn with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all = self.environment(arguments);
        all.extend(
            environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        all
    }

    /// The environment of `lockstep` with these arguments: its servers and its user.
    fn environment(&self, arguments: &[&str]) -> Vec<(String, String)> {
        let mut all = vec![
            // Small batches, so that there is a second one to be killed in.
            ("LOCKSTEP__WORKER__BATCH_SIZE".to_owned(), "100".to_owned()),
            ("LOCKSTEP__LOG__FILTER".to_owned(), "info".to_owned()),
        ];
        if let Some(servers) = &self.servers {
            all.extend(servers.environment(arguments.first().copied().unwrap_or_default()));
        }
        all
    }
}
