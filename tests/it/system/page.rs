//! A page of `docs/` whose commands are run as they are written, block by block.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{PATIENCE, shell};

/// A page in a folder, with the servers of a test.
pub(crate) struct Page {
    folder: tempfile::TempDir,
    /// What stands on the page, and what stands in its place.
    replaced: Vec<(&'static str, String)>,
    /// The lines that later blocks need, too.
    exports: String,
    blocks: std::vec::IntoIter<&'static str>,
}

impl Page {
    pub(crate) fn new(page: &'static str, replaced: Vec<(&'static str, String)>) -> Result<Self> {
        for (text, _) in &replaced {
            ensure!(page.contains(text), "{text} is not on the page");
        }
        let blocks = page.split("```sh\n").skip(1);
        let blocks: Vec<&str> = blocks.filter_map(|block| block.split("```").next()).collect();
        Ok(Self {
            folder: tempfile::tempdir()?,
            replaced,
            exports: String::new(),
            blocks: blocks.into_iter(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The lines that all later commands need.
    pub(crate) fn export(&mut self, lines: &str) {
        self.exports.push_str(lines);
    }

    pub(crate) fn exports(&self) -> &str {
        &self.exports
    }

    /// Runs the next block, which contains this text, and returns its output.
    pub(crate) fn run(&mut self, text: &str) -> Result<String> {
        let block = self.block(text)?;
        let printed = shell(self.folder(), &format!("{}{block}", self.exports))?;
        for line in block.lines().filter(|line| line.starts_with("export ")) {
            self.exports.push_str(line);
            self.exports.push('\n');
        }
        Ok(printed)
    }

    /// The next block, which contains this text, with the servers of the test, for who runs it otherwise.
    pub(crate) fn block(&mut self, text: &str) -> Result<String> {
        let block = self.blocks.next().context("the page has no more blocks")?;
        ensure!(block.contains(text), "{text} is not in the next block:\n{block}");
        let mut block = block.to_owned();
        for (from, to) in &self.replaced {
            block = block.replace(from, to);
        }
        Ok(block)
    }

    /// Runs a command that is not on the page.
    pub(crate) fn lockstep(&self, command: &str) -> Result<String> {
        shell(self.folder(), &format!("{}lockstep {command}", self.exports))
    }

    /// What a command that is not on the page prints as JSON.
    pub(crate) fn json(&self, command: &str) -> Result<Value> {
        let printed = self.lockstep(&format!("{command} --json"))?;
        serde_json::from_str(&printed).with_context(|| format!("{command}: {printed}"))
    }

    pub(crate) fn execution(&self, number: u32) -> Result<Value> {
        self.json(&format!("executions show {number}"))
    }

    /// Waits until a log contains this text.
    pub(crate) async fn logged(&self, log: &str, text: &str) -> Result<()> {
        let path = self.folder().join(log);
        wait::until(&format!("{log} to contain {text:?}"), PATIENCE, async || {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            if found.contains(text) { Ok(()) } else { Err(found) }
        })
        .await?;
        Ok(())
    }

    /// The process whose id a block wrote to `NAME.pid`.
    pub(crate) fn process(&self, name: &str) -> Result<Pid> {
        let text = std::fs::read_to_string(self.folder().join(format!("{name}.pid")))?;
        Pid::from_raw(text.trim().parse()?).context("no process id")
    }

    /// Whether all blocks were run.
    pub(crate) fn ended(&mut self) -> Result<()> {
        ensure!(self.blocks.next().is_none(), "the page has more blocks");
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        for name in ["fleet", "up", "worker-1", "worker-2", "console"] {
            if let Ok(pid) = self.process(name) {
                // It may have ended.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}
