use std::ffi::OsString;
use std::io::Error as IoError;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};

use super::access::Access;
use super::{GitError, Limits};

/// The most bytes of output; enough for a listing of a million files.
const MAX_OUTPUT: usize = 256 * 1024 * 1024;
/// The most bytes of output of a command that uses a remote: it names one tip.
const MAX_REMOTE_OUTPUT: usize = 1024 * 1024;
/// The most bytes of error output that are kept.
const MAX_STDERR: usize = 16 * 1024;

/// The environment variables that git inherits: they locate programs, keys and proxies.
const INHERITED: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "TMPDIR",
];

/// Settings for every command; they override those of the repository itself. The last ones keep memory and disk in proportion to
/// what a remote sends: packs are mapped in parts, large files are not compared, and packs are kept as they came.
const SETTINGS: [&str; 16] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "gc.autoDetach=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "maintenance.auto=false",
    "protocol.version=2",
    "transfer.bundleURI=false",
    "core.bigFileThreshold=16m",
    "core.packedGitLimit=256m",
    "core.packedGitWindowSize=32m",
    "fetch.unpackLimit=1",
    "pack.threads=2",
    "pack.windowMemory=64m",
];

/// The status of a shell whose program cannot be started, and of one that does not find it.
const NOT_STARTED: [i32; 2] = [126, 127];

/// Runs the git program.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    timeout: Duration,
    limits: Limits,
}

/// One command.
#[derive(Default)]
pub(super) struct Call<'a> {
    /// The git subcommand.
    pub(super) command: &'static str,
    /// The folder of the clone.
    pub(super) folder: Option<&'a Path>,
    /// The remote that the command may use.
    pub(super) access: Option<&'a Access<'a>>,
    pub(super) arguments: &'a [&'a str],
    pub(super) input: Vec<u8>,
}

impl Call<'_> {
    fn most_output(&self) -> usize {
        if self.access.is_some() {
            MAX_REMOTE_OUTPUT
        } else {
            MAX_OUTPUT
        }
    }
}

/// How a command ended.
struct Ended<T> {
    status: ExitStatus,
    stderr: String,
    /// What was made of its output.
    value: Result<T, GitError>,
}

impl Git {
    /// Uses the program of this name or path. Each command must end within `timeout`.
    pub fn new(program: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self {
            program: program.into(),
            timeout,
            limits: Limits::default(),
        }
    }

    /// Replaces the limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The output of `git version`, such as `git version 2.39.5`.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn version(&self) -> Result<String, GitError> {
        let answer = self.output(Call {
            command: "version",
            ..Call::default()
        });
        Ok(String::from_utf8_lossy(&answer.await?).trim().to_owned())
    }

    /// Runs a command to its end and returns its output.
    pub(super) async fn output(&self, call: Call<'_>) -> Result<Vec<u8>, GitError> {
        let (command, most) = (call.command, call.most_output());
        self.read(call, async move |stdout| read_all(command, stdout, most).await)
            .await
    }

    /// Runs a command to its end and returns the beginning of its output.
    pub(super) async fn output_head(&self, call: Call<'_>, most: usize) -> Result<Vec<u8>, GitError> {
        let command = call.command;
        let read = async move |stdout| {
            let head = read_head(Some(stdout), most).await;
            head.map_err(|error| unreadable(command, &error))
        };
        self.read(call, read).await
    }

    /// Runs a command, and makes a value of its output while it runs. Fails if its exit status is not a success.
    pub(super) async fn read<T, F: Future<Output = Result<T, GitError>>>(
        &self,
        call: Call<'_>,
        read: impl FnOnce(ChildStdout) -> F,
    ) -> Result<T, GitError> {
        let (command, access) = (call.command, call.access);
        let ended = self.run(call, read).await?;
        if ended.status.success() {
            return ended.value;
        }
        let message = one_line(&ended.stderr);
        let message = access.map_or(message.clone(), |access| access.remote.masked(&message));
        if access.is_some() && is_redirect(&message) {
            return Err(GitError::Redirected { command });
        }
        let message = if message.is_empty() {
            ended.status.to_string()
        } else {
            message
        };
        Err(GitError::Failed { command, message })
    }

    /// Whether a command succeeds.
    pub(super) async fn succeeds(&self, call: Call<'_>) -> Result<bool, GitError> {
        let (command, most) = (call.command, call.most_output());
        let ended = self.run(call, async move |stdout| read_all(command, stdout, most).await);
        Ok(ended.await?.status.success())
    }

    /// Runs a command within the deadline and the limits, whatever its exit status is.
    async fn run<T, F: Future<Output = Result<T, GitError>>>(
        &self,
        call: Call<'_>,
        read: impl FnOnce(ChildStdout) -> F,
    ) -> Result<Ended<T>, GitError> {
        let command = call.command;
        let child = self.command(&call).spawn().map_err(GitError::Missing)?;
        let mut running = Running::of(child);
        let ended = tokio::time::timeout(self.timeout, running.wait(command, call.input, read)).await;
        let ended = ended.map_err(|_| GitError::TimedOut {
            command,
            timeout: self.timeout,
        })??;
        let limit = self.limits.reached(&ended.stderr);
        if let Some(limit) = limit.filter(|_| !ended.status.success()) {
            return Err(GitError::Limit { command, limit });
        }
        if ended
            .status
            .code()
            .is_some_and(|code| NOT_STARTED.contains(&code))
        {
            return Err(GitError::Missing(IoError::other(one_line(&ended.stderr))));
        }
        Ok(ended)
    }

    fn command(&self, call: &Call<'_>) -> Command {
        let protocols = call.access.map_or("", |access| access.remote.protocols());
        let mut process = self.limits.command(&self.program, self.timeout);
        process
            .env_clear()
            .envs(inherited())
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "false")
            .env("SSH_ASKPASS", "false")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_ALLOW_PROTOCOL", protocols)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that the programs that git starts can be killed with it.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = call.folder {
            process.arg("--git-dir").arg(folder);
        }
        for setting in SETTINGS {
            process.args(["-c", setting]);
        }
        if let Some(access) = call.access {
            process.env("GIT_SSH_COMMAND", access.remote.ssh_command());
            for setting in access.settings() {
                process.args(["-c", &setting]);
            }
        }
        process.arg(call.command).args(call.arguments);
        process
    }
}

/// The environment variables that git inherits.
#[expect(clippy::disallowed_methods, reason = "passed on, never interpreted")]
fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// A process with all processes that it started. Dropping this kills them.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn of(child: Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            group: id.and_then(Pid::from_raw),
            child,
        }
    }

    async fn wait<T, F: Future<Output = Result<T, GitError>>>(
        &mut self,
        command: &'static str,
        input: Vec<u8>,
        read: impl FnOnce(ChildStdout) -> F,
    ) -> Result<Ended<T>, GitError> {
        let failed = |error: IoError| unreadable(command, &error);
        let mut stdin = self.child.stdin.take();
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let stdout = stdout.ok_or_else(|| failed(IoError::other("it has none")))?;
        let feed = async {
            if let Some(stdin) = &mut stdin {
                // The process may end without reading all of its input; its exit status reports failures.
                stdin.write_all(&input).await.ok();
            }
            drop(stdin);
        };
        let ((), value, stderr) = tokio::join!(feed, read(stdout), read_head(stderr, MAX_STDERR));
        let stderr = stderr.map_err(failed)?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let value = match value {
            Err(error @ GitError::TooMuch { .. }) => return Err(error),
            value => value,
        };
        let status = self.child.wait().await.map_err(failed)?;
        // Processes that git started may still run, and are not needed any more.
        self.kill();
        Ok(Ended {
            status,
            stderr,
            value,
        })
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads the whole output. If it exceeds the limit, the process gets a closed pipe.
async fn read_all(command: &'static str, stdout: ChildStdout, most: usize) -> Result<Vec<u8>, GitError> {
    let mut bytes = Vec::new();
    let mut limited = stdout.take(most as u64 + 1);
    let read = limited.read_to_end(&mut bytes).await;
    read.map_err(|error| unreadable(command, &error))?;
    if bytes.len() > most {
        return Err(GitError::TooMuch { command, most });
    }
    Ok(bytes)
}

/// Reads to the end and keeps the beginning, since a remote may send any number of messages.
async fn read_head(from: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(most as u64).read_to_end(&mut bytes).await?;
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

fn unreadable(command: &'static str, error: &IoError) -> GitError {
    GitError::Unexpected {
        command,
        what: error.to_string(),
    }
}

/// Whether git ended because it does not follow a redirect.
fn is_redirect(message: &str) -> bool {
    let statuses = ["301", "302", "303", "307", "308"];
    let status = message
        .split("The requested URL returned error: ")
        .nth(1)
        .and_then(|rest| rest.get(..3));
    status.is_some_and(|status| statuses.contains(&status))
}

/// The lines of an error output as one, at most 1000 characters.
fn one_line(output: &str) -> String {
    let lines: Vec<&str> = output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let clean: String = lines.join("; ").chars().filter(|c| !c.is_control()).collect();
    match clean.char_indices().nth(1000) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_the_processes_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("git");
        let pids = folder.path().join("pids");
        let text = format!("#!/bin/sh\nsleep 600 &\necho $! > {}\nwait\n", pids.display());
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let git = Git::new(&script, Duration::from_millis(500));
        let ended = git.output(fetch()).await;
        assert!(matches!(ended, Err(GitError::TimedOut { .. })), "{ended:?}");
        let pid: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
        let exists = || rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()).is_ok();
        let gone = async {
            while exists() && !is_zombie(pid) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    }

    fn fetch() -> Call<'static> {
        Call {
            command: "fetch",
            arguments: &["x"],
            ..Call::default()
        }
    }

    fn is_zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_missing_program_is_reported() {
        let git = Git::new("/nonexistent/git", Duration::from_secs(1));
        let ended = git.output(fetch()).await;
        assert!(matches!(ended, Err(GitError::Missing(_))), "{ended:?}");
    }

    #[test]
    fn error_output_becomes_one_line_without_control_characters() {
        assert_eq!(
            one_line("fatal: no\n\n  \x1b[31mhint: yes\n"),
            "fatal: no; [31mhint: yes"
        );
        assert!(one_line(&"x".repeat(5000)).chars().count() <= 1001);
    }
}
