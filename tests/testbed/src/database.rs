//! Starts private PostgreSQL servers, with their own data folder and port, which a test can kill.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::certificates::Certificates;
use crate::ports::free_port;
use crate::process::Process;
use crate::{Disk, Schema, wait};

const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The superuser, without a password on the loopback interface.
const USER: &str = "lockstep";
/// What PostgreSQL says when backends of a server that was killed are still ending.
const MEMORY_IN_USE: &str = "pre-existing shared memory block";
/// PostgreSQL refuses to run as root; its package creates this user.
const SYSTEM_USER: &str = "postgres";

/// A private database server of a test. Dropping it kills it and removes its data.
pub struct Database {
    // Dropped first: the process must be gone before its folder.
    process: Option<Process>,
    port: u16,
    certificates: Option<Certificates>,
    programs: PathBuf,
    folder: TempDir,
}

impl Database {
    /// Starts a server and waits until it takes connections. It syncs to disk as in production.
    ///
    /// # Errors
    ///
    /// PostgreSQL is not installed, or did not come up; the error has the end of its log.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_in(new_folder()?, None).await
    }

    /// Starts a server with its data on this disk, which must outlive it.
    ///
    /// # Errors
    ///
    /// As [`Database::start`]; or the disk is too small.
    pub async fn start_on(disk: &Disk) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("database-")
            .tempdir_in(disk.path())
            .context("make a folder for PostgreSQL")?;
        Self::start_in(folder, None).await
    }

    /// Starts a server that also accepts TLS: [`Database::tls_url`], [`Database::ca_file`].
    ///
    /// # Errors
    ///
    /// As [`Database::start`].
    pub async fn start_with_tls() -> anyhow::Result<Self> {
        let folder = new_folder()?;
        let certificates = Certificates::make(folder.path()).await?;
        Self::start_in(folder, Some(certificates)).await
    }

    async fn start_in(folder: TempDir, certificates: Option<Certificates>) -> anyhow::Result<Self> {
        let mut database = Self {
            process: None,
            port: free_port()?,
            certificates,
            programs: programs()?,
            folder,
        };
        database.change_owner().await?;
        database.init().await?;
        database.restart().await?;
        Ok(database)
    }

    /// Lets only the superuser log in without a password from now on.
    ///
    /// # Errors
    ///
    /// The server does not run.
    pub async fn require_passwords(&self) -> anyhow::Result<()> {
        let rules = format!("host all {USER} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
        std::fs::write(self.data().join("pg_hba.conf"), rules)?;
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SELECT pg_reload_conf()").await?;
        wait::until("PostgreSQL to read its rules", START_TIMEOUT, async || {
            let loaded = "SELECT 1 FROM pg_hba_file_rules WHERE auth_method = 'scram-sha-256'";
            client.query_one(loaded, &[]).await
        })
        .await?;
        Ok(())
    }

    /// Kills the server and its backends by SIGKILL, like a crash of its machine. Its data are kept.
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

    /// Stops the server gracefully and closes its connections. Its data are kept.
    ///
    /// # Errors
    ///
    /// It did not stop in time; it is killed then.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.stop(Signal::INT).await,
            None => Ok(()),
        }
    }

    /// Starts the server again, with the same data and port, and waits until it takes connections.
    /// It is killed first if it runs.
    ///
    /// # Errors
    ///
    /// As [`Database::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        let (server, log) = (self.server(), self.folder.path().join("output.log"));
        let mut process = Process::start(&server, &log)?;
        let url = format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port);
        wait::until("PostgreSQL to start", START_TIMEOUT, async || {
            if let Err(ended) = process.check() {
                // If the server has ended already, there is no need to wait for the timeout.
                if !format!("{ended:#}").contains(MEMORY_IN_USE) {
                    return Ok(Err(ended));
                }
                match Process::start(&server, &log) {
                    Ok(again) => process = again,
                    Err(error) => return Ok(Err(error)),
                }
            }
            tokio_postgres::connect(&url, NoTls)
                .await
                .map(|_| Ok(()))
                .context("connect")
        })
        .await?
        .context("start PostgreSQL")?;
        self.process = Some(process);
        Ok(())
    }

    /// Whether the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.check().is_err())
    }

    /// A new schema in this database.
    ///
    /// # Errors
    ///
    /// The server does not run.
    pub async fn schema(&self) -> anyhow::Result<Schema> {
        Schema::create(&self.url()).await
    }

    /// URL as superuser.
    pub fn url(&self) -> String {
        self.url_through(self.addr())
    }

    /// The same URL with another address, such as that of a [`FaultProxy`](crate::FaultProxy).
    pub fn url_through(&self, proxy: SocketAddr) -> String {
        format!("postgres://{USER}@{proxy}/postgres")
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// URL that requires TLS, if it was started with TLS. The certificate is valid for 127.0.0.1 too.
    pub fn tls_url(&self) -> Option<String> {
        let port = self.port;
        self.certificates
            .as_ref()
            .map(|_| format!("postgres://{USER}@localhost:{port}/postgres?sslmode=require"))
    }

    /// The certificate authority in PEM, if it was started with TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.certificates.as_ref().map(|made| made.ca.as_path())
    }

    /// Makes the system user the owner of the folder, and gives it access to the temporary folders above.
    async fn change_owner(&self) -> anyhow::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let mut chown = Command::new("chown");
        chown.args(["-R", SYSTEM_USER]).arg(self.folder.path());
        run(chown).await?;
        if let Some(certificates) = &self.certificates {
            std::fs::set_permissions(self.folder.path(), PermissionsExt::from_mode(0o755))?;
            std::fs::set_permissions(&certificates.ca, PermissionsExt::from_mode(0o644))?;
        }
        Ok(())
    }

    async fn init(&self) -> anyhow::Result<()> {
        let mut initdb = self.command("initdb");
        initdb.arg("--pgdata").arg(self.data());
        initdb.args([
            "--username",
            USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            // `initdb` need not sync to disk; the server does.
            "--no-sync",
        ]);
        run(initdb).await
    }

    fn server(&self) -> Command {
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data());
        let mut set = |name: &str, value: &str| {
            server.arg("-c").arg(format!("{name}={value}"));
        };
        set("listen_addresses", "127.0.0.1");
        set("port", &self.port.to_string());
        set("unix_socket_directories", "");
        set("max_connections", "300");
        set("fsync", "on");
        if let Some(Certificates { certificate, key, .. }) = &self.certificates {
            set("ssl", "on");
            set("ssl_cert_file", &certificate.display().to_string());
            set("ssl_key_file", &key.display().to_string());
        }
        server
    }

    /// A program of PostgreSQL, run as the system user if this process is root.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER])
                .arg("--clear-groups")
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env("LANG", "C.UTF-8");
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// The folder of the newest installed PostgreSQL.
fn programs() -> anyhow::Result<PathBuf> {
    std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, programs)| programs.join("initdb").exists())
        .max()
        .map(|(_, programs)| programs)
        .context("PostgreSQL is not installed: run `tests/run`")
}

async fn run(command: Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let output = tokio::process::Command::from(command)
        .output()
        .await
        .with_context(|| format!("run {program}"))?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn new_folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("database-")
        .tempdir()
        .context("make a folder for PostgreSQL")
}
