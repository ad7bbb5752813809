//! Measures the import of an inventory by the command line, and of the same inventory again, which must write no row of the fleet.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_testbed::{free_port, wait};

use crate::processes::memory_kib;
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

const TOKEN: &str = "a-token-of-the-bench";

const PATIENCE: Duration = Duration::from_mins(1);

/// Which versions of rows the tables of the fleet have: it changes with each row that is written.
const VERSIONS: &str = "SELECT md5(string_agg(versions, ' ')) FROM (\
    SELECT md5(string_agg(xmin || ' ' || ctid, ',' ORDER BY id)) AS versions FROM device \
    UNION ALL SELECT md5(string_agg(xmin || ' ' || ctid, ',' ORDER BY id)) FROM interface \
    UNION ALL SELECT md5(string_agg(xmin || ' ' || ctid, ',' ORDER BY id)) FROM device_group \
    UNION ALL SELECT md5(string_agg(xmin || ' ' || ctid, ',' ORDER BY device_id, group_id)) FROM group_member \
    UNION ALL SELECT md5(string_agg(xmin || ' ' || ctid, ',' ORDER BY id)) FROM cause) AS tables";

/// What one import took.
struct Imported {
    time: Duration,
    /// The most memory of the command line, in KiB.
    client: f64,
}

/// Imports an inventory of this size twice in each round.
///
/// # Errors
/// The program `lockstep` is not beside this one, an import fails, or the second one writes a row.
pub(crate) async fn measure(host: &Host, devices: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fleet.yml");
    std::fs::write(&file, inventory(devices))?;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let (mut clients, mut workers) = (Vec::new(), Vec::new());
    let mut idle = Vec::new();
    for round in 0..rounds {
        let scene = host.scene(0).await?;
        let installation = Installation::start(&program, folder.path(), &scene).await?;
        idle.push(memory_kib(installation.worker.0.id(), "VmHWM")? / 1024.0);
        let new = installation.import(&file)?;
        let client = scene.schema.connect().await?;
        let before: String = client.query_one(VERSIONS, &[]).await?.get(0);
        let again = installation.import(&file)?;
        let after: String = client.query_one(VERSIONS, &[]).await?.get(0);
        ensure!(before == after, "the second import wrote rows of the fleet");
        eprintln!("import, round {round}: {:?}, then {:?}", new.time, again.time);
        first.push(new.time.as_secs_f64());
        second.push(again.time.as_secs_f64());
        clients.push(new.client.max(again.client) / 1024.0);
        workers.push(memory_kib(installation.worker.0.id(), "VmHWM")? / 1024.0);
    }
    table.rows.push(Row::new(
        format!("import of {devices} devices that exist"),
        "s",
        &second,
        ("new ones", &first),
        Goal::AtMost(1.1),
    ));
    table.rows.push(Row::new(
        format!("most memory of the worker during imports of {devices} devices"),
        "MiB",
        &workers,
        ("idle", &idle),
        Goal::Plus(256.0),
    ));
    table.rows.push(Row::new(
        format!("most memory of the command line that imports {devices} devices"),
        "MiB",
        &clients,
        ("an idle worker", &idle),
        Goal::None,
    ));
    Ok(())
}

/// The program `lockstep` of the same build.
fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("lockstep");
    ensure!(
        program.exists(),
        "{} does not exist; build it with the same profile: cargo build -p lockstep",
        program.display()
    );
    Ok(program)
}

/// A YAML list of devices, each with two groups and four interfaces.
fn inventory(devices: u32) -> String {
    let mut text = String::new();
    for number in 0..devices {
        let group = number % 50;
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "- {{hostname: sw{number:06}, device_type: ACCESS, platform: eos, synchronized: true, serial: S{number}, \
             groups: [all, site{group}], interfaces: [e1, e2, e3, {{name: e4, configuration: {{untagged_vlan: {group}}}}}]}}"
        );
    }
    text
}

/// A process that ends with this value.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A worker and a console.
struct Installation {
    program: PathBuf,
    folder: PathBuf,
    url: String,
    worker: Stopped,
    _console: Stopped,
}

impl Installation {
    async fn start(program: &Path, folder: &Path, scene: &Scene) -> anyhow::Result<Self> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let start = |role: &str| -> anyhow::Result<Stopped> {
            let mut command = Command::new(program);
            command
                .arg(role)
                .current_dir(folder)
                .stderr(Stdio::null())
                .stdout(Stdio::null());
            command
                .env("LOCKSTEP__BROKER__URL", scene.vhost.url())
                .env("LOCKSTEP__STORE__URL", scene.schema.url())
                .env("LOCKSTEP__CONSOLE__LISTEN", &listen)
                .env("LOCKSTEP__CONSOLE__TOKENS__0__NAME", "bench")
                .env("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN", TOKEN)
                .env("LOCKSTEP__CONSOLE__TOKENS__0__TYPES", "*");
            Ok(Stopped(
                command.spawn().with_context(|| format!("start the {role}"))?,
            ))
        };
        let installation = Self {
            worker: start("worker")?,
            _console: start("console")?,
            program: program.to_owned(),
            folder: folder.to_owned(),
            url: format!("http://{listen}"),
        };
        wait::until("the console", PATIENCE, async || {
            let output = installation.client(&["devices", "list", "--json"]).output();
            output.is_ok_and(|output| output.status.success())
        })
        .await?;
        Ok(installation)
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("LOCKSTEP_URL", &self.url)
            .env("LOCKSTEP_TOKEN", TOKEN);
        command
    }

    fn import(&self, file: &Path) -> anyhow::Result<Imported> {
        let file = file.display().to_string();
        let mut command = self.client(&["devices", "import", &file]);
        command.stdout(Stdio::null());
        let began = Instant::now();
        let mut child = command.spawn().context("start the import")?;
        let mut client: f64 = 0.0;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            // A process that has just ended has no memory any more.
            client = client.max(memory_kib(child.id(), "VmHWM").unwrap_or(0.0));
            std::thread::sleep(Duration::from_millis(20));
        };
        ensure!(status.success(), "the import failed: {status}");
        Ok(Imported {
            time: began.elapsed(),
            client,
        })
    }
}
