//! Pins processes to a core, so that servers and workers do not share one.

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::processes;

/// Cores of this machine on which this process may run.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn cores() -> anyhow::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect())
}

/// Processes that are pinned, with their descendants and all threads. Dropping it lets them run on all cores again.
#[derive(Debug)]
pub(crate) struct Pinned {
    processes: Vec<u32>,
    before: CpuSet,
}

impl Pinned {
    /// Lets processes run on this core only, and what they start from now on.
    ///
    /// # Errors
    /// They are of another user.
    pub(crate) fn to(core: usize, processes: &[u32]) -> anyhow::Result<Self> {
        let pinned = Self {
            processes: processes.to_vec(),
            before: sched_getaffinity(None)?,
        };
        let mut only = CpuSet::new();
        only.set(core);
        pinned.set(&only)?;
        Ok(pinned)
    }

    fn set(&self, cores: &CpuSet) -> anyhow::Result<()> {
        for process in &self.processes {
            for thread in processes::threads(*process) {
                let thread = Pid::from_raw(i32::try_from(thread)?);
                match sched_setaffinity(thread, cores) {
                    // It has ended meanwhile.
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Err(error) = self.set(&self.before) {
            eprintln!("cannot let the processes run on all cores again: {error:#}");
        }
    }
}
