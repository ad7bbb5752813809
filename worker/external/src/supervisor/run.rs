use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitStatus, kill_process_group, pidfd_open};

use super::channel::{self, receive_begin};
use super::limits::isolate;
use super::tree::{Tree, kill_all, threads_of_machine};
use super::{Begin, Ended, How, Report, Stdio};

/// How often it is looked whether there may be more processes, and whether they have ended.
const TICK: Duration = Duration::from_millis(50);
/// How long processes may go on when the program itself has ended well: those of a pipeline end one after another.
const LINGER: Duration = Duration::from_secs(1);
/// Reading all processes of the machine takes at most this part of the time of a processor, as a divisor, while nothing grows fast.
const SHARE: u32 = 100;
/// The same, if the machine has many more threads than before.
const SOONER_SHARE: u32 = 10;

/// Runs the program that the worker sends, until nothing of it is left.
pub(super) fn supervise() -> io::Result<()> {
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (begin, stdio) = receive_begin(&control)?;
    isolate(begin.memory)?;
    let folder = tempfile::Builder::new()
        .prefix("lockstep-provider-")
        .tempdir_in(&begin.temporary);
    let ended = folder.and_then(|folder| {
        let main = start(&begin, folder.path(), stdio)?;
        channel::report(&control, &Report::Started(main.as_raw_nonzero().get()));
        Ok((folder, main))
    });
    let (folder, ended) = match ended {
        Ok((folder, main)) => (Some(folder), watch(&control, main, &begin)?),
        Err(error) => {
            let how = How::NotStarted(error.to_string());
            (None, Ended { how, left: 0 })
        }
    };
    drop(folder);
    channel::report(&control, &Report::Ended(ended));
    Ok(())
}

fn start(begin: &Begin, folder: &std::path::Path, stdio: Stdio) -> io::Result<Pid> {
    let (program, arguments) = begin
        .command
        .split_first()
        .ok_or_else(|| io::Error::other("no command"))?;
    let [input, output, errors] = stdio.0;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .envs(&begin.environment)
        .current_dir(folder)
        .stdin(input)
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| io::Error::other("no process id"))
}

/// What the supervisor does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The program runs.
    Running,
    /// The program ended by itself; its processes may go on until then.
    Lingering(Instant),
    /// All were told to end; they are killed then.
    Stopping(Instant),
}

/// Waits until the program ended, was stopped, or exceeded a limit. Then nothing of it is left.
fn watch(control: &UnixStream, main: Pid, begin: &Begin) -> io::Result<Ended> {
    let ended_descriptor = pidfd_open(main, PidfdFlags::empty())?;
    let mut census = Census::default();
    let mut phase = Phase::Running;
    let mut left = 0;
    let exceeded = loop {
        let events = wait(control, &ended_descriptor, phase)?;
        if events.closed {
            break None;
        }
        if events.stop && !matches!(phase, Phase::Stopping(_)) {
            let _ = kill_process_group(main, Signal::TERM);
            Tree::read()?.signal(Signal::TERM);
            phase = Phase::Stopping(Instant::now() + Duration::from_millis(begin.grace_ms));
        }
        if events.ended && phase == Phase::Running {
            phase = Phase::Lingering(Instant::now() + LINGER);
        }
        match phase {
            Phase::Running => {
                if let Some(exceeded) = census.exceeded(begin)? {
                    break Some(exceeded);
                }
            }
            Phase::Lingering(until) | Phase::Stopping(until) => {
                let tree = Tree::read()?;
                left = tree.processes.len();
                if events.ended && left == 0 || Instant::now() >= until {
                    break None;
                }
            }
        }
    };
    let status = kill_all(main)?;
    let how = exceeded.unwrap_or_else(|| how(status));
    let left = if matches!(phase, Phase::Lingering(_)) {
        left
    } else {
        0
    };
    Ok(Ended { how, left })
}

/// What happened while it waited.
#[derive(Clone, Copy, Debug, Default)]
struct Events {
    /// The program itself has ended.
    ended: bool,
    /// The worker wants it to end.
    stop: bool,
    /// The worker is gone, or does not want to know any more.
    closed: bool,
}

/// Waits for the control socket and the end of the program, at most for a tick.
fn wait(control: &UnixStream, ended: &OwnedFd, phase: Phase) -> io::Result<Events> {
    let ended_before = phase != Phase::Running;
    let mut descriptors = [
        PollFd::new(control, PollFlags::IN),
        // Once it is known, it would end each wait at once.
        PollFd::new(ended, PollFlags::IN),
    ];
    let tick = if ended_before { TICK / 10 } else { TICK };
    let timeout = Timespec::try_from(tick).map_err(io::Error::other)?;
    let watched = match phase {
        Phase::Lingering(_) => &mut descriptors[..1],
        Phase::Running | Phase::Stopping(_) => &mut descriptors[..],
    };
    match poll(watched, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let is_ready = |index: usize| !descriptors[index].revents().is_empty();
    let mut events = Events {
        ended: is_ready(1) || matches!(phase, Phase::Lingering(_)),
        ..Events::default()
    };
    if is_ready(0) {
        let mut from = control;
        match from.read(&mut [0])? {
            0 => events.closed = true,
            _ => events.stop = true,
        }
    }
    if events.ended && matches!(phase, Phase::Stopping(_)) {
        // The descriptor stays ready while others end.
        std::thread::sleep(TICK / 10);
    }
    Ok(events)
}

/// When the processes were counted last.
#[derive(Debug, Default)]
struct Census {
    last: Option<(Instant, Duration)>,
    threads: u64,
}

impl Census {
    /// Counts the processes, if it is time: seldom, because it reads all processes of the machine; sooner, if there are many more threads
    /// than before.
    fn exceeded(&mut self, begin: &Begin) -> io::Result<Option<How>> {
        let threads = threads_of_machine().unwrap_or(0);
        let more = threads > self.threads + u64::from(begin.processes);
        if let Some((last, took)) = self.last {
            let least = if more { took * SOONER_SHARE } else { took * SHARE };
            if last.elapsed() < least.max(TICK) {
                return Ok(None);
            }
        }
        let start = Instant::now();
        let tree = Tree::read()?;
        self.last = Some((Instant::now(), start.elapsed()));
        self.threads = threads;
        Ok(if tree.processes.len() > begin.processes as usize {
            Some(How::Processes)
        } else if tree.memory > begin.memory {
            Some(How::Memory)
        } else {
            None
        })
    }
}

fn how(status: WaitStatus) -> How {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => How::Exited(code),
        (None, Some(signal)) => How::Signal(signal),
        (None, None) => How::Exited(-1),
    }
}
