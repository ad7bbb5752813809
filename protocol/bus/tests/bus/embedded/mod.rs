//! The contract suite on the embedded bus, and tests of its own guarantees.

mod bounds;
mod crash;
mod outage;
mod ownership;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use crate::contract::{BOUND, Fixture, contract};

/// A temporary folder.
struct Folder(TempDir);

#[async_trait]
impl Fixture for Folder {
    async fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room for a temporary folder"))
    }

    async fn open(&self) -> Arc<dyn Bus> {
        open(self.0.path())
    }
}

contract!(Folder);

fn open(folder: &Path) -> Arc<dyn Bus> {
    EmbeddedBus::open(folder, EmbeddedOptions::default()).expect("the folder is free")
}

/// Polls until the condition holds.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < end, "not within its bound: {what}");
        sleep_until(Instant::now() + Duration::from_millis(5)).await;
    }
}
