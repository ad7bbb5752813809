use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// An entry of a tree: mode, path, content. A submodule's content is the commit.
pub(crate) type Entry<'a> = (&'a str, &'a [u8], &'a str);

/// A bare repository whose trees are written entry by entry, so that paths may be any bytes.
pub(crate) struct Repository(TempDir);

impl Repository {
    pub(crate) fn new() -> Result<Self> {
        let repository = Self(tempfile::tempdir()?);
        repository.git(&["init", "--quiet", "--bare", "--initial-branch=main"], b"")?;
        Ok(repository)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Commits exactly these entries at the tip of `main` and returns the commit.
    pub(crate) fn commit(&self, entries: &[Entry<'_>]) -> Result<String> {
        let mut index = Vec::new();
        for (mode, path, content) in entries {
            let object = if *mode == "160000" {
                (*content).to_owned()
            } else {
                self.git(&["hash-object", "-w", "--stdin"], content.as_bytes())?
            };
            index.extend_from_slice(format!("{mode} {object}\t").as_bytes());
            index.extend_from_slice(path);
            index.push(0);
        }
        self.commit_index(&index)
    }

    /// Commits one content at many paths.
    pub(super) fn commit_everywhere(&self, mode: &str, content: &str, paths: &[String]) -> Result<String> {
        let object = self.git(&["hash-object", "-w", "--stdin"], content.as_bytes())?;
        let lines = paths.iter().map(|path| format!("{mode} {object}\t{path}\0"));
        self.commit_index(lines.collect::<String>().as_bytes())
    }

    fn commit_index(&self, index: &[u8]) -> Result<String> {
        self.git(&["read-tree", "--empty"], b"")?;
        self.git(&["update-index", "-z", "--index-info"], index)?;
        let tree = self.git(&["write-tree"], b"")?;
        let parent = self.git(&["rev-parse", "--verify", "--quiet", "main"], b"").ok();
        let mut arguments = vec!["commit-tree", tree.as_str(), "-m", "x"];
        arguments.extend(parent.iter().flat_map(|parent| ["-p", parent]));
        let commit = self.git(&arguments, b"")?;
        self.git(&["update-ref", "refs/heads/main", &commit], b"")?;
        Ok(commit)
    }

    /// Runs git and returns its output.
    pub(crate) fn git(&self, arguments: &[&str], input: &[u8]) -> Result<String> {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.path()).args(arguments);
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        command
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .envs([("GIT_AUTHOR_NAME", "x"), ("GIT_AUTHOR_EMAIL", "x@example.org")])
            .envs([
                ("GIT_COMMITTER_NAME", "x"),
                ("GIT_COMMITTER_EMAIL", "x@example.org"),
            ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().context("cannot run git")?;
        process.stdin.take().context("no input")?.write_all(input)?;
        let output = process.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {arguments:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}

/// Runs `lockstep affected`.
pub(crate) fn affected(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    for variable in [
        "LOCKSTEP_CONFIG",
        "LOCKSTEP_URL",
        "LOCKSTEP_TOKEN",
        "LOCKSTEP_TOKEN_FILE",
    ] {
        command.env_remove(variable);
    }
    command.envs(environment.iter().copied());
    command.current_dir(folder).arg("affected").args(arguments);
    command.output().context("cannot start lockstep")
}
