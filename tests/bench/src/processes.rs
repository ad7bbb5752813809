//! Reads the CPU time of a process and its children, and its memory, from `/proc`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

/// The kernel reports times in hundredths of a second, independently of its own clock rate.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time used so far by a process, its descendants and the children it has reaped.
///
/// # Errors
/// The process does not exist.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let all: Vec<Process> = all().collect();
    let root = all.iter().find(|process| process.pid == pid);
    let root = root.with_context(|| format!("process {pid} is gone"))?;
    Ok(TICK * ticks(root, &all))
}

/// The threads of a process and of its descendants.
pub(crate) fn threads(pid: u32) -> Vec<u32> {
    let all: Vec<Process> = all().collect();
    let mut tree = vec![pid];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(
            all.iter()
                .filter(|process| process.parent == parent)
                .map(|process| process.pid),
        );
        next += 1;
    }
    let threads = tree
        .into_iter()
        .flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")));
    threads
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The memory of a process in KiB: `VmRSS` is what it has, `VmHWM` what it has had at most.
///
/// # Errors
/// The process does not exist.
pub(crate) fn memory_kib(pid: u32, field: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines
        .find(|(name, _)| *name == field)
        .with_context(|| format!("no {field}"))?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

/// The target folder that this program was built in; virtual environments are kept there.
///
/// # Errors
/// The program is elsewhere.
pub(crate) fn target_folder() -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe()?;
    let folder = binary.ancestors().nth(2).context("find the target folder")?;
    Ok(folder.to_owned())
}

/// Returns the first process that matches.
///
/// # Errors
/// No process matches.
pub(crate) fn find(what: &str, matches: impl Fn(&ProcessInfo) -> bool) -> anyhow::Result<u32> {
    all()
        .map(|process| process.pid)
        .find(|pid| ProcessInfo::of(*pid).is_some_and(|info| matches(&info)))
        .with_context(|| format!("no process is {what}"))
}

/// What `/proc` shows of a process.
pub(crate) struct ProcessInfo {
    pub(crate) program: String,
    pub(crate) arguments: String,
    pub(crate) environment: String,
}

impl ProcessInfo {
    fn of(pid: u32) -> Option<Self> {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
        let text = |name: &str| read(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Some(Self {
            program: text("comm")?.trim_end().to_owned(),
            arguments: text("cmdline")?,
            environment: text("environ")?,
        })
    }
}

struct Process {
    pid: u32,
    parent: u32,
    /// CPU time of the process and of the children it waited for, in clock ticks.
    ticks: u32,
}

fn ticks(process: &Process, all: &[Process]) -> u32 {
    let children = all.iter().filter(|other| other.parent == process.pid);
    process.ticks + children.map(|child| ticks(child, all)).sum::<u32>()
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        // pid (name) state parent …; the name may contain anything.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
        let times: Option<u32> = (11..15).map(number).sum();
        Some(Process {
            pid,
            parent: number(1)?,
            ticks: times?,
        })
    })
}
