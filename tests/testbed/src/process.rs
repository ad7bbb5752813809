//! Runs server processes that do not outlive the process that started them.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait;

/// Timeout of a graceful stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout until the kernel has removed a killed process.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A shell leads the process group and waits for the end of its standard input, which closes when this process ends in any way.
/// Its copy waits for the server: when the server ends, it kills the group, which this process notices.
const GUARDIAN: &str = r#"{ "$@" </dev/null; kill -KILL 0; } & cat >/dev/null; kill -KILL 0"#;

/// A server and its child processes in their own process group. Dropping it kills them.
pub(crate) struct Process {
    guardian: Child,
    group: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `server` and writes its output to the file `log`.
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

    /// Kills the server and its child processes, and waits until all have ended.
    pub(crate) async fn kill(self) -> anyhow::Result<()> {
        let group = self.group;
        tokio::task::spawn_blocking(move || drop(self)).await?;
        gone(group).await
    }

    /// Sends `signal` to the server and waits for its end. Kills it after a timeout.
    pub(crate) async fn stop(self, signal: Signal) -> anyhow::Result<()> {
        for process in self.servers() {
            // The process may have ended just now.
            let _ = kill_process(process, signal);
        }
        gone(self.group).await
    }

    /// The server and its child processes in the group: all except the guardian, its copy and its `cat`.
    fn servers(&self) -> Vec<Pid> {
        processes()
            .filter(|process| process.group == self.group)
            .filter(|process| ![process.pid, process.parent].contains(&self.group))
            .map(|process| process.pid)
            .collect()
    }
}

impl Drop for Process {
    /// Kills the server, so that the guardian's copy reaps it: PostgreSQL does not start again while its zombie exists, and
    /// not every container has an init process that reaps. Then the group kills itself.
    fn drop(&mut self) {
        let servers = self.servers();
        // Children with their own session (PostgreSQL's backends) are not in the group.
        let children: Vec<Pid> = processes()
            .filter(|process| servers.contains(&process.parent))
            .map(|process| process.pid)
            .collect();
        for process in servers.into_iter().chain(children) {
            // The process may have ended just now.
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

/// Waits until no process of the group is alive.
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

/// All running processes. Zombies do not count, because possibly no process reaps them. However, while a process ends, its
/// first thread is a zombie and other threads still hold its ports.
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
