//! A small disk of the test's own, which can be filled.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// What fills it.
const BALLAST: &str = "ballast";
const CHUNK: usize = 64 * 1024;

/// A disk in memory. Dropping it takes it away, with all on it.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts a disk of this size over a folder, which must outlive it. All users may pass through it.
    ///
    /// # Errors
    ///
    /// This process may not mount: it is not root, or in a container without that right.
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    ///
    /// Writing failed for another reason than that it is full.
    pub fn fill(&self) -> anyhow::Result<()> {
        let path = self.path.join(BALLAST);
        let mut ballast = OpenOptions::new().create(true).append(true).open(path)?;
        fill(&mut ballast, CHUNK)?;
        fill(&mut ballast, 1)
    }

    /// Makes the room again that [`Disk::fill`] took.
    ///
    /// # Errors
    ///
    /// It was not filled.
    pub fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.path.join(BALLAST)).context("free a disk")
    }
}

impl Drop for Disk {
    /// Also while something on it is open.
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
