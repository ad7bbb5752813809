//! Starts the broker and the database of a test run, then the test runner given after `--`, and exits with its code.
//!
//! `LOCKSTEP_TEST_AMQP_URL` and `LOCKSTEP_TEST_DATABASE_URL` name servers to use. Other servers are started: in containers if a
//! Docker engine is available, else (or if that fails) as private processes of Debian's packages, which are installed if they
//! are missing. All of them end with this process, however it ends.
#![expect(clippy::print_stderr, reason = "the output of a test run")]

mod containers;
mod shared;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use lockstep_testbed::{environment, install};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let command: Vec<OsString> = std::env::args_os()
        .skip_while(|argument| argument != "--")
        .skip(1)
        .collect();
    let (program, arguments) = command
        .split_first()
        .context("usage: testbed -- COMMAND [ARGUMENT…]")?;

    // Temporary files of tests are removed with the run. The users of private servers need access.
    let folder = tempfile::Builder::new()
        .prefix("lockstep-testbed-")
        .permissions(PermissionsExt::from_mode(0o711))
        .tempdir()?;
    let _ = tempfile::env::override_temp_dir(folder.path());

    install::missing(&install::TOOLS).await?;
    install::python().await?;
    install::node().await?;
    let mut end = End::listen()?;
    let started = tokio::select! {
        started = shared::start() => started?,
        signal = end.asked() => return Ok(ExitCode::from(signal.code())),
    };

    // The runner gets a signal if this process is killed. The signal depends on the thread that starts it, the main thread.
    let mut runner = Command::new("setpriv")
        .args(["--pdeathsig", "TERM"])
        .arg(program)
        .args(arguments)
        .env("TMPDIR", folder.path())
        .env(environment::AMQP_URL, &started.urls.amqp)
        .env(environment::DATABASE_URL, &started.urls.database)
        .envs(
            started
                .urls
                .management
                .as_ref()
                .map(|url| (environment::MANAGEMENT_URL, url)),
        )
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let runner_pid = runner.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));

    let status = loop {
        tokio::select! {
            status = runner.wait() => break status?,
            signal = end.asked() => if let Some(pid) = runner_pid {
                // The process may have ended just now.
                let _ = kill_process(pid, signal.as_signal());
            },
        }
    };
    started.stop().await;
    Ok(exit_code(status))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

/// The signals that end this process.
struct End {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[derive(Clone, Copy)]
enum Asked {
    Interrupt,
    Terminate,
}

impl End {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.terminate.recv() => Asked::Terminate,
        }
    }
}

impl Asked {
    fn as_signal(self) -> Signal {
        match self {
            Self::Interrupt => Signal::INT,
            Self::Terminate => Signal::TERM,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}
