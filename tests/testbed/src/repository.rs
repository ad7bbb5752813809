use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A git repository to fetch from, with a work tree on the branch `main`.
#[derive(Debug)]
pub struct Repository(PathBuf);

impl Repository {
    /// Makes an empty repository.
    ///
    /// # Errors
    /// The git command fails.
    pub fn init(path: &Path) -> Result<Self> {
        Self::init_with(path, &[])
    }

    /// Makes an empty repository with more arguments for `git init`.
    ///
    /// # Errors
    /// The git command fails.
    pub fn init_with(path: &Path, arguments: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        let repository = Self(path.to_owned());
        repository.git(&[&["init", "-q", "-b", "main"], arguments].concat())?;
        Ok(repository)
    }

    /// The folder of the work tree.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file of the work tree. Its name may be any bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<[u8]>, content: &[u8]) -> Result<()> {
        let path = self.0.join(OsStr::from_bytes(path.as_ref()));
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, content)?)
    }

    /// Commits the whole work tree and returns the commit.
    ///
    /// # Errors
    /// The git command fails.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "-q", "--allow-empty", "-m", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Runs git in the repository, independently of the user's configuration.
    ///
    /// # Errors
    /// The git command fails.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        self.git_with(arguments, &[])
    }

    /// Runs git in the repository with this input.
    ///
    /// # Errors
    /// The git command fails.
    pub fn git_with(&self, arguments: &[&str], input: &[u8]) -> Result<String> {
        let mut process = Command::new("git");
        process
            .current_dir(&self.0)
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "nobody")))
            .envs(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "nobody@example.org")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = process.spawn().context("git is needed")?;
        let mut stdin = child.stdin.take().context("piped")?;
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output()
        })?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {arguments:?}: {complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }
}
