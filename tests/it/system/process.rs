//! A child process that a test starts, watches, and kills.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::PATIENCE;

/// A running `lockstep` that writes its output to a file.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `lockstep` with these arguments and this environment in this folder, which gets its log.
    pub(crate) fn start(folder: &Path, arguments: &[&str], environment: &[(String, String)]) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(arguments);
        Self::spawn(command, folder, environment)
    }

    /// As [`Self::start`], with this limit of open files, soft and hard.
    pub(crate) fn start_with_open_files(
        limit: usize,
        folder: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Result<Self> {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {limit} && exec \"$@\"");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_lockstep")]);
        command.args(arguments);
        Self::spawn(command, folder, environment)
    }

    fn spawn(mut command: Command, folder: &Path, environment: &[(String, String)]) -> Result<Self> {
        let number = std::fs::read_dir(folder)?.count();
        let log = folder.join(format!("process-{number}.log"));
        let output = File::create(&log)?;
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        command
            .env_remove("LOCKSTEP_FAIL_POINT")
            .envs(environment.iter().cloned());
        let child = command.spawn().context("cannot start lockstep")?;
        Ok(Self { child, log })
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let log = self.log.clone();
        let ended = wait::until("the process to end", PATIENCE, async || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err("the process runs".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
        ended.await.with_context(|| tail(&log))
    }

    /// Waits until the process has stopped itself at a fail point.
    pub(crate) async fn stopped(&mut self) -> Result<()> {
        let path = format!("/proc/{}/stat", self.child.id());
        let log = self.log.clone();
        let stopped = wait::until("the process to stop at its fail point", PATIENCE, async || {
            let stat = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let state = stat
                .rsplit(')')
                .next()
                .and_then(|rest| rest.trim().chars().next());
            if state == Some('T') {
                Ok(())
            } else {
                Err(format!("the state of the process is {state:?}"))
            }
        });
        stopped.await.with_context(|| tail(&log))
    }

    /// Waits until the output contains this text.
    pub(crate) async fn prints(&self, text: &str) -> Result<()> {
        self.prints_times(text, 1).await
    }

    /// Waits until the output contains this text this number of times.
    pub(crate) async fn prints_times(&self, text: &str, times: usize) -> Result<()> {
        let what = format!("the process to print `{text}`");
        let printed = wait::until(&what, PATIENCE, async || {
            let log = self.log().map_err(|error| format!("{error:#}"))?;
            let count = log.matches(text).count();
            if count >= times {
                Ok(())
            } else {
                Err(format!("{count} of {times} times"))
            }
        });
        printed.await.with_context(|| tail(&self.log))
    }

    /// Lowers the limit of open files, so that the process can open none until it has closed one.
    pub(crate) fn opens_no_more_files(&self) -> Result<()> {
        let folder = format!("/proc/{}/fd", self.child.id());
        // New files get the lowest free number, and the limit is of numbers.
        let free = (0..u64::from(u16::MAX))
            .find(|number| std::fs::symlink_metadata(format!("{folder}/{number}")).is_err());
        let limit = Rlimit {
            current: free,
            maximum: free,
        };
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("no process id")?;
        prlimit(Some(pid), Resource::Nofile, limit)?;
        Ok(())
    }

    /// The resident memory in KiB.
    pub(crate) fn memory(&self) -> Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no VmRSS")?.parse()?)
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("no process id")?;
        kill_process(pid, signal).context("cannot send the signal")
    }

    /// Sends SIGTERM and waits for a successful end.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop_and_log().await?;
        Ok(())
    }

    /// As [`Self::stop`]; returns the whole output.
    pub(crate) async fn stop_and_log(mut self) -> Result<String> {
        self.handles_sigterm().await?;
        self.signal(Signal::TERM)?;
        let status = self.ended().await?;
        ensure!(
            status.success(),
            "the process ended with {status}: {}",
            tail(&self.log)
        );
        self.log()
    }

    /// Waits until the process handles SIGTERM, which would kill one that has just begun; or until it has ended.
    async fn handles_sigterm(&mut self) -> Result<()> {
        let path = format!("/proc/{}/status", self.child.id());
        let handled = wait::until("the process to handle SIGTERM", PATIENCE, async || {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Ok(());
            }
            let status = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            // A mask has a bit for each signal from 1 on.
            let bit = 1 << (Signal::TERM.as_raw() - 1);
            match caught {
                Some(mask) if mask & bit != 0 => Ok(()),
                _ => Err(format!("it handles the signals {caught:x?}")),
            }
        });
        handled.await?;
        Ok(())
    }

    /// The most memory that the process had at a time, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.context("no VmHWM")?.trim().trim_end_matches(" kB");
        Ok(peak.parse::<u64>()? * 1024)
    }

    /// The whole output of the process.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", tail(&self.log));
        }
    }
}

/// The last lines of a log, for the report of a failed test.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(40)..];
    format!("the end of {}:\n{}", log.display(), last.join("\n"))
}
