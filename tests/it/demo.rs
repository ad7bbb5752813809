//! `lockstep demo`: every scene has its effect, in less than a minute.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::system::shell;

#[test]
fn the_demo_tells_how_a_push_to_the_settings_reaches_the_devices() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let printed = shell(folder.path(), "lockstep demo --json")?;
    let took = began.elapsed();
    ensure!(took < Duration::from_mins(1), "{took:?}");
    let demo: Value = serde_json::from_str(&printed)?;
    let scenes = demo["scenes"].as_array().context("no scenes")?;
    let sync = scenes.last().context("no scene")?;
    ensure!(sync["flagged"]["flipped"] == 5, "{sync}");
    let counts = |execution: &str| ["done", "failed"].map(|name| sync[execution][name].as_u64());
    ensure!(counts("plan") == [Some(4), Some(1)], "{sync}");
    ensure!(sync["application"]["done"] == 4, "{sync}");
    ensure!(sync["cancelled"] == serde_json::json!(["1901"]), "{sync}");
    let devices = demo["devices"].as_array().context("no devices")?.iter();
    let leaves = devices.filter(|device| {
        device["hostname"]
            .as_str()
            .is_some_and(|name| name.starts_with("leaf"))
    });
    let unsynchronized: Vec<&Value> = leaves
        .filter(|device| device["synchronized"] == false)
        .map(|device| &device["hostname"])
        .collect();
    ensure!(unsynchronized == ["leaf00003"], "{unsynchronized:?}");
    Ok(())
}
