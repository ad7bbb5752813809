//! Mounts small private disks that a test can fill.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Name of the file that fills the disk.
const BALLAST: &str = "ballast";
const CHUNK: usize = 64 * 1024;

/// A disk in memory. Dropping it unmounts it and discards its files.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts a disk of this size on a folder, which must outlive it. All users have access.
    ///
    /// # Errors
    ///
    /// This process may not mount: it is not root, or in a container without that capability.
    pub fn mount(path: &Path, megabytes: u32) -> anyhow::Result<Self> {
        let options = format!("size={megabytes}m,mode=0711");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path)
            .output()
            .context("run mount")?;
        ensure!(
            output.status.success(),
            "mount a disk: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills the disk to the last byte.
    ///
    /// # Errors
    ///
    /// Writing failed for another reason than a full disk.
    pub fn fill(&self) -> anyhow::Result<()> {
        let path = self.path.join(BALLAST);
        let mut ballast = OpenOptions::new().create(true).append(true).open(path)?;
        fill(&mut ballast, CHUNK)?;
        fill(&mut ballast, 1)
    }

    /// Frees the space that [`Disk::fill`] used.
    ///
    /// # Errors
    ///
    /// The disk was not filled.
    pub fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.path.join(BALLAST)).context("free a disk")
    }
}

impl Drop for Disk {
    /// Unmounts the disk, even while files on it are open.
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).output();
    }
}

fn fill(ballast: &mut File, chunk: usize) -> anyhow::Result<()> {
    let zeros = vec![0; chunk];
    loop {
        match ballast.write_all(&zeros) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error).context("fill a disk"),
        }
    }
}
