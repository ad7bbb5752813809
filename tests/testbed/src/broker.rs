//! Starts private RabbitMQ brokers, with their own node name, cookie, ports and data folder, which a test can kill.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::certificates::Certificates;
use crate::http::Management;
use crate::ports::free_port;
use crate::process::Process;
use crate::url::Url;
use crate::{Vhost, environment, wait};

const START_TIMEOUT: Duration = Duration::from_mins(3);
/// User and password of the administrator.
const LOGIN: &str = "lockstep";
/// The script itself; the wrapper in `/usr/sbin` changes the user and the environment.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// A private broker of a test. Dropping it kills it and removes its data.
pub struct Broker {
    // Dropped first: the process must be gone before its folder.
    process: Option<Process>,
    ports: Ports,
    certificates: Option<Certificates>,
    realm: Realm,
    root: Option<PathBuf>,
    folder: TempDir,
}

struct Ports {
    amqp: u16,
    amqps: u16,
    management: u16,
    distribution: u16,
}

/// The settings that the nodes of a cluster share; a single broker has its own.
#[derive(Clone, Debug)]
pub(crate) struct Realm {
    pub(crate) epmd: u16,
    cookie: String,
    /// A node to join at the first start.
    pub(crate) join: Option<String>,
}

impl Realm {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            epmd: free_port()?,
            cookie: uuid::Uuid::now_v7().simple().to_string(),
            join: None,
        })
    }
}

impl Broker {
    /// Starts a broker and waits until it takes connections.
    ///
    /// It uses the machine's RabbitMQ, or the one in [`environment::RABBITMQ_ROOT`].
    ///
    /// # Errors
    ///
    /// RabbitMQ is not installed, or did not come up; the error has the end of its log.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_in(new_folder()?, None, Realm::new()?).await
    }

    /// Starts a node of a cluster.
    pub(crate) async fn start_member(realm: Realm) -> anyhow::Result<Self> {
        Self::start_in(new_folder()?, None, realm).await
    }

    /// Starts a broker that also listens with TLS: [`Broker::tls_url`], [`Broker::ca_file`].
    ///
    /// # Errors
    ///
    /// As [`Broker::start`].
    pub async fn start_with_tls() -> anyhow::Result<Self> {
        let folder = new_folder()?;
        let certificates = Certificates::make(folder.path()).await?;
        Self::start_in(folder, Some(certificates), Realm::new()?).await
    }

    async fn start_in(
        folder: TempDir,
        certificates: Option<Certificates>,
        realm: Realm,
    ) -> anyhow::Result<Self> {
        let mut broker = Self {
            process: None,
            ports: Ports {
                amqp: free_port()?,
                amqps: free_port()?,
                management: free_port()?,
                distribution: free_port()?,
            },
            certificates,
            realm,
            root: environment::variable(environment::RABBITMQ_ROOT).map(PathBuf::from),
            folder,
        };
        broker.write_files()?;
        broker.restart().await?;
        Ok(broker)
    }

    /// Kills the broker by SIGKILL, like a crash of its machine. Its data are kept.
    ///
    /// # Errors
    ///
    /// Its processes did not end in time.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Stops the broker gracefully. Its data are kept.
    ///
    /// # Errors
    ///
    /// It did not stop in time; it is killed then.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.stop(Signal::TERM).await,
            None => Ok(()),
        }
    }

    /// Starts the broker again, with the same data and ports, and waits until it takes connections.
    /// It is killed first if it runs.
    ///
    /// # Errors
    ///
    /// As [`Broker::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        let process = Process::start(
            &self.command(&server_script()),
            &self.folder.path().join("output.log"),
        )?;
        let process = self.process.insert(process);
        let management = Management::new(Url::parse(
            &management_url(self.ports.management),
            self.ports.management,
        )?);
        let tls = self.certificates.as_ref().map(|_| self.ports.amqps);
        let listeners: Vec<u16> = std::iter::once(self.ports.amqp).chain(tls).collect();
        wait::until("RabbitMQ to start", START_TIMEOUT, async || {
            // If the server has ended already, there is no need to wait for the timeout.
            if let Err(ended) = process.check() {
                return Ok(Err(ended));
            }
            management
                .request("GET", "/health/checks/virtual-hosts".into(), None)
                .await?;
            // Virtual hosts are healthy a moment before the listeners are open.
            for port in &listeners {
                TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?;
            }
            anyhow::Ok(Ok(()))
        })
        .await?
        .context("start RabbitMQ")?;
        Ok(())
    }

    /// A new virtual host on this broker.
    ///
    /// # Errors
    ///
    /// The broker rejected it or does not run.
    pub async fn vhost(&self) -> anyhow::Result<Vhost> {
        Vhost::create(&self.url(), &self.management_url()).await
    }

    /// AMQP URL of the default virtual host, as administrator.
    pub fn url(&self) -> String {
        format!("amqp://{LOGIN}:{LOGIN}@{}", self.addr())
    }

    /// The name of the Erlang node, such as `NAME@HOST`.
    pub fn node(&self) -> String {
        format!("lockstep-{}@localhost", self.ports.amqp)
    }

    /// Its AMQP address.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.amqp).into()
    }

    /// AMQPS URL of the default virtual host, if it was started with TLS. The certificate is valid for 127.0.0.1 too.
    pub fn tls_url(&self) -> Option<String> {
        let port = self.ports.amqps;
        self.certificates
            .as_ref()
            .map(|_| format!("amqps://{LOGIN}:{LOGIN}@localhost:{port}"))
    }

    /// The certificate authority in PEM, if it was started with TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.certificates.as_ref().map(|made| made.ca.as_path())
    }

    /// URL of the management API, as administrator.
    pub fn management_url(&self) -> String {
        management_url(self.ports.management)
    }

    /// Runs `rabbitmqctl` with these arguments and returns its output. It takes a second of CPU; use it only for what
    /// [`Vhost`] cannot do, such as alarms.
    ///
    /// # Errors
    ///
    /// The command failed; the error has its output.
    pub async fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let script = format!(r#"exec {CTL} -q "$@""#);
        let mut command = self.command(&script);
        command.args(arguments);
        let output = tokio::process::Command::from(command).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    }

    /// A shell script in the node's environment, and in the other root if there is one.
    fn command(&self, script: &str) -> Command {
        let mut command = if let Some(root) = &self.root {
            // A private mount namespace: its mounts disappear with the process.
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "--propagation", "private", "/bin/sh", "-ec"])
                .arg(
                    r#"root=$0 folder=$1; shift
                    mount -t proc proc "$root/proc"
                    mount --rbind /dev "$root/dev"
                    mount -t tmpfs tmpfs "$root/tmp"
                    mkdir -p "$root$folder"
                    mount --bind "$folder" "$root$folder"
                    exec chroot "$root" /bin/sh -ec "$@""#,
                )
                .arg(root)
                .arg(self.folder.path())
                .args([script, "sh"]);
            command
        } else {
            let mut command = Command::new("/bin/sh");
            command.args(["-ec", script, "sh"]);
            command
        };
        let file = |name: &str| self.folder.path().join(name);
        let Ports { distribution, .. } = self.ports;
        let Realm { epmd, .. } = self.realm;
        command
            .current_dir("/")
            .env("HOME", file("home"))
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", file("data"))
            .env("RABBITMQ_LOG_BASE", file("log"))
            .env("RABBITMQ_PID_FILE", file("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            // Two schedulers, without busy waiting.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} \
                 +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            );
        command
    }

    fn write_files(&self) -> anyhow::Result<()> {
        let file = |name: &str| self.folder.path().join(name);
        for name in ["home", "data", "log"] {
            std::fs::create_dir(file(name))?;
        }
        let cookie = file("home").join(".erlang.cookie");
        std::fs::write(&cookie, &self.realm.cookie)?;
        std::fs::set_permissions(&cookie, PermissionsExt::from_mode(0o400))?;
        std::fs::write(file("enabled_plugins"), "[rabbitmq_management].\n")?;
        // The maximum age of queue lengths in the management API.
        std::fs::write(
            file("advanced.config"),
            "[{rabbit, [{quorum_tick_interval, 250}]}].\n",
        )?;
        std::fs::write(file("rabbitmq.conf"), self.configuration())?;
        Ok(())
    }

    fn configuration(&self) -> String {
        let Ports {
            amqp,
            amqps,
            management,
            ..
        } = self.ports;
        let join = self.realm.join.as_ref().map(|node| {
            format!(
                "cluster_formation.peer_discovery_backend = classic_config\n\
                 cluster_formation.classic_config.nodes.1 = {node}\n"
            )
        });
        let plain = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             management.rates_mode = none\n\
             default_user = {LOGIN}\n\
             default_pass = {LOGIN}\n\
             vm_memory_high_watermark.relative = 0.2\n\
             disk_free_limit.absolute = 50MB\n\
             log.file.level = warning\n\
             {}",
            join.unwrap_or_default()
        );
        let Some(Certificates { ca, certificate, key }) = &self.certificates else {
            return plain;
        };
        format!(
            "{plain}\
             listeners.ssl.1 = 127.0.0.1:{amqps}\n\
             ssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n",
            ca.display(),
            certificate.display(),
            key.display()
        )
    }
}

fn management_url(port: u16) -> String {
    format!("http://{LOGIN}:{LOGIN}@127.0.0.1:{port}")
}

/// The server with its own port mapper. Otherwise the server starts one as a daemon that outlives it.
fn server_script() -> String {
    format!(r#"epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" & exec {SERVER}"#)
}

fn new_folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("broker-")
        .tempdir()
        .context("make a folder for RabbitMQ")
}
