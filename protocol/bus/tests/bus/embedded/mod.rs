//! The contract on the embedded bus.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use tempfile::TempDir;

use crate::contract::{Fixture, contract};

/// A folder.
struct Folder(TempDir);

#[async_trait]
impl Fixture for Folder {
    async fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room for a temporary folder"))
    }

    async fn open(&self) -> Arc<dyn Bus> {
        EmbeddedBus::open(self.0.path(), EmbeddedOptions::default()).expect("the folder is free")
    }
}

contract!(Folder);
