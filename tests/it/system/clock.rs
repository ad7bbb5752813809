//! A wall clock that is wrong, for one process, by libfaketime. Its monotonic clock goes as ever, as it would if somebody
//! set the machine's clock.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// For programs with threads. The loader knows what `$LIB` is on this machine.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// The environment of a process whose clock is wrong by so many seconds, such as `+3600`.
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
    /// A clock that is right so far.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let clock = Self {
            file: folder.join("clock"),
        };
        clock.set_wrong_by("+0")?;
        Ok(clock)
    }

    /// The environment of the process that has it.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("LD_PRELOAD", LIBRARY),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap_or_default()),
            // How many seconds it takes to notice.
            ("FAKETIME_CACHE_DURATION", "1"),
        ]
    }

    /// Sets it, for what is asked in a second or so.
    pub(crate) fn set_wrong_by(&self, seconds: &str) -> Result<()> {
        Ok(std::fs::write(&self.file, seconds)?)
    }
}
