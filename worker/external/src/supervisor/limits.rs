//! What the supervisor takes from itself, so that the program does not have it.

use std::io;

use rustix::process::{Resource, Rlimit, getpid, getrlimit, nice, set_child_subreaper, setrlimit, setsid};
use rustix::thread::set_no_new_privs;

/// How much lower the priority of a program is than that of the worker.
const NICE: i32 = 5;
/// The most open files of a process: the usual limit. Workers raise theirs.
const OPEN_FILES: u64 = 1024;

/// Sets what the program inherits: a session of its own, no way to more rights, no core dumps, and the limit of the data of a process. The
/// supervisor becomes the parent of processes whose own parent ended.
pub(super) fn isolate(memory: u64) -> io::Result<()> {
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    set_no_new_privs(true)?;
    lower(Resource::Core, 0)?;
    // Of private memory that can be written: run-time systems reserve far more addresses than they use.
    lower(Resource::Data, memory)?;
    lower(Resource::Nofile, OPEN_FILES)?;
    nice(NICE)?;
    Ok(())
}

/// Lowers a limit, soft and hard, unless it is lower already.
fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let before = getrlimit(resource);
    let least = |limit: Option<u64>| Some(limit.map_or(to, |limit| limit.min(to)));
    let limit = Rlimit {
        current: least(before.current),
        maximum: least(before.maximum),
    };
    Ok(setrlimit(resource, limit)?)
}
