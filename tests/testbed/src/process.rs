//! A server process that does not outlive the process that started it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait;

/// How long a server may take to end when asked.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the kernel may take to clear a killed one away.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A shell leads the group and waits for the end of its standard input, which is the end of us, however that comes.
/// Its copy waits for the server: if that ends, so does the group, and we see it.
const GUARDIAN: &str = r#"{ "$@" </dev/null; kill -KILL 0; } & cat >/dev/null; kill -KILL 0"#;

/// A server with all it started, as a process group of its own. Dropping it kills them.
pub(crate) struct Process {
    guardian: Child,
    group: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `server`; its output goes to the file `log`.
    pub(crate) fn start(server: &Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", GUARDIAN, "sh"])
            .arg(server.get_program())
            .args(server.get_args())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        for (name, value) in server.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = server.get_current_dir() {
            command.current_dir(folder);
        }
        let guardian = command
            .spawn()
            .with_context(|| format!("start {}", server.get_program().display()))?;
        let group = Pid::from_child(&guardian);
        Ok(Self {
            guardian,
            group,
            log: log.to_owned(),
        })
    }

    /// Fails with the end of the log if the server has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.guardian.try_wait()? {
            None => Ok(()),
            Some(_) => anyhow::bail!("it ended: {}", last_lines(&self.log)),
        }
    }

    /// Kills the server and what it started, and waits until all are gone.
    pub(crate) async fn kill(self) -> anyhow::Result<()> {
        let group = self.group;
        tokio::task::spawn_blocking(move || drop(self)).await?;
        gone(group).await
    }

    /// Asks the server by `signal` to end, and waits for it. It is killed if it does not.
    pub(crate) async fn stop(self, signal: Signal) -> anyhow::Result<()> {
        for process in self.servers() {
            // It may have ended just now.
            let _ = kill_process(process, signal);
        }
        gone(self.group).await
    }

    /// The server and what it started in its group: all but the guardian, its copy and its `cat`.
    fn servers(&self) -> Vec<Pid> {
        processes()
            .filter(|process| process.group == self.group)
            .filter(|process| ![process.pid, process.parent].contains(&self.group))
            .map(|process| process.pid)
            .collect()
    }
}

impl Drop for Process {
    /// Kills the server, so that the guardian's copy reaps it: PostgreSQL does not start again beside a zombie, and
    /// not every container has an init that reaps. Then the group kills itself.
    fn drop(&mut self) {
        let servers = self.servers();
        // Children with a session of their own (PostgreSQL's backends) are not in the group.
        let children: Vec<Pid> = processes()
            .filter(|process| servers.contains(&process.parent))
            .map(|process| process.pid)
            .collect();
        for process in servers.into_iter().chain(children) {
            // It may have ended just now.
            let _ = kill_process(process, Signal::KILL);
        }
        let deadline = Instant::now() + KILL_TIMEOUT;
        while matches!(self.guardian.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.guardian.wait();
    }
}

/// Waits until no process of the group lives.
async fn gone(group: Pid) -> anyhow::Result<()> {
    wait::until("the end of a server", STOP_TIMEOUT, async || {
        let mut left = processes().filter(|process| process.group == group);
        match left.next() {
            None => Ok(()),
            Some(process) => Err(format!("process {} is left", process.pid)),
        }
    })
    .await?;
    Ok(())
}

struct Entry {
    pid: Pid,
    parent: Pid,
    group: Pid,
}

/// All living processes. Zombies do not count, since nobody may ever reap them, but while a process dies its first
/// thread is a zombie and others still hold its ports.
fn processes() -> impl Iterator<Item = Entry> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // pid (name) state parent group …; the name may contain anything.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let (state, threads) = (fields.first()?, fields.get(17)?);
            if ["Z", "X"].contains(state) && ["0", "1"].contains(threads) {
                return None;
            }
            Some(Entry {
                pid: Pid::from_raw(pid)?,
                parent: Pid::from_raw(fields.get(1)?.parse().ok()?)?,
                group: Pid::from_raw(fields.get(2)?.parse().ok()?)?,
            })
        })
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
