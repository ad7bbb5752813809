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
