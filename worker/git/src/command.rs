use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{GitError, Remote};

/// The most bytes of output; enough for a listing of a million files.
const MAX_OUTPUT: usize = 256 * 1024 * 1024;
/// The most bytes of error output.
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

/// Settings for every command; they override those of the repository itself.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "gc.autoDetach=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "maintenance.auto=false",
    "protocol.version=2",
];

/// Runs the git program.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    timeout: Duration,
}

/// The result of a command that may exit with an error.
pub(super) struct CommandOutput {
    pub(super) status: ExitStatus,
    pub(super) output: Vec<u8>,
    /// The error output as one line, without secrets.
    pub(super) message: String,
}

impl Git {
    /// Uses the program of this name or path. Each command must end within `timeout`.
    pub fn new(program: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self {
            program: program.into(),
            timeout,
        }
    }

    /// The output of `git version`, such as `git version 2.39.5`.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn version(&self) -> Result<String, GitError> {
        let no_arguments: [&str; 0] = [];
        let answer = self
            .output("version", None, None, no_arguments, Vec::new())
            .await?;
        Ok(String::from_utf8_lossy(&answer).trim().to_owned())
    }

    /// Runs a command, and fails if its exit status is not a success.
    pub(super) async fn output<A: AsRef<OsStr>>(
        &self,
        command: &'static str,
        folder: Option<&Path>,
        remote: Option<&Remote>,
        arguments: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Result<Vec<u8>, GitError> {
        let answer = self.run(command, folder, remote, arguments, input).await?;
        if answer.status.success() {
            return Ok(answer.output);
        }
        let message = if answer.message.is_empty() {
            answer.status.to_string()
        } else {
            answer.message
        };
        Err(GitError::Failed { command, message })
    }

    /// Runs a command within the deadline, whatever its exit status is.
    pub(super) async fn run<A: AsRef<OsStr>>(
        &self,
        command: &'static str,
        folder: Option<&Path>,
        remote: Option<&Remote>,
        arguments: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Result<CommandOutput, GitError> {
        let mut process = self.command(command, folder, remote);
        process.args(arguments);
        let child = process.spawn().map_err(GitError::Missing)?;
        let mut running = Running::of(child);
        let answer = tokio::time::timeout(self.timeout, running.wait(command, input)).await;
        let mut answer = answer.map_err(|_| GitError::TimedOut {
            command,
            timeout: self.timeout,
        })??;
        if let Some(remote) = remote {
            answer.message = remote.without_password(&answer.message);
        }
        Ok(answer)
    }

    fn command(&self, command: &'static str, folder: Option<&Path>, remote: Option<&Remote>) -> Command {
        let mut process = Command::new(&self.program);
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
            .env("GIT_ALLOW_PROTOCOL", remote.map_or("", Remote::protocol))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that the programs that git starts can be killed with it.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(remote) = remote {
            process.env("GIT_SSH_COMMAND", remote.ssh_command());
            if let Some(header) = remote.authorization() {
                process
                    .env("GIT_CONFIG_COUNT", "2")
                    .env("GIT_CONFIG_KEY_0", "http.extraHeader")
                    .env("GIT_CONFIG_VALUE_0", header)
                    .env("GIT_CONFIG_KEY_1", "http.followRedirects")
                    .env("GIT_CONFIG_VALUE_1", "false");
            }
        }
        if let Some(folder) = folder {
            process.arg("--git-dir").arg(folder);
        }
        for setting in SETTINGS {
            process.args(["-c", setting]);
        }
        process.arg(command);
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

    async fn wait(&mut self, command: &'static str, input: Vec<u8>) -> Result<CommandOutput, GitError> {
        let failed = |error: std::io::Error| GitError::Unexpected {
            command,
            what: error.to_string(),
        };
        let mut stdin = self.child.stdin.take();
        let (child_stdout, child_stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let feed = async {
            if let Some(stdin) = &mut stdin {
                // The process may end without reading all of its input; its exit status reports failures.
                stdin.write_all(&input).await.ok();
            }
            drop(stdin);
        };
        let ((), output, stderr) = tokio::join!(
            feed,
            read(child_stdout, MAX_OUTPUT),
            read(child_stderr, MAX_STDERR)
        );
        let (output, stderr) = (output.map_err(failed)?, stderr.map_err(failed)?);
        if output.len() > MAX_OUTPUT {
            return Err(GitError::TooMuch {
                command,
                most: MAX_OUTPUT,
            });
        }
        let status = self.child.wait().await.map_err(failed)?;
        // Processes that git started may still run, and are not needed any more.
        self.kill();
        Ok(CommandOutput {
            status,
            output,
            message: one_line(&stderr),
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

/// Reads to the end, but at most one byte more than the limit. Then the process blocks on its output, and is killed.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most as u64 + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn one_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text
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
        let ended = git.output("fetch", None, None, ["x"], Vec::new()).await;
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

    fn is_zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_missing_program_is_reported() {
        let git = Git::new("/nonexistent/git", Duration::from_secs(1));
        let ended = git.output("fetch", None, None, ["x"], Vec::new()).await;
        assert!(matches!(ended, Err(GitError::Missing(_))), "{ended:?}");
    }

    #[test]
    fn error_output_becomes_one_line_without_control_characters() {
        assert_eq!(
            one_line(b"fatal: no\n\n  \x1b[31mhint: yes\n"),
            "fatal: no; [31mhint: yes"
        );
        assert!(one_line(&b"x".repeat(5000)).chars().count() <= 1001);
    }
}
