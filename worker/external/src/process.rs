use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio as StdStdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::document::{FromProgram, LogLevel};
use crate::streams::{ErrorLines, Lines, MAX_LOGGED};
use crate::supervisor::{ARGUMENT, Begin, Ended, How, Report, STOP, Stdio, send_begin};
use crate::text::{Secrets, visible};
use crate::{ProcessError, Program, ProgramLimits};

/// How long a program may take to end when its input is closed.
const END: Duration = Duration::from_secs(10);
/// How long the supervisor may take after the processes have ended, or after it killed them.
const REPORT: Duration = Duration::from_secs(5);
/// The most characters of a line that an error shows.
const SHOWN: usize = 200;

/// A running program. Dropping this kills all its processes.
#[derive(Debug)]
pub(crate) struct Process {
    provider: String,
    limits: ProgramLimits,
    deadline: Instant,
    secrets: Secrets,
    /// Held, so that the runtime reaps it.
    supervisor: Child,
    control: Control,
    input: Input,
    output: Lines,
    errors: ErrorLines,
    /// How many lines of it were logged.
    logged: usize,
}

impl Process {
    /// Starts the program with this last argument. It ends at the latest after its time limit.
    pub(crate) fn start(program: &Program, argument: &str, secrets: Secrets) -> Result<Self, ProcessError> {
        let not_started = |error: io::Error| ProcessError::NotStarted(error.to_string());
        Self::spawn(program, argument, secrets).map_err(not_started)
    }

    fn spawn(program: &Program, argument: &str, secrets: Secrets) -> io::Result<Self> {
        let limits = program.limits;
        let (environment, of_files) = program.variables()?;
        let begin = Begin {
            command: program
                .command
                .iter()
                .cloned()
                .chain([argument.to_owned()])
                .collect(),
            environment,
            temporary: program.temporary.clone(),
            memory: limits.memory,
            processes: limits.processes,
            grace_ms: u64::try_from(limits.grace.as_millis()).unwrap_or(u64::MAX),
        };
        let (input_end, input) = io::pipe()?;
        let (output, output_end) = io::pipe()?;
        let (errors, errors_end) = io::pipe()?;
        let (control, control_end) = StdUnixStream::pair()?;
        let stdio = Stdio([input_end.into(), output_end.into(), errors_end.into()]);
        send_begin(&control, &begin, &stdio)?;
        control.set_nonblocking(true)?;
        let supervisor = Command::new(&program.supervisor)
            .arg(ARGUMENT)
            .env_clear()
            .stdin(OwnedFd::from(control_end))
            .stdout(StdStdio::null())
            .stderr(StdStdio::null())
            .spawn()?;
        let receiver = |from: io::PipeReader| pipe::Receiver::from_owned_fd(from.into());
        Ok(Self {
            provider: program.command.join(" "),
            limits,
            deadline: Instant::now() + limits.timeout,
            secrets: secrets.with(of_files),
            supervisor,
            control: Control::new(UnixStream::from_std(control)?),
            input: Input::new(pipe::Sender::from_owned_fd(input.into())?),
            output: Lines::new(receiver(output)?, limits.output),
            errors: ErrorLines::new(receiver(errors)?, limits.output),
            logged: 0,
        })
    }

    /// The name by which logs call it, instead of its command.
    pub(crate) fn named(mut self, provider: &str) -> Self {
        provider.clone_into(&mut self.provider);
        self
    }

    /// A message of the program as it is kept.
    pub(crate) fn message(&self, text: &str) -> String {
        self.secrets.message(text)
    }

    /// Returns when its time is over.
    pub(crate) async fn over(&self) {
        sleep_until(self.deadline).await;
    }

    /// The error then.
    pub(crate) fn timed_out(&self) -> ProcessError {
        ProcessError::TimedOut(self.limits.timeout.as_secs())
    }

    /// Queues a document, which is written while the next one is awaited.
    pub(crate) fn send(&mut self, document: &impl Serialize) -> Result<(), ProcessError> {
        let broken = |error: serde_json::Error| ProcessError::Broken(error.to_string());
        serde_json::to_writer(&mut self.input.pending, document).map_err(broken)?;
        self.input.pending.push(b'\n');
        Ok(())
    }

    /// The next document of the program. After an error, only [`Self::stop`] is of use.
    pub(crate) async fn receive(&mut self, cancel: &CancellationToken) -> Result<FromProgram, ProcessError> {
        loop {
            if let Some(line) = self.output.take() {
                return self.document(&line);
            }
            if self.output.is_ended() {
                return Err(self.ended_early().await);
            }
            self.work(cancel).await?;
        }
    }

    /// One of: cancelled, over the deadline, a report, something written, something read.
    async fn work(&mut self, cancel: &CancellationToken) -> Result<(), ProcessError> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(ProcessError::Cancelled),
            () = sleep_until(self.deadline) => Err(self.timed_out()),
            // What the program wrote before it ended counts first: its output ends, too.
            result = self.control.read(), if !self.control.is_ended() => result,
            result = self.errors.read(&self.provider, &self.secrets), if !self.errors.is_ended() => result,
            () = self.input.write(), if self.input.is_pending() => Ok(()),
            result = self.output.read(), if !self.output.is_ended() => result,
        }
    }

    fn document(&self, line: &[u8]) -> Result<FromProgram, ProcessError> {
        let text = std::str::from_utf8(line).map_err(|error| ProcessError::NotUtf8(error.valid_up_to()))?;
        serde_json::from_str(text).map_err(|error| ProcessError::NotADocument {
            reason: self.secrets.line(&error.to_string()),
            line: self.shown(text),
        })
    }

    fn shown(&self, text: &str) -> String {
        let masked = self.secrets.masked(text);
        match masked.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", visible(&masked[..end])),
            None => visible(&masked),
        }
    }

    /// Why there is no further document: the program ended, or goes on without standard output.
    async fn ended_early(&mut self) -> ProcessError {
        let rest = self.output.rest();
        let half = (!rest.is_empty()).then(|| self.shown(&String::from_utf8_lossy(rest)));
        match self.report_within(REPORT).await {
            Ok(Some(ended)) => match (self.failure(&ended, false), half) {
                (Some(ProcessError::Exited { code: 0, .. }) | None, Some(half)) => {
                    ProcessError::HalfDocument(half)
                }
                (Some(failure), _) => failure,
                (None, None) => self.exited(0, false),
            },
            Ok(None) => ProcessError::ClosedOutput,
            Err(error) => error,
        }
    }

    /// The report about the end, if it comes within this time. The error output is read meanwhile.
    async fn report_within(&mut self, time: Duration) -> Result<Option<Ended>, ProcessError> {
        let until = self.deadline.min(Instant::now() + time);
        let never = CancellationToken::new();
        loop {
            let is_read = self.errors.is_ended() && self.output.is_ended();
            if let Some(ended) = self.control.ended.clone().filter(|_| is_read) {
                return Ok(Some(ended));
            }
            tokio::select! {
                () = sleep_until(until) => return Ok(None),
                result = self.work(&never) => result?,
            }
        }
    }

    /// What is wrong with this end; nothing is if the program exited with 0 after it answered.
    fn failure(&self, ended: &Ended, answered: bool) -> Option<ProcessError> {
        match &ended.how {
            How::NotStarted(reason) => Some(ProcessError::NotStarted(reason.clone())),
            How::Memory => Some(ProcessError::Memory(self.limits.memory)),
            How::Processes => Some(ProcessError::Processes(self.limits.processes)),
            How::Signal(signal) => Some(ProcessError::Signal {
                signal: *signal,
                answered,
                last_line: self.errors.last(),
            }),
            How::Exited(0) if ended.left > 0 => Some(ProcessError::Left(ended.left)),
            How::Exited(0) if answered => None,
            How::Exited(code) => Some(self.exited(*code, answered)),
        }
    }

    fn exited(&self, code: i32, answered: bool) -> ProcessError {
        ProcessError::Exited {
            code,
            answered,
            last_line: self.errors.last(),
        }
    }

    /// Closes the input of the program, which is to end now.
    ///
    /// # Errors
    /// It does not, or ends badly, or writes something.
    pub(crate) async fn end(mut self, cancel: &CancellationToken) -> Result<(), ProcessError> {
        self.input.close();
        let waited = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(ProcessError::Cancelled),
            waited = self.report_within(END) => waited,
        };
        let not_ended = || ProcessError::NotEnded(END.as_secs());
        let ended = match waited.and_then(|ended| ended.ok_or_else(not_ended)) {
            Ok(ended) => ended,
            Err(error) => {
                self.stop().await;
                return Err(error);
            }
        };
        while let Some(line) = self.output.take() {
            match self.document(&line)? {
                FromProgram::Log { level, message } => self.log(level, &message),
                _ => return Err(self.unexpected(&line)),
            }
        }
        if !self.output.rest().is_empty() {
            return Err(self.unexpected(self.output.rest()));
        }
        let failure = self.failure(&ended, true);
        timeout(REPORT, self.supervisor.wait()).await.ok();
        failure.map_or(Ok(()), Err)
    }

    fn unexpected(&self, line: &[u8]) -> ProcessError {
        ProcessError::Unexpected {
            found: self.shown(&String::from_utf8_lossy(line)),
            expected: "nothing more".to_owned(),
        }
    }

    /// A line of the program for the log. After many of them, the rest of the run is not logged.
    pub(crate) fn log(&mut self, level: LogLevel, message: &str) {
        self.logged = self.logged.saturating_add(1);
        if self.logged > MAX_LOGGED {
            return;
        }
        let (provider, line) = (self.provider.as_str(), self.secrets.line(message));
        match level {
            LogLevel::Debug => tracing::debug!(provider, line, "an external provider says"),
            LogLevel::Info => tracing::info!(provider, line, "an external provider says"),
            LogLevel::Warning | LogLevel::Error => {
                tracing::warn!(provider, line, "an external provider says");
            }
        }
    }

    /// All that a program writes that gets no input.
    pub(crate) async fn output(mut self) -> Result<String, ProcessError> {
        self.input.close();
        let timed_out = self.timed_out();
        let waited = self.report_within(self.limits.timeout).await;
        let ended = match waited.and_then(|ended| ended.ok_or(timed_out)) {
            Ok(ended) => ended,
            Err(error) => {
                self.stop().await;
                return Err(error);
            }
        };
        match self.failure(&ended, true) {
            Some(failure) => Err(failure),
            None => String::from_utf8(self.output.into_bytes())
                .map_err(|error| ProcessError::NotUtf8(error.utf8_error().valid_up_to())),
        }
    }

    /// Ends all processes: SIGTERM, and SIGKILL after the grace time. Returns when nothing of them is left.
    pub(crate) async fn stop(mut self) {
        self.input.close();
        let supervised = self.control.stop().await;
        let ended = timeout(self.limits.grace + REPORT, self.supervisor.wait()).await;
        if supervised.is_err() || ended.is_err() {
            self.control.kill_group();
        }
    }
}

/// The control socket of the supervisor.
#[derive(Debug)]
struct Control {
    socket: UnixStream,
    buffer: Vec<u8>,
    /// The process group of the program.
    group: Option<Pid>,
    ended: Option<Ended>,
    /// The supervisor is gone without a report about the end.
    is_lost: bool,
}

impl Control {
    fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            buffer: Vec::new(),
            group: None,
            ended: None,
            is_lost: false,
        }
    }

    fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Reads reports. Safe to cancel.
    async fn read(&mut self) -> Result<(), ProcessError> {
        let read = self.socket.read_buf(&mut self.buffer).await;
        if read.unwrap_or(0) == 0 {
            self.is_lost = true;
            return Err(ProcessError::Unsupervised);
        }
        while let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let rest = self.buffer.split_off(at + 1);
            let line = std::mem::replace(&mut self.buffer, rest);
            match serde_json::from_slice(&line) {
                Ok(Report::Started(group)) => self.group = Pid::from_raw(group),
                Ok(Report::Ended(ended)) => self.ended = Some(ended),
                Err(error) => return Err(ProcessError::Broken(error.to_string())),
            }
        }
        Ok(())
    }

    async fn stop(&mut self) -> io::Result<()> {
        self.socket.write_all(STOP).await
    }

    fn kill_group(&self) {
        if let Some(group) = self.group.filter(|_| self.ended.is_none()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Control {
    /// The supervisor kills everything when the socket is closed. Without a supervisor, the group of the program is killed.
    fn drop(&mut self) {
        if self.is_lost {
            self.kill_group();
        }
    }
}

/// The standard input of a program.
#[derive(Debug)]
struct Input {
    pipe: Option<pipe::Sender>,
    pending: Vec<u8>,
    written: usize,
}

impl Input {
    fn new(pipe: pipe::Sender) -> Self {
        Self {
            pipe: Some(pipe),
            pending: Vec::new(),
            written: 0,
        }
    }

    fn is_pending(&self) -> bool {
        self.pipe.is_some() && self.written < self.pending.len()
    }

    /// Writes some of what is pending. Safe to cancel. A program that does not read any more may answer all the same.
    async fn write(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        match pipe.write(&self.pending[self.written..]).await {
            Ok(written) => self.written += written,
            Err(_) => self.pipe = None,
        }
        if self.written == self.pending.len() || self.pipe.is_none() {
            self.pending.clear();
            self.written = 0;
        }
    }

    fn close(&mut self) {
        self.pipe = None;
        self.pending.clear();
        self.written = 0;
    }
}
