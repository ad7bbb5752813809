//! A repository to fetch from, made with the git command.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::CommitId;

/// A repository with a work tree.
pub(crate) struct Repository(PathBuf);

impl Repository {
    pub(crate) fn init(path: &Path) -> Result<Self> {
        Self::init_with(path, &[])
    }

    pub(crate) fn init_with(path: &Path, arguments: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        let repository = Self(path.to_owned());
        repository.git(&[&["init", "-q", "-b", "main"], arguments].concat())?;
        Ok(repository)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file of the work tree.
    pub(crate) fn write(&self, path: impl AsRef<[u8]>, content: &[u8]) -> Result<()> {
        let path = self.0.join(OsStr::from_bytes(path.as_ref()));
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, content)?)
    }

    /// Commits the whole work tree.
    pub(crate) fn commit(&self, message: &str) -> Result<CommitId> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "-q", "--allow-empty", "-m", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().parse()?)
    }

    /// Runs git in it, as nobody in particular.
    pub(crate) fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("git")
            .current_dir(&self.0)
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "nobody")))
            .envs(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "nobody@example.org")))
            .output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {arguments:?}: {complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }
}
