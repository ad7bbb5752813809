//! Remotes that are rewritten, late, silent or gone.

use anyhow::{Result, ensure};
use lockstep_protocol::commands::RepositoryAcceptRequested;
use lockstep_testbed::wait;
use serde_json::json;

use super::{Site, push, push_to, refresh, repository_name};
use crate::system::load::envelope;
use crate::system::{Ground, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_flags_what_differs_though_the_only_clone_is_lost() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    worker.stop().await?;
    std::fs::remove_dir_all(site.scene.folder().join("lockstep-data/repositories"))?;
    site.settings.write("core/x.yml", b"")?;
    site.settings.git(&["add", "--all"])?;
    site.settings
        .git(&["commit", "-q", "--amend", "-m", "rewritten"])?;
    site.settings
        .git(&["reflog", "expire", "--expire=now", "--all"])?;
    site.settings.git(&["gc", "-q", "--prune=now"])?;
    let commit = site.settings.git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let message = push(&commit)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let worker = site.worker(&[])?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["core1"]), "{outcome}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_not_there_yet_is_waited_for_but_not_forever() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    // Nobody ever sees this one: it was pushed over.
    let gone = push(&"ab".repeat(20))?;
    site.publish(std::slice::from_ref(&gone)).await?;
    let outcome = site.outcome(&gone).await?;
    ensure!(outcome["reason"] == "unchanged", "{outcome}");

    // This one comes late.
    site.settings.git(&["checkout", "-q", "-b", "late"])?;
    site.settings.write("core/x.yml", b"")?;
    let late = site.settings.commit("late")?;
    let message = push(&late)?;
    site.publish(std::slice::from_ref(&message)).await?;
    wait::until("the worker to miss it", PATIENCE, async || {
        let log = worker.log().map_err(|error| format!("{error:#}"))?;
        let missed = log.contains(message.identity.id.as_str());
        if missed { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await?;
    site.settings.git(&["branch", "-qf", "main", "late"])?;
    let outcome = site.outcome(&message).await?;
    ensure!(
        outcome["commit"] == late.as_str() && outcome["devices"] == json!(["core1"]),
        "{outcome}"
    );
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_never_came_is_made_up_for() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    worker.stop().await?;
    let watching = [("LOCKSTEP__REPOSITORIES__POLL_SECONDS", "1")];
    let first = site.worker(&watching)?;
    let second = site.worker(&[watching[0], ("LOCKSTEP__DATA_DIR", "second-data")])?;
    site.settings.write("core/x.yml", b"")?;
    site.settings.commit("nobody says so")?;
    wait::until("the flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 1)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    // And back again: the same tip a second time is no duplicate.
    site.settings.git(&["reset", "-q", "--hard", "HEAD~1"])?;
    wait::until("the second flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 2)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_an_older_commit_flags_what_came_since() -> Result<()> {
    let site = Site::new(Ground::Servers).await?;
    let older = site.settings.git(&["rev-parse", "HEAD"])?.trim().parse()?;
    site.settings.write("core/x.yml", b"")?;
    let tip = site.settings.commit("since")?;
    let worker = site.worker(&[("LOCKSTEP__REPOSITORIES__POLL_SECONDS", "1")])?;
    let accept = envelope(RepositoryAcceptRequested {
        repository: repository_name("settings"),
        commit: older,
    });
    site.publish(std::slice::from_ref(&accept)).await?;
    site.outcome(&accept).await?;
    wait::until("the flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 1)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    let look = push(&tip)?;
    site.publish(std::slice::from_ref(&look)).await?;
    let outcome = site.outcome(&look).await?;
    ensure!(outcome["reason"] == "unchanged", "{outcome}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_vanished_ends_with_the_dead_and_the_other_one_goes_on() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let origin = site.scene.folder().join("origin/settings");
    std::fs::rename(&origin, origin.with_extension("away"))?;
    let lost = refresh("settings");
    site.templates.write("eos/access.j2", b"x")?;
    let message = push_to("templates", "main", &site.templates.commit("x")?)?;
    site.publish(&[lost.clone(), message.clone()]).await?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["access1"]), "{outcome}");
    let death = site.death(&lost).await?;
    ensure!(death["code"] == "attempts-exhausted", "{death}");
    ensure!(
        death["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("git ")),
        "{death}"
    );

    std::fs::rename(origin.with_extension("away"), &origin)?;
    site.settings.git(&["branch", "-qm", "main", "other"])?;
    let nameless = refresh("settings");
    site.publish(std::slice::from_ref(&nameless)).await?;
    let death = site.death(&nameless).await?;
    ensure!(death["code"] == "unknown-branch", "{death}");
    worker.stop().await
}
