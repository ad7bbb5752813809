//! Runs the same work in Celery 5; see `celery/tasks.py`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use lockstep_testbed::wait;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::messages;
use crate::meter::{Cpu, Measured};
use crate::processes::target_folder;
use crate::scene::Scene;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/celery");
/// Start takes some seconds; the slowest machine processes a hundred messages per second.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const WORK_TIMEOUT: Duration = Duration::from_mins(10);

/// A Python with Celery.
pub(crate) struct Celery {
    programs: PathBuf,
}

impl Celery {
    /// Makes a virtual environment beside the binary, unless it is there.
    ///
    /// # Errors
    /// There is no Python, or PyPI cannot be reached.
    pub(crate) async fn install() -> anyhow::Result<Self> {
        let folder = target_folder()?.join("bench-celery");
        let programs = folder.join("bin");
        let requirements = Path::new(FOLDER).join("requirements.txt");
        if !programs.join("celery").exists() {
            succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await?;
        }
        let mut pip = Command::new(programs.join("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(requirements);
        succeed(&mut pip).await?;
        Ok(Self { programs })
    }

    /// Processes this number of events with one process per core. Measures from the first applied event to the last,
    /// so that its start does not count.
    ///
    /// # Errors
    /// A server is unavailable or rejects a request.
    pub(crate) async fn measure(&self, scene: &Scene, count: u32, devices: u32) -> anyhow::Result<Measured> {
        self.publish(scene, count, devices).await?;
        let processes = std::thread::available_parallelism()?.get();
        let mut worker = self.command("celery", scene);
        worker
            .args(["--app", "tasks", "--quiet", "worker", "--loglevel", "ERROR"])
            .args(["--without-gossip", "--without-mingle", "--without-heartbeat"])
            .args(["--concurrency", &processes.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut worker = worker.spawn().context("start Celery")?;
        let pid = worker.id().context("Celery ended at once")?;

        let database = scene.schema.connect().await?;
        let applied = async || -> anyhow::Result<i64> {
            Ok(database
                .query_one("SELECT count(*) FROM inbox", &[])
                .await?
                .get(0))
        };
        let begun = wait::until("Celery to begin", START_TIMEOUT, async || {
            // If it has ended already, there is no need to wait for the timeout.
            if let Ok(Some(status)) = worker.try_wait() {
                return Ok(Err(anyhow::anyhow!("Celery ended: {status}")));
            }
            match applied().await {
                Ok(0) => Err("no event is processed".to_owned()),
                Ok(applied) => Ok(Ok(applied)),
                Err(error) => Err(error.to_string()),
            }
        });
        let begun = u32::try_from(begun.await??)?;
        let before = Cpu::now(pid, scene.servers)?;
        wait::until("Celery to end", WORK_TIMEOUT, async || {
            let applied = applied().await.map_err(|error| error.to_string())?;
            if applied >= i64::from(count) {
                Ok(())
            } else {
                Err(format!("{applied} of {count} are done"))
            }
        })
        .await?;
        let cpu = Cpu::now(pid, scene.servers)?.since(before);
        stop(&mut worker, pid).await?;

        let span = "SELECT extract(epoch FROM max(at) - min(at))::float8 FROM inbox";
        let span: f64 = database.query_one(span, &[]).await?.get(0);
        // The first event began before it was applied: the time span covers the others only.
        let share = |part: u32| part.max(1);
        let scale = f64::from(share(count - 1)) / f64::from(share(count - begun));
        Ok(Measured {
            messages: count - 1,
            batches: count - 1,
            wall: Duration::from_secs_f64(span),
            cpu: Cpu {
                worker: cpu.worker.mul_f64(scale),
                broker: cpu.broker.mul_f64(scale),
                database: cpu.database.mul_f64(scale),
            },
            allocations: None,
        })
    }

    async fn publish(&self, scene: &Scene, count: u32, devices: u32) -> anyhow::Result<()> {
        let run = messages::run();
        let events: Vec<String> = (0..count)
            .map(|number| messages::event(&run, number, devices).body)
            .collect();
        let mut publish = self.command("python", scene);
        let mut publish = publish.arg("publish.py").stdin(Stdio::piped()).spawn()?;
        let mut lines = publish.stdin.take().context("no standard input")?;
        lines.write_all(events.join("\n").as_bytes()).await?;
        drop(lines);
        ensure!(
            publish.wait().await?.success(),
            "publishing Celery's tasks failed"
        );
        Ok(())
    }

    fn command(&self, program: &str, scene: &Scene) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(FOLDER)
            .env("BENCH_AMQP_URL", scene.vhost.url())
            .env("BENCH_POSTGRES_URL", scene.schema.url())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Celery warns that it runs as root.
            .env("PYTHONWARNINGS", "ignore")
            .kill_on_drop(true);
        command
    }
}

/// Stops Celery, which stops its worker processes.
async fn stop(worker: &mut Child, pid: u32) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).context("no process")?;
    kill_process(pid, Signal::TERM)?;
    tokio::time::timeout(STOP_TIMEOUT, worker.wait())
        .await
        .context("Celery does not stop")??;
    Ok(())
}

async fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await?;
    let program = command.as_std().get_program().display();
    ensure!(status.success(), "{program} failed");
    Ok(())
}
