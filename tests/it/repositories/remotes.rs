//! Remotes that are rewritten, late, without webhooks, or deleted.

use anyhow::{Result, ensure};
use lockstep_protocol::commands::RepositoryAcceptRequested;
use lockstep_testbed::wait;
use serde_json::json;

use super::{Site, push, push_to, refresh, repository_name};
use crate::system::load::envelope;
use crate::system::{Ground, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_flags_what_differs_even_if_the_only_clone_is_lost() -> Result<()> {
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
async fn a_commit_that_is_not_fetched_yet_is_retried_a_limited_number_of_times() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    // This commit does not exist in the remote, as after a force push.
    let gone = push(&"ab".repeat(20))?;
    site.publish(std::slice::from_ref(&gone)).await?;
    let outcome = site.outcome(&gone).await?;
    ensure!(outcome["reason"] == "unchanged", "{outcome}");

    // This commit reaches the branch late.
    site.settings.git(&["checkout", "-q", "-b", "late"])?;
    site.settings.write("core/x.yml", b"")?;
    let late = site.settings.commit("late")?;
    let message = push(&late)?;
    site.publish(std::slice::from_ref(&message)).await?;
    wait::until("the worker to report the missing commit", PATIENCE, async || {
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
async fn a_lost_webhook_is_replaced_by_polling() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    worker.stop().await?;
    let watching = [("LOCKSTEP__REPOSITORIES__POLL_SECONDS", "1")];
    let first = site.worker(&watching)?;
    let second = site.worker(&[watching[0], ("LOCKSTEP__DATA_DIR", "second-data")])?;
    site.settings.write("core/x.yml", b"")?;
    site.settings.commit("without a webhook")?;
    wait::until("the flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 1)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    // Reset to the previous tip: the same tip a second time is not a duplicate.
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
async fn messages_of_a_vanished_remote_are_dead_lettered_and_the_other_repository_goes_on() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let origin = site.scene.folder().join("origin/settings");
    std::fs::rename(&origin, origin.with_extension("away"))?;
    let lost = refresh("settings");
    site.templates.write("eos/access.j2", b"x")?;
    let message = push_to("templates", "main", &site.templates.commit("x")?)?;
    site.publish(&[lost.clone(), message.clone()]).await?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["access1"]), "{outcome}");
    let rejection = site.rejection(&lost).await?;
    ensure!(rejection["code"] == "attempts-exhausted", "{rejection}");
    ensure!(
        rejection["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("git ")),
        "{rejection}"
    );

    std::fs::rename(origin.with_extension("away"), &origin)?;
    site.settings.git(&["branch", "-qm", "main", "other"])?;
    let nameless = refresh("settings");
    site.publish(std::slice::from_ref(&nameless)).await?;
    let rejection = site.rejection(&nameless).await?;
    ensure!(rejection["code"] == "unknown-branch", "{rejection}");
    worker.stop().await
}
