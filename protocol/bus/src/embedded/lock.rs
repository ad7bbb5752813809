use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::BusError;

/// An exclusive lock of a data folder, held until dropped. The operating system releases it when the process ends for any
/// reason.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks the folder.
    ///
    /// # Errors
    /// [`BusError::InUse`] when this or another process holds the lock, [`BusError::File`] when the lock file cannot be used.
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
