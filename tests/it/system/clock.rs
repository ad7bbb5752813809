//! Sets a wrong wall clock for one process by libfaketime. Its monotonic clock stays correct, as after a change of the
//! machine's clock.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// The library for programs with threads. The loader replaces `$LIB`.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// The environment of a process whose clock is wrong by a number of seconds, such as `+3600`.
pub(crate) fn wrong_by(seconds: &str) -> [(&'static str, &str); 3] {
    [
        ("LD_PRELOAD", LIBRARY),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME", seconds),
    ]
}

/// A clock that can be set while the process runs.
#[derive(Debug)]
pub(crate) struct Settable {
    file: PathBuf,
}

impl Settable {
    /// Creates a clock that is correct at first.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let clock = Self {
            file: folder.join("clock"),
        };
        clock.set_wrong_by("+0")?;
        Ok(clock)
    }

    /// The environment of a process with this clock.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("LD_PRELOAD", LIBRARY),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap_or_default()),
            // Seconds until a change takes effect.
            ("FAKETIME_CACHE_DURATION", "1"),
        ]
    }

    /// Sets the clock. The process sees the change after about a second.
    pub(crate) fn set_wrong_by(&self, seconds: &str) -> Result<()> {
        Ok(std::fs::write(&self.file, seconds)?)
    }
}
