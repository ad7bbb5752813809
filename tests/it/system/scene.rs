//! A place to run: servers of its own, or a folder with everything embedded.

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

/// The ladder waits a hundredth of its time in tests.
pub(crate) const LADDER_SCALE: f64 = 0.01;

/// On what a scene runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// RabbitMQ and PostgreSQL, and separate processes.
    Servers,
    /// One process with the embedded bus and SQLite.
    Embedded,
}

/// A place to run, gone with the test.
pub(crate) struct Scene {
    folder: TempDir,
    servers: Option<Servers>,
}

/// A virtual host and a schema of the test's own, each behind a proxy that can break.
pub(crate) struct Servers {
    pub(crate) vhost: Vhost,
    pub(crate) schema: Schema,
    /// Between workers and the broker.
    pub(crate) to_broker: FaultProxy,
    /// Between workers and the database.
    pub(crate) to_database: FaultProxy,
    /// Whom processes are at the broker.
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

    /// Broker, store, and whom to trust, for `lockstep COMMAND`: each has a broker user with the rights of its role.
    fn environment(&self, command: &str) -> Vec<(String, String)> {
        let store = self.schema.url_through(self.to_database.addr());
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
    /// Makes the place: topology declared, schema migrated.
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
            bus.declare(&Topology::new(LADDER_SCALE)).await?;
            bus.close().await;
        }
        Ok(())
    }

    /// The servers, where there are some.
    pub(crate) fn servers(&self) -> Result<&Servers> {
        self.servers.as_ref().context("everything is embedded here")
    }

    /// The folder processes run in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A bus for the test itself. Where it is embedded, no process may run at the same time.
    pub(crate) async fn bus(&self) -> Result<Arc<dyn Bus>> {
        if let Some(servers) = &self.servers {
            return Ok(AmqpBus::connect(AmqpOptions::new(servers.vhost.url())).await?);
        }
        let folder = self.folder.path().join("lockstep-data");
        Ok(EmbeddedBus::open(&folder, EmbeddedOptions::default())?)
    }

    /// The judge of this scene.
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

    /// Starts a process that works messages: a worker, or everything in one.
    pub(crate) fn worker(&self, environment: &[(&str, &str)]) -> Result<Process> {
        match &self.servers {
            Some(_) => self.run(&["worker"], environment),
            None => self.run(
                &["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"],
                environment,
            ),
        }
    }

    /// Where workers find the database, with more options for its sessions, such as `-c lock_timeout=1s`.
    pub(crate) fn store_url(&self, options: &str) -> Result<String> {
        let servers = self.servers()?;
        let url = servers.schema.url_through(servers.to_database.addr());
        let options = options.replace(' ', "%20").replace('=', "%3D");
        Ok(format!("{url}%20{options}"))
    }

    /// Starts `lockstep` in this scene.
    pub(crate) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Process> {
        let mut all = self.environment(arguments);
        all.extend(
            environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Process::start(self.folder.path(), arguments, &all)
    }

    /// What tells `lockstep`, with these arguments, where it is and who it is.
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
