//! What operators are told about a repository: why it cannot be fetched, and what in it has no effect.

use anyhow::{Result, ensure};
use lockstep_testbed::{Repository, wait};

use crate::system::{Ground, PATIENCE, Process, Scene};

/// One process with a settings repository, whose first commit is accepted.
pub(super) struct Told {
    scene: Scene,
    settings: Repository,
    process: Process,
}

impl Told {
    pub(super) async fn new() -> Result<Self> {
        let scene = Scene::new(Ground::Embedded).await?;
        let settings = Repository::init(&scene.folder().join("origin"))?;
        settings.write("global/base_system.yml", b"dns_servers: []\n")?;
        let commit = settings.commit("settings")?;
        let url = scene.folder().join("origin").display().to_string();
        let process = scene.worker(&[
            ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", &url),
            ("LOCKSTEP__REPOSITORIES__POLL_SECONDS", "3600"),
            ("LOCKSTEP__REPOSITORIES__DEBOUNCE_MS", "50"),
        ])?;
        process.prints("lockstep is up at").await?;
        let told = Self {
            scene,
            settings,
            process,
        };
        wait::until("the console to answer", PATIENCE, async || {
            match told.run(&["repositories", "list"]).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await?;
        told.run(&["repositories", "accept", "settings", &commit]).await?;
        Ok(told)
    }

    pub(super) fn scene(&self) -> &Scene {
        &self.scene
    }

    pub(super) fn folder(&self) -> std::path::PathBuf {
        self.scene.folder().to_owned()
    }

    pub(super) fn settings(&self) -> &Repository {
        &self.settings
    }

    /// Runs a command, which must succeed, and returns what it prints.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut process = self.scene.run(arguments, &[])?;
        let status = process.ended().await?;
        let printed = process.log()?;
        ensure!(status.success(), "{arguments:?}: {printed}");
        Ok(printed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_says_at_once_why_a_remote_cannot_be_fetched() -> Result<()> {
    let told = Told::new().await?;
    let origin = told.scene.folder().join("origin");
    std::fs::rename(&origin, origin.with_extension("away"))?;
    let mut refresh = told.scene.run(&["repositories", "refresh", "settings"], &[])?;
    refresh
        .prints("cannot fetch settings, will be tried again: git")
        .await?;
    told.process.prints("message will be tried again").await?;
    let log = told.process.log()?;
    let line = log
        .lines()
        .find(|line| line.contains("message will be tried again"))
        .unwrap_or_default();
    ensure!(line.contains("reason") && line.contains("origin"), "{line}");
    let list = told.run(&["repositories", "list"]).await?;
    ensure!(list.contains("settings: cannot be fetched since "), "{list}");

    std::fs::rename(origin.with_extension("away"), &origin)?;
    let status = refresh.ended().await?;
    ensure!(status.success(), "{}", refresh.log()?);
    let list = told.run(&["repositories", "list"]).await?;
    ensure!(!list.contains("cannot be fetched"), "{list}");
    told.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_effect_is_told_with_the_accepted_commit() -> Result<()> {
    let told = Told::new().await?;
    told.settings
        .write("acces/base_system.yml", b"dns_servers: [{host: 192.0.2.1}]\n")?;
    told.settings.write("group/E1/routing.yml", b"vrfs: []\n")?;
    told.settings.commit("two mistakes")?;
    let warning = "acces: has no effect on any device; did you mean access/?";
    let affected = [
        "affected",
        "--repository",
        "settings",
        "--git",
        "origin",
        "--from",
        "HEAD~1",
        "--to",
        "HEAD",
    ];
    let printed = told.run(&affected).await?;
    ensure!(printed.contains(&format!("warning: {warning}")), "{printed}");
    let printed = told.run(&["repositories", "refresh", "settings"]).await?;
    ensure!(
        printed.contains("applied; no sync flag changed") && printed.contains(&format!("warning: {warning}")),
        "{printed}"
    );
    let list = told.run(&["repositories", "list"]).await?;
    let expected = format!("settings: 2 warnings, --json shows all; the first: {warning}");
    ensure!(list.contains(&expected), "{list}");

    told.settings
        .git(&["mv", "acces/base_system.yml", "global/vxlans.yml"])?;
    told.settings.git(&["rm", "-rq", "group"])?;
    told.settings.commit("repaired")?;
    told.run(&["repositories", "refresh", "settings"]).await?;
    let list = told.run(&["repositories", "list"]).await?;
    ensure!(!list.contains("warning"), "{list}");
    told.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_is_explained_by_the_commit_and_the_paths_that_concern_the_device() -> Result<()> {
    let told = Told::new().await?;
    let fleet = "- {hostname: sw1, device_type: ACCESS, synchronized: true}\n- {hostname: sw2, device_type: CORE, synchronized: true}\n";
    std::fs::write(told.scene.folder().join("fleet.yml"), fleet)?;
    told.run(&["devices", "import", "fleet.yml"]).await?;
    let why = told.run(&["devices", "why", "sw1"]).await?;
    ensure!(
        why.contains("sw1 is synchronized, nothing to explain; last: created ") && why.contains("as "),
        "{why}"
    );
    told.settings.write("README.md", b"x")?;
    told.settings.commit("first of two")?;
    for path in [
        "devices/sw1/routing.yml",
        "devices/sw2/routing.yml",
        "access/vlans.yml",
    ] {
        told.settings.write(path, b"vrfs: []\n")?;
    }
    let commit = told.settings.commit("New route\u{1b}[2J")?;
    told.run(&["repositories", "refresh", "settings"]).await?;
    let why = told.run(&["devices", "why", "sw1"]).await?;
    for expected in [
        "sw1 is not synchronized since ",
        "it has generation 1 of 2, 1 cause",
        "refresh_settings",
        &format!("commit {} of settings by ", &commit[..12]),
        ", the last of 2 commits: New route\\u{1b}[2J",
        "  devices/sw1/routing.yml",
        "  access/vlans.yml (ACCESS)",
    ] {
        ensure!(why.contains(expected), "{expected}: {why}");
    }
    ensure!(!why.contains("sw2") && !why.contains('\u{1b}'), "{why}");
    let other = told.run(&["devices", "why", "sw2", "--json"]).await?;
    ensure!(
        other.contains("devices/sw2/routing.yml") && !other.contains("access/vlans.yml"),
        "{other}"
    );

    told.run(&["devices", "mark", "sw1", "--synchronized", "--note", "compared"])
        .await?;
    let history = told.run(&["devices", "history", "sw1", "--json"]).await?;
    let events: Vec<serde_json::Value> = serde_json::from_str(&history)?;
    let what: Vec<&str> = events.iter().filter_map(|event| event["what"].as_str()).collect();
    ensure!(what == ["synchronized", "unsynchronized", "created"], "{history}");
    ensure!(
        events[0]["note"] == "compared" && events[0]["closed"] == 1,
        "{history}"
    );
    ensure!(
        events[1]["open"] == false && events[1]["cause"]["commit"]["id"] == commit.as_str(),
        "{history}"
    );
    let why = told.run(&["devices", "why", "sw1"]).await?;
    ensure!(why.contains("nothing to explain; last: synchronized "), "{why}");

    let mut unknown = told.scene.run(&["devices", "history", "sw9"], &[])?;
    let status = unknown.ended().await?;
    ensure!(
        status.code() == Some(1) && unknown.log()?.contains("no device is named"),
        "{}",
        unknown.log()?
    );
    told.process.stop().await
}
