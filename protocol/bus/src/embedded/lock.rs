use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::BusError;

/// Ownership of a data folder, as long as it lives. The operating system takes it back when the process dies, however
/// it dies.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder.
    ///
    /// # Errors
    /// [`BusError::InUse`] when this or another process has it, [`BusError::File`] when the lock file cannot be used.
    pub(super) fn take(folder: &Path) -> Result<Self, BusError> {
        let unusable = |error: std::io::Error| BusError::File {
            reason: error.to_string(),
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("bus.lock"))
            .map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(BusError::InUse {
                folder: folder.display().to_string(),
            }),
            Err(error) => Err(unusable(error.into())),
        }
    }
}
