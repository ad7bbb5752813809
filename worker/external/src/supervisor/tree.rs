//! The descendants of the supervisor, as the kernel lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, wait};

/// The processes below this one that have not ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) processes: BTreeSet<i32>,
    /// The bytes of memory that they have for themselves. Pages that a process shares with the one that it was forked from count twice.
    pub(super) memory: u64,
}

impl Tree {
    /// Reads it. All descendants are there, because those whose parent ended are children of this process.
    pub(super) fn read() -> io::Result<Self> {
        let mut children: BTreeMap<i32, Vec<Stat>> = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process may have ended since.
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok();
            if let Some(stat) = stat.and_then(|text| Stat::parse(id, &text)) {
                children.entry(stat.parent).or_default().push(stat);
            }
        }
        let mut tree = Self::default();
        let mut open = vec![getpid().as_raw_nonzero().get()];
        while let Some(parent) = open.pop() {
            for child in children.remove(&parent).unwrap_or_default() {
                open.push(child.id);
                if !child.has_ended {
                    tree.processes.insert(child.id);
                    tree.memory += own_memory(child.id);
                }
            }
        }
        Ok(tree)
    }

    /// Sends a signal to all. One that ended since is still a child, which only this process reaps, or is reaped by its parent: then a new
    /// process would have to get its id within microseconds.
    pub(super) fn signal(&self, signal: Signal) {
        for pid in self.processes.iter().filter_map(|id| Pid::from_raw(*id)) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Kills the process group of the program, which ends all of it at once, then whatever left it. `main` is the program itself: while it is not
/// reaped, nobody else has the id of its group. Returns how it ended, when nothing is left.
pub(super) fn kill_all(main: Pid) -> io::Result<WaitStatus> {
    let mut ended = None;
    loop {
        if ended.is_none() {
            let _ = kill_process_group(main, Signal::KILL);
        }
        let tree = Tree::read()?;
        tree.signal(Signal::KILL);
        ended = ended.or(reap(main)?);
        match ended {
            Some(status) if tree.processes.is_empty() => return Ok(status),
            // The kernel needs a moment for each of them.
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Reaps children that ended. Returns how `main` ended, if it is one of them.
fn reap(main: Pid) -> io::Result<Option<WaitStatus>> {
    let mut of_main = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == main => of_main = Some(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(of_main),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A line of `/proc/ID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    id: i32,
    parent: i32,
    has_ended: bool,
}

impl Stat {
    /// The name of the program, in parentheses, may contain anything.
    fn parse(id: i32, text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let mut words = rest.split_ascii_whitespace();
        let state = words.next()?;
        Some(Self {
            id,
            parent: words.next()?.parse().ok()?,
            has_ended: matches!(state, "Z" | "X" | "x"),
        })
    }
}

/// The bytes of memory that a process has for itself: resident, and not of a file.
fn own_memory(id: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    own_memory_in(&text).unwrap_or(0)
}

/// The same in the text of `/proc/ID/status`, where it is in KiB.
fn own_memory_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// How many threads the machine has: cheaper to read than all processes.
pub(super) fn threads_of_machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let (_, all) = text.split_ascii_whitespace().nth(3)?.split_once('/')?;
    all.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_memory_of_a_process_is_read_in_bytes() {
        let status = "Name:\tcat\nVmRSS:\t    9 kB\nRssAnon:\t     100 kB\nRssFile:\t 5 kB\n";
        assert_eq!(own_memory_in(status), Some(102_400));
        assert_eq!(own_memory_in("Name:\tcat\n"), None);
    }

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat = |parent, has_ended| {
            Some(Stat {
                id: 7,
                parent,
                has_ended,
            })
        };
        let table = [
            ("7 (cat) R 3 7 7 0", stat(3, false)),
            ("7 (a) b) Z 9 (c) S 12 7 7 0", stat(12, false)),
            ("7 (cat) Z 3 7 7 0", stat(3, true)),
            ("7 (cat)", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(Stat::parse(7, text), expected, "{text}");
        }
    }
}
